"""A quick part of every sweep; ``scripts/crash-sweep`` carries them out whole."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resync.errors import ExitCode
from tests.conftest import World, needs_git
from tests.crashes import damage, faults, intercept, kill, power, races, table, trace
from tests.crashes.audit import recorded
from tests.crashes.disk import Disk
from tests.crashes.kill import check_seeds, recover
from tests.crashes.oracle import Lost, check_kept, check_whole
from tests.crashes.sample import Sample, Swept
from tests.crashes.scenarios import named
from tests.crashes.stage import Stage
from tests.crashes.starter import KILLED

pytestmark = needs_git
_LACKING = trace.unusable() or intercept.unusable()
needs_strace = pytest.mark.skipif(bool(_LACKING), reason=f"not swept: {_LACKING}")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the quick sweeps fork and look into /proc")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with table.on_a_stage() as made:
        yield made


def check(swept: Swept, ends: int) -> None:
    assert swept.failures == []
    assert swept.ended >= ends


@needs_strace
@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("conflicts", 6),
        ("undo of branches", 3),
        ("two trees", 4),
        ("continue at 60%", 3),
        ("abort at 60%", 3),
        ("begin to resolve", 2),
        ("resolved", 3),
        ("given up", 2),
        ("an old run is forgotten", 2),
        ("a rescue branch is dropped", 3),
        ("a file is restored", 2),
    ],
)
def test_killed(stage: Stage, name: str, ends: int) -> None:
    check(kill.sweep(stage, stage.prepare(named(name)), Sample(at_most=ends)), ends)


@needs_linux
def test_killed_where_nothing_can_trace(stage: Stage) -> None:
    """The same by the audit hooks of Python: this runs everywhere, and so is counted by itself."""
    prepared = stage.prepare(named("conflicts"), traced=False)
    stage.restore("start")
    calls = recorded(stage, prepared)
    assert len(calls) > 100
    for number in Sample(at_most=6).of(len(calls)):
        stage.restore("start")
        audit = {"below": str(stage.now), "kill": number, "record": None}
        done = stage.run(prepared.scenario, *prepared.scenario.command, number=0, audit=audit)
        assert done.code == KILLED, (calls[number], done)
        check_seeds(prepared)
        stage.save("killed")
        recover(stage, prepared)


@needs_strace
def test_failed_by_the_system(stage: Stage) -> None:
    check(faults.sweep(stage, stage.prepare(named("in the way")), Sample(at_most=4)), 8)


@needs_strace
@pytest.mark.parametrize(
    ("name", "ends"), [("conflicts", 3), ("continue at 35%", 6), ("a rescue branch is dropped", 2)]
)
def test_without_power(stage: Stage, name: str, ends: int) -> None:
    check(power.sweep(stage, stage.prepare(named(name)), Sample(at_most=ends)), 3 * ends)


@needs_strace
def test_what_git_has_not_synced_is_durable_before_the_first_change(stage: Stage) -> None:
    """git leaves loose objects to the system, unless core.fsync says otherwise: a blob that was staged a
    moment ago may be nowhere after a power cut, and the backup names it."""
    prepared = stage.prepare(named("removal"))
    stage.restore("start")
    calls = stage.recording(prepared.scenario).everything(stage.now)
    stage.restore("start")
    objects = prepared.place.git_dir / "objects"
    disk = Disk(stage.now, unsynced=[*objects.glob("??/*")])
    for call in calls[: power.first_change(prepared, calls)]:
        disk.carry_out(call)
    power.cut(stage, disk, "data")
    check_seeds(prepared)
    power.check_backup(prepared.place)


@needs_strace
def test_a_commit_between_two_steps(stage: Stage) -> None:
    check(races.between(stage, stage.prepare(named("conflicts")), Sample(at_most=4)), 4)


@needs_linux
@pytest.mark.parametrize("what", sorted(races.RACES.keys() - {"git beside resync"}))
def test_raced(stage: Stage, what: str) -> None:
    """That beside git ends as git's timing has it, so it is the sweep's alone."""
    check(races.play(stage, what, Sample(at_most=1), seed=1), 1)


@needs_linux
@pytest.mark.parametrize("what", sorted(damage.KINDS))
def test_damaged(stage: Stage, what: str) -> None:
    if _LACKING and named(damage.KINDS[what].scenario).interrupt is not None:
        pytest.skip(f"not swept: {_LACKING}")
    check(damage.play(stage, what, Sample(at_most=3), seed=1), 3)


# --- the sweeps see what they are for ----------------------------------------------------------------


@needs_linux
def test_the_oracle_sees_what_is_lost(stage: Stage) -> None:
    prepared = stage.prepare(named("dirty"), traced=False)
    clone = prepared.place.clone
    losses = (
        lambda: (clone / "etc" / "tool.conf").write_text("not mine\n"),
        lambda: prepared.place.git("update-ref", "refs/heads/main", "main~1"),
        lambda: prepared.place.git("read-tree", "HEAD"),
    )
    for lose in losses:
        stage.restore("start")
        check_seeds(prepared)
        lose()
        with pytest.raises(Lost):
            check_kept(prepared.place, prepared.seeds[0])
    stage.restore("start")
    check_whole(prepared.place)
    (clone / ".git" / "index.lock").touch()
    with pytest.raises(Lost):
        check_whole(prepared.place)


@needs_strace
def test_a_run_ends_at_the_very_call(stage: Stage) -> None:
    """What is there then is what the model of a disk makes of the calls before it."""
    prepared = stage.prepare(named("conflicts"))
    stage.restore("start")
    calls = stage.recording(prepared.scenario).everything(stage.now)
    chosen = [number for number, call in enumerate(calls) if call.changes and call.main][5:-40:25]
    assert len(chosen) > 2
    for number in chosen:
        stage.restore("start")
        disk = Disk(stage.now)
        for call in calls[:number]:
            disk.carry_out(call)
        expected = stage.now.with_name(f"expected-{number}")
        expected.mkdir()
        disk.put(expected, "nothing")
        kill.kill(stage, prepared, calls[number])
        assert _sizes(stage.now) == _sizes(expected), calls[number]


def _sizes(top: Path) -> dict[str, int]:
    """The size of every file; what is random in the names of runs and of folders is left out."""
    files = [path for path in top.rglob("*") if path.is_file()]
    names = (
        re.sub("(incoming-resync-|Z-|json[.])[a-z0-9_]+", r"\1", str(path.relative_to(top))) for path in files
    )
    return {name: path.stat().st_size for name, path in zip(names, files, strict=True)}


@needs_strace
def test_the_disk_forgets_what_was_not_synced(stage: Stage, tmp_path: Path) -> None:
    """A program whose every call is known, on the model."""
    top, left = tmp_path / "disk", tmp_path / "left"
    (top / "a").mkdir(parents=True)
    (top / "a" / "old").write_bytes(b"old")
    disk = Disk(top)
    program = """
