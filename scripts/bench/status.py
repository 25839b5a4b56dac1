#!/usr/bin/env python3
"""Time of a status beside git's, on a checkout of many files: bench/status.py [FILES].

A clean checkout, one of which 500 files are edited, and one whose index has no cached trees (as after a
run of resync). Times are wall-clock, the best of seven, git and ours in turn. Ours is index and status,
without the start of the process and of dulwich, which is measured by bench/startup.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dulwich.repo import Repo

from resync.model import Oid
from resync.programs import Programs
from resync.repository.objects import Objects
from resync.worktree.filters import Filters
from resync.worktree.index import load_index, serialise_index
from resync.worktree.settings import read_settings
from resync.worktree.status import read_status

ROUNDS = 7
ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{role}_NAME": "x" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "x@example.com" for role in ("AUTHOR", "COMMITTER")},
}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        build(root, count)
        print(f"{count} files{'':14} ours: index + status = total      git status   ratio")
        compare("clean", root)
        for number in range(0, count, max(count // 500, 1)):
            file_at(root, number).write_text(f"edited {number}\n")
        compare("500 edited", root)
        git(root, "checkout", "-q", "--", ".")
        index, _ = load_index(str(root / ".git/index"), hex_length=40)
        time.sleep(1.1)  # git counts seconds: or else it would read every file that is as young as the index
        (root / ".git/index").write_bytes(serialise_index(index, hex_length=40))
        compare("no cached trees", root)


def file_at(root: Path, number: int) -> Path:
    return root / f"d{number // 1000:02}" / f"s{number // 50 % 20:02}" / f"file{number:05}.txt"


def build(root: Path, count: int) -> None:
    git(root, "init", "-q")
    git(root, "config", "gc.auto", "0")  # or else a commit starts one behind our back
    for number in range(count):
        path = file_at(root, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number}\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")
    git(root, "gc", "-q")
    time.sleep(1.1)
    git(root, "update-index", "--refresh", "--force-write-index")


def compare(name: str, root: Path) -> None:
    reading, looking, theirs = [], [], []
    for _ in range(ROUNDS):
        theirs.append(timed(lambda: git(root, "--no-optional-locks", "status", "--porcelain")))
        with Repo(str(root)) as repository:
            objects = Objects(repository.object_store)
            settings = read_settings(
                repository.get_config(), common_dir=repository.commondir(), user_dir="/nonexistent"
            )
            filters = Filters(settings, Programs(folder=str(root), env=ENV, timeout=1))
            head = objects.commit(Oid(repository.head())).tree
            started = time.perf_counter()
            index, modified = load_index(str(root / ".git/index"), hex_length=40)
            read = time.perf_counter()
            read_status(objects, str(root), index, modified, head, settings, filters)
            reading.append(read - started)
            looking.append(time.perf_counter() - read)
    ours = min(map(sum, zip(reading, looking, strict=True)))
    git_time = min(theirs)
    parts = f"{min(reading) * 1000:5.0f} + {min(looking) * 1000:4.0f} = {ours * 1000:4.0f} ms"
    print(f"  {name:28}{parts:>24}{git_time * 1000:14.0f} ms{ours / git_time:7.1f}x")


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, env=ENV, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
