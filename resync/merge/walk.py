"""Which paths a merge has to look at, found by walking trees side by side.

Trees are entered only where their ids differ, and with a stack of our own: depth is bounded by memory,
not by the interpreter's recursion limit.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from resync.errors import Refused
from resync.merge.files import BASE, OURS, THEIRS, Stages
from resync.merge.order import hash_order
from resync.merge.remembered import Remembered
from resync.model import MODE_TREE, ObjectStore, Oid, Tree, TreeEntry, TreePath

Edits: TypeAlias = "dict[TreePath, TreeEntry | None]"
"""What is to be put at paths of ours' tree, a whole tree perhaps; None removes."""

_EMPTY: Tree = {}


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk over three trees found.

    ``edits`` are what theirs did to things that ours left alone, whole trees at once. ``open`` are the files
    that need a decision: not equal on any two sides, or gone from both. For each side, ``sources`` are the
    files it removed whose new name would matter to what the other side did, and ``removed`` the directories
    it removed while the other side went on inside: True where that side added files to the directory itself.
    """

    edits: Edits = field(default_factory=dict)
    open: dict[TreePath, Stages] = field(default_factory=dict)
    sources: Mapping[int, set[TreePath]] = field(default_factory=lambda: {OURS: set(), THEIRS: set()})
    removed: Mapping[int, dict[TreePath, bool]] = field(default_factory=lambda: {OURS: {}, THEIRS: {}})


class _Visit(NamedTuple):
    """A directory to enter.

    ``gone`` is the side that removed it or a directory above, 0 if none did; ``followed`` says whether the
    other side added files in one above, so that a rename of it would move them.
    """

    prefix: bytes
    trees: tuple[Oid | None, Oid | None, Oid | None]
    gone: int = 0
    followed: bool = False


def walk(objects: ObjectStore, base: Oid | None, ours: Oid | None, theirs: Oid | None) -> Walk:
    """Walk three trees; None is the empty one. Raises ``Refused`` for a missing object."""
    found = Walk()
    waiting = [_Visit(b"", (base, ours, theirs))]
    while waiting:
        _visit(objects, waiting.pop(), found, waiting)
    return found


def _visit(objects: ObjectStore, visit: _Visit, found: Walk, waiting: list[_Visit]) -> None:
    base, ours, theirs = (_EMPTY if oid is None else objects.tree(oid) for oid in visit.trees)
    prefix, gone, followed = visit.prefix, visit.gone, visit.followed
    if gone:
        followed = _note_removed(visit, base, ours if gone == THEIRS else theirs, found, waiting)
    for name in _differing(base, theirs):
        b, o, t = base.get(name), ours.get(name), theirs.get(name)
        path = TreePath(prefix + name)
        if b"/" in name:
            raise Refused(
                "damaged-tree",
                f"A tree has a slash in a name, at {path!r}; no git writes that. Nothing was changed.",
                "git fsck",
            )
        if o == b:
            found.edits[path] = t
            continue
        subtrees = (_subtree(b), _subtree(o), _subtree(t))
        if subtrees != (None, None, None) and (o != t or subtrees[BASE] is not None):
            below = gone
            if (
                not gone
                and subtrees[BASE] is not None
                and (subtrees[OURS] is None) != (subtrees[THEIRS] is None)
            ):
                below = OURS if subtrees[OURS] is None else THEIRS
            waiting.append(_Visit(path + b"/", subtrees, below, followed))
        _look_at_file(path, (_file(b), _file(o), _file(t)), found)


def _look_at_file(path: TreePath, stages: Stages, found: Walk) -> None:
    """Note what is to be decided about the files at a path that may also be a directory on some side."""
    base, ours, theirs = stages
    if base is not None:
        if ours is None and theirs != base:
            found.sources[OURS].add(path)
        if theirs is None and ours != base:
            found.sources[THEIRS].add(path)
    if ours != theirs or (base is not None and ours is None):
        found.open[path] = stages


def _note_removed(visit: _Visit, base: Tree, other: Tree, found: Walk, waiting: list[_Visit]) -> bool:
    """Note a directory that one side removed; return whether files there could follow a rename of it.

    They could where the other side added files, here or in a directory above; then every file that was
    here says where the directory went, also those that the other side left alone.
    """
    prefix, gone = visit.prefix, visit.gone
    added = any(
        entry.mode != MODE_TREE and (name not in base or base[name].mode == MODE_TREE)
        for name, entry in other.items()
    )
    if not (added or visit.followed):
        return False
    found.removed[gone][TreePath(prefix[:-1])] = added
    for name, entry in base.items():
        if entry.mode != MODE_TREE:
            found.sources[gone].add(TreePath(prefix + name))
        elif other.get(name) == entry:
            left_alone = (entry.oid, None, entry.oid) if gone == OURS else (entry.oid, entry.oid, None)
            waiting.append(_Visit(prefix + name + b"/", left_alone, gone, True))
    return True


def _subtree(entry: TreeEntry | None) -> Oid | None:
    return entry.oid if entry is not None and entry.mode == MODE_TREE else None


def _file(entry: TreeEntry | None) -> TreeEntry | None:
    return entry if entry is not None and entry.mode != MODE_TREE else None


def _differing(a: Tree, b: Tree) -> list[bytes]:
    """The names at which two trees differ."""
    names = [name for name, entry in b.items() if a.get(name) != entry]
    if len(a) != len(b) or names:
        names += [name for name in a if name not in b]
    return names


class SideChanges(NamedTuple):
    """The files (links and submodules too) that one side removed and added, in the order git meets them."""

    removed: dict[TreePath, TreeEntry]
    added: dict[TreePath, TreeEntry]


_inside: Remembered[tuple[bytes, Oid | None, Oid | None], SideChanges] = Remembered(200_000)


def side_changes(
    objects: ObjectStore,
    base: Oid | None,
    side: Oid | None,
    other: Oid | None,
    followed: Container[TreePath] = (),
) -> SideChanges:
    """What one side removed and added since base.

    The other side's tree only matters to the order (see ``order``), and so do the directories that one side
    removed and the other ``followed``: nothing inside them is left for later. Raises ``Refused`` for a
    missing object.
    """
    removed: dict[TreePath, TreeEntry] = {}
    added: dict[TreePath, TreeEntry] = {}
    deferred: dict[bytes, tuple[Oid | None, Oid | None]] = {}
    waiting = [(b"", base, side, other)]
    while waiting:
        prefix, *roots = waiting.pop()
        before, after, beside = (_EMPTY if oid is None else objects.tree(oid) for oid in roots)
        defers = TreePath(prefix[:-1]) not in followed
        for name in _differing(before, after):
            old, new, third = before.get(name), after.get(name), beside.get(name)
            path = prefix + name
            if defers and third == old and (_subtree(old) or _subtree(new)):
                deferred[path] = _subtree(old), _subtree(new)
            elif _subtree(old) or _subtree(new):
                waiting.append((path + b"/", _subtree(old), _subtree(new), _subtree(third)))
            _note_change(TreePath(path), old, new, removed, added)
    changes = SideChanges(_sorted(removed), _sorted(added))
    for directory in hash_order(sorted(deferred)):
        inside = _changes_inside(objects, directory + b"/", *deferred[directory])
        changes.removed.update(inside.removed)
        changes.added.update(inside.added)
    return changes


def _changes_inside(
    objects: ObjectStore, prefix: bytes, before: Oid | None, after: Oid | None
) -> SideChanges:
    """What was removed and added inside a directory, by path; remembered, as a series asks again and again."""
    key = prefix, before, after
    found = _inside.get(objects, key)
    if found is None:
        removed: dict[TreePath, TreeEntry] = {}
        added: dict[TreePath, TreeEntry] = {}
        waiting = [key]
        while waiting:
            prefix, *roots = waiting.pop()
            old_tree, new_tree = (_EMPTY if oid is None else objects.tree(oid) for oid in roots)
            for name in _differing(old_tree, new_tree):
                old, new = old_tree.get(name), new_tree.get(name)
                if _subtree(old) or _subtree(new):
                    waiting.append((prefix + name + b"/", _subtree(old), _subtree(new)))
                _note_change(TreePath(prefix + name), old, new, removed, added)
        found = SideChanges(_sorted(removed), _sorted(added))
        _inside.keep(objects, key, found, len(removed) + len(added) + 1)
    return found


def _note_change(
    path: TreePath,
    old: TreeEntry | None,
    new: TreeEntry | None,
    removed: dict[TreePath, TreeEntry],
    added: dict[TreePath, TreeEntry],
) -> None:
    """Note a file that is at a path on one side only."""
    old, new = _file(old), _file(new)
    if old is not None and new is None:
        removed[path] = old
    elif new is not None and old is None:
        added[path] = new


def _sorted(files: dict[TreePath, TreeEntry]) -> dict[TreePath, TreeEntry]:
    return {path: files[path] for path in sorted(files)}


def entry_at(objects: ObjectStore, root: Oid | None, path: TreePath) -> TreeEntry | None:
    """The file or directory at a path of a tree, or None where there is nothing."""
    oid = root
    *directories, name = path.split(b"/")
    for directory in directories:
        if oid is None:
            return None
        oid = _subtree(objects.tree(oid).get(directory))
    return None if oid is None else objects.tree(oid).get(name)


def file_at(objects: ObjectStore, root: Oid | None, path: TreePath) -> TreeEntry | None:
    """The file at a path of a tree, or None where there is none (or a directory)."""
    return _file(entry_at(objects, root, path))
