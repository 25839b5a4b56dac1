"""What a merge brought in from another published branch is nobody's own work, and stays as it is."""

from __future__ import annotations

from tests import rewritten
from tests.conftest import World


def _other_branch(world: World) -> str:
    """Upstream publishes another branch, beside main."""
    at = rewritten.work(world)
    world.git("checkout", "-q", "-b", "feature", "main~1", at=at)
    oid = world.commit("Their feature", {"feature.txt": "feature\n"}, at=at)
    world.git("push", "-q", "origin", "feature", at=at)
    world.git("checkout", "-q", "main", at=at)
    return oid


def _merge(world: World, name: str) -> None:
    world.git("fetch", "-q", "origin")
    world.git("merge", "-q", "--no-ff", "-m", f"Merge {name}", name)


def _subjects(world: World) -> dict[str, str]:
    done = world.resync("plan", "--json")
    return {each["subject"]: each["verdict"] for each in done.json["commits"]}


def test_what_a_merge_brought_in_is_not_the_users_own(world: World) -> None:
    rewritten.start(world)
    feature = _other_branch(world)
    world.commit("Mine", {"mine.txt": "mine\n"})
    _merge(world, "origin/feature")
    rewritten.rewrite(world)
    assert _subjects(world) == {"Mine": "reapplied", "Merge origin/feature": "reapplied"}
    done = world.resync("run", "--yes", "--json")
    assert done.code == 0, done
    # The merge is one still, of the very commit that is published.
    assert world.git("rev-parse", "HEAD^2") == feature
    assert world.git("show", "HEAD:feature.txt") == "feature"
    assert world.git("log", "--format=%s", "--first-parent", "origin/main..HEAD").splitlines() == [
        "Merge origin/feature",
        "Mine",
    ]


def test_without_asking_the_remote_its_tracking_branches_answer(world: World) -> None:
    rewritten.start(world)
    _other_branch(world)
    _merge(world, "origin/feature")
    rewritten.rewrite(world)
    world.git("fetch", "-q", "origin")
    done = world.resync("plan", "--no-fetch", "--json")
    assert [each["subject"] for each in done.json["commits"]] == ["Merge origin/feature"]


def test_what_was_pushed_from_here_stays_ones_own(world: World) -> None:
    rewritten.start(world)
    world.git("checkout", "-q", "-b", "topic")
    world.commit("On a topic", {"topic.txt": "topic\n"})
    # Under another name, so that only the reflog of the push tells.
    world.git("push", "-q", "origin", "topic:refs/heads/shared/topic")
    world.git("checkout", "-q", "main")
    world.commit("Mine", {"mine.txt": "mine\n"})
    world.git("merge", "-q", "--no-ff", "-m", "Merge topic", "topic")
    world.git("branch", "-q", "-D", "topic")
    rewritten.rewrite(world)
    assert _subjects(world) == {
        "On a topic": "reapplied",
        "Mine": "reapplied",
        "Merge topic": "reapplied",
    }


def test_a_branch_of_the_same_name_as_a_local_one_stays_ones_own(world: World) -> None:
    rewritten.start(world)
    world.git("checkout", "-q", "-b", "topic")
    world.commit("On a topic", {"topic.txt": "topic\n"})
    world.git("push", "-q", str(world.upstream), "topic")
    world.git("checkout", "-q", "main")
    world.git("merge", "-q", "--no-ff", "-m", "Merge topic", "topic")
    rewritten.rewrite(world)
    assert _subjects(world) == {"On a topic": "reapplied", "Merge topic": "reapplied"}


def test_the_chain_of_first_parents_is_never_shortened(world: World) -> None:
    rewritten.start(world)
    world.commit("Mine, which somebody published", {"mine.txt": "mine\n"})
    # A colleague took it over and published it on a branch: it stays this user's own.
    world.git("push", "-q", str(world.upstream), "main:refs/heads/colleague")
    rewritten.rewrite(world)
    assert _subjects(world) == {"Mine, which somebody published": "reapplied"}
