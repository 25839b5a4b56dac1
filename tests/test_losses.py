"""States in which work could be lost, or a run could be neither finished nor taken back."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

import pytest

from tests.conftest import Done, World, needs_git
from tests.meanwhile import PARK, meanwhile, without_backup
from tests.rewritten import CONFIG, start
from tests.states.play import rewrite

pytestmark = needs_git

LATER = {"GIT_COMMITTER_DATE": "1461092700 +0000"}
SWITCHED = "resync.worktree.switch:FileSwitch.disturbed"
PUBLISHED = "resync.sequencer.trees:TreeSwitch.write_index"
KILLED = 9


def killed(world: World, place: str = SWITCHED, *arguments: str) -> None:
    assert meanwhile(world, place, f"os._exit({KILLED})", *arguments).code == KILLED


def theirs(world: World) -> Mapping[str, Any]:
    """How everything stands, without what resync keeps for itself."""
    return without_backup(world.state())


def locks(world: World) -> list[str]:
    return [path.name for path in world.clone.rglob("*.lock")]


def rescue_branches(world: World) -> list[str]:
    return world.git("for-each-ref", "--format=%(refname:short)", "refs/heads/rescue").splitlines()


@pytest.fixture
def linked(rewritten_world: World) -> World:
    """The world as seen from a second working tree on a branch of its own, with an edit."""
    world, path = rewritten_world, rewritten_world.base / "linked"
    world.git("worktree", "add", "-q", "-b", "topic", str(path), "main")
    world.git("branch", "-q", "--set-upstream-to=origin/main", "topic")
    world.write("etc/tool.conf", CONFIG.replace("setting_9 = 9", "setting_9 = 99"), at=path)
    return World(base=world.base, upstream=world.upstream, clone=path, env=world.env)


# --- two working trees, one of them half-way ---------------------------------------------------------------


def test_what_a_half_way_run_needs_is_not_dropped_from_another_working_tree(
    rewritten_world: World, linked: World
) -> None:
    before = theirs(rewritten_world)
    killed(rewritten_world)
    (rescue,) = rescue_branches(linked)
    done = linked.resync("rescue", "drop", rescue, "--yes", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "interrupted-run"), done
    assert str(rewritten_world.clone) in done.json["hint"]
    assert rewritten_world.resync("abort").code == 0
    assert theirs(rewritten_world) == before
    assert linked.resync("rescue", "drop", rescue, "--yes").code == 0


def test_a_lock_of_a_half_way_run_elsewhere_is_not_said_to_be_anybodys(
    rewritten_world: World, linked: World
) -> None:
    killed(rewritten_world)
    before = (linked.git("status", "--porcelain"), linked.git("show-ref", "--heads"))
    done = linked.resync(*PARK, "--json")
    assert (done.code, done.json["error"]["kind"]) == (75, "locked"), done
    assert "interrupted half-way" in done.json["error"]["message"]
    assert "rm " not in done.json["hint"]
    assert str(rewritten_world.clone) in done.json["hint"]
    assert (linked.git("status", "--porcelain"), linked.git("show-ref", "--heads")) == before
    assert rewritten_world.resync("continue").code == 3
    assert linked.resync(*PARK, env=LATER).code == 3


def test_a_half_way_run_whose_working_tree_is_gone(rewritten_world: World, linked: World) -> None:
    """Nobody can finish it: its locks go, and what it kept stays."""
    killed(linked)
    shutil.rmtree(linked.clone)
    done = rewritten_world.resync(*PARK, "--json")
    assert (done.code, done.json["error"]["kind"]) == (75, "locked"), done
    assert "git worktree prune" in done.json["hint"]
    rewritten_world.git("worktree", "prune")
    assert rewritten_world.resync(*PARK, env=LATER).code == 3
    assert locks(rewritten_world) == []
    (kept,) = [name for name in rescue_branches(rewritten_world) if "topic" in name]
    assert (
        rewritten_world.git("show", f"{kept}:etc/tool.conf").encode() + b"\n"
        == CONFIG.replace("setting_9 = 9", "setting_9 = 99").encode()
    )
    assert rewritten_world.git("fsck", "--strict", "--no-dangling") == ""


# --- people who help themselves ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "first"), [(SWITCHED, "continue"), (PUBLISHED, "run"), (SWITCHED, "abort")]
)
def test_locks_that_somebody_removed_and_a_commit(rewritten_world: World, place: str, first: str) -> None:
    """As git advises them to where a lock is in the way. The commit stays, and the run can be taken back."""
    world = rewritten_world
    before = theirs(world)
    killed(world, place)
    for path in (world.clone / ".git").rglob("*.lock"):
        path.unlink()
    world.git("commit", "-q", "-a", "-m", "Mine, in between")
    mine = world.git("rev-parse", "main")
    if first != "abort":
        stopped = world.resync(*(("run", "--yes") if first == "run" else (first,)), "--json")
        assert (stopped.code, stopped.json["error"]["kind"]) == (4, "ref-moved"), stopped
        assert stopped.json["hint"].startswith("resync abort")
    done = world.resync("abort", "--json")
    assert done.code == 3, done
    (said,) = done.json["warnings"]
    assert said.startswith("refs/heads/main was moved by somebody else")
    assert world.git("rev-parse", "main") == mine
    after = theirs(world)
    assert after["files"] == before["files"]
    assert [row for row in after["refs"] if "/main " not in row or "origin" in row] == [
        row for row in before["refs"] if "/main " not in row or "origin" in row
    ]
    assert world.resync("status").code == 0
    assert locks(world) == []
    assert world.git("fsck", "--strict", "--no-dangling") == ""


def test_another_branch_was_checked_out(rewritten_world: World) -> None:
    """Files of that one are nobody's to take back: the run waits until its own branch is there again."""
    world = rewritten_world
    world.git("branch", "-q", "other", "main~1")
    killed(world)
    for path in (world.clone / ".git").rglob("*.lock"):
        path.unlink()
    world.git("symbolic-ref", "HEAD", "refs/heads/other")
    before = theirs(world)
    for command in ("continue", "abort"):
        done = world.resync(command, "--json")
        assert (done.code, done.json["error"]["kind"]) == (4, "ref-moved"), done
        assert done.json["hint"] == f"git checkout main && resync {command}"
        assert theirs(world) == before
    world.git("symbolic-ref", "HEAD", "refs/heads/main")
    assert world.resync("abort").code == 0


