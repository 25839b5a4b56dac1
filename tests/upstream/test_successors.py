"""Where a branch that is gone may live on is found by ids, Change-Ids and patches, and named."""

from __future__ import annotations

from tests import rewritten
from tests.conftest import World


def _delete(world: World) -> None:
    world.git("config", "receive.denyDeleteCurrent", "ignore", at=world.upstream)
    world.git("push", "-q", "origin", ":main", at=rewritten.work(world))


def _named(world: World) -> list[tuple[str, int, int]]:
    done = world.resync("check", "--json")
    assert (done.code, done.json["upstream"]["kind"]) == (1, "deleted")
    return [(each["ref"], each["held"], each["of"]) for each in done.json["upstream"]["successors"]]


def test_a_renamed_branch_is_found_at_the_very_tip(world: World) -> None:
    old = rewritten.start(world)
    at = rewritten.work(world)
    world.git("push", "-q", "origin", "main:refs/heads/trunk", at=at)
    world.git("push", "-q", "origin", "main:refs/heads/also", at=at)
    world.git("checkout", "-q", "-b", "ahead", at=at)
    world.commit("More", {"more.txt": "more\n"}, at=at)
    world.git("push", "-q", "origin", "ahead", at=at)
    _delete(world)
    assert _named(world) == [
        ("refs/heads/also", 2, 2),
        ("refs/heads/trunk", 2, 2),
        ("refs/heads/ahead", 2, 2),
    ]
    done = world.resync("check")
    assert f"it may live on as also ({old[:10]}), which has 2 of its newest 2 commits" in done.out
    assert "resync run --upstream origin/also" in done.err


def test_a_tag_at_its_end(world: World) -> None:
    """Whatever it is called, and also where it came after the last fetch."""
    rewritten.start(world)
    at = rewritten.work(world)
    world.commit("Last", {"last.txt": "last\n"}, at=at)
    world.git("tag", "-a", "-m", "Final", "liberty-final", at=at)
    world.git("tag", "v1", at=at)
    world.git("push", "-q", "origin", "liberty-final", "v1", at=at)
    _delete(world)
    assert _named(world) == [("refs/tags/liberty-final", 2, 2), ("refs/tags/v1", 2, 2)]


def test_a_branch_with_the_same_changes_is_found_by_their_content(world: World) -> None:
    rewritten.start(world)
    at = rewritten.work(world)
    for number in range(4):
        message = f"Change {number}\n\nChange-Id: I{number:040x}\n"
        world.commit(message, {f"{number}.txt": f"{number}\n"}, at=at)
    rewritten.publish(world)
    world.git("fetch", "-q")
    # The same changes on another base; one of them without its Change-Id, one in another form.
    world.git("checkout", "-q", "-b", "new", "main~5", at=at)
    world.commit("Before", {"before.txt": "before\n"}, at=at)
    for number in range(4):
        text = f"{number}, in another form\n" if number == 3 else f"{number}\n"
        words = "" if number == 2 else f"\n\nChange-Id: I{number:040x}\n"
        world.commit(f"Change {number}{words}", {f"{number}.txt": text}, at=at)
    world.git("push", "-q", "origin", "new", at=at)
    world.git("checkout", "-q", "--orphan", "elsewhere", at=at)
    world.commit("Elsewhere", {"elsewhere.txt": "x\n"}, at=at)
    world.git("push", "-q", "origin", "elsewhere", at=at)
    _delete(world)
    assert _named(world) == [("refs/heads/new", 5, 6)]
