"""Many checkouts in one command beside as many single runs: 200 of 3 upstreams, over git://, rewritten.

Prints wall-clock and processor seconds of: one ``resync run --yes --all``; as many ``resync run --yes``, one
after the other; the same where nothing is new; and as many starts of a process that loads what a run loads
and does nothing. With it how often each server was asked, and the largest memory of any process. Leaves with
status 1 where an upstream was asked more than once, or a run did not go well.

    scripts/bench/fleet.py [CHECKOUTS [JOBS]]
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

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP))

from tests.conftest import World, environment  # noqa: E402
from tests.counted import counted  # noqa: E402

FILES, OLD, NEW = 200, 20, 60
RESYNC = ("-m", "resync")
LOAD = (
    "import argparse, dulwich.client, dulwich.repo, resync.cli, resync.commands.moving, resync.letting_go,"
    " resync.rehearse, resync.sequencer, os; os._exit(0)"  # as resync itself ends
)


def upstreams(world: World, names: Sequence[str]) -> None:
    """A few hundred files; ``OLD`` commits that will be left behind, and ``NEW`` that come in their place."""
    for name in names:
        up, work = world.base / "served" / f"{name}.git", world.base / "work"
        world.git("init", "-q", "--bare", "-b", "main", str(up), at=world.base)
        world.git("init", "-q", "-b", "main", str(work), at=world.base)
        world.git("remote", "add", "origin", str(up), at=work)
        lines = "".join(f"line {number}\n" for number in range(60))
        world.commit("Start", {f"{n % 10}/{n}.txt": f"{name} {n}\n{lines}" for n in range(FILES)}, at=work)
        world.git("tag", "start", at=work)
        for number in range(OLD):
            world.commit(f"Old {number}", {f"{number % 10}/{number}.txt": f"old {number}\n{lines}"}, at=work)
        world.git("push", "-q", "origin", "main", at=work)
        world.git("clone", "-q", str(up), str(world.base / f"first-{name}"), at=world.base)
        world.commit("Mine", {"mine.txt": "mine\n"}, at=world.base / f"first-{name}")
        world.git("reset", "-q", "--hard", "start", at=work)
        for number in range(NEW):
            world.commit(f"New {number}", {f"{number % 10}/{number}.txt": f"new {number}\n{lines}"}, at=work)
        world.git("push", "-q", "--force", "origin", "main", at=work)
        shutil.rmtree(work)


def checkouts(world: World, names: Sequence[str], number: int, url: str) -> Path:
    folder = world.base / "checkouts"
    shutil.rmtree(folder, ignore_errors=True)
    for each in range(number):
        name = names[each % len(names)]
        path = folder / f"{name}-{each:03}"
        shutil.copytree(world.base / f"first-{name}", path, symlinks=True)
        world.git("config", "remote.origin.url", f"{url}/{name}.git", at=path)
        world.git("status", at=path)  # the copies' index has other inodes
    return folder


def measured(world: World, calls: Sequence[Sequence[str]]) -> tuple[float, float, set[int]]:
    """Wall-clock and processor seconds of calls of Python one after the other, and their statuses."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    codes = set()
    for call in calls:
        done = subprocess.run(
            [sys.executable, *call],
            cwd=TOP,
            env={**world.env, "PYTHONPATH": str(TOP)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        codes.add(done.returncode)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, used, codes


def told(words: str, found: tuple[float, float, set[int]]) -> tuple[float, float, set[int]]:
    wall, used, codes = found
    print(f"{words:34}{wall:8.1f}{used:8.1f}  {sorted(codes)}", flush=True)
    return found


def main() -> int:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    jobs = sys.argv[2] if len(sys.argv) > 2 else str(min(8, os.cpu_count() or 1))
    names = ("a", "b", "c")
    with tempfile.TemporaryDirectory() as top:
        base = Path(top)
        (base / "home").mkdir()
        world = World(base=base, upstream=base, clone=base, env=environment(base / "home"))
        upstreams(world, names)
        with counted(base / "served", world.env) as server:
            folder = checkouts(world, names, number, server.url)
            paths = sorted(map(str, folder.iterdir()))
            at_once = [[*RESYNC, "run", "--yes", "--json", "--jobs", jobs, "--all", str(folder)]]
            one_by_one = [[*RESYNC, "run", "--yes", "--json", "--repo", path] for path in paths]
            print(f"{number} checkouts of {len(names)} upstreams, {jobs} at once")
            print(f"{'':34}{'wall s':>8}{'cpu s':>8}  statuses")
            many = told("one command, all rewritten", measured(world, at_once))
            asked = dict(server.asked)
            largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"asked at the servers: {asked}; largest process {largest:.0f} MiB", flush=True)
            again = told("one command, nothing new", measured(world, at_once))
            start = told("only to start as often", measured(world, [["-c", LOAD]] * number))
            nothing = told("single runs, nothing new", measured(world, one_by_one))
            checkouts(world, names, number, server.url)
            single = told("single runs, all rewritten", measured(world, one_by_one))
    for words, ours, theirs in (("rewritten", many, single), ("nothing new", again, nothing)):
        print(
            f"{words}: one command takes {ours[0] / theirs[0]:.2f} of the time of single runs,"
            f" {ours[1] / theirs[1]:.2f} of their processor time, and"
            f" {ours[1] / (theirs[1] - start[1]):.2f} of it without their starts"
        )
    return int(any(times != 1 for times in asked.values()) or many[2] != {0} or single[2] != {0})


if __name__ == "__main__":
    sys.exit(main())
