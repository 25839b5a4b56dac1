"""Exact questions about the commit graph: ancestors, merge bases, ranges, orders.

Every walk goes from newer to older commits by committer date, because that is usually also the order
of the graph, but no answer rests on a date. What lets a walk stop early and still be exact is that the
graph has no circles: *if x reaches s, then nothing at or below s reaches x*. So a walk that asks "do
the unread commits reach any of these targets?" may stop as soon as every target reaches every commit
at which reading would go on. Dates that are equal, random or turned round only make it stop later.

The same rule answers for histories that are cut: the parents that a shallow commit hides are unread
for good, and where the rule does not settle them the answer is ``HistoryCut``, not a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import TypeAlias

from resync.errors import Refused
from resync.history.commit_graph import CommitGraph
from resync.model import Oid
from resync.repository.objects import COMMIT, Objects

# Colours are bits: who reaches a commit.
_LEFT, _RIGHT = 1, 2
_BOTH = _LEFT | _RIGHT

_HEAD = re.compile(rb"tree [0-9a-f]+\n((?:parent (?:[0-9a-f]{40}|[0-9a-f]{64})\n)*)(?!parent)")
_DATE = re.compile(rb"^committer [^\n]*> *([0-9]{1,18})\b", re.MULTILINE)

_Test: TypeAlias = Callable[[int], bool]
"""Whether, going by its colours, a walk has to go on at a commit."""

_Node: TypeAlias = tuple[int, Oid, tuple[Oid, ...]]
"""A commit in a walk: its date negated, so that a heap has the newest first, its id and its parents."""

_MANY_TARGETS = 2_048
"""With more targets than this a walk goes to the roots instead of carrying so many bits about."""


class HistoryCut(Refused):
    """The answer depends on commits that this shallow clone does not have."""

    def __init__(self, hint: str = "git fetch --unshallow") -> None:
        super().__init__(
            "shallow-history",
            "This clone is shallow, and the answer depends on commits that it does not have."
            " Nothing was changed.",
            hint,
        )


class History:
    """The commit graph of one repository, read as far as questions need it.

    ``shallow`` are the commits whose parents the clone does not have; ``grafts`` gives other parents to
    commits (from ``info/grafts`` or replace refs). A ``commit_graph`` saves reading what it has.
    Parents and dates are cached, commits are not. Every method raises ``Refused`` for a commit that is
    missing, is no commit or is damaged.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        shallow: frozenset[Oid] = frozenset(),
        grafts: Mapping[Oid, tuple[Oid, ...]] | None = None,
        commit_graph: CommitGraph | None = None,
    ) -> None:
        self._objects = objects
        self._shallow = shallow
        self._grafts = grafts or {}
        # Git, too, does without the file where parents are not what the commits themselves say.
        self._commit_graph = None if shallow or grafts else commit_graph
        self.nodes: dict[Oid, _Node] = {}

    def parents(self, oid: Oid) -> tuple[Oid, ...]:
        """The parents of ``oid`` in order: those that a graft gives, none for a shallow commit."""
        return (self.nodes.get(oid) or self.read(oid))[2]

    def date(self, oid: Oid) -> int:
        """The committer date of ``oid`` in seconds since the epoch, 0 where it makes no sense."""
        return -(self.nodes.get(oid) or self.read(oid))[0]

    def is_ancestor(self, ancestor: Oid, descendant: Oid) -> bool:
        """Whether ``descendant`` reaches ``ancestor``; a commit reaches itself.

        Raises ``HistoryCut`` where only commits that a shallow clone hides could tell.
        """
        return ancestor == descendant or self._reached(ancestor, [descendant])

    def merge_bases(self, a: Oid, b: Oid) -> tuple[Oid, ...]:
        """All best common ancestors of two commits, sorted by id: none is an ancestor of another.

        Raises ``HistoryCut`` where commits that a shallow clone hides might be, or might join the two.
        """
        if a == b:
            return (a,)
        walk = _Walk(self)
        walk.paint(a, _LEFT)
        walk.paint(b, _RIGHT)
        walk.run(_not_common)
        self._check_cut(walk, _not_common)
        # A best common ancestor that was not read would be below a commit that is common: not the best.
        common = {oid for oid, colours in walk.colours.items() if not _not_common(colours)}
        below = {parent for oid in common for parent in self.parents(oid)}
        return self.independent(common - below)

    def independent(self, oids: Iterable[Oid]) -> tuple[Oid, ...]:
        """Those of ``oids`` that none of the others reaches, each once, sorted by id.

        Raises ``HistoryCut`` as ``is_ancestor`` does.
        """
        bits = {oid: 1 << number for number, oid in enumerate(sorted(set(oids)))}
        complete = (1 << len(bits)) - 1
        walk = _Walk(self)
        for oid, bit in bits.items():
            walk.paint(oid, bit)
        walk.run(lambda colours: colours != complete)
        colours = walk.colours
        # One that another reaches already is asked about no more.
        asked = sum(bit for oid, bit in bits.items() if colours[oid] == bit)
        self._check_cut(walk, lambda colours: colours & asked != asked)
        return tuple(oid for oid, bit in bits.items() if colours[oid] == bit)

    def reachable(
        self, include: Iterable[Oid], exclude: Iterable[Oid] = (), *, ignore_cut: bool = False
    ) -> set[Oid]:
        """The commits that some of ``include`` reach and none of ``exclude`` (git's ``^``) does.

        Exact whatever the dates say (see the top of this module). A recent fork costs a walk to the
        fork and little more, except where what is found ends in a root commit: then only reading all
        of the excluded side shows that it does not contain that root.

        Raises ``HistoryCut`` where a shallow clone hides commits that belong to the answer or could
        exclude a part of it; with ``ignore_cut`` the answer is the one of the history that is here.
        """
        (found,), (sure,) = self._ranges([(tuple(include), tuple(exclude))], thorough=not ignore_cut)
        if not sure and not ignore_cut:
            raise HistoryCut
        return found

    def ranges(self, *pairs: tuple[Collection[Oid], Collection[Oid]]) -> list[set[Oid] | None]:
        """What ``reachable`` says of several pairs of tips, for the price of little more than one; None where
        it would raise ``HistoryCut``.
        """
        found, sure = self._ranges(pairs, thorough=True)
        return [each if known else None for each, known in zip(found, sure, strict=True)]

    def _ranges(
        self, pairs: Sequence[tuple[Collection[Oid], Collection[Oid]]], *, thorough: bool
    ) -> tuple[list[set[Oid]], list[bool]]:
        """What each pair comes to as far as commits are here, and whether no cut could change it."""
        found, sure = _Ranges(self, pairs).walk(to_the_end=False)
        if thorough and not all(sure):
            # A cut was met. What says whose it is may lie in commits at which there was no need to look yet.
            found, sure = _Ranges(self, pairs).walk(to_the_end=True)
        return found, sure

    def surely(self, include: Iterable[Oid], exclude: Iterable[Oid]) -> set[Oid]:
        """The commits here that some of ``include`` reach and none of ``exclude`` does, whatever a cut hides.

        What is hidden lies below the shallow commits that ``exclude`` reaches. A commit that reaches all of
        these is not among it.
        """
        include, exclude = tuple(include), tuple(exclude)
        found = self.reachable(include, exclude, ignore_cut=True)
        cuts = self._shallow & self.reachable(exclude, ignore_cut=True) if self._shallow else frozenset()
        if not cuts or not found:
            return found
        above: dict[Oid, frozenset[Oid]] = {}
        for oid in self.topological(self.reachable(include, ignore_cut=True)):
            above[oid] = (cuts & {oid}).union(*(above[parent] for parent in self.parents(oid)))
        return {oid for oid in found if above[oid] == cuts}

    def topological(self, commits: Collection[Oid]) -> list[Oid]:
        """``commits`` with parents before children, and each line of development in one piece.

        That is ``git rev-list --topo-order --reverse``: from the tips (those with the newer date are
        named later; ids decide between equal ones) each commit follows all of its children in the
        set, and the last parent of a merge comes before the first. Only direct parents count, so
        order a whole range first and leave commits out afterwards.
        """
        wanted = set(commits)
        nodes, read = self.nodes, self.read
        children = dict.fromkeys(wanted, 0)
        for oid in wanted:
            for parent in (nodes.get(oid) or read(oid))[2]:
                if parent in wanted:
                    children[parent] += 1
        ready = [oid for oid, count in children.items() if not count]
        ready.sort(key=lambda oid: (self.date(oid), oid))
        newest_first = []
        while ready:
            oid = ready.pop()
            newest_first.append(oid)
            for parent in nodes[oid][2]:
                if parent in wanted:
                    children[parent] -= 1
                    if not children[parent]:
                        ready.append(parent)
        newest_first.reverse()
        return newest_first

    def _reached(self, target: Oid, starts: Iterable[Oid]) -> bool:
        """Whether one of ``starts``, which are other commits, reaches ``target``."""
        walk = _Walk(self)
        for oid in starts:
            walk.paint(oid, _RIGHT)
        walk.paint(target, _LEFT)
        # What the target reaches does not reach the target.
        unsettled = _only(_RIGHT, _LEFT)
        walk.run(unsettled, goal=target)
        if walk.colours[target] & _RIGHT:
            return True
        self._check_cut(walk, unsettled)
        return False

    def _check_cut(self, walk: _Walk, unsettled: _Test) -> None:
        """Refuse if a shallow commit was met at which the walk would have had to go on."""
        if self.is_cut(walk, unsettled):
            # Perhaps it was met too early: what settles it may come from commits that are still to be read.
            walk.run(_any)
            if self.is_cut(walk, unsettled):
                raise HistoryCut

    def is_cut(self, walk: _Walk, unsettled: _Test) -> bool:
        """Whether the walk met a shallow commit at which it would have to go on."""
        return any(oid in walk.colours and unsettled(walk.colours[oid]) for oid in self._shallow)

    def read(self, oid: Oid) -> _Node:
        """Read what walks need of ``oid`` into ``nodes``."""
        links = self._commit_graph.links(oid) if self._commit_graph else None
        parents, date = links or self._read_object(oid)
        node = self.nodes[oid] = (-date, oid, parents)
        return node

    def _read_object(self, oid: Oid) -> tuple[tuple[Oid, ...], int]:
        kind, raw = self._objects.raw(oid)
        if kind != COMMIT:
            raise Refused("missing-object", f"Object {oid.decode()} is not a commit. Nothing was changed.")
        parents, date = parse_links(oid, raw)
        if oid in self._shallow:
            parents = ()
        elif oid in self._grafts:
            parents = self._grafts[oid]
        return parents, date


