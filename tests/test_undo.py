"""Undo: everything back, the undo itself undone, and no timer makes again what was taken back."""

from __future__ import annotations

import os
from typing import Any
from unittest import mock

import pytest

from tests.conftest import CLOCK, Done, World, needs_git
from tests.inside import inside
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


def test_the_index_knows_the_files_that_came_back(rewritten_world: World) -> None:
    """Scripts ask ``git diff-index`` whether a checkout is clean, and it reads no file to find out."""
    world = rewritten_world
    world.git("stash", "--include-untracked")
    world.git("update-index", "--refresh")
    assert world.git("diff-files") == ""
    run(world)
    assert world.git("diff-files") == ""
    undo(world)
    assert world.git("diff-files") == ""


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


def test_what_an_undo_takes_away_outlives_a_gc(rewritten_world: World) -> None:
    """The tag that the run fetched goes with the undo, which was the last ref to its object; and upstream's
    branch is elsewhere by then."""
    world = rewritten_world
    for number, what in enumerate(("main~1", "main^{tree}", "main:README")):
        world.git("tag", "-a", "-m", "the end", f"of-{number}-eol", what, at=world.upstream)
    onto = world.git("rev-parse", "main~1", at=world.upstream)
    world.git("fetch", "-q", str(world.upstream), "main")
    run(world, "--onto", onto)
    after = state(world)
    day(world, 1)
    undo(world)
    rewrite_again(world, 1)
    world.resync("check")
    world.git("reflog", "expire", "--expire=now", "--all")
    (world.clone / ".git" / "FETCH_HEAD").unlink()
    world.git("gc", "-q", "--prune=now")
    day(world, 2)
    undo(world)
    assert state(world) == after
    assert world.git("fsck", "--strict", "--no-dangling") == ""
    for rescue in rescued(world):
        assert world.resync("rescue", "drop", rescue, "--yes").code == 0
    assert world.git("for-each-ref", "refs/resync/2*") == ""


# --- runs before the last --------------------------------------------------------------------------------


def day(world: World, number: int) -> None:
    world.env["GIT_COMMITTER_DATE"] = f"{CLOCK + number * 86400} +0000"


def of_the_checkout(world: World) -> dict[str, Any]:
    """The state without remote-tracking branches, which later runs move for good."""
    found = state(world)
    found["refs"] = [line for line in found["refs"] if not line.startswith("refs/remotes/")]
    found.pop("status")
    found["short"] = world.git("status", "--porcelain=v2", "-uall")
    return found


def rewrite_again(world: World, number: int) -> None:
    """Upstream takes its last commit back and has others in its place."""
    at = work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    notes = f"notes of rewrite {number}\n"
    world.commit(f"Rewrite {number}", {"notes.txt": notes, f"new{number}.txt": "new\n"}, at=at)
    publish(world)


@pytest.fixture
def three_runs(rewritten_world: World) -> tuple[World, list[str], list[dict[str, Any]]]:
    """A checkout after three rewrites and runs; their names, and what the checkout was before each."""
    world = rewritten_world
    names, before = [], []
    for number in range(3):
        day(world, number)
        if number:
            rewrite_again(world, number)
            world.write(f"untracked{number}.txt", "mine\n")
        before.append(of_the_checkout(world))
        names.append(run(world).json["run"])
    day(world, 5)
    return world, names, before


@pytest.mark.parametrize("which", [0, 1])
def test_any_run_in_the_log(three_runs: tuple[World, list[str], list[dict[str, Any]]], which: int) -> None:
    """Branch, index and files as they were before it; what was not in its way stays. And back again."""
    world, names, before = three_runs
    after = of_the_checkout(world)
    done = undo(world, names[which])
    assert done.json["commits"] == [], "what later runs made is nobody's newer work"
    expected = before[which]
    now = of_the_checkout(world)
    since = {f"untracked{number}.txt" for number in range(which + 1, 3)}
    assert {name for name in now["files"] if name not in expected["files"]} == since
    assert {name: now["files"][name] for name in expected["files"]} == expected["files"]
    assert (now["head"], now["index"], now["refs"]) == (expected["head"], expected["index"], expected["refs"])
    assert world.git("fsck", "--strict", "--no-dangling") == ""
    assert refused(world, "run", "--yes", "--dirty", "park") == "held", "upstream is where the last run went"
    day(world, 6)
    undo(world)
    assert of_the_checkout(world) == after
    assert world.resync("check").code in (0, 3)


