"""The commit-graph file says what the commits say, or nothing."""

from __future__ import annotations

import random
from array import array
from pathlib import Path

import pytest

from resync.history import CommitGraph, History, open_history, read_commit_graph
from resync.history.commit_graph import NO_PARENT
from resync.history.graph import parse_links
from resync.model import Oid
from resync.repository import Repository

from .graphs import Graph, git, import_graphs, open_objects, random_graph


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, list[Oid]]:
    """A bare repository with random graphs, a merge of seven and dates beyond 32 bits."""
    graphs = [random_graph(seed) for seed in range(20)]
    graphs.append(Graph((*[()] * 7, tuple(range(7)), (7, 0), tuple(range(8))), (2**33,) * 10, "octopus"))
    oids = [oid for some in import_graphs(tmp_path, graphs) for oid in some]
    return tmp_path, oids


def write(directory: Path, oids: list[Oid], *options: str) -> None:
    git(directory, "commit-graph", "write", "--stdin-commits", *options, data=b"\n".join(oids))


def known(directory: Path, oids: list[Oid], hex_length: int = 40) -> int:
    """How many of the commits the graph has; what it says of them must be what they say."""
    graph = read_commit_graph(directory / "objects", hex_length=hex_length)
    if graph is None:
        return 0
    count = 0
    with open_objects(directory) as objects:
        for oid in oids:
            links = links_of(graph, oid)
            if links is not None:
                assert links == parse_links(oid, objects.raw(oid)[1])
                count += 1
    assert all_at_once(graph) == [row_by_row(graph, number) for number in range(graph.count)]
    return count


def links_of(graph: CommitGraph, oid: Oid) -> tuple[tuple[Oid, ...], int] | None:
    """What the graph says of a commit: its parents and its date."""
    number = graph.find(oid)
    row = graph.row(number) if number is not None else None
    return (tuple(map(graph.oid, row[0])), row[1]) if row is not None else None


def all_at_once(graph: CommitGraph) -> list[tuple[int, int, int]]:
    """Every row as ``fill`` has it: first and second parent, and date."""
    first, second, dates = (array(kind, [7]) * graph.count for kind in "IIQ")
    graph.fill(first, second, dates)
    return list(zip(first, second, dates, strict=True))


def row_by_row(graph: CommitGraph, number: int) -> tuple[int, int, int]:
    """The same of one row, as ``row`` has it; what ``fill`` leaves alone is 7."""
    row = graph.row(number)
    if row is None or len(row[0]) > 2:
        return 7, 7, 7
    first, second, *_ = (*row[0], NO_PARENT, NO_PARENT)
    return first, second, row[1]


def test_one_file(repository: tuple[Path, list[Oid]]) -> None:
    directory, oids = repository
    assert known(directory, oids) == 0
    write(directory, oids)
    assert known(directory, oids) == len(oids)


def test_a_chain_of_files(repository: tuple[Path, list[Oid]]) -> None:
    directory, oids = repository
    third = len(oids) // 3
    for some in (oids[:third], oids[third : 2 * third], oids[2 * third :]):
        write(directory, some, "--split=no-merge")
    chain = directory / "objects" / "info" / "commit-graphs"
    names = (chain / "commit-graph-chain").read_text().split()
    assert len(names) == 3
    assert known(directory, oids) == len(oids)
    # Without its last file the chain is shorter, without its first it is nothing.
    (chain / f"graph-{names[2]}.graph").unlink()
    assert third <= known(directory, oids) < len(oids)
    (chain / "commit-graph-chain").write_text(f"{names[1]}\n{names[0]}\n")
    assert known(directory, oids) == 0
    (chain / "commit-graph-chain").write_text("not\nhex\n")
    assert known(directory, oids) == 0


def test_commits_that_are_not_in_it(repository: tuple[Path, list[Oid]]) -> None:
    directory, oids = repository
    write(directory, oids[:100])
    assert 100 <= known(directory, oids) < len(oids)


def test_sha256(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", ".")
    tree = git(tmp_path, "mktree").strip().decode()
    oids: list[Oid] = []
    for number in range(30):
        parents = [word for oid in oids[-1 : -2 - number % 2 : -1] for word in ("-p", oid.decode())]
        oids.append(Oid(git(tmp_path, "commit-tree", tree, *parents, data=b"%d" % number).strip()))
    write(tmp_path, oids)
    assert known(tmp_path, oids, 64) == len(oids)
    assert read_commit_graph(tmp_path / "objects", hex_length=40) is None


def test_alternates(repository: tuple[Path, list[Oid]], tmp_path: Path) -> None:
    """Git writes a chain that goes on from what the alternate has."""
    directory, oids = repository
    write(directory, oids[:100], "--split=no-merge")
    borrower = tmp_path / "borrower"
    git(tmp_path, "clone", "-q", "--shared", "--no-checkout", str(directory), str(borrower))
    own, theirs = borrower / ".git" / "objects", directory / "objects"
    with Repository.open(str(borrower), {}) as opened:
        assert open_history(opened).table.in_graph == 100
    write(borrower, oids, "--split=no-merge")
    assert len(list((own / "info" / "commit-graphs").glob("*.graph"))) == 1
    graph = read_commit_graph(own, theirs)
    assert graph is not None
    assert all(links_of(graph, oid) is not None for oid in oids)
    assert read_commit_graph(own) is None
    assert read_commit_graph(tmp_path, theirs) is not None


def test_grafts_and_shallow_commits_do_without_it(repository: tuple[Path, list[Oid]]) -> None:
    directory, oids = repository
    write(directory, oids)
    graph = read_commit_graph(directory / "objects")
    octopus = oids[-1]
    with open_objects(directory) as objects:
        assert len(History(objects, commit_graph=graph).parents(octopus)) == 8
        cut = History(objects, commit_graph=graph, shallow=frozenset({octopus}))
        assert cut.parents(octopus) == ()
        grafted = History(objects, commit_graph=graph, grafts={octopus: (oids[0],)})
        assert grafted.parents(octopus) == (oids[0],)


def test_broken_files_never_raise(repository: tuple[Path, list[Oid]]) -> None:
    directory, oids = repository
    write(directory, oids)
    path = directory / "objects" / "info" / "commit-graph"
    good = path.read_bytes()
    path.unlink()
    chance = random.Random(1)
    unusable = partly = 0
    for attempt in range(400):
        data = bytearray(good)
        if attempt % 4 == 0:
            del data[chance.randrange(len(data)) :]
        elif attempt % 4 == 1:  # the header and the table of tables
            data[chance.randrange(8 + 12 * 6)] ^= 1 << chance.randrange(8)
        elif attempt % 4 == 2:  # the fan-out
            data[chance.randrange(80, 80 + 1024)] ^= 1 << chance.randrange(8)
        else:
            for _ in range(50):
                data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        graph = read_commit_graph(directory / "objects")
        path.unlink()
        if graph is None:
            unusable += 1
            continue
        silent = sum(links_of(graph, oid) is None for oid in oids)
        partly += silent > 0
        assert graph.find(Oid(b"f" * 40)) is None
        for number, row in enumerate(all_at_once(graph)):
            # One that was made to look like a merge of many is looked at by itself.
            assert row in ((7, 7, 7), row_by_row(graph, number))
    assert unusable > 50
    assert partly > 50
