"""Random commit graphs, made with git fast-import, and what git and a plain closure say of them.

Shared by the sample in the suite and by the whole sweep in scripts/history-sweep.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from resync.history import CommitGraph, History
from resync.model import Oid
from resync.repository.objects import Objects

DATES = ("in order", "equal", "random", "skewed", "turned round")


@dataclass(frozen=True)
class Graph:
    """A commit graph by numbers: the parents and the date of each commit, parents before children."""

    parents: tuple[tuple[int, ...], ...]
    dates: tuple[int, ...]
    kind: str

    def closures(self) -> list[set[int]]:
        """What each commit reaches, itself included: the definition, not an algorithm."""
        found: list[set[int]] = []
        for number, parents in enumerate(self.parents):
            found.append({number}.union(*(found[parent] for parent in parents)))
        return found


def random_graph(seed: int) -> Graph:
    """A graph of up to 40 commits, now and then of 200: linear, bushy or criss-cross, with some roots."""
    chance = random.Random(seed)
    size = chance.choice((chance.randint(2, 10), chance.randint(10, 40)))
    if seed % 20 == 0:
        size = 200
    grow = chance.choice((_lanes, _thicket))
    parents = grow(chance, size)
    size = len(parents)
    kind = DATES[seed % len(DATES)]
    dates = list(range(1_000, 1_000 + size))
    if kind == "equal":
        dates = [1_000] * size
    elif kind == "random":
        dates = [chance.randint(1, 2_000) for _ in range(size)]
    elif kind == "skewed":
        for number in chance.sample(range(size), max(1, size // 6)):
            dates[number] += chance.choice((-900, -20, 20, 900))
    elif kind == "turned round":
        dates.reverse()
    return Graph(tuple(parents), tuple(dates), kind)


def _lanes(chance: random.Random, size: int) -> list[tuple[int, ...]]:
    """A few lines of development that merge each other: this is where merge bases are several."""
    tips = [0] * chance.randint(2, 4)
    crossing = chance.choice((0.1, 0.3))
    merging = chance.choice((0.05, 0.3))
    parents: list[tuple[int, ...]] = [()]
    while len(parents) < size:
        lane, other = chance.sample(range(len(tips)), 2)
        mine, theirs = tips[lane], tips[other]
        number = len(parents)
        move = chance.random()
        if mine != theirs and move < crossing:
            parents += [(mine, theirs), (theirs, mine)]
            tips[other] = number + 1
        elif mine != theirs and move < crossing + merging:
            parents.append((mine, theirs))
        else:
            parents.append((mine,))
        tips[lane] = number
    return parents


def _thicket(chance: random.Random, size: int) -> list[tuple[int, ...]]:
    """Commits on any that are not too far back, and a root here and there."""
    reach = chance.choice((1, 2, 4, 8, 40))
    merging = chance.choice((0.0, 0.1, 0.3, 0.7))
    rooting = chance.choice((0.0, 0.0, 0.05))
    parents: list[tuple[int, ...]] = [()]
    for number in range(1, size):
        if chance.random() < rooting:
            parents.append(())
            continue
        count = chance.choice((2, 2, 2, 3)) if chance.random() < merging else 1
        nearby = range(max(0, number - max(reach, count + 1)), number)
        parents.append(tuple(chance.sample(nearby, min(count, len(nearby)))))
    return parents


def git(directory: Path, *arguments: str, data: bytes = b"", statuses: Sequence[int] = (0,)) -> bytes:
    """Run git, cut off from the configuration of this machine, and return its output."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "LC_ALL": "C",
    }
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "T", f"GIT_{who}_EMAIL": "t@example.org"}
    done = subprocess.run(
        ["git", *arguments], cwd=directory, input=data, env=environment, capture_output=True, check=False
    )
    assert done.returncode in statuses, done.stderr.decode()
    return done.stdout


