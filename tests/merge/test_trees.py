"""Three-way merges of trees: laws on random histories, git as the oracle, each kind of conflict."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resync.errors import Refused
from resync.merge import Labels, MergeOptions, RenameOptions, merge_trees
from resync.model import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_GITLINK,
    MODE_SYMLINK,
    MODE_TREE,
    MergeResult,
    Oid,
    TreeEntry,
)

from .git_merge import GitMerges, version
from .states import File, State, changed, get, law, memory, put, random_state


def merged(
    base: State, ours: State, theirs: State, options: MergeOptions | None = None
) -> tuple[MergeResult, State]:
    objects = memory()
    trees = [put(objects, state) for state in (base, ours, theirs)]
    result = merge_trees(objects, *trees, options or MergeOptions())
    return result, get(objects, result.tree)


def text(*lines: str, mode: int = MODE_FILE) -> File:
    return mode, b"".join(line.encode() + b"\n" for line in lines)


LONG = [f"line {n}" for n in range(10)]

histories = st.integers(0, 2**32).map(lambda seed: random_history(random.Random(seed)))


def random_history(source: random.Random) -> tuple[State, State, State]:
    base = random_state(source)
    return base, changed(source, base), changed(source, base)


# --- laws ------------------------------------------------------------------------------------------------


@law
@given(histories)
def test_one_side_unchanged_gives_the_other(history: tuple[State, State, State]) -> None:
    base, side, _ = history
    for sides in ((base, side), (side, base), (side, side)):
        result, state = merged(base, *sides)
        assert result.clean
        assert state == side


@law
@given(histories)
def test_verdicts_are_symmetric(history: tuple[State, State, State]) -> None:
    base, ours, theirs = history
    one, state = merged(base, ours, theirs)
    other, mirrored = merged(base, theirs, ours)
    assert one.clean == other.clean
    if one.clean:
        assert state == mirrored


@law
@given(histories)
def test_merging_what_is_already_in_changes_nothing(history: tuple[State, State, State]) -> None:
    base, ours, theirs = history
    result, state = merged(base, ours, theirs)
    if result.clean:
        again, same = merged(theirs, state, theirs)
        assert again.clean
        assert same == state


@law
@given(histories)
def test_a_clean_merge_holds_only_lines_of_its_inputs(history: tuple[State, State, State]) -> None:
    result, state = merged(*history)
    if result.clean:
        known = {line for side in history for _, data in side.values() for line in data.split(b"\n")}
        assert {line for _, data in state.values() for line in data.split(b"\n")} <= known


@law
@given(histories)
def test_every_conflict_can_be_recorded_in_an_index(history: tuple[State, State, State]) -> None:
    result, state = merged(*history)
    paths = [conflict.path for conflict in result.conflicts]
    assert len(set(paths)) == len(paths)
    for conflict in result.conflicts:
        assert any(conflict.stages)
        assert conflict.path not in conflict.others
        if conflict.merged is not None:
            assert conflict.path in state


def test_random_histories_reach_everything() -> None:
    """The laws above are worth what the histories meet."""
    source = random.Random(11)
    kinds: Counter[str] = Counter()
    deeds: Counter[str] = Counter()
    for _ in range(3000):
        base, ours, theirs = random_history(source)
        result, _ = merged(base, ours, theirs)
        kinds.update(conflict.kind for conflict in result.conflicts)
        deeds["clean"] += result.clean
        for side in (ours, theirs):
            moved = {data for path, (_, data) in base.items() if data and path not in side}
            deeds["renamed"] += any(data in moved for path, (_, data) in side.items() if path not in base)
            deeds["removed"] += any(path not in side for path in base)
            both = [path for path in base if path in side]
            deeds["mode"] += any({base[p][0], side[p][0]} == {MODE_FILE, MODE_EXECUTABLE} for p in both)
            deeds["linked"] += any(base[p][0] != side[p][0] == MODE_SYMLINK for p in both)
    wanted = {
        "content",
        "binary",
        "add/add",
        "modify/delete",
        "rename/delete",
        "rename/rename",
        "rename/add",
        "file/directory",
        "directory-rename",
        "distinct-types",
        "mode",
        "symlink",
        "submodule",
    }
    assert wanted <= kinds.keys(), kinds
    assert min(deeds[deed] for deed in ("clean", "renamed", "removed", "mode", "linked")) > 30, deeds


# --- git -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(version() < (2, 38), reason="git merge-tree --write-tree came with git 2.38")
def test_random_histories_merge_as_in_git(tmp_path: Path) -> None:
    """Verdict, tree (with the markers and names that git leaves in it) and index entries are git's.

    Left out are histories in which git says something of a directory rename: what is then in the way
    changed between its versions, and of some it writes no index entries; their verdict is compared.
    """
    source = random.Random(2024)
    histories = [random_history(source) for _ in range(400)]
    git = GitMerges(tmp_path, histories)
    compared = 0
    for n, history in enumerate(histories):
        answer = git.merge(n)
        if answer is None:
            continue
        objects = memory()
        labels = Labels(ours=b"ours-%d" % n, theirs=b"theirs-%d" % n)
        trees = [put(objects, state) for state in history]
        result = merge_trees(objects, *trees, MergeOptions(labels=labels))
        assert (n, result.clean) == (n, answer.clean)
        if b"directory rename" in answer.messages or b"dir rename" in answer.messages:
            continue
        stages = {
            (conflict.path, stage, entry.mode, entry.oid)
            for conflict in result.conflicts
            for stage, entry in enumerate(conflict.stages, start=1)
            if entry is not None
        }
        assert (n, stages) == (n, answer.stages)
        assert (n, result.tree) == (n, answer.tree)
        compared += 1
    assert compared > 350


# --- one by one ----------------------------------------------------------------------------------------

LINK: File = (MODE_SYMLINK, b"target")
EDITED, OTHER = ["first", *LONG], [*LONG, "last"]


def module(n: int) -> File:
    return MODE_GITLINK, b"%040x" % n


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "conflicts"),
    [
        pytest.param(
            {b"a": text("1")}, {b"a": text("2")}, {b"a": text("3")}, {b"a": "content"}, id="content"
        ),
        pytest.param({}, {b"a": text("2")}, {b"a": text("3")}, {b"a": "add/add"}, id="add/add"),
        pytest.param(
            {b"a": (MODE_FILE, b"\0" + b"1")},
            {b"a": (MODE_FILE, b"\0" + b"2")},
            {b"a": (MODE_FILE, b"\0" + b"3")},
            {b"a": "binary"},
            id="binary",
        ),
        pytest.param({b"a": text("1")}, {}, {b"a": text("3")}, {b"a": "modify/delete"}, id="modify/delete"),
        pytest.param(
            {b"a": text(*LONG)},
            {b"b": text(*LONG)},
            {},
            {b"b": "rename/delete"},
            id="rename/delete",
        ),
        pytest.param(
            {b"a": text(*LONG)},
            {b"b": text(*LONG)},
            {b"c": text(*LONG)},
            {b"a": "rename/rename", b"b": "rename/rename", b"c": "rename/rename"},
            id="rename/rename, one to two",
        ),
        pytest.param(
            {b"a": text(*LONG), b"b": text(*reversed(LONG))},
            {b"c": text(*LONG), b"b": text(*reversed(LONG), "mine")},
            {b"a": text(*EDITED), b"c": text(*reversed(LONG))},
            {b"c": "rename/add"},
            id="rename/rename, two to one",
        ),
        pytest.param(
            {b"a": text(*LONG)},
            {b"b": text(*LONG)},
            {b"a": text(*OTHER), b"b": text("new")},
            {b"b": "rename/add"},
            id="rename/add",
        ),
        pytest.param(
            {b"a": text("1")},
            {b"a": text("2")},
            {b"a/b": text("3")},
            {b"a~ours": "file/directory"},
            id="file/directory",
        ),
        pytest.param(
            {b"d/a": text(*LONG), b"d/b": text(*reversed(LONG))},
            {b"e/a": text(*LONG), b"e/b": text(*reversed(LONG))},
            {b"d/a": text(*LONG), b"d/b": text(*reversed(LONG)), b"d/new": text("new")},
            {b"e/new": "directory-rename"},
            id="directory renamed",
        ),
        pytest.param(
            {},
            {b"a": text("1", mode=MODE_EXECUTABLE)},
            {b"a": text("1")},
            {b"a": "mode"},
            id="mode",
        ),
        pytest.param(
            {b"a": LINK},
            {b"a": (MODE_SYMLINK, b"x")},
            {b"a": (MODE_SYMLINK, b"y")},
            {b"a": "symlink"},
            id="symlink",
        ),
        pytest.param(
            {b"a": module(1)}, {b"a": module(2)}, {b"a": module(3)}, {b"a": "submodule"}, id="submodule"
        ),
        pytest.param(
            {b"a": text("1")},
            {b"a": LINK},
            {b"a": text("2")},
            {b"a": "distinct-types", b"a~theirs": "distinct-types"},
            id="file and link",
        ),
        pytest.param(
            {b"a": text("1")},
            {b"a": LINK},
            {b"a": module(1)},
            {b"a~ours": "distinct-types", b"a~theirs": "distinct-types"},
            id="link and submodule",
        ),
    ],
)
def test_conflicts(base: State, ours: State, theirs: State, conflicts: dict[bytes, str]) -> None:
    result, state = merged(base, ours, theirs)
    assert {conflict.path: conflict.kind for conflict in result.conflicts} == conflicts
    if set(conflicts.values()) != {"rename/rename"}:
        assert conflicts.keys() <= state.keys()


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        pytest.param(
            {b"a": text(*LONG)},
            {b"a": text(*LONG, mode=MODE_EXECUTABLE)},
            {b"a": text(*OTHER)},
            {b"a": text(*OTHER, mode=MODE_EXECUTABLE)},
            id="mode and content apart",
        ),
        pytest.param(
            {b"a": text(*LONG)},
            {b"b": text(*EDITED)},
            {b"a": text(*OTHER)},
            {b"b": text("first", *OTHER)},
            id="renamed and edited, edited",
        ),
        pytest.param(
            {b"a": text(*LONG)},
            {b"b": text(*EDITED)},
            {b"b": text(*OTHER)},
            {b"b": text("first", *OTHER)},
            id="renamed alike",
        ),
        pytest.param(
            {b"d/a": text("1"), b"d/b": text("2"), b"d/c": text("3")},
            {b"d/a": text("1"), b"d/c": text("3")},
            {b"d/b": text("2"), b"d/c": text("3")},
            {b"d/c": text("3")},
            id="parts of a directory removed by both",
        ),
        pytest.param(
            {b"d/a": text("1"), b"d/b": text("2")},
            {b"d/a": text("1")},
            {b"d/b": text("2"), b"x": text("new")},
            {b"x": text("new")},
            id="nothing left of a directory",
        ),
        pytest.param(
            {b"a": text("1"), b"k": text("k")},
            {b"a/b": text("2"), b"k": text("k")},
            {b"a": text("1"), b"k": text("kk")},
            {b"a/b": text("2"), b"k": text("kk")},
            id="a file became a directory",
        ),
        pytest.param(
            {b"a": text("1")},
            {b"a": text("1"), b"b": LINK},
            {b"a": text("1"), b"b": LINK},
            {b"a": text("1"), b"b": LINK},
            id="the same addition",
        ),
        pytest.param(
            {b"a": text("1", "2", "3")},
            {b"a": text("1", "<<<<<<< ours", "2", "3")},
            {b"a": text("1", "2", "3", ">>>>>>> theirs")},
            {b"a": text("1", "<<<<<<< ours", "2", "3", ">>>>>>> theirs")},
            id="content that looks like a conflict",
        ),
    ],
)
def test_clean_merges(base: State, ours: State, theirs: State, expected: State) -> None:
    for sides in ((ours, theirs), (theirs, ours)):
        result, state = merged(base, *sides)
        assert result.clean
        assert state == expected


def test_missing_sides_are_empty_trees() -> None:
    objects = memory()
    tree = put(objects, {b"a": text("1")})
    assert merge_trees(objects, None, None, tree).tree == tree
    assert merge_trees(objects, tree, tree, None).tree == put(objects, {})
    assert merge_trees(objects, None, None, None).tree == put(objects, {})


def test_renames_can_be_left_out() -> None:
    base, ours, theirs = {b"a": text(*LONG)}, {b"b": text(*LONG)}, {b"a": text(*OTHER)}
    result, _ = merged(base, ours, theirs, MergeOptions(renames=RenameOptions(enabled=False)))
    assert [conflict.kind for conflict in result.conflicts] == ["modify/delete"]


@pytest.mark.parametrize(
    ("directories", "path", "clean"),
    [("conflict", b"e/new", False), ("apply", b"e/new", True), ("ignore", b"d/new", True)],
)
def test_renamed_directories_as_configured(directories: str, path: bytes, clean: bool) -> None:
    base = {b"d/a": text(*LONG)}
    ours, theirs = {b"e/a": text(*LONG)}, {b"d/a": text(*LONG), b"d/new": text("new")}
    options = RenameOptions(directories=directories)  # type: ignore[arg-type]
    for sides in ((ours, theirs), (theirs, ours)):
        result, state = merged(base, *sides, MergeOptions(renames=options))
        assert result.clean is clean
        assert state == {b"e/a": text(*LONG), path: text("new")}


def test_a_directory_split_evenly_is_a_conflict_of_what_was_added() -> None:
    base = {b"d/a": text(*LONG), b"d/b": text(*reversed(LONG))}
    ours = {b"e/a": text(*LONG), b"f/b": text(*reversed(LONG))}
    theirs = {**base, b"d/new": text("new")}
    for sides in ((ours, theirs), (theirs, ours)):
        result, state = merged(base, *sides)
        assert [(conflict.kind, conflict.path) for conflict in result.conflicts] == [
            ("directory-rename", b"d/new")
        ]
        assert state == {**ours, b"d/new": text("new")}


def test_a_search_cut_short_says_so() -> None:
    base = {b"d%d" % n: text(*LONG, str(n)) for n in range(3)}
    ours = {b"e%d" % n: text(*LONG, str(n), "x") for n in range(3)}
    theirs = {path: text("new", *LONG, str(n)) for n, path in enumerate(base)}
    for limits in (RenameOptions(limit=2), RenameOptions(work=10)):
        result, _ = merged(base, ours, theirs, MergeOptions(renames=limits))
        assert {conflict.kind for conflict in result.conflicts} == {"modify/delete"}
        assert "too many to compare" in str(result.notes[0])
    result, _ = merged(base, ours, theirs)
    assert result.clean
    assert not result.notes


# --- hostile -------------------------------------------------------------------------------------------


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


@law
@given(st.lists(st.binary(max_size=40), min_size=3, max_size=3))
def test_any_bytes_merge_or_conflict(contents: list[bytes]) -> None:
    base, ours, theirs = ({b"\xff\n": (MODE_FILE, data)} for data in contents)
    result, _ = merged(base, ours, theirs)
    assert result.clean or result.conflicts[0].path == b"\xff\n"


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
