"""git's rule for trusting stat data: what proves, without a look into it, that a file is what the index says.

Racy git (Documentation/technical/racy-git.txt): a file that may have changed in the tick in which the index
was written has to be read.
"""

from __future__ import annotations

import os
import stat
import struct
from binascii import unhexlify
from collections.abc import Container, Iterable, Iterator, Mapping

from resync.model import MODE_SYMLINK, TreePath
from resync.repository.objects import BLOB, Objects
from resync.worktree.files import git_mode
from resync.worktree.index import RAW_ID, RAW_MODE, RAW_MODES, RAW_STAT
from resync.worktree.settings import WorktreeSettings

_unpack_stat = struct.Struct(">4I4xI4x3I").unpack_from  # without device and mode
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
        self._empty = unhexlify(objects.hash(BLOB, b""))
        self._modes: dict[int, int] = {}
        self._same_mode: dict[tuple[int, bytes], bool] = {}

    def doubtful(
        self,
        recorded: Mapping[TreePath, bytes],
        statuses: Iterable[os.stat_result | None],
        also: Container[TreePath],
    ) -> Iterator[tuple[TreePath, os.stat_result | None, bool]]:
        """The paths of the index that are not ``unchanged``, and of the others those that are in ``also``.

        ``recorded`` is ``Entries.raw``, and ``statuses`` what stands at each path. With it comes whether it
        is unchanged. Of most files every byte is as it was recorded, and no number needs a look of its own;
        but nanoseconds of 0 may not have been recorded, and a size of 0 may say that nobody knows.
        """
        index_mtime, modes, pack, second = self._index_mtime, self._modes, RAW_STAT.pack, _SECOND
        for (path, raw), status in zip(recorded.items(), statuses, strict=True):
            unchanged = False
            if status is not None:
                mode, inode, device, _, owner, group, size, _, modified, changed = status
                mtime = status.st_mtime_ns
                nanoseconds = mtime - modified * second
                if nanoseconds and size and mtime < index_mtime and self._check_stat:
                    if mode not in modes:
                        modes[mode] = git_mode(mode) or 0
                    changed_ns = status.st_ctime_ns - changed * second
                    try:
                        unchanged = raw.startswith(
                            pack(
                                changed,
                                changed_ns,
                                modified,
                                nanoseconds,
                                device,
                                inode & _UINT32,
                                modes[mode],
                                owner,
                                group,
                                size,
                            )
                        )
                    except struct.error:  # a number that the index cuts to 32 bits
                        unchanged = False
                unchanged = unchanged or self.unchanged(raw, status)
            if not unchanged or path in also:
                yield path, status, unchanged

    def unchanged(self, raw: bytes, status: os.stat_result) -> bool:
        """Whether stat data alone proves that the file is what the index says; ``raw`` is what stands before
        its path there (``Entries.raw``).

        A number of nanoseconds that the index has as 0 was not recorded, and ``core.checkStat=minimal``
        says the same of everything but whole seconds and the size. Of what the index cuts to 32 bits only
        these are compared.
        """
        ctime, ctime_ns, mtime, mtime_ns, ino, uid, gid, size = _unpack_stat(raw)
        if size != status.st_size & _UINT32 or (size == 0 and not raw.startswith(self._empty, RAW_ID)):
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
        modes = status.st_mode, raw[RAW_MODE]
        same = self._same_mode.get(modes)
        if same is None:
            recorded = RAW_MODES[raw[RAW_MODE]]
            same = self._same_mode[modes] = self.mode(status, recorded) == recorded
        return same

    def mode(self, status: os.stat_result, recorded: int | None) -> int | None:
        """The mode that git would record, given what the file system can say and what the index has."""
        mode = git_mode(status.st_mode)
        if recorded is None or not stat.S_ISREG(status.st_mode):
            return mode
        if recorded == MODE_SYMLINK and not self._settings.symlinks:
            return MODE_SYMLINK
        if not self._settings.file_mode and stat.S_ISREG(recorded):
            return recorded
        return mode