class _Walk:
    """A walk down the graph that paints what it meets, newest first.

    A commit hands its colours to its parents when it is read, and again when it is given more of them.
    """

    def __init__(self, history: History) -> None:
        self.colours: dict[Oid, int] = {}
        self._history = history
        self._queue: list[_Node] = []
        self._queued: set[Oid] = set()

    def paint(self, oid: Oid, colour: int) -> None:
        """Give ``oid`` a colour, and queue it so that its ancestors get it too."""
        self.colours[oid] = self.colours.get(oid, 0) | colour
        if oid not in self._queued:
            self._queued.add(oid)
            heappush(self._queue, self._history.nodes.get(oid) or self._history.read(oid))

    def run(self, unsettled: _Test, goal: Oid | None = None) -> None:
        """Walk until no queued commit is ``unsettled`` by its colours, or ``goal`` is right's too."""
        colours, queue, queued = self.colours, self._queue, self._queued
        nodes, read = self._history.nodes, self._history.read
        is_open = _Memory(unsettled)
        open_ends = sum(is_open[colours[oid]] for oid in queued)
        while open_ends:
            _, oid, parents = heappop(queue)
            queued.remove(oid)
            mine = colours[oid]
            open_ends -= is_open[mine]
            for parent in parents:
                before = colours.get(parent, 0)
                after = before | mine
                if after == before:
                    continue
                colours[parent] = after
                if before and parent in queued:
                    open_ends += is_open[after] - is_open[before]
                else:
                    heappush(queue, nodes.get(parent) or read(parent))
                    queued.add(parent)
                    open_ends += is_open[after]
            if goal is not None and colours[goal] & _RIGHT:
                return


