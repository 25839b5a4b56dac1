"""The merged tree, made of ours' tree and the paths that the merge decided.

Only trees on the way to an edited path are made anew. Where a file is to stand at a path at which the merge
leaves a directory, the file gets another name beside it, as in git, and the caller is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from resync.merge.renames import basename, dirname, join
from resync.merge.walk import Edits
from resync.model import MODE_TREE, ObjectStore, Oid, Tree, TreeEntry, TreePath

_EMPTY: Tree = {}


class Built(NamedTuple):
    """The merged tree; ``moved`` are the files that a directory is in the way of, with the path they got."""

    tree: Oid
    moved: dict[TreePath, TreePath]


def build_tree(
    objects: ObjectStore,
    ours: Oid | None,
    taken: Edits,
    decided: Edits,
    labels: Mapping[TreePath, bytes],
    default_label: bytes,
) -> Built:
    """Apply edits to ours' tree; None is the empty one.

    ``taken`` replaces whatever ours has at a path, ``decided`` says which file is to stand there, and never
    replaces a directory. A file that steps aside is called after its label: that in ``labels``, or else
    the default one.
    """
    inside = _by_directory([*taken, *decided])
    top_down = sorted(inside, key=lambda directory: directory.count(b"/") + bool(directory))
    before: dict[bytes, Tree] = {}
    for directory in top_down:
        if not directory:
            before[directory] = _EMPTY if ours is None else objects.tree(ours)
            continue
        path = TreePath(directory)
        entry = taken[path] if path in taken else before[dirname(directory)].get(basename(directory))
        is_tree = entry is not None and entry.mode == MODE_TREE
        before[directory] = objects.tree(entry.oid) if entry is not None and is_tree else _EMPTY

    moved: dict[TreePath, TreePath] = {}
    subtrees: dict[bytes, Edits] = {directory: {} for directory in inside}
    top = Oid(b"")
    for directory in reversed(top_down):
        entries = dict(before[directory])
        files = {path: decided[path] for path in inside[directory] if path in decided}
        for path in inside[directory]:
            if path in taken:
                _put(entries, basename(path), taken[path])
        for path in files:
            if not _is_tree(entries.get(basename(path))):
                entries.pop(basename(path), None)
        for path, subtree in subtrees[directory].items():
            name = basename(path)
            if _is_tree(entries.get(name)):
                del entries[name]
            elif subtree is not None and name in entries:
                files[path] = entries.pop(name)
            _put(entries, name, subtree or entries.get(name))
        for path, file in files.items():
            name = basename(path)
            if file is None:
                continue
            if name in entries:
                name = _free_name(name + b"~" + labels.get(path, default_label), entries)
                moved[path] = join(directory, name)
            entries[name] = file
        if directory:
            made = TreeEntry(MODE_TREE, objects.add_tree(entries)) if entries else None
            subtrees[dirname(directory)][TreePath(directory)] = made
        else:
            top = objects.add_tree(entries)
    return Built(top, moved)


def _by_directory(paths: Iterable[TreePath]) -> dict[bytes, list[TreePath]]:
    """The paths by the directory that holds them, with every directory above; the top is always there."""
    inside: dict[bytes, list[TreePath]] = {b"": []}
    for path in paths:
        inside.setdefault(dirname(path), []).append(path)
    for directory in list(inside):
        while directory:
            directory = dirname(directory)
            if directory in inside:
                break
            inside[directory] = []
    return inside


def _put(entries: dict[bytes, TreeEntry], name: bytes, entry: TreeEntry | None) -> None:
    if entry is None:
        entries.pop(name, None)
    else:
        entries[name] = entry


def _is_tree(entry: TreeEntry | None) -> bool:
    return entry is not None and entry.mode == MODE_TREE


def _free_name(name: bytes, entries: Tree) -> bytes:
    name = name.replace(b"/", b"_")
    free, number = name, 0
    while free in entries:
        free = name + b"_%d" % number
        number += 1
    return free
