"""How much of one file is in another: git's estimate, by the pieces that both have.

A file is cut into pieces that end at LF or after 64 bytes, CR before LF left out of text; the bytes of the
pieces that two files have in common, by the size of the larger one, are their similarity (the rule that
git's ``diffcore-delta`` describes; git compares hashes of the pieces, we compare the pieces).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from resync.merge.files import is_binary

LONGEST_PIECE = 64

FULL = 60_000
"""The score of equal files (git's unit, so that roundings are git's)."""


class Pieces(NamedTuple):
    """A file for comparing: its size in bytes, and how often each piece occurs in it."""

    size: int
    counts: Counter[bytes]


NO_PIECES = Pieces(0, Counter())
"""What is similar to nothing."""


def pieces(data: bytes) -> Pieces:
    """Cut a file into pieces."""
    size = len(data)
    if not is_binary(data):
        data = data.replace(b"\r\n", b"\n")
    counts: Counter[bytes] = Counter()
    lines = data.split(b"\n")
    last = lines.pop()
    counts.update(line + b"\n" for line in lines if len(line) < LONGEST_PIECE)
    for line in lines:
        if len(line) >= LONGEST_PIECE:
            counts.update(_cut(line + b"\n"))
    if last:
        counts.update(_cut(last))
    return Pieces(size, counts)


def _cut(line: bytes) -> list[bytes]:
    return [line[at : at + LONGEST_PIECE] for at in range(0, len(line), LONGEST_PIECE)]


def score(a: Pieces, b: Pieces, least: int) -> int:
    """The similarity of two files, 0 to ``FULL``; 0 where their sizes alone keep it below ``least``."""
    few, many = sorted((a.counts, b.counts), key=len)
    common = sum(len(piece) * min(count, many[piece]) for piece, count in few.items() if piece in many)
    return _scored(common, a.size, b.size, least)


class Overlaps:
    """Many files, to be compared with one after the other; ``work`` counts the pieces looked at."""

    def __init__(self, files: Iterable[Pieces]) -> None:
        self._sizes: list[int] = []
        self._holders: dict[bytes, list[tuple[int, int]]] = {}
        for at, file in enumerate(files):
            self._sizes.append(file.size)
            for piece, count in file.counts.items():
                self._holders.setdefault(piece, []).append((at, count))
        self.work = 0

    def scores(self, other: Pieces, least: int) -> list[int]:
        """The similarity of each of the files with another one, as ``score`` has it."""
        common = [0] * len(self._sizes)
        for piece, count in other.counts.items():
            holders = self._holders.get(piece, ())
            self.work += 1 + len(holders)
            length = len(piece)
            for at, times in holders:
                common[at] += length * (times if times < count else count)
        return [
            _scored(bytes_, size, other.size, least) if bytes_ else 0
            for bytes_, size in zip(common, self._sizes, strict=True)
        ]


def _scored(common: int, a: int, b: int, least: int) -> int:
    smaller, larger = (a, b) if a < b else (b, a)
    if not smaller or larger * (FULL - least) < (larger - smaller) * FULL:
        return 0
    return common * FULL // larger
