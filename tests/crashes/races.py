"""The race sweep: others are at work in the same clone at the same time; nothing of anybody is lost."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from collections.abc import Callable, Sequence

from tests.conftest import Done
from tests.crashes.kill import check_seeds, kill
from tests.crashes.oracle import Lost, Place, check_whole, difference, state
from tests.crashes.sample import Sample, Swept
from tests.crashes.scenarios import RUN, later, named
from tests.crashes.stage import Prepared, Stage, world_at
from tests.crashes.trace import Call

ROUNDS = 200
_CARRIED_OUT, _UNFINISHED, _BUSY = (0, 3), 4, 75
_HONEST = (0, 1, 3, 4, 75)
_COMMITTER = ("git", "commit", "-q", "-a", "-m", "meanwhile")


# --- several at once ----------------------------------------------------------------------------------


def many(stage: Stage, prepared: Prepared, chance: random.Random) -> str:
    """Two to eight runs at once: one carries it out, the others wait, are refused, or find nothing to do."""
    stage.restore("start")
    count = chance.randint(2, 8)
    most = chance.choice((0.0, 0.005, 0.05))
    pauses = [chance.uniform(0, most) for _ in range(count)]
    done = stage.run_together(prepared.scenario, *RUN, pauses=pauses)
    _check_honest(done)
    check_seeds(prepared)
    if not any(each.code in _CARRIED_OUT for each in done):
        raise Lost(f"nobody carried it out: {done}")
    if words := difference(prepared.after, state(prepared.place)):
        raise Lost(words)
    check_whole(prepared.place)
    return f"{sum(each.code in _CARRIED_OUT for each in done)} of {count} went through"


def with_git(stage: Stage, prepared: Prepared, chance: random.Random) -> str:
    """git commits, adds, fetches or packs and prunes in a loop while a run is at work."""
    stage.restore("start")
    name = chance.choice(sorted(_LOOPS))
    made, stop = stage.now / "made", stage.now / "stop"
    loop = f"while [ ! -e '{stop}' ]; do {_LOOPS[name]}; done"
    env = later(world_at(stage.now), 0)
    others = subprocess.Popen(
        ["/bin/sh", "-c", loop],
        cwd=prepared.place.clone,
        env=env,
        stdout=made.open("wb"),
        stderr=subprocess.DEVNULL,
    )
    try:
        done = stage.run(prepared.scenario, *RUN, number=0)
    finally:
        stop.touch()
        others.wait()
    _settle(stage, prepared, done)
    reached = set(prepared.place.git("rev-list", "--all", "HEAD").split())
    if gone := {line for line in made.read_bytes().split() if len(line) == 40} - reached:
        raise Lost(f"commits that were made meanwhile are gone: {sorted(gone)}")
    return f"git {name}: status {done.code}"


_LOOPS = {
    "commit": "git commit -q -a -m meanwhile && git rev-parse HEAD",
    "commit --allow-empty": "git commit -q --allow-empty -m meanwhile && git rev-parse HEAD",
    "add": "git add -A; git reset -q",
    "fetch": "git fetch -q",
    "gc": "git gc -q --prune=now",
}


def with_editor(stage: Stage, prepared: Prepared, chance: random.Random) -> str:
    """An editor saves files that the run switches, by renaming over them."""
    stage.restore("start")
    path = chance.choice(["etc/tool.conf", "notes.txt", "numbers.txt"])
    full = prepared.place.clone / path
    editor = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _EDITOR, str(full), f"{10 ** chance.uniform(-3, -1):.4f}"],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert editor.stdout is not None
    assert editor.stdout.readline() == "it is at work\n"
    try:
        done = stage.run(prepared.scenario, *RUN, number=0)
    finally:
        last = editor.communicate("stop\n")[0].strip()
    _settle(stage, prepared, done, saved={str(full)})
    if last and not _kept(prepared.place, last.encode()):
        raise Lost(f"what the editor saved last is nowhere: {last}")
    return f"{path}: status {done.code}"


_EDITOR = """
import os, select, sys
path, pause, number = sys.argv[1], float(sys.argv[2]), 0
print("it is at work", flush=True)
while not select.select([sys.stdin], [], [], pause)[0]:
    number += 1
    with open(path + "~", "w") as file:
        file.write(f"saved-{number}")
    os.rename(path + "~", path)
    last = f"saved-{number}"