class _Ranges:
    """One walk for several ranges of commits: what the one collection of tips reaches, the other does not."""

    def __init__(self, history: History, pairs: Sequence[tuple[Collection[Oid], Collection[Oid]]]) -> None:
        self._history = history
        self._walk = _Walk(history)
        # The same tips have one colour in all pairs.
        sides = [(frozenset(left), frozenset(right)) for left, right in pairs]
        colours = {side: 1 << number for number, side in enumerate({each for pair in sides for each in pair})}
        for side, colour in colours.items():
            for oid in side:
                self._walk.paint(oid, colour)
        self._pairs = [(colours[left], colours[right]) for left, right in sides]
        self._free = len(colours)

    def walk(self, *, to_the_end: bool) -> tuple[list[set[Oid]], list[bool]]:
        """The commits of each range, and whether no cut could change that; all that can be reached is read,
        or as little as will do."""
        walk, pairs = self._walk, self._pairs
        walk.run(_any if to_the_end else self._included)
        found = [self._found(left, right) for left, right in pairs]
        # Whatever else an unread commit excludes, it excludes one of the lowest commits found, too.
        nodes = self._history.nodes
        lowest = [[oid for oid in each if each.isdisjoint(nodes[oid][2])] for each in found]
        tests = [self._aim(right, targets) for (_, right), targets in zip(pairs, lowest, strict=True)]
        walk.run(_any if to_the_end else lambda colours: any(test(colours) for test in tests))
        colours, is_cut = walk.colours, self._history.is_cut
        sure = []
        for number, (left, right) in enumerate(pairs):
            sure.append(not (is_cut(walk, _only(left, right)) or is_cut(walk, tests[number])))
            if any(colours[oid] & right for oid in lowest[number]):
                found[number] = {oid for oid in found[number] if not colours[oid] & right}
        return found, sure

    def _included(self, colours: int) -> bool:
        return any(colours & left and not colours & right for left, right in self._pairs)

    def _found(self, left: int, right: int) -> set[Oid]:
        # Written out, not with _only: a range may be the whole of a long history.
        both = left | right
        if left == right:
            return set()
        return {oid for oid, colours in self._walk.colours.items() if colours & both == left}

    def _aim(self, right: int, targets: Collection[Oid]) -> _Test:
        """Give each target a colour of its own; return the test for what on the right could still reach one.

        A commit could if the right side reaches it and not every target does.
        """
        if len(targets) > _MANY_TARGETS:
            return lambda colours: colours & right != 0
        complete = 0
        for oid in targets:
            self._walk.paint(oid, 1 << self._free)
            complete |= 1 << self._free
            self._free += 1
        return lambda colours: colours & right != 0 and colours & complete != complete


class _Memory(dict[int, bool]):
    """Answers of a test: a walk asks about a few combinations of colours a million times."""

    def __init__(self, test: _Test) -> None:
        self._test = test

    def __missing__(self, colours: int) -> bool:
        answer = self[colours] = self._test(colours)
        return answer


def _any(colours: int) -> bool:
    return True


def _not_common(colours: int) -> bool:
    return colours & _BOTH != _BOTH


def _only(left: int, right: int) -> _Test:
    return lambda colours: colours & left != 0 and not colours & right


def parse_links(oid: Oid, raw: bytes) -> tuple[tuple[Oid, ...], int]:
    """The parents and the committer date (seconds; 0 if unreadable) in the raw bytes of a commit.

    Raises ``Refused`` where the parents cannot be read.
    """
    head = _HEAD.match(raw)
    if head is None:
        raise Refused(
            "damaged-object",
            f"Commit {oid.decode()} cannot be read; the repository is damaged. Nothing was changed.",
            "git fsck",
        )
    parents = tuple(Oid(line[7:]) for line in head[1].splitlines())
    date = _DATE.search(raw, head.end())
    return parents, int(date[1]) if date else 0
