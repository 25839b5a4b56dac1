"""A forest of local branches on the real event, carried over by resync and by ``git rebase`` in one run.

    scripts/bench/forest.py [BRANCHES [COMMITS]]

20 branches with 15 commits each stand on what upstream's old branch was, every third on top of the one before
it. resync fetches, rehearses, backs up and moves them all (``run --yes --all-branches``); git fetches and
then rebases one after the other. For each: seconds, the processor's seconds, and the peak of memory in MB.
Leaves with status 1 where a branch's tree or its commits differ.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

EVENT = Path(__file__).resolve().parents[3] / "shared" / "kolla-event" / "kolla-event.bundle"
OLD, NEW, BRANCH = "refs/resync/old", "refs/resync/new", "stable/liberty"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "C",
    "GIT_COMMITTER_EMAIL": "c@example.com",
    "GIT_COMMITTER_DATE": "1461092552 +0000",
    "GIT_EDITOR": "true",
}


class Cost(NamedTuple):
    """Seconds, those of the processor, and the peak of memory in MB of the largest process."""

    seconds: float
    processor: float
    memory: int


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=ENVIRONMENT, input=stdin, capture_output=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.decode()}")
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def plant(base: Path, branches: int, commits: int) -> tuple[Path, list[str]]:
    """A clone of the old branch with local branches on it, and the upstream rewritten."""
    upstream, clone = base / "upstream.git", base / "clone"
    git(base, "init", "-q", "--bare", "-b", BRANCH, str(upstream))
    git(upstream, "fetch", "-q", str(EVENT), "refs/*:refs/*")
    old, new = git(upstream, "rev-parse", OLD, NEW).split()
    git(upstream, "update-ref", f"refs/heads/{BRANCH}", old)
    git(base, "clone", "-q", "--single-branch", str(upstream), str(clone))
    git(upstream, "update-ref", f"refs/heads/{BRANCH}", new)
    same = _unchanged(upstream, OLD, NEW)
    stream, names = [], []
    for number in range(branches):
        name = f"topic-{number:02}"
        start = f"refs/heads/{names[-1]}" if number % 3 == 2 else old
        stream.append(f"reset refs/heads/{name}\nfrom {start}\n".encode())
        for each in range(commits):
            path = same[(number * commits + each) % len(same)]
            data = git(clone, "cat-file", "blob", f"{old}:{path}") + f"\nline {number} {each}\n"
            stream.append(
                _commit(name, number * commits + each, path, data.encode("utf-8", "surrogateescape"))
            )
        names.append(name)
    git(clone, "fast-import", "--quiet", "--force", stdin=b"".join(stream))
    git(clone, "checkout", "-q", names[-1])
    git(clone, "branch", "-q", f"--set-upstream-to=origin/{BRANCH}")
    return clone, names


def _commit(branch: str, number: int, path: str, data: bytes) -> bytes:
    message = b"commit %d\n" % number
    head = b"commit refs/heads/%s\ncommitter C <c@example.com> %d +0000\n" % (
        branch.encode(),
        1461000000 + number,
    )
    file = b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
    return head + b"data %d\n%s\n" % (len(message), message) + file + b"\n"


def _unchanged(folder: Path, one: str, other: str) -> list[str]:
    listing = [set(git(folder, "ls-tree", "-r", each).splitlines()) for each in (one, other)]
    both = (line.split("\t")[1] for line in listing[0] & listing[1] if line.startswith("100644"))
    return sorted(path for path in both if path.endswith((".j2", ".py", ".sh", ".yml")))


def measured(*commands: Sequence[str], at: Path) -> Cost:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    peak = 0
    for command in commands:
        process = subprocess.Popen(
            command, cwd=at, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        peak = max(peak, usage.ru_maxrss)
        if os.waitstatus_to_exitcode(status) not in (0, 3):
            raise SystemExit(f"{' '.join(command)}: {said.decode()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds=time.perf_counter() - start, processor=used, memory=peak >> 10)


def main(branches: int = 20, commits: int = 15) -> int:
    with tempfile.TemporaryDirectory(prefix="forest-") as name:
        clone, names = plant(Path(name), branches, commits)
        twin = Path(name) / "twin"
        shutil.copytree(clone, twin, symlinks=True)
        old = git(clone, "rev-parse", f"origin/{BRANCH}")
        ours = measured([sys.executable, "-m", "resync", "run", "--yes", "--all-branches"], at=clone)
        new = git(clone, "rev-parse", f"origin/{BRANCH}")
        rebases = [["git", "rebase", "-q", "--no-update-refs", "--onto", new, old, each] for each in names]
        gits = measured(["git", "fetch", "-q"], *rebases, at=twin)
        same = [each for each in names if _seen(clone, new, each) == _seen(twin, new, each)]
        print(f"{branches} branches with {commits} commits each, {len(same)} of them as git has them")
        for who, cost in (("resync", ours), ("git", gits)):
            processor = f"{cost.processor:.2f} s of the processor"
            print(f"  {who:<7} {cost.seconds:.2f} s, {processor}, {cost.memory} MB")
        return len(same) < len(names)


def _seen(folder: Path, new: str, branch: str) -> str:
    """The branch as it is: the tree of each commit, its author and words."""
    return git(folder, "log", "--format=%T %an %at %s", f"{new}..{branch}")


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
