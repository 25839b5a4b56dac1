"""Objects read in pieces: a file of any size goes into a pack and out of it without being held in memory.

The formats are git's (gitformat-pack, and "Object storage" in the gitformat pages): an entry of a pack is its
type and length in groups of seven bits, then a zlib stream; a loose object is one zlib stream, of ``blob
LENGTH``, a NUL and the content. A delta comes whole: what git packs as a delta it held in memory as well.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dulwich.pack import Pack

PIECE = 1 << 20
"""Bytes that are held at a time."""

_OFS_DELTA, _REF_DELTA = 6, 7
_LONGEST_HEAD = 32  # of an entry of a pack or of a loose object, in bytes; ids of bases left out
_LONGEST_TABLES = 1024
"""Of a zlib stream, in bytes, more than what a block with codes of its own begins with (RFC 1951, 3.2.7)."""

_TYPES = {b"commit": 1, b"tree": 2, b"blob": 3, b"tag": 4}


class Stored(NamedTuple):
    """An object: type number, size in bytes, and what reads it, a piece at a time and as often as wanted."""

    kind: int
    size: int
    pieces: Callable[[], Iterator[bytes]]


def in_memory(kind: int, data: bytes) -> Stored:
    """An object that is there whole."""
    return Stored(kind, len(data), lambda: iter((data,)))


def in_pack(pack: Pack, name: bytes) -> Stored:
    """The object of the raw id ``name`` in a pack; raises ``KeyError`` where it is not in it."""
    place = pack.index.object_offset(name)  # type: ignore[arg-type]
    path = os.fspath(pack.data.path)
    with open(path, "rb") as file:
        file.seek(place)
        kind, size, length = read_head(file.read(_LONGEST_HEAD))
    if kind in (_OFS_DELTA, _REF_DELTA):
        return in_memory(*pack.get_raw(name))  # type: ignore[arg-type]
    return Stored(kind, size, lambda: _inflated(path, place + length))


def loose(path: str) -> Stored:
    """The object in a loose object's file; raises ``FileNotFoundError``, ``ValueError`` for no such file."""
    with open(path, "rb") as file:
        head = zlib.decompressobj().decompress(file.read(_LONGEST_TABLES), _LONGEST_HEAD)
    kind, _, size = head[: head.index(b"\0")].partition(b" ")
    start = head.index(b"\0") + 1
    return Stored(_TYPES.get(kind, 0), int(size), lambda: _inflated(path, 0, start))


def packed_size(pack: Pack, place: int) -> int:
    """The size of the object at a place in a pack; a delta says at its beginning what it makes.

    Raises ``zlib.error`` and ``IndexError`` for damage.
    """
    buffer = pack.data._buffer()
    head = bytes(buffer[place : place + _LONGEST_HEAD])
    kind, size, length = read_head(head)
    if kind not in (_OFS_DELTA, _REF_DELTA):
        return size
    if kind == _REF_DELTA:
        length += pack.data.object_format.oid_length
    else:
        while head[length] & 0x80:
            length += 1
        length += 1
    start = place + length
    delta = zlib.decompressobj().decompress(buffer[start : start + _LONGEST_TABLES], _LONGEST_HEAD)
    _, after_base = read_number(delta, 0)
    return read_number(delta, after_base)[0]


def write_head(kind: int, size: int) -> bytes:
    """The type and size of an entry of a pack."""
    head = bytearray()
    byte, size = (kind << 4) | (size & 0x0F), size >> 4
    while size:
        head.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    head.append(byte)
    return bytes(head)


def of_file(descriptor: int, size: int) -> Iterator[bytes]:
    """What is left of an open file; ``size`` is how many bytes that should be.

    A read that finds the end just where it should be is the last: most files are read by one call.
    """
    while piece := os.read(descriptor, wanted := min(PIECE, size + 1) if size >= 0 else PIECE):
        yield piece
        size -= len(piece)
        if not size and len(piece) < wanted:
            return


def to_file(descriptor: int, pieces: Iterable[bytes]) -> None:
    """Write pieces to an open file."""
    for piece in pieces:
        written = 0
        while written < len(piece):
            written += os.write(descriptor, memoryview(piece)[written:] if written else piece)


def read_head(head: bytes) -> tuple[int, int, int]:
    """Type number and size at the beginning of an entry of a pack, and how many bytes they take."""
    kind, size, shift, position = (head[0] >> 4) & 7, head[0] & 0x0F, 4, 1
    while head[position - 1] & 0x80:
        size |= (head[position] & 0x7F) << shift
        shift += 7
        position += 1
    return kind, size, position


def read_number(data: bytes, position: int) -> tuple[int, int]:
    """A size at the beginning of a delta, and where it ends."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return value, position


def _inflated(path: str, place: int, skipped: int = 0) -> Iterator[bytes]:
    """What a zlib stream at a place in a file holds, after its first ``skipped`` bytes."""
    inflate = zlib.decompressobj()
    with open(path, "rb") as file:
        file.seek(place)
        waiting = b""
        while not inflate.eof:
            waiting = waiting or file.read(PIECE)
            piece = inflate.decompress(waiting, PIECE)
            if not piece and not waiting:
                raise zlib.error("it ends before its content does")
            waiting = inflate.unconsumed_tail
            if skipped:
                piece, skipped = piece[skipped:], max(skipped - len(piece), 0)
            if piece:
                yield piece
