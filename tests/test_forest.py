"""The other branches that stood on the old upstream; for random forests git, head by head, is the oracle."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests import rewritten
from tests.conftest import Done, World, environment, needs_git
from tests.forests.judge import LATER, branches, conflicts_stay, stands_as_git_has_it
from tests.forests.shapes import Forest, grow

pytestmark = needs_git


def told(done: Done) -> dict[str, dict[str, object]]:
    """What the JSON says of each other branch."""
    return {each["name"]: each for each in done.json["branches"][1:]}


def run(world: World, *options: str) -> Done:
    done = world.resync("run", "--yes", "--json", *options)
    assert done.err == ""
    return done


# --- random forests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_all_branches_stand_where_git_puts_them(world: World, seed: int) -> None:
    stands_as_git_has_it(world, seed, 6)


@pytest.mark.parametrize("seed", range(100, 104))
def test_what_conflicts_somewhere_stays_and_nothing_else_differs(world: World, seed: int) -> None:
    conflicts_stay(world, seed, 6)


def test_the_forests_have_every_shape(tmp_path: Path, hermetic: Path) -> None:
    """What the sweeps stand on: each shape occurs, and not only once."""
    shapes: Counter[str] = Counter()
    for seed in range(6):
        base = tmp_path / str(seed)
        base.mkdir()
        world = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(hermetic))
        world.git("init", "-q", "--bare", "-b", "main", str(world.upstream), at=base)
        shapes += grow(world, seed, 6).shapes
    wanted = ("stack", "in the middle", "below the old tip", "on the old tip", "merge", "copy", "worktree")
    assert all(shapes[shape] > 1 for shape in wanted), shapes


# --- one thing at a time -------------------------------------------------------------------------------


@pytest.fixture
def forest(world: World) -> Forest:
    """``lower`` and ``upper`` are a stack with the current branch on top; ``aside`` stands alone."""
    rewritten.start(world)
    old = world.git("rev-parse", "HEAD")
    heads = {}
    for name, start in (("aside", old), ("lower", old), ("upper", "lower"), ("current", "upper")):
        world.git("checkout", "-q", "--no-track", "-b", name, start)
        heads[name] = world.commit(f"Work of {name}", {f"{name}.txt": f"{name}\n"})
    world.git("branch", "--set-upstream-to=origin/main")
    return Forest(old=old, new=rewritten.rewrite(world), heads=heads)


def test_a_stack_moves_with_the_branch_on_top_of_it(world: World, forest: Forest) -> None:
    done = run(world)
    assert world.git("log", "--format=%s", "origin/main..current").splitlines() == [
        "Work of current",
        "Work of upper",
        "Work of lower",
    ]
    assert world.git("rev-parse", "current~1", "current~2").split() == [
        world.git("rev-parse", "upper"),
        world.git("rev-parse", "lower"),
    ]
    assert world.git("rev-parse", "aside") == forest.heads["aside"]
    said = told(done)
    assert (said["upper"]["moved"], said["lower"]["moved"], said["aside"]["moved"]) == (True, True, False)
    assert said["aside"]["waits"], "somebody has to decide about it"
    assert done.code == 3
    assert (said["main"]["waits"], said["main"]["reason"]) == (False, "it has no commits of yours")
    assert [(each["branch"], each["verdict"]) for each in done.json["commits"]] == [
        ("current", "reapplied"),
        ("current", "reapplied"),
        ("current", "reapplied"),
        ("aside", "reapplied"),
    ]
    assert "resync run --branch aside" in world.resync("status").out


def test_only_the_current_branch_moves_if_that_is_asked(world: World, forest: Forest) -> None:
    before = branches(world)
    done = run(world, "--only-current")
    assert (done.code, told(done)) == (0, {})
    assert {name: oid for name, oid in branches(world).items() if name != "current"} == {
        name: oid for name, oid in before.items() if name != "current"
    }


def test_a_branch_follows_later_when_it_is_asked_for(world: World, forest: Forest) -> None:
    """The current branch is in sync by then and stays, and the working tree with it."""
    assert run(world).code == 3
    current, index = world.git("rev-parse", "HEAD"), (world.clone / ".git" / "index").read_bytes()
    assert world.resync("status").code == 3
    assert run(world).code == 3, "it is still left behind"
    done = world.resync("run", "--yes", "--json", "--branch", "as*", env=LATER)
    assert (done.code, done.err) == (0, "")
    assert told(done)["aside"]["moved"]
    again = world.resync("run", "--yes", "--branch", "as*", env=LATER)
    assert again.code == 0, "there is nothing left to do for a timer, and that is no mistake"
    assert world.git("rev-parse", "HEAD") == current
    assert (world.clone / ".git" / "index").read_bytes() == index
    assert world.git("log", "--format=%s", "origin/main..aside") == "Work of aside"
    assert world.resync("status").code == 0
    assert world.resync("undo", "--yes", env=LATER).code == 3, "and now it is left behind again"
    assert world.git("rev-parse", "aside") == forest.heads["aside"]
    assert world.git("rev-parse", "HEAD") == current


def test_a_branch_nobody_has_is_refused(world: World, forest: Forest) -> None:
    before = world.state()
    done = world.resync("run", "--yes", "--json", "--branch", "aside", "--branch", "topc")
    assert (done.code, done.json["error"]["kind"]) == (1, "no-such-branch")
    assert world.state() == before


def test_other_peoples_changes_move_only_by_name(world: World, forest: Forest) -> None:
    world.git("branch", "review/someone/topic", "aside")
    done = run(world, "--all-branches")
    assert world.git("rev-parse", "review/someone/topic") == forest.heads["aside"]
    assert told(done)["review/someone/topic"]["moved"] is False
    assert run(world, "--branch", "review/*").code == 0
    assert world.git("rev-parse", "review/someone/topic") == world.git("rev-parse", "aside")


def test_a_branch_with_a_conflict_moves_only_if_parking_is_asked_for(world: World, forest: Forest) -> None:
    world.git("checkout", "-q", "aside")
    text = (world.clone / "numbers.txt").read_text().replace("two, the old way", "two, aside")
    parked = world.commit("Count aside", {"numbers.txt": text})
    world.git("checkout", "-q", "current")
    done = run(world, "--branch", "aside")
    assert (done.code, told(done)["aside"]["moved"]) == (3, False)
    assert "--on-conflict park" in told(done)["aside"]["reason"]
    done = run(world, "--branch", "aside", "--on-conflict", "park")
    said = told(done)["aside"]
    assert (done.code, said["moved"]) == (3, True)
    assert world.git("log", "--format=%s", "origin/main..aside") == "Work of aside"
    assert world.git("rev-parse", said["rescue"]["branch"]) == parked
    status = world.resync("status")
    assert status.code == 3, "it is parked, though the current branch was in sync all the time"
    assert f"git checkout aside && git cherry-pick {parked[:10]}" in status.out
    assert world.resync("run", "--yes", env=LATER).code == 3
    world.git("checkout", "-q", "aside")
    world.git("cherry-pick", "-Xtheirs", parked)
    world.git("checkout", "-q", "current")
    assert world.resync("status").code == 0


def test_a_branch_of_another_working_tree_moves_with_it_or_is_left_and_named(
    world: World, forest: Forest
) -> None:
    """One that points inside the current branch unasked, as any other; more in ``test_along``."""
    linked, edited = world.base / "linked", world.base / "edited"
    world.git("worktree", "add", "-q", str(linked), "lower")
    world.git("worktree", "add", "-q", str(edited), "upper")
    world.write("README", "edited\n", at=edited)
    done = run(world)
    assert told(done)["lower"]["moved"] is True
    assert world.git("status", "--porcelain", at=linked) == ""
    assert world.git("rev-parse", "upper") == forest.heads["upper"]
    assert str(edited) in str(told(done)["upper"]["reason"])
    assert done.code == 3


def test_an_undo_leaves_a_branch_that_another_working_tree_has_checked_out_since(
    world: World, forest: Forest
) -> None:
    """To move it would make all its files look edited there, and a commit undo what upstream did."""
    assert run(world, "--branch", "aside").code == 0
    world.git("worktree", "add", "-q", str(world.base / "linked"), "lower")
    moved = world.git("rev-parse", "lower")
    done = world.resync("undo", "--yes", "--json", env=LATER)
    assert done.code == 3
    assert world.git("rev-parse", "lower") == moved
    assert world.git("status", "--porcelain", at=world.base / "linked") == ""
    assert told(done)["lower"]["waits"] is True
    assert told(done)["lower"]["reason"] == f"it is checked out in {world.base / 'linked'}"
    assert "look at lower in" in world.resync("status", env=LATER).out
    world.git("reset", "-q", "--keep", forest.heads["lower"], at=world.base / "linked")
    assert world.resync("status", env=LATER).code == 0
    assert world.git("rev-parse", "upper", "aside").split() == [forest.heads["upper"], forest.heads["aside"]]


def test_a_branch_that_is_checked_out_elsewhere_while_it_is_planned_with_stops_the_run(
    world: World, forest: Forest
) -> None:
    linked = world.base / "linked"
    script = world.write("../filter", f"#!/bin/sh\ngit worktree add -q {linked} lower >&2\ncat\n")
    script.chmod(0o755)
    world.git("config", "filter.late.smudge", str(script))
    world.write(".git/info/attributes", "README filter=late\n")
    done = world.resync("run", "--yes", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "ref-moved")
    assert branches(world) == {**forest.heads, "main": forest.old}
    assert world.git("status", "--porcelain", at=linked) == ""


def test_every_branch_keeps_the_upstream_that_it_is_configured_with(world: World, forest: Forest) -> None:
    world.git("branch", "-q", "--set-upstream-to=lower", "upper")
    world.git("branch", "-q", "--set-upstream-to=origin/main", "aside")
    world.git("config", "branch.lower.pushRemote", "fork")
    settings = ("config", "--local", "--get-regexp", "^branch[.]")
    before = world.git(*settings)
    assert run(world, "--all-branches").code == 0
    assert world.git(*settings) == before


def test_a_branch_of_another_upstream_is_nobodys_business(world: World, forest: Forest) -> None:
    """What the server has elsewhere stays as its own upstream says, though it holds what this one left."""
    at = rewritten.work(world)
    world.git("push", "-q", "origin", f"{forest.old}:refs/heads/other", at=at)
    world.git("fetch", "-q", "origin", "other:refs/remotes/origin/other")
    world.git("branch", "--track", "kept", "origin/other")
    assert "kept" not in told(run(world, "--all-branches"))


def test_another_name_of_the_branch_is_not_a_branch(world: World, forest: Forest) -> None:
    world.git("symbolic-ref", "refs/heads/alias", "refs/heads/current")
    done = run(world, "--all-branches")
    assert (done.code, "alias" in told(done)) == (0, False)


def test_what_upstream_dropped_keeps_a_branch_where_it_is(world: World) -> None:
    """A commit that was pushed to upstream and left out of its new history is not lost with the move."""
    rewritten.start(world)
    mine = world.commit("Sent", {"sent.txt": "sent\n"})
    world.git("push", "-q", "origin", "main")
    world.git("branch", "topic")
    world.git("checkout", "-q", "-b", "current", "--track", "origin/main")
    rewritten.rewrite(world)
    done = run(world, "--all-branches")
    assert done.code == 3
    assert world.git("rev-parse", "topic") == mine
    verdicts = {(each["oid"], each["verdict"]) for each in done.json["commits"]}
    assert (mine, "dropped-by-upstream") in verdicts


def test_the_plan_says_what_becomes_of_every_branch(world: World, forest: Forest) -> None:
    before = world.state()
    printed = world.resync("plan").out
    assert world.state() == before
    assert "  moves  lower" in printed
    assert "  stays  aside" in printed
    assert "nobody asked; to move it: resync run --branch aside" in printed
