"""The founding event, end to end and against git: Kolla's own history, random local work on top.

``tests/event`` plays it and compares. ``RESYNC_EVENT_SEEDS`` sets how many seeds are played here;
``scripts/event-sweep`` plays as many as one likes and counts the verdicts.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.conftest import EVENT, World, needs_git
from tests.event import local_commits, upstream
from tests.event.compare import compare, same_checkout
from tests.event.dirt import record
from tests.event.edits import Edits
from tests.event.oracle import Oracle
from tests.event.play import play

pytestmark = [
    needs_git,
    pytest.mark.skipif(not EVENT.exists(), reason=f"the event's data is not at {EVENT}"),
]
SEEDS = range(int(os.environ.get("RESYNC_EVENT_SEEDS", "6")))
COMMIT_VERDICTS = ("reapplied", "already-upstream", "became-empty", "parked")


@pytest.mark.parametrize("seed", SEEDS)
def test_event(world: World, seed: int) -> None:
    """Every other seed with no git on the PATH, and the others with one that tells when it is called."""
    programs = world.base / "programs"
    programs.mkdir()
    called = world.base / "git was called"
    if seed % 2:
        trap = programs / "git"
        trap.write_text(f"#!/bin/sh\necho \"$@\" >> '{called}'\nexit 1\n")
        trap.chmod(0o755)
    reached = compare(world, play(world, seed, programs))
    assert not called.exists(), called.read_text()
    for verdict in COMMIT_VERDICTS:
        assert reached[f"commit {verdict}"] > 0
    for verdict in ("kept", "restored", "adopted", "parked"):
        assert reached[f"staged {verdict}"] + reached[f"unstaged {verdict}"] > 0


def test_after_git_has_pruned_and_fetched(world: World) -> None:
    """With the remote-tracking branch's own history gone, the plan is the same: other evidence speaks."""
    event = upstream.begin(world)
    commits = local_commits.make(world, event, Edits(world, event, random.Random("fetched")))
    upstream.rewrite(world, event)
    world.git("update-ref", "-d", f"refs/heads/{upstream.BRANCH}", at=world.upstream)
    world.git("fetch", "-q", "--prune")
    upstream.rewrite(world, event)
    world.git("fetch", "-q")
    assert world.git("rev-parse", f"origin/{upstream.BRANCH}") == event.new

    picked = Oracle(world, event).pick(commits, world.git("rev-parse", "HEAD"))
    planned = world.resync("plan", "--json").json
    assert planned["exit_code"] == 5
    assert planned["upstream"]["old_tip"] == event.old
    assert {each["kind"] for each in planned["upstream"]["evidence"]} == {"reflog", "announcement-tag"}
    assert [(each["oid"], each["verdict"]) for each in planned["commits"]] == [
        (each.oid, each.verdict) for each in picked
    ]


@pytest.mark.state(98)
def test_run_from_a_folder_that_vanishes(world: World) -> None:
    """Where the caller stands, a folder stays; everything else is as from the top."""
    event = upstream.begin(world)
    kept = {os.path.dirname(path) for path in event.new_files}
    gone = sorted(
        {os.path.dirname(path) for path in event.old_files}
        - {folder for path in kept for folder in (path, *map(str, Path(path).parents))}
    )
    folder = world.clone / gone[0]
    before = record(world)
    upstream.rewrite(world, event)

    done = world.resync("run", "--yes", "--json", at=folder)
    assert (done.code, done.json["error"]) == (0, None)
    assert done.json["checkout"] == str(world.clone)
    assert world.git("rev-parse", "HEAD") == event.new
    assert world.git("status", "--porcelain", "-uall", "--ignored") == ""
    assert folder.is_dir()
    assert list(folder.iterdir()) == []

    assert world.resync("undo", "--yes", at=folder).code == 0
    same_checkout(record(world), before)
