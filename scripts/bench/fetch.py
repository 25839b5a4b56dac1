"""Fetches beside ``git fetch`` in one run: how long, and how many bytes.

    scripts/bench/fetch.py [ROUNDS]

The real event's 1,001 new commits, and nothing new, over HTTP (git's http-backend behind Python's server) and
over a path; a one-commit update over git://, in bytes. Ours is measured as a call (``fetch``, modules loaded)
and as a process of its own that does nothing else, git's as a process: the best by the clock and of processor
time, and the ratios to git. Leaves with status 1 where a call breaks a bound.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests import servers
from tests.conftest import EVENT, World, environment

BRANCH = "stable/liberty"
BUNDLE = EVENT / "kolla-event.bundle"
OURS = """
import json, os, sys, time
import dulwich.client, dulwich.config, dulwich.pack, dulwich.repo, urllib3
from resync.remote import connect, daemon, http, ssh
from resync.repository import Repository
from resync.upstream.fetch import fetch
from resync.upstream.find import find
before = time.perf_counter(), time.process_time()
with Repository.open(".", os.environ) as repository:
    found = fetch(repository, find(repository, repository.head(), None), lambda message: None)
print(json.dumps([time.perf_counter() - before[0], time.process_time() - before[1], found.tip.decode()]))
"""


class Cost(NamedTuple):
    """Seconds by the clock and of the processor."""

    clock: float
    processor: float


def timed(command: list[str], world: World) -> tuple[Cost, str]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=world.clone, env=world.env, capture_output=True, text=True, check=False
    )
    clock = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(clock, used), done.stdout


def ours(world: World) -> tuple[Cost, Cost]:
    """A fetch of ours: the call, and the whole process."""
    whole, printed = timed([sys.executable, "-c", OURS], world)
    clock, processor, _ = json.loads(printed)
    return Cost(clock, processor), whole


def git(world: World) -> Cost:
    return timed(["git", "fetch", "-q", "--no-tags", "origin", BRANCH], world)[0]


def event(base: Path) -> World:
    """The event's upstream after it, and a clone from before."""
    home = base / "home"
    home.mkdir()
    world = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(home))
    world.env["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    world.git("init", "-q", "--bare", str(world.upstream), at=base)
    world.git("fetch", "-q", "--no-tags", str(BUNDLE), "refs/*:refs/event/*", at=world.upstream)
    world.git("update-ref", f"refs/heads/{BRANCH}", "refs/event/resync/old", at=world.upstream)
    world.git("symbolic-ref", "HEAD", f"refs/heads/{BRANCH}", at=world.upstream)
    world.git("clone", "-q", "--no-local", "--single-branch", str(world.upstream), str(world.clone), at=base)
    world.git("update-ref", f"refs/heads/{BRANCH}", "refs/event/resync/new", at=world.upstream)
    shutil.copytree(world.clone, base / "pristine", symlinks=True)
    return world


def compare(world: World, name: str, rounds: int, fresh: bool, bound: float) -> bool:
    """Print one line; whether the bound is kept by the call."""
    calls, wholes, gits = [], [], []
    url = world.git("config", "remote.origin.url")

    def again() -> None:
        if fresh:
            shutil.rmtree(world.clone)
            shutil.copytree(world.base / "pristine", world.clone, symlinks=True)
            world.git("config", "remote.origin.url", url)

    for _ in range(rounds):
        again()
        gits.append(git(world))
        again()
        call, whole = ours(world)
        calls.append(call)
        wholes.append(whole)
    call, whole, its = (Cost(*map(min, zip(*each, strict=True))) for each in (calls, wholes, gits))
    print(
        f"{name:32} git {its.clock * 1000:6.0f} ms ({its.processor * 1000:5.0f})"
        f"   call {call.clock * 1000:6.0f} ms ({call.processor * 1000:5.0f})"
        f"   process {whole.clock * 1000:6.0f} ms   ratio {call.clock / its.clock:5.2f}"
        f", with start-up {whole.clock / its.clock:5.2f}   bound {bound:g}"
    )
    return call.clock <= bound * its.clock


def transferred(world: World) -> bool:
    """Bytes of a one-commit update over git://, both ways, for git and for us."""
    world.git("fetch", "-q")
    counts = []
    with servers.over_git(world) as url:
        port = int(url.split(":")[2].split("/")[0])
        for act in (git, ours):
            tip = world.git("rev-parse", BRANCH, at=world.upstream)
            tree = world.git("rev-parse", f"{tip}~3^{{tree}}", at=world.upstream)
            new = world.git("commit-tree", "-p", tip, "-m", "One", tree, at=world.upstream)
            world.git("update-ref", f"refs/heads/{BRANCH}", new, at=world.upstream)
            with servers.counted(port) as count:
                world.git("config", "remote.origin.url", f"git://127.0.0.1:{count.port}/up.git")
                act(world)
                time.sleep(0.2)
            counts.append(count.bytes)
            world.git("config", "remote.origin.url", str(world.upstream))
            world.git("fetch", "-q")
    its, our = counts
    print(f"{'one commit, bytes':32} git {its}   resync {our}   ratio {our / its:.2f}   bound 2")
    return our <= 2 * its


def main(rounds: int = 3) -> int:
    if not BUNDLE.exists():
        raise SystemExit(f"{BUNDLE} is not there")
    kept = True
    ways: dict[str, tuple[Callable[[World], AbstractContextManager[str]], float]] = {
        "http": (servers.over_http, 3),
        "path": (lambda world: nullcontext(str(world.upstream)), 5),
    }
    with tempfile.TemporaryDirectory() as folder:
        world = event(Path(folder))
        for name, (way, bound) in ways.items():
            with way(world) as url:
                world.git("config", "remote.origin.url", url)
                kept &= compare(world, f"{name}: 1,001 commits", rounds, True, bound)
        world.git("config", "remote.origin.url", str(world.upstream))
        world.git("fetch", "-q", "origin")
        for name, (way, _) in ways.items():
            with way(world) as url:
                world.git("config", "remote.origin.url", url)
                kept &= compare(world, f"{name}: nothing new", max(rounds, 5), False, 1.5)
        world.git("config", "remote.origin.url", str(world.upstream))
        kept &= transferred(world)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
