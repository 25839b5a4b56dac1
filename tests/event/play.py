"""The whole event for one seed: the commands in their order, and what the checkout was after each."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import CLOCK, Done, World
from tests.event import dirt, local_commits, upstream
from tests.event.dirt import Dirt, Recorded, record
from tests.event.edits import Edits
from tests.event.oracle import Carried, Oracle, Picked
from tests.event.upstream import Event


@dataclass(frozen=True, kw_only=True)
class Played:
    """Everything that was done and seen; ``copy`` is the clone as the run left it, to look into."""

    event: Event
    dirt: Dirt
    copy: Path
    before: Recorded
    check: Done
    checked: Recorded
    plan: Done
    planned: Recorded
    run: Done
    after: Recorded
    again: Done
    after_again: Recorded
    undo: Done
    undone: Recorded
    redo: Done
    redone: Recorded
    picked: list[Picked]
    carried: Carried


def play(world: World, seed: int, path: Path) -> Played:
    """Play the event; resync's processes have ``path`` as their only folder of programs."""
    env = {"PATH": str(path)}
    event = upstream.begin(world)
    edits = Edits(world, event, random.Random(seed))
    commits = local_commits.make(world, event, edits)
    dirty = dirt.make(world, event, edits, seed)
    before = record(world)
    upstream.rewrite(world, event)

    oracle = Oracle(world, event)
    picked = oracle.pick(commits, before.tip)
    carried = oracle.carry(before, picked[-1].tree)

    check = world.resync("check", "--json", env=env)
    checked = record(world)
    plan = world.resync("plan", "--dirty", "park", "--json", env=env)
    planned = record(world)
    run = world.resync("run", "--yes", "--dirty", "park", "--json", env=env)
    after = record(world)
    copy = world.base / "copy"
    shutil.copytree(world.clone, copy, symlinks=True)
    again = world.resync("run", "--yes", "--json", env=env)
    after_again = record(world)
    undo = world.resync("undo", "--yes", "--json", env=_later(env, 60))
    undone = record(world)
    redo = world.resync("undo", "--yes", "--json", env=_later(env, 120))
    return Played(
        event=event,
        dirt=dirty,
        copy=copy,
        before=before,
        check=check,
        checked=checked,
        plan=plan,
        planned=planned,
        run=run,
        after=after,
        again=again,
        after_again=after_again,
        undo=undo,
        undone=undone,
        redo=redo,
        redone=record(world),
        picked=picked,
        carried=carried,
    )


def _later(env: dict[str, str], seconds: int) -> dict[str, str]:
    """The environment of a command that is called some time after the others."""
    return {**env, "GIT_COMMITTER_DATE": f"{CLOCK + seconds} +0000"}
