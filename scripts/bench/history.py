#!/usr/bin/env python3
"""Time and memory of the questions that resync.history answers, beside git: bench/history.py [COMMITS].

First patch ids on the real event, where its bundle is at hand: which of 145 commits are among 1,001
others? Then the graph: a line of 100,000 commits and two others of 1,000, of which one leaves it 1,000
commits before its end and one near its start; merge bases, left and right set are asked together.
Last ``resync check --no-fetch`` on a branch with one commit of its own above the line, where upstream has
moved from the line's end to the end of one of the others: to be within 0.5 s for the fork that is 1,000
back, within 5 times git for the ancient one with a commit-graph, and always within 200 MB.

Every answer comes from a process of its own that is timed whole, and git's (two for the graph: bases, counts)
run in turn with it, five times. What is printed are medians: wall seconds of our process, those of the answer
within it, its memory, wall seconds of git, and how many times git's ours took, by wall and by processor.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

BUNDLE = Path(__file__).resolve().parents[3] / "shared" / "kolla-event" / "kolla-event.bundle"
SIDE = 1_000
RUNS = 5
TWINS = """
import json, resource, sys, time
from dulwich.repo import Repo
from resync.history import History, PatchIndex
from resync.repository.objects import Objects
with Repo(sys.argv[1]) as repository:
    old, new = (repository.refs[name.encode()] for name in sys.argv[2:])
    objects = Objects(repository.object_store)
    history = History(objects)
    left, right = history.reachable([old], [new]), history.topological(history.reachable([new], [old]))
    started = time.perf_counter()
    index = PatchIndex(objects, right)
    answer = sum(index.find(oid) is not None for oid in left)
    spent = time.perf_counter() - started
