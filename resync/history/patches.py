"""When two commits make the same change: patch ids, and a search for a commit's twin.

A patch id is a digest of a commit's difference from its parent as a diff shows it, without line
numbers, so that the same patch at another place of a file is the same. The idea is git-patch-id(1)'s;
other than there, white space counts (in Python an indentation is a change), and so do modes, symbolic
links, submodules and the content of binary files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Protocol, TypeAlias

from resync.errors import LargeBlob, Refused
from resync.history.changes import directory_changes, subtree, tree_changes
from resync.history.hunks import BINARY_PROBE, hunks
from resync.model import MODE_EXECUTABLE, MODE_FILE, Commit, ObjectStore, Oid, TreeEntry, TreePath

_REGULAR = (MODE_FILE, MODE_EXECUTABLE)

_MANY_FILES = 200_000
_MUCH_TEXT = 30_000_000
"""More changed files than this, or more bytes in their paths, are no patch: small trees can name billions."""

_MOST_PICKS = 8

_Change: TypeAlias = tuple[TreePath, TreeEntry | None, TreeEntry | None]
"""A file before and after."""

_Directory: TypeAlias = tuple[bytes, Oid | None, Oid | None]
"""A changed directory: its path with a slash at its end, and its trees before and after."""

_Known: TypeAlias = dict[tuple[Oid, Oid], bytes]
"""Digests of the differences between two blobs, because twins often share them."""


class CommitStore(ObjectStore, Protocol):
    """What a patch id needs of a repository: trees, blobs and commits."""

    def commit(self, oid: Oid) -> Commit:
        """The commit ``oid``, parsed."""


def patch_id(objects: CommitStore, commit: Oid) -> bytes | None:
    """The patch id (20 bytes) of ``commit``, the same for every commit that makes the same change.

    None where a commit has no patch to compare: a merge, one that changes nothing, one whose parent a
    shallow clone does not have, and one that changes too many files (some 200,000). A root commit is
    compared with the empty tree. Raises ``Refused`` where another object is missing.
    """
    return _patch_id(objects, commit, {})


class PatchIndex:
    """Finds, among many commits, one that makes the same change as a given commit.

    A twin is nearly always a pick, and that keeps its author and the author's date: such commits are
    looked at first. For the others comparing texts is dear and mostly needless: commits that change
    different paths are no twins. So commits are told apart by the paths that they change, and this, too,
    only as far as questions need: at first by what differs in their top directory, then, among those that
    agree with a commit that is asked about, one directory deeper. Patch ids are made of those that agree
    all the way down.
    """

    def __init__(self, objects: CommitStore, commits: Iterable[Oid]) -> None:
        """``commits`` are searched in their order: of several twins the first is found, except that those
        by the same author of the same second come before all others."""
        self._objects = objects
        self._commits = tuple(commits)
        self._by_author: dict[bytes, list[Oid]] | None = None
        self._top: _Level | None = None
        self._patch_ids: dict[Oid, bytes | None] = {}
        self._known: _Known = {}

    def find(self, commit: Oid) -> Oid | None:
        """A commit of the index with the patch of ``commit``; None where there is none."""
        for other in self._picks(commit):
            if self._is_twin(commit, other):
                return other
        alike = self._alike(commit)
        wanted = self._patch_id(commit) if alike else None
        if wanted is None:
            return None
        return next((other for other in alike if self._patch_id(other) == wanted), None)

    def _is_twin(self, one: Oid, other: Oid) -> bool:
        """Whether two commits have the same patch id, read side by side and only as far as they agree."""
        objects, known = self._objects, self._known
        text = 0
        pairs = zip_longest(_each_change(objects, one), _each_change(objects, other))
        for number, (mine, theirs) in enumerate(pairs):
            if mine is None or theirs is None or _heading(*mine) != _heading(*theirs):
                return False
            text += len(mine[0])
            if number == _MANY_FILES or text > _MUCH_TEXT:
                return False
            (_, old, new), (_, their_old, their_new) = mine, theirs
            if (old, new) == (their_old, their_new):
                continue
            if _content(objects, old, new, known) != _content(objects, their_old, their_new, known):
                return False
        return text > 0

    def _picks(self, commit: Oid) -> Sequence[Oid]:
        """The commits of the index that the same author wrote in the same second, if they are few."""
        if self._by_author is None:
            self._by_author = {}
            for other in self._commits:
                author = self._objects.commit(other).author
                self._by_author.setdefault(author, []).append(other)
        found = self._by_author.get(self._objects.commit(commit).author, [])
        # A program can make a whole history in one second; telling by paths is cheaper there.
        return found if len(found) <= _MOST_PICKS else ()

    def _alike(self, commit: Oid) -> list[Oid]:
        """The commits of the index that change the same paths, with the same modes."""
        if self._top is None:
            self._top = _Level([(other, _top_directory(self._objects, other)) for other in self._commits])
        level = self._top
        directories = _top_directory(self._objects, commit)
        while directories:
            outline, directories = _look(self._objects, directories)
            below = level.below(self._objects).get(outline)
            if below is None:
                return []
            level = below
        return [other for other, _ in level.commits]

    def _patch_id(self, commit: Oid) -> bytes | None:
        if commit not in self._patch_ids:
            self._patch_ids[commit] = _patch_id(self._objects, commit, self._known)
        return self._patch_ids[commit]


# --- which paths a commit changes ----------------------------------------------------------------


class _Level:
    """Commits whose changes agree down to some depth, each with the changed directories below it."""

    def __init__(self, commits: list[tuple[Oid, list[_Directory]]]) -> None:
        self.commits = commits
        self._below: dict[bytes, _Level] | None = None

    def below(self, objects: CommitStore) -> dict[bytes, _Level]:
        """The same commits told apart by what differs one directory deeper."""
        if self._below is None:
            self._below = {}
            for commit, directories in self.commits:
                outline, deeper = _look(objects, directories)
                self._below.setdefault(outline, _Level([])).commits.append((commit, deeper))
        return self._below


def _top_directory(objects: CommitStore, oid: Oid) -> list[_Directory]:
    """The trees that a commit's patch is the difference of; nothing where there is no patch."""
    commit = objects.commit(oid)
    if not commit.parents:
        return [(b"", None, commit.tree)]
    if len(commit.parents) > 1:
        return []
    try:
        parent = objects.commit(commit.parents[0])
    except Refused:  # a shallow clone ends here
        return []
    return [(b"", parent.tree, commit.tree)]


