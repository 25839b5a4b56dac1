"""Carries sweeps out over the scenarios, side by side, and says what came of them."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import environment
from tests.crashes import damage, faults, full_disk, kill, power, races
from tests.crashes.kill import Swept
from tests.crashes.scenarios import SCENARIOS, named
from tests.crashes.stage import Prepared, Stage
from tests.crashes.starter import Starter

_SWEEPS: dict[str, Callable[[Stage, Prepared, int | None], Swept]] = {
    "kill": lambda stage, prepared, at_most: kill.sweep(stage, prepared, at_most=at_most),
    "faults": lambda stage, prepared, at_most: faults.sweep(stage, prepared, at_most=at_most),
    "power": lambda stage, prepared, at_most: power.sweep(stage, prepared, at_most=at_most),
    "disk": lambda stage, prepared, at_most: full_disk.sweep(stage, prepared),
    "commits": lambda stage, prepared, at_most: races.between(stage, prepared, at_most=at_most),
}
_ROUNDS: dict[str, Callable[[Stage, str, int, int], Swept]] = {
    "races": lambda stage, what, rounds, seed: races.play(stage, what, rounds=rounds, seed=seed),
    "damage": lambda stage, what, rounds, seed: damage.play(stage, what, rounds=rounds, seed=seed),
}
USUAL_ROUNDS = {"races": 200, "damage": 500}
SWEPT = {
    "kill": tuple(each.name for each in SCENARIOS),
    "faults": faults.SCENARIOS,
    "power": tuple(each.name for each in SCENARIOS if each.sample is None),
    "disk": ("conflicts", "dirty", "undo"),
    "commits": ("conflicts", "in the way", "undo"),
    "races": tuple(races.RACES),
    "damage": tuple(damage.KINDS),
}
"""Which scenarios a sweep goes over, or which kinds of races and damage."""


@contextmanager
def on_a_stage() -> Iterator[Stage]:
    """A stage of one's own, in memory where that is possible: a sweep is thousands of copies."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        base = Path(name)
        (base / "home").mkdir()
        with Starter(environment(base / "home")) as starter:
            yield Stage(base, starter)


@dataclass(frozen=True)
class Task:
    """One sweep over one scenario; ``count`` is how many calls of it at most, or how many rounds."""

    what: str
    name: str
    count: int | None
    seed: int = 0


def sweep_one(task: Task) -> tuple[Swept, float]:
    """Carry a task out; what came of it, and how many seconds it took."""
    started = time.monotonic()
    with on_a_stage() as stage:
        if task.what in _ROUNDS:
            rounds = task.count or USUAL_ROUNDS[task.what]
            swept = _ROUNDS[task.what](stage, task.name, rounds, task.seed)
        else:
            swept = _SWEEPS[task.what](stage, stage.prepare(named(task.name)), task.count)
    return swept, time.monotonic() - started


def sweep_all(tasks: Sequence[Task], *, workers: int) -> int:
    """Carry tasks of one sweep out and print a line for each; return how many failures there were."""
    what, total = tasks[0].what, Counter[str]()
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
        for swept, took in pool.imap(sweep_one, tasks):
            met = ", ".join(f"{count} times {outcome}" for outcome, count in sorted(swept.met.items()))
            print(
                f"{what} {swept.name:24} {swept.calls:5} calls, {swept.ended:5} ends,"
                f" {swept.recovered:5} recovered from, {len(swept.failures)} failures, {took:.0f} s  {met}",
                flush=True,
            )
            for failure in swept.failures:
                print(f"    {failure}", file=sys.stderr)
            total.update(
                calls=swept.calls, ended=swept.ended, recovered=swept.recovered, failed=len(swept.failures)
            )
    print(
        f"{what}: {len(tasks)} sweeps, {total['calls']} calls, {total['ended']} ends,"
        f" {total['recovered']} recovered from, {total['failed']} failures",
        flush=True,
    )
    return total["failed"]
