"""What a commit message says in its trailers.

The rules are those of git-interpret-trailers(1), with ``:`` as the separator, ``#`` for comments and no
trailers configured, for a message as a commit holds it: there is no ``---`` divider in it.
"""

from __future__ import annotations

import re

from resync.model import Oid

_SPACE = b" \t\n\r"
_COMMENT = b"#"
_SCISSORS = re.compile(rb"^# -{24} >8 -{24}\n", re.MULTILINE)
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_TRAILER = re.compile(rb"[A-Za-z0-9-]+[ \t]*:")
_GENERATED = (b"Signed-off-by: ", b"(cherry picked from commit ")
"""How lines begin that git itself writes; one of them lets some other text stand in a trailer block."""

_FOLD = re.compile(rb"\n[ \t\n\r]*")
_PICKED = re.compile(rb"\(cherry picked from commit ([0-9a-f]{40}|[0-9a-f]{64})\)")
_CHANGE_ID = re.compile(rb"I[0-9a-f]{8,}")
_CHANGE_ID_LINE = re.compile(rb"change-id[ \t]*:[ \t]*((?-i:I[0-9a-f]{8,}))\s*", re.IGNORECASE)


def trailers(message: bytes) -> list[tuple[bytes, bytes]]:
    """The trailers of ``message`` as (token, value) in their order, values unfolded to one line.

    Gives what ``git interpret-trailers --parse --no-divider`` prints, so lines of the block that are
    no trailers, such as ``(cherry picked from commit …)``, are left out.
    """
    found = []
    trailer: list[bytes] = []
    for line in [*_block(message), b""]:
        if trailer and line and line[:1] in _SPACE:
            trailer.append(line)
            continue
        if trailer:
            token, _, value = b"".join(trailer).partition(b":")
            found.append((token.rstrip(_SPACE), _FOLD.sub(b" ", value).strip(_SPACE)))
        trailer = [line] if _TRAILER.match(line) else []
    return found


def change_id(message: bytes) -> bytes | None:
    """Gerrit's ``Change-Id`` (``I`` and hex digits) of ``message``, or None; of several the last counts."""
    for token, value in reversed(trailers(message)):
        if token.lower() == b"change-id" and _CHANGE_ID.fullmatch(value):
            return value
    return None


def with_change_id(message: bytes, new: bytes) -> bytes | None:
    """``message`` with ``new`` in the place of the Change-Id that counts, everything else byte for byte.

    None where it has none, or has it folded over several lines.
    """
    body, block = _body(message), _block(message)
    end, below = sum(map(len, body)), b""
    for line in reversed(block):
        found = _CHANGE_ID_LINE.fullmatch(line)
        if found and (_is_blank(below) or below[:1] not in (b" ", b"\t")):
            start = end - len(line)
            return message[: start + found.start(1)] + new + message[start + found.end(1) :]
        end, below = end - len(line), line
    return None


def cherry_picked_from(message: bytes) -> tuple[Oid, ...]:
    """The commits that ``git cherry-pick -x`` named in the trailer block of ``message``, in order."""
    matches = (_PICKED.match(line) for line in _block(message))
    return tuple(Oid(match[1]) for match in matches if match)


def _block(message: bytes) -> list[bytes]:
    """The lines of the trailer block with their newlines, or none.

    The block is the last paragraph, but never the first one, which is the title. It counts if all of
    it is trailers, or if git wrote one of them and at least a quarter of the lines are trailers.
    """
    lines = _body(message)
    title = 0
    while title < len(lines) and (lines[title].startswith(_COMMENT) or not _is_blank(lines[title])):
        title += 1
    end = len(lines)
    while end > title and (lines[end - 1].startswith(_COMMENT) or _is_blank(lines[end - 1])):
        end -= 1
    start = end
    while start > title and not _is_blank(lines[start - 1]):
        start -= 1
    known, others, generated = 0, 0, False
    foldable = False
    for line in lines[start:end]:
        if line.startswith(_COMMENT):
            foldable = False
        elif line.startswith(_GENERATED):
            known, generated, foldable = known + 1, True, True
        elif _TRAILER.match(line):
            known, foldable = known + 1, True
        elif not (foldable and line[:1] in _SPACE):
            others, foldable = others + 1, False
    if (known and not others) or (generated and known * 3 >= others):
        return lines[start:]
    return []


def _body(message: bytes) -> list[bytes]:
    """The lines of ``message`` up to where git takes the rest for its own notes.

    That is a NUL, the scissors line, or a tail of comments, empty lines and the list of files that old
    versions of git left under ``Conflicts:``.
    """
    text = message.partition(b"\0")[0]
    scissors = _SCISSORS.search(text)
    lines = _LINE.findall(text[: scissors.start()] if scissors else text)
    body = 0
    in_conflicts = False
    for number, line in enumerate(lines):
        if line == b"Conflicts:\n":
            in_conflicts = True
        elif line[:1] not in b"#\n" and not (in_conflicts and line[:1] == b"\t"):
            in_conflicts = False
            body = number + 1
    return lines[:body]


def _is_blank(line: bytes) -> bool:
    return not line.strip(_SPACE)
