"""Walks down the commit graph, newest first, that paint what they meet: who reaches which commit.

What may be concluded from a walk that stops early is said in ``graph``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from heapq import heappop, heappush
from typing import TypeAlias

from resync.history.commit_graph import NO_PARENT
from resync.history.numbered import UNREAD, Numbered

Test: TypeAlias = Callable[[int], bool]
"""Whether, going by its colours (bits), a walk has to go on at a commit."""

_MANY_TARGETS = 2_048
"""With more targets than this a walk goes to the roots instead of carrying so many bits about."""


class Walk:
    """A walk down the graph that paints what it meets, newest first.

    A commit hands its colours to its parents when it is read, and again when it is given more of them.
    """

    def __init__(self, table: Numbered) -> None:
        self.colours: dict[int, int] = {}
        self._table = table
        self._queue: list[tuple[int, int]] = []
        self._queued: set[int] = set()

    def paint(self, number: int, colour: int) -> None:
        """Give a commit a colour, and queue it so that its ancestors get it too."""
        self.colours[number] = self.colours.get(number, 0) | colour
        if number not in self._queued:
            self._push(number)

    def _push(self, number: int) -> None:
        if self._table.first[number] == UNREAD:
            self._table.read(number)
        self._queued.add(number)
        # Negated, so that the newest comes first.
        heappush(self._queue, (-self._table.dates[number], number))

    def run(self, unsettled: Test, goal: int | None = None) -> None:
        """Walk until no queued commit is ``unsettled`` by its colours, or ``goal`` got one more."""
        colours, queue, queued = self.colours, self._queue, self._queued
        table = self._table
        first, second, dates = table.first, table.second, table.dates
        is_open = _Memory(unsettled)
        open_ends = sum(is_open[colours[number]] for number in queued)
        while open_ends:
            _, number = heappop(queue)
            queued.remove(number)
            mine = colours[number]
            open_ends -= is_open[mine]
            # Down a line of commits that nobody has met, as long as each is the newest of all that wait.
            if open_ends or is_open[mine]:
                newest = -queue[0][0] if queue else 0
                while second[number] == NO_PARENT:
                    parent = first[number]
                    if parent == NO_PARENT or parent in colours or first[parent] == UNREAD:
                        break
                    if dates[parent] < newest:
                        break
                    colours[parent] = mine
                    number = parent
            for parent in table.parents(number):
                before = colours.get(parent, 0)
                after = before | mine
                if after == before:
                    continue
                colours[parent] = after
                if parent == goal:
                    return
                if parent in queued:
                    open_ends -= is_open[before]
                else:
                    self._push(parent)
                open_ends += is_open[after]

    def meets(self, cuts: Collection[int], unsettled: Test) -> bool:
        """Whether it met one of ``cuts`` at which it would have to go on."""
        return any(number in self.colours and unsettled(self.colours[number]) for number in cuts)


class Ranges:
    """One walk for several ranges of commits: what the one collection of tips reaches, the other does not."""

    def __init__(
        self,
        table: Numbered,
        cuts: Collection[int],
        pairs: Sequence[tuple[frozenset[int], frozenset[int]]],
    ) -> None:
        """``cuts`` are commits whose parents are not here; each of ``pairs`` is two collections of tips."""
        self._table = table
        self._cuts = cuts
        self._walk = Walk(table)
        # The same tips have one colour in all pairs.
        sides = {side for pair in pairs for side in pair}
        colours = {side: 1 << place for place, side in enumerate(sides)}
        for side, colour in colours.items():
            for number in side:
                self._walk.paint(number, colour)
        self._pairs = [(colours[left], colours[right]) for left, right in pairs]
        self._free = len(colours)

    def walk(self, *, to_the_end: bool) -> tuple[list[set[int]], list[bool]]:
        """The commits of each range, and whether no cut could change that; all that can be reached is read,
        or as little as will do."""
        walk, pairs = self._walk, self._pairs
        walk.run(anything if to_the_end else self._included)
        found = [self._found(left, right) for left, right in pairs]
        # Whatever else an unread commit excludes, it excludes one of the lowest commits found, too.
        lowest = [self._lowest(each) for each in found]
        tests = [self._aim(right, targets) for (_, right), targets in zip(pairs, lowest, strict=True)]
        walk.run(anything if to_the_end else lambda colours: any(test(colours) for test in tests))
        colours, cuts = walk.colours, self._cuts
        sure = []
        for place, (left, right) in enumerate(pairs):
            sure.append(not (walk.meets(cuts, only(left, right)) or walk.meets(cuts, tests[place])))
            if any(colours[number] & right for number in lowest[place]):
                found[place] = {number for number in found[place] if not colours[number] & right}
        return found, sure

    def _included(self, colours: int) -> bool:
        return any(colours & left and not colours & right for left, right in self._pairs)

    def _found(self, left: int, right: int) -> set[int]:
        # Written out, not with only: a range may be the whole of a long history.
        both = left | right
        if left == right:
            return set()
        return {number for number, colours in self._walk.colours.items() if colours & both == left}

    def _lowest(self, commits: set[int]) -> list[int]:
        """Those of ``commits`` of which no parent is among them."""
        table = self._table
        first, second = table.first, table.second
        return [
            number
            for number in commits
            if first[number] not in commits
            and (second[number] == NO_PARENT or commits.isdisjoint(table.parents(number)))
        ]

    def _aim(self, right: int, targets: Collection[int]) -> Test:
        """Give each target a colour of its own; return the test for what on the right could still reach one.

        A commit could if the right side reaches it and not every target does.
        """
        if len(targets) > _MANY_TARGETS:
            return lambda colours: colours & right != 0
        complete = 0
        for number in targets:
            self._walk.paint(number, 1 << self._free)
            complete |= 1 << self._free
            self._free += 1
        return lambda colours: colours & right != 0 and colours & complete != complete


class _Memory(dict[int, bool]):
    """Answers of a test: a walk asks about a few combinations of colours a million times."""

    def __init__(self, test: Test) -> None:
        self._test = test

    def __missing__(self, colours: int) -> bool:
        answer = self[colours] = self._test(colours)
        return answer


def anything(colours: int) -> bool:
    """The test with which a walk reads all that there is."""
    return True


def only(left: int, right: int) -> Test:
    """The test for commits that the left side reaches and the right one does not."""
    return lambda colours: colours & left != 0 and not colours & right
