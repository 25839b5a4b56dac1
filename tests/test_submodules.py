"""Submodules over a rewrite: the index follows upstream, and their folders are their owner's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import rewritten
from tests.conftest import World, needs_git

pytestmark = needs_git

ALLOW = ("-c", "protocol.file.allow=always")


def library(world: World) -> tuple[Path, list[str]]:
    """A repository with two commits, to be a submodule."""
    at = world.base / "library"
    world.git("init", "-q", "-b", "main", str(at), at=world.base)
    return at, [world.commit(f"Lib {number}", {"lib.txt": f"{number}\n"}, at=at) for number in (1, 2)]


def start(world: World, *, populated: bool = True) -> list[str]:
    """An upstream with a submodule, a clone with work, and upstream about to be rewritten."""
    at, commits = library(world)
    work = rewritten.work(world)
    world.commit("Start", {"a.txt": rewritten.LINES}, at=work)
    world.git(*ALLOW, "submodule", "add", "-q", str(at), "lib", at=work)
    world.commit("Old way", {"a.txt": rewritten.LINES + "old\n"}, at=work)
    rewritten.publish(world)
    options = ("--recurse-submodules",) if populated else ()
    world.git(*ALLOW, "clone", "-q", *options, str(world.upstream), str(world.clone), at=world.base)
    world.commit("Mine", {"mine.txt": "mine\n"})
    world.git("reset", "-q", "--soft", "HEAD~1", at=work)
    return commits


def test_upstream_moves_a_submodule_that_is_checked_out(world: World) -> None:
    first, second = start(world)
    work = rewritten.work(world)
    world.git("checkout", "-q", first, at=work / "lib")
    world.commit("New way", {"a.txt": rewritten.LINES + "new\n"}, at=work)
    world.git("commit", "-q", "-m", "Back to the first", "lib", at=work)
    rewritten.publish(world)
    world.write("lib/untracked", "mine\n")
    before = world.state()
    done = world.resync("run", "--yes", "--json")
    assert done.code == 0, (done.out, done.err)
    assert world.git("ls-files", "-s", "lib").split()[1] == first
    assert world.git("rev-parse", "HEAD", at=world.clone / "lib") == second
    assert (world.clone / "lib" / "untracked").read_text() == "mine\n"
    assert world.git("status", "--porcelain", "--ignore-submodules=untracked") == " M lib"
    assert world.git("fsck", "--strict", "--no-dangling") == ""
    assert world.resync("undo", "--yes").code == 0
    assert {**world.state(), "refs": before["refs"]} == before


def test_a_repository_where_upstream_adds_a_submodule(world: World) -> None:
    """The clone that somebody made there before upstream did is the submodule's from now on."""
    rewritten.start(world)
    at, (first, second) = library(world)
    world.git(*ALLOW, "clone", "-q", str(at), "lib")
    world.git("checkout", "-q", first, at=world.clone / "lib")
    work = rewritten.work(world)
    world.git("reset", "-q", "--hard", "HEAD~1", at=work)
    world.git(*ALLOW, "submodule", "add", "-q", str(at), "lib", at=work)
    world.commit("New way", {}, at=work)
    rewritten.publish(world)
    done = world.resync("run", "--yes", "--json")
    assert done.code == 0, (done.out, done.err)
    assert world.git("ls-files", "-s", "lib").split()[1] == second
    assert world.git("rev-parse", "HEAD", at=world.clone / "lib") == first
    assert world.git("status", "--porcelain") == " M lib"


def test_a_submodule_that_upstream_dropped_comes_back(world: World) -> None:
    """Its repository stays where it is, there and back."""
    start(world)
    work = rewritten.work(world)
    world.git("rm", "-q", "-f", "lib", at=work)
    world.commit("Drop it", {}, at=work)
    rewritten.publish(world)
    world.write("lib/untracked", "mine\n")
    before = world.state()
    assert world.resync("run", "--yes", "--json").code == 0
    assert world.git("ls-files", "lib") == ""
    assert (world.clone / "lib" / "untracked").read_text() == "mine\n"
    done = world.resync("undo", "--yes", env={"GIT_COMMITTER_DATE": "1461092700 +0000"})
    assert done.code == 0, (done.out, done.err)
    assert {**world.state(), "refs": before["refs"]} == before


@pytest.mark.parametrize("instead", ["a link", "a file", "nothing", "a folder"])
@pytest.mark.parametrize("theirs", ["gone", "a file", "a folder"])
def test_what_stands_in_the_place_of_a_submodule_comes_back(world: World, theirs: str, instead: str) -> None:
    """Also where git says that the submodule is deleted, because its folder is not even there."""
    start(world, populated=False)
    work = rewritten.work(world)
    world.git("rm", "-q", "-f", "lib", at=work)
    new = {"gone": {}, "a file": {"lib": "theirs\n"}, "a folder": {"lib/below": "theirs\n"}}[theirs]
    world.commit("Something else", new, at=work)
    rewritten.publish(world)
    (world.clone / "lib").rmdir()
    if instead == "a link":
        (world.clone / "lib").symlink_to("mine.txt")
    elif instead == "a file":
        world.write("lib", "my file\n")
    elif instead == "a folder":
        world.write("lib/below", "my own\n")
    before = world.state(), world.git("status", "--porcelain", "-uall", check=False)
    done = world.resync("run", "--yes", "--dirty", "park", "--json")
    if (instead, theirs) == ("a folder", "a file"):
        assert done.json["error"]["kind"] == "submodule-in-the-way"
        return
    assert done.code in (0, 3), (done.out, done.err)
    if theirs != "gone":
        assert (world.clone / next(iter(new))).read_text() == "theirs\n"
    if instead == "a link":
        assert world.git("show", done.json["rescue"]["branch"] + ":lib") == "mine.txt"
        assert [each["verdict"] for each in done.json["files"]] == ["parked"]
    undone = world.resync("undo", "--yes", env={"GIT_COMMITTER_DATE": "1461092700 +0000"})
    assert undone.code == 0, (undone.out, undone.err)
    after = world.state(), world.git("status", "--porcelain", "-uall", check=False)
    after[0]["refs"] = before[0]["refs"]
    assert after == before
