"""Revisions as people type them, with git as the oracle."""

from __future__ import annotations

import pytest

from resync.errors import UsageError
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
]


@pytest.fixture
def repository(rewritten_world: World) -> Repository:
    rewritten_world.git("tag", "-a", "-m", "a note", "noted", "HEAD~1")
    with Repository.open(str(rewritten_world.clone), {}) as opened:
        yield opened


@pytest.mark.parametrize("revision", NAMED)
def test_as_git(rewritten_world: World, repository: Repository, revision: str) -> None:
    expected = rewritten_world.git("rev-parse", revision + "^{commit}")
    assert resolve(repository, revision, "--onto").decode() == expected


def test_short_ids(rewritten_world: World, repository: Repository) -> None:
    expected = rewritten_world.git("rev-parse", "HEAD")
    assert resolve(repository, expected[:8], "--onto").decode() == expected
    assert resolve(repository, expected, "--onto").decode() == expected


@pytest.mark.parametrize("revision", ["nope", "HEAD~99", "HEAD^7", "main@{99}", "main@{yesterday}", "~1", ""])
def test_no_commit(repository: Repository, revision: str) -> None:
    with pytest.raises(UsageError, match="names no commit") as caught:
        resolve(repository, revision, "--old-tip")
    assert caught.value.kind == "bad-revision"
