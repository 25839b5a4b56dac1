"""What upstream did, with each condition of a clone: the kind, the evidence, and exactly the own commits."""

from __future__ import annotations

import json

import pytest

from tests.conftest import needs_git
from tests.scenarios.acts import ACTS
from tests.scenarios.beside_git import DESIGN, design_table, recorded, wrongs
from tests.scenarios.conditions import CONDITIONS, Condition
from tests.scenarios.language import Made, parse_acts, parse_commits
from tests.scenarios.play import Stage, look, pull_rebase, resync
from tests.scenarios.table import SCENARIOS, Answer, Scenario, expected

pytestmark = needs_git


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario(stage: Stage, scenario: Scenario) -> None:
    assert look(stage, scenario) == expected(stage.universe, scenario)


def test_a_renamed_branch_is_found_again(stage: Stage) -> None:
    scenario = next(each for each in SCENARIOS if each.name == "rename | fresh")
    with stage.acted(scenario) as world:
        successors = resync(world, "check", "--json").json["upstream"]["successors"]
    assert "trunk" in json.dumps(successors)


# --- the table itself ----------------------------------------------------------------------------


def test_every_act_and_every_condition_is_there() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS) > 300
    assert {scenario.act.name for scenario in SCENARIOS} == {act.name for act in ACTS}
    assert {scenario.condition.name for scenario in SCENARIOS} == {each.name for each in CONDITIONS}


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_own_commits_are_those_that_upstream_never_had(stage: Stage, condition: Condition) -> None:
    scenario = next(each for each in SCENARIOS if each.condition == condition and not each.pushed)
    theirs = {stage.universe.oids[name] for name in stage.universe.below(condition.tip, "next-2")}
    with stage.acted(scenario) as world:
        listed = world.git("log", "--reverse", "--topo-order", "--format=%H %s").splitlines()
    commits = [line.partition(" ") for line in listed]
    assert tuple(subject for oid, _, subject in commits if oid not in theirs) == condition.mine


@pytest.mark.parametrize("scenario", SCENARIOS[::23], ids=lambda scenario: scenario.name)
def test_what_git_makes_of_it_is_as_recorded(stage: Stage, scenario: Scenario) -> None:
    assert pull_rebase(stage, scenario) == recorded()[scenario.name]


def test_the_design_shows_where_git_goes_wrong(stage: Stage) -> None:
    """After a change: scripts/scenario-table --write."""
    answers = recorded()
    assert list(answers) == [scenario.name for scenario in SCENARIOS]
    assert design_table(answers, stage.universe) in DESIGN.read_text("utf-8")


@pytest.mark.parametrize(
    ("git", "wrong"),
    [
        ("mine-1, mine-2", (False, False, False)),
        ("old, mine-1, mine-2", (True, False, False)),
        ("mine-1, mine-2, mine-3", (True, False, False)),
        ("mine-2", (False, False, False)),
        ("mine-1", (False, True, False)),
        ("", (False, True, False)),
        ("stays", (False, False, True)),
    ],
)
def test_what_is_wrong_with_an_answer(git: str, wrong: tuple[bool, bool, bool]) -> None:
    verdicts = ("reapplied", "already-upstream", "became-empty")
    commits = tuple(zip(("mine-2", "mine-1", "merged"), verdicts, strict=True))
    if "mine-3" in git:
        commits += (("mine-3", "dropped-by-upstream"),)
    assert wrongs(git, Answer(kind="rewritten", evidence="", commits=commits)) == wrong


# --- the language --------------------------------------------------------------------------------


def test_commits() -> None:
    made = parse_commits("""
        root : a b      # with a word about it
        row*2 < root
        tip < row-2 root : -a
    """)
    assert made == (
        Made(name="root", parents=(), edits=("a", "b")),
        Made(name="row-1", parents=("root",), edits=("row-1",)),
        Made(name="row-2", parents=("row-1",), edits=("row-2",)),
        Made(name="tip", parents=("row-2", "root"), edits=("-a",)),
    )


def test_acts() -> None:
    first, second = parse_acts("""
        first:
            a < @ : a
            main =
            main-eol = @
            then
            main = a
        the second:
            main = @
    """)
    assert (first.name, second.name) == ("first", "the second")
    assert first.commits == (Made(name="a", parents=("@",), edits=("a",)),)
    assert first.stages == ({"main": "", "main-eol": "@"}, {"main": "a"})
    assert (second.commits, second.stages) == ((), ({"main": "@"},))


def test_the_store_has_what_the_language_says(stage: Stage) -> None:
    universe, store = stage.universe, stage.folder / "store.git"
    scenario = next(each for each in SCENARIOS if each.name == "megapatch | fresh")
    with stage.acted(scenario) as world:
        for name in ("start", "fix", "late-100", "mega@fix", "revert@mine-2"):
            oid = universe.oids[name]
            assert world.git("log", "-1", "--format=%s", oid, at=store) == name.partition("@")[0]
            files = world.git("ls-tree", "--name-only", oid, at=store).splitlines()
            assert set(files) == universe.files(name)
            listed = world.git("rev-list", oid, at=store).splitlines()
            assert {universe.oids[below] for below in universe.below(name)} == set(listed)
