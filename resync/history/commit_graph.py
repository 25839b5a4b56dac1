"""Git's commit-graph files: parents and dates of commits without reading the commits.

The format is gitformat-commit-graph(5): one file ``info/commit-graph``, or a chain of files under
``info/commit-graphs`` in which each continues the numbering of those before it. They are mapped into
memory and looked at only where somebody asks. They are a cache, perhaps an old one: what they do not
have is read from the objects, and a file or an entry that cannot be right counts as not there.
"""

from __future__ import annotations

import mmap
import os
import sys
from array import array
from binascii import hexlify, unhexlify
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from struct import Struct

from resync.model import Oid

_HEADER = Struct(">4sBBBB")
_CHUNK = Struct(">4sQ")
_LINKS = Struct(">IIII")
_WORD = Struct(">I")

_HASHES = {40: 1, 64: 2}
NO_PARENT = 0x70000000
"""In place of a parent's number, which are all below: there is none."""

_EDGES = 0x80000000
"""On a second parent: it and the further ones are in the table of edges, where this marks the last."""

_LATE = 3
"""The bits of the third word that are the highest ones of the date; above them is what orders commits."""

_PIECE = 1 << 16
"""As many rows are taken apart at a time."""


class CommitGraph:
    """The commit-graph of one folder of objects, open for lookups. Its ``count`` commits are numbered."""

    def __init__(self, layers: Sequence[_Layer]) -> None:
        self._layers = layers
        self._firsts = [layer.first for layer in layers]
        self.count = layers[-1].end

    def find(self, oid: Oid) -> int | None:
        """The number of the commit ``oid``; None if the graph does not have it."""
        raw = unhexlify(oid)
        return next((number for layer in self._layers if (number := layer.find(raw)) is not None), None)

    def oid(self, number: int) -> Oid:
        """The id of the commit with this number."""
        return Oid(hexlify(self._layer(number).name(number)))

    def row(self, number: int) -> tuple[tuple[int, ...], int] | None:
        """The parents of the commit with this number and its committer date in seconds; None if the graph
        cannot tell."""
        return self._layer(number).row(number)

    def fill(self, first: array[int], second: array[int], dates: array[int]) -> None:
        """Put all commits with at most two parents into these rows: the parents' numbers (``NO_PARENT``:
        none) and the committer dates. Rows of others, and of those that cannot be right, stay as they are.
        """
        for layer in self._layers:
            layer.fill(first, second, dates)

    def _layer(self, number: int) -> _Layer:
        return self._layers[bisect_right(self._firsts, number) - 1]


