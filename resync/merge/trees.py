"""The three-way merge of trees, after git's merge-ort.

A walk finds the paths that need a decision; renames are sought only when a file that one side removed
matters to the other; what they pair up is brought together at the new path; then each path is decided
by itself, and the tree is built.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from resync.merge.build import build_tree
from resync.merge.directories import find_directory_renames, moved_along
from resync.merge.files import BASE, OURS, THEIRS, Names, Stages, file_type, merge_entries
from resync.merge.options import GIT_DEFAULTS, MergeOptions
from resync.merge.renames import Renames, find_renames
from resync.merge.walk import Edits, SideChanges, Walk, entry_at, file_at, side_changes, walk
from resync.model import (
    MODE_FILE,
    MODE_TREE,
    Conflict,
    ConflictKind,
    MergeResult,
    ObjectStore,
    Oid,
    TreeEntry,
    TreePath,
)


class _Cell(NamedTuple):
    """A path to decide on: its entries, and their names where a rename brought them together here.

    ``conflict`` is set where the path is one whatever its content merges to, ``others`` are the paths
    that such a conflict, or that of two files meeting here, involves besides.
    """

    stages: Stages
    names: Names
    conflict: ConflictKind | None = None
    others: tuple[TreePath, ...] = ()


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
    merge = _Merge(objects, (base, ours, theirs), options, found)
    if options.renames.enabled and (found.sources[OURS] or found.sources[THEIRS]):
        merge.follow_renames(found)
    return merge.result()


class _Merge:
    """One merge under way: the paths to decide on, and what has been decided."""

    def __init__(
        self,
        objects: ObjectStore,
        roots: tuple[Oid | None, Oid | None, Oid | None],
        options: MergeOptions,
        found: Walk,
    ) -> None:
        self._objects = objects
        self._roots = roots
        self._options = options
        self._taken = found.edits
        self._cells = {path: _Cell(stages, (path, path, path)) for path, stages in found.open.items()}
        self._decided: Edits = {}
        self._labels: dict[TreePath, bytes] = {}
        self._conflicts: list[Conflict] = []
        self._notes: list[str] = []

    # --- renames ---

    def follow_renames(self, found: Walk) -> None:
        """Bring the entries of renamed files together at their new paths."""
        changes = {side: self._changes(side, found) for side in (OURS, THEIRS) if found.sources[side]}
        renames = {side: self._renames(changes[side], found.sources[side], side) for side in changes}
        targets = {side: renames[side].targets if side in renames else {} for side in (OURS, THEIRS)}
        if self._options.renames.directories != "ignore":
            self._follow_directories(found, targets)
        ours, theirs = targets[OURS], targets[THEIRS]
        for source in sorted(ours.keys() | theirs.keys()):
            if source in ours and source in theirs:
                self._renamed_by_both(source, ours[source], theirs[source])
            elif source in ours:
                self._renamed_by_one(source, ours[source], OURS)
            else:
                self._renamed_by_one(source, theirs[source], THEIRS)

    def _changes(self, side: int, found: Walk) -> SideChanges:
        base, own, other = self._roots[BASE], self._roots[side], self._roots[OURS + THEIRS - side]
        return side_changes(self._objects, base, own, other, found.removed[side])

    def _renames(self, changes: SideChanges, relevant: Iterable[TreePath], side: int) -> Renames:
        removed, added = changes
        renames = find_renames(self._objects, removed, added, relevant, self._options.renames)
        if not renames.complete:
            self._notes.append(
                f"renames in {_SIDE_NAMES[side]} were looked for by equal content and equal name only: "
                f"{len(removed)} removed and {len(added)} added files are too many to compare each with each"
            )
        return renames

    def _renamed_by_both(self, source: TreePath, mine: TreePath, other: TreePath) -> None:
        old = self._stages_at(source)[BASE]
        new_mine, new_other = self._stages_at(mine)[OURS], self._stages_at(other)[THEIRS]
        if mine == other:
            self._cells.pop(source, None)
            self._leave(source)
            self._set(mine, _Cell((old, new_mine, new_other), (source, mine, mine)))
            return
        assert new_mine is not None
        assert new_other is not None
        if file_type(new_mine.mode) == file_type(new_other.mode):
            merged = merge_entries(
                self._objects,
                source,
                (old, new_mine, new_other),
                self._options,
                names=(source, mine, other),
                nested=1,
            )
            self._notes += merged.notes
            new_mine = merged.entry
            if merged.conflict != "binary":
                new_other = merged.entry
        self._set(source, _Cell((old, None, None), (source,) * 3, "rename/rename", (mine, other)))
        self._join(mine, OURS, new_mine, "rename/rename", (source, other))
        self._join(other, THEIRS, new_other, "rename/rename", (source, mine))

    def _renamed_by_one(self, source: TreePath, target: TreePath, side: int) -> None:
        other = OURS + THEIRS - side
        at_source, at_target = self._stages_at(source), self._stages_at(target)
        old, followed, new, standing = at_source[BASE], at_source[other], at_target[side], at_target[other]
        assert new is not None
        retyped = followed is not None and _is_regular(followed) != _is_regular(new)
        if followed is None:
            if standing is not None:
                self._join(target, side, new, "rename/delete", (source,))
            else:
                self._set(
                    target,
                    _Cell(
                        _stages(old, side, new, None),
                        _names(source, side, target),
                        "rename/delete",
                        (source,),
                    ),
                )
        elif retyped:
            self._set(target, _Cell(_stages(old, side, new, standing), _names(source, side, target)))
            self._set(source, _Cell(_stages(None, other, followed, None), (source,) * 3))
            return
        elif standing is not None:
            merged = merge_entries(
                self._objects,
                target,
                _stages(old, side, new, followed),
                self._options,
                names=_names(source, side, target),
                nested=1,
            )
            self._notes += merged.notes
            hard: ConflictKind | None = "rename/add" if merged.conflict else None
            self._join(target, side, merged.entry, hard, (source,))
        else:
            stages = _stages(old, side, new, followed)
            self._set(target, _Cell(stages, _names(source, side, target)))
        self._cells.pop(source, None)
        self._leave(source)

    def _follow_directories(self, found: Walk, targets: dict[int, dict[TreePath, TreePath]]) -> None:
        """Take along what one side put into a directory that the other renamed."""
        by_side = {
            side: find_directory_renames(targets[side], found.removed[side]) for side in (OURS, THEIRS)
        }
        both = by_side[OURS].targets.keys() & by_side[THEIRS].targets.keys()
        for side in (OURS, THEIRS):
            moved = {old: new for old, new in by_side[side].targets.items() if old not in both}
            other = OURS + THEIRS - side
            split = by_side[side].split
            if moved or split:
                added = self._changes(other, found).added
                self._move_along(other, moved, split, by_side[other].targets, targets[other], added)

    def _move_along(
        self,
        side: int,
        moved: dict[bytes, bytes],
        split: tuple[bytes, ...],
        own_moves: dict[bytes, bytes],
        renames: dict[TreePath, TreePath],
        added: dict[TreePath, TreeEntry],
    ) -> None:
        sources = {target: source for source, target in renames.items()}
        goals: dict[TreePath, list[TreePath]] = {}
        for path in sorted(added):
            for directory in split:
                if path.startswith(directory + b"/") and moved_along(path, moved) is None:
                    self._join(path, side, added[path], "directory-rename", (TreePath(directory),))
                    break
            along = moved_along(path, moved)
            if along is None:
                continue
            directory, goal = along
            if moved[directory] in own_moves:
                continue
            goals.setdefault(goal, []).append(path)
        for goal, paths in goals.items():
            in_the_way = self._stages_at(goal)[side] is not None or self._is_directory(side, goal)
            for path in paths:
                if in_the_way or len(paths) > 1:
                    self._join(path, side, added[path], "directory-rename", (goal,))
                    continue
                if self._options.renames.directories == "apply":
                    self._join(goal, side, added[path], None, (path,))
                else:
                    self._join(goal, side, added[path], "directory-rename", (path,))
                self._withdraw(path, side)
                if path in sources:
                    renames[sources[path]] = goal

    # --- cells ---

    def _stages_at(self, path: TreePath) -> Stages:
        cell = self._cells.get(path)
        if cell is not None:
            return cell.stages
        base, ours, theirs = (file_at(self._objects, root, path) for root in self._roots)
        return base, ours, theirs

    def _is_directory(self, side: int, path: TreePath) -> bool:
        entry = entry_at(self._objects, self._roots[side], path)
        return entry is not None and entry.mode == MODE_TREE

    def _set(self, path: TreePath, cell: _Cell) -> None:
        previous = self._cells.get(path)
        if previous is not None and previous.conflict is not None and cell.conflict is None:
            cell = cell._replace(conflict=previous.conflict, others=previous.others)
        self._cells[path] = cell
        self._taken.pop(path, None)

    def _join(
        self,
        path: TreePath,
        side: int,
        entry: TreeEntry,
        conflict: ConflictKind | None,
        others: tuple[TreePath, ...],
    ) -> None:
        """Let an entry of one side arrive at a path, beside what the other side has there."""
        cell = self._cells.get(path) or _Cell(self._stages_at(path), (path,) * 3)
        stages = list(cell.stages)
        stages[side] = entry
        self._cells[path] = _Cell(
            (stages[BASE], stages[OURS], stages[THEIRS]), cell.names, conflict or cell.conflict, others
        )
        self._taken.pop(path, None)

    def _leave(self, path: TreePath) -> None:
        """Nothing is at this path any more."""
        self._taken.pop(path, None)
        if file_at(self._objects, self._roots[OURS], path) is not None:
            self._decided[path] = None

    def _withdraw(self, path: TreePath, side: int) -> None:
        """One side's entry went from this path to another."""
        cell = self._cells.get(path)
        stages = list(cell.stages if cell is not None else self._stages_at(path))
        stages[side] = None
        self._set(path, _Cell((stages[BASE], stages[OURS], stages[THEIRS]), (path,) * 3))

    # --- decisions ---

    def result(self) -> MergeResult:
        """Decide every path and build the tree."""
        for path, cell in self._cells.items():
            self._decide(path, cell)
        labels = self._options.labels
        built = build_tree(
            self._objects, self._roots[OURS], self._taken, self._decided, self._labels, labels.ours
        )
        conflicts = [self._moved(conflict, built.moved) for conflict in self._conflicts]
        known = {conflict.path for conflict in conflicts}
        for path, moved in built.moved.items():
            if moved not in known:
                side = THEIRS if self._labels.get(path) == labels.theirs else OURS
                entry = self._decided.get(path) or self._stages_at(path)[side]
                stages = _stages(None, side, entry, None)
                conflicts.append(Conflict(kind="file/directory", path=moved, stages=stages, others=(path,)))
        conflicts.sort(key=lambda conflict: conflict.path)
        return MergeResult(tree=built.tree, conflicts=tuple(conflicts), notes=tuple(self._notes))

    def _moved(self, conflict: Conflict, moved: dict[TreePath, TreePath]) -> Conflict:
        path = moved.get(conflict.path)
        if path is None:
            return conflict
        return Conflict(
            kind="file/directory",
            path=path,
            stages=conflict.stages,
            merged=conflict.merged,
            others=(conflict.path, *conflict.others),
        )

    def _decide(self, path: TreePath, cell: _Cell) -> None:
        base, ours, theirs = cell.stages
        if ours is not None and theirs is not None:
            if file_type(ours.mode) != file_type(theirs.mode):
                self._part(path, cell, ours, theirs)
            else:
                self._merge_content(path, cell)
            return
        entry = ours or theirs
        self._labels[path] = self._options.labels.ours if theirs is None else self._options.labels.theirs
        kind = cell.conflict
        if entry is not None and base is not None and kind is None:
            if entry == base and cell.names[BASE] == path:
                entry = None  # removed by one side and left alone by the other
            else:
                kind = "modify/delete"
        self._put(path, entry)
        if kind is not None:
            self._conflicts.append(Conflict(kind=kind, path=path, stages=cell.stages, others=cell.others))

    def _merge_content(self, path: TreePath, cell: _Cell) -> None:
        labels = self._options.labels
        self._labels[path] = labels.theirs if self._is_directory(OURS, path) else labels.ours
        merged = merge_entries(self._objects, path, cell.stages, self._options, cell.names)
        self._notes += merged.notes
        self._put(path, merged.entry)
        kind = cell.conflict or merged.conflict
        if kind == "add/add" and cell.others:
            kind = "rename/add"
        if kind is not None:
            self._conflicts.append(
                Conflict(kind=kind, path=path, stages=cell.stages, merged=merged.merged, others=cell.others)
            )

    def _part(self, path: TreePath, cell: _Cell, ours: TreeEntry, theirs: TreeEntry) -> None:
        """A file and a link, or the like: they cannot merge, so a regular file steps aside, else both."""
        base = cell.stages[BASE]
        labels = self._options.labels
        apart = self._free_name(path, labels.ours), self._free_name(path, labels.theirs)
        if _is_regular(ours):
            places = (apart[0], path)
        elif _is_regular(theirs):
            places = (path, apart[1])
        else:
            places = apart
        if path not in places:
            self._put(path, None)
        for side, place, entry in ((OURS, places[0], ours), (THEIRS, places[1], theirs)):
            old = base if base is not None and file_type(base.mode) == file_type(entry.mode) else None
            self._put(place, entry)
            self._labels[place] = labels.ours if side == OURS else labels.theirs
            others = tuple(other for other in (*places, path) if other != place)
            self._conflicts.append(
                Conflict(
                    kind="distinct-types",
                    path=place,
                    stages=_stages(old, side, entry, None),
                    others=tuple(dict.fromkeys((*others, *cell.others))),
                )
            )

    def _put(self, path: TreePath, entry: TreeEntry | None) -> None:
        self._decided[path] = entry

    def _free_name(self, path: TreePath, label: bytes) -> TreePath:
        name = free = TreePath(path + b"~" + label.replace(b"/", b"_"))
        number = 0
        while free in self._decided or free in self._cells or self._stages_at(free) != (None, None, None):
            free = TreePath(name + b"_%d" % number)
            number += 1
        return free


_SIDE_NAMES = {OURS: "ours", THEIRS: "theirs"}


def _is_regular(entry: TreeEntry) -> bool:
    return file_type(entry.mode) == file_type(MODE_FILE)


def _stages(base: TreeEntry | None, side: int, entry: TreeEntry | None, other: TreeEntry | None) -> Stages:
    return (base, entry, other) if side == OURS else (base, other, entry)


def _names(source: TreePath, side: int, target: TreePath) -> Names:
    """The names of a file that one side renamed and the other still has at its old place."""
    return (source, target, source) if side == OURS else (source, source, target)
