"""Which tracked paths differ between HEAD, the index and the working tree, and what stands on disk there.

Everything that differs is read and kept in the object store's memory: this is what the backup saves. Stat
data is trusted only by git's rule (a file that may have changed in the tick in which the index was written
is read), symbolic links are never followed, and nothing but regular files is ever opened.
"""

from __future__ import annotations

import os
import stat
import struct

from resync.model import MODE_GITLINK, MODE_SYMLINK, Oid, PathState, TreeEntry, TreePath
from resync.repository.objects import BLOB, Objects
from resync.worktree.attributes import Attributes, worktree_attributes
from resync.worktree.convert import has_crlf_text, to_git
from resync.worktree.files import Files, git_mode, huge_file
from resync.worktree.index import Index, IndexEntry
from resync.worktree.settings import WorktreeSettings
from resync.worktree.staged import staged_differences
from resync.worktree.submodules import repository_head

_unpack_stat = struct.Struct(">10I").unpack
_SECOND = 1_000_000_000


def read_status(
    objects: Objects,
    root: str | bytes,
    index: Index,
    index_mtime_ns: int,
    head_tree: Oid | None,
    settings: WorktreeSettings,
) -> tuple[PathState, ...]:
    """Every path of HEAD or the index where HEAD, index and working tree are not all equal, by path.

    ``root`` is the top of the working tree, ``index_mtime_ns`` the time of the index file that was read,
    and ``head_tree`` None where HEAD has no commit yet. What is special:

    - a path that ``git add -N`` announced has ``index`` None and ``intent_to_add`` True;
    - a path that a merge left unmerged has ``index`` None as well; its stages are in ``index.unmerged``;
    - a path that HEAD has, the index has not, and that exists on disk has its file as ``worktree``;
    - the assume-unchanged bit is not believed, and the skip-worktree bit only where there is no file;
    - a FIFO, socket or device is nothing (``worktree`` None), and so is a plain directory;
    - a repository in the place of a file is a gitlink; a submodule is looked at for its HEAD alone;
    - line ends are converted in ``worktree`` as git would; where ``convert.unsupported`` names a filter or
      an encoding, ``worktree`` is the raw bytes, and an untouched file may be listed because of it.

    Raises ``Refused``: ``unreadable-file`` for a file or directory that may not be read, ``huge-file`` for
    an edited one of more than ``settings.big_file_threshold`` bytes, ``hostile-tree`` where HEAD has a
    name that must not be in a working tree.
    """
    staged = dict(staged_differences(objects, index, head_tree))
    files = Files(root)
    attributes = worktree_attributes(files, objects, index, settings)
    look = _Look(objects, files, index_mtime_ns, settings, attributes)
    states: list[PathState] = []
    for path, entry in index.entries.items():
        status = look.files.lstat(path)
        unchanged = status is not None and look.unchanged(entry, status)
        if unchanged and path not in staged:
            continue
        indexed = None if entry.intent_to_add else TreeEntry(entry.mode, entry.oid)
        head = staged.get(path, indexed)
        if status is not None:
            found, raw = look.read(path, status, entry, unchanged)
        else:
            found, raw = (indexed if entry.skip_worktree else None), None
        if not head == indexed == found or (entry.intent_to_add and head != found):
            states.append(
                PathState(
                    path=path,
                    head=head,
                    index=indexed,
                    worktree=found,
                    raw=raw,
                    intent_to_add=entry.intent_to_add,
                )
            )
    for path in (staged.keys() | index.unmerged.keys()) - index.entries.keys():
        status = look.files.lstat(path)
        found, raw = look.read(path, status, None, False) if status is not None else (None, None)
        states.append(PathState(path=path, head=staged.get(path), index=None, worktree=found, raw=raw))
    return tuple(sorted(states, key=lambda state: state.path))


