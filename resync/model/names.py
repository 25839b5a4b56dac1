"""What git names things by: objects, refs, paths, and the modes of tree entries."""

from __future__ import annotations

from typing import NamedTuple, NewType

Oid = NewType("Oid", bytes)
"""An object id: lower-case hex, 40 bytes (SHA-1) or 64 (SHA-256)."""

RefName = NewType("RefName", bytes)
"""A full ref name such as ``b"refs/heads/main"``, or ``b"HEAD"``."""

TreePath = NewType("TreePath", bytes)
"""A path as trees spell it: relative to the top, ``/`` between names, no leading slash."""

NO_CONTENT = Oid(b"")
"""In place of a blob's id: a FIFO, socket or device has no bytes to keep, and none is ever opened."""

# Modes as git stores them in trees.
MODE_FILE = 0o100644
MODE_EXECUTABLE = 0o100755
MODE_SYMLINK = 0o120000
MODE_GITLINK = 0o160000
MODE_TREE = 0o040000


class TreeEntry(NamedTuple):
    """What stands at one name in a tree: a mode and an object. A tuple, because merges make millions."""

    mode: int
    oid: Oid