print(last if number else "")
"""


def _kept(place: Place, data: bytes) -> bool:
    for path in [*place.clone.rglob("*"), *place.git_dir.glob("resync/runs/*/*/*")]:
        with contextlib.suppress(OSError):
            if path.is_file() and path.read_bytes() == data:
                return True
    oid = place.git("hash-object", "--stdin", stdin=data).strip()
    return oid in place.git("rev-list", "--objects", "--no-object-names", "--all", "HEAD").split()


# --- between two steps --------------------------------------------------------------------------------


def between(stage: Stage, prepared: Prepared, sample: Sample) -> Swept:
    """``git commit -a`` at every call: what it commits is what was there before the run, or what is after it.

    The run stands still there because it was killed; its locks and files are as they are while it is at work.
    """
    count = len(prepared.calls)
    swept = Swept(name=prepared.scenario.name, calls=count, meant=count)
    trees = {_committed_tree(stage, prepared, name) for name in ("start", "done")}
    for number in sample.of(count):
        call = prepared.calls[number]
        swept.ended += 1
        try:
            swept.met[_commit_at(stage, prepared, call, trees)] += 1
        except Lost as lost:
            swept.failures.append(f"before {call}: {lost}")
    return swept


def _committed_tree(stage: Stage, prepared: Prepared, name: str) -> tuple[bytes, bytes]:
    """Parent and tree of what ``git commit -a`` makes of a saved state."""
    stage.restore("start")
    if name == "done":
        stage.run(prepared.scenario, *prepared.scenario.command, number=len(prepared.scenario.first))
    if why := _commit(prepared.place):
        raise Lost(f"git can commit nothing: {why}")
    return _parent_and_tree(prepared.place)


def _commit_at(stage: Stage, prepared: Prepared, call: Call, trees: set[tuple[bytes, bytes]]) -> str:
    place = prepared.place
    kill(stage, prepared, call)
    if why := _commit(place):
        return why
    found = _parent_and_tree(place)
    if found not in trees:
        raise Lost(f"a commit of what is neither before nor after: {place.git('show', '--stat').decode()}")
    made = place.git("rev-parse", "HEAD").strip()
    done = stage.run(prepared.scenario, "continue", number=len(prepared.scenario.first) + 1)
    _check_honest([done])
    check_seeds(prepared)
    if made not in place.git("rev-list", "--all", "HEAD").split():
        raise Lost("the commit is gone")
    return "committed, before or after"


def _commit(place: Place) -> str:
    """Commit as git does; why it does not, in words."""
    done = subprocess.run(_COMMITTER, cwd=place.clone, env=place.env, capture_output=True, check=False)
    if done.returncode and not any(each in done.stderr for each in (b".lock", b"cannot lock ref")):
        raise Lost(f"git commit fails: {(done.stdout + done.stderr).decode(errors='replace')}")
    return "git waits for the run" if done.returncode else ""


def _parent_and_tree(place: Place) -> tuple[bytes, bytes]:
    parent, tree = place.git("rev-parse", "HEAD^", "HEAD^{tree}").split()
    return parent, tree


# --- playing ------------------------------------------------------------------------------------------

RACES: dict[str, Callable[[Stage, Prepared, random.Random], str]] = {
    "resync beside resync": many,
    "git beside resync": with_git,
    "an editor beside resync": with_editor,
}


def play(stage: Stage, what: str, sample: Sample, *, seed: int) -> Swept:
    """Race 200 times, or as often as the sample has it."""
    prepared = stage.prepare(named("conflicts"), traced=False)
    swept = Swept(name=what, meant=ROUNDS)
    for number in sample.of(ROUNDS):
        swept.ended += 1
        try:
            swept.met[RACES[what](stage, prepared, random.Random(seed * 1_000_003 + number))] += 1
        except Lost as lost:
            swept.failures.append(f"round {number}: {lost}")
    return swept


def _check_honest(done: Sequence[Done]) -> None:
    for each in done:
        if each.code not in _HONEST or "Traceback" in each.err:
            raise Lost(f"no honest status: {each}")


def _settle(stage: Stage, prepared: Prepared, done: Done, saved: set[str] | None = None) -> None:
    """Finish what the race left, and see that nothing is lost but what somebody else saved over."""
    _check_honest([done])
    if done.code == _UNFINISHED:
        done = stage.run(prepared.scenario, "continue", number=1)
        _check_honest([done])
        if done.code == _UNFINISHED:
            raise Lost(f"it cannot be finished: {done}")
    check_seeds(prepared, but=saved or set())
    check_whole(prepared.place)
