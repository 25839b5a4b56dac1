"""A filter that stays at work and is given one file after the other.

The protocol is that of gitattributes(5), "Long Running Filter Process", in the packets of
gitprotocol-common(5), "pkt-line Format". ``delay`` is not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

from resync.model import Oid, TreePath
from resync.programs import ProgramFailed, Talk, too_much

Verb: TypeAlias = Literal["clean", "smudge"]

_FLUSH = b"0000"
_LENGTH = re.compile(rb"[0-9a-fA-F]{4}")
_HEAD = 4
_LARGEST = 65520 - _HEAD  # of what one packet holds, in bytes
_VERBS: tuple[Verb, ...] = ("clean", "smudge")


class FileRefused(Exception):
    """The filter lives and does not want this file; the message is the end of a sentence."""


class FilterProcess:
    """One filter at work. After a ``ProgramFailed`` nothing more can be said to it."""

    def __init__(self, talk: Talk) -> None:
        """Shake hands; raises ``ProgramFailed`` where the program is none that speaks this protocol."""
        self._talk = talk
        self._say(_lines(b"git-filter-client", b"version=2"))
        if list(self._hear_lines()) != [b"git-filter-server", b"version=2"]:
            raise ProgramFailed("does not answer as a filter process of version 2 does")
        self._say(_lines(*(b"capability=" + verb.encode() for verb in _VERBS)))
        offered = set(self._hear_lines())
        self._verbs = {verb for verb in _VERBS if b"capability=" + verb.encode() in offered}
        self._aborted: set[Verb] = set()

    def can(self, verb: Verb) -> bool:
        """Whether it is a filter that cleans, or that smudges, at all."""
        return verb in self._verbs

    def convert(self, verb: Verb, path: TreePath, data: bytes, blob: Oid | None, limit: int) -> bytes:
        """What the filter makes of a file; ``blob`` is the id of what is smudged.

        Raises ``FileRefused`` where it says no, and ``ProgramFailed`` where it dies, does not keep to the
        protocol, is too slow, or gives more than ``limit`` bytes.
        """
        if verb in self._aborted:
            raise FileRefused("wants no more files")
        asked = [b"command=" + verb.encode(), b"pathname=" + path]
        if max(map(len, asked)) >= _LARGEST:
            raise FileRefused("takes no name as long as this")
        if blob is not None:
            asked.append(b"blob=" + blob)
        self._say(_lines(*asked) + _content(data))
        self._expect_success(verb, self._status() or b"")
        parts, size = [], 0
        for part in self._hear_packets():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise too_much(limit)
        self._expect_success(verb, self._status() or b"success")
        return b"".join(parts)

    def end(self) -> None:
        """Say that no more files come, and wait until it has ended."""
        self._talk.end()

    def kill(self) -> None:
        """End it at once."""
        self._talk.kill()

    def _status(self) -> bytes | None:
        """The status that it tells; None where it has nothing to add to the one before."""
        status = None
        for line in self._hear_lines():
            key, _, value = line.partition(b"=")
            if key == b"status":
                status = value
        return status

    def _expect_success(self, verb: Verb, status: bytes) -> None:
        if status == b"success":
            return
        if status == b"abort":
            self._aborted.add(verb)
            raise FileRefused("wants no more files")
        if status == b"error":
            raise FileRefused("says that it failed")
        raise ProgramFailed(f"answered with the status {status.decode('utf-8', 'replace')!r}")

    def _say(self, packets: bytes) -> None:
        self._talk.say(packets)

    def _hear_lines(self) -> Iterator[bytes]:
        for packet in self._hear_packets():
            yield packet.removesuffix(b"\n")

    def _hear_packets(self) -> Iterator[bytes]:
        """What it says up to a flush packet."""
        while (head := self._talk.hear(_HEAD)) != _FLUSH:
            length = int(head, 16) if _LENGTH.fullmatch(head) else 0
            if not _HEAD <= length <= _LARGEST + _HEAD:
                raise ProgramFailed(f"said {head!r} where the length of a packet belongs")
            yield self._talk.hear(length - _HEAD)


def _packet(data: bytes) -> bytes:
    return b"%04x%s" % (len(data) + _HEAD, data)


def _lines(*lines: bytes) -> bytes:
    return b"".join(_packet(line + b"\n") for line in lines) + _FLUSH


def _content(data: bytes) -> bytes:
    parts = (data[start : start + _LARGEST] for start in range(0, len(data), _LARGEST))
    return b"".join(map(_packet, parts)) + _FLUSH
