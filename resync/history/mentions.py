"""What messages say of how commits are related: a Change-Id that both have, or a cherry-pick that is named.

Gerrit gives all versions of a change, on whatever branch, the same ``Change-Id``; ``git cherry-pick -x``
names the commit that was picked. Either is a word and no proof: the patch may have become another on its way.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Protocol

from resync.history.message import change_id, cherry_picked_from
from resync.model import Commit, Oid

_PICKED = b"(cherry picked from commit "


class _Commits(Protocol):
    def commit(self, oid: Oid) -> Commit:
        """The commit ``oid``, parsed."""


class MentionIndex:
    """Finds, among upstream's commits, those that by the messages are versions of a given commit.

    Upstream's messages are read once, when the first question needs them, and their trailers parsed only
    where they hold what is asked for.
    """

    def __init__(self, objects: _Commits, upstream: Iterable[Oid]) -> None:
        """Of several commits that could be named, the first in the order of ``upstream`` is."""
        self._objects = objects
        self._upstream = tuple(upstream)

    def said_of(self, commit: Commit) -> str:
        """What upstream has of ``commit`` by the messages, for people; empty where they say nothing.

        A cherry-pick comes before a Change-Id, because it says more. Raises ``Refused`` where one of
        upstream's commits is missing or damaged.
        """
        if commit.oid in self._picks:
            return f"upstream cherry-picked it as {_short(self._picks[commit.oid])}"
        for original in reversed(_originals(commit)):
            if original in self._known:
                return f"it was cherry-picked from upstream's {_short(original)}"
            if original in self._picks:
                return f"upstream cherry-picked the same commit as {_short(self._picks[original])}"
        same = self.same_change(commit)
        return f"upstream has a commit of the same Change-Id, {_short(same)}" if same is not None else ""

    def same_change(self, commit: Commit) -> Oid | None:
        """Upstream's first commit with the Change-Id of ``commit``; None where there is none."""
        change = _change(commit)
        return self._changes.get(change) if change is not None else None

    @cached_property
    def _known(self) -> frozenset[Oid]:
        return frozenset(self._upstream)

    @cached_property
    def _picks(self) -> dict[Oid, Oid]:
        """Each commit that one of upstream's says it was picked from, with the latter."""
        found: dict[Oid, Oid] = {}
        for oid in self._upstream:
            for original in _originals(self._objects.commit(oid)):
                found.setdefault(original, oid)
        return found

    @cached_property
    def _changes(self) -> dict[bytes, Oid]:
        """Upstream's commits by Change-Id."""
        found: dict[bytes, Oid] = {}
        for oid in self._upstream:
            change = _change(self._objects.commit(oid))
            if change is not None:
                found.setdefault(change, oid)
        return found


def _originals(commit: Commit) -> tuple[Oid, ...]:
    # Parsing takes much longer than looking whether there is anything to parse.
    return cherry_picked_from(commit.message) if _PICKED in commit.message else ()


def _change(commit: Commit) -> bytes | None:
    return change_id(commit.message) if b"change-id" in commit.message.lower() else None


def _short(oid: Oid) -> str:
    return oid[:10].decode()
