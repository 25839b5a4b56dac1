"""How replaying scales: flat in the files of the tree, linear in commits and in the paths that they change.

    python scripts/bench/scaling.py

Local commits that all apply, on trees of 5,000, 50,000 and 200,000 files of which upstream changed 500; then
more commits, and more paths a commit. Each line has the processor time of the replay alone, the same for each
changed path, the time of the whole process with the pack that it writes, its peak memory, and the time of
``git replay`` where git has it (2.44 and newer). Of three runs the best counts. Leaves with status 1 where a
commit is not reapplied, a tree is not git's, or memory passes 200 MB.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from series import Replayed, Series, by_resync, git, wide

MOST_MEMORY = 200


class Size(NamedTuple):
    """How many files the tree has, how many commits are replayed, and how many files each changes."""

    files: int
    commits: int
    changes: int


SIZES = (
    Size(5_000, 100, 3),
    Size(50_000, 100, 3),
    Size(200_000, 100, 3),
    Size(50_000, 200, 3),
    Size(50_000, 400, 3),
    Size(50_000, 100, 30),
)


def replayed_by_git(series: Series) -> tuple[float, str]:
    """Seconds and final tree of ``git replay``, which prints the updates that it proposes."""
    start = time.perf_counter()
    told = git(series.folder, "replay", "--onto", series.onto, f"refs/heads/base..{series.tip}")
    taken = time.perf_counter() - start
    return taken, git(series.folder, "rev-parse", f"{told.split()[2]}^{{tree}}")


def git_version() -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", git(Path.cwd(), "version"))[:2]))


def measure(size: Size, with_git: bool) -> bool:
    """Print one line; whether all is as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        series = wide(Path(folder), *size)
        runs: list[Replayed] = [by_resync(series) for _ in range(3)]
        beside = min(replayed_by_git(series) for _ in range(3)) if with_git else None
    best = min(runs, key=lambda run: run.alone)
    right = best.verdicts == {"reapplied": size.commits} and (beside is None or beside[1] == best.tree)
    per_path = best.alone / size.commits / size.changes * 1e6
    print(
        f"{size.files:8,} files {size.commits:4} commits {size.changes:3} paths each: "
        f"replay {best.alone:.3f} s ({per_path:3.0f} us a path), "
        f"whole {min(run.seconds for run in runs):.3f} s, {best.memory:3} MB"
        + (f", git replay {beside[0]:.3f} s" if beside else "")
        + ("" if right else f"  WRONG: {best.verdicts}"),
        flush=True,
    )
    return right and best.memory <= MOST_MEMORY


def main() -> int:
    with_git = git_version() >= (2, 44)
    if not with_git:
        print(f"git {'.'.join(map(str, git_version()))} has no git replay to compare with")
    wrong = sum(not measure(size, with_git) for size in SIZES)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
