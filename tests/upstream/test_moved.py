"""A remote at another address or under another name, and one whose default branch is another now."""

from __future__ import annotations

import shutil

import pytest

from tests import rewritten
from tests.conftest import World, needs_git
from tests.scenarios.play import resync

pytestmark = needs_git


def notes(world: World) -> list[str]:
    document = resync(world, "check", "--json").json
    planned = resync(world, "plan", "--json").json
    assert planned["error"] is not None or planned["notes"] == document["notes"]
    return [note["text"] for note in document["notes"]]


def test_the_default_branch_moved(world: World) -> None:
    rewritten.start(world)
    at = rewritten.work(world)
    world.git("push", "-q", "origin", "main:trunk", at=at)
    world.git("symbolic-ref", "HEAD", "refs/heads/trunk", at=world.upstream)
    # Two branches at one commit are not told apart by it.
    assert notes(world) == []
    world.commit("More", {"more.txt": "more\n"}, at=at)
    world.git("push", "-q", "origin", "main:trunk", at=at)
    said = (
        "the default branch of origin is trunk now, and no longer main"
        " (git fetch origin; git remote set-head origin --auto)"
    )
    assert notes(world) == [said]
    assert f"Note: {said}." in resync(world, "check").out
    assert resync(world, "check").code == 0
    world.git("update-ref", "-d", "refs/heads/main", at=world.upstream)
    assert notes(world) == [said]
    # Who follows another branch than the default one need not be told, nor who has done what the note says.
    world.git("fetch", "-q", "origin")
    world.git("remote", "set-head", "origin", "--auto")
    assert notes(world) == []


@pytest.mark.parametrize("renamed", [False, True])
def test_the_remote_moved(world: World, renamed: bool) -> None:
    old = rewritten.start(world)
    world.commit("Mine", {"mine.txt": "mine\n"})
    elsewhere = world.base / "elsewhere.git"
    shutil.copytree(world.upstream, elsewhere)
    world.git("config", f"url.{elsewhere}.insteadOf", "https://me:secret@example.com/there.git")
    world.git("remote", "set-url", "origin", "https://me:secret@example.com/there.git")
    if renamed:
        world.git("remote", "rename", "origin", "vendor")
    name = "vendor" if renamed else "origin"
    # That it is elsewhere is nothing to talk of, as long as nothing happens there.
    assert notes(world) == []
    world.git("config", "remote.origin.url", str(elsewhere), at=rewritten.work(world))
    rewritten.rewrite(world)
    document = resync(world, "plan", "--json").json
    assert [each["subject"] for each in document["commits"]] == ["Mine"]
    assert document["upstream"]["old_tip"] == old
    assert document["upstream"]["evidence"][0]["kind"] in ("record", "tracking")
    assert [note["text"] for note in document["notes"]] == [
        f"{name} is at https://example.com/there.git now, and was cloned from {world.upstream}"
    ]


def test_another_spelling_of_the_address_is_none(world: World) -> None:
    rewritten.start(world, f"file://{world.upstream}")
    rewritten.rewrite(world)
    for url in ("../up.git", "../up.git/", str(world.upstream), f"file://{world.upstream}"):
        world.git("remote", "set-url", "origin", url)
        assert notes(world) == []


def test_a_remote_head_that_is_damaged_stops_nothing(world: World) -> None:
    rewritten.start(world)
    world.write(".git/refs/remotes/origin/HEAD", "nonsense\n")
    assert resync(world, "check").code == 0
