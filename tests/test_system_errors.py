"""When the system does not let resync go on: a sentence and not a bug, and everything as it was."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path

import pytest

from resync.journal import Journals
from tests.conftest import World, needs_git
from tests.inside import inside

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


@pytest.mark.parametrize("look", ["sitting", "entries"])
@pytest.mark.parametrize("command", ["run", "undo"])
def test_a_run_that_is_done_is_called_done(
    rewritten_world: World, monkeypatch: pytest.MonkeyPatch, command: str, look: str
) -> None:
    """Whatever the system says to a look at what waits afterwards, or at what there was before."""
    world, park = rewritten_world, ("--dirty", "park") if command == "run" else ()
    if command == "undo":
        assert inside(world, "run", "--yes", "--dirty", "park").code == 3
    tip, looked = world.git("rev-parse", "main"), getattr(Journals, look)

    def denied(journals: Journals, *others: object) -> object:
        if world.git("rev-parse", "main") != tip:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), journals.folder)
        return looked(journals, *others)

    monkeypatch.setattr(Journals, look, denied)
    done = inside(world, command, "--yes", *park)
    assert (done.code, "Nothing of yours was changed" in done.err) == (3, False), done
    assert "What waits for you cannot be looked at now" in done.out + done.err
    assert "Done. main is at" in done.out


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


def test_the_folder_in_which_it_was_called_is_gone(rewritten_world: World) -> None:
    """As upstream may make it go: a checkout that is named by its whole path is worked on all the same."""
    world, here = rewritten_world, os.getcwd()
    gone = world.base / "gone"
    try:
        for arguments, code in (
            (("status", "--json"), 2),
            (("run", "--yes", "--json", "--repo", "../clone"), 2),
            (("check", "--json", "--all", "."), 2),
            (("status", "--json", "--repo", str(world.clone)), 0),
        ):
            gone.mkdir()
            os.chdir(gone)
            gone.rmdir()
            done = inside(world, *arguments, at=Path("."), back=world.base)
            assert done.code == code, (arguments, done)
            if code:
                assert done.json["error"]["kind"] == "no-such-folder"
    finally:
        os.chdir(here)


class PanicException(BaseException):
    """As that of dulwich's Rust, which no ``except Exception`` sees."""


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (MemoryError(), 1, "out-of-memory"),
        (PanicException("PyObject pointer is null"), 1, "out-of-memory"),
        (PanicException("index out of bounds"), 70, "bug"),
    ],
)
def test_a_panic_is_told_in_words(
    rewritten_world: World, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, kind: str
) -> None:
    def fails(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("resync.cli._dispatch", fails)
    done = inside(rewritten_world, "check", "--json")
    assert (done.code, done.json["error"]["kind"]) == (code, kind)
