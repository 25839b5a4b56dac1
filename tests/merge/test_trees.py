"""Three-way merges of trees: git as the oracle on random histories, and each kind of conflict."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from resync.merge import Labels, MergeOptions, RenameOptions, merge_trees
from resync.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK

from .git_merge import GitMerges, version
from .states import File, State, memory, merged, put, random_history, text

LONG = [f"line {n}" for n in range(10)]


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
        if b"irectory rename" in answer.messages or b"dir rename" in answer.messages:
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


def test_files_renamed_alike_conflict_without_their_names_in_the_markers() -> None:
    """The sides agree on the name, so git shows none, whatever the base called it."""
    base = {b"a": text(*LONG)}
    ours, theirs = {b"b": text("mine", *LONG)}, {b"b": text("other", *LONG)}
    result, state = merged(base, ours, theirs)
    assert [conflict.kind for conflict in result.conflicts] == ["content"]
    assert state[b"b"][1].startswith(b"<<<<<<< ours\nmine\n=======\nother\n>>>>>>> theirs\n")


def test_submodules_that_went_on_are_a_conflict_as_in_git_without_them(tmp_path: Path) -> None:
    """Their commits are not here to tell which one is the newer; only where one side stayed it is known."""
    histories: list[tuple[State, State, State]] = [
        ({b"m": module(1)}, {b"m": module(2)}, {b"m": module(3)}),
        ({b"m": module(1)}, {b"m": module(2)}, {b"m": module(2)}),
        ({b"m": module(1)}, {b"m": module(1)}, {b"m": module(3)}),
        ({}, {b"m": module(2)}, {b"m": module(3)}),
        ({b"m": module(1)}, {}, {b"m": module(3)}),
    ]
    clean = [merged(*history)[0].clean for history in histories]
    assert clean == [False, True, True, False, False]
    if version() < (2, 38):
        pytest.skip("git merge-tree --write-tree came with git 2.38")
    git = GitMerges(tmp_path, histories)
    answers = [git.merge(n) for n in range(len(histories))]
    assert [answer is not None and answer.clean for answer in answers] == clean


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


HELLO = [f"hello {n}" for n in range(10)]
BACK = {
    "edited here": (text(*OTHER), ("world", "directory-rename")),
    "left alone here": (text(*LONG), ("tools/world", "directory-rename")),
    "removed here": (None, ("world", "directory-rename")),
}


@pytest.mark.parametrize("case", BACK)
def test_a_renamed_directory_that_takes_a_file_back_to_its_own_name(case: str) -> None:
    """One side moved ``world`` into a directory that the other side moved to where ``world`` was.

    A conflict, and the file is there: git says so since 2.51 (its tests 12k and 12n of
    ``t6423-merge-rename-directories``), after years in which it lost the file silently or died.
    """
    kept, (path, kind) = BACK[case]
    base = {b"tools/hello": text(*HELLO), b"world": text(*LONG)}
    ours = {b"hello": text(*HELLO), **({} if kept is None else {b"world": kept})}
    theirs = {b"tools/hello": text(*HELLO), b"tools/world": text(*LONG)}
    for sides in ((ours, theirs), (theirs, ours)):
        result, state = merged(base, *sides)
        assert [(each.path, each.kind) for each in result.conflicts] == [(path.encode(), kind)]
        assert state == {b"hello": text(*HELLO), path.encode(): kept or text(*LONG)}


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
