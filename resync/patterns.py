"""Git's path patterns: what ``*.txt``, ``doc/**/x`` and ``[!a-z]?`` mean in ignore and attribute files.

The language is that of gitignore(5): ``*`` and ``?`` stop at a slash, ``**`` as a whole component does not,
brackets and their character classes are fnmatch's in the C locale. Patterns come with what was cloned, so
one that backtracking would need minutes for must cost no more than another: a pattern becomes a small
automaton whose states are the bits of a number (R. Baeza-Yates and G. Gonnet, "A new approach to text
searching", 1992), and whose steps are remembered. Matching takes time proportional to the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_SPECIAL = re.compile(rb"[*?\[\\]")
_SLASH = ord("/")
_ANY = frozenset(range(256)) - {_SLASH}
_MAX_REMEMBERED = 4096
_MAX_LENGTH = 4096

_CLASSES: dict[bytes, frozenset[int]] = {
    b"alnum": frozenset(b for b in range(128) if chr(b).isalnum()),
    b"alpha": frozenset(b for b in range(128) if chr(b).isalpha()),
    b"blank": frozenset(b" \t"),
    b"cntrl": frozenset({*range(32), 127}),
    b"digit": frozenset(b"0123456789"),
    b"graph": frozenset(range(33, 127)),
    b"lower": frozenset(b for b in range(128) if chr(b).islower()),
    b"print": frozenset(range(32, 127)),
    b"punct": frozenset(b for b in range(33, 127) if not chr(b).isalnum()),
    b"space": frozenset(b" \t\n\v\f\r"),
    b"upper": frozenset(b for b in range(128) if chr(b).isupper()),
    b"xdigit": frozenset(b"0123456789abcdefABCDEF"),
}


class Pattern:
    """One pattern, matched against a whole path.

    A malformed pattern matches nothing, as in git, and so does one of more than 4096 bytes, which is longer
    than any path.
    """

    __slots__ = ("_accept", "_consume", "_jump", "_literal", "_loop_any", "_loop_name", "_start", "_steps")

    def __init__(self, pattern: bytes, *, ignore_case: bool = False) -> None:
        self._literal = None if ignore_case or _SPECIAL.search(pattern) else pattern
        self._compile(pattern, ignore_case)
        self._steps: dict[int, int] = {}

    def matches(self, path: bytes) -> bool:
        """Whether the pattern matches the whole of ``path``."""
        if self._literal is not None:
            return path == self._literal
        states, steps = self._start, self._steps
        for byte in path:
            key = states << 8 | byte
            following = steps.get(key)
            if following is None:
                following = self._step(states, byte)
                if len(steps) < _MAX_REMEMBERED:
                    steps[key] = following
            if not following:
                return False
            states = following
        return bool(states & self._accept)

    def _compile(self, pattern: bytes, ignore_case: bool) -> None:
        """Number the parts from left to right; bit ``i`` is set where all before part ``i`` has matched."""
        consume = [0] * 256
        loop_name = loop_any = 0
        jump: list[tuple[int, int]] = []  # from these states one may go on as many parts without reading
        count = position = 0
        plain = _SPECIAL.search(pattern)  # git compares what is before it on its own, so "a**/b" matches "ab"
        start = plain.start() if plain else len(pattern)
        valid = len(pattern) <= _MAX_LENGTH
        while valid and position < len(pattern):
            byte = pattern[position]
            if byte == ord("*"):
                after = position
                while after < len(pattern) and pattern[after] == ord("*"):
                    after += 1
                whole = position == start or pattern[position - 1] == _SLASH
                rest = pattern[after : after + 2]
                if after - position > 1 and whole and (not rest or rest[:1] == b"/" or rest == b"\\/"):
                    if rest[:1] == b"/":  # "**/" may also stand for no directory at all
                        jump += [(1 << count, 1), (1 << count, 3)]
                        count += 1
                    loop_any |= 1 << count
                else:
                    loop_name |= 1 << count
                jump.append((1 << count, 1))
                count, position = count + 1, after
                continue
            if byte == ord("["):
                allowed, position = _bracket(pattern, position + 1, ignore_case)
            elif byte == ord("?"):
                allowed, position = _ANY, position + 1
            elif byte == ord("\\"):
                escaped = set(pattern[position + 1 : position + 2])
                allowed, position = _cases(escaped, ignore_case), position + 2
            else:
                allowed, position = _cases(_small_too({byte}, ignore_case), ignore_case), position + 1
            valid = valid and bool(allowed)
            for each in allowed:
                consume[each] |= 1 << count
            count += 1
        self._consume, self._loop_name, self._loop_any = consume, loop_name, loop_any
        self._jump = tuple(jump)
        self._accept = 1 << count if valid else 0
        self._start = self._closed(1)

    def _step(self, states: int, byte: int) -> int:
        loop = self._loop_any if byte == _SLASH else self._loop_any | self._loop_name
        return self._closed((states & self._consume[byte]) << 1 | (states & loop))

    def _closed(self, states: int) -> int:
        """The states with those that are reached without reading; jumps only lead on, so one pass does."""
        for state, distance in self._jump:
            if states & state:
                states |= state << distance
        return states


def _lower(byte: int) -> int:
    return byte + 32 if ord("A") <= byte <= ord("Z") else byte


def _small_too(allowed: Iterable[int], ignore_case: bool) -> set[int]:
    """These bytes, with the small letter of each capital where case does not count."""
    return {*allowed, *map(_lower, allowed)} if ignore_case else set(allowed)


def _cases(allowed: set[int], ignore_case: bool) -> frozenset[int]:
    """The bytes of a path that match one of these.

    Where case does not count, git makes a small letter of the path's byte and then compares, so that a
    capital behind a backslash or alone in a bracket matches nothing.
    """
    if not ignore_case:
        return frozenset(allowed)
    return frozenset(byte for byte in range(256) if _lower(byte) in allowed)


def _bracket(pattern: bytes, position: int, ignore_case: bool) -> tuple[frozenset[int], int]:
    """The bytes that a bracket allows, and where it ends; none where it is malformed."""
    nothing = frozenset[int](), len(pattern)
    negated = pattern[position : position + 1] in (b"!", b"^")
    position += negated
    allowed: set[int] = set()
    previous: int | None = None  # what a "-" would be a range from
    first = True
    while first or pattern[position : position + 1] != b"]":
        first = False
        if position >= len(pattern):
            return nothing
        byte = pattern[position]
        follows = pattern[position + 1 : position + 2]
        if byte == ord("-") and previous is not None and follows not in (b"", b"]"):
            position += 1 if follows != b"\\" else 2
            if position >= len(pattern):
                return nothing
            allowed |= _small_too(range(previous, pattern[position] + 1), ignore_case)
            previous = None
        elif byte == ord("[") and follows == b":":
            end = pattern.find(b"]", position + 2)
            if end < 0:
                return nothing
            if pattern[end - 1] == ord(":") and end - 1 > position + 1:
                name = pattern[position + 2 : end - 1]
                if name not in _CLASSES:
                    return nothing
                allowed |= _small_too(_CLASSES[name], ignore_case)
                previous, position = None, end
            else:
                allowed.add(byte)
                previous = byte
        else:
            if byte == ord("\\"):
                position += 1
                if position >= len(pattern):
                    return nothing
                byte = pattern[position]
            allowed.add(byte)
            previous = byte
        position += 1
    chosen = _cases(allowed, ignore_case)
    return (_ANY - chosen if negated else chosen - {_SLASH}), position + 1
