"""New packs come into the object store whole: built in a folder of their own, then renamed in.

dulwich builds a pack beside the others and locks its index there; a process that dies leaves that lock, and
nobody may ever write the same pack again. So what is fetched is built in a store of its own, which sees the
repository's objects as an alternate (as git's receive-pack does with its quarantine), what is made here in a
folder of the same kind, and only finished files move.

Until a ref holds what is in it, a pack has a ``.keep`` file, as with git's own fetch: a ``gc --prune=now``
that is at work at the same time would take it away again.

A pack is named by its checksum, as with git. dulwich names it for the ids in it: one with the same objects in
another order would then replace a pack that is in use, and its index a moment later.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from resync.model import Oid
from resync.repository.durable import fsync, fsync_directory, sync_file_system
from resync.repository.pieces import Stored, write_head

if TYPE_CHECKING:
    from dulwich.object_store import DiskObjectStore

_PREFIX = "incoming-resync-"

_KEEP = b"resync: until a ref holds it\n"
_FAST = 1
"""zlib's quickest level, which git takes for loose objects: what is made here waits for the next repack."""


@contextmanager
def incoming(store: DiskObjectStore, keeping: list[str]) -> Iterator[DiskObjectStore]:
    """A store to fetch packs into; what it holds when the block ends joins ``store``, durably.

    The paths of the ``.keep`` files, which are the caller's to remove, go into ``keeping``. Nothing joins
    where the block raises; what a process leaves that dies here is ``clear_dead``'s to remove.
    """
    from dulwich.object_store import DiskObjectStore

    with _folder(store, keeping) as folder:
        made = DiskObjectStore(
            folder,
            fsync_object_files=True,
            object_format=store.object_format,
            alternates=[os.fspath(store.path)],
        )
        try:
            yield made
        finally:
            made.close()


def write_pack(store: DiskObjectStore, objects: Mapping[Oid, Stored], keeping: list[str]) -> None:
    """Write objects as one pack that joins ``store``, durably, a piece of them in memory at a time.

    ``keeping`` is as for ``incoming``.
    """
    from dulwich.pack import write_pack_index_v2

    with _folder(store, keeping) as folder:
        new = os.path.join(folder, "pack", "new")
        with _read_only_file(f"{new}.pack") as file:
            rows, checksum = _write_entries(file, objects, store.object_format.hex_length)
        with _read_only_file(f"{new}.idx") as file:
            write_pack_index_v2(file, rows, checksum)


def sync_loose(store: DiskObjectStore) -> None:
    """Have what others wrote into ``store`` durable.

    git leaves loose objects to the system (``core.fsync``), and what was staged a moment ago is in no other.
    """
    objects = os.fsencode(os.fspath(store.path))
    folders = [os.path.join(objects, name) for name in os.listdir(objects) if len(name) == 2]
    sync_file_system(objects, files_in=folders, folders=[objects])


def _write_entries(
    file: IO[bytes], objects: Mapping[Oid, Stored], hex_length: int
) -> tuple[list[tuple[bytes, int, int]], bytes]:
    """A pack without deltas; returns raw id, place and CRC of every object, by id, and the checksum."""
    digest = (hashlib.sha1 if hex_length == 40 else hashlib.sha256)()
    rows: list[tuple[bytes, int, int]] = []
    place = 0

    def write(data: bytes) -> None:
        nonlocal place
        file.write(data)
        digest.update(data)
        place += len(data)

    write(struct.pack(">4sII", b"PACK", 2, len(objects)))
    for oid, stored in objects.items():
        start, deflate = place, zlib.compressobj(_FAST)
        head = write_head(stored.kind, stored.size)
        checksum = zlib.crc32(head)
        write(head)
        for piece in stored.pieces():
            packed = deflate.compress(piece)
            checksum = zlib.crc32(packed, checksum)
            write(packed)
        packed = deflate.flush()
        write(packed)
        rows.append((bytes.fromhex(oid.decode()), start, zlib.crc32(packed, checksum)))
    file.write(digest.digest())
    return sorted(rows), digest.digest()


@contextmanager
def _read_only_file(path: str) -> Iterator[IO[bytes]]:
    """A new file to write, durable when the block ends; nobody may write to it afterwards, as git has it."""
    with open(
        os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o444), "wb"
    ) as file:
        yield file
        file.flush()
        fsync(file.fileno())


@contextmanager
def _folder(store: DiskObjectStore, keeping: list[str]) -> Iterator[str]:
    """A folder for the files of a store; what is in its ``pack`` when the block ends moves to ``store``."""
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix=_PREFIX, dir=os.fspath(store.path))
    try:
        os.mkdir(os.path.join(folder, "pack"))
        yield folder
        made, packs = os.path.join(folder, "pack"), os.fspath(store.pack_dir)
        _move_in(made, packs, store.object_format.hex_length // 2, keeping)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_in(made: str, packs: str, width: int, keeping: list[str]) -> None:
    """Move finished packs in, the index last: a pack without its index is not looked at.

    ``width`` is the length of a checksum in bytes, ``keeping`` gets the paths of the ``.keep`` files.
    """
    names = sorted(os.listdir(made), key=lambda name: name.endswith(".idx"))
    checksums = {}
    for name in names:
        stem, suffix = os.path.splitext(name)
        if suffix == ".pack":
            with open(os.path.join(made, name), "rb") as file:
                file.seek(-width, os.SEEK_END)
                checksums[stem] = file.read().hex()
    for checksum in checksums.values():
        keep = os.path.join(packs, f"pack-{checksum}.keep")
        with suppress(FileExistsError), open(keep, "xb") as file:  # one that is there is not ours to remove
            keeping.append(keep)
            file.write(_KEEP)
    for name in names:
        stem, suffix = os.path.splitext(name)
        os.replace(os.path.join(made, name), os.path.join(packs, f"pack-{checksums[stem]}{suffix}"))
    fsync_directory(packs)


def clear_dead(store: DiskObjectStore, older_than: float) -> None:
    """Remove what processes left that died before ``older_than`` (seconds since 1970)."""
    import shutil

    objects = os.fspath(store.path)
    for name in os.listdir(objects):
        path = os.path.join(objects, name)
        # One that is gone by now was a living process's, which has just ended.
        with suppress(FileNotFoundError):
            if name.startswith(_PREFIX) and os.stat(path).st_mtime < older_than:
                shutil.rmtree(path, ignore_errors=True)
    packs = os.fspath(store.pack_dir)
    for name in os.listdir(packs):
        path = os.path.join(packs, name)
        with suppress(FileNotFoundError):
            if name.endswith(".keep") and os.stat(path).st_mtime < older_than and _is_ours(path):
                os.unlink(path)


def _is_ours(keep: str) -> bool:
    with open(keep, "rb") as file:
        return file.read(len(_KEEP) + 1) == _KEEP
