"""Parked merges, finished by a person: they stay merges, with the parents that they had."""

from __future__ import annotations

import pytest

from tests.conftest import World, needs_git
from tests.inside import inside
from tests.rewritten import LINES, publish, start, work

pytestmark = needs_git

WHEN = {"GIT_AUTHOR_DATE": "1461000000 +0200", "GIT_AUTHOR_NAME": "Merger"}


def make(world: World, side: str) -> str:
    """A commit, a merge of two others with a change of its own that will conflict, and a commit above.

    ``side``: what was merged stands on this line (``own``; upstream has the last of it), on a branch of its
    own that moves along (``branch``), or is somebody else's (``other``). Returns the merge.
    """
    start(world)
    world.commit("First", {"first.txt": "first\n"})
    if side == "other":
        at = work(world)
        world.git("checkout", "-q", "-b", "theirs", "main~1", at=at)
        world.commit("Aside", {"aside.txt": "aside\n"}, at=at)
        world.commit("Beside", {"beside.txt": "beside\n"}, at=at)
        world.git("push", "-q", "origin", "theirs", at=at)
        world.git("checkout", "-q", "main", at=at)
        world.git("fetch", "-q")
        merged = "origin/theirs"
    else:
        world.git("checkout", "-q", "-b", "side")
        world.commit("Aside", {"aside.txt": "aside\n"})
        world.commit("Beside", {"beside.txt": "beside\n"})
        if side == "own":
            world.commit("Shared", {"shared.txt": "shared\n"})
        world.git("checkout", "-q", "main")
        merged = "side"
    world.commit("Second", {"second.txt": "second\n"})
    world.git("merge", "-q", "--no-ff", "--no-commit", merged)
    world.write("numbers.txt", LINES.replace("line 2\n", "line two, my way\n"))
    world.git("add", "numbers.txt")
    world.git("commit", "-q", "-m", "Join\n\nBecause.", env=WHEN)
    merge = world.git("rev-parse", "HEAD")
    if side == "own":
        world.git("branch", "-q", "-D", "side")
    world.commit("Third", {"third.txt": "third\n"})
    at = work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    world.commit("New way", {"numbers.txt": LINES.replace("line 2\n", "line two, the new way\n")}, at=at)
    if side == "own":
        world.commit("Shared", {"shared.txt": "shared\n"}, at=at)
    publish(world)
    return merge


def check(world: World, merge: str, first: str, side: str) -> None:
    """The merge is one again, on ``first`` and what was aside, with its own author, date, and changes."""
    made = world.git("log", "-1", "--format=%H", "--grep=Join", "main")
    one, two = world.git("log", "-1", "--format=%P", made).split()
    assert world.git("log", "-1", "--format=%s", one) == first
    form = "--format=%an %ae %ad %B"
    assert world.git("log", "-1", form, made) == world.git("log", "-1", form, merge)
    log = world.git("log", "--reverse", "--topo-order", "--format=%s", f"{one}..{two}")
    assert log.splitlines() == ["Aside", "Beside"]
    if side == "other":
        assert two == world.git("rev-parse", "origin/theirs")
    else:
        base = world.git("merge-base", one, two)
        assert world.git("log", "-1", "--format=%s", base) == "First"
        assert world.git("merge-base", "--is-ancestor", "origin/main", base) == ""
        assert world.git("rev-list", "--merges", "--count", "origin/main..main") == "1"
    if side == "branch":
        assert two == world.git("rev-parse", "side")
    changed = world.git("diff", "--name-only", one, made).splitlines()
    assert changed == ["aside.txt", "beside.txt", "numbers.txt"]
    assert world.git("show", f"{made}:numbers.txt") == "both"
    assert world.git("fsck", "--strict", "--no-dangling") == ""


def later(world: World) -> None:
    """What is made from now on has another time, and so another id."""
    world.env["GIT_COMMITTER_DATE"] = "1461099999 +0000"


