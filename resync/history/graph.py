"""Exact questions about the commit graph: ancestors, merge bases, ranges, orders.

Every walk goes from newer to older commits by committer date, because that is usually also the order
of the graph, but no answer rests on a date. What lets a walk stop early and still be exact is that the
graph has no circles: *if x reaches s, then nothing at or below s reaches x*. So a walk that asks "do
the unread commits reach any of these targets?" may stop as soon as every target reaches every commit
at which reading would go on. Dates that are equal, random or turned round only make it stop later.

The same rule answers for histories that are cut: the parents that a shallow commit hides are unread
for good, and where the rule does not settle them the answer is ``HistoryCut``, not a guess.

Within, commits are numbers (see ``numbered``), and ``walk`` goes from one to the next; sets of them that are
given out are ``Commits``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet

from resync.errors import Refused
from resync.history.commit_graph import CommitGraph
from resync.history.numbered import UNREAD, Commits, Links, Numbered
from resync.history.walk import Ranges, Test, Walk, anything, only
from resync.model import Oid
from resync.repository.objects import COMMIT, Objects

# Colours are bits: who reaches a commit.
_LEFT, _RIGHT = 1, 2
_BOTH = _LEFT | _RIGHT

_HEAD = re.compile(rb"tree [0-9a-f]+\n((?:parent (?:[0-9a-f]{40}|[0-9a-f]{64})\n)*)(?!parent)")
_DATE = re.compile(rb"^committer [^\n]*> *([0-9]{1,18})\b", re.MULTILINE)


class HistoryCut(Refused):
    """The answer depends on commits that this shallow clone does not have."""

    def __init__(self, *hints: str) -> None:
        super().__init__(
            "shallow-history",
            "This clone is shallow, and the answer depends on commits that it does not have."
            " Nothing was changed.",
            *(hints or ("git fetch --unshallow",)),
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
        self.table = Numbered(self._read_object, None if shallow or grafts else commit_graph)
        self.cuts = frozenset(map(self.table.number, shallow))

    def parents(self, oid: Oid) -> tuple[Oid, ...]:
        """The parents of ``oid`` in order: those that a graft gives, none for a shallow commit."""
        return tuple(map(self.table.oid, self.table.parents(self.table.number(oid))))

    def date(self, oid: Oid) -> int:
        """The committer date of ``oid`` in seconds since the epoch, 0 where it makes no sense."""
        number = self.table.number(oid)
        if self.table.first[number] == UNREAD:
            self.table.read(number)
        return self.table.dates[number]

    def is_ancestor(self, ancestor: Oid, descendant: Oid) -> bool:
        """Whether ``descendant`` reaches ``ancestor``; a commit reaches itself.

        Raises ``HistoryCut`` where only commits that a shallow clone hides could tell.
        """
        if ancestor == descendant:
            return True
        walk, target = Walk(self.table), self.table.number(ancestor)
        walk.paint(self.table.number(descendant), _RIGHT)
        walk.paint(target, _LEFT)
        # What the target reaches does not reach the target.
        unsettled = only(_RIGHT, _LEFT)
        walk.run(unsettled, goal=target)
        if walk.colours[target] & _RIGHT:
            return True
        self._check_cut(walk, unsettled)
        return False

    def merge_bases(self, a: Oid, b: Oid) -> tuple[Oid, ...]:
        """All best common ancestors of two commits, sorted by id: none is an ancestor of another.

        Raises ``HistoryCut`` where commits that a shallow clone hides might be, or might join the two.
        """
        if a == b:
            return (a,)
        walk = Walk(self.table)
        walk.paint(self.table.number(a), _LEFT)
        walk.paint(self.table.number(b), _RIGHT)
        walk.run(_not_common)
        self._check_cut(walk, _not_common)
        # A best common ancestor that was not read would be below a commit that is common: not the best.
        common = {number for number, colours in walk.colours.items() if not _not_common(colours)}
        below = {parent for number in common for parent in self.table.parents(number)}
        return self.independent(map(self.table.oid, common - below))

    def independent(self, oids: Iterable[Oid]) -> tuple[Oid, ...]:
        """Those of ``oids`` that none of the others reaches, each once, sorted by id.

        Raises ``HistoryCut`` as ``is_ancestor`` does.
        """
        bits = {oid: 1 << place for place, oid in enumerate(sorted(set(oids)))}
        complete = (1 << len(bits)) - 1
        walk = Walk(self.table)
        for oid, bit in bits.items():
            walk.paint(self.table.number(oid), bit)
        walk.run(lambda colours: colours != complete)
        alone = {oid: bit for oid, bit in bits.items() if walk.colours[self.table.number(oid)] == bit}
        # One that another reaches already is asked about no more.
        asked = sum(alone.values())
        self._check_cut(walk, lambda colours: colours & asked != asked)
        return tuple(oid for oid, bit in alone.items() if walk.colours[self.table.number(oid)] == bit)

    def reachable(
        self, include: Iterable[Oid], exclude: Iterable[Oid] = (), *, ignore_cut: bool = False
    ) -> Commits:
        """The commits that some of ``include`` reach and none of ``exclude`` (git's ``^``) does.

        Exact whatever the dates say (see the top of this module). A recent fork costs a walk to the
        fork and little more, except where what is found ends in a root commit: then only reading all
        of the excluded side shows that it does not contain that root.

        Raises ``HistoryCut`` where a shallow clone hides commits that belong to the answer or could
        exclude a part of it; with ``ignore_cut`` the answer is the one of the history that is here.
        """
        (found,), (sure,) = self._ranges([(include, exclude)], thorough=not ignore_cut)
        if not sure and not ignore_cut:
            raise HistoryCut
        return found

    def ranges(self, *pairs: tuple[Collection[Oid], Collection[Oid]]) -> list[Commits | None]:
        """What ``reachable`` says of several pairs of tips, for the price of little more than one; None where
        it would raise ``HistoryCut``.
        """
        found, sure = self._ranges(pairs, thorough=True)
        return [each if known else None for each, known in zip(found, sure, strict=True)]

    def _ranges(
        self, pairs: Iterable[tuple[Iterable[Oid], Iterable[Oid]]], *, thorough: bool
    ) -> tuple[list[Commits], list[bool]]:
        """What each pair comes to as far as commits are here, and whether no cut could change it."""
        numbered = [(self._numbers(include), self._numbers(exclude)) for include, exclude in pairs]
        found, sure = Ranges(self.table, self.cuts, numbered).walk(to_the_end=False)
        if thorough and not all(sure):
            # A cut was met. What says whose it is may lie in commits at which there was no need to look yet.
            found, sure = Ranges(self.table, self.cuts, numbered).walk(to_the_end=True)
        return [Commits(self.table, each) for each in found], sure

    def _numbers(self, oids: Iterable[Oid]) -> frozenset[int]:
        return frozenset(oids.numbers if isinstance(oids, Commits) else map(self.table.number, oids))

    def surely(self, include: Iterable[Oid], exclude: Iterable[Oid]) -> Commits:
        """The commits here that some of ``include`` reach and none of ``exclude`` does, whatever a cut hides.

        What is hidden lies below the shallow commits that ``exclude`` reaches. A commit that reaches all of
        these is not among it.
        """
        include, exclude = tuple(include), tuple(exclude)
        found = self.reachable(include, exclude, ignore_cut=True)
        cuts = self.cuts & self.reachable(exclude, ignore_cut=True).numbers if self.cuts else frozenset()
        if not cuts or not found:
            return found
        above: dict[int, frozenset[int]] = {}
        for number in self._ordered(self.reachable(include, ignore_cut=True).numbers):
            above[number] = (cuts & {number}).union(*(above[each] for each in self.table.parents(number)))
        return Commits(self.table, {number for number in found.numbers if above[number] == cuts})

    def above(self, commits: Commits, targets: AbstractSet[Oid]) -> Commits:
        """Those of ``commits`` that are among ``targets`` or reach one by way of ``commits``."""
        aims = self._numbers(targets)
        found: set[int] = set()
        for number in self._ordered(commits.numbers):
            if number in aims or not found.isdisjoint(self.table.parents(number)):
                found.add(number)
        return Commits(self.table, found)

    def topological(self, commits: Collection[Oid]) -> list[Oid]:
        """``commits`` with parents before children, and each line of development in one piece.

        That is ``git rev-list --topo-order --reverse``: from the tips (those with the newer date are
        named later; ids decide between equal ones) each commit follows all of its children in the
        set, and the last parent of a merge comes before the first. Only direct parents count, so
        order a whole range first and leave commits out afterwards.
        """
        return list(map(self.table.oid, self._ordered(self._numbers(commits))))

    def _ordered(self, wanted: AbstractSet[int]) -> list[int]:
        """What ``topological`` says, of numbers."""
        table = self.table
        parents = {number: table.parents(number) for number in wanted}
        children = dict.fromkeys(wanted, 0)
        for each in parents.values():
            for parent in each:
                if parent in wanted:
                    children[parent] += 1
        ready = [number for number, count in children.items() if not count]
        ready.sort(key=lambda number: (table.dates[number], table.oid(number)))
        newest_first = []
        while ready:
            number = ready.pop()
            newest_first.append(number)
            for parent in parents[number]:
                if parent in wanted:
                    children[parent] -= 1
                    if not children[parent]:
                        ready.append(parent)
        newest_first.reverse()
        return newest_first

    def _check_cut(self, walk: Walk, unsettled: Test) -> None:
        """Refuse if a shallow commit was met at which the walk would have had to go on."""
        if walk.meets(self.cuts, unsettled):
            # Perhaps it was met too early: what settles it may come from commits that are still to be read.
            walk.run(anything)
            if walk.meets(self.cuts, unsettled):
                raise HistoryCut

    def _read_object(self, oid: Oid) -> Links:
        kind, raw = self._objects.raw(oid)
        if kind != COMMIT:
            raise Refused("missing-object", f"Object {oid.decode()} is not a commit. Nothing was changed.")
        parents, date = parse_links(oid, raw)
        if oid in self._shallow:
            parents = ()
        elif oid in self._grafts:
            parents = self._grafts[oid]
        return parents, date


def _not_common(colours: int) -> bool:
    return colours & _BOTH != _BOTH


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
