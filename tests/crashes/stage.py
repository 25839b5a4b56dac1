"""Where a scenario is played again and again: always at the same place, from the same state."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import Done, World, environment
from tests.crashes import trace
from tests.crashes.intercept import End
from tests.crashes.oracle import Lost, Place, Seeds, State, check_kept, difference, seeds, state
from tests.crashes.saves import Saves
from tests.crashes.scenarios import Scenario, empty_world, later, place_of
from tests.crashes.starter import KILLED, Starter
from tests.crashes.trace import Call


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A scenario that is ready to be ended badly.

    ``before`` and ``after`` are the two states that anything may end in, ``start`` is the one in which the
    command begins (half-way where an earlier one was interrupted), ``goal`` the one that it comes to
    undisturbed, and ``calls`` are those that it makes then. ``sat`` is what a person who gives up resolving
    conflicts has back: the state in which they, or the command, began.
    """

    scenario: Scenario
    place: Place
    seeds: Sequence[Seeds]
    start: State
    before: State
    after: State
    goal: State
    sat: State
    calls: Sequence[Call]


ABOUT_RESCUE = "rescue"
"""The command that is no run: there is nothing to finish or to take back."""


class Stage:
    """A folder ``now`` in which one scenario stands, and saved states of it beside that."""

    def __init__(self, base: Path, starter: Starter) -> None:
        self._starter = starter
        self.now = base / "now"
        self.saves = Saves(self.now)

    # --- states of the folder ---

    def save(self, name: str) -> None:
        """Keep how everything stands now."""
        self.saves.save(name)

    def restore(self, name: str) -> None:
        """Have everything as it was saved; what stood here is gone."""
        self.saves.restore(name)

    # --- playing ---

    def run(
        self,
        scenario: Scenario,
        *arguments: str,
        number: int,
        attach: Callable[[int], Any] | None = None,
        end: End | None = None,
        audit: dict[str, Any] | None = None,
    ) -> Done:
        """Run resync where the scenario is; ``number`` counts the commands, each a minute after the other."""
        at, env = self.now / scenario.at, later(world_at(self.now), number)
        return self._starter.run(arguments, at=at, env=env, attach=attach, end=end, audit=audit)

    def run_together(self, scenario: Scenario, *arguments: str, pauses: Sequence[float]) -> list[Done]:
        """Run resync as often as there are pauses, each so many seconds after the one before it."""
        at, env = self.now / scenario.at, later(world_at(self.now), 0)
        return self._starter.run_together(arguments, at=at, env=env, pauses=pauses)

    def prepare(self, scenario: Scenario, *, traced: bool = True) -> Prepared:
        """Build the scenario, save it as ``start``, and learn how it ends undisturbed.

        Not ``traced``, it has no calls; a scenario that begins half-way cannot do without.
        """
        shutil.rmtree(self.now, ignore_errors=True)
        world = empty_world(self.now)
        scenario.make(world)
        place = place_of(scenario, world)
        first = seeds(place)
        *done, last = scenario.first or ((),)
        if last and scenario.interrupt is None:
            done.append(last)
        sat = None
        for number, arguments in enumerate(done):
            if arguments == ("continue",):
                sat = sat or state(place)
            self._succeed(scenario, arguments, number)
        if scenario.then is not None:
            scenario.then(world)
        before, last_before = state(place), seeds(place, scenario.goes)
        kept = [last_before] if scenario.goes or first == last_before else [first, last_before]
        finished = None
        if scenario.interrupt is not None:
            finished = self._interrupt(scenario, last, len(done))
        self.save("start")
        start = state(place)
        calls = self.record(scenario) if traced else []
        if not traced:
            self._succeed(scenario, scenario.command, len(scenario.first))
        for each in kept:
            check_kept(place, each)
        after = goal = state(place)
        if scenario.command == ("abort",) and finished is not None:
            if after != before:
                raise Lost(f"abort does not bring back what was before: {difference(before, after)}")
            after = finished
        elif finished is not None and after != finished:
            raise Lost(f"continue comes to something else than the run: {difference(finished, after)}")
        return Prepared(
            scenario=scenario,
            place=place,
            seeds=kept,
            start=start,
            before=before,
            after=after,
            goal=goal,
            sat=sat or before,
            calls=calls,
        )

    def record(self, scenario: Scenario) -> list[Call]:
        """The calls of the scenario's command, which is carried out."""
        return self.recording(scenario).calls(self.now)

    def recording(self, scenario: Scenario) -> trace.Recording:
        """All that the scenario's command does, which is carried out."""
        recording = trace.Recording()
        done = self.run(scenario, *scenario.command, number=len(scenario.first), attach=recording.attach)
        if not carried_out(done, scenario.command):
            raise Lost(f"{scenario.name}: {done}")
        return recording

    def _succeed(self, scenario: Scenario, arguments: Sequence[str], number: int) -> None:
        done = self.run(scenario, *arguments, number=number)
        if not carried_out(done, arguments):
            raise Lost(f"{scenario.name}: {arguments}: {done}")

    def _interrupt(self, scenario: Scenario, arguments: Sequence[str], number: int) -> State:
        """Leave the run half-way that ``arguments`` ask for; return the state that it would have come to."""
        assert scenario.interrupt is not None
        self.save("whole")
        recording = trace.Recording()
        self.run(scenario, *arguments, number=number, attach=recording.attach)
        calls = recording.calls(self.now)
        finished = state(place_of(scenario, world_at(self.now)))
        self.restore("whole")
        begun, ended = (
            [n for n, call in enumerate(calls) if any(p.endswith(b"/state.json") for p in call.places)][which]
            for which in (1, -1)
        )
        chosen = calls[begun + 1 + int((ended - begun - 1) * scenario.interrupt)]
        done = self.run(scenario, *arguments, number=number, end=at(chosen))
        if done.code != KILLED or not switching(self.now):
            raise Lost(f"{scenario.name}: not interrupted at {chosen}: {done}")
        return finished


def at(call: Call, error: str | None = None, *, on: bool = False) -> End:
    """The end at a recorded call: SIGKILL, or an error, ``on`` at every later one of its name too."""
    return End(name=call.name, nth=call.nth, error=error, on=on)


def world_at(base: Path) -> World:
    """The world that was built in a folder."""
    return World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(base / "home"))


def carried_out(done: Done, arguments: Sequence[str]) -> bool:
    """Whether a command did what it was asked for: ``continue`` and ``abort`` may end within a sitting."""
    return done.code in (0, 3) or (done.code == 4 and arguments[0] in ("continue", "abort"))


def sitting(base: Path) -> bool:
    """Whether somebody is resolving conflicts, by the last finished run's record."""
    done = [each for each in _states(base) if each["state"] == "done"]
    return bool(done) and bool(max(done, key=lambda each: each["number"])["sits"])


def switching(base: Path) -> bool:
    """Whether a run stands half-way, by its record."""
    return any(each["state"] == "switching" for each in _states(base))


def _states(base: Path) -> list[dict[str, Any]]:
    return [record(each) for each in base.glob("clone/.git/resync/runs/*/state.json")]


def record(path: Path) -> dict[str, Any]:
    """What a file of a run's record says. Raises ``Lost`` where it says nothing."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise Lost(f"{path} cannot be read ({error})") from None
    return found
