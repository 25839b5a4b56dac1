"""A run that is killed or that the system stops, and what the next command makes of what it left."""

from __future__ import annotations

import pytest

from tests.conftest import Done, World, needs_git
from tests.meanwhile import meanwhile, without_backup

pytestmark = needs_git

KILLED = 9

# Dies where everything is locked and nothing is backed up yet.
_BEFORE_THE_BACKUP = f"""
import os, sys
from resync.cli import run_command
from resync.worktree.switch import FileSwitch
FileSwitch.check = lambda self: os._exit({KILLED})
run_command(sys.argv[1:])
"""


# The disk is full from a certain call on, once.
_FULL_DISK = """
import errno, os, sys
import resync.{module} as module
from resync.cli import run_command

def full(*arguments):
    if {when}:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "there")
    return whole(*arguments)

whole = module.{name}
module.{name} = full
sys.exit(run_command(sys.argv[1:]))
"""


def run(world: World, program: str, *arguments: str) -> Done:
    return world.python(program, *(arguments or ("run", "--yes", "--dirty", "park")))


def full_disk(module: str, name: str, when: str = "True") -> str:
    return _FULL_DISK.format(module=module, name=name, when=when)


@pytest.mark.parametrize("command", ["abort", "continue"])
def test_a_run_killed_before_it_changed_anything(rewritten_world: World, command: str) -> None:
    world = rewritten_world
    before = world.state()
    assert run(world, _BEFORE_THE_BACKUP).code == KILLED
    assert (world.clone / ".git" / "index.lock").exists()
    assert world.resync("status").code == 4
    assert world.resync(command).code == 0
    assert list((world.clone / ".git").rglob("*.lock")) == []
    assert world.state() == before


@pytest.mark.state(79)
@pytest.mark.parametrize(
    "program",
    [
        full_disk("worktree.switch", "FileSwitch.stage"),
        full_disk("journal", "Journals.begin"),
        full_disk("repository.objects", "Objects.write_pack"),
        full_disk(
            "worktree.switch",
            "FileSwitch.sync",
            "not os.path.exists('stop') and not open('stop', 'w').close()",
        ),
    ],
    ids=["staging", "journal", "backup", "half-way"],
)
def test_a_full_disk_changes_nothing(rewritten_world: World, program: str) -> None:
    world = rewritten_world
    before = world.state()
    done = run(world, program)
    (world.clone / "stop").unlink(missing_ok=True)
    assert done.code == 1, done
    assert "No space left on device: there" in done.err
    after = world.state()
    assert {
        **after,
        "refs": [ref for ref in after["refs"] if "/rescue/" not in ref and "/resync/" not in ref],
    } == before
    assert list((world.clone / ".git").rglob("*.lock")) == []
    assert world.resync("run", "--yes", "--dirty", "park").code == 3


@pytest.mark.state(80)
def test_a_full_disk_at_the_very_end_leaves_a_run_that_can_be_finished(rewritten_world: World) -> None:
    world = rewritten_world
    at_the_end = full_disk("journal", "Journals.advance", "'done' in arguments")
    done = run(world, at_the_end)
    assert (done.code, "stopped half-way" in done.err) == (4, True), done
    again = run(world, full_disk("worktree.switch", "FileSwitch.sync"), "continue")
    assert (again.code, "stopped half-way" in again.err) == (4, True), again
    assert (world.clone / ".git" / "index.lock").exists()
    assert world.resync("continue").code == 3
    assert list((world.clone / ".git").rglob("*.lock")) == []
    assert world.git("fsck", "--strict", "--no-dangling") == ""


def test_a_full_disk_for_the_record_of_what_was_said(rewritten_world: World) -> None:
    done = run(rewritten_world, full_disk("journal", "Journals.conclude"))
    assert done.code == 3, done
    assert "Done." in done.out


@pytest.mark.parametrize("command", ["continue", "abort", "run"])
def test_what_people_did_to_half_switched_files(rewritten_world: World, command: str) -> None:
    """It is saved, left as it is, and listed, whichever way the run goes on."""
    world = rewritten_world
    assert meanwhile(world, "resync.worktree.switch:FileSwitch.disturbed", "os._exit(9)").code == KILLED
    world.write("etc/tool.conf", "typed since\n")
    (world.clone / "notes.txt").unlink()
    done = world.resync(*(("run", "--yes") if command == "run" else (command,)), "--json")
    assert done.code == 3, done
    assert {"path": "etc/tool.conf"} in done.json["left_alone"]
    assert (world.clone / "etc" / "tool.conf").read_text() == "typed since\n"
    (name,) = world.git("for-each-ref", "--format=%(refname)", "refs/resync/*/left").splitlines()
    assert world.git("show", f"{name}:etc/tool.conf") == "typed since"
    assert list((world.clone / ".git").rglob("*.lock")) == []
    assert world.git("fsck", "--strict", "--no-dangling") == ""


def test_an_abort_that_was_killed_between_the_refs_and_the_index(rewritten_world: World) -> None:
    """The next one takes the index back as well, though all refs are where they were."""
    world = rewritten_world
    before = world.state()
    assert meanwhile(world, "resync.journal:Journals.advance", "os._exit(9)", nth=2).code == KILLED
    place = "resync.sequencer.trees:TreeSwitch.take_index_back"
    assert meanwhile(world, place, "os._exit(9)", "abort").code == KILLED
    assert world.resync("abort").code == 0
    assert without_backup(world.state()) == before
