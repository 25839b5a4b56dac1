"""Git's commit-graph files: parents and dates of commits without reading the commits.

The format is gitformat-commit-graph(5): one file ``info/commit-graph``, or a chain of files under
``info/commit-graphs`` in which each continues the numbering of those before it. They are mapped into
memory and looked at only where somebody asks. They are a cache, perhaps an old one: what they do not
have is read from the objects, and a file or an entry that cannot be right counts as not there.
"""

from __future__ import annotations

import mmap
import os
from binascii import hexlify, unhexlify
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from struct import Struct

from resync.model import Oid

_HEADER = Struct(">4sBBBB")
_CHUNK = Struct(">4sQ")
_LINKS = Struct(">IIII")
_WORD = Struct(">I")

_HASHES = {40: 1, 64: 2}
_NO_PARENT = 0x70000000
_EDGES = 0x80000000
"""On a second parent: it and the further ones are in the table of edges, where this marks the last."""


class CommitGraph:
    """The commit-graph of one folder of objects, open for lookups."""

    def __init__(self, layers: Sequence[_Layer]) -> None:
        self._layers = layers
        self._firsts = [layer.first for layer in layers]
        # Children name their parents by number, so that a walk down need not search for them.
        self._numbers: dict[bytes, int] = {}

    def links(self, oid: Oid) -> tuple[tuple[Oid, ...], int] | None:
        """The parents of ``oid`` and its committer date in seconds; None if the graph cannot tell."""
        number = self._numbers.pop(oid, None)
        if number is None:
            number = self._find(oid)
            if number is None:
                return None
        layer = self._layer(number)
        # Written out for each of what may be a million commits.
        first, second, high, low = _LINKS.unpack_from(layer.data, layer.rows + number * layer.row_size)
        numbers: Iterable[int]
        if second == _NO_PARENT:
            numbers = () if first == _NO_PARENT else (first,)
        elif second & _EDGES:
            numbers = (first, *layer.further(second & ~_EDGES))
        else:
            numbers = (first, second)
        parents = []
        for parent in numbers:
            if parent >= layer.end:
                return None
            name = (layer if parent >= layer.first else self._layer(parent)).oid(parent)
            self._numbers[name] = parent
            parents.append(name)
        return tuple(parents), (high & 3) << 32 | low

    def _layer(self, number: int) -> _Layer:
        return self._layers[bisect_right(self._firsts, number) - 1]

    def _find(self, oid: Oid) -> int | None:
        raw = unhexlify(oid)
        for layer in self._layers:
            number = layer.find(raw)
            if number is not None:
                return number
        return None


class _Layer:
    """One commit-graph file, whose commits are numbered from ``first`` up to but not with ``end``.

    Raises ``ValueError`` or ``KeyError`` for a file whose tables are missing or do not fit.
    """

    def __init__(self, data: mmap.mmap, hex_length: int, first: int, bases: Sequence[bytes]) -> None:
        self.data = data
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
        self.row_size = width + _LINKS.size
        if ids_size != count * width or rows_size != count * self.row_size:
            raise ValueError("tables of different lengths")
        self._edges, self._edges_size = chunks.get(b"EDGE", (0, 0))
        base, base_size = chunks.get(b"BASE", (0, 0))
        if data[base : base + base_size] != b"".join(bases):
            raise ValueError("continues other files")
        self.first, self.end = first, first + count
        # Where the tables would start if they began with number 0 of the chain.
        self._ids = ids - first * width
        self.rows = rows + width - first * self.row_size

    def find(self, raw: bytes) -> int | None:
        """The number of the commit with this binary id."""
        low = self._fan_out_at(raw[0] - 1) if raw[0] else 0
        numbers = range(self.first + low, min(self.first + self._fan_out_at(raw[0]), self.end))
        name = hexlify(raw)
        place = bisect_left(numbers, name, key=self.oid)
        if place < len(numbers) and self.oid(numbers[place]) == name:
            return numbers[place]
        return None

    def oid(self, number: int) -> Oid:
        """The id of a commit of this file."""
        start = self._ids + number * self._width
        return hexlify(self.data[start : start + self._width])  # type: ignore[return-value]  # hot

    def further(self, place: int) -> list[int]:
        """The numbers of a merge's parents after the first, from ``place`` in the table of edges."""
        numbers: list[int] = []
        for offset in range(place * _WORD.size, self._edges_size, _WORD.size):
            word: int = _WORD.unpack_from(self.data, self._edges + offset)[0]
            numbers.append(word & ~_EDGES)
            if word & _EDGES:
                return numbers
        return [_NO_PARENT]  # a list without an end: this is out of range, so the entry will not count

    def _fan_out_at(self, slot: int) -> int:
        found: int = _WORD.unpack_from(self.data, self._fan_out + slot * _WORD.size)[0]
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