import os
here = os.path.abspath("a")
file = open(here + "/new", "wb", buffering=0)
file.write(b"bytes")
os.fsync(file.fileno())
file.write(b" more")
os.rename(here + "/old", here + "/../moved")
os.fsync(os.open(here, os.O_RDONLY))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.stdin.read()\n{program}"], cwd=top, stdin=subprocess.PIPE
    )
    recording = trace.Recording()
    tracer = recording.attach(process.pid)
    process.communicate()
    tracer.wait()
    for call in recording.everything(tmp_path):
        disk.carry_out(call)
    found = {}
    for forgets in ("nothing", *power.FORGETS):
        (left / forgets).mkdir(parents=True)
        disk.put(left / forgets, forgets)
        files = [path for path in (left / forgets).rglob("*") if path.is_file()]
        found[forgets] = {str(path.relative_to(left / forgets)): path.read_bytes() for path in files}
    assert found == {
        "nothing": {"a/new": b"bytes more", "moved": b"old"},
        "data": {"a/new": b"bytes", "moved": b"old"},
        "names": {"a/new": b"bytes more"},
        "both": {"a/new": b"bytes"},
    }


def test_what_was_done_is_not_called_failed(rewritten_world: World) -> None:
    """Where a full disk takes the last words, the run is done all the same, and a person has to look."""
    world = rewritten_world
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "resync", "run", "--yes", "--dirty", "park", "--json"],
            cwd=world.clone,
            env=world.env,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == ExitCode.WAITING, done
    assert world.git("rev-parse", "-q", "--verify", "ORIG_HEAD") != world.git("rev-parse", "main")
    refused = subprocess.run(
        [sys.executable, "-m", "resync", "no-such-folder"],
        cwd=world.clone,
        env=world.env,
        stderr=open("/dev/full", "w"),  # noqa: SIM115
        check=False,
    )
    assert refused.returncode == ExitCode.USAGE
