"""Git LFS itself over a whole run, with a remote that is a folder: its own standalone transfer."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests import rewritten
from tests.conftest import World, needs_git
from tests.test_filters import LATER, settle

pytestmark = [
    needs_git,
    pytest.mark.skipif(shutil.which("git-lfs") is None, reason="Git LFS (git-lfs) is not installed"),
]

RULES = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
COMMANDS = {"clean": "git-lfs clean -- %f", "smudge": "git-lfs smudge -- %f", "required": "true"}
PROCESS = {"process": "git-lfs filter-process"}


def blob(seed: int) -> bytes:
    return random.Random(seed).randbytes(5000)


def configure(world: World, kind: str, at: Path | None = None) -> None:
    for name, value in {**COMMANDS, **(PROCESS if kind == "process" else {})}.items():
        world.git("config", f"filter.lfs.{name}", value, at=at)


def start(world: World, kind: str) -> None:
    """A clone whose large files LFS brought; upstream was rewritten and has others of two of them."""
    at = rewritten.work(world)
    world.git("remote", "set-url", "origin", f"file://{world.upstream}", at=at)
    configure(world, kind, at)
    files = {f"{name}.bin": blob(number) for number, name in enumerate(("theirs", "mine", "both", "same"))}
    world.commit("Start", {".gitattributes": RULES, "README": "r\n", **files}, at=at)
    world.commit("Old way", {"README": "old\n"}, at=at)
    publish(world)
    world.git("clone", "-q", "--no-checkout", f"file://{world.upstream}", str(world.clone), at=world.base)
    configure(world, kind)
    world.git("checkout", "-q", "main")
    settle(world)
    world.git("reset", "-q", "--hard", "HEAD~1", at=at)
    new = {"theirs.bin": blob(10), "both.bin": blob(12), "new.bin": blob(14)}
    world.commit("New way", new, at=at)
    publish(world)


def publish(world: World) -> None:
    world.git("lfs", "push", "-q", "--all", "origin", at=world.base / "work", check=False)
    rewritten.publish(world)


def stored(world: World, path: str, at: str = "HEAD") -> str:
    """What git has of a file: LFS's pointer."""
    return world.git("show", f"{at}:{path}")


def on_disk(world: World) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in world.clone.glob("*.bin")}


@pytest.mark.state(21)
@pytest.mark.parametrize("kind", ["one-shot", "process"])
def test_a_rewrite_where_files_live_in_lfs(world: World, kind: str) -> None:
    start(world, kind)
    world.commit("Mine", {"added.bin": blob(20)})
    world.write("mine.bin", blob(21))
    world.write("both.bin", blob(22))
    before = on_disk(world)
    done = world.resync("run", "--yes", "--json", "--dirty", "park")
    assert done.code == 3, done
    assert {file["path"]: file["verdict"] for file in done.json["files"]} == {
        "mine.bin": "kept",
        "both.bin": "parked",
    }
    assert on_disk(world) == {
        "theirs.bin": blob(10),
        "mine.bin": blob(21),
        "both.bin": blob(12),
        "same.bin": blob(3),
        "new.bin": blob(14),
        "added.bin": blob(20),
    }
    assert stored(world, "theirs.bin").startswith("version https://git-lfs")
    assert world.git("status", "--porcelain") == " M mine.bin"
    assert world.git("lfs", "fsck") == "Git LFS fsck OK"
    # What was parked is a pointer on the rescue branch, and its bytes are pinned.
    rescue = done.json["rescue"]["branch"]
    assert stored(world, "both.bin", rescue).startswith("version https://git-lfs")
    restored = world.resync("rescue", "restore", "both.bin", "--to", str(world.base / "out"))
    assert restored.code == 0, restored
    assert (world.base / "out" / "both.bin").read_bytes() == blob(22)
    assert world.resync("undo", "--yes", env=LATER).code == 0
    assert on_disk(world) == before
    assert world.git("status", "--porcelain") == " M both.bin\n M mine.bin"


def test_an_object_that_the_remote_does_not_have_refuses_before_anything_changes(world: World) -> None:
    start(world, "process")
    shutil.rmtree(world.upstream / "lfs")
    world.write("mine.bin", blob(21))
    before = world.state()
    done = world.resync("run", "--yes", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "filter-failed"), done
    assert world.state() == before
