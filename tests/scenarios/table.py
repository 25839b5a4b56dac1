"""Every act of upstream's with every condition of a clone that makes sense for it, and what is expected.

What is one's own is known here from the histories themselves: whatever upstream's branch never reached.
Kind and evidence go with the act and the condition, but for the exceptions, each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.scenarios.acts import ACTS
from tests.scenarios.conditions import CONDITIONS, Condition
from tests.scenarios.language import Act, Universe, at

TIPS = ("fix", "late-100", "twin", "mine-2")
"""Every place where upstream's branch can stand before an act."""

KINDS: Mapping[str, str] = {
    "nothing": "up-to-date",
    "advance": "advanced",
    "megapatch": "advanced",
    "force-push": "rewritten",
    "silent force-push": "rewritten",
    "delete": "deleted",
    "delete and recreate": "rewritten",
    "rename": "deleted",
    "rewind": "rewound",
    "unrelated import": "unrelated",
    "three rewrites": "rewritten",
    "squash of mine": "rewritten",
    "rebase of mine": "rewritten",
    "revert of mine": "advanced",
    "drop of mine": "rewritten",
}

ANNOUNCED = ("force-push", "delete and recreate", "three rewrites")
"""Acts after which upstream's old tip has an announcing tag, and a branch."""

# A push in these would not be a fast-forward, or is the same scenario as in another condition.
_NEVER_SENT = (
    "100 commits stale",
    "tracks one's own fork",
    "upstream merged in",
    "upstream's other branch merged in",
    "private archive tag",
    "twin by Gerrit",
)


_QUIET = ("up-to-date", "advanced")
"""Kinds of which nobody has to be told."""

# What merges have brought in: of upstream's own branch, in whose place the new one comes, or of another.
_MERGES = {"merged": "", "merged next": "next-2"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What resync says: the kind of what upstream did, the evidence that decided ("": none), the local
    commits with their verdicts, the kind of the refusal ("": a plan was made), what became of the branch of
    that name at another remote ("": nothing), and whether the exit status of ``check`` asks for attention."""

    kind: str
    evidence: str
    commits: tuple[tuple[str, str], ...] = ()
    refusal: str = ""
    elsewhere: str = ""
    attention: bool = False


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One act of upstream's and one condition of the clone."""

    act: Act
    condition: Condition

    @property
    def name(self) -> str:
        """Both, as the table has them."""
        return f"{self.act.name} | {self.condition.name}"

    @property
    def of_mine(self) -> bool:
        """Whether it is about commits that the clone's owner sent."""
        return self.act.name.endswith("of mine")

    @property
    def pushed(self) -> bool:
        """Whether they were pushed to upstream's branch itself, and not offered on one of their own."""
        return self.of_mine and self.condition.name != "topic on the same server"

    @property
    def tip(self) -> str:
        """Where upstream's branch stands before the act."""
        return "mine-2" if self.pushed else self.condition.tip

    @property
    def new_tip(self) -> str:
        """Where it stands at the end ("": nowhere)."""
        return at(self.act, self.tip).stages[-1].get("main", "")

    @property
    def kind(self) -> str:
        """What upstream did, as seen from the clone."""
        kind = KINDS[self.act.name]
        if self.condition.name == "twin by Gerrit" and kind == "up-to-date":
            return "advanced"  # by the twin, on which the clone does not stand
        if self.of_mine and not self.pushed:
            return "advanced"  # the commits that were offered came in above what was there
        return kind


def _makes_sense(scenario: Scenario) -> bool:
    act, condition = scenario.act.name, scenario.condition.name
    if scenario.of_mine and not scenario.pushed:
        return act in ("squash of mine", "rebase of mine")
    if scenario.pushed:
        return condition not in _NEVER_SENT
    # To be stale is what an advance is.
    return (act, condition) != ("nothing", "100 commits stale")


SCENARIOS = tuple(
    scenario
    for act in ACTS
    for condition in CONDITIONS
    if _makes_sense(scenario := Scenario(act=act, condition=condition))
)


def expected(universe: Universe, scenario: Scenario) -> Answer:
    """What resync has to say of the scenario: by the histories, and by the rules of DESIGN.md, section 6."""
    act, condition, kind = scenario.act.name, scenario.condition.name, scenario.kind
    if condition == "tracks one's own fork":
        # Nothing happened to the fork. That upstream's own branch was rewritten must not go unsaid.
        elsewhere = kind if kind not in _QUIET else ""
        return Answer(kind="up-to-date", evidence="tracking", elsewhere=elsewhere, attention=bool(elsewhere))
    if kind not in ("up-to-date", "deleted"):
        cut = condition == "depth 1" and "fix" not in universe.below(scenario.new_tip)
        if cut and act not in ANNOUNCED:
            # Whether it went back or was rewritten, and what it has left, is below the cut.
            return Answer(kind="", evidence="", refusal="shallow-history", attention=True)
        if condition == "fetched and reflog expired" and act == "rewind":
            # Nothing tells the commits above upstream's tip from one's own.
            return Answer(kind="up-to-date", evidence="tracking")
        if condition == "fetched and reflog expired" and act not in (*ANNOUNCED, "revert of mine"):
            # The remote-tracking branch says only where upstream is now.
            return Answer(kind="unknown", evidence="tracking", refusal="no-evidence", attention=True)
    evidence = _evidence(scenario)
    if kind == "deleted":
        return Answer(kind=kind, evidence=evidence, refusal="upstream-deleted", attention=True)
    commits = () if kind == "up-to-date" else tuple(_commits(universe, scenario))
    return Answer(kind=kind, evidence=evidence, commits=commits, attention=kind not in _QUIET)


def _evidence(scenario: Scenario) -> str:
    kind, condition = scenario.kind, scenario.condition
    if kind in _QUIET:
        return "tracking"
    if kind == "deleted" and condition.finally_:
        return "tracking"  # a fetch that does not prune leaves it where it was
    if condition.name == "100 commits stale" and scenario.act.name in ANNOUNCED:
        return "announcement-tag"  # it is newer than all that the clone had seen
    return condition.evidence


def _commits(universe: Universe, scenario: Scenario) -> Iterator[tuple[str, str]]:
    """One's own commits and what becomes of each."""
    act = scenario.act
    new = universe.below(scenario.new_tip)
    left = universe.below(scenario.tip) - new
    mine = scenario.condition.mine
    if scenario.pushed:
        # They are upstream's, and one's own again where it dropped them and a reflog shows whose they were.
        dropped = act.name == "drop of mine" and scenario.condition.name != "reflog expired"
        mine = mine if dropped else ()
    for name in mine:
        if name in _MERGES:
            yield name, "became-empty" if _MERGES[name] in ("", *new) else "reapplied"
        elif any(universe.commits[each].edits == (name,) for each in new):
            yield name, "already-upstream"
        elif name in universe.files(scenario.new_tip):
            yield name, "became-empty"
        elif any(universe.commits[each].edits == (name,) for each in left):
            yield name, "dropped-by-upstream"
        else:
            yield name, "reapplied"
