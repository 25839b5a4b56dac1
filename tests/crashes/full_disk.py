"""A disk that fills: a small one, with so much room left that a run stops sooner or later."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.crashes.faults import judge
from tests.crashes.oracle import Lost
from tests.crashes.sample import Sample, Swept
from tests.crashes.stage import Prepared, Stage

SIZES = tuple(range(4, 124, 6))
"""How much is free before the run, in KiB: twenty sizes, from the first write to a run that goes through."""


def unusable() -> str:
    """Empty where a small disk can be had, else why not."""
    if not hasattr(os, "geteuid") or os.geteuid():
        return "only root may mount a small disk"
    return "" if shutil.which("mount") else "mount is not here"


def sweep(stage: Stage, prepared: Prepared, sample: Sample) -> Swept:
    """Play the scenario's command on disks of all the sizes."""
    swept = Swept(name=prepared.scenario.name, meant=len(SIZES))
    for free in (SIZES[number] for number in sample.of(len(SIZES))):
        swept.ended += 1
        try:
            with _small_disk(stage, free):
                scenario = prepared.scenario
                done = stage.run(scenario, *scenario.command, number=len(scenario.first))
                _mount(stage, "remount,size=64m")
                judge(stage, prepared, done)
                swept.met[f"status {done.code}"] += 1
        except Lost as lost:
            swept.failures.append(f"{free} KiB free: {lost}")
    return swept


@contextmanager
def _small_disk(stage: Stage, free: int) -> Iterator[None]:
    shutil.rmtree(stage.now)
    stage.now.mkdir()
    _mount(stage, "size=64m")
    try:
        stage.saves.write("start", stage.now)
        status = os.statvfs(stage.now)
        used = (status.f_blocks - status.f_bfree) * status.f_frsize // 1024
        _mount(stage, f"remount,size={used + free}k")
        yield
    finally:
        subprocess.run(["umount", str(stage.now)], check=True)


def _mount(stage: Stage, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(stage.now)], check=True)
