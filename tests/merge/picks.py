"""Picks of a real history, and git's answers to them: what ``scripts/merge-sweep`` compares us with.

A pick puts the change of one commit onto another commit. Half of them are those that somebody really made,
backports that name their original; the others are of commits and places taken at random.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from resync.history.message import cherry_picked_from
from resync.model import Oid


class Commit(NamedTuple):
    """What is needed of a commit: its id, its tree, its parents and its message."""

    oid: Oid
    tree: Oid
    parents: tuple[Oid, ...]
    message: bytes


class Pick(NamedTuple):
    """A merge to make, as trees, and the commits that it came from: ``picked`` onto ``onto``."""

    base: Oid
    ours: Oid
    theirs: Oid
    picked: Oid
    onto: Oid


class Answer(NamedTuple):
    """A merge by git: whether it is clean, the tree it leaves, and the paths in conflict."""

    clean: bool
    tree: Oid
    paths: frozenset[bytes]


def read_commits(repository: Path) -> list[Commit]:
    """Every commit of the branches and tags, newest first."""
    form = "--format=%H%x00%T%x00%P%x00%B"
    printed = _git(repository, "log", "--date-order", "-z", form, "--branches", "--tags", "--remotes")
    fields = iter(printed.split(b"\0"))
    return [
        Commit(Oid(oid), Oid(tree), tuple(map(Oid, parents.split())), message)
        for oid, tree, parents, message in zip(fields, fields, fields, fields, strict=False)
    ]


def choose(commits: Sequence[Commit], count: int, seed: int) -> list[Pick]:
    """So many picks, half of them real backports where there are enough."""
    chance = random.Random(seed)
    by_oid = {commit.oid: commit for commit in commits}
    plain = [at for at, commit in enumerate(commits) if len(commit.parents) == 1]
    backports = [
        pick
        for at in plain
        for original in cherry_picked_from(commits[at].message)[-1:]
        for pick in _pick(by_oid, original, commits[at].parents[0])
    ]
    picks = chance.sample(backports, min(len(backports), count // 2))
    while len(picks) < count:
        at = chance.choice(plain)
        distance = int(len(commits) ** chance.random()) * chance.choice((-1, 1))
        onto = commits[min(max(at + distance, 0), len(commits) - 1)]
        picks += _pick(by_oid, commits[at].oid, onto.oid)
    return picks


def _pick(by_oid: dict[Oid, Commit], picked: Oid, onto: Oid) -> Iterator[Pick]:
    """The pick of one commit, if it and everything around it is there."""
    commit, place = by_oid.get(picked), by_oid.get(onto)
    if commit is not None and place is not None and len(commit.parents) == 1:
        parent = by_oid.get(commit.parents[0])
        if parent is not None:
            yield Pick(parent.tree, place.tree, commit.tree, picked, onto)


class Git:
    """git's answers, from a scratch repository that borrows the objects of the one with the history."""

    def __init__(self, folder: Path, repository: Path, picks: Sequence[Pick]) -> None:
        """Make the commits whose merges are the picks: two sides on a base of their own."""
        self.path = folder / "sweep.git"
        _git(folder, "init", "--quiet", "--bare", str(self.path))
        objects = _git(repository, "rev-parse", "--git-path", "objects").decode().strip()
        (self.path / "objects" / "info" / "alternates").write_text(f"{repository / objects}\n")
        stream = []
        for n, pick in enumerate(picks):
            first = 3 * n + 1
            for at, tree in enumerate(pick[:3]):
                above = b"from :%d\ndeleteall\n" % first if at else b""
                stream.append(
                    b"commit refs/sweep/%d\nmark :%d\ncommitter a <a> %d +0000\ndata 0\n%s"
                    b'M 040000 %s ""\n\n' % (first + at, first + at, n, above, tree)
                )
        marks = folder / "marks"
        _git(self.path, "fast-import", "--quiet", f"--export-marks={marks}", stdin=b"".join(stream))
        oids = dict(line.split() for line in marks.read_bytes().splitlines())
        self.sides = [
            (Oid(oids[b":%d" % (3 * n + 2)]), Oid(oids[b":%d" % (3 * n + 3)])) for n in range(len(picks))
        ]
        """The commits to merge, ours and theirs, which are also the labels of the sides."""

    def merge(self, start: int, end: int) -> list[Answer | None]:
        """The answers to some of the picks; None where git itself fails."""
        asked = b"".join(b"%s %s\n" % side for side in self.sides[start:end])
        done = subprocess.run(
            ["git", "merge-tree", "--write-tree", "--no-messages", "-z", "--stdin"],
            cwd=self.path,
            env=_environment(),
            input=asked,
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            return list(_answers(done.stdout))
        if end - start == 1:
            return [None]
        return [answer for n in range(start, end) for answer in self.merge(n, n + 1)]


def _answers(printed: bytes) -> Iterator[Answer]:
    fields = iter(printed.split(b"\0"))
    for status in fields:
        if not status.strip():
            return
        tree = Oid(next(fields))
        paths = set()
        while entry := next(fields):
            paths.add(entry.split(b"\t", 1)[1])
        yield Answer(status == b"1", tree, frozenset(paths))


def _git(at: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(
        ["git", *arguments], cwd=at, env=_environment(), input=stdin, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
