"""When the system does not let resync go on: a sentence and not a bug, and everything as it was."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import World, needs_git

pytestmark = needs_git

RUN = ("run", "--yes", "--dirty", "park", "--json")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.parametrize("free", [64, 96, 128, 192, 256, 384])
def test_a_disk_that_fills(rewritten_world: World, free: int, tmp_path: Path) -> None:
    """Wherever it stops, nothing is lost, nothing is called a bug, and 0 is not claimed."""
    world = rewritten_world
    size = int(subprocess.check_output(["du", "-sk", world.clone]).split()[0])
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size + free}k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        subprocess.run(["cp", "-a", world.clone, disk / "clone"], check=True)
        small = World(base=world.base, upstream=world.upstream, clone=disk / "clone", env=world.env)
        before = small.state()
        done = small.resync(*RUN)
        if done.code == 3:
            return
        assert done.code in (1, 75), done
        assert done.json["error"]["kind"] != "bug"
        after = small.state()
        assert (after["head"], after["index"], after["files"]) == (
            before["head"],
            before["index"],
            before["files"],
        )
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_run_that_was_killed_early(rewritten_world: World) -> None:
    """Its locks are named by status and cleared away by abort."""
    world = rewritten_world
    run = world.clone / ".git" / "resync" / "runs" / "20160419T190232Z-dead"
    assert world.resync(*RUN).code == 3
    done = next((world.clone / ".git" / "resync" / "runs").iterdir())
    done.rename(run)
    state = run / "state.json"
    for path in (state, run / "plan.json"):
        record = json.loads(path.read_text().replace('"done"', '"planned"').replace(done.name, run.name))
        del record["sha256"]  # one without is as good
        path.write_text(json.dumps(record))
    proof = run / "proof"
    proof.write_text("../../../index")
    os.link(proof, world.clone / ".git" / "index.lock")
    status = world.resync("status")
    assert status.code == 4, status
    assert "resync abort" in status.out
    assert world.resync("abort").code == 0
    assert not (world.clone / ".git" / "index.lock").exists()
    assert world.resync("status").code == 0
