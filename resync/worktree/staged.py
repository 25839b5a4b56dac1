"""HEAD against the index: what is staged.

Walking HEAD's trees of 50,000 files would cost more than looking at all the files. So the index is asked
which tree object each of its directories is: it often knows (the cached trees of git's TREE extension),
and otherwise its trees are made and hashed, which is faster than parsing HEAD's. Only directories that
differ are walked.
"""

from __future__ import annotations

import os
from binascii import unhexlify
from bisect import bisect_left
from collections.abc import Iterator, Mapping

from resync.errors import Refused
from resync.model import MODE_TREE, Oid, TreeEntry, TreePath
from resync.repository.objects import TREE, Objects
from resync.worktree.index import RAW_ID, RAW_MODE, RAW_MODES, Index
from resync.worktree.names import find_hostile

_MODES = {raw: b"%o " % mode for raw, mode in RAW_MODES.items()}
"""A mode as trees have it, by the bytes that the index has for it."""


def staged_differences(
    objects: Objects, index: Index, head_tree: Oid | None
) -> Iterator[tuple[TreePath, TreeEntry | None]]:
    """Each path that HEAD's tree and the index have not alike, with HEAD's entry (None: HEAD has none).

    A path that was only announced (``git add -N``) counts as not in the index. Raises
    ``Refused("hostile-tree")`` for a path of HEAD that must not be in a working tree.
    """
    entries = index.entries
    known = _cached_trees(index) if index.cache_tree else _made_trees(objects, index)
    skipped: set[bytes] = set()
    matched: set[bytes] = set()
    waiting = [(b"", head_tree)] if head_tree is not None else []
    while waiting:
        directory, tree = waiting.pop()
        if known.get(directory) == tree:
            skipped.add(directory)
            continue
        prefix = directory + b"/" if directory else b""
        for name, (mode, oid) in objects.tree(tree).items():
            path = TreePath(prefix + name)
            if mode == MODE_TREE:
                waiting.append((path, oid))
                continue
            entry = entries.get(path)
            if entry is None or entry.intent_to_add:
                _refuse_hostile(path)
                yield path, TreeEntry(mode, oid)
                continue
            matched.add(path)
            if entry.oid != oid or entry.mode != mode:
                yield path, TreeEntry(mode, oid)
    if b"" in skipped:
        return
    announced = entries.announced()
    for path in entries:
        if path not in matched and path not in announced and not _below(path, skipped):
            yield path, None


def _cached_trees(index: Index) -> Mapping[bytes, Oid]:
    """The cached trees whose number of entries is right: a tool that left them stale is not believed."""
    paths = list(index.entries)
    trusted: dict[bytes, Oid] = {}
    for directory, (oid, count) in index.cache_tree.items():
        if not directory:
            found = len(paths)
        else:  # "0" follows "/": everything below the directory lies between the two
            found = bisect_left(paths, directory + b"0") - bisect_left(paths, directory + b"/")
        if found == count:
            trusted[directory] = oid
    return trusted


def _made_trees(objects: Objects, index: Index) -> Mapping[bytes, Oid]:
    """The trees that a commit of the index would have, by directory; nothing is stored."""
    contents: dict[bytes, list[tuple[bytes, bytes]]] = {}
    announced, end = index.entries.announced(), RAW_ID + objects.hex_length // 2
    for path, raw in index.entries.raw.items():
        if path in announced:
            continue
        slash = path.rfind(b"/")
        directory = path[:slash] if slash > 0 else b""
        content = contents.get(directory)
        if content is None:
            content = contents[directory] = []
            while directory and (directory := _parent(directory)) not in contents:
                contents[directory] = []
        name = path[slash + 1 :]
        content.append((name, b"%s%s\0%s" % (_MODES[raw[RAW_MODE]], name, raw[RAW_ID:end])))
    trees: dict[bytes, Oid] = {}
    # A directory is hashed after all those in it, and its own name is passed up to the one above.
    for directory in sorted(contents, key=_depth, reverse=True):
        content = sorted(contents[directory])
        oid = trees[directory] = objects.hash(TREE, b"".join([entry for _, entry in content]))
        if directory:
            name = directory[directory.rfind(b"/") + 1 :]
            entry_bytes = b"%o %s\0%s" % (MODE_TREE, name, unhexlify(oid))
            contents[_parent(directory)].append((name + b"/", entry_bytes))
    return trees


def _depth(directory: bytes) -> int:
    return directory.count(b"/") + 1 if directory else 0


def _parent(directory: bytes) -> bytes:
    return directory[: max(directory.rfind(b"/"), 0)]


def _below(path: bytes, directories: set[bytes]) -> bool:
    slash = path.rfind(b"/")
    while slash > 0:
        if path[:slash] in directories:
            return True
        slash = path.rfind(b"/", 0, slash)
    return False


def _refuse_hostile(path: TreePath) -> None:
    hostile = find_hostile([path])
    if hostile is not None:
        raise Refused(
            "hostile-tree",
            f"HEAD has the path {os.fsdecode(path)!r}, which {hostile[1]}. Nothing was changed.",
            "git fsck",
        )