class _Layer:
    """One commit-graph file, whose commits are numbered from ``first`` up to but not with ``end``.

    Raises ``ValueError`` or ``KeyError`` for a file whose tables are missing or do not fit.
    """

    def __init__(self, data: mmap.mmap, hex_length: int, first: int, bases: Sequence[bytes]) -> None:
        self._data = data
        self._width = width = hex_length // 2
        if len(data) < _HEADER.size + width:
            raise ValueError("too short")
        signature, version, hash_version, chunk_count, base_count = _HEADER.unpack_from(data)
        if (signature, version, hash_version) != (b"CGPH", 1, _HASHES[hex_length]) or base_count != len(
            bases
        ):
            raise ValueError("not such a commit-graph")
        chunks = _chunks(data, chunk_count, len(data) - width)
        self._fan_out, fan_out_size = chunks[b"OIDF"]
        if fan_out_size != 256 * _WORD.size:
            raise ValueError("no fan-out table")
        count: int = _WORD.unpack_from(data, self._fan_out + 255 * _WORD.size)[0]
        ids, ids_size = chunks[b"OIDL"]
        rows, rows_size = chunks[b"CDAT"]
        self._row_size = width + _LINKS.size
        if ids_size != count * width or rows_size != count * self._row_size:
            raise ValueError("tables of different lengths")
        self._edges, self._edges_size = chunks.get(b"EDGE", (0, 0))
        base, base_size = chunks.get(b"BASE", (0, 0))
        if data[base : base + base_size] != b"".join(bases):
            raise ValueError("continues other files")
        self.first, self.end = first, first + count
        # Where the tables would start if they began with number 0 of the chain.
        self._ids = ids - first * width
        self._rows = rows - first * self._row_size

    def row(self, number: int) -> tuple[tuple[int, ...], int] | None:
        """What ``CommitGraph.row`` says of a commit of this file."""
        place = self._rows + number * self._row_size + self._width
        first, second, high, low = _LINKS.unpack_from(self._data, place)
        if second == NO_PARENT:
            parents: tuple[int, ...] = () if first == NO_PARENT else (first,)
        elif second & _EDGES:
            parents = (first, *self._further(second & ~_EDGES))
        else:
            parents = (first, second)
        if any(parent >= self.end for parent in parents):
            return None
        return parents, (high & _LATE) << 32 | low

    def fill(self, first: array[int], second: array[int], dates: array[int]) -> None:
        """What ``CommitGraph.fill`` does, for the commits of this file."""
        for start in range(self.first, self.end, _PIECE):
            stop = min(start + _PIECE, self.end)
            place, end = (self._rows + number * self._row_size for number in (start, stop))
            words = array("I", self._data[place:end])
            if sys.byteorder == "little":
                words.byteswap()
            column, row = self._width // _WORD.size, self._row_size // _WORD.size
            firsts, seconds, highs, lows = (words[column + number :: row] for number in range(4))
            ages = array("Q", lows)
            for number, high in enumerate(highs):
                if high & _LATE:
                    ages[number] |= (high & _LATE) << 32
            ours = self.end
            odd = [number for number, parent in enumerate(firsts) if parent >= ours and parent != NO_PARENT]
            merges = [number for number, parent in enumerate(seconds) if parent != NO_PARENT]
            odd += [number for number in merges if seconds[number] >= ours or firsts[number] == NO_PARENT]
            for number in odd:
                at = start + number
                firsts[number], seconds[number], ages[number] = first[at], second[at], dates[at]
            first[start:stop], second[start:stop], dates[start:stop] = firsts, seconds, ages

    def find(self, raw: bytes) -> int | None:
        """The number of the commit with this binary id."""
        low = self._fan_out_at(raw[0] - 1) if raw[0] else 0
        numbers = range(self.first + low, min(self.first + self._fan_out_at(raw[0]), self.end))
        place = bisect_left(numbers, raw, key=self.name)
        if place < len(numbers) and self.name(numbers[place]) == raw:
            return numbers[place]
        return None

    def name(self, number: int) -> bytes:
        """The binary id of a commit of this file."""
        start = self._ids + number * self._width
        return self._data[start : start + self._width]

    def _further(self, place: int) -> list[int]:
        """The numbers of a merge's parents after the first, from ``place`` in the table of edges."""
        numbers: list[int] = []
        for offset in range(place * _WORD.size, self._edges_size, _WORD.size):
            word: int = _WORD.unpack_from(self._data, self._edges + offset)[0]
            numbers.append(word & ~_EDGES)
            if word & _EDGES:
                return numbers
        return [NO_PARENT]  # a list without an end: this is out of range, so the entry will not count

    def _fan_out_at(self, slot: int) -> int:
        found: int = _WORD.unpack_from(self._data, self._fan_out + slot * _WORD.size)[0]
        return found


def read_commit_graph(*folders: str | os.PathLike[str], hex_length: int = 40) -> CommitGraph | None:
    """The commit-graph of the first of these folders of objects (``.git/objects`` and its alternates) with a
    usable one, as with git; None where none has.

    ``hex_length`` is that of the repository's object ids, 40 or 64. Of a chain in which a file is
    missing or broken, the files before it are used; any of the folders may have them.
    """
    infos = [os.path.join(folder, "info") for folder in folders]
    found = (_read(info, infos, hex_length) for info in infos)
    return next((graph for graph in found if graph is not None), None)


def _read(info: str, infos: Sequence[str], hex_length: int) -> CommitGraph | None:
    try:
        single = _map(os.path.join(info, "commit-graph"))
        return CommitGraph([_Layer(single, hex_length, 0, [])])
    except (OSError, ValueError, KeyError):
        pass
    layers: list[_Layer] = []
    bases: list[bytes] = []
    try:
        with open(os.path.join(info, "commit-graphs", "commit-graph-chain"), encoding="ascii") as chain:
            for name in chain.read().split():
                base = unhexlify(name)
                files = (os.path.join(each, "commit-graphs", f"graph-{base.hex()}.graph") for each in infos)
                data = _map(next(filter(os.path.exists, files), ""))
                layers.append(_Layer(data, hex_length, layers[-1].end if layers else 0, bases))
                bases.append(base)
    except (OSError, ValueError, KeyError):
        pass
    return CommitGraph(layers) if layers else None


def _map(path: str) -> mmap.mmap:
    """A file, mapped for reading; raises ``ValueError`` for an empty one."""
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _chunks(data: mmap.mmap | bytes, count: int, end: int) -> dict[bytes, tuple[int, int]]:
    """Where each table starts and how long it is, by its four letters; all within ``end``."""
    places = [
        _CHUNK.unpack_from(data, _HEADER.size + number * _CHUNK.size)
        for number in range(count + 1)
        if _HEADER.size + (number + 1) * _CHUNK.size <= end
    ]
    chunks = {}
    for (name, start), (_, stop) in pairwise(places):
        if not start <= stop <= end:
            raise ValueError("a table outside the file")
        chunks[name] = (start, stop - start)
    return chunks
