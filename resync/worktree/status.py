"""Which tracked paths differ between HEAD, the index and the working tree, and what stands on disk there.

Everything that differs is read and kept in the object store's memory: this is what the backup saves. Stat
data is trusted only by git's rule (a file that may have changed in the tick in which the index was written
is read), symbolic links are never followed, and nothing but regular files is ever opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from resync.model import MODE_GITLINK, MODE_SYMLINK, Oid, PathState, TreeEntry, TreePath
from resync.repository.objects import BLOB, Objects
from resync.worktree.attributes import Attributes, worktree_attributes
from resync.worktree.convert import has_crlf_text, to_git
from resync.worktree.files import Files
from resync.worktree.filters import Filters, cleans
from resync.worktree.index import Index, IndexEntry
from resync.worktree.large import hash_file, refuse_converted
from resync.worktree.settings import WorktreeSettings
from resync.worktree.staged import staged_differences
from resync.worktree.stat_rule import StatRule
from resync.worktree.submodules import repository_head


class _Found(NamedTuple):
    """What stands at a path: as git would store it, its bytes as a blob, and whether these are private."""

    entry: TreeEntry | None = None
    raw: Oid | None = None
    private: bool = False


def read_status(
    objects: Objects,
    root: str | bytes,
    index: Index,
    index_mtime_ns: int,
    head_tree: Oid | None,
    settings: WorktreeSettings,
    filters: Filters,
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
    - ``worktree`` has gone through ``filters``, and line ends are converted, as git would; what
      ``convert.unsupported`` names is not, and an untouched file may be listed because of it.

    Raises ``Refused``: ``unreadable-file`` for a file or directory that may not be read, ``huge-file`` for
    an edited one of more than ``settings.big_file_threshold`` bytes that git converts, ``filter-failed``,
    ``hostile-tree`` where HEAD has a name that must not be in a working tree.
    """
    staged = dict(staged_differences(objects, index, head_tree))
    files = Files(root)
    attributes = worktree_attributes(files, objects, index, settings)
    rule = StatRule(objects, index_mtime_ns, settings)
    look = _Look(objects, files, rule, settings, attributes, filters)
    states: list[PathState] = []
    recorded = index.entries.raw
    for path, status, unchanged in rule.doubtful(recorded, files.lstats(recorded), staged):
        entry = index.entries[path]
        indexed = None if entry.intent_to_add else TreeEntry(entry.mode, entry.oid)
        head = staged.get(path, indexed)
        if status is not None:
            found = look.read(path, status, entry, unchanged)
        else:
            found = _Found(indexed if entry.skip_worktree else None)
        if not head == indexed == found.entry or (entry.intent_to_add and head != found.entry):
            states.append(
                PathState(
                    path=path,
                    head=head,
                    index=indexed,
                    worktree=found.entry,
                    raw=found.raw,
                    private=found.private,
                    intent_to_add=entry.intent_to_add,
                )
            )
    for path in (staged.keys() | index.unmerged.keys()) - index.entries.keys():
        status = look.files.lstat(path)
        found = look.read(path, status, None, False) if status is not None else _Found()
        states.append(
            PathState(
                path=path,
                head=staged.get(path),
                index=None,
                worktree=found.entry,
                raw=found.raw,
                private=found.private,
            )
        )
    return tuple(sorted(states, key=lambda state: state.path))


class _Look:
    """Compares index entries with what stands on disk."""

    def __init__(
        self,
        objects: Objects,
        files: Files,
        rule: StatRule,
        settings: WorktreeSettings,
        attributes: Attributes,
        filters: Filters,
    ) -> None:
        self.files = files
        self._rule = rule
        self._attributes = attributes
        self._filters = filters
        self._objects = objects
        self._settings = settings

    def read(
        self, path: TreePath, status: os.stat_result, entry: IndexEntry | None, unchanged: bool
    ) -> _Found:
        """The file as git would store it and as it is; nothing for what git does not store."""
        if stat.S_ISDIR(status.st_mode):
            return _Found(self._directory(path, entry))
        mode = self._rule.mode(status, entry.mode if entry is not None else None)
        if mode is None:
            return _Found()
        if status.st_size > self._settings.big_file_threshold:
            return self._large(path, mode, entry, status.st_size)
        data = self.files.read(path)
        raw = self._add(data, entry)
        if mode == MODE_SYMLINK:
            return _Found(TreeEntry(mode, raw), raw)
        attributes = self._attributes.of(path)
        if unchanged and entry is not None:
            private = raw != entry.oid and cleans(self._settings, attributes)
            return _Found(TreeEntry(entry.mode, entry.oid), raw, private)
        cleaned = self._filters.clean(path, data, attributes)
        stored = to_git(cleaned.data, attributes, self._settings, lambda: self._index_has_crlf(entry))
        oid = raw if stored == data else self._add(stored, entry)
        return _Found(TreeEntry(mode, oid), raw, cleaned.private)

    def _index_has_crlf(self, entry: IndexEntry | None) -> bool:
        if entry is None or entry.intent_to_add or not stat.S_ISREG(entry.mode):
            return False
        return has_crlf_text(self._objects.blob(entry.oid))

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

    def _large(self, path: TreePath, mode: int, entry: IndexEntry | None, size: int) -> _Found:
        """A file that is not to be held in memory: it is hashed, and stays where it is until it is saved."""
        oid = hash_file(self._objects, self.files, path, size)
        if entry is None or oid != entry.oid or entry.intent_to_add:

            def pieces() -> Iterator[bytes]:
                return self.files.pieces(path)

            refuse_converted(path, self._attributes.of(path), self._settings, pieces)
            self._objects.add_large(oid, size, pieces)
        return _Found(TreeEntry(mode, oid), oid)
