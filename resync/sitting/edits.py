"""What was not committed, in a sitting: edits that were set aside come back, and parked ones are offered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from resync import plan as planning
from resync import rescue as rescues
from resync.backup import RUN_REFS
from resync.carry import STASH_LABELS, Carried, carry, concerned, edits_between
from resync.history import tree_changes
from resync.merge import merge_trees
from resync.model import (
    Head,
    LocalFile,
    Oid,
    ParkedEdits,
    RefName,
    Sitting,
    Taken,
    TreeEntry,
    TreePath,
)
from resync.replay.picking import touched, without_conflicts
from resync.repository import Objects
from resync.sitting.table import End, Table
from resync.worktree.snapshot import stash


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edits:
    """Edits that were parked, as a tree of what git stores and the one that they were made on; ``unstaged``
    are those of which nothing was staged."""

    base: Oid
    theirs: Oid
    unstaged: tuple[TreePath, ...]


def come_back(table: Table, sitting: Sitting, tree: Oid, edited: Sequence[TreePath]) -> End:
    """Merge the edits that were set aside back; what conflicts, or was edited anew, is parked."""
    if sitting.aside is None or sitting.returned:
        return End(sitting=sitting, index=tree, worktree=tree)
    objects = table.objects
    aside = objects.commit(sitting.aside)
    old, index = (objects.commit(oid).tree for oid in aside.parents)
    edits = edits_between(objects, old, index, aside.tree)
    free = [each for each in edits if not concerned(each.path, edited)]
    carried = carry(objects, old, tree, free, table.options)
    if _reaches(objects, tree, carried, edited):  # by way of a rename
        free = []
        carried = carry(objects, old, tree, free, table.options)
    files = planning.local_files(objects, carried, tree, free, (), lambda path, entry: entry)
    again = [each for each in edits if each not in free]
    files += tuple(
        replace(file, verdict="parked", reason="you edited it meanwhile")
        for file in planning.set_aside(again)
    )
    parked = tuple(dict.fromkeys(each.path for each in files if each.verdict == "parked"))
    waiting = (*sitting.edits, ParkedEdits(run=sitting.id, paths=parked)) if parked else sitting.edits
    return End(
        sitting=replace(sitting, returned=True, edits=waiting),
        index=carried.new_index,
        worktree=carried.new_worktree,
        files=files,
    )


def _reaches(objects: Objects, tree: Oid, carried: Carried, edited: Sequence[TreePath]) -> bool:
    changed = [
        path
        for new in (carried.new_index, carried.new_worktree)
        for path, _, _ in tree_changes(objects, tree, new)
    ]
    return any(concerned(path, edited) for path in changed)


def offer(table: Table, end: End) -> End:
    """Take parked edits to the working tree, run by run: what merges by now at once, the rest for a
    person."""
    objects, sitting = table.objects, end.sitting
    for number, parked in enumerate(sitting.edits):
        edits = _parked(table, sitting, parked)
        if edits is None:
            continue
        options = replace(table.options, labels=STASH_LABELS)
        merged = merge_trees(objects, edits.base, end.worktree, edits.theirs, options)
        paths = touched(objects, end.worktree, merged)
        index = table.taking(end.index, merged.tree, _stageable(objects, end, edits, paths))
        if merged.clean:
            end = replace(
                end,
                index=index,
                worktree=merged.tree,
                sitting=replace(end.sitting, settled=(*end.sitting.settled, parked)),
                files=tuple(_with_settled(end.files, sitting, parked)),
            )
            continue
        head = Head(branch=table.head.branch, tip=end.sitting.tip)
        taken = Taken(
            commit=None,
            edits=parked,
            under=stash(objects, head, end.index, end.worktree, table.who),
            paths=paths,
            conflicts=tuple(dict.fromkeys(each.path for each in merged.conflicts)),
            unstaged=edits.unstaged,
        )
        left = sitting.edits[number + 1 :]
        return replace(
            end,
            sitting=replace(end.sitting, taken=taken, edits=left),
            index=without_conflicts(objects, index, merged.conflicts),
            worktree=merged.tree,
            conflicts=merged.conflicts,
        )
    return replace(end, sitting=replace(end.sitting, edits=()))


def _with_settled(files: Sequence[LocalFile], sitting: Sitting, settled: ParkedEdits) -> Iterator[LocalFile]:
    """What became of files, those among it that have been merged in after all."""
    for each in files:
        if settled.run == sitting.id and each.path in settled.paths and each.verdict == "parked":
            yield replace(each, verdict="restored", reason="")
        else:
            yield each


def _stageable(objects: Objects, end: End, edits: _Edits, paths: Iterable[TreePath]) -> Iterator[TreePath]:
    """The paths at which an edit was staged and that have no other edit now."""
    for path in paths:
        now = objects.entry(end.worktree, path)
        if path not in edits.unstaged and now == objects.entry(end.index, path):
            yield path


def _parked(table: Table, sitting: Sitting, parked: ParkedEdits) -> _Edits | None:
    """The edits that a run parked; None where its backup is gone by now."""
    objects, pins = table.objects, RUN_REFS + parked.run.encode()
    own = parked.run == sitting.id
    oid = sitting.aside if own else table.repository.ref(RefName(pins + b"/work"))
    if oid is None:
        return None
    kept = rescues.read(table.repository, RefName(pins), oid, parked.run)
    base = objects.commit(kept.tip).tree
    staged, unstaged = kept.staged or base, kept.unstaged or base
    found: dict[TreePath, TreeEntry | None] = {}
    loose: list[TreePath] = []
    form = table.form(base)
    for path in parked.paths:
        entry = objects.entry(unstaged, path)
        cleaned = own or (kept.raw is not None and objects.entry(kept.raw, path) is not None)
        found[path] = entry if cleaned else form.stored(path, entry)
        if objects.entry(staged, path) == objects.entry(base, path):
            loose.append(path)
    return _Edits(base=base, theirs=objects.edit_tree(base, found), unstaged=tuple(loose))
