"""Looking at what stands in a working tree, without following a symbolic link or opening a FIFO.

Paths are those of trees (bytes, ``/`` between names) below one root, and are believed to be harmless: the
reader of the index and of trees have refused those that are not.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from resync.errors import Refused
from resync.model import MODE_EXECUTABLE, MODE_FILE, MODE_SYMLINK, TreePath
from resync.repository.pieces import of_file

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})

BECAME_ANOTHER = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.EINVAL, errno.ENXIO, errno.ESTALE}
)
"""What reading fails with where a file or link has just become something else, or nothing."""

_READ = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


class Files:
    """The files below ``root``. Which directories are real is looked up once and remembered."""

    def __init__(self, root: str | bytes) -> None:
        self._prefix = os.path.join(os.fsencode(root), b"")
        self._real: dict[bytes, bool] = {b"": True}
        self._last = b""
        self._last_real = True

    def full(self, path: bytes) -> bytes:
        """The path as the system calls take it."""
        return self._prefix + path

    def lstat(self, path: TreePath) -> os.stat_result | None:
        """What stands at the path, or None: nothing there, or a link or file where a directory was.

        Raises ``Refused("unreadable-file")`` where a directory may not be searched.
        """
        directory = path[: path.rfind(b"/") + 1]
        if directory != self._last:
            self._last, self._last_real = directory, self._is_real(directory)
        if not self._last_real:
            return None
        return self._lstat(path)

    def lstats(self, paths: Iterable[TreePath]) -> Iterator[os.stat_result | None]:
        """``lstat`` of each path; for 50,000 of them the calls between here and the system count."""
        prefix, lstat = self._prefix, os.lstat
        last, real = b"", True
        for path in paths:
            directory = path[: path.rfind(b"/") + 1]
            if directory != last:
                last, real = directory, self._is_real(directory)
            try:
                found = lstat(prefix + path) if real else None
            except OSError:
                found = self._lstat(path)  # which knows what the error means
            yield found

    def reaches(self, path: TreePath) -> bool:
        """Whether all above a path are directories at this moment, and none is a link: other than ``lstat``
        this believes nothing that was seen before. Raises as ``lstat`` does."""
        prefix, end = self._prefix, 0
        try:
            while (end := path.find(b"/", end + 1)) > 0:
                if not stat.S_ISDIR(os.lstat(prefix + path[:end]).st_mode):
                    return False
        except OSError as error:
            if error.errno in _ABSENT:
                return False
            raise _unreadable(TreePath(path[:end]), error) from None
        return True

    def lstat_below(self, path: TreePath) -> os.stat_result | None:
        """``lstat`` of a path of which the caller knows that it ``reaches``."""
        return self._lstat(path)

    def read(self, path: TreePath) -> bytes:
        """The bytes of a regular file, or a link's target.

        Raises ``Refused``: ``unreadable-file``, and ``changed-meanwhile`` where the file has become
        something else since it was looked at.
        """
        with _refusing(path):
            if os.path.islink(self._prefix + path):
                return os.readlink(self._prefix + path)
            with open(open_regular(self._prefix + path), "rb") as file:
                return file.read()

    def pieces(self, path: TreePath) -> Iterator[bytes]:
        """The bytes of a regular file of any size, a piece at a time; raises as ``read`` does."""
        with _refusing(path), open(open_regular(self._prefix + path), "rb", buffering=0) as file:
            yield from of_file(file.fileno(), os.fstat(file.fileno()).st_size)

    def list(self, directory: TreePath) -> list[os.DirEntry[bytes]]:
        """What a real directory holds (``b""`` is the top), by name; nothing where there is none."""
        with _refusing(directory):
            try:
                with os.scandir(self._prefix + directory) as found:
                    return sorted(found, key=lambda entry: entry.name)
            except OSError as error:
                if error.errno in _ABSENT:
                    return []
                raise

    def is_repository(self, directory: TreePath) -> bool:
        """Whether a directory is a repository of its own; by what is in its ``.git``, as git decides."""
        status = self._lstat(TreePath(directory + b"/.git"))
        if status is None or not stat.S_ISDIR(status.st_mode):
            return status is not None and stat.S_ISREG(status.st_mode)
        parts = (b"/.git/HEAD", b"/.git/objects", b"/.git/refs")
        return all(self._lstat(TreePath(directory + part)) is not None for part in parts)

    def _is_real(self, directory: bytes) -> bool:
        """Whether a directory (with a slash at its end) and all above it are directories and not links."""
        found = self._real.get(directory)
        if found is not None:
            return found
        missing = [directory]
        while (parent := _parent(missing[-1])) not in self._real:
            missing.append(parent)
        real = self._real[parent]
        for name in reversed(missing):
            if real:
                status = self._lstat(TreePath(name[:-1]))
                real = status is not None and stat.S_ISDIR(status.st_mode)
            self._real[name] = real
        return real

    def _lstat(self, path: TreePath) -> os.stat_result | None:
        try:
            return os.lstat(self._prefix + path)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise _unreadable(path, error) from None


def open_regular(full: bytes) -> int:
    """Open a regular file for reading; neither a link nor a FIFO that has just been put there can mislead or
    block.

    Raises ``OSError``: with ``ELOOP`` or ``EINVAL`` for what is no regular file.
    """
    descriptor = os.open(full, _READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), full)
    return descriptor


def regular_mode(status_mode: int) -> int:
    """The mode that git gives to a regular file: only the owner's executable bit counts."""
    return MODE_EXECUTABLE if status_mode & stat.S_IXUSR else MODE_FILE


def git_mode(status_mode: int) -> int | None:
    """The mode that git gives to a file or link; None for a directory, FIFO, socket or device."""
    if stat.S_ISREG(status_mode):
        return regular_mode(status_mode)
    return MODE_SYMLINK if stat.S_ISLNK(status_mode) else None


def changed_meanwhile(path: TreePath) -> Refused:
    """The refusal for a file that somebody replaced between two looks at it."""
    return Refused(
        "changed-meanwhile",
        f"{os.fsdecode(path)!r} changed while it was being read. Nothing was changed by resync.",
        "close what is writing there and try again",
    )


def _parent(directory: bytes) -> bytes:
    return directory[: directory.rfind(b"/", 0, -1) + 1]


@contextmanager
def _refusing(path: TreePath) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in BECAME_ANOTHER:
            raise changed_meanwhile(path) from None
        raise _unreadable(path, error) from None


def _unreadable(path: TreePath, error: OSError) -> Refused:
    name = os.fsdecode(path)
    return Refused(
        "unreadable-file",
        f"{name!r} cannot be read ({error.strerror}), so it cannot be backed up. Nothing was changed.",
        "give yourself access to it, or run resync as its owner",
    )
