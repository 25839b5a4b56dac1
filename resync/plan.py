"""From what was observed and rehearsed to the plan: every step of a run, decided before the first.

Pure: trees are compared in the object store's memory, nothing is read from the working tree and nothing
is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from resync.carry import Carried
from resync.checkout import Checkout
from resync.history import tree_changes
from resync.model import (
    MODE_GITLINK,
    MODE_TREE,
    Conflict,
    FileChange,
    FileVerdict,
    IndexChange,
    IndexRecord,
    InTheWay,
    LocalFile,
    Oid,
    PathKind,
    PathState,
    Switch,
    TreeEntry,
    TreePath,
)
from resync.repository import Objects
from resync.worktree.index import Index, IndexEntry

OnDisk = Mapping[TreePath, TreeEntry | None]
ToDisk = Callable[[TreePath, TreeEntry], TreeEntry]


def switch(
    objects: Objects,
    carried: Carried,
    in_the_way: Sequence[InTheWay],
    on_disk: OnDisk,
    to_disk: ToDisk,
    checkout: Checkout,
) -> Switch:
    """The files and index entries that change.

    ``on_disk`` has what stands on disk at every tracked path whose file changes; ``to_disk`` gives the
    form that an entry takes in the working tree (end-of-line conversion). A path outside a sparse
    checkout that is not on disk stays out of it.
    """
    index = checkout.index
    conflicts = {each.path for each in carried.conflicts}
    files = {
        change.path: change
        for change in _file_changes(objects, carried, on_disk, to_disk)
        if change.path in conflicts or not _stays_sparse(index.entries.get(change.path), change)
    }
    for each in in_the_way:
        known = files.get(each.path)
        after = known.after if known is not None else None
        if after == each.entry:
            files.pop(each.path, None)
        else:
            files[each.path] = FileChange(path=each.path, before=each.entry, after=after)
    changed = frozenset(files) | {each.path for each in in_the_way}
    return Switch(
        files=tuple(files[path] for path in sorted(files)),
        index=tuple(_index_changes(objects, carried, index, changed)),
        index_file=checkout.index_file,
    )


def _file_changes(
    objects: Objects, carried: Carried, on_disk: OnDisk, to_disk: ToDisk
) -> Iterator[FileChange]:
    for path, old, new in tree_changes(objects, carried.worktree, carried.new_worktree):
        before = on_disk.get(path)
        after = to_disk(path, new) if new is not None else None
        both_submodules = (
            old is not None and new is not None and old.mode == new.mode and new.mode == MODE_GITLINK
        )
        if before != after and not both_submodules:
            yield FileChange(path=path, before=before, after=after)


def _stays_sparse(entry: IndexEntry | None, change: FileChange) -> bool:
    return entry is not None and entry.skip_worktree and change.before is None


def _index_changes(
    objects: Objects, carried: Carried, index: Index, changed: frozenset[TreePath]
) -> Iterator[IndexChange]:
    """Index entries by path; stat data is taken from the file only where the run itself wrote it."""
    for path, _, new in tree_changes(objects, carried.index, carried.new_index):
        entry = index.entries.get(path)
        sparse = entry is not None and entry.skip_worktree and path not in changed
        after = None
        if new is not None:
            same = objects.entry(carried.new_worktree, path) == new
            after = IndexRecord(
                mode=new.mode, oid=new.oid, skip_worktree=sparse, in_file=same and path in changed
            )
        yield IndexChange(path=path, before=record(entry), after=after)
    yield from _stage_changes(carried.conflicts, index)
    for path in sorted(index.entries.announced()):
        if not _still_intended(objects, carried, path):
            yield IndexChange(path=path, before=record(index.entries[path]), after=None)


def _stage_changes(conflicts: Sequence[Conflict], index: Index) -> Iterator[IndexChange]:
    """The sides of conflicts: those in the index go, and the new ones come."""
    before = {(each.path, each.stage): each for stages in index.unmerged.values() for each in stages}
    after = {
        (conflict.path, stage): entry
        for conflict in conflicts
        for stage, entry in enumerate(conflict.stages, start=1)
        if entry is not None
    }
    for path, stage in sorted(before.keys() | after.keys()):
        old, new = record(before.get((path, stage))), after.get((path, stage))
        made = IndexRecord(mode=new.mode, oid=new.oid) if new is not None else None
        if old != made:
            yield IndexChange(path=path, stage=stage, before=old, after=made)


def _still_intended(objects: Objects, carried: Carried, path: TreePath) -> bool:
    """Whether the entry of a new file that was only announced (``git add -N``) stays.

    It goes with its file, where that is parked or was given another name, and where the new index has a
    folder at the path or a file above it. An entry that upstream's takes the place of is no matter of ours.
    """
    slash = path.find(b"/")
    while slash > 0:
        above = objects.entry(carried.new_index, TreePath(path[:slash]))
        if above is None or above.mode != MODE_TREE:
            return above is None and _has_its_file(objects, carried, path)
        slash = path.find(b"/", slash + 1)
    indexed = objects.entry(carried.new_index, path)
    if indexed is not None:
        return indexed.mode != MODE_TREE
    return _has_its_file(objects, carried, path)


def _has_its_file(objects: Objects, carried: Carried, path: TreePath) -> bool:
    had = objects.entry(carried.worktree, path) is not None
    return not had or objects.entry(carried.new_worktree, path) is not None


def record(entry: IndexEntry | None) -> IndexRecord | None:
    """An index entry as a plan keeps it, or None where there is none."""
    if entry is None:
        return None
    return IndexRecord(
        mode=entry.mode,
        oid=entry.oid,
        assume_valid=entry.assume_valid,
        skip_worktree=entry.skip_worktree,
        intent_to_add=entry.intent_to_add,
    )


def local_files(
    objects: Objects,
    carried: Carried,
    new_tree: Oid,
    changes: Iterable[PathState],
    in_the_way: Iterable[InTheWay],
    to_disk: ToDisk,
) -> tuple[LocalFile, ...]:
    """What becomes of each uncommitted edit and of each file in the way, by path."""
    found: list[LocalFile] = []
    for state in changes:
        path = state.path
        upstream = objects.entry(new_tree, path)
        staged = objects.entry(carried.new_index, path)
        final = objects.entry(carried.new_worktree, path)
        reason = carried.reasons.get(path, "")
        if state.staged:
            verdict = _verdict(path in carried.parked_staged, staged, upstream, state.index)
            found.append(LocalFile(path=path, state="staged", verdict=verdict, reason=reason))
        if state.unstaged:
            verdict = _verdict(path in carried.parked_unstaged, final, staged, state.worktree)
            found.append(LocalFile(path=path, state="unstaged", verdict=verdict, reason=reason))
    for each in in_the_way:
        new = objects.entry(carried.new_worktree, each.path)
        adopted = new is not None and to_disk(each.path, new) == each.entry
        found.append(
            LocalFile(
                path=each.path,
                state=kind_of(each),
                verdict="adopted" if adopted else "parked",
            )
        )
    return tuple(sorted(found, key=lambda each: (each.path, each.state)))


def set_aside(changes: Iterable[PathState]) -> tuple[LocalFile, ...]:
    """What is said of uncommitted edits that wait until conflicts are resolved."""
    return tuple(
        LocalFile(path=each.path, state=state, verdict="set-aside")
        for each in changes
        for state, differs in _differs(each)
        if differs
    )


def _differs(state: PathState) -> tuple[tuple[PathKind, bool], ...]:
    return ("staged", state.staged), ("unstaged", state.unstaged)


def kind_of(each: InTheWay) -> PathKind:
    """What a file in the way is called in reports."""
    if each.special:
        return "special"
    return "ignored" if each.ignored else "untracked"


def _verdict(
    parked: bool, final: TreeEntry | None, under: TreeEntry | None, mine: TreeEntry | None
) -> FileVerdict:
    """``final`` is what stands in the end, ``under`` what would without the edit, ``mine`` the edit."""
    if parked:
        return "parked"
    if final is None and mine is not None:
        return "restored"  # at the name that upstream gave the file
    if final == under:
        return "adopted"
    return "kept" if final == mine else "restored"
