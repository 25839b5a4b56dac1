"""When two commits make the same change: patch ids, and a search for a commit's twin.

A patch id is a digest of a commit's difference from its parent as a diff shows it, without line
numbers, so that the same patch at another place of a file is the same. The idea is git-patch-id(1)'s;
other than there, white space counts (in Python an indentation is a change), and so do modes, symbolic
links, submodules and the content of binary files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeAlias

from resync.history.changes import tree_changes
from resync.model import MODE_EXECUTABLE, MODE_FILE, Commit, ObjectStore, Oid, TreeEntry, TreePath

_CONTEXT = 3
_BINARY_PROBE = 8000
_REGULAR = (MODE_FILE, MODE_EXECUTABLE)

_FILE_COST = 200
_MOST_MEMORY = 50_000_000
"""How many bytes the list of one commit's changes may take: a few kilobytes of trees can name billions."""

_Change: TypeAlias = tuple[TreePath, TreeEntry | None, TreeEntry | None]


class CommitStore(ObjectStore, Protocol):
    """What a patch id needs of a repository: trees, blobs and commits."""

    def commit(self, oid: Oid) -> Commit:
        """The commit ``oid``, parsed."""


def patch_id(objects: CommitStore, commit: Oid) -> bytes | None:
    """The patch id (20 bytes) of ``commit``, the same for every commit that makes the same change.

    None where a commit has no patch to compare: a merge, one that changes nothing, and one that changes
    too many files (some 200,000). A root commit is compared with the empty tree. Raises ``Refused``
    where an object is missing.
    """
    changes = _changes(objects, commit)
    return _digest(objects, changes) if changes else None


class PatchIndex:
    """Finds, among many commits, one that makes the same change as a given commit.

    Comparing texts is dear and mostly needless: commits that change different paths are no twins. So on
    the first question the commits are told apart by the paths and modes that they change, and patch
    ids are made only of those that agree in them.
    """

    def __init__(self, objects: CommitStore, commits: Iterable[Oid]) -> None:
        """``commits`` are searched in their order: of several twins the first is found."""
        self._objects = objects
        self._commits = tuple(commits)
        self._by_outline: dict[bytes, list[Oid]] | None = None
        self._patch_ids: dict[Oid, bytes | None] = {}

    def find(self, commit: Oid) -> Oid | None:
        """The first commit of the index with the patch of ``commit``; None where there is none."""
        changes = _changes(self._objects, commit)
        alike = self._alike(_outline(changes)) if changes else ()
        if not alike:
            return None
        wanted = _digest(self._objects, changes)
        return next((other for other in alike if self._patch_id(other) == wanted), None)

    def _alike(self, outline: bytes) -> Sequence[Oid]:
        if self._by_outline is None:
            self._by_outline = {}
            for commit in self._commits:
                changes = _changes(self._objects, commit)
                if changes:
                    self._by_outline.setdefault(_outline(changes), []).append(commit)
        return self._by_outline.get(outline, ())

    def _patch_id(self, commit: Oid) -> bytes | None:
        if commit not in self._patch_ids:
            self._patch_ids[commit] = patch_id(self._objects, commit)
        return self._patch_ids[commit]


def _changes(objects: CommitStore, oid: Oid) -> list[_Change]:
    """What a commit changes against its parent; nothing where it has no patch id."""
    commit = objects.commit(oid)
    if len(commit.parents) > 1:
        return []
    before = objects.commit(commit.parents[0]).tree if commit.parents else None
    changes = []
    memory = 0
    for change in tree_changes(objects, before, commit.tree):
        memory += _FILE_COST + len(change[0])
        if memory > _MOST_MEMORY:
            return []
        changes.append(change)
    return changes


def _outline(changes: Iterable[_Change]) -> bytes:
    """A digest of which paths change, and their modes before and after."""
    digest = hashlib.sha1(usedforsecurity=False)
    for change in changes:
        digest.update(_heading(*change))
    return digest.digest()


def _digest(objects: ObjectStore, changes: Iterable[_Change]) -> bytes:
    """The patch id of a list of changes."""
    digest = hashlib.sha1(usedforsecurity=False)
    for path, old, new in changes:
        digest.update(_heading(path, old, new))
        for piece in _content(objects, old, new):
            digest.update(piece)
    return digest.digest()


def _heading(path: TreePath, old: TreeEntry | None, new: TreeEntry | None) -> bytes:
    # Paths hold no NUL, so that no two headings read the same.
    return b"%o %o %s\0" % (old.mode if old else 0, new.mode if new else 0, path)


def _content(objects: ObjectStore, old: TreeEntry | None, new: TreeEntry | None) -> Iterator[bytes]:
    """The pieces of one file's difference: a diff of text, and otherwise the ids of the blobs."""
    from resync.merge.lines import split_lines

    if old is not None and new is not None and old.mode in _REGULAR and new.mode in _REGULAR:
        if old.oid == new.oid:
            return
        before, after = objects.blob(old.oid), objects.blob(new.oid)
        if b"\0" not in before[:_BINARY_PROBE] and b"\0" not in after[:_BINARY_PROBE]:
            yield from _hunks(split_lines(before), split_lines(after))
            return
    yield b"=%s %s\n" % (old.oid if old else b"", new.oid if new else b"")


def _hunks(a: list[bytes], b: list[bytes]) -> Iterator[bytes]:
    """The lines of a diff with three lines of context, hunks told apart but not placed."""
    from resync.merge.lines import diff

    end: int | None = None
    for a_start, a_end, b_start, b_end in diff(a, b):
        if end is not None and a_start - end <= 2 * _CONTEXT:
            yield from _marked(b" ", a[end:a_start])
        else:
            if end is not None:
                yield from _marked(b" ", a[end : end + _CONTEXT])
            yield b"@\n"
            yield from _marked(b" ", a[max(0, a_start - _CONTEXT) : a_start])
        yield from _marked(b"-", a[a_start:a_end])
        yield from _marked(b"+", b[b_start:b_end])
        end = a_end
    if end is not None:
        yield from _marked(b" ", a[end : end + _CONTEXT])


def _marked(mark: bytes, lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield mark + line if line.endswith(b"\n") else mark + line + b"\n\\\n"
