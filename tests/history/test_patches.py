"""Patch ids: the same change is the same wherever it stands, and nothing else is."""

from __future__ import annotations

import subprocess
import time
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resync.history import PatchIndex, patch_id
from resync.model import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_GITLINK,
    MODE_SYMLINK,
    MODE_TREE,
    Oid,
    Tree,
    TreeEntry,
)
from resync.repository.objects import Objects

from .commits import Files, add_change, add_commit, add_files, new_objects
from .graphs import git, open_objects

BODY = b"".join(b"line %d\n" % number for number in range(40))
EDITED = BODY.replace(b"line 20\n", b"    line twenty\n")


class Counting(Objects):
    """Counts what is read."""

    blobs = 0
    trees = 0

    def blob(self, oid: Oid) -> bytes:
        self.blobs += 1
        return super().blob(oid)

    def tree(self, oid: Oid) -> Tree:
        self.trees += 1
        return super().tree(oid)


def ids(*changes: tuple[Files, Files]) -> list[bytes | None]:
    """The patch ids of commits that make these changes."""
    objects = new_objects()
    return [patch_id(objects, add_change(objects, before, after)) for before, after in changes]


# --- equal ---------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    above=st.lists(st.sampled_from((b"a\n", b"b\n", b"}\n", b"\n")), max_size=30),
    below=st.lists(st.sampled_from((b"a\n", b"b\n", b"}\n", b"\n")), max_size=30),
    edits=st.lists(
        st.tuples(st.integers(4, 36), st.sampled_from((b"", b"new\n", b"line 7\nline 7\n"))), max_size=4
    ),
)
def test_the_same_patch_at_another_place(
    above: list[bytes], below: list[bytes], edits: list[tuple[int, bytes]]
) -> None:
    lines = BODY.splitlines(keepends=True)
    for number, text in edits:
        lines[number] = text
    edited = b"".join(lines)
    top, bottom = b"".join(above), b"".join(below)
    here, there = ids(
        ({"f": BODY}, {"f": edited}), ({"f": top + BODY + bottom}, {"f": top + edited + bottom})
    )
    assert here == there
    assert (here is None) == (edited == BODY)


def test_other_files_do_not_matter() -> None:
    one, other = ids(
        ({"dir/f": BODY}, {"dir/f": EDITED}),
        ({"dir/f": BODY, "dir/g": b"1", "x": b"2"}, {"dir/f": EDITED, "dir/g": b"1", "x": b"2"}),
    )
    assert one == other is not None


def test_a_root_commit_adds_everything() -> None:
    objects = new_objects()
    root = add_commit(objects, add_files(objects, {"f": BODY}))
    assert patch_id(objects, root) == patch_id(objects, add_change(objects, {}, {"f": BODY})) is not None


# --- different -----------------------------------------------------------------------------------

