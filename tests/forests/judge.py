"""Carries a random forest over, compares every branch with what git makes of it, and takes it all back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.conftest import CLOCK, Done, World
from tests.forests.shapes import Forest, grow, rebased

LATER = {"GIT_COMMITTER_DATE": f"{CLOCK + 60} +0000"}


def branches(world: World) -> dict[str, str]:
    """Every local branch but ours, and where it stands."""
    lines = world.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads/").splitlines()
    found = dict(line.split() for line in lines)
    return {name: oid for name, oid in found.items() if not name.startswith("rescue/")}


def stands_as_git_has_it(world: World, seed: int, most: int) -> Counter[str]:
    """Without conflicts: every branch has the very id that git gives it; the shapes that occurred."""
    forest = grow(world, seed, most)
    before = branches(world)
    expected = {name: rebased(world, forest, name) for name in forest.heads}
    expected |= {"main": forest.new} | dict.fromkeys(forest.copies, forest.old)
    if forest.edited:
        expected[forest.linked] = before[forest.linked]
    done = world.resync("run", "--yes", "--json", "--all-branches")
    assert (done.code, done.err) == (3 if forest.edited else 0, "")
    assert branches(world) == expected
    assert world.git("status", "--porcelain") == ""
    assert _left_in_other_trees(done) == ({forest.linked} if forest.edited else set())
    _linked_tree_follows(world, forest)
    assert world.resync("undo", "--yes", env=LATER).code == 0
    assert branches(world) == before
    _linked_tree_follows(world, forest)
    return forest.shapes


def _linked_tree_follows(world: World, forest: Forest) -> None:
    """The second working tree is where its branch is, and whatever was edited in it still is."""
    if forest.linked:
        status = world.git("status", "--porcelain", at=Path(f"{world.clone}-linked"))
        assert status == (" M README" if forest.edited else "")


def _left_in_other_trees(done: Done) -> set[str]:
    return {each["name"] for each in done.json["branches"][1:] if "checked out in" in each["reason"]}


def conflicts_stay(world: World, seed: int, most: int) -> Counter[str]:
    """With conflicts: what conflicts somewhere stays and is named, and nothing else differs."""
    forest = grow(world, seed, most, conflicts=True)
    current = world.git("branch", "--show-current")
    before = branches(world)
    done = world.resync("run", "--yes", "--json", "--all-branches")
    after = branches(world)
    stayed = {name for name in forest.heads if after[name] == before[name]}
    edited = {forest.linked} if forest.edited else set()
    assert stayed == (forest.conflicting | edited) - {current}
    _linked_tree_follows(world, forest)
    assert {each["name"] for each in done.json["branches"][1:] if each["waits"]} == stayed
    for name in set(forest.heads) - stayed - {current}:
        assert after[name] == rebased(world, forest, name)
    assert done.code == (3 if forest.conflicting or forest.edited else 0)
    world.resync("undo", "--yes", env=LATER)
    assert branches(world) == before
    _linked_tree_follows(world, forest)
    return forest.shapes
