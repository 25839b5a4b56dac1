"""Carries uncommitted edits over to a new tree: what merges is restored, what conflicts is parked.

Two merges, because staged is to stay staged and unstaged unstaged: HEAD's tree to the index's, onto the
new tree; then the index's to the working tree's, onto the result of the first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from resync.history import tree_changes
from resync.merge import MergeOptions, merge_trees
from resync.merge.lines import Labels
from resync.model import MODE_GITLINK, Conflict, Oid, PathState, TreeEntry, TreePath
from resync.repository import Objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The trees of index and working tree before and after, and the paths whose edits stay behind.

    Trees hold files as git stores them. ``parked`` names paths by their old name, for each of the two
    kinds of edit; ``reasons`` are what the merges have to say about some of them, for people. ``conflicts``
    are to be left in index and working tree for a person: ``new_index`` has nothing at their paths.
    """

    index: Oid
    worktree: Oid
    new_index: Oid
    new_worktree: Oid
    parked_staged: frozenset[TreePath] = frozenset()
    parked_unstaged: frozenset[TreePath] = frozenset()
    reasons: Mapping[TreePath, str] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()


STASH_LABELS = Labels(base=b"Stash base", ours=b"Updated upstream", theirs=b"Stashed changes")
"""What git calls the three sides where it puts a stash back."""


def trees(objects: Objects, head_tree: Oid, changes: Sequence[PathState]) -> tuple[Oid, Oid]:
    """The trees of index and working tree that differ from ``head_tree`` by ``changes``.

    Submodules are never entered: one that stands on another commit than the index says is left so.
    """
    index = objects.edit_tree(head_tree, _staged(changes))
    return index, objects.edit_tree(index, _unstaged(changes))


def edits_between(objects: Objects, head_tree: Oid, index: Oid, worktree: Oid) -> tuple[PathState, ...]:
    """The edits that make ``index`` and ``worktree`` of ``head_tree``: the reverse of ``trees``."""
    staged = {path for path, _, _ in tree_changes(objects, head_tree, index)}
    paths = staged | {path for path, _, _ in tree_changes(objects, index, worktree)}
    return tuple(
        PathState(
            path=path,
            head=objects.entry(head_tree, path),
            index=objects.entry(index, path),
            worktree=objects.entry(worktree, path),
            raw=None,
        )
        for path in sorted(paths)
    )


def _staged(changes: Sequence[PathState]) -> dict[TreePath, TreeEntry | None]:
    return {each.path: each.index for each in changes if each.staged}


def _unstaged(changes: Sequence[PathState]) -> dict[TreePath, TreeEntry | None]:
    return {each.path: each.worktree for each in changes if each.unstaged and not _is_submodule(each)}


def carry(
    objects: Objects, head_tree: Oid, new_tree: Oid, changes: Sequence[PathState], options: MergeOptions
) -> Carried:
    """Carry the edits in ``changes``, made on ``head_tree``, over to ``new_tree``.

    A path whose staged edit conflicts is parked with its unstaged edit, which was made on top of it.
    """
    staged, unstaged = _staged(changes), _unstaged(changes)
    index, worktree = trees(objects, head_tree, changes)
    options = replace(options, labels=STASH_LABELS)
    reasons: dict[TreePath, list[str]] = {}
    new_index, parked_staged = _merge(objects, head_tree, new_tree, index, staged, options, reasons)
    base = {path: objects.entry(index, path) for path in unstaged}
    without_parked = objects.edit_tree(worktree, {p: base[p] for p in unstaged if p in parked_staged})
    edits = {path: entry for path, entry in unstaged.items() if path not in parked_staged}
    new_worktree, parked_unstaged = _merge(objects, index, new_index, without_parked, edits, options, reasons)
    return Carried(
        index=index,
        worktree=worktree,
        new_index=new_index,
        new_worktree=new_worktree,
        parked_staged=parked_staged,
        parked_unstaged=parked_unstaged | (parked_staged & unstaged.keys()),
        reasons={path: "; ".join(dict.fromkeys(texts)) for path, texts in reasons.items()},
    )


def _merge(
    objects: Objects,
    base: Oid,
    ours: Oid,
    theirs: Oid,
    edits: Mapping[TreePath, TreeEntry | None],
    options: MergeOptions,
    reasons: dict[TreePath, list[str]],
) -> tuple[Oid, frozenset[TreePath]]:
    """Merge ``theirs``, which differs from ``base`` by ``edits``; leave out edits until it is clean.

    What there is to say about an edit is added to ``reasons``.
    """
    parked: set[TreePath] = set()
    while True:
        merged = merge_trees(objects, base, ours, theirs, options)
        left = edits.keys() - parked
        for note in merged.notes:
            for path in left:
                if note.path is not None and concerned(path, (note.path,)):
                    reasons.setdefault(path, []).append(note.text)
        if merged.clean or not left:
            return (merged.tree if merged.clean else ours), frozenset(parked)
        named = {path for conflict in merged.conflicts for path in (conflict.path, *conflict.others)}
        # A conflict that names no edit comes from how several act together (a directory's rename).
        blamed = {path for path in left if concerned(path, named)} or left
        parked |= blamed
        theirs = objects.edit_tree(theirs, {path: objects.entry(base, path) for path in blamed})


def concerned(path: TreePath, named: Collection[TreePath]) -> bool:
    """Whether a path is one of those named, or one of them lies in the place of the other's folder."""
    return path in named or any(
        path.startswith(other + b"/") or other.startswith(path + b"/") for other in named
    )


def _is_submodule(state: PathState) -> bool:
    """Whether a repository stands at the path, or the folder of one is missing; a file in its place is an
    edit like any other."""
    there = state.worktree or state.index
    return there is not None and there.mode == MODE_GITLINK
