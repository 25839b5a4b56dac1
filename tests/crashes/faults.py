"""The fault sweep: a call to the system fails, once or for good, and what the run then says must be so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import cycle

from tests.conftest import Done
from tests.crashes.kill import check_seeds, recover
from tests.crashes.oracle import Lost, check_whole, difference, state
from tests.crashes.sample import Sample, Swept
from tests.crashes.stage import Prepared, Stage, at
from tests.crashes.trace import Call

ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS", "EMFILE")
SCENARIOS = (
    "dirty",
    "conflicts",
    "in the way",
    "branches",
    "undo of branches",
    "two trees",
    "continue at 35%",
    "abort at 60%",
)
_CARRIED_OUT, _UNFINISHED, _BUG = (0, 3), 4, 70


def sweep(stage: Stage, prepared: Prepared, sample: Sample) -> Swept:
    """Fail every call (or a sample) with an error of its turn, once and for good."""
    calls = prepared.calls
    swept = Swept(name=prepared.scenario.name, calls=len(calls), meant=2 * len(calls))
    for call, error, on in _turns(calls[number] for number in sample.of(len(calls))):
        swept.ended += 1
        try:
            swept.met[f"status {fail(stage, prepared, call, error, on=on)}"] += 1
        except Lost as lost:
            swept.failures.append(f"{error} {'from' if on else 'at'} {call}: {lost}")
    return swept


def _turns(calls: Iterable[Call]) -> Iterator[tuple[Call, str, bool]]:
    """Each call with the next error in turn, once and for good; calls of one name get all by and by."""
    turns: dict[str, Iterator[str]] = {}
    for call in calls:
        for on in (False, True):
            yield call, next(turns.setdefault(call.name, cycle(ERRORS))), on


def fail(stage: Stage, prepared: Prepared, call: Call, error: str, *, on: bool) -> int:
    """Fail one call of the command; return the status with which it ended honestly."""
    stage.restore("start")
    scenario = prepared.scenario
    done = stage.run(
        scenario,
        *scenario.command,
        number=len(scenario.first),
        end=at(call, error, on=on),
    )
    judge(stage, prepared, done)
    return done.code


def judge(stage: Stage, prepared: Prepared, done: Done) -> None:
    """Raise ``Lost`` where what a command said is not so, or where the next one cannot go on from there."""
    check_seeds(prepared)
    if done.code < 0 or done.code == _BUG or "Traceback" in done.err:
        raise Lost(f"no refusal but a bug: {done}")
    found = state(prepared.place)
    if done.code in _CARRIED_OUT:
        if found != prepared.goal:
            raise Lost(f"a success is claimed: {done}; {difference(prepared.goal, found)}")
    elif done.code == _UNFINISHED:
        stage.save("killed")
        recover(stage, prepared)
    elif found != prepared.start:
        raise Lost(f"something was changed: {done}; {difference(prepared.start, found)}")
    else:
        _once_more(stage, prepared)


def _once_more(stage: Stage, prepared: Prepared) -> None:
    """What failed with nothing changed goes through when the system lets it."""
    scenario = prepared.scenario
    done = stage.run(scenario, *scenario.command, number=len(scenario.first))
    check_seeds(prepared)
    if done.code not in _CARRIED_OUT:
        raise Lost(f"once more: {done}")
    if words := difference(prepared.goal, state(prepared.place)):
        raise Lost(f"once more: {words}")
    check_whole(prepared.place)
