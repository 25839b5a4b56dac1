"""The kill sweep: a run is killed before each of its calls to the system, then finished, then taken back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tests.crashes.oracle import Lost, check_kept, check_whole, difference, state
from tests.crashes.sample import Sample, Swept
from tests.crashes.stage import Prepared, Stage, at, carried_out, sitting, switching
from tests.crashes.starter import KILLED
from tests.crashes.trace import Call


def sweep(stage: Stage, prepared: Prepared, sample: Sample) -> Swept:
    """Kill the scenario's command at every call, or at a sample of them."""
    calls = prepared.calls
    swept = Swept(name=prepared.scenario.name, calls=len(calls), meant=sample.size(len(calls)))
    for number in sample.of(len(calls)):
        swept.ended += 1
        try:
            kill(stage, prepared, calls[number])
            # A call that only syncs changes nothing that the next command could see: it has been there.
            if number == 0 or not calls[number - 1].syncs:
                stage.save("killed")
                recover(stage, prepared)
                swept.recovered += 1
        except Lost as error:
            swept.failures.append(f"killed before call {number}, {calls[number]}: {error}")
    return swept


def kill(stage: Stage, prepared: Prepared, call: Call) -> None:
    """Kill the command before the call, and see that nothing is lost."""
    stage.restore("start")
    scenario = prepared.scenario
    done = stage.run(
        scenario,
        *scenario.command,
        number=len(scenario.first),
        end=at(call),
    )
    if done.code != KILLED:
        raise AssertionError(f"{scenario.name} was not killed at {call}: {done}")
    check_seeds(prepared)


def recover(stage: Stage, prepared: Prepared) -> None:
    """Finish what ``killed`` holds, and take it back in another copy of it."""
    half_way = switching(stage.now)
    _finish(stage, prepared, half_way)
    stage.restore("killed")
    _take_back(stage, prepared, half_way)


def _finish(stage: Stage, prepared: Prepared, half_way: bool) -> None:
    scenario, number = prepared.scenario, len(prepared.scenario.first) + 1
    sat, killed = sitting(stage.now), state(prepared.place)
    if sat and not half_way and scenario.command != ("continue",):
        return  # continue goes on with what the person is at, which another scenario is about
    # What begins only now has to begin when it did the first time.
    again = scenario.command == ("continue",) and not half_way
    done = stage.run(scenario, "continue", "--json", number=number - again)
    check_seeds(prepared)
    found = state(prepared.place)
    if half_way and not carried_out(done, ("continue",)):
        raise Lost(f"continue: {done}")
    if sitting(stage.now) and not sat and not half_way and scenario.command != ("continue",):
        # Nothing was interrupted, so it began to take up what is parked: giving that up changes nothing.
        done = stage.run(scenario, "abort", "--json", number=number + 1)
        check_seeds(prepared)
        found = state(prepared.place)
        if done.code or found != killed:
            raise Lost(f"given up: {done}; {difference(killed, found)}")
        stage.restore("killed")
    if not half_way and found == prepared.before and scenario.command[0] not in ("continue", "abort"):
        # It had changed nothing: the same command goes through now.
        done = stage.run(scenario, *scenario.command, number=len(scenario.first))
        check_seeds(prepared)
        found = state(prepared.place)
        if done.code not in (0, 3):
            raise Lost(f"once more: {done}")
    if found != prepared.after and (half_way or found != prepared.before):
        raise Lost(f"continue: {difference(prepared.after, found)}")
    check_whole(prepared.place)


def _take_back(stage: Stage, prepared: Prepared, half_way: bool) -> None:
    before = prepared.sat if sitting(stage.now) and not half_way else prepared.before
    done = stage.run(prepared.scenario, "abort", "--json", number=len(prepared.scenario.first) + 1)
    check_seeds(prepared)
    found = state(prepared.place)
    if half_way and done.code:
        raise Lost(f"abort: {done}")
    if found != before and (half_way or found != prepared.after):
        raise Lost(f"abort: {difference(before, found)}")
    check_whole(prepared.place)


def check_seeds(prepared: Prepared, but: Collection[str] = ()) -> None:
    """Raise ``Lost`` where anything is lost of what there was at first, or before the last run; ``but`` are
    paths that somebody saved over."""
    for each in prepared.seeds:
        files = {path: data for path, data in each.files.items() if path not in but}
        check_kept(prepared.place, replace(each, files=files))
