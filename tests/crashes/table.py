"""Carries sweeps out over the scenarios, side by side, and says what came of them."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import environment
from tests.crashes import faults, kill, power
from tests.crashes.kill import Swept
from tests.crashes.scenarios import SCENARIOS, named
from tests.crashes.stage import Prepared, Stage
from tests.crashes.starter import Starter

_SWEEPS: dict[str, Callable[[Stage, Prepared, int | None], Swept]] = {
    "kill": lambda stage, prepared, at_most: kill.sweep(stage, prepared, at_most=at_most),
    "faults": lambda stage, prepared, at_most: faults.sweep(stage, prepared, at_most=at_most),
    "power": lambda stage, prepared, at_most: power.sweep(stage, prepared, at_most=at_most),
}
SWEPT = {
    "kill": tuple(each.name for each in SCENARIOS),
    "faults": faults.SCENARIOS,
    "power": tuple(each.name for each in SCENARIOS if each.sample is None),
}
"""Which scenarios a sweep goes over."""


@contextmanager
def on_a_stage() -> Iterator[Stage]:
    """A stage of one's own, in memory where that is possible: a sweep is thousands of copies."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        base = Path(name)
        (base / "home").mkdir()
        with Starter(environment(base / "home")) as starter:
            yield Stage(base, starter)


def sweep_one(what: str, name: str, at_most: int | None) -> tuple[Swept, float]:
    """Carry one sweep out over one scenario; what came of it, and how many seconds it took."""
    started = time.monotonic()
    with on_a_stage() as stage:
        swept = _SWEEPS[what](stage, stage.prepare(named(name)), at_most)
    return swept, time.monotonic() - started


def sweep_all(what: str, names: Sequence[str], *, at_most: int | None, workers: int) -> int:
    """Carry one sweep out over scenarios and print a line for each; return how many failures there were."""
    total = Counter[str]()
    tasks = [(what, name, at_most) for name in names]
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
        for swept, took in pool.imap(_task, tasks):
            met = ", ".join(f"{count} times {outcome}" for outcome, count in sorted(swept.met.items()))
            print(
                f"{what} {swept.name:16} {swept.calls:5} calls, {swept.ended:5} ends,"
                f" {swept.recovered:5} recovered from, {len(swept.failures)} failures, {took:.0f} s  {met}",
                flush=True,
            )
            for failure in swept.failures:
                print(f"    {failure}", file=sys.stderr)
            total.update(
                calls=swept.calls, ended=swept.ended, recovered=swept.recovered, failed=len(swept.failures)
            )
    print(
        f"{what}: {len(names)} scenarios, {total['calls']} calls, {total['ended']} ends,"
        f" {total['recovered']} recovered from, {total['failed']} failures"
    )
    return total["failed"]


def _task(task: tuple[str, str, int | None]) -> tuple[Swept, float]:
    return sweep_one(*task)
