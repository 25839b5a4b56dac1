"""Untracked and ignored files: those in the way of a new tree, and all of them.

A run looks only where the new tree will have something that the index has not; the scan of everything is
for those who ask for it. What is found is read into the object store's memory, to be backed up.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator

from resync.errors import Refused
from resync.model import MODE_GITLINK, NO_CONTENT, InTheWay, TreeEntry, TreePath
from resync.repository.objects import Objects
from resync.worktree.attributes import worktree_attributes
from resync.worktree.files import Files, changed_meanwhile, git_mode
from resync.worktree.filters import cleans
from resync.worktree.ignore import Ignores
from resync.worktree.index import RAW_MODE, RAW_MODES, Index
from resync.worktree.large import hash_file
from resync.worktree.names import folded, folds
from resync.worktree.settings import WorktreeSettings


def untracked_in_the_way(
    objects: Objects,
    root: str | bytes,
    index: Index,
    targets: Iterable[TreePath],
    settings: WorktreeSettings,
) -> tuple[InTheWay, ...]:
    """What is not in the index and stands where files at ``targets`` will be put, by path.

    That is a file or link at the very path, one where the path needs a directory, and all that is in a
    directory where the path needs a file. An empty directory is nothing. Only these places are looked
    at, links are not followed, and FIFOs, sockets and devices are not opened. Raises ``Refused``:
    ``repository-in-the-way`` for anything with a ``.git`` in it, and ``unreadable-file`` for what cannot be
    backed up.
    """
    search = _Search(objects, root, index, settings)
    found: dict[TreePath, InTheWay] = {}
    for target in targets:
        for path in search.in_the_way(target):
            if path not in found:
                found[path] = search.take(path)
    return tuple(found[path] for path in sorted(found))


def find_untracked(
    objects: Objects, root: str | bytes, index: Index, settings: WorktreeSettings
) -> tuple[InTheWay, ...]:
    """Every untracked file that is not ignored, as ``git status --untracked-files=all`` lists them, by path.

    Repositories in the working tree are neither listed nor entered; FIFOs, sockets and devices are not
    listed. Raises ``Refused("unreadable-file")`` for what cannot be backed up.
    """
    search = _Search(objects, root, index, settings)
    return tuple(search.take(path) for path in sorted(search.everything()))


class _Search:
    def __init__(self, objects: Objects, root: str | bytes, index: Index, settings: WorktreeSettings) -> None:
        self._objects = objects
        self._files = Files(root)
        self._settings = settings
        self._tracked = _Tracked(index, settings)
        self._ignores = Ignores(self._files, objects, index, settings)
        self._attributes = worktree_attributes(self._files, objects, index, settings)

    def in_the_way(self, target: TreePath) -> Iterator[TreePath]:
        """The paths of files that are not tracked and that a file at ``target`` would have to replace."""
        slash = target.find(b"/")
        while slash > 0:
            parent = TreePath(target[:slash])
            status = self._files.lstat(parent)
            if status is None:
                return
            if not stat.S_ISDIR(status.st_mode):
                yield from self._one(parent, status)
                return
            if self._files.lstat(TreePath(parent + b"/.git")) is not None:
                raise _repository(parent)
            slash = target.find(b"/", slash + 1)
        status = self._files.lstat(target)
        if status is None:
            return
        if not stat.S_ISDIR(status.st_mode):
            yield from self._one(target, status)
            return
        waiting = [target]
        while waiting:
            directory = waiting.pop()
            for each in self._files.list(directory):
                path = TreePath(directory + b"/" + each.name)
                if each.name.lower() == b".git":
                    raise _repository(directory)
                status = self._files.lstat(path)
                if status is None:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(path)
                else:
                    yield from self._one(path, status)

    def everything(self) -> Iterator[TreePath]:
        """The untracked files and links of the whole working tree that are not ignored."""
        waiting = [TreePath(b"")]
        while waiting:
            directory = waiting.pop()
            for each in self._files.list(directory):
                path = TreePath(directory + b"/" + each.name if directory else each.name)
                if each.name.lower() == b".git":
                    continue
                if each.is_dir(follow_symlinks=False):
                    if self._is_entered(path):
                        waiting.append(path)
                elif (each.is_file(follow_symlinks=False) or each.is_symlink()) and (
                    not self._is_tracked(path) and not self._ignores.ignored(path)
                ):
                    yield path

    def _is_entered(self, directory: TreePath) -> bool:
        """Whether the scan goes into a directory.

        What is in an ignored one is ignored, and a submodule is never entered; nor is a repository,
        unless the index has paths in it, which git takes for the stronger sign.
        """
        if self._tracked.mode(directory) == MODE_GITLINK:
            return False
        if self._ignores.ignored(directory, directory=True):
            return False
        return self._tracked.anything_below(directory) or not self._files.is_repository(directory)

    def take(self, path: TreePath) -> InTheWay:
        """Read a file or link into memory, if it is not too large; of anything else, say what it is."""
        status = self._files.lstat(path)
        if status is None or stat.S_ISDIR(status.st_mode):
            raise changed_meanwhile(path)
        mode, ignored = git_mode(status.st_mode), self._ignores.ignored(path)
        if mode is None:
            special = TreeEntry(stat.S_IFMT(status.st_mode), NO_CONTENT)
            return InTheWay(path=path, entry=special, ignored=ignored)
        if status.st_size > self._settings.big_file_threshold:
            oid = hash_file(self._objects, self._files, path, status.st_size)
            self._objects.add_large(oid, status.st_size, lambda: self._files.pieces(path))
        else:
            oid = self._objects.add_blob(self._files.read(path))
        filtered = cleans(self._settings, self._attributes.of(path))
        return InTheWay(path=path, entry=TreeEntry(mode, oid), ignored=ignored, filtered=filtered)

    def _one(self, path: TreePath, status: os.stat_result) -> Iterator[TreePath]:
        # The index may have the path of a FIFO; what it has there is a file that is gone.
        if git_mode(status.st_mode) is None or not self._is_tracked(path):
            yield path

    def _is_tracked(self, path: TreePath) -> bool:
        """Whether a file is the index's: by its name, or by another that the disk takes for the same.

        The disk is asked, and not the configuration alone: a repository may have been copied from one that
        ignores case to one that does not, and what differs in case there is a file of its own.
        """
        spelled = self._tracked.spelling(path)
        if spelled is None or spelled == path:
            return spelled is not None
        mine, its = self._files.lstat(path), self._files.lstat(spelled)
        return mine is not None and its is not None and os.path.samestat(mine, its)


class _Tracked:
    """The paths of the index, as the file system compares names."""

    def __init__(self, index: Index, settings: WorktreeSettings) -> None:
        self._settings = settings
        self._exact = not folds(settings)
        self._modes: dict[bytes, int] = {path: stages[0].mode for path, stages in index.unmerged.items()}
        self._modes.update((path, RAW_MODES[raw[RAW_MODE]]) for path, raw in index.entries.raw.items())
        self._spellings = {} if self._exact else {folded(path, settings): path for path in self._modes}
        self._directories: set[bytes] | None = None

    def spelling(self, path: TreePath) -> TreePath | None:
        """The path as the index spells it, None where it has nothing there."""
        if path in self._modes:
            return path
        found = None if self._exact else self._spellings.get(folded(path, self._settings))
        return TreePath(found) if found is not None else None

    def mode(self, path: TreePath) -> int | None:
        """The mode that the index has at the path, None where it has nothing."""
        spelled = self.spelling(path)
        return self._modes[spelled] if spelled is not None else None

    def anything_below(self, directory: TreePath) -> bool:
        """Whether the index has a path in the directory."""
        if self._directories is None:
            self._directories = set()
            for path in self._modes if self._exact else self._spellings:
                while (slash := path.rfind(b"/")) > 0 and path[:slash] not in self._directories:
                    path = path[:slash]
                    self._directories.add(path)
        return (directory if self._exact else folded(directory, self._settings)) in self._directories


def _repository(path: TreePath) -> Refused:
    return Refused(
        "repository-in-the-way",
        f"{os.fsdecode(path)!r} is a repository of its own and stands where the new tree has something else."
        " Nothing was changed.",
        f"mv {shlex.quote(os.fsdecode(path))} ..",
    )
