"""What a run keeps alive, and what of that nothing else keeps.

A run's refs (``refs/resync/<run>/`` and its rescue branch) hold commits and the bytes of files, and its
folder the very files that it moved out of the way. Before any of that goes, this module says what would go
with it for good. In doubt the answer is *lost*: bytes count as kept only where they are found under their
own name, on what stays; a file that is no object (a FIFO, a folder with something in it) counts as lost.

A reflog keeps nothing, because it expires; neither do remote-tracking branches, because upstream moves them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from resync.backup import RUN_REFS
from resync.history import History, open_history, tree_changes
from resync.journal import TREES, Journal
from resync.model import MODE_GITLINK, MODE_TREE, NO_CONTENT, Oid, RefName, TreePath
from resync.repository import Objects, Repository
from resync.repository.objects import BLOB, COMMIT, TREE
from resync.repository.repo import BRANCHES, TAGS
from resync.worktree.files import git_mode
from resync.worktree.index import read_index
from resync.worktree.moves import look
from resync.worktree.snapshot import is_snapshot

_STAYS = (BRANCHES, TAGS, b"refs/stash", b"refs/notes/", RUN_REFS)

# What a fetch brought is pinned until the next one.
_PASSING = b".fetched"

# Of the commits that stay, the files of as many of the newest are looked through.
_MOST_COMMITS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LostFile:
    """Bytes that nothing else keeps, and where they belong. ``size`` is in bytes; None: it has none."""

    path: TreePath
    oid: Oid
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What would be gone for good: commits, the newest first, and files by path."""

    commits: tuple[Oid, ...] = ()
    files: tuple[LostFile, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.commits or self.files)


def refs_of(refs: Mapping[RefName, Oid], run: str) -> dict[RefName, Oid]:
    """The pins of one run among ``refs``."""
    prefix = RUN_REFS + run.encode() + b"/"
    return {name: oid for name, oid in refs.items() if name.startswith(prefix)}


def loss(
    repository: Repository,
    going: Mapping[RefName, Oid],
    journal: Journal | None,
    *,
    commits_only: bool = False,
) -> Loss:
    """What would be gone for good with the refs ``going`` and the files in the folder of a run.

    With ``commits_only`` the files are not looked at where there are such commits. Raises ``Refused`` where
    something that a ref names is missing or damaged.
    """
    objects = repository.objects
    staying = [
        oid
        for name, oid in repository.refs().items()
        if name not in going and name.startswith(_STAYS) and not name.endswith(_PASSING) and oid in objects
    ]
    history = open_history(repository)
    kept = [objects.peel(oid) for oid in staying]
    theirs = {tip for oid in going.values() for tip in _tips(objects, oid)}
    lost = history.reachable(theirs, [oid for oid in kept if objects.is_commit(oid)], ignore_cut=True)
    commits = tuple(reversed(history.topological(lost)))
    if commits and commits_only:
        return Loss(commits=commits)
    places = _Places(objects, history, theirs, kept)
    files: dict[tuple[TreePath, Oid], LostFile] = {}
    for path, oid, size in _files(objects, going, journal):
        if (path, oid) not in files and not places.have(path, oid):
            if size is None and oid != NO_CONTENT and oid in objects:
                size = len(objects.blob(oid))
            files[path, oid] = LostFile(path=path, oid=oid, size=size)
    return Loss(commits=commits, files=tuple(files[key] for key in sorted(files)))


def _tips(objects: Objects, oid: Oid) -> Iterator[Oid]:
    """The commits of people's own that a ref keeps: for a snapshot, the one that it was made of."""
    oid = objects.peel(oid)
    if objects.raw(oid)[0] == COMMIT:
        commit = objects.commit(oid)
        yield commit.parents[0] if is_snapshot(commit) else oid


