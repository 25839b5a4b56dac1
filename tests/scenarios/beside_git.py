"""What ``git pull --rebase`` makes of the same scenarios, kept in a file, and the table of it in DESIGN.md.

To ask git again and to write both anew: ``scripts/scenario-table --write``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.scenarios.acts import ACTS
from tests.scenarios.language import Universe
from tests.scenarios.table import SCENARIOS, Answer, expected

RECORDED = Path(__file__).with_name("pull-rebase.tsv")
DESIGN = Path(__file__).parents[2] / "DESIGN.md"

_COLUMNS = (
    "brings back what upstream left, or copies what it has",
    "drops what is yours",
    "stays on the old line, exit status 0",
)
_HEAD = (
    "| upstream's act | git " + " | git ".join(_COLUMNS) + " |",
    "|---|" + "---|" * len(_COLUMNS),
)
_TABLE = re.compile(re.escape("\n".join(_HEAD)) + r"\n(?:\|.*\n)*")


def recorded() -> dict[str, str]:
    """What git made of each scenario, by the scenario's name."""
    lines = RECORDED.read_text("utf-8").splitlines()
    return {line.partition("\t")[0]: line.partition("\t")[2] for line in lines if not line.startswith("#")}


def write(answers: Mapping[str, str], universe: Universe) -> None:
    """Keep what git made of the scenarios, here and in DESIGN.md."""
    lines = [f"{name}\t{answer}\n" for name, answer in answers.items()]
    head = "# Scenario, and what then stands above upstream's tip after git pull --rebase (git 2.39.5).\n"
    RECORDED.write_text(head + "".join(lines), "utf-8")
    design = DESIGN.read_text("utf-8")
    DESIGN.write_text(_TABLE.sub(lambda _: design_table(answers, universe), design), "utf-8")


def wrongs(git: str, right: Answer) -> tuple[bool, bool, bool]:
    """Whether git's answer brings back, drops, and stays (see ``_COLUMNS``), going by the right one."""
    if git == "stays":
        return False, False, right.kind not in ("up-to-date", "deleted")
    kept = set(git.split(", ")) if git else set()
    # git makes one line of a merge; that its own name is gone is no loss.
    mine = {name: verdict for name, verdict in right.commits if not name.startswith("merged")}
    left = {name for name, verdict in mine.items() if verdict == "dropped-by-upstream"}
    left |= {name for name in kept if not name.startswith(("mine", "merged"))}
    needed = {name for name, verdict in mine.items() if verdict in ("reapplied", "dropped-by-upstream")}
    return bool(kept & left), bool(needed - kept), False


def design_table(answers: Mapping[str, str], universe: Universe) -> str:
    """The rows of DESIGN.md's table, with its head: for each act the conditions in which git goes wrong.

    An asterisk: there nothing can tell.
    """
    lines = [*_HEAD]
    for act in ACTS:
        cells: list[list[str]] = [[] for _ in _COLUMNS]
        for scenario in (each for each in SCENARIOS if each.act.name == act.name):
            answer = expected(universe, scenario)
            mark = "*" if answer.kind != scenario.kind else ""
            for cell, is_so in zip(cells, wrongs(answers[scenario.name], answer), strict=True):
                cell += [scenario.condition.name + mark] * is_so
        if any(cells):
            lines.append(f"| {act.name} | " + " | ".join(map(", ".join, cells)) + " |")
    return "\n".join(lines) + "\n"