def test_commits_made_between_runs_are_asked_about(
    three_runs: tuple[World, list[str], list[dict[str, Any]]],
) -> None:
    """Also where a later run carried them over; upstream's own are not listed."""
    world, names, before = three_runs
    world.git("stash", "-q", "-u")
    world.commit("Between", {"between.txt": "between\n"})
    rewrite_again(world, 3)
    run(world)
    day(world, 7)
    assert refused(world, "undo", names[1], "--yes") == "newer-commits"
    now = of_the_checkout(world)
    no = world.terminal("undo", names[1], answer="n\n")
    assert "Between" in no.out
    assert "it was made since the run" in no.out
    assert "Rewrite 3" not in no.out
    assert of_the_checkout(world) == now
    assert world.terminal("undo", names[1], answer="y\n").code == 3
    assert of_the_checkout(world)["head"] == before[1]["head"]
    assert world.git("log", "--format=%s", rescued(world)[-1]).splitlines()[0] == "Between"
    status = world.resync("status")
    assert (status.code, "Between" in status.out) == (3, True)


def test_a_hold_is_that_of_its_branch(rewritten_world: World) -> None:
    world = rewritten_world
    run(world)
    day(world, 1)
    undo(world)
    assert refused(world, "run", "--yes", "--dirty", "park") == "held"
    world.git("stash", "-q", "-u")
    world.git("checkout", "-q", "-b", "other", "--track", "origin/main")
    world.git("reset", "-q", "--hard", "main")
    day(world, 2)
    assert run(world).json["branches"][0]["moved"]
    world.git("checkout", "-q", "main")
    assert refused(world, "run", "--yes", "--dirty", "park") == "held"


def test_a_hold_is_said_by_status_and_check(rewritten_world: World) -> None:
    world = rewritten_world
    first = run(world).json
    assert world.resync("status", "--json").json["held"] is None
    day(world, 1)
    undone = undo(world).json["run"]
    status = world.resync("status", "--json").json
    assert status["held"] == {"run": undone, "oid": first["upstream"]["new_tip"]}
    assert "resync run --redo" in world.resync("status").out
    check = world.resync("check")
    assert (check.code, "resync run --redo" in check.out) == (5, True)
    run(world, "--redo")
    assert world.resync("status", "--json").json["held"] is None


def test_a_run_that_would_have_the_id_of_another(rewritten_world: World) -> None:
    """The clock stands (GIT_COMMITTER_DATE is set), and chance draws the same number twice."""
    world, before = rewritten_world, rewritten_world.git("rev-parse", "HEAD")
    drawn, chance = iter([b"\0\1", b"\0\1", b"\0\2"]), os.urandom
    with mock.patch("os.urandom", lambda size: next(drawn) if size == 2 else chance(size)):
        done = inside(world, "run", "--yes", "--dirty", "park", "--json")
        back = inside(world, "undo", "--yes", "--json")
    assert (done.code, back.code) == (3, 0), (done, back)
    assert done.json["run"].endswith("Z-0001")
    assert back.json["run"].endswith("Z-0002")
    assert world.git("rev-parse", "HEAD") == before


def test_a_branch_that_was_renamed(rewritten_world: World) -> None:
    """Its reflog goes along with it, and what a run did to it is known under its new name."""
    world = rewritten_world
    before = state(world)

    def called(*arguments: str) -> Any:
        done = inside(world, *arguments, "--json")
        assert done.json["error"] is None or done.code == 1, done
        return done.json

    first = called("run", "--yes", "--dirty", "park")["run"]
    world.git("branch", "-m", "between")
    world.git("branch", "-m", "renamed")
    assert called("log")["runs"][0]["branch"] == "renamed"
    assert called("continue")["sitting"]["unmerged"] == ["numbers.txt"]
    called("abort")
    called("undo", first, "--yes")
    world.git("branch", "-m", "again")
    assert called("run", "--yes", "--dirty", "park")["error"]["kind"] == "held"
    world.git("branch", "-m", "main")
    assert state(world) == before
    called("undo", "--yes")
    called("undo", "--yes")
    assert state(world) == before


def test_what_to_type_where_the_branch_is_not_checked_out(rewritten_world: World) -> None:
    """It may have another name by now, be gone, or be what a bisect has left for a while."""
    world = rewritten_world
    first = inside(world, "run", "--yes", "--dirty", "park", "--json").json["run"]
    tip = world.git("rev-parse", "main")

    def hint() -> str:
        done = inside(world, "undo", "--yes", "--json")
        assert done.code == 1
        return str(done.json["hint"])

    world.git("checkout", "-q", "-b", "other")
    assert hint() == f"git checkout main && resync undo {first}"
    world.git("branch", "-m", "main", "it's")
    world.git("branch", "unrelated")
    assert hint() == f"git checkout 'it'\"'\"'s' && resync undo {first}"
    world.git("branch", "-D", "it's")
    assert hint() == f"git checkout -b main {tip} && resync undo {first}"
    world.git("bisect", "start", "HEAD", "HEAD~2")
    assert hint() == "git bisect reset"
