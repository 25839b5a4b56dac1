"""In which order git looks at the files of one side, where equal candidates leave the choice to it.

Of two files that are equally good as a rename's source or target, git takes the one that it comes by first.
It goes through the trees in order of the paths, but leaves directories for later in which the other
side changed nothing (or which it does not have), and returns to those in the order of a hash table. A merge
that is to have git's tree has to go the same way.
"""

from __future__ import annotations

from collections.abc import Iterable

_FIRST_SIZE = 64
_GROWTH = 4


def hash_order(names: Iterable[bytes]) -> list[bytes]:
    """The order in which git's hash table returns names that were put in as they come here.

    The table chains: a name goes to the front of the bucket that its 32-bit FNV-1 hash selects. It starts
    with 64 buckets, and is made four times as large whenever it is more than four fifths full.
    """
    table: list[list[tuple[int, bytes]]] = [[] for _ in range(_FIRST_SIZE)]  # chains with their front last
    for count, name in enumerate(names, start=1):
        entry = (_fnv1(name), name)
        table[entry[0] % len(table)].append(entry)
        if count > len(table) * 4 // 5:
            larger: list[list[tuple[int, bytes]]] = [[] for _ in range(len(table) * _GROWTH)]
            for chain in table:
                for moved in reversed(chain):
                    larger[moved[0] % len(larger)].append(moved)
            table = larger
    return [name for chain in table for _, name in reversed(chain)]


def _fnv1(data: bytes) -> int:
    """The Fowler/Noll/Vo hash, variant 1, 32 bits."""
    value = 0x811C9DC5
    for byte in data:
        value = (value * 0x01000193 & 0xFFFFFFFF) ^ byte
    return value
