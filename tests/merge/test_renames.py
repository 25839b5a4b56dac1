"""Which files and directories count as renamed, and git's order of choice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resync.merge.directories import find_directory_renames, moved_along
from resync.merge.options import RenameOptions
from resync.merge.order import hash_order
from resync.merge.renames import _EMPTY_BLOBS, find_renames
from resync.merge.similarity import FULL, Overlaps, pieces, score
from resync.merge.walk import side_changes
from resync.model import MODE_FILE, MODE_GITLINK, Oid, TreePath

from .states import State, law, memory, put

LONG = b"".join(b"line %d\n" % n for n in range(20))
files = st.lists(st.sampled_from([b"a\n", b"bb\r\n", b"c" * 70, b"\n", b"\0"]), max_size=8).map(b"".join)


def renamed(
    base: State, side: State, relevant: set[bytes] | None = None, other: State | None = None
) -> dict[bytes, bytes]:
    objects = memory()
    trees = [put(objects, state) for state in (base, side, base if other is None else other)]
    removed, added = side_changes(objects, *trees)
    wanted = [TreePath(path) for path in (base if relevant is None else relevant)]
    found = find_renames(objects, removed, added, wanted, RenameOptions())
    return {**found.targets}


def regular(**contents: bytes) -> State:
    return {name.replace("__", "/").encode(): (MODE_FILE, data) for name, data in contents.items()}


def test_the_empty_blobs_are_what_they_are_called() -> None:
    hashes = {hashed(b"blob 0\0").hexdigest().encode() for hashed in (hashlib.sha1, hashlib.sha256)}
    assert hashes == _EMPTY_BLOBS


def test_equal_content_prefers_the_equal_name() -> None:
    base = regular(a__x=LONG, a__y=LONG)
    assert renamed(base, regular(b__y=LONG)) == {b"a/y": b"b/y"}
    assert renamed(base, regular(b__z=LONG)) == {b"a/x": b"b/z"}


def test_empty_files_are_never_renamed() -> None:
    assert renamed(regular(a=b""), regular(b=b"")) == {}


def test_half_of_a_file_is_enough_but_not_less() -> None:
    half = LONG[: len(LONG) // 2 + 8]
    assert renamed(regular(a=LONG), regular(b=half)) == {b"a": b"b"}
    assert renamed(regular(a=LONG), regular(b=LONG[: len(LONG) // 2 - 8])) == {}


def test_a_name_of_its_own_beats_a_better_score() -> None:
    base = regular(a__name=LONG)
    side = regular(b__name=LONG + b"changed\n" * 3, c__other=LONG + b"changed\n")
    assert renamed(base, side) == {b"a/name": b"b/name"}


def test_sources_that_do_not_matter_are_only_found_by_content() -> None:
    base = regular(a=LONG, b=LONG[::-1])
    side = regular(c=LONG + b"x\n", d=LONG[::-1])
    assert renamed(base, side, relevant=set()) == {b"b": b"d"}


def test_directories_that_the_other_side_left_alone_come_last() -> None:
    """Both targets are as good: the hash table has ``z`` first, until the other side changes ``a``."""
    base = regular(source=LONG, a__k=b"k\n", z__k=b"k\n")
    side = regular(a__new=LONG, a__k=b"k\n", z__new=LONG, z__k=b"k\n")
    assert renamed(base, side) == {b"source": b"z/new"}
    other = {**base, **regular(a__k=b"changed\n")}
    assert renamed(base, side, other=other) == {b"source": b"a/new"}


@law
@given(st.lists(st.binary(max_size=6), unique=True, max_size=300))
def test_the_hash_order_loses_nothing(names: list[bytes]) -> None:
    assert sorted(hash_order(names)) == sorted(names)


def test_the_hash_order_goes_by_fnv1() -> None:
    # FNV-1 of "a", "b", "c" in 32 bits: 0x050c5d7e, 0x050c5d7d, 0x050c5d7c
    assert hash_order([b"a", b"b", b"c"]) == [b"c", b"b", b"a"]


@law
@given(files, st.lists(files, max_size=5), st.sampled_from([0, FULL // 2, FULL * 3 // 4]))
def test_many_comparisons_are_as_single_ones(one: bytes, others: list[bytes], least: int) -> None:
    cut = [pieces(data) for data in others]
    scores = Overlaps(cut).scores(pieces(one), least)
    assert [scores.get(at, 0) for at in range(len(cut))] == [score(file, pieces(one), least) for file in cut]
    assert Overlaps(cut).comparable(len(one), least) or not scores, "their sizes forbid it"


def test_files_that_are_too_large_or_too_small_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever adds ten thousand files to a repository would wait for all of them, at every conflict."""
    objects = memory()
    base = put(objects, regular(old=LONG))
    side = put(objects, regular(new=LONG + b"one more\n", small=LONG[:20], large=LONG * 3))
    removed, added = side_changes(objects, base, side, base)
    read: list[bytes] = []

    def noted(oid: Oid, blob: Callable[[Oid], bytes] = objects.blob) -> bytes:
        read.append(blob(oid))
        return read[-1]

    monkeypatch.setattr(objects, "blob", noted)
    found = find_renames(objects, removed, added, [TreePath(b"old")], RenameOptions())
    assert found.targets == {b"old": b"new"}
    assert sorted(read) == [LONG, LONG + b"one more\n"]


@law
@given(files)
def test_a_file_is_like_itself(data: bytes) -> None:
    whole = (
        FULL
        if b"\r\n" not in data or b"\0" in data
        else FULL * len(data.replace(b"\r\n", b"\n")) // len(data)
    )
    assert score(pieces(data), pieces(data), 0) == (whole if data else 0)


@pytest.mark.parametrize(
    ("renames", "removed", "targets", "split"),
    [
        ({b"d/a": b"e/a"}, {b"d": True}, {b"d": b"e"}, ()),
        ({b"d/a": b"e/a"}, {}, {}, ()),
        ({b"d/a": b"e/a", b"d/b": b"f/b"}, {b"d": True}, {}, (b"d",)),
        ({b"d/a": b"e/a", b"d/b": b"f/b", b"d/c": b"f/c"}, {b"d": True}, {b"d": b"f"}, ()),
        ({b"d/s/a": b"e/s/a"}, {b"d": True, b"d/s": False}, {b"d": b"e", b"d/s": b"e/s"}, ()),
        ({b"d/s/a": b"e/t/a"}, {b"d": True, b"d/s": False}, {b"d/s": b"e/t"}, ()),
        ({b"d/a": b"a"}, {b"d": True}, {b"d": b""}, ()),
    ],
)
def test_directory_renames(
    renames: dict[TreePath, TreePath],
    removed: dict[TreePath, bool],
    targets: dict[bytes, bytes],
    split: tuple[bytes, ...],
) -> None:
    assert find_directory_renames(renames, removed) == (targets, split)


def test_files_move_along_with_the_nearest_directory() -> None:
    targets = {b"d": b"e", b"d/s": b""}
    assert moved_along(TreePath(b"d/x/a"), targets) == (b"d", b"e/x/a")
    assert moved_along(TreePath(b"d/s/a"), targets) == (b"d/s", b"a")
    assert moved_along(TreePath(b"f/a"), targets) is None


def test_gitlinks_are_renamed_by_id_alone() -> None:
    module = (MODE_GITLINK, b"1" * 40)
    assert renamed({b"a": module}, {b"b": module}) == {b"a": b"b"}
