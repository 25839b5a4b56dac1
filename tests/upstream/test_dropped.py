"""Commits of one's own that upstream had and left out of its new history: never silently gone, never back."""

from __future__ import annotations

import pytest

from tests import rewritten
from tests.conftest import World

CHANGE = "Ship it\n\nChange-Id: I0123456789abcdef0123456789abcdef01234567\n"


def _take(world: World, oid: str) -> None:
    """Upstream takes a commit of the clone, as a review system does: under another id."""
    at = rewritten.work(world)
    world.git("fetch", "-q", str(world.clone), oid, at=at)
    world.git("cherry-pick", oid, at=at)
    world.git("commit", "-q", "--amend", "--no-edit", "--reset-author", at=at)
    rewritten.publish(world)


def _plan(world: World, *options: str) -> dict[str, str]:
    done = world.resync("plan", "--json", *options)
    return {each["subject"]: each["verdict"] for each in done.json["commits"]}


def _push(world: World) -> None:
    world.git("push", "-q", "origin", "main")
    world.git("fetch", "-q", str(world.upstream), "main", at=rewritten.work(world))
    world.git("reset", "-q", "--hard", "FETCH_HEAD", at=rewritten.work(world))


def _drop(world: World, commits: int) -> None:
    """Upstream goes back so far, and on another way."""
    at = rewritten.work(world)
    world.git("reset", "-q", "--hard", f"main~{commits}", at=at)
    world.commit("Another way", {"other.txt": "other\n"}, at=at)
    rewritten.publish(world)


def test_a_commit_that_was_pushed_from_here_and_dropped_is_listed(world: World) -> None:
    rewritten.start(world)
    mine = world.commit("Mine", {"mine.txt": "mine\n"})
    _push(world)
    world.commit("Later", {"later.txt": "later\n"})
    _drop(world, 1)
    assert _plan(world) == {"Mine": "dropped-by-upstream", "Later": "reapplied"}
    done = world.resync("run", "--yes", "--json")
    assert done.code == 3, done
    rescue = done.json["rescue"]["branch"]
    assert not (world.clone / "mine.txt").exists()
    assert mine in world.git("rev-list", rescue).splitlines()
    assert world.resync("status", "--json").code == 3
    world.git("cherry-pick", mine)
    assert world.resync("status", "--json").code == 0


def test_keep_dropped_reapplies_it(world: World) -> None:
    rewritten.start(world)
    world.commit("Mine", {"mine.txt": "mine\n"})
    _push(world)
    _drop(world, 1)
    done = world.resync("run", "--yes", "--keep-dropped", "--json")
    assert done.code == 0, done
    assert [(each["subject"], each["verdict"]) for each in done.json["commits"]] == [("Mine", "reapplied")]
    assert (world.clone / "mine.txt").read_text() == "mine\n"


@pytest.mark.parametrize("message", ["Ship it", CHANGE])
def test_a_commit_that_upstream_had_under_another_id_is_listed(world: World, message: str) -> None:
    rewritten.start(world)
    mine = world.commit(message, {"mine.txt": "mine\n"})
    _take(world, mine)
    if message == CHANGE:
        # Upstream's version went on: only the Change-Id tells.
        at = rewritten.work(world)
        world.write("mine.txt", "mine, reviewed\n", at=at)
        world.git("commit", "-qa", "--amend", "--no-edit", at=at)
        rewritten.publish(world)
    world.git("fetch", "-q")
    _drop(world, 1)
    assert _plan(world) == {"Ship it": "dropped-by-upstream"}


@pytest.mark.parametrize("amended", [False, True])
def test_a_commit_that_came_back_under_another_id_and_was_dropped_then_is_listed(
    world: World, amended: bool
) -> None:
    """After the first update the branch has upstream's copy only; that it was one's own, the reflog says."""
    rewritten.start(world)
    mine = world.commit("Mine", {"mine.txt": "mine\n"})
    if amended:
        world.write("mine.txt", "mine, amended\n")
        world.git("commit", "-qa", "--amend", "--no-edit")
        mine = world.git("rev-parse", "HEAD")
    world.commit("Theirs", {"theirs.txt": "theirs\n"}, at=rewritten.work(world))
    _take(world, mine)
    assert world.resync("run", "--yes", "--advance").code == 0
    taken = world.git("rev-parse", "HEAD")
    assert taken != mine
    _drop(world, 2)
    done = world.resync("run", "--yes", "--json")
    assert done.code == 3, done
    assert [(each["oid"], each["verdict"]) for each in done.json["commits"]] == [
        (taken, "dropped-by-upstream")
    ]


def test_a_copy_that_a_rebase_made_here_of_what_others_made_is_none_of_ones_own(world: World) -> None:
    """Somebody tried git's own way first, had upstream's old commits replayed, and went back."""
    old = rewritten.start(world)
    world.commit("Mine", {"mine.txt": "mine\n"})
    _drop(world, 1)
    world.git("fetch", "-q")
    world.git("rebase", "-q", "--onto", "origin/main", f"{old}~1")
    world.git("commit", "-q", "--amend", "--no-edit", "--reset-author")
    world.git("reset", "-q", "--hard", "main@{1}")
    world.git("reset", "-q", "--hard", old)
    world.git("cherry-pick", "main@{3}")
    assert _plan(world) == {"Mine": "reapplied"}


def test_what_upstream_has_again_is_not_dropped(world: World) -> None:
    rewritten.start(world)
    mine = world.commit("Mine", {"mine.txt": "mine\n"})
    _push(world)
    _drop(world, 1)
    _take(world, mine)
    assert _plan(world) == {}


def test_what_upstream_squashed_is_not_dropped(world: World) -> None:
    rewritten.start(world)
    world.commit("One", {"one.txt": "1\n"})
    world.commit("Two", {"two.txt": "2\n"})
    _push(world)
    at = rewritten.work(world)
    world.git("reset", "-q", "--soft", "main~2", at=at)
    world.git("commit", "-q", "-m", "Both", at=at)
    rewritten.publish(world)
    assert _plan(world) == {}


def test_what_others_made_is_upstreams_to_drop(world: World) -> None:
    rewritten.start(world)
    at = rewritten.work(world)
    # The same author's name, but made in another repository.
    world.commit("Theirs", {"theirs.txt": "theirs\n"}, at=at)
    rewritten.publish(world)
    world.git("pull", "-q")
    world.commit("Mine", {"mine.txt": "mine\n"})
    _drop(world, 1)
    assert _plan(world) == {"Mine": "reapplied"}


def test_a_rewrite_that_no_tag_announces_is_refused_where_that_is_required(world: World) -> None:
    rewritten.start(world)
    before = world.state()
    world.git("tag", "main-eol", "main", at=rewritten.work(world))
    rewritten.rewrite(world)
    for option in (["--require-announcement"], []):
        if not option:
            world.git("config", "resync.requireAnnouncement", "true")
            before = world.state()
        done = world.resync("run", "--yes", *option, "--json")
        assert (done.code, done.json["error"]["kind"]) == (1, "unannounced")
        assert world.state()["files"] == before["files"]
    assert world.resync("plan", "--no-require-announcement").code == 5
    world.git("push", "-q", "origin", "main-eol", at=rewritten.work(world))
    assert world.resync("run", "--yes", "--json").code == 0
