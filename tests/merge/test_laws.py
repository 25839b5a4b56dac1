"""What is true of every merge of trees, on random histories that are shown to reach every corner."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from resync.merge import Driven, MergeAttributes, MergeOptions, merge_trees, surely_conflicts
from resync.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK, ConflictKind

from .states import State, law, memory, merged, place, put, random_history

DRIVEN = MergeOptions(
    attributes=lambda path: MergeAttributes(driver=b"stubborn" if path.endswith(b".py") else None),
    driver=lambda call: Driven(data=call.ours, clean=False),
)

histories = st.integers(0, 2**32).map(lambda seed: random_history(random.Random(seed)))


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
    """And so no marker that was not in one of them."""
    result, state = merged(*history)
    if result.clean:
        assert lines_of(state) <= lines_of(*history)


def lines_of(*states: State) -> set[bytes]:
    return {line for state in states for _, data in state.values() for line in data.split(b"\n")}


@law
@given(histories, st.sampled_from([MergeOptions(), DRIVEN]))
def test_every_conflict_can_be_recorded_in_an_index(
    history: tuple[State, State, State], options: MergeOptions
) -> None:
    result, state = merged(*history, options)
    paths = [conflict.path for conflict in result.conflicts]
    assert len(set(paths)) == len(paths)
    for conflict in result.conflicts:
        assert any(conflict.stages)
        assert conflict.path not in conflict.others
        if conflict.merged is not None:
            assert conflict.path in state


def test_a_sure_conflict_is_one() -> None:
    source = random.Random(12)
    seen: Counter[tuple[bool, bool]] = Counter()
    for _ in range(1500):
        objects = memory()
        base, ours, theirs = (put(objects, state) for state in random_history(source))
        sure = surely_conflicts(objects, base, ours, theirs)
        seen[sure, merge_trees(objects, base, ours, theirs).clean] += 1
    assert seen[True, True] == 0
    assert min(seen[True, False], seen[False, False], seen[False, True]) > 50, seen


_names = st.binary(min_size=1, max_size=3).filter(lambda name: not {0, ord("/")} & {*name})
_paths = st.lists(_names, min_size=1, max_size=3).map(b"/".join)


@st.composite
def wild_histories(draw: st.DrawFn) -> tuple[State, State, State]:
    """Three states of few paths and contents, any bytes both."""
    paths = draw(st.lists(_paths, min_size=1, max_size=5))
    contents = draw(st.lists(st.binary(max_size=40), min_size=1, max_size=4))
    return (
        draw_state(draw, paths, contents),
        draw_state(draw, paths, contents),
        draw_state(draw, paths, contents),
    )


def draw_state(draw: st.DrawFn, paths: list[bytes], contents: list[bytes]) -> State:
    state: State = {}
    for path in draw(st.lists(st.sampled_from(paths), max_size=5)):
        mode = draw(st.sampled_from([MODE_FILE, MODE_EXECUTABLE, MODE_SYMLINK, MODE_GITLINK]))
        data = draw(st.sampled_from(contents))
        place(state, path, (mode, hashlib.sha1(data).hexdigest().encode() if mode == MODE_GITLINK else data))
    return state


@law
@given(wild_histories(), st.sampled_from([MergeOptions(), DRIVEN]))
def test_any_bytes_come_to_a_verdict(history: tuple[State, State, State], options: MergeOptions) -> None:
    result, state = merged(*history, options)
    assert result.clean == (not result.conflicts)
    if result.clean:
        assert lines_of(state) <= lines_of(*history)


# --- what the histories meet -----------------------------------------------------------------------------


def test_random_histories_reach_everything() -> None:
    """The laws above are worth what the histories meet: every kind of conflict, and every deed of a side."""
    source = random.Random(11)
    kinds: Counter[ConflictKind] = Counter()
    deeds: Counter[str] = Counter()
    for _ in range(3000):
        base, ours, theirs = random_history(source)
        result, _ = merged(base, ours, theirs, DRIVEN if source.random() < 0.1 else None)
        kinds.update(conflict.kind for conflict in result.conflicts)
        deeds["clean"] += result.clean
        for side in (ours, theirs):
            deeds.update(deeds_of(base, side))
    assert {kind: kinds[kind] for kind in get_args(ConflictKind) if kinds[kind] < 15} == {}
    assert len(deeds) == 8
    assert min(deeds.values()) > 30, deeds


def deeds_of(base: State, side: State) -> Iterator[str]:
    """What one side did, each kind of deed once."""
    gone, new = base.keys() - side.keys(), side.keys() - base.keys()
    modes = {(base[path][0], side[path][0]) for path in base.keys() & side.keys()}
    if gone:
        yield "removed"
    if {base[path] for path in gone if base[path][1]} & {side[path] for path in new}:
        yield "renamed"
    if {(MODE_FILE, MODE_EXECUTABLE), (MODE_EXECUTABLE, MODE_FILE)} & modes:
        yield "mode"
    if any(old != after == MODE_SYMLINK for old, after in modes):
        yield "became a link"
    if any(side[path][0] == MODE_SYMLINK for path in new):
        yield "added a link"
    if any(base[path] != side[path] and side[path][0] == MODE_GITLINK for path in base.keys() & side.keys()):
        yield "submodule went on"
    if any(directory_went(base, side, directory) for directory in directories(base) - directories(side)):
        yield "renamed a directory"


def directories(state: State) -> set[bytes]:
    return {path.rpartition(b"/")[0] for path in state} - {b""}


def directory_went(base: State, side: State, directory: bytes) -> bool:
    """Whether all of a directory is in one that was not there."""
    inside = {
        path[len(directory) :]: file for path, file in base.items() if path.startswith(directory + b"/")
    }
    return any(
        all(side.get(new + rest) == file for rest, file in inside.items()) for new in directories(side)
    )
