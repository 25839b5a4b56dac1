"""The gap between the last look at a file and its replacement, hit at every call and by chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from resync.model import MODE_EXECUTABLE, MODE_FILE, MODE_SYMLINK, TreeEntry, TreePath
from resync.worktree.place import place
from tests.history.commits import new_objects
from tests.worktree.races import Meddler, Somebody, kept, race
from tests.worktree.test_switch import Place, State

Act = Callable[[Somebody], None]

SWITCHES: dict[str, tuple[State, State]] = {
    "edited": ({"d/f": (MODE_FILE, b"old")}, {"d/f": (MODE_FILE, b"new")}),
    "mode": ({"d/f": (MODE_FILE, b"old")}, {"d/f": (MODE_EXECUTABLE, b"old")}),
    "new": ({}, {"d/f": (MODE_FILE, b"new")}),
    "gone": ({"d/f": (MODE_FILE, b"old")}, {}),
    "to a link": ({"d/f": (MODE_FILE, b"old")}, {"d/f": (MODE_SYMLINK, b"x")}),
    "from a link": ({"d/f": (MODE_SYMLINK, b"x")}, {"d/f": (MODE_FILE, b"new")}),
    "to a folder": ({"d/f": (MODE_FILE, b"old")}, {"d/f/g": (MODE_FILE, b"new")}),
    "from a folder": ({"d/f/g": (MODE_FILE, b"old")}, {"d/f": (MODE_FILE, b"new")}),
}
ACTS: dict[str, tuple[Act, ...]] = {
    "saves": (Somebody.save,),
    "saves slowly": (Somebody.begin_saving, Somebody.end_saving),
    "renames over": (Somebody.rename_over,),
    "saves and renames over": (Somebody.save, Somebody.rename_over),
    "renames over and saves": (Somebody.rename_over, Somebody.save),
    "has it open": (Somebody.append,),
    "removes": (Somebody.remove,),
    "removes and saves": (Somebody.remove, Somebody.save),
    "links": (Somebody.link,),
    "makes a folder": (Somebody.folder,),
    "makes a pipe": (Somebody.fifo,),
    "moves the folder away": (Somebody.move_folder,),
    "puts a file for the folder": (Somebody.file_for_folder,),
}


def meddled(base: Path, states: tuple[State, State], acts: Mapping[int, Act], *, reverting: bool) -> int:
    """Switch (or take back) with the acts at the calls of these numbers, and judge; return how many calls
    there were."""
    place = Place(base, *states)
    switch = place.switch()
    switch.check()
    switch.stage()
    if reverting:
        assert switch.apply() == ()
    somebody = Somebody(place.root / "d" / "f")
    with Meddler({number: partial(somebody.try_to, act) for number, act in acts.items()}) as meddler:
        left = switch.revert() if reverting else switch.apply()
    somebody.close()
    left += switch.disturbed()
    if somebody.last is not None:
        assert somebody.last in kept(place.root, place.folder), "what they saved last is lost"
        assert left or somebody.last in kept(place.root), "what they saved is not in place and not listed"
    # The other way afterwards finds what it left, and goes on from there.
    left = switch.apply() if reverting else switch.revert()
    if somebody.last is not None:
        assert somebody.last in kept(place.root, place.folder), f"lost on the way back; {left} were left"
    return meddler.calls


@pytest.mark.state(92)
@pytest.mark.state(93)
@pytest.mark.parametrize("reverting", [False, True], ids=["apply", "revert"])
@pytest.mark.parametrize("kind", SWITCHES)
def test_nothing_is_lost_in_any_gap(tmp_path: Path, kind: str, reverting: bool) -> None:
    calls = meddled(tmp_path / "alone", SWITCHES[kind], {}, reverting=reverting)
    assert calls > 4, "the meddler saw the calls"
    for name, acts in ACTS.items():
        for apart in (1, 4) if len(acts) > 1 else (1,):
            for first in range(calls):
                where = {first + apart * number: act for number, act in enumerate(acts)}
                meddled(tmp_path / f"{name} {apart} {first}", SWITCHES[kind], where, reverting=reverting)


@pytest.mark.parametrize("name", [name for name in ACTS if "folder" not in name and "pipe" not in name])
def test_a_file_that_is_placed_is_never_put_over_theirs(tmp_path: Path, name: str) -> None:
    calls = 1
    number = 0
    objects = new_objects()
    placed = objects.add_blob(b"placed")
    while number < calls:
        somebody = Somebody(tmp_path / f"{number}" / "d" / "f")
        acts = {number + each: partial(somebody.try_to, act) for each, act in enumerate(ACTS[name])}
        with Meddler(acts) as meddler:
            place(str(tmp_path / f"{number}"), TreePath(b"d/f"), TreeEntry(MODE_FILE, placed), objects)
        if somebody.last is not None:
            assert kept(tmp_path / f"{number}") == [somebody.last]
        calls = meddler.calls
        number += 1
    assert number > 8 or name == "has it open"


def test_a_race_with_an_editor(tmp_path: Path) -> None:
    """A sample of scripts/race-sweep."""
    outcomes = race(tmp_path, 600, seed=1)
    assert sum(outcomes.values()) == 600
    assert {each.partition(":")[0] for each in outcomes} == {"saves", "renames"}
    assert len(outcomes) > 3, outcomes
