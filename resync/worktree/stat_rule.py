"""git's rule for trusting stat data: what proves, without a look into it, that a file is what the index says.

Racy git (Documentation/technical/racy-git.txt): a file that may have changed in the tick in which the index
was written has to be read.
"""

from __future__ import annotations

import os
import stat
import struct

from resync.model import MODE_SYMLINK
from resync.repository.objects import BLOB, Objects
from resync.worktree.files import git_mode
from resync.worktree.index import IndexEntry
from resync.worktree.settings import WorktreeSettings

_unpack_stat = struct.Struct(">4I4xI4x3I").unpack  # without device and mode
_SECOND = 1_000_000_000
_UINT32 = 0xFFFFFFFF


class StatRule:
    """Compares the stat data of index entries with that of files."""

    def __init__(self, objects: Objects, index_mtime_ns: int, settings: WorktreeSettings) -> None:
        """``index_mtime_ns`` is the time of the index file that the entries were read from."""
        self._settings = settings
        self._check_stat = settings.check_stat
        self._check_ctime = settings.check_stat and settings.trust_ctime
        self._index_mtime = index_mtime_ns
        self._index_second = index_mtime_ns // _SECOND
        self._empty = objects.hash(BLOB, b"")
        self._same_mode: dict[tuple[int, int], bool] = {}

    def unchanged(self, entry: IndexEntry, status: os.stat_result) -> bool:
        """Whether stat data alone proves that the file is what the index says.

        A number of nanoseconds that the index has as 0 was not recorded, and ``core.checkStat=minimal``
        says the same of everything but whole seconds and the size. Of what the index cuts to 32 bits only
        these are compared.
        """
        ctime, ctime_ns, mtime, mtime_ns, ino, uid, gid, size = _unpack_stat(entry.stat)
        if size != status.st_size & _UINT32 or (size == 0 and entry.oid != self._empty):
            return False
        modified = status.st_mtime_ns
        if mtime_ns and self._check_stat:
            if mtime * _SECOND + mtime_ns != modified or modified >= self._index_mtime:
                return False
        elif mtime != modified // _SECOND or mtime >= self._index_second:
            return False
        if self._check_ctime:
            changed = status.st_ctime_ns
            if ctime * _SECOND + ctime_ns != changed and (ctime_ns or ctime != changed // _SECOND):
                return False
        if self._check_stat and not (
            ino == status.st_ino & _UINT32 and uid == status.st_uid and gid == status.st_gid
        ):
            return False
        modes = status.st_mode, entry.mode
        same = self._same_mode.get(modes)
        if same is None:
            same = self._same_mode[modes] = self.mode(status, entry) == entry.mode
        return same

    def mode(self, status: os.stat_result, entry: IndexEntry | None) -> int | None:
        """The mode that git would record, given what the file system can say and what the index says."""
        mode = git_mode(status.st_mode)
        if entry is None or not stat.S_ISREG(status.st_mode):
            return mode
        if entry.mode == MODE_SYMLINK and not self._settings.symlinks:
            return MODE_SYMLINK
        if not self._settings.file_mode and stat.S_ISREG(entry.mode):
            return entry.mode
        return mode
