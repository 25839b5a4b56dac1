"""The three-way merge of trees, after git's merge-ort.

A walk finds the paths that need a decision; renames are sought only when a file that one side removed
matters to the other; what they pair up is brought together at the new path; then each path is decided
by itself, and the tree is built.
"""

from __future__ import annotations

from typing import NamedTuple

from resync.merge.build import build_tree
from resync.merge.cells import Cell, Cells, Roots
from resync.merge.files import BASE, OURS, THEIRS, file_type, merge_entries
from resync.merge.follow import follow_renames
from resync.merge.options import GIT_DEFAULTS, MergeOptions
from resync.merge.walk import Edits, entry_at, walk
from resync.model import (
    MODE_FILE,
    Conflict,
    ConflictKind,
    MergeResult,
    Note,
    ObjectStore,
    Oid,
    TreeEntry,
    TreePath,
)


def merge_trees(
    objects: ObjectStore,
    base: Oid | None,
    ours: Oid | None,
    theirs: Oid | None,
    options: MergeOptions = GIT_DEFAULTS,
) -> MergeResult:
    """Merge into ours what theirs changed since base, as git's merge-ort does; None is the empty tree.

    New trees and blobs are added to ``objects``; nothing else is changed. Raises ``Refused`` for a missing or
    damaged object, and never for what the files contain.
    """
    found = walk(objects, base, ours, theirs)
    cells = Cells(objects, Roots(base, ours, theirs), found)
    notes: list[Note] = []
    if options.renames.enabled and (found.sources[OURS] or found.sources[THEIRS]):
        notes += follow_renames(cells, found, options)
    decisions = _Decisions(cells, options)
    for path, cell in cells.open.items():
        decisions.decide(path, cell)
    return decisions.result(notes)


def surely_conflicts(
    objects: ObjectStore,
    base: Oid | None,
    ours: Oid | None,
    theirs: Oid | None,
    options: MergeOptions = GIT_DEFAULTS,
) -> bool:
    """Whether a file that all three sides have at one path conflicts, which no rename could settle.

    Where the answer is True it is found with a fraction of the work of ``merge_trees``; False says nothing.
    Raises as ``merge_trees`` does.
    """
    for path, (old, mine, other) in walk(objects, base, ours, theirs).open.items():
        if old is None or mine is None or other is None or file_type(mine.mode) != file_type(other.mode):
            continue
        if merge_entries(objects, path, (old, mine, other), options).conflict is not None:
            return True
    return False


class _Placed(NamedTuple):
    """A file's final place in the tree; ``side`` names it if a directory makes it step aside."""

    entry: TreeEntry
    side: int


