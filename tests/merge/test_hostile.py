"""Trees and files that were made to do harm: bounded time, a verdict or a refusal, and no crash."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from resync.errors import Refused
from resync.merge import merge_trees
from resync.model import MODE_FILE, MODE_TREE, MergeResult, Oid, TreeEntry

from .states import memory, put, text

LONG = [f"line {n}" for n in range(10)]
EDITED, OTHER = ["first", *LONG], [*LONG, "last"]


def test_missing_and_damaged_objects_are_refused() -> None:
    objects = memory()
    tree = put(objects, {b"a": text("1")})
    absent = Oid(b"1" * 40)
    with pytest.raises(Refused, match="missing"):
        merge_trees(objects, tree, tree, absent)
    sides = [objects.add_tree({b"a": TreeEntry(MODE_FILE, oid)}) for oid in (absent, Oid(b"2" * 40))]
    with pytest.raises(Refused, match="missing"):
        merge_trees(objects, tree, *sides)
    slash = objects.add_tree({b"a/b": TreeEntry(MODE_FILE, objects.add_blob(b"x"))})
    with pytest.raises(Refused, match="slash"):
        merge_trees(objects, tree, tree, slash)


def timed(merge: Callable[[], MergeResult], seconds: float) -> MergeResult:
    begun = time.process_time()
    result = merge()
    assert time.process_time() - begun < seconds
    return result


def test_1300_nested_directories() -> None:
    objects = memory()

    def nested(*lines: str) -> Oid:
        mode, data = text(*lines)
        entry = TreeEntry(mode, objects.add_blob(data))
        for _ in range(1300):
            entry = TreeEntry(MODE_TREE, objects.add_tree({b"d": entry}))
        return entry.oid

    base, ours, theirs = nested(*LONG), nested(*EDITED), nested(*OTHER)
    assert timed(lambda: merge_trees(objects, base, ours, theirs), 5).tree == nested("first", *OTHER)
    gone = timed(lambda: merge_trees(objects, base, None, theirs), 5)
    assert [conflict.kind for conflict in gone.conflicts] == ["modify/delete"]


def test_100_000_entries_in_one_directory() -> None:
    objects = memory()
    entries = {b"%06d" % n: TreeEntry(MODE_FILE, objects.add_blob(b"%d\n" % n)) for n in range(100_000)}
    new = TreeEntry(MODE_FILE, objects.add_blob(b"new\n"))
    trees = [objects.add_tree({**entries, **edit}) for edit in ({}, {b"000001": new}, {b"000002": new})]
    result = timed(lambda: merge_trees(objects, *trees), 5)
    assert result.tree == objects.add_tree({**entries, b"000001": new, b"000002": new})


def test_20_000_equal_files_renamed_and_edited() -> None:
    objects = memory()
    same = TreeEntry(MODE_FILE, objects.add_blob(b"same\n"))
    new = TreeEntry(MODE_FILE, objects.add_blob(b"new\n"))
    trees = [
        objects.add_tree({prefix + b"%05d" % n: entry for n in range(20_000)})
        for prefix, entry in ((b"a", same), (b"b", same), (b"a", new))
    ]
    result = timed(lambda: merge_trees(objects, *trees), 15)
    assert result.tree == objects.add_tree({b"b%05d" % n: new for n in range(20_000)})
