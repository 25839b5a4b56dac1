"""New packs come into the object store whole: built in a folder of their own, then renamed in.

dulwich builds a pack beside the others and locks its index there; a process that dies leaves that lock, and
nobody may ever write the same pack again. So it builds in a store of its own, which sees the repository's
objects as an alternate (as git's receive-pack does with its quarantine), and only finished files move.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dulwich.object_store import DiskObjectStore

_PREFIX = "incoming-resync-"


@contextmanager
def incoming(store: DiskObjectStore) -> Iterator[DiskObjectStore]:
    """A store to write packs to; what it holds when the block ends joins ``store``, durably.

    Nothing joins where the block raises; what a process leaves that dies here is ``clear_dead``'s to remove.
    """
    import shutil
    import tempfile

    from dulwich.object_store import DiskObjectStore

    objects = os.fspath(store.path)
    folder = tempfile.mkdtemp(prefix=_PREFIX, dir=objects)
    try:
        os.mkdir(os.path.join(folder, "pack"))
        made = DiskObjectStore(
            folder, fsync_object_files=True, object_format=store.object_format, alternates=[objects]
        )
        try:
            yield made
        finally:
            made.close()
        _move_in(os.path.join(folder, "pack"), os.fspath(store.pack_dir))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_in(made: str, packs: str) -> None:
    """Move finished packs in, the index last: a pack without its index is not looked at."""
    for name in sorted(os.listdir(made), key=lambda name: name.endswith(".idx")):
        os.replace(os.path.join(made, name), os.path.join(packs, name))
    fsync_directory(packs)


def clear_dead(store: DiskObjectStore, older_than: float) -> None:
    """Remove folders of processes that died before ``older_than`` (seconds since 1970)."""
    import shutil

    objects = os.fspath(store.path)
    for name in os.listdir(objects):
        path = os.path.join(objects, name)
        # One that is gone by now was a living process's, which has just ended.
        with suppress(FileNotFoundError):
            if name.startswith(_PREFIX) and os.stat(path).st_mtime < older_than:
                shutil.rmtree(path, ignore_errors=True)


def fsync_directory(path: str | os.PathLike[str]) -> None:
    """Make the names in a directory durable; a no-op where directories cannot be opened (Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
