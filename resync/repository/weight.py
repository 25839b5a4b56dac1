"""What a pack comes to when it is unpacked, seen before anything of it is.

A few bytes can stand for as many zeros as one likes, and a delta of a few more for thousands of copies of
these. dulwich holds every object in memory while it indexes a pack, and works through all that deltas make.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import IO

from resync.errors import Refused
from resync.repository.pieces import PIECE, read_head, read_number

_DELTAS = (6, 7)
_OFS_DELTA = 6
_AHEAD = 1 << 16  # bytes: more than a head, and most objects, packed
_LONGEST_HEAD = 128  # bytes, with the base of a delta
_SIZES = 32  # bytes: more than the two sizes that a delta begins with

_SHARE = 4  # as many objects of the largest size are in memory at once, with room to spare
_UNKNOWN_MEMORY = 8 << 30
_ALWAYS = 16 << 30
_FOR_EACH_BYTE = 1000
"""A history that is packed well comes to a hundred times its size, one that changes little to more."""


def weigh(pack: IO[bytes], width: int) -> None:
    """Read a pack from its beginning; ``width`` is the length of an id in bytes.

    Raises ``Refused("oversized-pack")`` for one that would take too much memory or time to unpack, and what
    ``signs_of_damage`` names for one that is none. That it is sound is not looked at.
    """
    largest, bytes_packed = memory() // _SHARE, pack.seek(0, os.SEEK_END)
    most, total = _ALWAYS + _FOR_EACH_BYTE * bytes_packed, 0
    pack.seek(0)
    reader = _Reader(pack)
    (count,) = struct.unpack(">8xI", reader.take(12))
    for _ in range(count):
        size = reader.object_size(width, largest)
        total += size
        if size > largest:
            raise _oversized(f"an object of {size >> 20} MiB, which would have to be held in memory")
        if total > most:
            raise _oversized(f"objects of more than {most >> 30} GiB in {bytes_packed >> 10} KiB")


def memory() -> int:
    """The memory of this machine in bytes, as far as the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN_MEMORY


class _Reader:
    """Reads the entries of a pack one after the other."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._data = b""
        self._place = 0

    def take(self, size: int) -> bytes:
        """The next bytes, or as many as there are."""
        found = bytes(self._ahead(size)[:size])
        self._place += len(found)
        return found

    def object_size(self, width: int, largest: int) -> int:
        """Pass over an entry; the size of the object that it stands for. One that is larger than ``largest``
        is not passed over."""
        head = bytes(self._ahead(_LONGEST_HEAD)[:_LONGEST_HEAD])
        kind, size, length = read_head(head)
        if kind == _OFS_DELTA:
            while head[length] & 0x80:
                length += 1
            length += 1
        elif kind in _DELTAS:
            length += width
        self._place += length
        if size > largest:
            return size
        begin = self._pass_over(size)
        return read_number(begin, read_number(begin, 0)[1])[0] if kind in _DELTAS else size

    def _pass_over(self, size: int) -> bytes:
        """Pass over a zlib stream of ``size`` bytes; what these begin with."""
        inflate = zlib.decompressobj()
        begin, left = b"", size + 1
        while not inflate.eof:
            # What does not belong to it is copied, so no more is given than it may take.
            packed = self._ahead(1)[: left + left // 1000 + 64]
            if not packed or not left:
                raise zlib.error("an object is longer or shorter than the pack says")
            piece = inflate.decompress(packed, min(left, PIECE))
            begin = begin or piece[:_SIZES]
            left -= len(piece)
            self._place += len(packed) - len(inflate.unconsumed_tail) - len(inflate.unused_data)
        return begin

    def _ahead(self, size: int) -> memoryview:
        """What comes next, ``size`` bytes of it at least where there are as many."""
        if len(self._data) - self._place < size:
            self._data = self._data[self._place :] + self._file.read(_AHEAD)
            self._place = 0
        return memoryview(self._data)[self._place :]


def _oversized(what: str) -> Refused:
    return Refused(
        "oversized-pack",
        f"Upstream sends {what}. Nothing was changed.",
        "git fetch && resync run --no-fetch    # if that is what it should be",
    )
