"""A repository whose ids are SHA-256: there and back, with git looking on."""

from __future__ import annotations

import pytest

from tests.conftest import World, needs_git

pytestmark = needs_git


@pytest.mark.state(43)
def test_there_and_back(world: World) -> None:
    upstream = world.base / "up256"
    world.git("init", "-q", "--object-format=sha256", "-b", "main", str(upstream), at=world.base)
    world.commit("Base", {"a.txt": "one\n", "b/c.txt": "two\n"}, at=upstream)
    world.commit("Old", {"b/c.txt": "old\n"}, at=upstream)
    world.git("clone", "-q", str(upstream), str(world.clone), at=world.base)
    world.commit("Mine", {"mine.txt": "mine\n"})
    world.write("a.txt", "edited\n")
    world.git("reset", "-q", "--hard", "HEAD~1", at=upstream)
    new = world.commit("New", {"b/c.txt": "new\n"}, at=upstream)
    before = world.state()

    done = world.resync("run", "--yes", "--json")
    assert done.code == 0, done
    assert [each["verdict"] for each in done.json["commits"]] == ["reapplied"]
    assert world.git("rev-parse", "HEAD~1") == new
    assert len(new) == 64
    assert world.git("status", "--porcelain") == " M a.txt"
    assert world.git("fsck", "--strict") == ""

    assert world.resync("undo", "--yes", env={"GIT_COMMITTER_DATE": "1461092700 +0000"}).code == 0
    after = world.state()
    assert (after["head"], after["index"], after["files"]) == (
        before["head"],
        before["index"],
        before["files"],
    )
