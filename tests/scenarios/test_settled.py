"""What settles a surprise for a run that nobody watches, and what does not."""

from __future__ import annotations

import re

import pytest

from tests.conftest import needs_git
from tests.scenarios.play import Stage, resync
from tests.scenarios.table import SCENARIOS, Scenario, expected

pytestmark = needs_git

CONDITIONS = ("fresh", "already fetched", "100 commits stale", "detached", "checked before each")
TURNS = tuple(
    each
    for each in SCENARIOS
    if each.act.name in ("rewind", "unrelated import")
    and each.condition.name in CONDITIONS
    and not each.pushed
)
GONE = tuple(
    each for each in SCENARIOS if each.act.name in ("delete", "rename") and each.condition.name in CONDITIONS
)
TAG = "refs/tags/main-early-demise"


@pytest.mark.parametrize("scenario", TURNS, ids=lambda scenario: scenario.name)
def test_upstream_went_back_or_elsewhere(stage: Stage, scenario: Scenario) -> None:
    new_tip = stage.universe.oids[scenario.new_tip]
    wanted = expected(stage.universe, scenario)
    ask = ("plan", "--json", *scenario.condition.ask)
    with stage.acted(scenario) as world:

        def refused(*settles: str) -> bool:
            # A plan for a person is no other than one for a script, but for the question.
            done = resync(world, "run", "--yes", "--json", *scenario.condition.ask, *settles)
            if (done.code, done.json["error"]["kind"]) != (1, f"{wanted.kind}-upstream"):
                return False
            assert done.json["hint"].startswith(f"resync run --expect {new_tip} ")
            return True

        def carried(*settles: str) -> tuple[tuple[str, str], ...]:
            done = resync(world, *ask, *settles)
            return tuple((each["subject"], each["verdict"]) for each in done.json["commits"])

        assert refused()
        # Of seven digits somebody can make another commit; what an old tag names is not the old tip.
        assert refused("--expect", new_tip[:12])
        world.git("update-ref", TAG, stage.universe.oids["ground"], at=world.upstream)
        assert refused()
        # Only here: anybody can have made it.
        world.git("update-ref", "-d", TAG, at=world.upstream)
        world.git("update-ref", TAG, stage.universe.oids[scenario.tip], check=False)
        assert refused()
        world.git("update-ref", "-d", TAG, check=False)

        for settles in (("--expect", new_tip.upper()), ("--onto", new_tip)):
            assert carried(*settles) == wanted.commits
        world.git("update-ref", TAG, stage.universe.oids[scenario.tip], at=world.upstream)
        assert carried() == wanted.commits
        done = resync(world, "run", "--yes", "--json", *scenario.condition.ask)
        assert done.json["error"] is None
        assert done.json["upstream"]["kind"] == wanted.kind
        assert world.git("merge-base", "HEAD", new_tip) == new_tip
        assert world.git("log", "--reverse", "--format=%s", f"{new_tip}..").splitlines() == [
            name for name, verdict in wanted.commits if verdict == "reapplied"
        ]


@pytest.mark.parametrize("scenario", GONE, ids=lambda scenario: scenario.name)
def test_upstream_is_gone(stage: Stage, scenario: Scenario) -> None:
    """There is no new tip to be expected, and no announcement names one: only a person can."""
    ask = scenario.condition.ask
    old, new = (stage.universe.oids[name] for name in (scenario.tip, "next-2"))
    ended = "main-early-demise" if scenario.act.name == "delete" else ""
    with stage.acted(scenario) as world:
        before = world.state()
        for settles in ((), ("--expect", old), ("--expect", new), ("--no-require-announcement",)):
            done = resync(world, "run", "--yes", "--json", *ask, *settles)
            assert (done.code, done.json["error"]["kind"]) == (1, "upstream-deleted")
            assert ("main-early-demise announces" in done.json["error"]["message"]) == bool(ended)
            assert re.match("wait.*\nresync run --upstream ", done.json["hint"])
        assert world.state() == before
        world.git("fetch", "-q", "origin")
        done = resync(world, "run", "--yes", "--json", *ask, "--onto", "origin/next")
        assert done.json["error"] is None
        assert world.git("merge-base", "HEAD", new) == new
        assert world.git("log", "--reverse", "--format=%s", f"{new}..").splitlines() == ["mine-1", "mine-2"]
