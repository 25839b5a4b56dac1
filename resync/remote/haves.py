"""What is here already, told to the other side in a few words, so that a small update is a small transfer.

dulwich tells it all at once, without waiting for an answer in between. So what is told is chosen: the newest
tips, first of all those that the other side has just named itself (whatever is below them need not be told),
and down from each of the others commits at growing distances, as git's own skipping negotiation has it
(git-config(1), ``fetch.negotiationAlgorithm``).
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from resync.model import Oid
from resync.repository import Repository

_MOST = 256
"""More are never told; dulwich stops there, too, where it may."""

_MOST_READ = 50_000
"""As many commits are looked at, in what the other side has not named."""


class Haves:
    """The commits that are told, as dulwich's transports ask for them.

    dulwich's own walker (whose methods these are) takes ids of 40 digits only.
    """

    def __init__(self, repository: Repository) -> None:
        self.shallow = set(repository.shallow)
        self._objects = repository.objects
        self._tips = set(repository.advertised_heads())
        self._named: set[Oid] = set()
        self._told: list[Oid] | None = None

    def named(self, refs: Mapping[bytes, bytes]) -> None:
        """What the other side has, as far as it names it."""
        for value in set(refs.values()):
            oid = Oid(value)
            if oid in self._objects:
                peeled = self._objects.peel(oid)
                if self._objects.is_commit(peeled):
                    self._named.add(peeled)

    def __next__(self) -> Oid | None:
        if self._told is None:
            self._told = self._choose()[::-1]
        return self._told.pop() if self._told else None

    next = __next__

    def ack(self, oid: bytes) -> None:
        """The other side has this commit: all that is told is told by then."""

    def nak(self) -> None:
        """The other side found nothing in common."""

    def _choose(self) -> list[Oid]:
        """The commits to tell, newest first.

        What the other side named is told where nothing told before has it below; further down nothing is. The
        walk is over when only such commits wait.
        """
        told: list[Oid] = []
        common, below = set(self._named), set[Oid]()
        seen, unsettled = set[Oid](), set[Oid]()
        # A commit is told when its countdown is at 0; that of its parents then starts half as high again.
        queue: list[tuple[int, Oid, int, int]] = []

        def push(oid: Oid, countdown: int, start: int) -> None:
            if oid not in seen:
                seen.add(oid)
                if oid not in common:
                    unsettled.add(oid)
                heapq.heappush(queue, (-self._date(oid), oid, countdown, start))

        for tip in self._tips | self._named:
            push(tip, 0, 0)
        waiting = len(self._named)
        while queue and len(told) < _MOST and len(seen) < _MOST_READ and (unsettled or waiting):
            _, oid, countdown, start = heapq.heappop(queue)
            unsettled.discard(oid)
            waiting -= oid in self._named
            parents = () if oid in self.shallow else self._objects.commit(oid).parents
            if oid in common:
                if oid not in below:
                    told.append(oid)
                common.update(parents)
                below.update(parents)
                unsettled.difference_update(parents)
            elif countdown == 0:
                told.append(oid)
                countdown = start = start * 3 // 2 + 1
            for parent in parents:
                push(parent, countdown - 1, start)
        return told

    def _date(self, oid: Oid) -> int:
        """When it was committed, in seconds; 0 where it does not say."""
        words = self._objects.commit(oid).committer.rsplit(b" ", 2)
        return int(words[1]) if len(words) == 3 and words[1].isdigit() else 0
