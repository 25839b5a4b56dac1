"""A linked working tree has its own HEAD, index and runs; the journal beside them is shared."""

from __future__ import annotations

import pytest

from tests.conftest import World, needs_git

pytestmark = needs_git

LATER = {"GIT_COMMITTER_DATE": "1461092700 +0000"}


@pytest.fixture
def linked(rewritten_world: World) -> World:
    """The world as seen from a second working tree on a branch of its own."""
    world = rewritten_world
    path = world.base / "linked"
    world.git("worktree", "add", "-q", "-b", "topic", str(path), "main")
    world.git("branch", "-q", "--set-upstream-to=origin/main", "topic")
    return World(base=world.base, upstream=world.upstream, clone=path, env=world.env)


@pytest.mark.state(44)
def test_each_has_its_own_runs(rewritten_world: World, linked: World) -> None:
    main_before = rewritten_world.state()["files"]
    before = linked.git("rev-parse", "topic")
    done = linked.resync("run", "--yes", "--dirty", "park", "--json")
    assert done.code in (0, 3), done
    assert done.json["branch"] == "topic"
    assert rewritten_world.state()["files"] == main_before
    assert linked.git("status", "--porcelain") == ""

    assert rewritten_world.resync("undo", "--yes", "--json").json["error"]["kind"] == "nothing-to-undo"
    named = rewritten_world.resync("undo", "--yes", "--json", done.json["run"])
    assert named.json["error"]["kind"] == "other-worktree"

    assert linked.resync("undo", "--yes", env=LATER).code == 0
    assert linked.git("rev-parse", "topic") == before


def test_a_working_tree_that_is_gone_is_in_nobodys_way(rewritten_world: World, linked: World) -> None:
    assert linked.resync("run", "--yes", "--dirty", "park").code in (0, 3)
    rewritten_world.git("worktree", "remove", "--force", str(linked.clone))
    assert rewritten_world.resync("run", "--yes", "--dirty", "park", env=LATER).code == 3
    assert rewritten_world.resync("undo", "--yes", env={"GIT_COMMITTER_DATE": "1461092800 +0000"}).code == 0
