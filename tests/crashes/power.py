"""The power sweep: what was not synced is gone, at every call; the backup is durable before any change.

Neighbouring calls often leave the same: states that are alike in all bytes, modes and names are judged once,
and count as so many ends. When the run is over, all that it said it did has to be there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from tests.crashes.disk import Disk, Forgets
from tests.crashes.kill import check_gone, check_seeds, recover
from tests.crashes.oracle import Lost, Place, difference, state
from tests.crashes.sample import Sample, Swept
from tests.crashes.stage import Prepared, Stage, record
from tests.crashes.trace import Call

FORGETS: tuple[Forgets, ...] = ("data", "names", "both")


def sweep(stage: Stage, prepared: Prepared, sample: Sample) -> Swept:
    """Cut the power before every call (or a sample), and look at each state that this can leave, once.

    Is anything lost, and can the run be finished and taken back? In any case before the first change of the
    user's files, index or HEAD, where the backup has to be durable.
    """
    stage.restore("start")
    calls = stage.recording(prepared.scenario).everything(stage.now)
    stage.save("end")
    changing = [number for number, call in enumerate(calls) if call.changes]
    first = first_change(prepared, calls)
    begins = [changing.index(first)] if first is not None else []
    swept, seen = Swept(name=prepared.scenario.name, calls=len(changing)), set[bytes]()
    swept.meant = len(FORGETS) * (len(changing) + len(begins) + 1)
    for numbers in chain([iter(begins)], sample.rounds(len(changing))):
        stage.restore("start")
        disk, at = Disk(stage.now), 0
        for number in (changing[each] for each in numbers):
            for call in calls[at:number]:
                disk.carry_out(call)
            at = number
            for forgets in FORGETS:
                swept.ended += 1
                found = disk.print_of(forgets)
                if found not in seen:
                    seen.add(found)
                    _look(stage, prepared, disk, forgets, calls[number], swept, change=number == first)
    _at_the_end(stage, prepared, calls, swept)
    return swept


def _look(
    stage: Stage,
    prepared: Prepared,
    disk: Disk,
    forgets: Forgets,
    call: Call,
    swept: Swept,
    *,
    change: bool,
) -> None:
    try:
        cut(stage, disk, forgets)
        check_seeds(prepared)
        if change:
            check_backup(prepared.place)
        stage.save("killed")
        recover(stage, prepared)
        swept.recovered += 1
    except Lost as lost:
        swept.failures.append(f"{forgets} not synced is gone before {call}: {lost}")


def cut(stage: Stage, disk: Disk, forgets: Forgets) -> None:
    """Have here what the power cut leaves."""
    shutil.rmtree(stage.now)
    stage.now.mkdir()
    disk.put(stage.now, forgets)


def first_change(prepared: Prepared, calls: Sequence[Call]) -> int | None:
    """The number of the first call that changes files, index or HEAD; None where none does."""
    changes = (number for number, call in enumerate(calls) if _changes_work(call, prepared.place))
    return next(changes, None)


def _changes_work(call: Call, place: Place) -> bool:
    """Whether the call changes files, index or HEAD."""
    if not call.changes or call.name in ("mkdir", "mkdirat"):
        return False
    inside = os.fsencode(place.git_dir) + b"/"
    ours = (inside + b"HEAD", inside + b"index", inside + b"refs/heads/main", inside + b"refs/heads/topic")
    tops = tuple(os.fsencode(top) + b"/" for top in place.checkouts)
    return any(
        each in ours or (each.startswith(tops) and not each.startswith(inside)) for each in call.places
    )


def check_backup(place: Place) -> None:
    """Raise ``Lost`` where the newest run's backup is not all there and readable."""
    plans = [_planned(path) for path in place.git_dir.glob("resync/runs/*/plan.json")]
    wanted = max(plans, key=max, default={})
    if not wanted:
        raise Lost("there is no durable plan")
    found = dict(line.split()[::-1] for line in place.git("show-ref").decode().splitlines())
    if missing := sorted(name for name, oid in wanted.items() if found.get(name) != oid):
        raise Lost(f"not durable yet: {missing}")
    _check_readable(place)


def _planned(path: Path) -> dict[str, str]:
    steps = record(path)["plan"]["steps"]
    return {each["name"]: each["new"] for step in steps if step["step"] == "Backup" for each in step["refs"]}


def _check_readable(place: Place) -> None:
    oids = place.git("rev-list", "--objects", "--no-object-names", "--all")
    answer = place.git("cat-file", "--batch-check", stdin=oids)
    if b" missing" in answer:
        raise Lost("the backup reaches objects that are not there")
    place.git("fsck", "--strict", "--no-dangling", "--no-progress")


def _at_the_end(stage: Stage, prepared: Prepared, calls: Sequence[Call], swept: Swept) -> None:
    """Cut the power when all is done, and was said to be: it has to be so."""
    stage.restore("start")
    disk = Disk(stage.now)
    for call in calls:
        disk.carry_out(call)
    for forgets in FORGETS:
        swept.ended += 1
        cut(stage, disk, forgets)
        try:
            if words := difference(prepared.goal, state(prepared.place)):
                raise Lost(words)
            check_gone(prepared)
            stage.save("killed")
            recover(stage, prepared)  # of its locks, some are there again
            swept.recovered += 1
        except Lost as lost:
            swept.failures.append(f"{forgets} not synced is gone at the end: {lost}")
    _check_model(stage, disk)


def _check_model(stage: Stage, disk: Disk) -> None:
    """The model is worth something only if it comes to what the disk came to."""
    cut(stage, disk, "nothing")
    modelled = dict(_contents(stage.now))
    stage.restore("end")
    real = dict(_contents(stage.now))
    differing = sorted(path for path in {*modelled, *real} if modelled.get(path) != real.get(path))
    assert not differing, f"the model of the disk is wrong: {differing}"


def _contents(top: Path) -> Iterator[tuple[str, bytes]]:
    for path in top.rglob("*"):
        if path.is_symlink():
            yield str(path.relative_to(top)), os.fsencode(os.readlink(path))
        elif path.is_file():
            yield str(path.relative_to(top)), path.read_bytes()