class _Look:
    """Compares index entries with what stands on disk."""

    def __init__(
        self,
        objects: Objects,
        files: Files,
        index_mtime_ns: int,
        settings: WorktreeSettings,
        attributes: Attributes,
    ) -> None:
        self.files = files
        self._attributes = attributes
        self._objects = objects
        self._settings = settings
        self._check_stat, self._trust_ctime = settings.check_stat, settings.trust_ctime
        self._index_mtime = index_mtime_ns
        self._index_second = index_mtime_ns // _SECOND
        self._empty = objects.hash(BLOB, b"")
        self._modes: dict[int, int | None] = {}

    def unchanged(self, entry: IndexEntry, status: os.stat_result) -> bool:
        """Whether stat data alone proves that the file is what the index says.

        A number of nanoseconds that the index has as 0 was not recorded, and ``core.checkStat=minimal``
        says the same of everything but whole seconds and the size.
        """
        mode = status.st_mode
        kind = self._modes.get(mode, 0)
        if kind == 0:
            kind = self._modes[mode] = git_mode(mode)
        if kind != entry.mode and (kind is None or self._mode(status, entry) != entry.mode):
            return False
        ctime, ctime_ns, mtime, mtime_ns, _dev, ino, _mode, uid, gid, size = _unpack_stat(entry.stat)
        if size != status.st_size or (size == 0 and entry.oid != self._empty):
            return False
        full = self._check_stat
        modified = status.st_mtime_ns
        if mtime_ns and full:
            if mtime * _SECOND + mtime_ns != modified or modified >= self._index_mtime:
                return False
        elif mtime != modified // _SECOND or mtime >= self._index_second:
            return False
        if not full:
            return True
        if self._trust_ctime:
            changed = status.st_ctime_ns
            if ctime_ns:
                if ctime * _SECOND + ctime_ns != changed:
                    return False
            elif ctime != changed // _SECOND:
                return False
        return bool(ino == status.st_ino & 0xFFFFFFFF and uid == status.st_uid and gid == status.st_gid)

    def read(
        self, path: TreePath, status: os.stat_result, entry: IndexEntry | None, unchanged: bool
    ) -> tuple[TreeEntry | None, Oid | None]:
        """The file as git would store it, and its raw bytes as a blob; None for what git does not store."""
        if stat.S_ISDIR(status.st_mode):
            return self._directory(path, entry), None
        mode = self._mode(status, entry)
        if mode is None:
            return None, None
        if status.st_size > self._settings.big_file_threshold:
            return self._huge(path, mode, entry, status.st_size)
        data = self.files.read(path)
        raw = self._add(data, entry)
        if unchanged and entry is not None:
            return TreeEntry(entry.mode, entry.oid), raw
        if mode == MODE_SYMLINK:
            return TreeEntry(mode, raw), raw
        stored = to_git(data, self._attributes.of(path), self._settings, lambda: self._index_has_crlf(entry))
        return TreeEntry(mode, raw if stored == data else self._add(stored, entry)), raw

    def _index_has_crlf(self, entry: IndexEntry | None) -> bool:
        if entry is None or entry.intent_to_add or not stat.S_ISREG(entry.mode):
            return False
        return has_crlf_text(self._objects.blob(entry.oid))

    def _mode(self, status: os.stat_result, entry: IndexEntry | None) -> int | None:
        """The mode that git would record, given what the file system can say and what the index says."""
        mode = git_mode(status.st_mode)
        if entry is None or not stat.S_ISREG(status.st_mode):
            return mode
        if entry.mode == MODE_SYMLINK and not self._settings.symlinks:
            return MODE_SYMLINK
        if not self._settings.file_mode and stat.S_ISREG(entry.mode):
            return entry.mode
        return mode

    def _add(self, data: bytes, entry: IndexEntry | None) -> Oid:
        """The id of a blob, which is kept in memory unless it is the index's own and so on disk."""
        oid = self._objects.hash(BLOB, data)
        if entry is None or oid != entry.oid or entry.intent_to_add:
            self._objects.add_blob(data)
        return oid

    def _directory(self, path: TreePath, entry: IndexEntry | None) -> TreeEntry | None:
        """A repository is a gitlink to its HEAD; an empty submodule is one that was never initialised."""
        submodule = entry is not None and entry.mode == MODE_GITLINK
        head = repository_head(self.files.full(path), path) if self.files.is_repository(path) else None
        if head is not None:
            return TreeEntry(MODE_GITLINK, head)
        return TreeEntry(entry.mode, entry.oid) if submodule and entry is not None else None

    def _huge(
        self, path: TreePath, mode: int, entry: IndexEntry | None, size: int
    ) -> tuple[TreeEntry | None, Oid | None]:
        """Only one that may be what the index says is hashed: a sparse file of 10 GB takes half a minute."""
        known = entry.stat_data.size if entry is not None else 0
        if entry is not None and known in (0, size & 0xFFFFFFFF):
            oid = self.files.hash_blob(path, len(entry.oid))
            if oid == entry.oid:
                return TreeEntry(mode, oid), oid
        raise huge_file(path, self._settings.big_file_threshold)
