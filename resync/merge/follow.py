"""What renames do to a merge: entries of one file are brought together at its new path.

The cases and what becomes of them are those of git's merge-ort: both sides renamed a file, in the same way or
in two; one side did, and the other kept, edited, removed or retyped it, or put another file at the new
path; one side renamed a whole directory, and the other put files into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from resync.merge.cells import Cell, Cells, with_side
from resync.merge.directories import DirectoryRenames, find_directory_renames, moved_along
from resync.merge.files import BASE, OURS, THEIRS, FileMerge, Names, Stages, file_type, merge_entries
from resync.merge.options import MergeOptions
from resync.merge.renames import dirname, find_renames
from resync.merge.walk import SideChanges, Walk, side_changes
from resync.model import MODE_FILE, ConflictKind, Note, TreeEntry, TreePath

_SIDES = (OURS, THEIRS)
_SIDE_NAMES = {OURS: "ours", THEIRS: "theirs"}


def follow_renames(cells: Cells, found: Walk, options: MergeOptions) -> list[Note]:
    """Find the renames that matter to the merge and apply them to its cells; returns notes for the report.

    Raises ``Refused`` for a missing object.
    """
    follower = _Follower(cells, found, options)
    renames = {side: follower.find(side) for side in _SIDES}
    if options.renames.directories != "ignore":
        follower.follow_directories(renames)
    for source in sorted({*renames[OURS], *renames[THEIRS]}):
        mine, other = renames[OURS].get(source), renames[THEIRS].get(source)
        if mine is None or other is None:
            target, side = (other, THEIRS) if mine is None else (mine, OURS)
            assert target is not None
            follower.renamed_by_one(source, target, side)
        elif mine == other:
            follower.renamed_alike(source, mine)
        else:
            follower.renamed_apart(source, mine, other)
    return follower.notes


class _Follower:
    """The cells of one merge, and what is needed to merge contents on the way."""

    def __init__(self, cells: Cells, found: Walk, options: MergeOptions) -> None:
        self.notes: list[Note] = []
        self._cells = cells
        self._found = found
        self._options = options

    # --- finding ---

    def find(self, side: int) -> dict[TreePath, TreePath]:
        """The renames of one side, if any matter."""
        relevant = self._found.sources[side]
        if not relevant:
            return {}
        removed, added = self._changes(side)
        renames = find_renames(self._cells.objects, removed, added, relevant, self._options.renames)
        if not renames.complete:
            self.notes.append(
                Note(
                    None,
                    f"renames in {_SIDE_NAMES[side]} were looked for by equal content and equal name only:"
                    f" {len(removed)} removed and {len(added)} added files are too many to compare each with"
                    " each",
                )
            )
        return renames.targets

    def _changes(self, side: int) -> SideChanges:
        roots = self._cells.roots
        return side_changes(
            self._cells.objects,
            roots[BASE],
            roots[side],
            roots[_opposite(side)],
            self._found.removed[side],
        )

    # --- files ---

    def renamed_alike(self, source: TreePath, target: TreePath) -> None:
        """Both sides gave a file the same new name."""
        old, at_target = self._cells.at(source), self._cells.at(target)
        self._cells.leave(source)
        stages = with_side(at_target.stages, BASE, old.stages[BASE])
        self._cells.decide_at(target, Cell(stages, at_target.names))

    def renamed_apart(self, source: TreePath, mine: TreePath, other: TreePath) -> None:
        """Each side gave a file its own new name: what they made of it merges, and stands at both."""
        old, at_mine, at_other = self._cells.at(source), self._cells.at(mine), self._cells.at(other)
        ours, theirs = at_mine.stages[OURS], at_other.stages[THEIRS]
        assert ours is not None
        assert theirs is not None
        if file_type(ours.mode) == file_type(theirs.mode):
            merged = self._merge(source, (old.stages[BASE], ours, theirs), (source, mine, other))
            ours = merged.entry
            theirs = theirs if merged.conflict == "binary" else merged.entry
        self._cells.decide_at(
            source, Cell((old.stages[BASE], None, None), old.names, "rename/rename", (mine, other))
        )
        self._cells.arrive(mine, OURS, ours, conflict="rename/rename", others=(source, other))
        self._cells.arrive(other, THEIRS, theirs, conflict="rename/rename", others=(source, mine))

    def renamed_by_one(self, source: TreePath, target: TreePath, side: int) -> None:
        """One side gave a file a new name; the other has it at its old place, or removed it."""
        other = _opposite(side)
        at_source, at_target = self._cells.at(source), self._cells.at(target)
        old, kept = at_source.stages[BASE], at_source.stages[other]
        new, standing = at_target.stages[side], at_target.stages[other]
        assert new is not None
        if kept is not None and _is_regular(kept) != _is_regular(new):
            # The other side made something else of the file. What it has at the old place stays there, and
            # what it has at the new one is taken for the same file, renamed without being seen as such.
            self._bring(target, old, source)
            self._cells.decide_at(source, at_source._replace(stages=with_side(at_source.stages, BASE, None)))
            return
        self._cells.leave(source)
        if kept is None:
            if standing is None:
                self._bring(target, old, source)
            self._cells.arrive(target, side, new, conflict="rename/delete", others=(source,))
        elif standing is None:
            self._bring(target, old, source)
            self._cells.arrive(target, other, kept, name=source)
        else:
            names = with_side((source, source, source), side, target)
            merged = self._merge(target, _on(side, old, new, kept), names)
            conflict: ConflictKind | None = "rename/add" if merged.conflict else None
            self._cells.arrive(target, side, merged.entry, conflict=conflict, others=(source,))

    def _bring(self, target: TreePath, old: TreeEntry | None, source: TreePath) -> None:
        """Let the base's entry of a renamed file be at its new path."""
        cell = self._cells.at(target)
        stages, names = with_side(cell.stages, BASE, old), with_side(cell.names, BASE, source)
        self._cells.decide_at(target, cell._replace(stages=stages, names=names))

    def _merge(self, path: TreePath, stages: Stages, names: Names) -> FileMerge:
        """Merge a content that may be merged again where it comes to stand: its markers are longer."""
        merged = merge_entries(self._cells.objects, path, stages, self._options, names, nested=1)
        self.notes += merged.notes
        return merged

    # --- directories ---

    def follow_directories(self, renames: Mapping[int, dict[TreePath, TreePath]]) -> None:
        """Take along what one side put into a directory that the other renamed; updates ``renames``."""
        found = {side: find_directory_renames(renames[side], self._found.removed[side]) for side in _SIDES}
        by_both = found[OURS].targets.keys() & found[THEIRS].targets.keys()
        targets = {
            side: {old: new for old, new in found[side].targets.items() if old not in by_both}
            for side in _SIDES
        }
        for side in _SIDES:
            other = _opposite(side)
            moves = found[other]._replace(targets=targets[other])
            if moves.targets or moves.split:
                self._take_along(side, moves, targets[side], renames[side])

    def _take_along(
        self,
        side: int,
        moves: DirectoryRenames,
        own_moves: Mapping[bytes, bytes],
        renames: dict[TreePath, TreePath],
    ) -> None:
        """Move what one side added as the other side's ``moves`` say, except into what it moved itself."""
        added = self._changes(side).added
        sources = {target: source for source, target in renames.items()}
        goals: dict[TreePath, list[TreePath]] = {}
        for path in sorted(added):
            along = moved_along(path, moves.targets)
            if along is not None and moves.targets[along[0]] not in own_moves:
                goals.setdefault(along[1], []).append(path)
        for directory in moves.split:
            for path in _nearest(directory, added):
                if moved_along(path, moves.targets) is None:
                    self._doubt(path, side, TreePath(directory))
        for goal, paths in goals.items():
            if len(paths) > 1 or self._in_the_way(side, goal, sources.get(paths[0])):
                for path in paths:
                    self._doubt(path, side, goal)
                continue
            (path,) = paths
            entry = self._cells.at(path).stages[side]
            assert entry is not None
            doubt: ConflictKind | None = (
                None if self._options.renames.directories == "apply" else "directory-rename"
            )
            self._cells.depart(path, side)
            self._cells.arrive(goal, side, entry, name=path, conflict=doubt, others=(path,))
            if sources.get(path) == goal:
                del renames[goal]  # taken along to where it came from: not renamed any more
            elif path in sources:
                renames[sources[path]] = goal

    def _in_the_way(self, side: int, goal: TreePath, source: TreePath | None) -> bool:
        """Whether a file cannot be taken along to a path: its own side has something there, or base had."""
        stages = self._cells.at(goal).stages
        if stages[side] is not None or self._cells.is_directory(side, goal):
            return True
        return stages[BASE] is not None and goal != source

    def _doubt(self, path: TreePath, side: int, goal: TreePath) -> None:
        """Leave a file where it is and say that it should perhaps be elsewhere."""
        entry = self._cells.at(path).stages[side]
        assert entry is not None
        self._cells.arrive(path, side, entry, conflict="directory-rename", others=(goal,))


def _nearest(directory: bytes, added: Iterable[TreePath]) -> list[TreePath]:
    """The added files inside a directory, or in the nearest one above that has any."""
    while True:
        inside = sorted(path for path in added if path.startswith(directory + b"/"))
        if inside or not directory:
            return inside
        directory = dirname(directory)


def _opposite(side: int) -> int:
    return THEIRS if side == OURS else OURS


def _is_regular(entry: TreeEntry) -> bool:
    return file_type(entry.mode) == file_type(MODE_FILE)


def _on(side: int, base: TreeEntry | None, own: TreeEntry, other: TreeEntry) -> Stages:
    return (base, own, other) if side == OURS else (base, other, own)
