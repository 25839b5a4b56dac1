"""The commits of a history by number: walks go over numbers, and ids are made only of what is asked for.

Commits that a commit-graph file has are numbered as there; those that are read from objects follow. What
walks need of a commit stands in rows of machine words, so that a hundred thousand commits cost neither an
object each nor an id each.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import TypeAlias

from resync.history.commit_graph import NO_PARENT, CommitGraph
from resync.model import Oid

UNREAD = 0xFFFFFFFF
"""For a first parent: the row has not been read yet."""

SEVERAL = 0x80000000
"""For a second parent: there are further ones, and all stand in ``further``."""

Links: TypeAlias = tuple[tuple[Oid, ...], int]
"""The parents of a commit and its date, in seconds since 1970."""

_SOME = 6
"""Once one in 2**6 of a commit-graph's rows was read by itself, the rest is read at once: that is cheaper."""


class Numbered:
    """What walks need of commits, by number.

    ``first`` and ``second`` are the numbers of the parents (``NO_PARENT``: there is none), ``dates`` the
    committer dates in seconds. The first ``in_graph`` rows are those of the commit-graph. A row whose first
    parent is ``UNREAD`` says nothing: ``read`` it first. ``read_object`` reads the links of a commit that no
    commit-graph has, and raises what it raises.
    """

    def __init__(self, read_object: Callable[[Oid], Links], graph: CommitGraph | None) -> None:
        self._read_object = read_object
        self._graph = graph
        self.in_graph = graph.count if graph is not None else 0
        self.first = array("I", [UNREAD]) * self.in_graph
        self.second = array("I", [NO_PARENT]) * self.in_graph
        self.dates = array("Q", [0]) * self.in_graph
        self.further: dict[int, tuple[int, ...]] = {}
        self._names: list[Oid] = []
        self._numbers: dict[Oid, int] = {}
        self.rows_read = 0
        self._filled = False

    def known(self, oid: Oid) -> int | None:
        """The number of a commit, None where it was not met and no commit-graph has it."""
        number = self._numbers.get(oid)
        if number is None and self._graph is not None:
            number = self._graph.find(oid)
            if number is not None:
                self._numbers[oid] = number
        return number

    def number(self, oid: Oid) -> int:
        """The number of a commit; one that is new here gets the next."""
        number = self.known(oid)
        if number is None:
            number = self._numbers[oid] = len(self.first)
            self._names.append(oid)
            self.first.append(UNREAD)
            self.second.append(NO_PARENT)
            self.dates.append(0)
        return number

    def oid(self, number: int) -> Oid:
        """The id of a commit."""
        if self._graph is None or number >= self.in_graph:
            return self._names[number - self.in_graph]
        name = self._graph.oid(number)
        self._numbers[name] = number
        return name

    def parents(self, number: int) -> tuple[int, ...]:
        """The numbers of a commit's parents, in order."""
        if self.first[number] == UNREAD:
            self.read(number)
        second = self.second[number]
        if second == NO_PARENT:
            first = self.first[number]
            return () if first == NO_PARENT else (first,)
        return self.further[number] if second == SEVERAL else (self.first[number], second)

    def read(self, number: int) -> None:
        """Fill the row of a commit; with it all rows of the commit-graph, where many were asked for."""
        self.rows_read += 1
        if self._graph is not None and number < self.in_graph:
            if not self._filled and self.rows_read > self.in_graph >> _SOME:
                self._filled = True
                self._graph.fill(self.first, self.second, self.dates)
            if self.first[number] != UNREAD:
                return
            row = self._graph.row(number)
            if row is not None:
                self._put(number, *row)
                return
        parents, date = self._read_object(self.oid(number))
        self._put(number, tuple(map(self.number, parents)), date)

    def _put(self, number: int, parents: tuple[int, ...], date: int) -> None:
        self.dates[number] = date
        self.second[number] = NO_PARENT if len(parents) < 2 else parents[1] if len(parents) == 2 else SEVERAL
        if len(parents) > 2:
            self.further[number] = parents
        self.first[number] = parents[0] if parents else NO_PARENT


class Commits(AbstractSet[Oid]):
    """A set of commits of one history, which never changes.

    It is kept as ``numbers``: an id is made where somebody looks at it, and together with others of the same
    history it costs none.
    """

    __slots__ = ("_table", "numbers")

    def __init__(self, table: Numbered, numbers: AbstractSet[int]) -> None:
        self._table = table
        self.numbers = numbers

    @classmethod
    def _from_iterable(cls, oids: Iterable[Oid]) -> frozenset[Oid]:  # type: ignore[override]
        return frozenset(oids)

    def __contains__(self, oid: object) -> bool:
        return isinstance(oid, bytes) and self._table.known(Oid(oid)) in self.numbers

    def __iter__(self) -> Iterator[Oid]:
        return map(self._table.oid, self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __sub__(self, other: AbstractSet[Oid]) -> Commits:
        return Commits(self._table, self.numbers - self._theirs(other))

    def __and__(self, other: AbstractSet[Oid]) -> Commits:
        return Commits(self._table, self.numbers & self._theirs(other))

    def isdisjoint(self, other: Iterable[Oid]) -> bool:
        """Whether no commit is in both."""
        return self.numbers.isdisjoint(self._theirs(other))

    def _theirs(self, other: Iterable[Oid]) -> AbstractSet[int]:
        if isinstance(other, Commits) and other._table is self._table:
            return other.numbers
        return {number for number in map(self._table.known, other) if number is not None}

    def parents(self) -> Commits:
        """All parents of these commits."""
        merges = self.merges().numbers
        first, parents = self._table.first, self._table.parents
        found = {first[number] for number in self.numbers}.union(*map(parents, merges))
        found.discard(NO_PARENT)
        return Commits(self._table, found)

    def merges(self) -> Commits:
        """Those of these commits that have several parents."""
        table = self._table
        first, second = table.first, table.second
        for number in self.numbers:
            if first[number] == UNREAD:
                table.read(number)
        return Commits(table, {number for number in self.numbers if second[number] != NO_PARENT})
