#!/usr/bin/env python3
"""Time and memory of history questions on 100,000 linear commits, beside git: bench/history.py [COMMITS].

Makes a repository with a line of commits and two other lines of 1,000: one leaves it 1,000 commits
before its end, one near its start. Merge bases, left and right set are asked in one process, which is
timed whole; of three runs the best counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIDE = 1_000
ANSWER = """
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
    walked = time.perf_counter() - started
print(json.dumps([answer, walked, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))
"""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        repository = Path(name)
        make(repository, count)
        print(f"{count} commits           ours: process, walk, memory          git")
        for graph in ("no commit-graph", "commit-graph"):
            if graph == "commit-graph":
                git(repository, "commit-graph", "write", "--reachable")
            for branch in ("recent", "ancient"):
                compare(repository, branch, f"{branch} fork, {graph}")


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


def compare(repository: Path, branch: str, title: str) -> None:
    """Ask us and git, and print one line."""
    names = [f"refs/heads/{branch}", "refs/heads/main"]
    ours, (answer, walked, memory) = best(
        lambda: json.loads(run(repository, sys.executable, "-c", ANSWER, ".", *names))
    )
    theirs, (bases, sides) = best(
        lambda: (
            git(repository, "merge-base", "--all", *names),
            git(repository, "rev-list", "--left-right", "--count", "...".join(names)),
        )
    )
    assert answer == [len(bases.split()), *map(int, sides.split())]
    print(f"{title:30} {ours:6.2f} s  {walked:6.3f} s  {memory:4} MB      {theirs:6.3f} s")


def best(action):
    """The shortest time of three, and what the action gave."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        result = action()
        times.append(time.perf_counter() - started)
    return min(times), result


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
