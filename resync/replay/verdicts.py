"""What becomes of a commit, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from resync.history import change_id
from resync.model import Commit, CommitVerdict, LocalCommit, Oid, TreePath
from resync.replay.commits import changed_id
from resync.repository import Objects


def verdict_on(
    commit: Commit, verdict: CommitVerdict, reason: str, conflicts: tuple[TreePath, ...] = ()
) -> LocalCommit:
    """A commit with what becomes of it and why, for people."""
    return LocalCommit(
        oid=commit.oid,
        subject=commit.subject,
        author=commit.author,
        verdict=verdict,
        reason=reason,
        conflicts=conflicts,
        merge=len(commit.parents) > 1,
        change_id=change_id(commit.message),
    )


def known_as(objects: Objects, verdict: LocalCommit, new: Oid) -> LocalCommit:
    """A verdict with the commit that takes the old one's place, and the Change-Id that it has instead."""
    new_change_id = changed_id(verdict.change_id, objects.commit(new).message)
    return replace(verdict, new_oid=new, new_change_id=new_change_id)


def reached(objects: Objects, picks: Sequence[LocalCommit], end: Oid) -> Iterable[LocalCommit]:
    """The picks, those parked that no longer lead to the tip because the merge above them is."""
    made = {pick.new_oid for pick in picks if pick.new_oid is not None}
    reached: set[Oid] = set()
    waiting = [end]
    while waiting:
        oid = waiting.pop()
        if oid in made and oid not in reached:
            reached.add(oid)
            waiting += objects.commit(oid).parents
    for pick in picks:
        if pick.new_oid is None or pick.new_oid in reached:
            yield pick
        else:
            yield replace(
                pick, verdict="parked", new_oid=None, reason="it was merged by a merge that is parked"
            )
