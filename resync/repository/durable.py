"""Making files, folders and whole file systems durable: what is done so survives a power cut.

As strictly as git by default, or stricter: ``core.fsync`` names what git may leave to the system, and
nothing is left to it here. ``core.fsyncMethod`` could only ask for less (``writeout-only`` leaves bytes in
the drive's cache) or for what is no question here (``batch`` is about many loose objects; a run writes one
pack), so it is not looked at.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress


def fsync(descriptor: int) -> None:
    """Have the bytes of an open file on the medium itself, and not in the drive's cache.

    macOS's fsync(2) does not ask the drive for that; ``F_FULLFSYNC`` does (fcntl(2)), and git's ``fsync`` is
    that there. A file system that does not know it gets the other.
    """
    full = _full_fsync()
    if full is not None:
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(descriptor, full)
            return
    os.fsync(descriptor)


def fsync_file(path: bytes) -> None:
    """``fsync`` of a file that is closed."""
    # Windows flushes no file that is open for reading only.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)


def _full_fsync() -> int | None:
    try:
        import fcntl
    except ImportError:
        return None
    return getattr(fcntl, "F_FULLFSYNC", None)


def fsync_directory(path: str | bytes | os.PathLike[str]) -> None:
    """Make the names in a directory durable; a no-op where directories cannot be opened (Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(path: str) -> None:
    """Make a folder, and those above it that are not there, all of them durable."""
    above = os.path.dirname(path)
    if not os.path.isdir(path):
        make_folders(above)
        with suppress(FileExistsError):
            os.mkdir(path)
        fsync_directory(above)


def new_file(path: str) -> int:
    """Open a file for writing that has no other name, in place of one that an earlier process may have left.

    That one must not be written to: it was about to be renamed, and a power cut may have left it both names.
    """
    with suppress(FileNotFoundError):
        os.unlink(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)


def sync_file_system(path: bytes, *, files_in: Iterable[bytes], folders: Iterable[bytes]) -> None:
    """Have all durable that was done on the file system of ``path``: by Linux's syncfs(2).

    Elsewhere nothing waits for that, so the files in some folders and the names in others are made durable
    one by one; those that are not there are passed over.
    """
    if sys.platform == "linux":
        import ctypes

        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is not None:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                if syncfs(descriptor) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
                return
            finally:
                os.close(descriptor)
    inner = tuple(files_in)
    for folder in inner:
        _sync_files(folder)
    for folder in sorted({*inner, *folders}):
        with suppress(FileNotFoundError, NotADirectoryError):
            fsync_directory(folder)


def _sync_files(folder: bytes) -> None:
    flags = (os.O_RDWR if os.name == "nt" else os.O_RDONLY) | getattr(os, "O_NOFOLLOW", 0)
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        if entry.is_file(follow_symlinks=False):
            descriptor = os.open(entry.path, flags)
            try:
                # To the drive; it is asked for all that it was given once, with the folder.
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
