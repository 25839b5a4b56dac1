"""Undo: everything back, the undo itself undone, and no timer makes again what was taken back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Done, World, needs_git
from tests.rewritten import publish, work

pytestmark = needs_git


def run(world: World, *options: str) -> Done:
    done = world.resync("run", "--yes", "--dirty", "park", "--json", *options)
    assert done.code in (0, 3), done.out
    return done


def undo(world: World, *options: str) -> Done:
    done = world.resync("undo", "--yes", "--json", *options)
    assert done.code in (0, 3), done.out
    return done


def refused(world: World, *arguments: str) -> str:
    """The kind of the refusal; the checkout is as it was."""
    before = world.state()
    done = world.resync(*arguments, "--json")
    assert done.code == 1, done.out
    assert world.state() == before
    return str(done.json["error"]["kind"])


def state(world: World) -> dict[str, Any]:
    """The checkout and its refs without what resync keeps for itself."""
    found = world.state()
    found["refs"] = [
        line for line in found["refs"] if "refs/heads/rescue/" not in line and "/resync/" not in line
    ]
    found["status"] = world.git("status", "--porcelain=v2", "--branch", "-uall")
    return found


def rescued(world: World) -> list[str]:
    return world.git("for-each-ref", "--format=%(refname:short)", "refs/heads/rescue").splitlines()


def test_there_and_back_three_times(rewritten_world: World) -> None:
    world = rewritten_world
    before = state(world)
    run(world)
    after = state(world)
    assert after["files"] != before["files"]
    for expected in (before, after, before):
        undo(world)
        assert state(world) == expected
    assert world.git("fsck", "--strict", "--no-dangling") == ""
    assert len(rescued(world)) == 4


def test_each_move_is_in_the_reflogs(rewritten_world: World) -> None:
    world = rewritten_world
    first = run(world).json["run"]
    undo(world)
    for name in ("HEAD", "main"):
        words = world.git("reflog", "show", "--format=%gs", name).splitlines()
        assert words[:2] == [f"resync: undo of {first}", "resync: carried over to origin/main"]


def test_what_was_taken_back_is_held(rewritten_world: World) -> None:
    """Until it is asked for, or upstream moves on."""
    world = rewritten_world
    run(world)
    carried = world.git("rev-parse", "HEAD^{tree}")
    undo(world)
    assert refused(world, "run", "--yes", "--dirty", "park") == "held"
    undo(world)
    undo(world)
    assert refused(world, "run", "--yes", "--dirty", "park") == "held"
    assert world.resync("check").code == 5
    run(world, "--redo")
    assert world.git("rev-parse", "HEAD^{tree}") == carried


def test_the_hold_ends_when_upstream_moves_on(rewritten_world: World) -> None:
    world = rewritten_world
    run(world)
    undo(world)
    world.commit("Something new", {"new.txt": "new\n"}, at=work(world))
    publish(world)
    run(world)
    assert (world.clone / "new.txt").exists()


def test_an_undo_that_was_undone_holds_nothing(rewritten_world: World) -> None:
    world = rewritten_world
    run(world)
    undo(world)
    undo(world)
    after = state(world)
    assert run(world).json["error"] is None
    assert state(world) == after


def test_a_run_that_stands_again_can_be_undone_by_its_name(rewritten_world: World) -> None:
    world = rewritten_world
    before = state(world)
    first = run(world).json["run"]
    undo(world)
    undo(world)
    undo(world, first)
    assert state(world) == before
    assert refused(world, "undo", first, "--yes") == "already-undone"


def test_newer_commits_are_asked_about(rewritten_world: World) -> None:
    world = rewritten_world
    before = state(world)
    run(world)
    world.write("numbers.txt", "newer\n")
    world.git("commit", "-q", "-m", "Newer", "--", "numbers.txt")
    newer = world.git("rev-parse", "HEAD")
    assert refused(world, "undo", "--yes") == "newer-commits"
    rescue = undo(world, "--discard-newer").json["rescue"]["branch"]
    assert state(world) == before
    assert world.git("rev-list", "-1", "--grep=Newer", rescue) == newer


def test_newer_edits_are_on_the_rescue_branch(rewritten_world: World) -> None:
    """Those in files that the run changed; all others stay where they are."""
    world = rewritten_world
    before = state(world)
    run(world)
    world.write("numbers.txt", "edited since\n")
    world.write("plugin.txt", "edited since as well\n")
    world.write("untracked.txt", "new since\n")
    rescue = undo(world).json["rescue"]["branch"]
    assert world.git("show", f"{rescue}:numbers.txt") == "edited since"
    files = state(world)["files"]
    assert files.pop("plugin.txt")[1] == b"edited since as well\n"
    assert files.pop("untracked.txt")[1] == b"new since\n"
    assert files == {name: kept for name, kept in before["files"].items() if name != "plugin.txt"}
    undo(world)
    assert (world.clone / "numbers.txt").read_text() == "edited since\n"


def test_a_named_run(rewritten_world: World) -> None:
    world = rewritten_world
    before = state(world)
    first = run(world).json["run"]
    undo(world, first)
    assert state(world) == before
    assert refused(world, "undo", first, "--yes") == "already-undone"
    assert refused(world, "undo", "20000101T000000Z-0000", "--yes") == "unknown-run"


@pytest.mark.parametrize("name", ["../../../x", ".", "", "a/b"])
def test_names_that_are_no_runs(rewritten_world: World, name: str) -> None:
    run(rewritten_world)
    assert refused(rewritten_world, "undo", name, "--yes") in ("unknown-run", "unreadable-journal")


def test_nothing_to_undo(rewritten_world: World) -> None:
    assert refused(rewritten_world, "undo", "--yes") == "nothing-to-undo"


def test_another_branch_is_checked_out(rewritten_world: World) -> None:
    world = rewritten_world
    run(world)
    world.git("stash", "-q")
    world.git("checkout", "-q", "-b", "other")
    assert refused(world, "undo", "--yes") == "other-branch"


def test_without_a_terminal_and_without_yes_it_is_not_guessed(rewritten_world: World) -> None:
    world = rewritten_world
    run(world)
    after = world.state()
    assert world.resync("undo").code == 2
    assert world.state() == after


@pytest.mark.parametrize(("answer", "back"), [("y\n", True), ("n\n", False), ("\x04", False)])
def test_on_a_terminal_it_asks(rewritten_world: World, answer: str, back: bool) -> None:
    world = rewritten_world
    before = state(world)
    run(world)
    after = state(world)
    world.terminal("undo", answer=answer)
    assert state(world) == (before if back else after)


def test_newer_commits_go_with_their_files(rewritten_world: World) -> None:
    world = rewritten_world
    before = state(world)
    run(world)
    world.write("newer.txt", "newer\n")
    world.git("add", "newer.txt")
    world.git("commit", "-q", "-m", "Newer", "--", "newer.txt")
    newer = world.git("rev-parse", "HEAD")
    undo(world, "--discard-newer")
    assert state(world) == before
    assert "rescue/" in world.git("branch", "--contains", newer)


def test_edits_since_the_run_are_named_and_wait(rewritten_world: World) -> None:
    """Undo puts the old bytes back; what was typed since is on the rescue branch, and that is said."""
    world = rewritten_world
    before = state(world)
    run(world)
    world.write("etc/tool.conf", "typed since\n")
    world.write("newer.txt", "newer\n")
    world.git("add", "newer.txt")
    done = world.resync("undo", "--yes", "--json", env={"GIT_COMMITTER_DATE": "1461092700 +0000"})
    assert done.code == 3, done
    (file,) = done.json["files"]
    assert file == {"path": "etc/tool.conf", "state": "unstaged", "verdict": "parked", "reason": ""}
    assert state(world)["files"]["etc/tool.conf"] == before["files"]["etc/tool.conf"]
    assert world.git("show", done.json["rescue"]["branch"] + ":etc/tool.conf") == "typed since"
    assert world.git("show", ":newer.txt") == "newer", "what the run did not touch stays as it is"
    assert world.resync("status").code == 3


def test_newer_commits_are_named(rewritten_world: World) -> None:
    world = rewritten_world
    run(world)
    newer = world.commit("Newer", {"newer.txt": "newer\n"})
    done = world.resync(
        "undo", "--yes", "--discard-newer", "--json", env={"GIT_COMMITTER_DATE": "1461092700 +0000"}
    )
    assert done.code == 3, done
    assert [(each["oid"], each["verdict"]) for each in done.json["commits"]] == [(newer, "parked")]
