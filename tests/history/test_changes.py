"""Differences between trees: the paths that two flat listings tell apart, and no more reading than needed."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest

from resync.errors import Refused
from resync.history import tree_changes
from resync.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK, MODE_TREE, Oid, TreeEntry
from resync.repository.objects import Objects

from .commits import add_files, new_objects
from .graphs import git, open_objects


def listing(objects: Objects, tree: Oid | None, prefix: bytes = b"") -> dict[bytes, TreeEntry]:
    """All files of a tree."""
    files: dict[bytes, TreeEntry] = {}
    for name, entry in (objects.tree(tree) if tree is not None else {}).items():
        if entry.mode == MODE_TREE:
            files |= listing(objects, entry.oid, prefix + name + b"/")
        else:
            files[prefix + name] = entry
    return files


def random_files(chance: random.Random) -> dict[str, bytes | TreeEntry]:
    """Files of all kinds under a few names, so that a name is a file here and a directory there."""
    files: dict[str, bytes | TreeEntry] = {}
    for _ in range(chance.randrange(12)):
        path = "/".join(chance.choice("abc") for _ in range(chance.randint(1, 4)))
        if any(other.startswith(path + "/") or path.startswith(other + "/") for other in files):
            continue
        mode = chance.choice((MODE_FILE, MODE_FILE, MODE_EXECUTABLE, MODE_SYMLINK, MODE_GITLINK))
        files[path] = TreeEntry(mode, Oid(chance.choice((b"1", b"2")) * 40))
    return files


def test_as_two_listings_tell() -> None:
    chance = random.Random(0)
    objects = new_objects()
    trees: list[Oid | None] = [None, *(add_files(objects, random_files(chance)) for _ in range(120))]
    kinds = set()
    for _ in range(2_000):
        a, b = chance.choices(trees, k=2)
        before, after = listing(objects, a), listing(objects, b)
        changes = list(tree_changes(objects, a, b))
        assert len({path for path, _, _ in changes}) == len(changes)
        assert {path: (old, new) for path, old, new in changes} == {
            path: (before.get(path), after.get(path))
            for path in before.keys() | after.keys()
            if before.get(path) != after.get(path)
        }
        kinds |= {(old and old.mode, new and new.mode) for _, old, new in changes}
    assert len(kinds) == 4 * 4 + 2 * 4, "every mode to every mode, additions and deletions"


def test_directory_by_directory() -> None:
    objects = new_objects()
    a = add_files(objects, {"b": b"1", "c/y": b"1", "same/x": b"1"})
    b = add_files(objects, {"b/x": b"2", "c/x": b"2", "a": b"2", "same/x": b"1"})
    assert [path for path, _, _ in tree_changes(objects, a, b)] == [b"a", b"b", b"b/x", b"c/x", b"c/y"]
    assert list(tree_changes(objects, a, a)) == []
    assert list(tree_changes(objects, None, None)) == []


def test_directories_that_are_equal_are_not_read() -> None:
    objects = new_objects()
    missing = TreeEntry(MODE_TREE, Oid(b"7" * 40))
    a = add_files(objects, {"same": missing, "x": b"1"})
    b = add_files(objects, {"same": missing, "x": b"2"})
    assert [path for path, _, _ in tree_changes(objects, a, b)] == [b"x"]
    with pytest.raises(Refused) as caught:
        list(tree_changes(objects, None, b))
    assert caught.value.kind == "missing-object"


def test_thousands_of_nested_directories() -> None:
    objects = new_objects()
    tree = add_files(objects, {"file": b"deep"})
    for _ in range(5_000):
        tree = objects.add_tree({b"d": TreeEntry(MODE_TREE, tree)})
    ((path, old, new),) = tree_changes(objects, None, tree)
    assert path == b"d/" * 5_000 + b"file"
    assert old is None
    assert new is not None
    for _ in range(20_000):
        tree = objects.add_tree({b"d": TreeEntry(MODE_TREE, tree)})
    with pytest.raises(Refused) as caught:
        list(tree_changes(objects, None, tree))
    assert caught.value.kind == "path-too-long"


def test_a_tree_bomb_is_read_only_as_far_as_asked() -> None:
    objects = new_objects()
    tree = add_files(objects, {f"{number}": b"x" for number in range(10)})
    for _ in range(30):
        entry = TreeEntry(MODE_TREE, tree)
        tree = objects.add_tree({b"%d" % number: entry for number in range(10)})
    assert len(list(islice(tree_changes(objects, None, tree), 1_000))) == 1_000


def test_the_event_as_git(event: Path) -> None:
    raw = git(event, "diff-tree", "-r", "--no-renames", "-z", "--raw", "refs/resync/old", "refs/resync/new")
    fields = raw.split(b"\0")[:-1]
    expected = {}
    for head, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, new_mode, old_oid, new_oid, _ = head[1:].split()
        old, new = TreeEntry(int(old_mode, 8), Oid(old_oid)), TreeEntry(int(new_mode, 8), Oid(new_oid))
        expected[path] = (old if old.mode else None, new if new.mode else None)
    full = git(event, "rev-parse", "refs/resync/old^{tree}", "refs/resync/new^{tree}")
    a, b = (Oid(line) for line in full.split())
    with open_objects(event) as objects:
        assert {path: (old, new) for path, old, new in tree_changes(objects, a, b)} == expected
    assert len(expected) == 851
