"""The paths that one merge still has to decide on, while renames move files between them."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from resync.merge.files import BASE, OURS, THEIRS, Names, Stages
from resync.merge.walk import Edits, Walk, entry_at, file_at
from resync.model import MODE_TREE, ConflictKind, ObjectStore, Oid, TreeEntry, TreePath

_T = TypeVar("_T")


class Cell(NamedTuple):
    """A path to decide on: its entries, and their names where a rename brought them together here.

    ``conflict`` is set where the path is one whatever its content merges to; ``others`` are the paths
    that such a conflict, or that of two files meeting here, involves besides.
    """

    stages: Stages
    names: Names
    conflict: ConflictKind | None = None
    others: tuple[TreePath, ...] = ()


class Roots(NamedTuple):
    """The trees of a merge; None is the empty one."""

    base: Oid | None
    ours: Oid | None
    theirs: Oid | None


class Cells:
    """The open paths of a merge, and the edits to ours' tree that need no decision.

    ``taken`` are the walk's edits (see ``walk``), ``left`` the paths that a rename emptied.
    """

    def __init__(self, objects: ObjectStore, roots: Roots, found: Walk) -> None:
        self.objects = objects
        self.roots = roots
        self.taken: Edits = found.edits
        self.open = {path: Cell(stages, (path, path, path)) for path, stages in found.open.items()}
        self.left: set[TreePath] = set()

    def at(self, path: TreePath) -> Cell:
        """What is at a path now, open or not."""
        cell = self.open.get(path)
        if cell is not None:
            return cell
        base, ours, theirs = (file_at(self.objects, root, path) for root in self.roots)
        return Cell((base, ours, theirs), (path, path, path))

    def is_directory(self, side: int, path: TreePath) -> bool:
        """Whether a path was a directory on one side."""
        entry = entry_at(self.objects, self.roots[side], path)
        return entry is not None and entry.mode == MODE_TREE

    def decide_at(self, path: TreePath, cell: Cell) -> None:
        """Let a path be decided on by these entries; a conflict that it is part of already stays."""
        present = self.open.get(path)
        if present is not None and present.conflict is not None and cell.conflict is None:
            cell = cell._replace(conflict=present.conflict, others=present.others)
        self.open[path] = cell
        self._take_none(path)

    def arrive(
        self,
        path: TreePath,
        side: int,
        entry: TreeEntry,
        *,
        name: TreePath | None = None,
        conflict: ConflictKind | None = None,
        others: tuple[TreePath, ...] = (),
    ) -> None:
        """Let an entry of one side arrive at a path, beside what is there; ``name`` is its own elsewhere."""
        cell = self.at(path)
        self.decide_at(
            path,
            Cell(
                with_side(cell.stages, side, entry),
                cell.names if name is None else with_side(cell.names, side, name),
                conflict or cell.conflict,
                others,
            ),
        )

    def depart(self, path: TreePath, side: int) -> None:
        """Take one side's entry away from a path."""
        cell = self.at(path)
        self.decide_at(path, cell._replace(stages=with_side(cell.stages, side, None)))

    def leave(self, path: TreePath) -> None:
        """Let nothing be at a path any more, on any side."""
        self.open.pop(path, None)
        self._take_none(path)
        self.left.add(path)

    def _take_none(self, path: TreePath) -> None:
        """Take no file of theirs at a path that is decided on by itself, but still what it replaced away."""
        entry = self.taken.get(path)
        if entry is not None and entry.mode != MODE_TREE:
            self.taken[path] = None


def with_side(three: tuple[_T, _T, _T], side: int, value: _T) -> tuple[_T, _T, _T]:
    """The three, one of them replaced."""
    base, ours, theirs = three
    return (
        value if side == BASE else base,
        value if side == OURS else ours,
        value if side == THEIRS else theirs,
    )
