"""How much of one file is in another: git's estimate, by the pieces that both have.

A file is cut into pieces that end at LF or after 64 bytes, CR before LF left out of text; the bytes of the
pieces that two files have in common, by the size of the larger one, are their similarity (the rule that
git's ``diffcore-delta`` describes; git compares hashes of the pieces, we compare the pieces).
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from resync.merge.files import is_binary

LONGEST_PIECE = 64

FULL = 60_000
"""The score of equal files (git's unit, so that roundings are git's)."""


class Pieces(NamedTuple):
    """A file for comparing: its size in bytes, and how often each piece occurs in it."""

    size: int
    counts: Counter[bytes]


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


def sizes_allow(a: int, b: int, least: int) -> bool:
    """Whether files of these sizes could have a score of ``least`` at all."""
    smaller, larger = sorted((a, b))
    return larger * (FULL - least) >= (larger - smaller) * FULL


def score(a: Pieces, b: Pieces) -> int:
    """The similarity of two files, 0 to ``FULL``."""
    if not a.size or not b.size:
        return 0
    few, many = sorted((a.counts, b.counts), key=len)
    common = sum(len(piece) * min(count, many[piece]) for piece, count in few.items() if piece in many)
    return common * FULL // max(a.size, b.size)
