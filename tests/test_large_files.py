"""Files above ``core.bigFileThreshold``: saved, switched and brought back without being held in memory."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests import rewritten
from tests.conftest import CLOCK, Done, World, needs_git
from tests.inside import inside

pytestmark = needs_git

MIB = 1 << 20
SIZE = 24 * MIB
MOST = 60  # MiB: Python and dulwich alone take 40 to 45, so that one file more would show
RUN = ("run", "--yes", "--json", "--dirty", "park")
LATER = {"GIT_COMMITTER_DATE": f"{CLOCK + 60} +0000"}

# The peak of its memory, in MiB, is the last line on standard error.
_MEASURED = """
    import sys
    from resync.cli import run_command
    code = run_command(sys.argv[1:])
    with open("/proc/self/status") as file:
        (peak,) = (line.split()[1] for line in file if line.startswith("VmHWM"))
    print(int(peak) >> 10, file=sys.stderr)
    sys.exit(code)
"""


def start(world: World) -> None:
    """A clone with a threshold of 1 MiB, and an upstream that was rewritten."""
    rewritten.start(world)
    for at in (world.clone, rewritten.work(world), world.upstream):
        world.git("config", "core.bigFileThreshold", "1m", at=at)  # git makes no deltas of them then


def large(world: World, path: str, mark: str, at: Path | None = None) -> str:
    """A file of 24 MiB, most of it holes; returns its SHA-256."""
    full = world.write(path, f"{mark}\n" * 50_000, at=at)
    with full.open("ab") as file:
        file.truncate(SIZE)
    return digest(full)


def digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(MIB):
            found.update(piece)
    return found.hexdigest()


def measured(world: World, *arguments: str) -> tuple[Done, int]:
    """Run resync and measure it: what it did, and its peak in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_MEASURED), *arguments],
        cwd=world.clone,
        env={**world.env, **LATER},
        capture_output=True,
        text=True,
        check=False,
    )
    *said, peak = done.stderr.splitlines()
    return Done(done.returncode, done.stdout, "\n".join(said)), int(peak)


@pytest.mark.skipif(sys.platform != "linux", reason="nothing says there how much memory a process took")
def test_large_files_go_both_ways_a_piece_at_a_time(world: World) -> None:
    """One that both sides edited, one that is edited only here, one in the way of a new one."""
    start(world)
    at = rewritten.work(world)
    for path in ("both.img", "mine.img"):
        large(world, path, "base", at)
        world.git("add", path, at=at)
    world.git("commit", "-q", "-m", "Images", at=at)
    rewritten.publish(world)
    world.git("pull", "-q")
    world.git("reset", "-q", "--hard", "HEAD~1", at=at)
    for path in ("both.img", "mine.img"):
        large(world, path, "base" if path == "mine.img" else "theirs", at)
        world.git("add", path, at=at)
    theirs = large(world, "way.img", "in the way", at)
    world.git("add", "way.img", at=at)
    world.git("commit", "-q", "-m", "Other images", at=at)
    rewritten.publish(world)
    mine = {path: large(world, path, f"mine {path}") for path in ("both.img", "mine.img", "way.img")}

    # The fetch is dulwich's, which holds what it fetches.
    world.git("fetch", "-q")
    done, peak = measured(world, *RUN, "--no-fetch")
    assert done.code == 3, done
    assert {file["path"]: file["verdict"] for file in json.loads(done.out)["files"]} == {
        "both.img": "parked",
        "mine.img": "kept",
        "way.img": "parked",
    }
    assert digest(world.clone / "mine.img") == mine["mine.img"]
    assert digest(world.clone / "way.img") == theirs
    assert world.git("status", "--porcelain") == " M mine.img"
    assert world.git("fsck", "--strict", "--no-dangling") == ""
    assert peak < MOST

    rescue = json.loads(done.out)["rescue"]["branch"]
    for path, parent in (("both.img", ""), ("way.img", "^3")):
        out = world.base / "kept"
        with out.open("wb") as file:
            command = ["git", "cat-file", "blob", f"{rescue}{parent}:{path}"]
            subprocess.run(command, cwd=world.clone, env=world.env, stdout=file, check=True)
        assert digest(out) == mine[path]

    done, peak = measured(world, "rescue", "restore", "both.img", "--to", str(world.base / "out"))
    assert done.code == 0, done
    assert digest(world.base / "out" / "both.img") == mine["both.img"]
    assert peak < MOST
    done, peak = measured(world, "undo", "--yes")
    assert done.code == 0, done
    assert {path: digest(world.clone / path) for path in mine} == mine
    assert peak < MOST


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ("*.img filter=f\n", "goes through a filter"),
        ("*.img text\n", "its line ends may have to be converted"),
    ],
    ids=["filter", "text"],
)
def test_one_that_is_converted_is_refused_before_anything_changes(
    world: World, rules: str, reason: str
) -> None:
    start(world)
    world.git("config", "filter.f.clean", "cat")
    world.commit("Rules", {".gitattributes": rules, "mine.img": "small\n"})
    large(world, "mine.img", "mine\r")
    rewritten.rewrite(world)
    before = world.state()
    done = world.resync(*RUN)
    assert (done.code, done.json["error"]["kind"]) == (1, "huge-file")
    assert f"'mine.img' is too large to be held in memory, and {reason}." in done.json["error"]["message"]
    assert world.state() == before


def test_a_threshold_is_for_files_alone(world: World) -> None:
    """Folders and commits are larger than it, in what is fetched from a path and in what is backed up."""
    rewritten.start(world)
    at = rewritten.work(world)
    for place in (world.clone, at, world.upstream):
        world.git("config", "core.bigFileThreshold", "300", at=place)
    rewritten.rewrite(world)
    for place in (world.clone, at):
        for number in range(20):
            world.write(f"wide-{place.name}/{number}", place.name, at=place)
        world.git("add", "-A", at=place)
        world.git("commit", "-q", "-m", "One\n\n" + "word " * 100, at=place)
    new = rewritten.publish(world)
    world.write("untracked", "mine\n" * 100)
    done = inside(world, *RUN)
    assert done.json["error"] is None
    assert (done.code, done.json["upstream"]["new_tip"]) == (0, new)
    world.git("fsck", "--strict")
    assert inside(world, "undo", "--yes").code == 0
