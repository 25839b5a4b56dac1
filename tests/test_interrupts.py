"""Ctrl-C and its kin, and an output that nobody takes: the work is unwound or finished, and which is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.conftest import World, needs_git
from tests.meanwhile import PARK, locks, meanwhile, without_backup

pytestmark = needs_git

LINK = "resync.worktree.switch:link"
REVERT = "resync.worktree.switch:FileSwitch.revert"
PUBLISH = "resync.sequencer.trees:TreeSwitch.write_index"


@pytest.mark.state(86)
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_while_files_change_they_go_back(rewritten_world: World, number: str) -> None:
    world = rewritten_world
    before = world.state()
    done = meanwhile(world, LINK, f"me({number!r})", nth=2)
    assert done.code == 130, done
    assert "they are all back as they were. Nothing was changed." in done.err
    assert without_backup(world.state()) == before
    assert locks(world) == []
    assert world.resync("status").code == 0
    assert world.resync(*PARK).code == 3


@pytest.mark.state(86)
def test_a_second_one_does_not_stop_the_way_back(rewritten_world: World) -> None:
    world = rewritten_world
    before = world.state()
    again = f"import resync.worktree.switch as s; old = s.FileSwitch.revert\n{' ' * 0}"
    again += "def revert(self):\n    me('SIGINT'); return old(self)\ns.FileSwitch.revert = revert"
    done = meanwhile(world, LINK, "me('SIGINT')", nth=2, first=again)
    assert done.code == 130, done
    assert without_backup(world.state()) == before
    assert world.resync("status").code == 0


@pytest.mark.state(86)
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_the_last_step_is_finished(rewritten_world: World, number: str) -> None:
    world = rewritten_world
    done = meanwhile(world, PUBLISH, f"me({number!r})", *PARK, "--json")
    assert done.code == 3, done
    assert done.json["warnings"] == ["A signal came when the last step had begun, so the run was finished."]
    assert locks(world) == []
    assert world.git("rev-parse", "HEAD") == done.json["branches"][0]["new_tip"]
    assert world.resync("undo", "--yes").code == 0


@pytest.mark.state(86)
def test_before_anything_is_changed(rewritten_world: World) -> None:
    world = rewritten_world
    before = world.state()
    for place in ("resync.rehearse:replay", "resync.sequencer.steps:Run.back_up"):
        done = meanwhile(world, place, "me('SIGTERM')")
        assert (done.code, done.err) == (
            130,
            "resync: Interrupted. Nothing was changed.\n  try: resync status\n",
        )
        assert world.state() == before
        assert locks(world) == []


@pytest.mark.state(86)
def test_a_run_that_goes_on_is_interrupted(rewritten_world: World) -> None:
    """It stays half-way, locked, and can be finished."""
    world = rewritten_world
    assert meanwhile(world, LINK, "os._exit(9)", nth=2).code == 9
    for command in ("continue", "abort"):
        place = LINK if command == "continue" else REVERT
        done = meanwhile(world, place, "me('SIGINT')", command)
        assert done.code == 130, done
        assert "The run stopped half-way (interrupted)" in done.err
        assert "resync continue" in done.err
        assert locks(world) != []
    assert world.resync("continue").code == 3
    assert locks(world) == []


@pytest.mark.state(86)
def test_what_is_ignored_stays_ignored(rewritten_world: World) -> None:
    """As with nohup."""
    ignoring = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    done = meanwhile(rewritten_world, LINK, "me('SIGHUP')", nth=2, before=ignoring)
    assert done.code == 3, done


# --- output that nobody takes ------------------------------------------------------------------------------


def run_into(world: World, output: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run resync with its standard output sent where the shell is told to."""
    return subprocess.run(
        ["sh", "-c", f'"$@" {output}', "sh", sys.executable, "-m", "resync", *(arguments or PARK)],
        cwd=world.clone,
        env=world.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.state(87)
@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("> /dev/full", "resync: standard output cannot be written (No space left on device)\n"),
        (">&-", ""),
        ("<&- >&- 2>&-", ""),
    ],
)
def test_the_work_is_done_all_the_same(
    rewritten_world: World, output: str, said: str, options: tuple[str, ...]
) -> None:
    world = rewritten_world
    done = run_into(world, output, *PARK, *options)
    assert (done.returncode, done.stderr) == (3, said), done
    assert world.git("log", "-1", "--format=%s") == "Ship a plugin"
    assert world.git("fsck", "--strict", "--no-dangling") == ""
    assert locks(world) == []
    assert world.resync("undo", "--yes").code == 0


@pytest.mark.state(87)
def test_a_pipe_whose_reader_left(rewritten_world: World) -> None:
    """The status is that of the work, and nothing is said about it."""
    world = rewritten_world
    for arguments, code in ((("plan",), 5), (PARK, 3), (("status", "--json"), 3)):
        process = subprocess.Popen(
            [sys.executable, "-m", "resync", *arguments],
            cwd=world.clone,
            env=world.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", code)
        process.stderr.close()
    assert world.git("log", "-1", "--format=%s") == "Ship a plugin"


@pytest.mark.state(87)
def test_no_file_of_ours_stands_in_for_a_closed_one(rewritten_world: World) -> None:
    closing = lambda: [os.close(number) for number in range(3)]  # noqa: E731
    look = "open('told', 'w').write(repr([os.readlink(f'/proc/self/fd/{each}') for each in range(3)]))"
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("nothing tells here what is open")
    meanwhile(rewritten_world, LINK, look, before=closing)
    assert (rewritten_world.clone / "told").read_text() == repr([os.devnull] * 3)


# --- every command says that a run was killed --------------------------------------------------------------


@pytest.mark.state(85)
@pytest.mark.parametrize(
    "place", ["resync.sequencer.steps:Run.check", "resync.worktree.switch:FileSwitch.disturbed"]
)
def test_every_command_says_so(rewritten_world: World, place: str) -> None:
    world = rewritten_world
    done = world.resync(*PARK, "--json")
    rescue, run = done.json["rescue"]["branch"], done.json["run"]
    world.env["GIT_COMMITTER_DATE"] = "1461092700 +0000"
    assert meanwhile(world, place, "os._exit(9)", "undo", "--yes").code == 9
    for command in (
        ("check",),
        ("plan",),
        ("status",),
        ("log",),
        ("log", run),
        ("rescue", "list"),
        ("rescue", "show", rescue),
        ("rescue", "restore", "notes.txt", "--to", "../out", "--from", rescue),
        ("rescue", "drop", rescue, "--yes"),
    ):
        told = world.resync(*command)
        assert told.code == 4, (command, told)
        assert "killed" in told.err + told.out or "interrupted half-way" in told.err + told.out, told
    assert (world.base / "out" / "notes.txt").read_text() == "my notes\n"
    assert rescue in world.git("branch", "--list", "--format=%(refname:short)", "rescue/*")
    assert world.resync("abort").code == 3
    assert locks(world) == []
    assert world.resync("status").code == 3