# --- repositories that change in between -------------------------------------------------------------------


@pytest.mark.parametrize("command", ["continue", "abort"])
def test_a_repository_that_was_moved(rewritten_world: World, command: str) -> None:
    world = rewritten_world
    before = theirs(world)
    killed(world)
    moved = World(base=world.base, upstream=world.upstream, clone=world.base / "moved", env=world.env)
    world.clone.rename(moved.clone)
    assert moved.resync(command).code == (3 if command == "continue" else 0)
    assert locks(moved) == []
    if command == "continue":
        moved.clone.rename(world.clone)
        assert world.resync("undo", "--yes", env=LATER).code == 0
        assert theirs(world) == before
    else:
        assert theirs(moved) == before


def test_a_half_way_run_is_not_carried_out_in_another_working_tree(rewritten_world: World) -> None:
    """``GIT_WORK_TREE`` makes another folder that of the same git directory."""
    world = rewritten_world
    before = theirs(world)
    killed(world)
    half_way = theirs(world)
    other = world.base / "other"
    shutil.copytree(world.clone, other, ignore=shutil.ignore_patterns(".git"))
    env = {"GIT_DIR": str(world.clone / ".git"), "GIT_WORK_TREE": str(other)}
    for command in ("continue", "abort"):
        done = world.resync(command, "--json", env=env)
        assert (done.code, done.json["error"]["kind"]) == (4, "other-worktree"), done
        assert done.json["hint"].startswith(f"cd {world.clone} && resync {command}")
        assert theirs(world) == half_way
    assert world.resync("abort").code == 0
    assert theirs(world) == before


