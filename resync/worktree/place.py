"""Putting one file where nothing is, for a person who asks for it."""

from __future__ import annotations

import os
import stat

from resync.errors import Refused
from resync.model import MODE_EXECUTABLE, MODE_FILE, MODE_SYMLINK, TreeEntry, TreePath
from resync.repository import Objects
from resync.repository.durable import fsync, fsync_directory, make_folders
from resync.worktree.moves import link, look


def place(root: str, path: TreePath, entry: TreeEntry, objects: Objects) -> bool:
    """Write a file or link as ``entry`` has it below ``root``, durably and never over another.

    Returns whether the file is there now: False where something else is in its place or in that of one
    of its folders. Links in the place of folders are not followed. Who is killed in between may leave a file
    ``.resync-…`` beside it.
    """
    target = os.path.join(os.fsencode(root), path)
    try:
        _make_folders(os.fsencode(root), path)
        _write(target, entry, objects)
    except (FileExistsError, NotADirectoryError):
        return _holds(target, entry, objects)
    except OSError as error:
        raise Refused(
            "not-writable",
            f"{os.fsdecode(target)} cannot be written ({error.strerror}). Nothing was changed.",
            "choose a folder of your own that has room: --to DIR",
        ) from error
    return True


def place_bytes(path: str, data: bytes, objects: Objects) -> bool:
    """Write a file of these bytes at an absolute path; as ``place`` does, and the same answer."""
    folder, name = os.path.split(path)
    entry = TreeEntry(MODE_FILE, objects.add_blob(data))
    return place(folder, TreePath(os.fsencode(name)), entry, objects)


def _make_folders(root: bytes, path: TreePath) -> None:
    make_folders(os.fsdecode(root))
    folder = root
    for name in path.split(b"/")[:-1]:
        folder = os.path.join(folder, name)
        try:
            os.mkdir(folder)
            fsync_directory(os.path.dirname(folder))
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(folder).st_mode):
                raise


def _write(target: bytes, entry: TreeEntry, objects: Objects) -> None:
    if entry.mode == MODE_SYMLINK:
        os.symlink(objects.blob(entry.oid), target)
        fsync_directory(os.path.dirname(target))
        return
    # Under another name first: who finds the file finds all of it, and may save over it at once.
    partial = os.path.join(os.path.dirname(target), b".resync-" + os.urandom(8).hex().encode())
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(partial, flags, 0o777 if entry.mode == MODE_EXECUTABLE else 0o666)
    try:
        with open(descriptor, "wb") as file:
            for piece in objects.pieces(entry.oid):
                file.write(piece)
            file.flush()
            fsync(file.fileno())
        link(partial, target)
    finally:
        os.unlink(partial)
    fsync_directory(os.path.dirname(target))


def _holds(target: bytes, entry: TreeEntry, objects: Objects) -> bool:
    """Whether the same file or link is there; who may execute it is its owner's affair."""
    found = look(target, objects)
    links = [each.mode == MODE_SYMLINK for each in (found, entry) if each is not None]
    return found is not None and found.oid == entry.oid and len(set(links)) == 1