def _look(objects: ObjectStore, directories: Iterable[_Directory]) -> tuple[bytes, list[_Directory]]:
    """A digest of what differs in some directories, by names and modes, and the directories below."""
    outline: list[bytes] = []
    deeper: list[_Directory] = []
    for prefix, before, after in directories:
        for path, old, new in directory_changes(objects, prefix, before, after):
            trees = subtree(old), subtree(new)
            if trees == (None, None):
                outline.append(_heading(path, old, new))
                continue
            # A patch shows files only, and the same one may find the directory there or make it.
            files = old if trees[0] is None else None, new if trees[1] is None else None
            outline.append(_heading(path + b"/", *files))
            deeper.append((path + b"/", *trees))
        if len(deeper) > _MANY_FILES:
            deeper = []  # these have no patch id anyway
            break
    return _sha1(outline), deeper


def _changes(objects: CommitStore, oid: Oid) -> list[_Change]:
    """What a commit changes, file by file; nothing where there is no patch."""
    changes: list[_Change] = []
    text = 0
    for change in _each_change(objects, oid):
        text += len(change[0])
        if len(changes) == _MANY_FILES or text > _MUCH_TEXT:
            return []
        changes.append(change)
    return changes


def _each_change(objects: CommitStore, oid: Oid) -> Iterator[_Change]:
    for _, before, after in _top_directory(objects, oid):
        yield from tree_changes(objects, before, after)


# --- how they change -----------------------------------------------------------------------------


def _patch_id(objects: CommitStore, commit: Oid, known: _Known) -> bytes | None:
    """The patch id of a commit; what is found of blobs is added to ``known``."""
    changes = _changes(objects, commit)
    if not changes:
        return None
    pieces: list[bytes] = []
    for path, old, new in changes:
        pieces += (_heading(path, old, new), _content(objects, old, new, known))
    return _sha1(pieces)


def _heading(path: bytes, old: TreeEntry | None, new: TreeEntry | None) -> bytes:
    # Paths hold no NUL, so that no two headings read the same.
    return b"%o %o %s\0" % (old.mode if old else 0, new.mode if new else 0, path)


def _content(objects: ObjectStore, old: TreeEntry | None, new: TreeEntry | None, known: _Known) -> bytes:
    """A digest of how one file's content changes: by lines if both sides are text, else by blob ids."""
    if old is None or new is None or old.mode not in _REGULAR or new.mode not in _REGULAR:
        return _sha1((old.oid if old else b"", b" ", new.oid if new else b""))
    if old.oid == new.oid:
        return _sha1(())  # only the mode changes, whatever the file holds
    blobs = old.oid, new.oid
    if blobs not in known:
        # Imported here because most uses of this package compare no texts, and the engine takes its time.
        from resync.merge.lines import split_lines

        try:
            before, after = objects.blob(old.oid), objects.blob(new.oid)
        except LargeBlob:
            before = after = b"\0"  # as binary, which no file of that size need be to be treated so by git
        if b"\0" in before[:BINARY_PROBE] or b"\0" in after[:BINARY_PROBE]:
            known[blobs] = _sha1((old.oid, b" ", new.oid))
        else:
            known[blobs] = _sha1(hunks(split_lines(before), split_lines(after), lambda start: b"@\n"))
    return known[blobs]


def _sha1(pieces: Iterable[bytes]) -> bytes:
    return hashlib.sha1(b"".join(pieces), usedforsecurity=False).digest()
