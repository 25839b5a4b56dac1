"""What differs between two trees, file by file."""

from __future__ import annotations

from collections.abc import Iterator

from resync.errors import Refused
from resync.model import MODE_TREE, ObjectStore, Oid, Tree, TreeEntry, TreePath

_LONGEST_PATH = 32_767


def tree_changes(
    objects: ObjectStore, a: Oid | None, b: Oid | None
) -> Iterator[tuple[TreePath, TreeEntry | None, TreeEntry | None]]:
    """Every path that is not the same in trees ``a`` and ``b``, with what stands there in each.

    ``None`` is the empty tree. Entries are files, links and submodules, never directories: a file that
    became a directory is one deletion and its additions. Only directories with different ids are read,
    one at a time and to any depth; paths come sorted directory by directory. The iterator is lazy,
    because a few hostile trees can name more files than memory holds.

    Raises ``Refused`` where a tree is missing, or a directory's path is longer than any system takes.
    """
    pending = [directory_changes(objects, b"", a, b)]
    while pending:
        for path, old, new in pending[-1]:
            old_tree, new_tree = subtree(old), subtree(new)
            old_file = old if old_tree is None else None
            new_file = new if new_tree is None else None
            if old_file is not None or new_file is not None:
                yield TreePath(path), old_file, new_file
            if old_tree is not None or new_tree is not None:
                pending.append(directory_changes(objects, path + b"/", old_tree, new_tree))
                break
        else:
            pending.pop()


def directory_changes(
    objects: ObjectStore, prefix: bytes, a: Oid | None, b: Oid | None
) -> Iterator[tuple[bytes, TreeEntry | None, TreeEntry | None]]:
    """The entries of one directory that differ, sorted by name, with ``prefix`` before each name.

    Other than ``tree_changes`` this looks at the directory alone, and an entry may be a directory itself.
    Raises as ``tree_changes`` does.
    """
    if len(prefix) > _LONGEST_PATH:
        raise Refused(
            "path-too-long",
            f"A tree has a path of more than {_LONGEST_PATH} bytes, which no file system takes."
            " Nothing was changed.",
        )
    empty: Tree = {}
    old_tree = empty if a is None else objects.tree(a)
    new_tree = empty if b is None else objects.tree(b)
    names = {name for name, _ in old_tree.items() ^ new_tree.items()}
    return ((prefix + name, old_tree.get(name), new_tree.get(name)) for name in sorted(names))


def subtree(entry: TreeEntry | None) -> Oid | None:
    """The tree that ``entry`` names, or None if it is no directory."""
    return entry.oid if entry is not None and entry.mode == MODE_TREE else None