@pytest.mark.parametrize(
    ("side", "how"),
    [("own", "continue"), ("branch", "continue"), ("other", "continue"), ("own", "commit")],
)
def test_a_parked_merge_is_made_anew_as_one(world: World, side: str, how: str) -> None:
    merge = make(world, side)
    world.git("config", "notes.rewriteRef", "refs/notes/commits")
    noted = world.git("log", "-1", "--format=%H", "--grep=Beside", merge)
    world.git("notes", "add", "-m", "a note", noted)
    done = inside(world, "run", "--yes", "--json")
    parked = {each["subject"] for each in done.json["commits"] if each["verdict"] == "parked"}
    assert parked == ({"Join"} if side == "other" else {"Aside", "Beside", "Join"})
    if side == "branch":  # which has moved, and its commits with it
        assert {each["branch"] for each in done.json["commits"] if each["subject"] == "Beside"} == {
            "main",
            "side",
        }
        assert world.git("notes", "show", "side") == "a note"
    before = world.git("rev-parse", "main")
    later(world)
    taken = inside(world, "continue", "--json").json
    assert (taken["commits"], taken["sitting"]["commit"]) == ([], merge)
    assert taken["sitting"]["conflicts"] == ["numbers.txt"]
    world.write("numbers.txt", "both\n")
    world.git("add", "numbers.txt")
    if how == "commit":
        world.git("commit", "-q", env={"GIT_EDITOR": "true"})
    done = inside(world, "continue", "--json")
    assert done.code == 0, done
    told = {each["subject"]: each for each in done.json["commits"]}
    assert set(told) == ({"Aside", "Beside", "Join"} if side == "own" else {"Join"})
    check(world, merge, "Third", side)
    if side == "own":
        assert world.git("notes", "show", told["Beside"]["new_oid"]) == "a note"
    assert inside(world, "status", "--json").json["waiting"] == []
    assert world.git("status", "--porcelain") == ""
    assert inside(world, "undo", "--yes").code == 3
    assert world.git("rev-parse", "main") == before


def test_a_run_stops_at_a_merge_and_goes_on(world: World) -> None:
    merge = make(world, "own")
    stopped = inside(world, "run", "--yes", "--json", "--on-conflict", "stop")
    assert stopped.code == 4
    assert stopped.json["sitting"]["commit"] == merge
    later(world)
    world.write("numbers.txt", "both\n")
    world.git("add", "numbers.txt")
    done = inside(world, "continue", "--json")
    assert done.code == 0
    assert {each["verdict"] for each in done.json["commits"]} == {"reapplied"}
    check(world, merge, "Second", "own")
    assert world.git("log", "-1", "--format=%s") == "Third"


def test_a_merge_above_a_conflict(world: World) -> None:
    """It is left for later by a run that stops, and made anew on what the conflict was resolved to."""
    start(world)
    world.git("checkout", "-q", "-b", "side")
    world.commit("Aside", {"aside.txt": "aside\n"})
    world.git("checkout", "-q", "main")
    world.commit("Mine", {"numbers.txt": "mine\n"})
    world.git("merge", "-q", "--no-edit", "side")
    at = work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    world.commit("New way", {"numbers.txt": LINES.replace("line 2\n", "line two, the new way\n")}, at=at)
    publish(world)
    assert inside(world, "run", "--yes", "--on-conflict", "stop").code == 4
    later(world)
    world.write("numbers.txt", "both\n")
    world.git("add", "numbers.txt")
    assert inside(world, "continue").code == 0
    graph = world.git("log", "--format=%s:%p", "origin/main..").splitlines()
    assert [line.partition(":")[0] for line in graph] == ["Merge branch 'side'", "Mine", "Aside"]
    assert world.git("rev-parse", "HEAD^2") == world.git("rev-parse", "side")
    assert world.git("merge-base", "HEAD^1", "HEAD^2") == world.git("rev-parse", "origin/main")


def test_a_merge_is_left_parked_with_what_it_brought(world: World) -> None:
    merge = make(world, "own")
    assert inside(world, "run", "--yes").code == 3
    before = world.state()["files"]
    assert inside(world, "continue").code == 4
    assert inside(world, "skip").code == 3
    assert world.state()["files"] == before
    (waiting,) = inside(world, "status", "--json").json["waiting"]
    assert {each["subject"] for each in waiting["commits"]} == {"Aside", "Beside", "Join"}
    assert merge in {each["oid"] for each in waiting["commits"]}
