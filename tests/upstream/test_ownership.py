"""``check --verbose`` says of every commit whose it is and what says so."""

from __future__ import annotations

from tests import rewritten
from tests.conftest import World


def test_every_commit_is_explained(world: World) -> None:
    old, new = rewritten.rewritten(world)
    listed = world.git("rev-list", "HEAD", f"^{new}").splitlines() if _has(world, new) else []
    done = world.resync("check", "--verbose", "--json")
    owned = done.json["ownership"]
    listed = listed or world.git("rev-list", "HEAD", f"^{new}").splitlines()
    assert [each["oid"] for each in owned] == listed
    assert [(each["subject"], each["whose"]) for each in owned] == [
        ("Fix the README", "yours"),
        ("Count my way", "yours"),
        ("Ship a plugin", "yours"),
        ("Old way", "upstream"),
    ]
    assert owned[-1]["evidence"] == {
        "kind": "tracking",
        "source": "refs/remotes/origin/main",
        "oid": old,
    }
    assert "ownership" not in world.resync("check", "--json").json


def _has(world: World, oid: str) -> bool:
    return oid in world.git("rev-list", "--all").splitlines()


def test_one_commit_is_explained(world: World) -> None:
    old, new = rewritten.rewritten(world)
    done = world.resync("check", "--commit", "HEAD~1")
    assert "Count my way" in done.out
    assert "yours: nothing says that upstream ever had it" in done.out
    assert "Ship a plugin" not in done.out
    assert "upstream's: an earlier resync saw it" in world.resync("check", "--commit", old).out
    assert "upstream's, and it still has it" in world.resync("check", "--commit", new).out
    world.git("checkout", "-q", "--orphan", "elsewhere")
    stray = world.commit("Elsewhere", {"x": "x"})
    world.git("checkout", "-q", "-f", "main")
    done = world.resync("check", "--commit", stray, "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "not-on-this-branch")


def test_what_upstream_has_of_a_commit_is_said(world: World) -> None:
    """It is yours all the same: content reports, and takes nothing away."""
    rewritten.start(world)
    mine = world.commit("Ship a plugin", {"plugin.txt": "my plugin\n"})
    world.commit("Mine alone\n\nChange-Id: I" + "a" * 40, {"mine.txt": "mine\n"})
    at = rewritten.work(world)
    world.git("reset", "-q", "--hard", "HEAD~1", at=at)
    twin = world.commit("Ship it, too", {"plugin.txt": "my plugin\n"}, at=at)
    same = world.commit("Another form\n\nChange-Id: I" + "a" * 40, {"other.txt": "other\n"}, at=at)
    rewritten.publish(world)
    owned = {each["subject"]: each for each in world.resync("check", "--verbose", "--json").json["ownership"]}
    assert (owned["Ship a plugin"]["oid"], owned["Ship a plugin"]["whose"]) == (mine, "yours")
    assert owned["Ship a plugin"]["content"] == f"upstream has the same patch as {twin[:10]}"
    assert owned["Mine alone"]["content"] == f"upstream has a commit of the same Change-Id, {same[:10]}"
    said = f"ever had this very commit, but upstream has the same patch as {twin[:10]}"
    assert said in world.resync("check", "--commit", mine).out
