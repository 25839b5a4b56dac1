"""The form that a path has on disk, before and after a switch.

git stores what its rules make of a file (filters, line ends); the disk has the file itself. A switch
compares and writes files, so entries of trees are turned into what stands, or will stand, on disk.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence

from resync.errors import LargeBlob, Refused
from resync.model import MODE_GITLINK, MODE_SYMLINK, Oid, PathState, TreeEntry, TreePath
from resync.repository import Objects
from resync.worktree.attributes import Attributes, tree_attributes, worktree_attributes
from resync.worktree.convert import has_crlf_text, to_git, to_worktree, unsupported
from resync.worktree.files import Files, changed_meanwhile
from resync.worktree.filters import Filters
from resync.worktree.index import Index
from resync.worktree.large import hash_file, refuse_converted
from resync.worktree.settings import WorktreeSettings
from resync.worktree.stat_rule import StatRule


class DiskForm:
    """Turns what git stores into what stands on disk, and checks that it does."""

    def __init__(
        self,
        objects: Objects,
        root: str,
        index: Index,
        index_mtime_ns: int,
        changes: Sequence[PathState],
        new_tree: Oid,
        settings: WorktreeSettings,
        filters: Filters,
    ) -> None:
        """``index_mtime_ns`` is the time of the index file, ``changes`` are the paths that are not clean, and
        ``new_tree`` is what will be checked out."""
        self._objects = objects
        self._files = Files(root)
        self._index = index
        self._changes = {each.path: each for each in changes}
        self._settings = settings
        self._filters = filters
        self._rule = StatRule(objects, index_mtime_ns, settings)
        self._made: dict[tuple[TreePath, TreeEntry], TreeEntry] = {}
        self._now: Attributes = worktree_attributes(self._files, objects, index, settings)
        self._then: Attributes = tree_attributes(objects, new_tree, settings)

    def before(self, path: TreePath) -> TreeEntry | None:
        """What stands on disk at a tracked path now; None: nothing, as outside a sparse checkout. A
        submodule's folder is its gitlink.

        Raises ``Refused("changed-meanwhile")`` where a file that the index takes for clean is not, and
        ``unsupported-attribute``, ``filter-failed`` and ``huge-file`` as ``after`` does.
        """
        state = self._changes.get(path)
        entry = self._index.entries.get(path)
        submodule = entry is not None and entry.mode == MODE_GITLINK
        if state is not None:
            if state.worktree is None or state.raw is None:
                return state.worktree if submodule else None
            return TreeEntry(state.worktree.mode, state.raw)
        status = self._files.lstat(path)
        if entry is None or status is None:
            if entry is None or entry.skip_worktree or entry.intent_to_add:
                return None
            raise changed_meanwhile(path)
        if submodule:
            return TreeEntry(entry.mode, entry.oid)
        if status.st_size > self._settings.big_file_threshold:
            return TreeEntry(entry.mode, self._large(path, entry.oid, status.st_size))
        data = self._files.read(path)
        raw = self._objects.hash_blob(data)
        if raw == entry.oid or entry.mode == MODE_SYMLINK:
            return TreeEntry(entry.mode, raw)
        self._refuse_unsupported(path, self._now)
        # Stat data goes first, as with git: what a filter would make of the file now may be something else.
        after = self._files.lstat(path)
        if after is None or not self._rule.unchanged(self._index.entries.raw[path], after):
            attributes, stored = self._now.of(path), self._objects.blob(entry.oid)
            cleaned = self._filters.clean(path, data, attributes).data
            if to_git(cleaned, attributes, self._settings, lambda: has_crlf_text(stored)) != stored:
                raise changed_meanwhile(path)
        self._objects.add_blob(data)
        return TreeEntry(entry.mode, raw)

    def after(self, path: TreePath, entry: TreeEntry) -> TreeEntry:
        """What an entry of the new tree will be on disk; where that differs, its bytes go to memory.

        Raises ``Refused``: ``unsupported-attribute`` for a file that ``convert.unsupported`` names,
        ``filter-failed``, and ``huge-file`` for one that is converted and too large to be held in memory.
        """
        if not stat.S_ISREG(entry.mode):
            return entry
        made = self._made.get((path, entry))
        if made is None:
            made = self._made[path, entry] = self._make(path, entry)
        return made

    def stored(self, path: TreePath, entry: TreeEntry | None) -> TreeEntry | None:
        """What git stores of a file whose bytes on disk were those of ``entry``, which no filter cleans."""
        if entry is None or not stat.S_ISREG(entry.mode):
            return entry
        indexed = self._index.entries.get(path)
        try:
            data = self._objects.blob(entry.oid)
            made = to_git(
                data,
                self._now.of(path),
                self._settings,
                lambda: indexed is not None and has_crlf_text(self._objects.blob(indexed.oid)),
            )
        except LargeBlob:
            return entry
        return entry if made == data else TreeEntry(entry.mode, self._objects.add_blob(made))

    def _make(self, path: TreePath, entry: TreeEntry) -> TreeEntry:
        self._refuse_unsupported(path, self._then)
        attributes = self._then.of(path)
        try:
            stored = self._objects.blob(entry.oid)
        except LargeBlob:
            refuse_converted(path, attributes, self._settings, lambda: self._objects.pieces(entry.oid))
            return entry
        data = to_worktree(stored, attributes, self._settings)
        data = self._filters.smudge(path, data, attributes, entry.oid)
        return entry if data is stored else TreeEntry(entry.mode, self._objects.add_blob(data))

    def _large(self, path: TreePath, stored: Oid, size: int) -> Oid:
        """The id of a clean file that is not to be held in memory, which is what git stores of it."""
        raw = hash_file(self._objects, self._files, path, size)
        if raw != stored:
            refuse_converted(path, self._now.of(path), self._settings, lambda: self._files.pieces(path))
            raise changed_meanwhile(path)
        return raw

    def is_folder(self, path: TreePath) -> bool:
        """Whether a folder stands at the path now."""
        status = self._files.lstat(path)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def is_repository(self, path: TreePath) -> bool:
        """Whether a repository of its own stands at the path now."""
        return self._files.is_repository(path)

    def _refuse_unsupported(self, path: TreePath, attributes: Attributes) -> None:
        reason = unsupported(path, attributes.of(path))
        if reason is not None:
            raise Refused(
                "unsupported-attribute",
                f"Upstream changes a file that resync cannot convert as git does: {reason}."
                " Nothing was changed.",
                "update this checkout by hand, with git fetch and git rebase --onto",
            )
