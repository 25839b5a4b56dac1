"""The sides of parked merges: what else a merge brought in, so that it can be made anew as a merge.

A merge that a person finishes is picked as what it changed in its first parent, and gets its other parents
back when it is committed: those that stand as they are, and those whose commits were parked along with it,
made anew in memory. Nothing here moves a ref or touches the disk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from resync.history import History, HistoryCut
from resync.merge import MergeOptions
from resync.model import Commit, LocalCommit, Oid, Side
from resync.replay import Beside, beside
from resync.repository import Objects


def sides(
    objects: Objects,
    history: History,
    commits: Sequence[Oid],
    *,
    apart: Collection[Oid],
    known: Mapping[Oid, Oid],
    old_tips: Collection[Oid],
    onto: Oid,
    tip: Oid,
) -> tuple[Side, ...]:
    """The sides of the merges among ``commits``, which are to be taken in this order.

    ``apart`` are those of them that need nobody: where a merge's other side has no more than such, they are
    made anew with it, and else it has no side. ``known`` says what takes the place of commits that were
    reapplied, ``old_tips`` were upstream's, whose commits the new base ``onto`` takes the place of. Where the
    branch, at ``tip``, has left that base by now, nothing says what a side would stand on: there are none.
    """
    here = set(commits)
    found: list[Side] = []
    try:
        if not history.is_ancestor(onto, tip):
            return ()
        for oid in commits:
            first, *others = objects.commit(oid).parents or (oid,)
            if not others:
                continue
            line = history.reachable(others, [first], ignore_cut=True)
            if any(each in line and each not in apart for each in commits):
                continue
            taken = {each for side in found for each in (*side.commits, *side.settled)}
            aside = [each for each in commits if each in line and each not in taken]
            fresh = history.reachable(others, [first, *(each for each in aside if each in known)])
            mine = tuple(each for each in aside if each in fresh)
            below = {parent for each in mine for parent in objects.commit(each).parents} | {*others}
            stands = {
                each: _standing(objects, history, each, here, known, old_tips, onto)
                for each in sorted(below.difference(mine))
            }
            settled = tuple(each for each in aside if each not in fresh)
            found.append(Side(merge=oid, commits=mine, settled=settled, stands=tuple(stands.items())))
    except HistoryCut:
        return ()
    return tuple(found)


def _standing(
    objects: Objects,
    history: History,
    oid: Oid,
    parked: Collection[Oid],
    known: Mapping[Oid, Oid],
    old_tips: Collection[Oid],
    onto: Oid,
) -> Oid:
    """What takes the place of a commit below a side: of one that is parked, what it stood on."""
    while oid in parked and oid not in known:
        parents = objects.commit(oid).parents
        if not parents:
            return onto
        oid = parents[0]
    if oid in known:
        return known[oid]
    upstream = any(history.is_ancestor(oid, tip) for tip in (*old_tips, onto))
    return onto if upstream else oid


def without_sides(commits: Sequence[Oid], found: Sequence[Side]) -> tuple[Oid, ...]:
    """The ``commits`` that are to be taken one by one."""
    apart = {oid for side in found for oid in (*side.commits, *side.settled)}
    return tuple(oid for oid in commits if oid not in apart)


def moved_on(found: Sequence[Side], made: Mapping[Oid, Oid]) -> tuple[Side, ...]:
    """The sides, where commits that they stand on have been ``made`` anew."""
    return tuple(
        replace(side, stands=tuple((old, made.get(old, new)) for old, new in side.stands)) for side in found
    )


class Sides:
    """Makes the parents of merges: called with a commit, what it is made on, and what was made before."""

    def __init__(
        self,
        objects: Objects,
        history: History,
        found: Sequence[Side],
        options: MergeOptions,
        committer: bytes,
        renew: Collection[Oid],
    ) -> None:
        self._objects = objects
        self._history = history
        self._found = {side.merge: side for side in found}
        self._options = options
        self._committer = committer
        self._renew = renew

    def __call__(self, commit: Commit, tip: Oid, made: Sequence[LocalCommit] = ()) -> Beside:
        """The parents that ``commit`` gets on ``tip``, and what becomes of the commits beside it."""
        side = self._found.get(commit.oid)
        if side is None:
            return Beside(parents=(tip,))
        new = {each.oid: each.new_oid for each in made if each.new_oid is not None}
        (side,) = moved_on([side], new)
        return beside(
            self._objects,
            self._history,
            commit,
            tip,
            side,
            committer=self._committer,
            options=self._options,
            renew=commit.oid in self._renew,
        )
