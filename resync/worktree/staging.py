"""New files, written into the run's own folder before anything in the working tree changes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Mapping

from resync.errors import Refused
from resync.model import (
    MODE_EXECUTABLE,
    MODE_GITLINK,
    MODE_SYMLINK,
    NO_CONTENT,
    Access,
    FileChange,
    Oid,
    TreeEntry,
    TreePath,
)
from resync.repository import Objects
from resync.repository.durable import fsync_file
from resync.repository.pieces import to_file
from resync.worktree.access import (
    Surroundings,
    give_access,
    inherit,
    surroundings,
    take_access,
    take_owner,
)
from resync.worktree.moves import free, link, look, same
from resync.worktree.settings import WorktreeSettings

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class Staging:
    """The new files of one run, each by the number of its change, until they are installed."""

    def __init__(
        self,
        root: bytes,
        folder: bytes,
        objects: Objects,
        settings: WorktreeSettings,
        originals: Mapping[TreePath, bytes],
    ) -> None:
        """``root`` ends with a slash; ``folder`` and ``originals`` are as ``FileSwitch`` has them."""
        self._root = root
        self._folder = os.path.join(folder, b"staging", b"")
        self._objects = objects
        self._settings = settings
        self._originals = originals
        self._around: dict[bytes, Surroundings] = {}
        self.fresh = False
        """Whether no earlier process can have left anything here."""
        self.written: dict[TreePath, tuple[int, int]] = {}
        """Size and modification time (nanoseconds) of each file that ``add`` wrote."""
        self.bared: list[TreePath] = []
        """Files whose extended attributes the system did not let the new one have."""

    def open(self) -> int:
        """Make the folder, if it is not there; return the device that it lies on."""
        self._around.clear()
        try:
            os.makedirs(self._folder)
            self.fresh = True
        except FileExistsError:
            pass
        return os.stat(self._folder).st_dev

    def name(self, number: int) -> bytes:
        """Where the new file of a change is, or will be."""
        return self._folder + b"%d" % number

    def names(self) -> frozenset[int]:
        """The changes whose new file is here now."""
        return frozenset(int(name) for name in os.listdir(self._folder) if name.isdigit())

    def add(self, number: int, change: FileChange) -> None:
        """Write the new file of a change.

        What an earlier process left is not believed: a power failure may have emptied it.
        """
        path, entry = change.path, change.after
        assert entry is not None
        name = self.name(number)
        if not self.fresh:
            free(name, self._root + path)
        original = self._originals.get(path)
        if original is not None and same(look(original, self._objects), entry, self._settings):
            link(original, name)
            status = os.lstat(name)
        elif entry.oid == NO_CONTENT:
            raise Refused(
                "original-gone",
                f"{os.fsdecode(path)!r} was a FIFO, socket or device, which is no longer where an earlier run"
                f" moved it ({os.fsdecode(original or b'')}). Nothing was changed.",
                "make it again yourself, at that place, and try again",
            )
        else:
            replaced, folder = self._root + path, path[: path.rfind(b"/") + 1]
            around = self._around.get(folder)
            if around is None:
                around = self._around[folder] = surroundings(replaced)
            # Nobody takes up a run that is stopped before all files of a fresh folder are written.
            write = self._write if self.fresh else self._write_whole
            status, complete = write(name, entry, replaced, change.access_after, around)
            if not complete:
                self.bared.append(path)
        self.written[path] = (status.st_size, status.st_mtime_ns)

    def restore(self, target: bytes, entry: TreeEntry, replaced: bytes, access: Access | None) -> None:
        """Write what is to take the place of ``replaced``, in the tree as it is now, so that ``target`` is
        there as a whole or not at all."""
        self._write_whole(target, entry, replaced, access, surroundings(replaced))

    def _write_whole(
        self, target: bytes, entry: TreeEntry, replaced: bytes, access: Access | None, around: Surroundings
    ) -> tuple[os.stat_result, bool]:
        """``_write``, so that ``target`` is there as a whole or not at all, whenever somebody looks.

        After a power cut too: else it would seem that somebody had written to it.
        """
        partial = target + b".part"
        if os.path.isdir(partial) and not os.path.islink(partial):
            os.rmdir(partial)
        elif os.path.lexists(partial):
            os.unlink(partial)
        made = self._write(partial, entry, replaced, access, around)
        if os.path.isfile(partial) and not os.path.islink(partial):
            fsync_file(partial)
        os.rename(partial, target)
        return made

    def _write(
        self, target: bytes, entry: TreeEntry, replaced: bytes, access: Access | None, around: Surroundings
    ) -> tuple[os.stat_result, bool]:
        """Write one file or link. A file gets ``access``, or owner, permissions and attributes of the one
        that it will replace; returns its size and times, and whether it got all of them."""
        link = entry.mode == MODE_SYMLINK and self._settings.symlinks
        executable = entry.mode == MODE_EXECUTABLE
        if entry.mode == MODE_GITLINK:
            os.mkdir(target)
        elif link:
            os.symlink(self._objects.blob(entry.oid), target)
        else:
            self._write_file(target, entry.oid, 0o777 if executable else 0o666)
        status = os.lstat(target)
        if self._settings.follow_owner and take_owner(target, around.status):
            status = os.lstat(target)
        if link or entry.mode == MODE_GITLINK:
            inherit(target, status, around)
            return status, True
        if access is not None:
            return status, give_access(target, status, access)
        kept = executable if self._settings.file_mode else None
        return status, take_access(target, status, replaced, around, kept)

    def bring_folder(self, target: bytes, access: Access) -> None:
        """Make a folder with this access, all at once: it may lie where others can put a link in its place.

        Raises ``OSError``: of ``FASTER`` where somebody was. Where they made a folder, that stays.
        """
        made = self._folder + b"folder"
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(made)
        os.mkdir(made, 0o700)
        give_access(made, os.lstat(made), access)
        if not os.access(made, os.W_OK | os.X_OK):
            # Files come into it. It was another's, who let us in some other way.
            os.chmod(made, access.permissions | stat.S_IWUSR | stat.S_IXUSR)
        try:
            os.rename(made, target)
        except OSError as error:
            os.rmdir(made)
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise

    def _write_file(self, target: bytes, oid: Oid, permissions: int) -> None:
        descriptor = os.open(target, _WRITE, permissions)
        try:
            to_file(descriptor, self._objects.pieces(oid))
        finally:
            os.close(descriptor)
