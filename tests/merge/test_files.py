"""One path: attributes and drivers, modes, binary files."""

from __future__ import annotations

import pytest

from resync.merge import (
    Driven,
    DriverCall,
    DriverFailed,
    FileMerge,
    Labels,
    MergeAttributes,
    MergeOptions,
    is_binary,
    merge_entries,
)
from resync.model import MODE_EXECUTABLE, MODE_FILE, TreeEntry, TreePath
from resync.repository.objects import Objects

from .states import memory

PATH = TreePath(b"dir/file")


def merge(
    objects: Objects, base: bytes | None, ours: bytes, theirs: bytes, options: MergeOptions | None = None
) -> tuple[FileMerge, bytes]:
    old, mine, other = (
        None if data is None else TreeEntry(MODE_FILE, objects.add_blob(data))
        for data in (base, ours, theirs)
    )
    result = merge_entries(objects, PATH, (old, mine, other), options or MergeOptions())
    return result, objects.blob(result.entry.oid)


def with_attributes(**attributes: object) -> MergeOptions:
    def look_up(path: TreePath) -> MergeAttributes:
        assert path == PATH
        return MergeAttributes(**attributes)  # type: ignore[arg-type]

    return MergeOptions(attributes=look_up)


def test_binary_is_a_nul_in_the_first_8000_bytes() -> None:
    assert is_binary(b"a\0")
    assert is_binary(b"a" * 7999 + b"\0")
    assert not is_binary(b"a" * 8000 + b"\0")


def test_binary_files_keep_ours() -> None:
    result, data = merge(memory(), b"a\n", b"b\n", b"c\0\n")
    assert (result.conflict, result.merged, data) == ("binary", None, b"b\n")


def test_attributes_can_say_binary_union_and_marker_size() -> None:
    result, data = merge(memory(), b"a\n", b"b\n", b"c\n", with_attributes(treatment="binary"))
    assert (result.conflict, data) == ("binary", b"b\n")
    result, data = merge(memory(), b"a\n", b"b\n", b"c\n", with_attributes(treatment="union"))
    assert (result.conflict, data) == (None, b"b\nc\n")
    result, data = merge(memory(), b"a\n", b"b\n", b"c\n", with_attributes(marker_size=2))
    assert data == b"<< ours\nb\n==\nc\n>> theirs\n"


def test_a_driver_that_is_not_configured_is_named_and_text_merges() -> None:
    result, data = merge(memory(), b"1\n2\n3\n", b"0\n2\n3\n", b"1\n2\n4\n", with_attributes(driver=b"po"))
    assert (result.conflict, data) == (None, b"0\n2\n4\n")
    assert [*map(str, result.notes)] == [
        "dir/file: merged as text, because no merge driver 'po' is configured"
    ]


def test_a_configured_driver_decides() -> None:
    calls: list[DriverCall] = []

    def run(call: DriverCall) -> Driven | None:
        calls.append(call)
        return Driven(data=b"driven\n", clean=len(calls) == 1, said="hm" if len(calls) > 1 else "")

    options = MergeOptions(attributes=lambda path: MergeAttributes(driver=b"po"), driver=run)
    result, data = merge(memory(), None, b"b\n", b"c\n", options)
    assert (result.conflict, data, result.notes) == (None, b"driven\n", ())
    assert calls == [
        DriverCall(
            name=b"po",
            path=PATH,
            base=b"",
            ours=b"b\n",
            theirs=b"c\n",
            marker_size=7,
            labels=Labels(),
        )
    ]
    result, data = merge(memory(), b"a\n", b"b\n", b"c\n", options)
    assert (result.conflict, data) == ("driver", b"driven\n")
    assert [*map(str, result.notes)] == ["dir/file: merge driver 'po' left conflicts: hm"]


def test_a_driver_does_not_run_where_one_side_is_unchanged() -> None:
    def run(call: DriverCall) -> Driven | None:
        raise AssertionError

    options = MergeOptions(attributes=lambda path: MergeAttributes(driver=b"po"), driver=run)
    result, data = merge(memory(), b"a\n", b"a\n", b"c\n", options)
    assert (result.conflict, data) == (None, b"c\n")


def test_a_driver_that_fails_is_a_conflict_and_says_why() -> None:
    def run(call: DriverCall) -> Driven | None:
        raise DriverFailed("exit status 130")

    options = MergeOptions(attributes=lambda path: MergeAttributes(driver=b"po"), driver=run)
    result, data = merge(memory(), b"a\n", b"b\n", b"c\n", options)
    assert (result.conflict, data) == ("driver", b"b\n")
    assert [*map(str, result.notes)] == ["dir/file: exit status 130"]


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "mode", "conflict"),
    [
        (MODE_FILE, MODE_EXECUTABLE, MODE_FILE, MODE_EXECUTABLE, None),
        (MODE_FILE, MODE_FILE, MODE_EXECUTABLE, MODE_EXECUTABLE, None),
        (MODE_EXECUTABLE, MODE_FILE, MODE_FILE, MODE_FILE, None),
        (None, MODE_FILE, MODE_EXECUTABLE, MODE_FILE, "mode"),
    ],
)
def test_modes(base: int | None, ours: int, theirs: int, mode: int, conflict: str | None) -> None:
    objects = memory()
    oid = objects.add_blob(b"same\n")
    old = None if base is None else TreeEntry(base, oid)
    stages = (old, TreeEntry(ours, oid), TreeEntry(theirs, oid))
    result = merge_entries(objects, PATH, stages, MergeOptions())
    assert (result.entry.mode, result.conflict) == (mode, conflict)


def test_renamed_files_are_named_in_the_markers() -> None:
    objects = memory()
    stages = tuple(TreeEntry(MODE_FILE, objects.add_blob(data)) for data in (b"a\n", b"b\n", b"c\n"))
    names = (TreePath(b"old"), TreePath(b"new"), TreePath(b"old"))
    result = merge_entries(objects, PATH, stages, MergeOptions(style="diff3"), names, nested=1)  # type: ignore[arg-type]
    assert result.merged is not None
    assert objects.blob(result.merged) == (
        b"<<<<<<<< ours:new\nb\n|||||||| base:old\na\n========\nc\n>>>>>>>> theirs:old\n"
    )
