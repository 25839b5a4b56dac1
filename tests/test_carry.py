"""Carrying uncommitted edits over: staged stays staged, unstaged unstaged, and what conflicts is parked."""

from __future__ import annotations

from tests.conftest import World, needs_git

OLD = "".join(f"line {number}\n" for number in range(30))


def rewritten(world: World) -> None:
    """A clone at an old tip, and an upstream whose new tip has another first line in ``f``."""
    world.git("clone", "-q", str(world.upstream), str(world.clone), at=world.base)
    world.commit("base", {"f": OLD})
    world.commit("old", {"g": "old\n"})
    world.git("push", "-q", "-u", "origin", "HEAD:main")
    world.git("branch", "-q", "--set-upstream-to=origin/main")
    other = world.base / "other"
    world.git("clone", "-q", str(world.upstream), str(other), at=world.base)
    world.git("reset", "-q", "--hard", "HEAD~", at=other)
    world.commit("new", {"f": OLD.replace("line 0\n", "LINE 0\n")}, at=other)
    world.git("push", "-q", "-f", "origin", "HEAD:main", at=other)


@needs_git
def test_a_staged_edit_with_another_on_top_is_in_the_object_store(world: World) -> None:
    """The merged staged file is on no disk and in no commit: the index alone names it."""
    rewritten(world)
    world.write("f", OLD.replace("line 15\n", "staged\n"))
    world.git("add", "f")
    world.write("f", OLD.replace("line 15\n", "staged\n").replace("line 29\n", "unstaged\n"))
    done = world.resync("run", "--yes")
    assert done.code == 0, done.err
    assert world.git("fsck", "--strict") == ""
    expected = OLD.replace("line 0\n", "LINE 0\n").replace("line 15\n", "staged\n")
    assert world.git("show", ":f") + "\n" == expected
    assert world.git("status", "--porcelain") == "MM f"
