"""Ancestors, merge bases, ranges and orders: against git, against the definition, and cut short."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resync.errors import Refused
from resync.history import History, HistoryCut, read_commit_graph
from resync.model import Oid
from resync.repository.objects import Objects

from .graphs import Graph, compare, git, import_graphs, open_objects, random_graph


def in_memory(graph: Graph) -> tuple[Objects, list[Oid]]:
    """The graph as commits that exist in memory only."""
    from dulwich.object_store import MemoryObjectStore

    objects = Objects(MemoryObjectStore())
    tree = objects.add_tree({})
    oids: list[Oid] = []
    for number, (parents, date) in enumerate(zip(graph.parents, graph.dates, strict=True)):
        lines = [b"tree " + tree, *(b"parent " + oids[parent] for parent in parents)]
        lines += [b"%s T <t@example.org> %d +0000" % (who, date) for who in (b"author", b"committer")]
        oids.append(objects.add_commit(b"\n".join(lines) + b"\n\ncommit %d\n" % number))
    return objects, oids


def line(length: int, dates: Iterable[int] | None = None) -> Graph:
    """Commits in a row."""
    parents = ((), *((number,) for number in range(length - 1)))
    return Graph(parents, tuple(dates or range(1, length + 1)), "line")


def best_common(closures: list[set[int]], a: int, b: int) -> set[int]:
    """Merge bases by their definition."""
    common = closures[a] & closures[b]
    return {c for c in common if not any(c in closures[other] for other in common - {c})}


# --- the right answers ---------------------------------------------------------------------------


@pytest.mark.parametrize("with_commit_graph", [False, True])
def test_random_graphs_as_git(tmp_path: Path, with_commit_graph: bool) -> None:
    graphs = [random_graph(seed) for seed in range(75)]
    oids = import_graphs(tmp_path, graphs)
    commit_graph = None
    if with_commit_graph:
        # Not of all commits: a commit-graph file is often older than what is asked about.
        known = [oid for number, some in enumerate(oids) for oid in some[: len(some) - number % 3]]
        git(tmp_path, "commit-graph", "write", "--stdin-commits", data=b"\n".join(known))
        commit_graph = read_commit_graph(tmp_path / "objects")
        assert commit_graph is not None
    seen: Counter[str] = Counter()
    with open_objects(tmp_path) as objects:
        for seed, graph in enumerate(graphs):
            seen += compare(tmp_path, objects, graph, oids[seed], seed, commit_graph)
    assert min(seen[what] for what in ("ancestor", "not ancestor", "1 merge bases", "2 merge bases")) >= 5


@st.composite
def drawn_graphs(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(1, 14))
    parents = tuple(
        tuple(draw(st.sets(st.integers(0, number - 1), max_size=3))) if number else ()
        for number in range(size)
    )
    return Graph(parents, tuple(draw(st.integers(0, 6)) for _ in range(size)), "drawn")


@settings(max_examples=300, deadline=None)
@given(graph=drawn_graphs(), data=st.data())
def test_every_answer_by_its_definition(graph: Graph, data: st.DataObject) -> None:
    objects, oids = in_memory(graph)
    closures = graph.closures()
    numbers = st.integers(0, len(oids) - 1)
    a, b = data.draw(numbers), data.draw(numbers)
    several = data.draw(st.sets(numbers, max_size=4))
    name = dict(enumerate(oids))
    history = History(objects)
    assert history.is_ancestor(oids[a], oids[b]) == (a in closures[b])
    assert set(history.merge_bases(oids[a], oids[b])) == {name[c] for c in best_common(closures, a, b)}
    hidden = set().union(*(closures[other] for other in several))
    assert History(objects).reachable([oids[a], oids[b]], [name[other] for other in several]) == {
        name[c] for c in (closures[a] | closures[b]) - hidden
    }
    kept = {c for c in several if not any(c in closures[other] for other in several - {c})}
    assert set(history.independent(name[c] for c in several)) == {name[c] for c in kept}


def test_a_clock_that_went_back() -> None:
    # The smallest case that a walk by dates alone gets wrong: 1000 <- 900 <- 1100.
    objects, oids = in_memory(line(3, (1000, 900, 1100)))
    history = History(objects)
    assert history.is_ancestor(oids[0], oids[2])
    assert not history.is_ancestor(oids[2], oids[0])
    assert history.reachable([oids[2]], [oids[0]]) == set(oids[1:])
    assert history.reachable([oids[0]], [oids[2]]) == set()


def test_more_targets_than_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resync.history.walk._MANY_TARGETS", 1)
    for seed in range(200):
        graph = random_graph(seed)
        objects, oids = in_memory(graph)
        closures = graph.closures()
        a, b = random.Random(seed).choices(range(len(oids)), k=2)
        found = History(objects).reachable([oids[a]], [oids[b]])
        assert found == {oids[c] for c in closures[a] - closures[b]}


def test_grafts_give_other_parents() -> None:
    objects, oids = in_memory(line(6))
    history = History(objects, grafts={oids[4]: (oids[1],), oids[2]: ()})
    assert history.parents(oids[4]) == (oids[1],)
    assert not history.is_ancestor(oids[2], oids[5])
    assert history.reachable([oids[5]]) == {oids[number] for number in (5, 4, 1, 0)}
    assert history.merge_bases(oids[5], oids[3]) == ()


def test_order_of_several_tips_is_by_date_then_id() -> None:
    objects, oids = in_memory(Graph(((), (0,), (0,), (0,)), (1, 5, 9, 5), "fan"))
    history = History(objects)
    same = sorted((oids[1], oids[3]))
    assert history.topological(set(oids)) == [oids[0], *same, oids[2]]
    assert history.topological([]) == []


# --- and soon ------------------------------------------------------------------------------------


def test_a_recent_fork_does_not_read_the_whole_history() -> None:
    length = 5_000
    trunk = line(length)
    fork = length - 100
    side = tuple((fork if number == 0 else length + number - 1,) for number in range(50))
    objects, oids = in_memory(
        Graph(trunk.parents + side, trunk.dates + trunk.dates[fork + 1 : fork + 51], "")
    )
    history = History(objects)
    assert len(history.reachable([oids[-1]], [oids[length - 1]])) == 50
    assert len(history.reachable([oids[length - 1]], [oids[-1]])) == length - 1 - fork
    assert history.merge_bases(oids[-1], oids[length - 1]) == (oids[fork],)
    assert not history.is_ancestor(oids[-1], oids[length - 1])
    assert history.table.rows_read < 200


# --- histories that are cut ----------------------------------------------------------------------


QUESTIONS: dict[str, Callable[[History, Oid, Oid], object]] = {
    "is_ancestor": lambda history, a, b: history.is_ancestor(a, b),
    "merge_bases": lambda history, a, b: history.merge_bases(a, b),
    "independent": lambda history, a, b: history.independent([a, b]),
    "reachable": lambda history, a, b: history.reachable([a], [b]),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_cut_history_never_gives_a_wrong_answer(question: str) -> None:
    ask = QUESTIONS[question]
    told: Counter[str] = Counter()
    for seed in range(600):
        chance = random.Random(seed)
        graph = random_graph(seed)
        objects, oids = in_memory(graph)
        shallow = frozenset(chance.sample(oids, chance.randint(1, max(1, len(oids) // 4))))
        a, b = chance.choices(oids, k=2)
        truth = ask(History(objects), a, b)
        try:
            assert ask(History(objects, shallow=shallow), a, b) == truth
            told["answered"] += 1
        except HistoryCut:
            told["unknown"] += 1
    assert min(told["answered"], told["unknown"]) > 50


def test_several_ranges_in_one_walk_are_what_each_is() -> None:
    for seed in range(400):
        chance = random.Random(seed)
        objects, oids = in_memory(random_graph(seed))
        cut = chance.sample(oids, chance.randint(1, max(1, len(oids) // 4))) if seed % 2 else []
        history = History(objects, shallow=frozenset(cut))
        sides = [tuple(chance.choices(oids, k=chance.randint(0, 3))) for _ in range(3)]
        pairs = [tuple(chance.choices(sides, k=2)) for _ in range(chance.randint(1, 3))]
        for (include, exclude), found in zip(pairs, history.ranges(*pairs), strict=True):  # type: ignore[arg-type]
            try:
                assert history.reachable(include, exclude) == found
            except HistoryCut:
                assert found is None


@pytest.mark.parametrize("question", QUESTIONS)
def test_dates_decide_nothing_in_a_cut_history(question: str) -> None:
    """Neither what the answer is, nor whether there is one."""

    def ask(graph: Graph, shallow: set[int], a: int, b: int) -> Any:
        objects, oids = in_memory(graph)
        numbers = {oid: number for number, oid in enumerate(oids)}
        history = History(objects, shallow=frozenset(oids[number] for number in shallow))
        try:
            answer: Any = QUESTIONS[question](history, oids[a], oids[b])
        except HistoryCut:
            return "unknown"
        return answer if isinstance(answer, bool) else {numbers[oid] for oid in answer}

    told: Counter[str] = Counter()
    for seed in range(300):
        chance = random.Random(seed)
        graph = random_graph(seed)
        size = len(graph.parents)
        shallow = set(chance.sample(range(size), chance.randint(1, max(1, size // 4))))
        a, b = chance.choices(range(size), k=2)
        answers = [
            ask(replace(graph, dates=dates), shallow, a, b)
            for dates in (graph.dates, tuple(range(size)), tuple(range(size, 0, -1)), (1,) * size)
        ]
        assert answers == answers[:1] * 4
        told["unknown" if answers[0] == "unknown" else "answered"] += 1
    assert min(told["answered"], told["unknown"]) > 25


def test_what_is_sure_in_a_cut_history_is_true() -> None:
    told: Counter[str] = Counter()
    for seed in range(600):
        chance = random.Random(seed)
        objects, oids = in_memory(random_graph(seed))
        shallow = frozenset(chance.sample(oids, chance.randint(1, max(1, len(oids) // 4))))
        include, exclude = ([*chance.choices(oids, k=chance.randint(1, 2))] for _ in range(2))
        truth = History(objects).reachable(include, exclude)
        history = History(objects, shallow=shallow)
        sure = history.surely(include, exclude)
        assert sure <= truth
        told["some" if sure else "none"] += 1
        try:
            assert history.reachable(include, exclude) == sure == truth
        except HistoryCut:
            told["unknown, but some are sure"] += bool(sure)
    assert min(told.values()) > 50


def test_depth_one_is_unknown_and_not_rewritten() -> None:
    objects, oids = in_memory(line(5))
    history = History(objects, shallow=frozenset({oids[2], oids[4]}))
    with pytest.raises(HistoryCut) as caught:
        history.is_ancestor(oids[2], oids[4])
    assert caught.value.kind == "shallow-history"
    with pytest.raises(HistoryCut):
        history.merge_bases(oids[2], oids[4])
    with pytest.raises(HistoryCut):
        history.reachable([oids[4]], [oids[2]])
    assert history.reachable([oids[4]], [oids[2]], ignore_cut=True) == {oids[4]}


def test_work_on_top_of_a_cut_is_known() -> None:
    objects, oids = in_memory(line(5))
    history = History(objects, shallow=frozenset({oids[2]}))
    assert history.reachable([oids[4]], [oids[2]]) == {oids[3], oids[4]}
    assert history.is_ancestor(oids[2], oids[4])
    # What the cut hides lies below both, and cannot contain what is above.
    assert not history.is_ancestor(oids[4], oids[3])
    assert history.merge_bases(oids[4], oids[3]) == (oids[3],)


# --- what cannot be read -------------------------------------------------------------------------


def test_what_is_no_readable_commit_is_refused() -> None:
    objects, oids = in_memory(line(2))
    tree = objects.add_tree({})
    hanging = objects.add_commit(b"tree %s\nparent %s\n\n" % (tree, b"1" * 40))
    damaged = objects.add_commit(b"tree %s\nparent ../../etc/passwd\n\n" % tree)
    history = History(objects)
    for oid, kind in (
        (Oid(b"0" * 40), "missing-object"),
        (hanging, "missing-object"),
        (tree, "missing-object"),
        (damaged, "damaged-object"),
    ):
        with pytest.raises(Refused) as caught:
            history.is_ancestor(oids[0], oid)
        assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("committer", "date"),
    [
        (b"T <t@example.org> 77 +0000", 77),
        (b"T <a> <b> 77 +0000", 77),
        (b"T <t> 253402300799 +051800", 253_402_300_799),
        (b"T <t> -5 +0000", 0),
        (b"T <t> soon", 0),
        (b"T <t> " + b"9" * 5_000, 0),
        (b"", 0),
    ],
)
def test_dates_that_make_no_sense_are_zero(committer: bytes, date: int) -> None:
    objects, _ = in_memory(line(1))
    raw = b"tree %s\nauthor T <t> 1 +0000\ncommitter %s\n\nx" % (objects.add_tree({}), committer)
    assert History(objects).date(objects.add_commit(raw)) == date