def import_graphs(directory: Path, graphs: Sequence[Graph]) -> list[tuple[Oid, ...]]:
    """Make a bare repository with all the graphs in it; return the ids of each graph's commits."""
    git(directory, "init", "-q", "--bare", ".")
    stream: list[str] = []
    mark = 0
    for number, graph in enumerate(graphs):
        first = mark + 1
        for index, (parents, date) in enumerate(zip(graph.parents, graph.dates, strict=True)):
            mark += 1
            message = f"graph {number} commit {index}"
            stream.append("reset refs/heads/x\n")
            stream.append(f"commit refs/heads/x\nmark :{mark}\n")
            stream.append(f"committer T <t@example.org> {date} +0000\ndata {len(message)}\n{message}\n")
            for position, parent in enumerate(parents):
                stream.append(f"{'merge' if position else 'from'} :{first + parent}\n")
            stream.append("\n")
    git(directory, "fast-import", "--quiet", "--force", "--export-marks=marks", data="".join(stream).encode())
    by_mark = dict(line.split() for line in (directory / "marks").read_bytes().splitlines())
    oids = iter(Oid(by_mark[b":%d" % number]) for number in range(1, mark + 1))
    return [tuple(next(oids) for _ in graph.parents) for graph in graphs]


@contextmanager
def open_objects(directory: Path) -> Iterator[Objects]:
    """The objects of a repository."""
    from dulwich.repo import Repo

    with Repo(str(directory)) as repository:
        yield Objects(repository.object_store)


def compare(
    directory: Path,
    objects: Objects,
    graph: Graph,
    oids: tuple[Oid, ...],
    seed: int,
    commit_graph: CommitGraph | None = None,
) -> Counter[str]:
    """Ask every question about a few pairs of one graph; assert that closure, git and we agree.

    Where dates are skewed git's own left and right sets can be wrong; then the closure decides. Returns
    the counts of what was compared.
    """
    chance = random.Random(seed)
    closures = graph.closures()
    number_of = {oid: number for number, oid in enumerate(oids)}
    seen: Counter[str] = Counter()
    for _ in range(3):
        # A history for each pair, so that no answer rests on what an earlier question read.
        history = History(objects, commit_graph=commit_graph)
        tips = range(max(0, len(oids) - 6), len(oids))
        a, b = chance.choice((chance.choice(range(len(oids))), chance.choice(tips))), chance.choice(tips)
        left, right = oids[a], oids[b]
        names = left.decode(), right.decode()

        for older, newer in ((a, b), (b, a)):
            found = history.is_ancestor(oids[older], oids[newer])
            assert found == (older in closures[newer])
            seen["ancestor" if found else "not ancestor"] += 1

        common = closures[a] & closures[b]
        best = {c for c in common if not any(c in closures[other] for other in common - {c})}
        bases = history.merge_bases(left, right)
        assert {number_of[oid] for oid in bases} == best
        assert list(bases) == sorted(bases)
        assert set(bases) == set(git(directory, "merge-base", "--all", *names, statuses=(0, 1)).split())
        seen[f"{min(len(bases), 2)} merge bases"] += 1

        lefts, rights = history.reachable([left], [right]), history.reachable([right], [left])
        assert {number_of[oid] for oid in lefts} == closures[a] - closures[b]
        assert {number_of[oid] for oid in rights} == closures[b] - closures[a]
        listed = git(directory, "rev-list", "--left-right", f"{names[0]}...{names[1]}").split()
        sides = {b"<" + oid for oid in lefts} | {b">" + oid for oid in rights}
        if set(listed) == sides:
            seen[f"sets, dates {graph.kind}"] += 1
        else:
            # Git stops looking a few commits after the dates say so, and may keep what it should drop.
            assert set(listed) > sides
            assert graph.kind not in ("in order", "equal")
            seen[f"sets where git is wrong, dates {graph.kind}"] += 1

        some = [oids[number] for number in chance.choices(range(len(oids)), k=4)]
        several = {number_of[oid] for oid in some}
        kept = {c for c in several if not any(c in closures[other] for other in several - {c})}
        assert {number_of[oid] for oid in history.independent(some)} == kept
        reached = set().union(*(closures[number_of[oid]] for oid in some[:2]))
        hidden = set().union(*(closures[number_of[oid]] for oid in some[2:]))
        assert {number_of[oid] for oid in history.reachable(some[:2], some[2:])} == reached - hidden

        order = history.topological({oids[number] for number in closures[b]})
        place = {oid: position for position, oid in enumerate(order)}
        assert len(order) == len(closures[b])
        assert all(place[parent] < place[oid] for oid in order for parent in history.parents(oid))
        assert order == git(directory, "rev-list", "--topo-order", "--reverse", names[1]).split()
    return seen
