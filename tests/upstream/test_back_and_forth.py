"""A mirror that lags behind shows what upstream was before: nobody follows it back unasked."""

from __future__ import annotations

import pytest

from tests import rewritten
from tests.conftest import World, needs_git
from tests.scenarios.play import resync

pytestmark = needs_git

RUN = ("run", "--yes", "--dirty=park", "--json")


@pytest.fixture
def followed(world: World) -> World:
    """A clone that has followed a rewrite, by which two commits went."""
    rewritten.start(world)
    world.commit("Old way, again", {"again.txt": "again\n"}, at=rewritten.work(world))
    rewritten.publish(world)
    world.git("pull", "-q")
    world.commit("Mine", {"mine.txt": "mine\n"})
    world.git("reset", "-q", "--hard", "HEAD~1", at=rewritten.work(world))
    rewritten.rewrite(world)
    assert resync(world, *RUN).code == 0
    return world


def shows(world: World, oid: str) -> None:
    world.git("update-ref", "refs/heads/main", oid, at=world.upstream)


@pytest.mark.parametrize(("back", "fetched"), [(1, False), (1, True), (2, False)])
def test_a_mirror_that_lags(followed: World, back: int, fetched: bool) -> None:
    world = followed
    new, old = world.git("rev-parse", "origin/main", f"ORIG_HEAD~{back}").splitlines()
    assert old not in world.git("rev-list", new).splitlines()
    shows(world, old)
    if fetched:
        world.git("fetch", "-q")
    before, stood = world.state(), world.git("rev-parse", "HEAD")
    done = resync(world, *RUN)
    assert (done.code, done.json["error"]["kind"]) == (1, "rewound-upstream")
    assert world.state() == before
    checked = resync(world, "check")
    assert checked.code == 5
    assert "origin/main went back to what it was before it was rewritten" in checked.out
    shows(world, new)
    assert resync(world, *RUN).code == 0
    assert world.git("rev-parse", "HEAD", "origin/main").splitlines() == [stood, new]


def test_there_and_back_by_consent(followed: World) -> None:
    world = followed
    new, old = world.git("rev-parse", "origin/main", "ORIG_HEAD~1").splitlines()
    for tip in (old, new):
        shows(world, tip)
        assert resync(world, *RUN).json["error"]["kind"] == "rewound-upstream"
        assert resync(world, *RUN, "--expect", tip).code == 0
        assert world.git("rev-parse", "HEAD~1") == tip


def test_a_second_rewrite_is_none(followed: World) -> None:
    world, at = followed, rewritten.work(followed)
    world.git("reset", "-q", "--hard", "HEAD~2", at=at)
    world.commit("Another way", {"other.txt": "other\n"}, at=at)
    rewritten.publish(world)
    assert resync(world, "check", "--json").json["upstream"]["kind"] == "rewritten"
    world.git("fetch", "-q")
    assert resync(world, *RUN).code == 0
