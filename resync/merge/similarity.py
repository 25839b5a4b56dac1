"""How much of one file is in another: git's estimate, by the pieces that both have.

A file is cut into pieces that end at LF or after 64 bytes, CR before LF left out of text; the bytes of the
pieces that two files have in common, by the size of the larger one, are their similarity (the rule that
git's ``diffcore-delta`` describes; git compares hashes of the pieces, we compare the pieces).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from resync.errors import LargeBlob
from resync.merge.files import is_binary
from resync.merge.remembered import Remembered
from resync.model import ObjectStore, Oid

FULL = 60_000
"""The score of equal files (git's unit, so that roundings are git's)."""

_PIECE = re.compile(rb"[^\n]{64}|[^\n]{0,63}\n|[^\n]+")


class Pieces(NamedTuple):
    """A file for comparing: its size in bytes, and how often each piece occurs in it."""

    size: int
    counts: Counter[bytes]


NO_PIECES = Pieces(0, Counter())
"""What is similar to nothing."""


def pieces(data: bytes) -> Pieces:
    """Cut a file into pieces."""
    text = data if is_binary(data) else data.replace(b"\r\n", b"\n")
    return Pieces(len(data), Counter(_PIECE.findall(text)))


_sizes: Remembered[Oid, int] = Remembered(1_000_000)
_cut: Remembered[Oid, Pieces] = Remembered(200_000)  # pieces: some tens of megabytes


def pieces_of(objects: ObjectStore, oid: Oid) -> Pieces:
    """The pieces of a blob, remembered while its store lives; none of one too large to be held in memory.

    Raises ``Refused`` if there is no such blob.
    """
    found = _cut.get(objects, oid)
    if found is None:
        try:
            found = pieces(objects.blob(oid))
        except LargeBlob:
            found = NO_PIECES
        _cut.keep(objects, oid, found, len(found.counts) + 1)
    return found


def size_of(objects: ObjectStore, oid: Oid) -> int:
    """The size of a blob, remembered while its store lives. Raises ``Refused`` if there is no such blob."""
    found = _sizes.get(objects, oid)
    if found is None:
        found = objects.size(oid)
        _sizes.keep(objects, oid, found, 1)
    return found


def score(a: Pieces, b: Pieces, least: int) -> int:
    """The similarity of two files, 0 to ``FULL``; 0 where their sizes alone keep it below ``least``."""
    smaller, larger = sorted((a.size, b.size))
    if not smaller or smaller * FULL < larger * least:
        return 0
    few, many = sorted((a.counts, b.counts), key=len)
    common = sum(len(piece) * min(count, many[piece]) for piece, count in few.items() if piece in many)
    return common * FULL // larger


class Overlaps:
    """Many files, to be compared with one after the other; ``work`` counts what was looked at."""

    def __init__(self, files: Iterable[Pieces]) -> None:
        self._sizes: list[int] = []
        self._holders: dict[bytes, list[tuple[int, int]]] = {}
        for at, file in enumerate(files):
            self._sizes.append(file.size)
            for piece, count in file.counts.items():
                self._holders.setdefault(piece, []).append((at, count))
        self._in_order = sorted(self._sizes)
        self.work = 0

    def comparable(self, size: int, least: int) -> bool:
        """Whether one of ``size`` bytes can be as similar as ``least`` to any of the files, by its size."""
        smallest, largest = _comparable(size, least)
        return bisect_left(self._in_order, smallest) < bisect_right(self._in_order, largest)

    def scores(self, other: Pieces, least: int) -> dict[int, int]:
        """The similarity of each of the files with another one, as ``score`` has it, where it is not 0."""
        size = other.size
        smallest, largest = _comparable(size, least)
        self.work += len(self._sizes)
        common: dict[int, int] = {}
        for piece in self._holders.keys() & other.counts.keys():
            count, length, holders = other.counts[piece], len(piece), self._holders[piece]
            self.work += len(holders)
            for at, times in holders:
                common[at] = common.get(at, 0) + length * (times if times < count else count)
        self.work += len(other.counts)
        return {
            at: shared * FULL // max(self._sizes[at], size)
            for at, shared in sorted(common.items())
            if smallest <= self._sizes[at] <= largest
        }


def _comparable(size: int, least: int) -> tuple[int, int]:
    """The smallest and the largest size of a file that can be as similar as ``least`` to one of ``size``."""
    return -(-size * least // FULL), size * FULL // max(least, 1)