class _Places:
    """The trees in which bytes may be found that stay, the likeliest first."""

    def __init__(
        self, objects: Objects, history: History, theirs: Iterable[Oid], kept: Iterable[Oid]
    ) -> None:
        self._objects = objects
        self._history = history
        self._kept = tuple(kept)
        # What a commit holds that goes itself is lost with the commit, and not once more by itself.
        trees = [objects.commit(oid).tree for oid in theirs]
        trees += (tree for oid in self._kept for tree in _trees(objects, oid))
        self._trees = tuple(dict.fromkeys(trees))
        self._older: tuple[Oid, ...] | None = None

    def have(self, path: TreePath, oid: Oid) -> bool:
        """Whether these bytes stand at this path in one of them."""
        if oid == NO_CONTENT:
            return False
        return self._stands(self._trees, path, oid) or self._stands(self._past(), path, oid)

    def _stands(self, trees: Iterable[Oid], path: TreePath, oid: Oid) -> bool:
        for tree in trees:
            entry = self._objects.entry(tree, path)
            if entry is not None and entry.oid == oid:
                return True
        return False

    def _past(self) -> tuple[Oid, ...]:
        """The trees of commits that stay: of the newest."""
        if self._older is None:
            tips = [oid for oid in self._kept if self._objects.is_commit(oid)]
            commits = self._history.reachable(tips, ignore_cut=True)
            newest = sorted(commits, key=self._history.date, reverse=True)[:_MOST_COMMITS]
            self._older = tuple(dict.fromkeys(self._objects.commit(oid).tree for oid in newest))
        return self._older


def _trees(objects: Objects, oid: Oid) -> Iterator[Oid]:
    """The trees with paths of the working tree in what a ref names: a commit's, a stash's three, a pin's."""
    kind, _ = objects.raw(oid)
    if kind == COMMIT:
        commit = objects.commit(oid)
        yield commit.tree
        # Of a stash, or what has its shape, the index and the untracked files are commits of their own.
        yield from (objects.commit(each).tree for each in commit.parents[1:] if each in objects)
    elif kind == TREE:
        yield oid
        yield from (entry.oid for entry in objects.tree(oid).values() if entry.mode == MODE_TREE)


def _files(
    objects: Objects, going: Mapping[RefName, Oid], journal: Journal | None
) -> Iterator[tuple[TreePath, Oid, int | None]]:
    """The path and id of all bytes that refs and folder keep besides commits; size where it is no object."""
    for name, oid in going.items():
        kind, data = objects.raw(oid)
        if kind == BLOB and _pin(name) == b"index":
            for path, entry in read_index(data, hex_length=objects.hex_length).entries.items():
                if entry.mode != MODE_GITLINK and not entry.intent_to_add:
                    yield path, entry.oid, None
        elif kind == TREE:
            sides = _pin(name) == b"files"  # before/…, after/…, staged/…
            for path, _, held in tree_changes(objects, None, oid):
                if held is not None:
                    yield TreePath(path.partition(b"/")[2]) if sides else path, held.oid, None
        elif kind == COMMIT and is_snapshot(objects.commit(oid)):
            yield from _uncommitted(objects, oid)
    if journal is not None:
        yield from _moved_away(objects, journal)


def _pin(name: RefName) -> bytes:
    """The name of a pin within its run, or within what that keeps of another working tree."""
    pin = name.removeprefix(RUN_REFS).partition(b"/")[2]
    return pin.rpartition(b"/")[2] if pin.startswith(TREES.encode() + b"/") else pin


def _uncommitted(objects: Objects, snapshot: Oid) -> Iterator[tuple[TreePath, Oid, None]]:
    """What a snapshot holds that was not committed."""
    commit = objects.commit(snapshot)
    tip, index, *untracked = (objects.commit(oid).tree for oid in commit.parents)
    for before, after in ((tip, index), (index, commit.tree), *((None, tree) for tree in untracked)):
        for path, _, entry in tree_changes(objects, before, after):
            if entry is not None and entry.mode != MODE_GITLINK:
                yield path, entry.oid, None


def _moved_away(objects: Objects, journal: Journal) -> Iterator[tuple[TreePath, Oid, int | None]]:
    """The files in a run's folder: in quarantine, or new ones that were taken back."""
    yield from _in_folder(objects, journal.folder, [change.path for change in journal.plan.file_changes])
    for number, (switch, _) in enumerate(journal.plan.others, start=1):
        yield from _in_folder(objects, journal.tree_folder(number), [change.path for change in switch.files])


def _in_folder(
    objects: Objects, run_folder: str, paths: Sequence[TreePath]
) -> Iterator[tuple[TreePath, Oid, int | None]]:
    for part in (b"quarantine", b"staging"):
        folder = os.path.join(os.fsencode(run_folder), part)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            full = os.path.join(folder, name)
            number = name.partition(b".")[0]
            known = number.isdigit() and int(number) < len(paths)
            path = paths[int(number)] if known else TreePath(part + b"/" + name)
            status = os.lstat(full)
            found = look(full, objects)
            if stat.S_ISDIR(status.st_mode) and not os.listdir(full):
                continue  # a submodule's, which has nothing in it
            if found is None or git_mode(status.st_mode) is None:
                yield path, NO_CONTENT, None
            else:
                yield path, found.oid, status.st_size
