"""The kill sweep: a run is killed before each of its calls to the system, then finished, then taken back."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from fnmatch import fnmatchcase

from tests.crashes.asked import ask
from tests.crashes.oracle import Lost, check_kept, check_whole, difference, state, without
from tests.crashes.sample import Sample, Swept
from tests.crashes.stage import ABOUT_RESCUE, Prepared, Stage, at, carried_out, sitting, switching
from tests.crashes.starter import KILLED
from tests.crashes.trace import Call


def sweep(stage: Stage, prepared: Prepared, sample: Sample) -> Swept:
    """Kill the scenario's command at every call, or at a sample of them."""
    calls = prepared.calls
    swept = Swept(name=prepared.scenario.name, calls=len(calls), meant=len(calls))
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
    if prepared.scenario.command[0] == ABOUT_RESCUE:
        _ask_again(stage, prepared)
        return
    half_way = switching(stage.now)
    _finish(stage, prepared, half_way)
    stage.restore("killed")
    _take_back(stage, prepared, half_way)


def _finish(stage: Stage, prepared: Prepared, half_way: bool) -> None:
    scenario, number = prepared.scenario, len(prepared.scenario.first) + 1
    sat, killed = sitting(stage.now), state(prepared.place)
    sits = scenario.command == ("continue",) and scenario.interrupt is None
    if sat and not half_way and not sits:
        return  # continue goes on with what the person is at, which another scenario is about
    # What begins only now has to begin when it did the first time.
    again = sits and not half_way
    done = stage.run(scenario, "continue", "--json", number=number - again)
    check_seeds(prepared)
    found = state(prepared.place)
    if half_way and not carried_out(done, ("continue",)):
        raise Lost(f"continue: {done}")
    given_up = sitting(stage.now) and not sat and not half_way and not sits
    if given_up:
        # Nothing was interrupted, so it began to take up what is parked: giving that up changes nothing.
        done = stage.run(scenario, "abort", "--json", number=number + 1)
        check_seeds(prepared)
        found = state(prepared.place)
        if not carried_out(done, ("abort",)) or found != killed:
            raise Lost(f"given up: {done}; {difference(killed, found)}")
        check_whole(prepared.place)
        stage.restore("killed")
        if found == prepared.after or (found == prepared.before and scenario.command == ("abort",)):
            return  # it was done, or had changed nothing: nothing but its locks is left of it
    if not half_way and found == prepared.before and scenario.command[0] not in ("continue", "abort"):
        # It had changed nothing: the same command goes through now.
        done = stage.run(scenario, *scenario.command, number=len(scenario.first))
        check_seeds(prepared)
        found = state(prepared.place)
        if done.code not in (0, 3):
            raise Lost(f"once more: {done}")
        given_up = False
    if found != prepared.after and (half_way or found != prepared.before):
        raise Lost(f"continue: {difference(prepared.after, found)}")
    if not given_up:  # else it is as it was left, locks and all
        check_gone(prepared)
        check_whole(prepared.place)


def _take_back(stage: Stage, prepared: Prepared, half_way: bool) -> None:
    gives_up = sitting(stage.now) and not half_way
    before = prepared.sat if gives_up else prepared.before
    done = stage.run(prepared.scenario, "abort", "--json", number=len(prepared.scenario.first) + 1)
    check_seeds(prepared)
    found = state(prepared.place)
    if half_way and not carried_out(done, ("abort",)):
        raise Lost(f"abort: {done}")
    after = prepared.after
    if gives_up:  # a run of its own, which leaves word of where the branch stood
        before, after, found = (without(each, b"ORIG_HEAD") for each in (before, after, found))
    if found != before and (half_way or found != after):
        raise Lost(f"abort: {difference(before, found)}")
    check_whole(prepared.place)


def _ask_again(stage: Stage, prepared: Prepared) -> None:
    """What is no run leaves nothing to finish: it goes through when it is asked for again, or it was done."""
    scenario, number = prepared.scenario, len(prepared.scenario.first) + 1
    for command in _LOOKING:
        done = stage.run(scenario, *command, number=number)
        if done.code not in (0, 3):
            raise Lost(f"afterwards: {command}: {done}")
    done = stage.run(scenario, *scenario.command, "--json", number=number)
    if done.code and (not scenario.goes or done.json["error"]["kind"] not in _IT_IS_GONE):
        raise Lost(f"once more: {done}")
    for half in prepared.place.clone.rglob(".resync-*"):
        half.unlink()  # the file that was being written then, which had not got its name yet
    _check_done(prepared)
    if scenario.goes:
        # What the run left is not there any more to be taken back; that is said, or done as far as it goes.
        stage.restore("killed")
        done = stage.run(scenario, "undo", "--yes", number=number)
        if done.code not in (0, 1, 3):
            raise Lost(f"undo: {done}")
        if done.code == 1 and (words := difference(prepared.before, state(prepared.place))):
            raise Lost(f"undo is refused, and yet: {words}")
        check_seeds(prepared)
        check_whole(prepared.place)


_LOOKING = (("status",), ("log",), ("rescue",))
_IT_IS_GONE = ("no-rescue", "unknown-rescue")


def _check_done(prepared: Prepared) -> None:
    """Raise ``Lost`` where a command that changes nothing of the user's has changed or left anything."""
    check_seeds(prepared)
    if words := difference(prepared.goal, state(prepared.place)):
        raise Lost(words)
    check_gone(prepared)
    check_whole(prepared.place)


def check_gone(prepared: Prepared) -> None:
    """Raise ``Lost`` where something stays for good that the command is there to remove."""
    git = prepared.place.git_dir
    goes = [os.fsencode(each) for each in prepared.scenario.goes]
    refs = [ref for ref in ask(prepared.place).refs if any(fnmatchcase(ref, each) for each in goes)]
    files = [str(path) for each in prepared.scenario.gone for path in git.glob(each)]
    if refs or files:
        raise Lost(f"not gone: {refs} {files}")


def check_seeds(prepared: Prepared, but: Collection[str] = ()) -> None:
    """Raise ``Lost`` where anything is lost of what there was at first, or before the last run; ``but`` are
    paths that somebody saved over."""
    for each in prepared.seeds:
        files = {path: data for path, data in each.files.items() if path not in but}
        check_kept(prepared.place, replace(each, files=files))
