"""Parked edits, offered to a person like conflicts; and edits that were set aside and do not fit any more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import World, needs_git
from tests.inside import inside
from tests.rewritten import CONFIG, LINES, publish, start, work

pytestmark = needs_git

STAGED = LINES.replace("line 2\n", "line two, as staged\n")
UNSTAGED = CONFIG.replace("setting_1 = 1\n", "setting_1 = mine\n")
THEIRS = LINES.replace("line 2\n", "line two, the new way\n")


def step(world: World, *arguments: str, code: int) -> Any:
    done = inside(world, *(arguments or ("continue",)), "--json")
    assert done.code == code, done
    return done.json


@pytest.fixture
def parked(world: World) -> World:
    """A staged edit and an unstaged one that a run parked, and one that it put back."""
    start(world)
    world.write("numbers.txt", STAGED)
    world.git("add", "numbers.txt")
    world.write("etc/tool.conf", UNSTAGED)
    world.write("README", "My tool.\n")
    at = work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    config = CONFIG.replace("setting_1 = 1\n", "setting_one = 1\n")
    world.commit("New way", {"numbers.txt": THEIRS, "etc/tool.conf": config}, at=at)
    publish(world)
    step(world, "run", "--yes", "--dirty", "park", code=3)
    return world


def test_offered_and_accepted(parked: World) -> None:
    """Staged ones stay staged, unstaged ones unstaged; no commit is under way."""
    world = parked
    before = world.state()
    offered = step(world, code=4)
    assert offered["sitting"]["conflicts"] == ["etc/tool.conf", "numbers.txt"]
    assert offered["sitting"]["commit"] is None
    assert not (world.clone / ".git" / "CHERRY_PICK_HEAD").exists()
    assert len(world.git("ls-files", "-u").splitlines()) == 6
    assert "<<<<<<< Updated upstream\n" in (world.clone / "numbers.txt").read_text()
    assert step(world, code=4)["error"]["kind"] == "unresolved"
    for path in ("numbers.txt", "etc/tool.conf"):
        world.write(path, f"{path}, resolved\n")
        world.git("add", path)
    assert step(world, code=0)["sitting"] is None
    assert sorted(world.git("status", "--porcelain").splitlines()) == [
        " M README",
        " M etc/tool.conf",
        "M  numbers.txt",
    ]
    assert (world.clone / "etc" / "tool.conf").read_text() == "etc/tool.conf, resolved\n"
    assert step(world, "status", code=0)["waiting"] == []
    undone = inside(world, "undo", "--yes")
    assert (undone.code, "moves from" in undone.out) == (3, False)
    assert f"main stays at {world.git('rev-parse', '--short=10', 'HEAD')}; 2 files of the" in undone.out
    assert world.state()["files"] == before["files"]
    assert world.state()["index"] == before["index"]


@pytest.mark.parametrize("word", ["skip", "abort"])
def test_left_parked(parked: World, word: str) -> None:
    world = parked
    before = world.state()
    step(world, code=4)
    step(world, word, code=3)
    after = world.state()
    assert (after["files"], after["index"]) == (before["files"], before["index"])
    paths = [each["path"] for each in step(world, "status", code=3)["waiting"][0]["files"]]
    assert paths == ["etc/tool.conf", "numbers.txt"]


def test_what_merges_by_now_is_put_back_at_once(parked: World) -> None:
    """The line that was in the way is gone again upstream's way."""
    world = parked
    world.commit("Back", {"numbers.txt": LINES.replace("line 2\n", "line two, the old way\n")})
    world.git("checkout", "-q", "HEAD", "--", ".")
    offered = step(world, code=4)
    assert offered["sitting"]["conflicts"] == ["etc/tool.conf"]
    assert (world.clone / "numbers.txt").read_text() == STAGED
    assert world.git("show", ":numbers.txt") + "\n" == STAGED


def test_edits_that_no_longer_fit(world: World) -> None:
    """Edits that were set aside and conflict with what was resolved stay on the rescue branch, are named, and
    are offered at the end."""
    start(world)
    world.commit("Mine", {"numbers.txt": LINES.replace("line 2\n", "line two, my way\n")})
    at = work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    world.commit("New way", {"numbers.txt": THEIRS}, at=at)
    publish(world)
    step(world, "run", "--yes", code=3)
    edited = THEIRS.replace("line 5\n", "line five, edited\n")
    world.write("numbers.txt", edited)
    first = step(world, code=4)
    rescue = first["rescue"]["branch"]
    assert world.git("show", f"{rescue}:numbers.txt") + "\n" == edited
    world.write("numbers.txt", THEIRS.replace("line 5\n", "line five, resolved\n"))
    world.git("add", "numbers.txt")
    second = step(world, code=4)
    assert [(each["path"], each["verdict"]) for each in second["files"]] == [("numbers.txt", "parked")]
    assert second["sitting"]["conflicts"] == ["numbers.txt"]
    assert "five, edited" in (world.clone / "numbers.txt").read_text()
    step(world, "skip", code=3)
    assert world.git("status", "--porcelain") == ""
    (waiting,) = step(world, "status", code=3)["waiting"]
    assert (waiting["rescue"], [each["path"] for each in waiting["files"]]) == (rescue, ["numbers.txt"])
    # And once more, by a sitting of its own.
    step(world, code=4)
    world.write("numbers.txt", "both\n")
    world.git("add", "numbers.txt")
    step(world, code=0)
    assert world.git("status", "--porcelain") == " M numbers.txt"


def test_line_ends_of_the_disk(world: World) -> None:
    """A rescue branch has a file's bytes; what is merged is what git would store of them."""
    start(world)
    world.git("config", "core.autocrlf", "true")
    for name in ("numbers.txt", "etc/tool.conf", "README"):
        (world.clone / name).unlink()
    world.git("checkout", "-q", "--", ".")
    numbers = (world.clone / "numbers.txt").read_bytes()
    assert b"\r\n" in numbers
    world.write("numbers.txt", numbers.replace(b"two, the old way", b"two, edited").replace(b"12", b"twelve"))
    at = work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    world.commit("New way", {"numbers.txt": THEIRS}, at=at)
    publish(world)
    step(world, "run", "--yes", "--dirty", "park", code=3)
    step(world, code=4)
    found = (world.clone / "numbers.txt").read_bytes()
    assert found.count(b"<<<<<<<") == 1
    assert found.count(b"\n") == found.count(b"\r\n") == 12 + 4
    assert b"line twelve\r\n" in found
