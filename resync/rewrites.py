"""Which commits a run makes anew, and of which, in the order in which git's rebase would tell of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from resync.model import Oid, Plan
from resync.repository import Objects


def reapplied(plan: Plan) -> Iterator[tuple[Oid, Oid]]:
    """Old and new id of each commit that was made anew, those of branches that stay among them."""
    for commit in (*plan.commits, *(each for branch in plan.branches for each in branch.commits)):
        if commit.new_oid is not None and commit.new_oid != commit.oid and not commit.by_hand:
            yield commit.oid, commit.new_oid


def moved_tips(plan: Plan) -> tuple[Oid, ...]:
    """Where the branches that move will stand: the current one, then the others."""
    return (plan.new_tip, *(branch.new_tip for branch in plan.branches if branch.moves))


def rewrites(objects: Objects, plan: Plan) -> tuple[tuple[Oid, Oid], ...]:
    """The old and the new id of each commit that the branches which move get anew, parents first."""
    olds: dict[Oid, list[Oid]] = {}
    for old, new in reapplied(plan):
        olds.setdefault(new, []).append(old)
    return tuple((old, new) for new in parents_first(objects, moved_tips(plan), olds) for old in olds[new])


def parents_first(objects: Objects, tips: Iterable[Oid], among: Collection[Oid]) -> Iterator[Oid]:
    """The commits ``among`` these that the tips reach through such commits, each after its parents."""
    done: set[Oid] = set()
    waiting = [*reversed([*tips])]
    while waiting:
        oid = waiting[-1]
        if oid in done or oid not in among:
            waiting.pop()
            continue
        below = [each for each in objects.commit(oid).parents if each in among and each not in done]
        if below:
            waiting += reversed(below)
        else:
            done.add(waiting.pop())
            yield oid


def rewrite_lines(pairs: Iterable[tuple[Oid, Oid]]) -> bytes:
    """What git gives to a ``post-rewrite`` hook (githooks(5)): a line for each commit, old id and new id."""
    return b"".join(b"%s %s\n" % pair for pair in pairs)