def test_refs_that_git_packed(rewritten_world: World) -> None:
    """Undone, collected, dropped: whether a ref has a file of its own is no matter."""
    world = rewritten_world
    before = theirs(world)
    assert world.resync(*PARK).code == 3
    for command in (
        ("undo", "--yes"),
        *(("rescue", "drop", each, "--yes") for each in rescue_branches(world)),
    ):
        world.git("pack-refs", "--all")
        world.git("gc", "-q", "--prune=now")
        assert world.resync(*command, env=LATER).code == 0, command
        assert theirs(world) == before
    for rescue in rescue_branches(world):
        assert world.resync("rescue", "drop", rescue, "--yes").code == 0
    assert world.git("for-each-ref", "refs/heads/rescue", "refs/resync/2*") == ""
    assert theirs(world) == before
    assert world.git("fsck", "--strict", "--no-dangling") == ""


def test_a_head_that_is_a_symbolic_link(rewritten_world: World) -> None:
    """git made HEAD so once: what it names is the branch, which moves."""
    world = rewritten_world
    before = theirs(world)
    head = world.clone / ".git" / "HEAD"
    head.unlink()
    head.symlink_to("refs/heads/main")
    assert world.resync(*PARK).code == 3
    assert head.is_symlink()
    assert world.git("rev-parse", "main") != world.git("rev-parse", "ORIG_HEAD")
    assert world.resync("undo", "--yes", env=LATER).code == 0
    assert head.is_symlink()
    assert {**theirs(world), "head": before["head"]} == before


# --- paths --------------------------------------------------------------------------------------------------


def test_a_folder_in_the_place_of_a_tracked_file(world: World) -> None:
    start(world)
    (world.clone / "README").unlink()
    world.write("README/a", "mine\n")
    world.write("README/b/c", "mine, deep\n")
    rewrite(world, {"README": "theirs\n"})
    before = theirs(world)
    assert world.resync(*PARK).code == 3
    assert world.resync("undo", "--yes", env=LATER).code == 0
    assert theirs(world) == before


def test_paths_that_are_left_out_of_a_sparse_checkout(world: World) -> None:
    start(world)
    world.git("sparse-checkout", "set", "--no-cone", "/README")
    world.commit("Mine", {"README": "mine\nA tool.\n"})
    rewrite(world, {"etc/tool.conf": "theirs\n"})
    before = theirs(world)
    done: Done = world.resync(*PARK)
    assert done.code == 0, done
    assert world.git("status", "--porcelain") == ""
    assert not (world.clone / "etc").exists()
    assert "S etc/tool.conf" in world.git("ls-files", "-t").splitlines()
    assert world.resync("undo", "--yes", env=LATER).code == 0
    assert theirs(world) == before


# --- who works here -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("configured", [True, False])
def test_a_user_whom_the_system_does_not_know(rewritten_world: World, configured: bool) -> None:
    """As in a container that runs under any number: with a name in the configuration all goes as ever."""
    world = rewritten_world
    env = {name: value for name, value in world.env.items() if "_COMMITTER_" not in name or "DATE" in name}
    if configured:
        world.git("config", "user.name", "C O Nfigured")
        world.git("config", "user.email", "configured@example.com")
    nobody = World(base=world.base, upstream=world.upstream, clone=world.clone, env=env)
    before = theirs(world)
    unknown = "import pwd; pwd.getpwuid = {}.__getitem__"
    done = meanwhile(nobody, "resync.plan:record", "pass", *PARK, "--json", nth=0, first=unknown)
    if configured:
        assert done.code == 3, done
        assert "C O Nfigured <configured@example.com>" in world.git("log", "-1", "--format=%cn <%ce>")
    else:
        assert (done.code, done.json["error"]["kind"]) == (1, "no-identity"), done
        assert theirs(world) == before
