"""Carries sweeps out over the scenarios, side by side, and says what came of them."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from tests.conftest import environment
from tests.crashes import damage, faults, full_disk, kill, power, races
from tests.crashes.sample import Sample, Swept
from tests.crashes.scenarios import SCENARIOS, named
from tests.crashes.stage import Prepared, Stage
from tests.crashes.starter import Starter

_SWEEPS: dict[str, Callable[[Stage, Prepared, Sample], Swept]] = {
    "kill": kill.sweep,
    "faults": faults.sweep,
    "power": power.sweep,
    "disk": full_disk.sweep,
    "commits": races.between,
}
_AT_CALLS = ("kill", "faults", "commits")
SWEPT = {
    "kill": tuple(each.name for each in SCENARIOS),
    "faults": faults.SCENARIOS,
    "power": tuple(each.name for each in SCENARIOS),
    "disk": ("conflicts", "dirty", "undo"),
    "commits": ("conflicts", "branches", "undo"),
    "races": tuple(races.RACES),
    "damage": tuple(damage.KINDS),
}
"""Which scenarios a sweep goes over, or which kinds of races and damage."""


_POWER = 10
"""Of the calls of a large scenario that are sampled, the power goes before one in so many."""


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
    """One sweep over one scenario; ``count`` is how many calls of it at most, or how many rounds.

    ``seconds`` is how long it may take, about; None: as long as it takes.
    """

    what: str
    name: str
    count: int | None
    seed: int = 0
    seconds: float | None = None


def sweep_one(task: Task) -> tuple[Swept, float]:
    """Carry a task out; what came of it, and how many seconds of a processor it took.

    That is right for a process that does nothing else: all that it started has ended then.
    """
    started = time.monotonic()
    until = started + task.seconds if task.seconds is not None else None
    with on_a_stage() as stage:
        if task.what == "races":
            swept = races.play(stage, task.name, Sample(at_most=task.count, until=until), seed=task.seed)
        elif task.what == "damage":
            swept = damage.play(stage, task.name, Sample(at_most=task.count, until=until), seed=task.seed)
        else:
            scenario = named(task.name)
            few = scenario.sample // _POWER if scenario.sample and task.what == "power" else scenario.sample
            sample = Sample(at_most=task.count or few, until=until)
            prepared = stage.prepare(scenario, traced=task.what in _AT_CALLS)
            swept = _SWEEPS[task.what](stage, prepared, sample)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return swept, sum(each.ru_utime + each.ru_stime for each in used)


SHARES = {"kill": 35, "faults": 16, "power": 32, "disk": 1, "commits": 3, "races": 5, "damage": 8}
"""How time that is not enough is shared out among the sweeps; what one leaves goes to the next."""


def sweep_all(tasks: Sequence[Task], *, workers: int, seconds: float | None) -> Total:
    """Carry the tasks of one sweep out, in about ``seconds`` if so asked, and print a line for each."""
    total = Total(tasks[0].what)
    ends = time.monotonic() + seconds if seconds is not None else None
    waiting = [*tasks]
    lock = Lock()

    def next_task() -> Task | None:
        with lock:
            if not waiting:
                return None
            left = workers * (ends - time.monotonic()) / len(waiting) if ends is not None else None
            return replace(waiting.pop(0), seconds=left)

    def work() -> None:
        while (task := next_task()) is not None:
            swept, used = pool.apply(sweep_one, [task])
            with lock:
                total.add(swept, used)

    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, maxtasksperchild=1) as pool, ThreadPoolExecutor(workers) as threads:
        for done in [threads.submit(work) for _ in range(workers)]:
            done.result()
    print(total.line(), flush=True)
    return total


class Total:
    """What came of a sweep over all its scenarios."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._count = Counter[str]()
        self._used = 0.0

    def add(self, swept: Swept, used: float) -> None:
        """Count one scenario in, and print what came of it; ``used`` are seconds of a processor."""
        met = ", ".join(f"{count} times {outcome}" for outcome, count in sorted(swept.met.items()))
        print(
            f"{self.what} {swept.name:24} {swept.calls:5} found, {swept.ended:5} of {swept.meant:5} ends,"
            f" {swept.recovered:5} taken up both ways, {len(swept.failures)} failures, {used:.0f} s  {met}",
            flush=True,
        )
        for failure in swept.failures:
            print(f"    {failure}", file=sys.stderr, flush=True)
        self._count.update(
            scenarios=1,
            calls=swept.calls,
            meant=swept.meant,
            ended=swept.ended,
            recovered=swept.recovered,
            failed=len(swept.failures),
            whole=int(swept.ended == swept.meant),
        )
        self._used += used

    @property
    def failed(self) -> int:
        """How many ends did not come to what they have to."""
        return self._count["failed"]

    @property
    def missing(self) -> int:
        """How many ends were not played."""
        return self._count["meant"] - self._count["ended"]

    def line(self) -> str:
        """In one line, for whoever watches."""
        count = self._count
        return (
            f"{self.what}: {count['scenarios']} sweeps, {count['calls']} found, {count['ended']} of"
            f" {count['meant']} ends, {count['recovered']} taken up both ways, {count['failed']} failures,"
            f" {self._used:.0f} s of a processor"
        )

    def row(self) -> str:
        """The row of the table in DESIGN.md, section 9."""
        count = self._count
        cells = (
            self.what,
            f"{count['scenarios']}, of which whole {count['whole']}",
            f"{count['calls']:,}" if self.what not in ("races", "disk") else "",
            f"{count['ended']:,} of {count['meant']:,}",
            f"{count['recovered']:,}" if self.what in ("kill", "power") else "",
            f"{count['failed']:,}",
            f"{self._used:,.0f}",
        )
        return f"| {' | '.join(cells)} |"


HEAD = (
    "| sweep | scenarios | calls or files found | ends played | taken up both ways | failures"
    " | seconds of a processor |",
    "|---|---|---|---|---|---|---|",
)
"""The head of that table."""
