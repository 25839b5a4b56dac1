"""The sides of parked merges: what else a merge brought in, so that it can be made anew as a merge.

A merge that a person finishes is picked as what it changed in its first parent, and gets its other parents
back when it is committed: those that stand as they are, and those whose commits were parked along with it,
made anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from resync.history import History, HistoryCut
from resync.model import Commit, LocalCommit, Oid, Side
from resync.replay.options import PickOptions
from resync.replay.series import Beside, beside
from resync.repository import Objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the commits that a branch had before a run.

    ``commits`` are what became of them, ``branches`` what of other branches' tips that stand where the run
    has put them. ``old_tips`` were upstream's, whose commits the new base ``onto`` takes the place of.
    """

    commits: Sequence[LocalCommit]
    branches: Mapping[Oid, Oid]
    old_tips: Collection[Oid]
    onto: Oid


def sides(
    objects: Objects,
    history: History,
    commits: Sequence[Oid],
    *,
    apart: Collection[Oid],
    known: Known,
    tip: Oid,
) -> tuple[Side, ...]:
    """The sides of the merges among ``commits``, which are to be taken in this order onto ``tip``.

    ``apart`` are those of them that need nobody: where a merge's other side has no more than such, they are
    made anew with it, and else it has no side. Neither has one of which it is not known what it would stand
    on now: the branch, or another, has left what the run had made.
    """
    places = _Places(objects, history, known, tip)
    found: list[Side] = []
    with suppress(HistoryCut):
        for oid in commits if history.is_ancestor(known.onto, tip) else ():
            first, *others = objects.commit(oid).parents or (oid,)
            line = history.reachable(others, [first], ignore_cut=True)
            if not others or any(each in line and each not in apart for each in commits):
                continue
            taken = {each for side in found for each in (*side.commits, *side.settled)}
            aside = [each for each in commits if each in line and each not in taken]
            fresh = history.reachable(others, [first, *(each for each in aside if each in places.new)])
            mine = tuple(each for each in aside if each in fresh)
            below = {parent for each in mine for parent in objects.commit(each).parents} | {*others}
            stands = {each: places.of(each, mine) for each in sorted(below.difference(mine))}
            settled = tuple(each for each in aside if each not in fresh)
            pairs = tuple((old, new) for old, new in stands.items() if new is not None)
            if len(pairs) == len(stands):
                found.append(Side(merge=oid, commits=mine, settled=settled, stands=pairs))
    return tuple(found)


class _Places:
    """What takes the place of commits below a side."""

    def __init__(self, objects: Objects, history: History, known: Known, tip: Oid) -> None:
        self._objects = objects
        self._history = history
        self._known = known
        self._tips = (tip, *known.branches.values())
        self._ours = {each.oid for each in known.commits}
        made = {each.oid: each.new_oid for each in known.commits if each.new_oid is not None}
        self.new = {**made, **known.branches}

    def of(self, oid: Oid, side: Collection[Oid]) -> Oid | None:
        """The commit in the place of ``oid``; of one that was left out, what it stood on, which may be one
        of the ``side`` that is still to be made. None where that is no longer in use."""
        while oid in self._ours and oid not in self.new and oid not in side:
            parents = self._objects.commit(oid).parents
            if not parents:
                return self._known.onto
            oid = parents[0]
        if oid in side:
            return oid
        if oid in self.new:
            new = self.new[oid]
            return new if any(self._history.is_ancestor(new, tip) for tip in self._tips) else None
        upstream = any(
            self._history.is_ancestor(oid, tip) for tip in (*self._known.old_tips, self._known.onto)
        )
        return self._known.onto if upstream else oid


def without_sides(commits: Sequence[Oid], found: Sequence[Side]) -> tuple[Oid, ...]:
    """The ``commits`` that are to be taken one by one."""
    apart = {oid for side in found for oid in (*side.commits, *side.settled)}
    return tuple(oid for oid in commits if oid not in apart)


def moved_on(found: Sequence[Side], commits: Iterable[LocalCommit]) -> tuple[Side, ...]:
    """The sides, on what has been made of the commits that they stand on."""
    made = {each.oid: each.new_oid for each in commits if each.new_oid is not None}
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
        options: PickOptions,
        *,
        renew: Collection[Oid],
    ) -> None:
        self._objects = objects
        self._history = history
        self._found = {side.merge: side for side in found}
        self._options = options
        self._renew = renew

    def __call__(self, commit: Commit, tip: Oid, made: Sequence[LocalCommit] = ()) -> Beside:
        """The parents that ``commit`` gets on ``tip``, and what becomes of the commits beside it."""
        side = self._found.get(commit.oid)
        if side is None:
            return Beside(parents=(tip,))
        (side,) = moved_on([side], made)
        return beside(
            self._objects,
            self._history,
            commit,
            tip,
            side,
            self._options,
            renew=commit.oid in self._renew,
        )