print(json.dumps([answer, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))
"""
RANGES = """
import json, resource, sys, time
from dulwich.repo import Repo
from resync.history import History, read_commit_graph
from resync.repository.objects import Objects
with Repo(sys.argv[1]) as repository:
    old, new = (repository.refs[name.encode()] for name in sys.argv[2:])
    started = time.perf_counter()
    graph = read_commit_graph(repository.object_store.path)
    history = History(Objects(repository.object_store), commit_graph=graph)
    answer = [len(history.merge_bases(old, new))]
    answer += [len(history.reachable([old], [new])), len(history.reachable([new], [old]))]
    spent = time.perf_counter() - started
print(json.dumps([answer, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))
"""
CHECK = """
import json, resource, sys, time
from resync.cli import run_command
started = time.perf_counter()
run_command(["check", "--no-fetch", "--json"])
spent = time.perf_counter() - started
print(json.dumps([spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))
"""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{'':36}  ours: process, answer, memory        git   times git, processor")
    with tempfile.TemporaryDirectory() as name:
        twins(Path(name))
    with tempfile.TemporaryDirectory() as name:
        repository = Path(name)
        make(repository, count)
        for graph in ("no commit-graph", "commit-graph"):
            if graph == "commit-graph":
                for each in (repository, *repository.glob("*.clone")):
                    git(each, "commit-graph", "write", "--reachable")
            for branch in ("recent", "ancient"):
                ranges(repository, branch, f"{branch} fork, {graph}")
                check(repository, branch, f"check, {branch} fork, {graph}")


def twins(repository: Path) -> None:
    """Ask for the event's commits that are upstream already."""
    if not BUNDLE.exists():
        print(f"no patch ids: the event's history is not at {BUNDLE}")
        return
    git(repository, "init", "-q", "--bare", ".")
    git(repository, "fetch", "-q", str(BUNDLE), "refs/*:refs/*")
    names = ["refs/resync/old", "refs/resync/new"]
    marked = ("rev-list", "--no-merges", "--cherry-mark", "--left-right", "--count", "...".join(names))
    title = "145 commits among 1,001"
    answer, counts = asked(title, repository, TWINS, names, lambda: git(repository, *marked))
    assert 2 * answer == int(counts.split()[2])


def make(repository: Path, count: int) -> None:
    """Make the repository, everything in one pack."""
    stream = [commit("main", number, number) for number in range(1, count + 1)]
    for branch, fork in (("recent", count - SIDE), ("ancient", SIDE)):
        stream.append(f"reset refs/heads/{branch}\nfrom :{fork}\n\n")
        stream += [commit(branch, fork + number, 0) for number in range(1, SIDE + 1)]
    git(repository, "init", "-q", "--bare", ".")
    git(repository, "fast-import", "--quiet", data="".join(stream).encode())


def commit(branch: str, number: int, mark: int) -> str:
    """One commit on a branch for fast-import, a minute younger than the last."""
    date = 1_000_000_000 + 60 * number
    message = f"{branch} {number}"
    marked = f"mark :{mark}\n" if mark else ""
    who = f"committer T <t@example.org> {date} +0000"
    return f"commit refs/heads/{branch}\n{marked}{who}\ndata {len(message)}\n{message}\n\n"


def ranges(repository: Path, branch: str, title: str) -> None:
    """Ask for merge bases and both sides of a branch and the line that it left."""
    names = [f"refs/heads/{branch}", "refs/heads/main"]
    answer, (bases, sides) = asked(
        title,
        repository,
        RANGES,
        names,
        lambda: (
            git(repository, "merge-base", "--all", *names),
            git(repository, "rev-list", "--left-right", "--count", "...".join(names)),
        ),
    )
    assert answer == [len(bases.split()), *map(int, sides.split())]


def check(repository: Path, branch: str, title: str) -> None:
    """Ask resync itself, of a clone that git has fetched since upstream moved."""
    clone = repository / f"{branch}.clone"
    if not clone.exists():
        git(repository, "clone", "-q", "--no-checkout", "--branch", "main", ".", clone.name)
        names = git(clone, "rev-parse", "origin/main^{tree}", "origin/main", f"origin/{branch}").split()
        tree, old, new = (name.decode() for name in names)
        who = ("-c", "user.name=T", "-c", "user.email=t@example.org")
        mine = git(clone, *who, "commit-tree", "-p", old, "-m", "mine", tree).decode().strip()
        git(clone, *who, "update-ref", "-m", "commit: mine", "refs/heads/main", mine)
        git(clone, *who, "update-ref", "-m", "fetch: forced-update", "refs/remotes/origin/main", new)
    sides = ("merge-base", "--all", "main", "origin/main"), ("rev-list", "--count", "main...origin/main")

    def ours() -> tuple[Any, float, int]:
        said, figures = run(clone, sys.executable, "-c", CHECK).splitlines()
        return json.loads(said), *json.loads(figures)

    def forget() -> None:
        # What an earlier call has put on record would save the next one work.
        run(clone, "git", "update-ref", "-d", "refs/resync/upstream/origin/main.tips")

    said, _ = paired(title, ours, lambda: [git(clone, *each) for each in sides], before=forget)
    upstream = said["upstream"]
    assert (upstream["kind"], upstream["arrived"]) == ("rewritten", SIDE), upstream


def asked(
    title: str, repository: Path, program: str, names: list[str], theirs: Callable[[], Any]
) -> tuple[Any, Any]:
    """Ask a program of ours and git in turn; return both answers."""

    def ours() -> tuple[Any, float, int]:
        answer, spent, memory = json.loads(run(repository, sys.executable, "-c", program, ".", *names))
        return answer, spent, memory

    return paired(title, ours, theirs)


def paired(
    title: str,
    ours: Callable[[], tuple[Any, float, int]],
    theirs: Callable[[], Any],
    before: Callable[[], None] = lambda: None,
) -> tuple[Any, Any]:
    """Run both in turn, print a line of medians, and return both answers."""
    rows = []
    for _ in range(RUNS):
        before()
        (answer, spent, memory), wall, processor = timed(ours)
        theirs_said, git_wall, git_processor = timed(theirs)
        rows.append((wall, spent, memory, git_wall, wall / git_wall, processor / git_processor))
    middle = [median(column) for column in zip(*rows, strict=True)]
    print("{:36} {:8.2f} s  {:6.3f} s  {:4.0f} MB   {:8.3f} s  {:8.1f}  {:8.1f}".format(title, *middle))
    return answer, theirs_said


def timed(action: Callable[[], Any]) -> tuple[Any, float, float]:
    """What an action gave, and the seconds that its processes took: by the wall, of the processors."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    result = action()
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return result, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def git(repository: Path, *arguments: str, data: bytes = b"") -> bytes:
    """Run git, cut off from the configuration of this machine."""
    return run(repository, "git", *arguments, data=data)


def run(repository: Path, *command: str, data: bytes = b"") -> bytes:
    """Run a command in the repository and return its output."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(repository),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    return subprocess.run(
        command, cwd=repository, input=data, env=environment, stdout=subprocess.PIPE, check=True
    ).stdout


if __name__ == "__main__":
    main()
