"""A branch of the upstream's name at another remote: one's own fork knows nothing of what happens there."""

from __future__ import annotations

from typing import Any

import pytest

from tests import rewritten
from tests.conftest import World, needs_git

pytestmark = needs_git


@pytest.fixture
def forked(rewritten_world: World) -> World:
    """A clone that follows a fork of the upstream as it was; the upstream, ``theirs``, has been rewritten."""
    world = rewritten_world
    world.git("stash", "-q")
    world.git("clone", "-q", "--bare", "../up.git", "../fork.git")
    world.git("push", "-q", "--force", "../fork.git", "origin/main:main")
    world.git("remote", "rename", "origin", "theirs")
    world.git("remote", "add", "origin", "../fork.git")
    world.git("fetch", "-q", "origin")
    world.git("branch", "-q", "--set-upstream-to=origin/main")
    return world


def _elsewhere(world: World, *options: str, code: int = 0) -> list[tuple[str, str]]:
    done = world.resync("check", "--json", *options)
    assert done.code == code, done
    found: list[dict[str, Any]] = done.json["elsewhere"]
    return [(each["remote"], each["kind"]) for each in found]


def test_it_is_named_and_the_status_is_not_0(forked: World) -> None:
    before = forked.state()
    check, plan, run = (
        forked.resync(*command) for command in (["check"], ["plan"], ["run", "--yes", "--quiet"])
    )
    assert (check.code, plan.code, run.code) == (5, 5, 3)
    for done in (check, plan, run):
        assert "theirs/main was rewritten: 1 commit gone, 3 new." in done.out
        assert "resync plan --upstream theirs/main\n" in done.out
    assert forked.state() == before
    followed = forked.resync("plan", "--upstream", "theirs/main", "--json")
    assert followed.code == 5
    assert (len(followed.json["commits"]), followed.json["elsewhere"]) == (3, [])


def test_without_asking_the_remotes_their_reflogs_tell(forked: World) -> None:
    assert _elsewhere(forked, "--no-fetch") == []
    forked.git("fetch", "-q", "theirs")
    assert _elsewhere(forked, "--no-fetch", code=5) == [("theirs", "rewritten")]


def test_it_is_named_where_the_fork_went_on(forked: World) -> None:
    at = forked.base / "fork"
    forked.git("clone", "-q", "../fork.git", str(at))
    forked.commit("More", {"more.txt": "more\n"}, at=at)
    forked.git("push", "-q", "origin", "HEAD:main", at=at)
    done = forked.resync("run", "--yes", "--advance", "--json")
    assert done.json["upstream"]["kind"] == "advanced"
    assert done.code == 3
    assert [each["kind"] for each in done.json["elsewhere"]] == ["rewritten"]
    assert forked.git("merge-base", "HEAD", "origin/main") == forked.git("rev-parse", "origin/main")


def test_a_branch_that_is_gone(forked: World) -> None:
    forked.git("update-ref", "-d", "refs/heads/main", at=forked.upstream)
    assert _elsewhere(forked, code=5) == [("theirs", "deleted")]


@pytest.mark.parametrize(
    "setting",
    ["remote.theirs.skipFetchAll=true", "remote.pushDefault=theirs", "branch.main.pushRemote=theirs"],
)
def test_remotes_that_are_left_out(forked: World, setting: str) -> None:
    forked.git("config", *setting.split("="))
    assert _elsewhere(forked) == []


def test_a_remote_to_which_ones_own_work_was_pushed(forked: World) -> None:
    forked.git("push", "-q", "--force", "theirs", "HEAD:main")
    forked.git("update-ref", "refs/heads/main", "refs/heads/main~4", at=forked.upstream)
    assert _elsewhere(forked) == []


def test_commits_on_which_nobody_stands_here(forked: World) -> None:
    at = rewritten.work(forked)
    old = forked.git("rev-parse", "theirs/main")
    # A colleague's branch, which went on from the old line, and then took that back.
    forked.git("reset", "-q", "--hard", old, at=at)
    forked.commit("Theirs", {"theirs.txt": "theirs\n"}, at=at)
    rewritten.publish(forked)
    forked.git("fetch", "-q", "theirs")
    forked.git("reset", "-q", "--hard", old, at=at)
    rewritten.publish(forked)
    assert _elsewhere(forked) == []


def test_a_remote_that_does_not_answer(forked: World) -> None:
    forked.git("config", "remote.theirs.url", "../nowhere.git")
    done = forked.resync("check", "--json")
    assert (done.code, done.json["elsewhere"]) == (0, [])
    (note,) = done.json["notes"]
    assert note["text"].startswith("whether theirs/main was rewritten is not known. Upstream theirs at")
    assert "Note: whether theirs/main was rewritten is not known" in forked.resync("run", "--yes").out
