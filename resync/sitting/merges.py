"""Merges in a sitting: they get the parents that they had, made anew where these were parked with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from resync.history import open_history
from resync.model import LocalCommit, Oid, Side, Sitting
from resync.replay.commits import made
from resync.replay.sides import Known, moved_on, sides
from resync.replay.verdicts import known_as
from resync.sitting.table import Table
from resync.waiting import Parked


def merged_sides(table: Table, parked: Parked) -> tuple[Side, ...]:
    """The sides of the parked merges, by what the runs say that parked them."""
    upstream = next((each.upstream for each in reversed(parked.plans) if each.upstream is not None), None)
    if upstream is None or upstream.new_tip is None:
        return ()
    moved = [each for plan in parked.plans for each in plan.branches if each.moves]
    known = Known(
        commits=[
            *(commit for each in moved for commit in each.commits),
            *(commit for plan in parked.plans for commit in plan.commits),
        ],
        branches={
            each.old_tip: each.new_tip for each in moved if table.repository.ref(each.name) == each.new_tip
        },
        old_tips=[
            tip for plan in parked.plans if plan.upstream is not None for tip in plan.upstream.old_tips
        ],
        onto=upstream.new_tip,
    )
    history = open_history(table.repository)
    return sides(table.objects, history, parked.commits, apart=parked.apart, known=known, tip=table.head.tip)


def side_of(sitting: Sitting, oid: Oid | None) -> tuple[Oid, ...]:
    """The commits that were to be made anew with a merge."""
    return next(((*side.settled, *side.commits) for side in sitting.sides if side.merge == oid), ())


def with_made(sitting: Sitting, commits: Sequence[LocalCommit]) -> Sitting:
    """The sitting, its sides standing on what was made of commits."""
    return replace(sitting, sides=moved_on(sitting.sides, commits))


def as_merge(table: Table, sitting: Sitting, mine: LocalCommit) -> tuple[LocalCommit, ...] | None:
    """A merge that the person committed with git, which takes it for a plain pick, with its other parents.

    What it brings along comes before it. None where it is no such merge, or is not the last commit any more.
    """
    commit = table.objects.commit(mine.oid)
    found = table.objects.commit(table.head.tip)
    if mine.new_oid != found.oid or len(found.parents) != 1:
        return None
    joined = table.beside(sitting)(commit, found.parents[0])
    if len(joined.parents) == 1:
        return None
    new = made(table.objects, found, found.tree, joined.parents, table.who)
    reason = "you committed it; the other side of the merge was added"
    return (*joined.commits, known_as(table.objects, replace(mine, reason=reason, by_hand=False), new))