class _Decisions:
    """What has been decided so far in one merge."""

    def __init__(self, cells: Cells, options: MergeOptions) -> None:
        self._cells = cells
        self._options = options
        self._labels = {OURS: options.labels.ours, THEIRS: options.labels.theirs}
        self._placed: dict[TreePath, _Placed | None] = dict.fromkeys(cells.left)
        self._conflicts: list[Conflict] = []
        self._notes: list[Note] = []

    def decide(self, path: TreePath, cell: Cell) -> None:
        """Decide what is to be at a path."""
        base, ours, theirs = cell.stages
        if ours is None or theirs is None:
            self._decide_one(path, cell, base, ours or theirs, THEIRS if ours is None else OURS)
        elif file_type(ours.mode) == file_type(theirs.mode):
            self._merge(path, cell)
        else:
            self._part(path, cell, ours, theirs)

    def _decide_one(
        self, path: TreePath, cell: Cell, base: TreeEntry | None, entry: TreeEntry | None, side: int
    ) -> None:
        """At most one side has something here."""
        kind = cell.conflict
        if kind is None and entry is not None and base is not None:
            if entry == base and cell.names[BASE] == path:
                entry = None  # removed by one side and left alone by the other
            else:
                kind = "modify/delete"
        self._placed[path] = None if entry is None else _Placed(entry, side)
        self._note_conflict(kind, path, cell)

    def _merge(self, path: TreePath, cell: Cell) -> None:
        """Both sides have a file of one type here."""
        merged = merge_entries(self._cells.objects, path, cell.stages, self._options, cell.names)
        self._notes += merged.notes
        # Only one of them can be here if there is a directory too.
        self._placed[path] = _Placed(merged.entry, THEIRS if self._cells.is_directory(OURS, path) else OURS)
        kind = cell.conflict or merged.conflict
        if kind == "add/add" and cell.others:
            kind = "rename/add"
        self._note_conflict(kind, path, cell, merged.merged)

    def _part(self, path: TreePath, cell: Cell, ours: TreeEntry, theirs: TreeEntry) -> None:
        """A file and a link, or the like: they cannot merge, so a regular file steps aside, else both."""
        places = {OURS: path, THEIRS: path}
        if _is_regular(ours):
            places[OURS] = self._free_name(path, OURS)
        elif _is_regular(theirs):
            places[THEIRS] = self._free_name(path, THEIRS)
        else:
            places = {side: self._free_name(path, side) for side in places}
            self._placed[path] = None
        base = cell.stages[BASE]
        for side, entry in ((OURS, ours), (THEIRS, theirs)):
            old = base if base is not None and file_type(base.mode) == file_type(entry.mode) else None
            others = tuple(dict.fromkeys([*places.values(), path, *cell.others]))
            self._placed[places[side]] = _Placed(entry, side)
            self._conflicts.append(
                Conflict(
                    kind="distinct-types",
                    path=places[side],
                    stages=(old, entry, None) if side == OURS else (old, None, entry),
                    others=tuple(other for other in others if other != places[side]),
                )
            )

    def _note_conflict(
        self, kind: ConflictKind | None, path: TreePath, cell: Cell, merged: Oid | None = None
    ) -> None:
        if kind is not None:
            self._conflicts.append(
                Conflict(kind=kind, path=path, stages=cell.stages, merged=merged, others=cell.others)
            )

    def _free_name(self, path: TreePath, side: int) -> TreePath:
        """A name beside a path, after the side that it is for."""
        name = free = TreePath(path + b"~" + self._labels[side].replace(b"/", b"_"))
        number = 0
        while (
            free in self._placed
            or self._cells.at(free).stages != (None, None, None)
            or any(self._cells.is_directory(side, free) for side in (OURS, THEIRS))
        ):
            free = TreePath(name + b"_%d" % number)
            number += 1
        return free

    def result(self, notes: list[Note]) -> MergeResult:
        """Build the tree of what was decided."""
        decided: Edits = {
            path: None if placed is None else placed.entry for path, placed in self._placed.items()
        }
        labels = {path: self._labels[placed.side] for path, placed in self._placed.items() if placed}
        built = build_tree(
            self._cells.objects,
            self._cells.roots.ours,
            self._cells.taken,
            decided,
            labels,
            self._labels[OURS],
        )
        conflicts = {conflict.path: conflict for conflict in self._conflicts}
        for path, place in built.moved.items():
            conflicts[place] = self._aside(path, place, conflicts.pop(path, None))
        for path in self._gone_below(built.tree):
            conflicts.pop(path, None)
        return MergeResult(
            tree=built.tree,
            conflicts=tuple(conflicts[path] for path in sorted(conflicts)),
            notes=(*notes, *self._notes),
        )

    def _gone_below(self, tree: Oid) -> list[TreePath]:
        """Old names of renamed files at which there is a directory now: nothing can be recorded there."""
        return [
            conflict.path
            for conflict in self._conflicts
            if conflict.stages[OURS] is conflict.stages[THEIRS] is None
            and entry_at(self._cells.objects, tree, conflict.path) is not None
        ]

    def _aside(self, path: TreePath, place: TreePath, known: Conflict | None) -> Conflict:
        """The conflict of a file that had to step aside for a directory."""
        if known is not None:
            return Conflict(
                kind="file/directory",
                path=place,
                stages=known.stages,
                merged=known.merged,
                others=(path, *known.others),
            )
        placed = self._placed.get(path)
        if placed is None:  # never decided on: ours had it, and a rename made a directory of its path
            entry = self._cells.at(path).stages[OURS]
            return Conflict(kind="file/directory", path=place, stages=(None, entry, None), others=(path,))
        stages = (None, placed.entry, None) if placed.side == OURS else (None, None, placed.entry)
        return Conflict(kind="file/directory", path=place, stages=stages, others=(path,))


def _is_regular(entry: TreeEntry) -> bool:
    return file_type(entry.mode) == file_type(MODE_FILE)
