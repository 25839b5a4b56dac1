"""A run that is killed, and what the next command makes of what it left."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import World, needs_git

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


def killed(world: World, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "--yes", "--dirty", "park"],
        cwd=world.clone,
        env=world.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == KILLED, done


@pytest.mark.parametrize("command", ["abort", "continue"])
def test_a_run_killed_before_it_changed_anything(rewritten_world: World, command: str) -> None:
    world = rewritten_world
    before = world.state()
    killed(world, _BEFORE_THE_BACKUP)
    assert (world.clone / ".git" / "index.lock").exists()
    done = world.resync(command, "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "nothing-interrupted")
    assert list((world.clone / ".git").rglob("*.lock")) == []
    assert world.state() == before
