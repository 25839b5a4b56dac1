"""Revisions as people type them, with git as the oracle."""

from __future__ import annotations

import pytest

from resync.errors import UsageError
from resync.model import Oid, RefName
from resync.repository import Repository
from resync.upstream.revision import resolve
from tests.conftest import World, needs_git

pytestmark = needs_git

NAMED = [
    "HEAD",
    "@",
    "main",
    "heads/main",
    "refs/heads/main",
    "origin/main",
    "HEAD~",
    "HEAD~2",
    "HEAD^",
    "HEAD^1~1",
    "HEAD^0",
    "main@{0}",
    "main@{1}",
    "HEAD@{2}",
    "@{u}",
    "main@{upstream}~1",
    "noted",
    "noted^{}",
    "noted~1",
    "tags/noted",
    # A branch whose upstream is a local one, with a tag of the same name, reached by two switches.
    "@{1}",
    "@{0}~1",
    "HEAD@{1}",
    "@{-1}",
    "@{-2}~1",
    "@{-1}@{1}",
    "@{-1}@{u}",
    "@{U}",
    "@@{u}",
    "HEAD@{upstream}~1",
    "topic@{u}",
    "topic",
    "topic@{0}",
    "topic@{1}",
    "heads/topic",
    "deadbeef",
    "origin",
    "origin/HEAD",
    "FETCH_HEAD",
    "FETCH_HEAD~1",
    "ORIG_HEAD",
]


@pytest.fixture
def repository(rewritten_world: World) -> Repository:
    world = rewritten_world
    world.git("tag", "-a", "-m", "a note", "noted", "HEAD~1")
    world.git("fetch", "-q", "origin", "main")
    world.git("stash", "-q")
    world.git("checkout", "-q", "-t", "-b", "topic")
    world.commit("Topic", {"topic.txt": "1\n"})
    world.commit("Topic, again", {"topic.txt": "2\n"})
    world.git("branch", "deadbeef", "HEAD~1")
    for branch in ("main", "topic"):
        world.git("checkout", "-q", branch)
    world.git("tag", "topic", "HEAD~2")
    with Repository.open(str(rewritten_world.clone), {}) as opened:
        yield opened


def test_as_git(rewritten_world: World, repository: Repository) -> None:
    for revision in NAMED:
        expected = rewritten_world.git("rev-parse", revision + "^{commit}")
        assert resolve(repository, revision, "--onto").decode() == expected, revision


def test_short_ids(rewritten_world: World, repository: Repository) -> None:
    expected = rewritten_world.git("rev-parse", "HEAD")
    assert resolve(repository, expected[:8], "--onto").decode() == expected
    assert resolve(repository, expected, "--onto").decode() == expected


def test_what_is_about_to_move(rewritten_world: World) -> None:
    """A remote-tracking branch means what it is after the fetch, by whatever name."""
    world = rewritten_world
    old, new = world.git("rev-parse", "origin/main"), world.git("ls-remote", "origin", "main")[:40]
    assert world.resync("check", "--onto", "origin/main", "--json").json["upstream"]["new_tip"] == new
    tracking = RefName(b"refs/remotes/origin/main")
    with Repository.open(str(world.clone), {}) as repository:
        for revision in ("origin/main", "origin", "@{u}", "remotes/origin/HEAD", "main@{upstream}^0"):
            assert resolve(repository, revision, "--onto").decode() == old
            assert resolve(repository, revision, "--onto", {tracking: Oid(new.encode())}).decode() == new


NAMES_NONE = [
    *("nope", "HEAD~99", "HEAD^7", "main@{99}", "main@{yesterday}", "~1", "", "main..", "HEAD^{tree}"),
    *(
        "@{-0}",
        "@{-9}",
        "main@{-1}",
        "main~\u0661",
        "noted@{0}",
        "noted@{u}",
        "HEAD~1@{0}",
        "main@{u}@{0}",
    ),
    *("deadbee", "../../config", "refs/heads/", "-1", "@{", "origin/nope"),
]


def test_no_commit(repository: Repository) -> None:
    for revision in NAMES_NONE:
        with pytest.raises(UsageError, match="names no commit") as caught:
            resolve(repository, revision, "--old-tip")
        assert caught.value.kind == "bad-revision"