PYTHON = b"if a:\n    b()\nc()\n"
BINARY = b"\0" + b"x\n" * 10
DIFFERENT: dict[str, tuple[tuple[Files, Files], tuple[Files, Files]]] = {
    "indentation": (
        ({"f": PYTHON}, {"f": PYTHON + b"    d()\n"}),
        ({"f": PYTHON}, {"f": PYTHON + b"d()\n"}),
    ),
    "white space at the end": (({"f": BODY}, {"f": BODY + b"x\n"}), ({"f": BODY}, {"f": BODY + b"x \n"})),
    "line end": (({"f": BODY}, {"f": BODY + b"x\n"}), ({"f": BODY}, {"f": BODY + b"x\r\n"})),
    "no line end": (({"f": BODY}, {"f": BODY + b"x\n"}), ({"f": BODY}, {"f": BODY + b"x"})),
    "line end taken away": (({"f": BODY}, {"f": BODY[:-1]}), ({"f": BODY[:-1]}, {"f": BODY})),
    "name": (({"f": BODY}, {"f": EDITED}), ({"g": BODY}, {"g": EDITED})),
    "directory": (({"a/f": BODY}, {"a/f": EDITED}), ({"b/f": BODY}, {"b/f": EDITED})),
    "direction": (({"f": BODY}, {"f": EDITED}), ({"f": EDITED}, {"f": BODY})),
    "context": (
        ({"f": BODY}, {"f": EDITED}),
        ({"f": BODY.replace(b"line 22", b"other")}, {"f": EDITED.replace(b"line 22", b"other")}),
    ),
    "one hunk or two": (
        ({"f": b"1\n2\n3\n4\n5\n6\n7\n8\n"}, {"f": b"x\n1\n2\n3\n4\n5\n6\n7\n8\ny\n"}),
        ({"f": b"1\n2\n3\n6\n7\n8\n"}, {"f": b"x\n1\n2\n3\n6\n7\n8\ny\n"}),
    ),
    "binary": (({"f": BINARY}, {"f": BINARY + b"1"}), ({"f": BINARY + b"x"}, {"f": BINARY + b"x1"})),
    "added or edited": (({}, {"f": BODY}), ({"f": b""}, {"f": BODY})),
    "added empty or nothing": (({"f": BODY}, {"f": EDITED, "g": b""}), ({"f": BODY}, {"f": EDITED})),
    "text that looks like a heading": (
        ({"f": b"", "g": b"x\n"}, {"f": b"100644 100644 g\n", "g": b"y\n"}),
        ({"f": b"", "g": b"x\n"}, {"f": b"100644 100644 g\n@\n", "g": b"y\n"}),
    ),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_different_changes(what: str) -> None:
    one, other = ids(*DIFFERENT[what])
    assert None not in (one, other)
    assert one != other


def test_modes_links_and_submodules_count() -> None:
    objects = new_objects()
    blob, blob2 = objects.add_blob(b"1\n"), objects.add_blob(b"2\n")
    entries = [
        TreeEntry(MODE_FILE, blob),
        TreeEntry(MODE_EXECUTABLE, blob),
        TreeEntry(MODE_SYMLINK, blob),
        TreeEntry(MODE_FILE, blob2),
        TreeEntry(MODE_EXECUTABLE, blob2),
        TreeEntry(MODE_SYMLINK, blob2),
        TreeEntry(MODE_GITLINK, Oid(b"1" * 40)),
        TreeEntry(MODE_GITLINK, Oid(b"2" * 40)),
    ]
    sides: list[Files] = [{}, *({"f": entry} for entry in entries)]
    pairs = [(a, b) for a in sides for b in sides if a != b]
    found = [patch_id(objects, add_change(objects, a, b)) for a, b in pairs]
    assert None not in found
    # Only the two ways to change nothing but the mode are alike, whatever the file holds.
    assert len(set(found)) == len(pairs) - 2 == 70


# --- none ----------------------------------------------------------------------------------------


def test_commits_without_a_patch() -> None:
    objects = new_objects()
    tree = add_files(objects, {"f": BODY})
    one, other = add_commit(objects, tree), add_commit(objects, tree, message=b"other\n")
    empty = add_commit(objects, tree, one)
    merge = add_commit(objects, add_files(objects, {"f": EDITED}), one, other)
    empty_root = add_commit(objects, add_files(objects, {}))
    cut = add_commit(objects, tree, Oid(b"9" * 40))
    for commit in (empty, merge, empty_root, cut):
        assert patch_id(objects, commit) is None
        assert PatchIndex(objects, [commit]).find(commit) is None
    index = PatchIndex(objects, [empty, merge, empty_root, cut, one])
    assert index.find(other) == one


def tree_bomb(objects: Objects) -> Oid:
    """A tree of 10^31 files."""
    tree = add_files(objects, {f"{number}": b"x" for number in range(10)})
    for _ in range(30):
        entry = TreeEntry(MODE_TREE, tree)
        tree = objects.add_tree({b"%d" % number: entry for number in range(10)})
    return tree


def test_a_tree_bomb_has_no_patch_id() -> None:
    objects = new_objects()
    bomb, twin = (add_commit(objects, tree_bomb(objects), message=text) for text in (b"1", b"2"))
    started = time.process_time()
    assert patch_id(objects, bomb) is None
    assert PatchIndex(objects, [bomb]).find(twin) is None
    assert time.process_time() - started < 20


def test_a_tree_bomb_upstream_is_hardly_read() -> None:
    objects = new_objects(Counting)
    index = PatchIndex(objects, [add_commit(objects, tree_bomb(objects))])
    mine = add_change(objects, {}, {f"{number}/f": b"x" for number in range(10)})
    assert index.find(mine) is None
    assert objects.trees < 60


# --- the index -----------------------------------------------------------------------------------


def test_texts_are_compared_only_where_the_paths_agree() -> None:
    objects = new_objects(Counting)
    twin = add_change(objects, {"a": BODY}, {"a": EDITED})
    others = [add_change(objects, {f"{number}": BODY}, {f"{number}": EDITED}) for number in range(50)]
    index = PatchIndex(objects, [*others, twin])
    stranger = add_change(objects, {"new": BODY}, {"new": EDITED})
    assert index.find(stranger) is None
    assert objects.blobs == 0
    mine = add_change(objects, {"a": b"top\n" + BODY, "x": b""}, {"a": b"top\n" + EDITED, "x": b""})
    assert index.find(mine) == twin
    assert objects.blobs == 4


def test_of_several_twins_the_first_is_found() -> None:
    objects = new_objects()
    twins = [
        add_change(objects, {"f": BODY, "g": b"%d" % number}, {"f": EDITED, "g": b"%d" % number})
        for number in range(5)
    ]
    near = add_change(objects, {"f": BODY}, {"f": EDITED + b"more\n"})
    assert PatchIndex(objects, [near, twins[3], twins[1]]).find(twins[0]) == twins[3]
    assert PatchIndex(objects, [near]).find(twins[0]) is None


def test_a_pick_of_the_same_author_and_second_comes_first() -> None:
    objects = new_objects()

    def change(beside: bytes, second: int) -> Oid:
        return add_change(objects, {"f": BODY, "g": beside}, {"f": EDITED, "g": beside}, second=second)

    mine, early, late = change(b"0", 7), change(b"1", 3), change(b"2", 7)
    near = add_change(objects, {"f": BODY}, {"f": EDITED + b"more\n"}, second=7)
    elsewhere = add_change(objects, {"h": BODY}, {"h": EDITED}, second=7)
    assert PatchIndex(objects, [early, near, elsewhere, late]).find(mine) == late
    assert PatchIndex(objects, [near, elsewhere, early]).find(mine) == early
    assert PatchIndex(objects, [near, elsewhere]).find(mine) is None


def test_a_twin_is_found_whether_or_not_its_directory_was_there_before() -> None:
    objects = new_objects()
    alone = add_change(objects, {"x": b""}, {"x": b"", "dir/sub/f": BODY})
    beside = add_change(objects, {"dir/g": b""}, {"dir/g": b"", "dir/sub/f": BODY})
    removed = add_change(objects, {"x": b"", "dir/sub/f": BODY}, {"x": b""})
    for mine, theirs in ((alone, beside), (beside, alone)):
        assert PatchIndex(objects, [removed, theirs]).find(mine) == theirs


SIDE = st.dictionaries(st.sampled_from(("d", "d/e", "d/e/f", "d/g", "h")), st.binary(max_size=1))
BYSTANDERS = st.dictionaries(st.sampled_from(("d/x", "d/e/x", "y")), st.just(b""))


@settings(max_examples=300, deadline=None)
@given(
    before=SIDE,
    after=SIDE,
    other_after=SIDE,
    bystanders=st.lists(BYSTANDERS, min_size=2, max_size=4),
    seconds=st.sampled_from(((1, 1), (1, 2))),
)
def test_the_index_finds_what_has_the_same_patch_id(
    before: Files, after: Files, other_after: Files, bystanders: list[Files], seconds: tuple[int, int]
) -> None:
    objects = new_objects()
    commits = [
        add_change(objects, _possible({**before, **beside}), _possible({**end, **beside}), second)
        for beside, second in zip(bystanders, cycle(seconds), strict=False)
        for end in (after, other_after)
    ]
    for commit in commits:
        mine = patch_id(objects, commit)
        twins = [each for each in commits if each != commit and patch_id(objects, each) == mine is not None]
        others = [each for each in commits if each != commit]
        picks = [each for each in twins if objects.commit(each).author == objects.commit(commit).author]
        assert PatchIndex(objects, others).find(commit) == next(iter(picks + twins), None)


def _possible(files: Files) -> Files:
    """Only the files that no other file stands above."""
    return {path: data for path, data in files.items() if not any(path.startswith(up + "/") for up in files)}


def test_the_event_as_git_finds_it(event: Path) -> None:
    def between(newer: str, older: str) -> list[Oid]:
        listed = git(event, "rev-list", "--no-merges", f"refs/resync/{newer}", f"^refs/resync/{older}")
        return [Oid(line) for line in listed.split()]

    left, right = between("old", "new"), between("new", "old")
    log = git(event, "log", "-p", "--no-merges", "refs/resync/old...refs/resync/new")
    printed = subprocess.run(["git", "patch-id", "--stable"], input=log, capture_output=True, check=True)
    gits = {line.split()[1]: line.split()[0] for line in printed.stdout.splitlines()}
    by_patch = {gits[oid]: oid for oid in right if oid in gits}
    with open_objects(event) as objects:
        index = PatchIndex(objects, right)
        found = {oid: index.find(oid) for oid in left}
    assert (len(left), len(right)) == (145, 1001)
    assert sum(twin is not None for twin in found.values()) == 109
    for oid, twin in found.items():
        assert (twin is not None) == (gits.get(oid) in by_patch)
        assert twin is None or gits[twin] == gits[oid]
