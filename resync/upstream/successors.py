"""Where a branch that is gone probably lives on: the refs that hold most of its newest commits."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

from resync.history import History, MentionIndex, PatchIndex
from resync.model import Oid, RefName, Successor
from resync.repository import Repository
from resync.repository.repo import BRANCHES, TAGS

_NEWEST = 200
"""So many of the old branch's commits are looked for elsewhere; older ones every branch has."""

_BY_CONTENT = 5
"""So many refs at most are searched for the same patches, which takes long: those that hold most without."""

_SHOWN = 3


def successors(
    repository: Repository, history: History, old_tip: Oid, advertised: Mapping[RefName, Oid]
) -> tuple[Successor, ...]:
    """The refs of the remote that hold at least half of the newest commits below ``old_tip``, most first.

    A commit is held where the ref reaches it, or one of its Change-Id, or one with its patch. Of refs that
    hold as many, one at the old tip itself comes first (the branch was renamed), then branches, then tags.
    """
    objects = repository.objects
    newest = _newest(history, old_tip)
    found: list[tuple[int, RefName, Oid, set[Oid]]] = []
    for name, oid in advertised.items():
        if not name.startswith((BRANCHES, TAGS)) or oid not in objects:
            continue
        tip = objects.peel(oid)
        if objects.is_commit(tip):
            missing = newest & history.reachable([old_tip], [tip], ignore_cut=True)
            arrived = sorted(history.reachable([tip], [old_tip], ignore_cut=True)) if missing else []
            changes = MentionIndex(objects, arrived)
            missing = {each for each in missing if changes.same_change(objects.commit(each)) is None}
            found.append((len(missing), name, tip, missing))
    found.sort(key=lambda each: each[:2])
    likely = []
    for _, name, tip, missing in found[:_BY_CONTENT]:
        if missing:
            patches = PatchIndex(objects, sorted(history.reachable([tip], [old_tip], ignore_cut=True)))
            missing = {each for each in missing if patches.find(each) is None}
        held = len(newest) - len(missing)
        if held * 2 >= len(newest):
            likely.append(Successor(ref=name, oid=tip, held=held, of=len(newest)))
    likely.sort(key=lambda each: (-each.held, each.oid != old_tip, each.ref))
    return tuple(likely[:_SHOWN])


def _newest(history: History, tip: Oid) -> set[Oid]:
    """The newest commits below a tip by date, merges left out."""
    found: set[Oid] = set()
    seen = {tip}
    waiting = [(-history.date(tip), tip)]
    while waiting and len(found) < _NEWEST:
        _, oid = heappop(waiting)
        parents = history.parents(oid)
        if len(parents) < 2:
            found.add(oid)
        for parent in parents:
            if parent not in seen:
                seen.add(parent)
                heappush(waiting, (-history.date(parent), parent))
    return found
