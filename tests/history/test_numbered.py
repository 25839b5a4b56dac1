"""Sets of commits by number are sets of ids like any other."""

from __future__ import annotations

import random
from collections.abc import Set as AbstractSet

import pytest

from resync.errors import Refused
from resync.history import Commits, History
from resync.model import Oid

from .graphs import random_graph
from .test_graph import in_memory, line


def test_as_sets_of_ids() -> None:
    for seed in range(100):
        chance = random.Random(seed)
        graph = random_graph(seed)
        objects, oids = in_memory(graph)
        history, stranger = History(objects), History(objects)
        closures = graph.closures()
        a, b = chance.choices(range(len(oids)), k=2)
        left, right = history.reachable([oids[a]]), history.reachable([oids[b]])
        mine, theirs = ({oids[number] for number in closures[tip]} for tip in (a, b))
        others: list[AbstractSet[Oid]] = [right, theirs, stranger.reachable([oids[b]])]
        for other in others:
            assert left == mine
            assert left - other == mine - theirs
            assert left & other == mine & theirs
            assert left | other == mine | theirs
            assert left.isdisjoint(other) == mine.isdisjoint(theirs)
            assert (left <= other) == (mine <= theirs)
        assert theirs - left == theirs - mine
        assert theirs & left == theirs & mine
        assert frozenset(left) == mine
        assert len(left) == len(mine)
        assert set(left.merges()) == {oid for oid in mine if len(history.parents(oid)) > 1}
        assert set(left.parents()) == {parent for oid in mine for parent in history.parents(oid)}
        within = history.reachable([oids[a]], [oids[b]])
        targets = set(chance.sample(oids, min(3, len(oids))))
        assert history.above(within, targets) == {
            oid for oid in within if not targets.isdisjoint(within & history.reachable([oid]))
        }


def test_a_commit_that_is_not_known_is_in_none() -> None:
    objects, oids = in_memory(line(3))
    history = History(objects)
    commits = history.reachable([oids[1]])
    assert oids[2] not in commits
    assert Oid(b"0" * 40) not in commits
    assert commits - {Oid(b"0" * 40)} == commits
    assert "text" not in commits


def test_rows_are_read_where_they_are_asked_for() -> None:
    objects, oids = in_memory(line(3))
    history = History(objects)
    table = history.table
    unread = Commits(table, {table.number(oids[2])})
    assert table.rows_read == 0
    assert unread.parents() == {oids[1]}
    assert not unread.merges()
    assert table.rows_read == 1
    missing = Commits(table, {table.number(Oid(b"0" * 40))})
    with pytest.raises(Refused, match="0000"):
        missing.parents()
