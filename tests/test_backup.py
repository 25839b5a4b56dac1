"""The rescue branch: a name that nobody has and that can stand, whatever else is there."""

from __future__ import annotations

import pytest

from tests import rewritten
from tests.conftest import STAMP, World, needs_git

pytestmark = needs_git

RUN = ("run", "--yes", "--dirty", "park", "--json")


def rescue_of(world: World) -> str:
    done = world.resync(*RUN)
    assert done.code == 3, done
    name: str = done.json["rescue"]["branch"]
    assert world.git("rev-parse", f"refs/heads/{name}") == done.json["rescue"]["oid"]
    return name


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((), f"rescue/main-{STAMP}"),
        (("rescue",), f"resync-rescue/main-{STAMP}"),
        (("rescue", "resync-rescue"), f"resync-resync-rescue/main-{STAMP}"),
        ((f"rescue/main-{STAMP}",), f"rescue/main-{STAMP}-2"),
        ((f"rescue/main-{STAMP}", f"rescue/main-{STAMP}-2"), f"rescue/main-{STAMP}-3"),
        ((f"rescue/main-{STAMP}/below",), f"resync-rescue/main-{STAMP}"),
    ],
)
def test_the_name_makes_room(rewritten_world: World, others: tuple[str, ...], expected: str) -> None:
    for other in others:
        rewritten_world.git("branch", other)
    assert rescue_of(rewritten_world) == expected


def test_a_branch_in_the_place_of_a_folder(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("branch", "-m", "main", "stable/x")
    world.git("branch", "rescue/stable")
    assert rescue_of(world) == f"resync-rescue/stable/x-{STAMP}"


def test_a_name_as_long_as_can_be(rewritten_world: World) -> None:
    world = rewritten_world
    longest = "b" * 245
    world.git("branch", "-m", "main", longest)
    assert rescue_of(world) == f"rescue/{'b' * 200}-{STAMP}"


def test_an_edit_follows_its_file_to_a_new_name(world: World) -> None:
    """And it is not said to be upstream's own."""
    work = rewritten.work(world)
    world.commit("Start", {"a.txt": rewritten.LINES, "b.txt": "b\n"}, at=work)
    world.commit("Old way", {"b.txt": "old\n"}, at=work)
    rewritten.publish(world)
    world.git("clone", "-q", str(world.upstream), str(world.clone), at=world.base)
    world.write("a.txt", rewritten.LINES + "mine\n")
    world.git("reset", "-q", "--hard", "HEAD~1", at=work)
    world.git("mv", "a.txt", "renamed.txt", at=work)
    world.commit("New way", {}, at=work)
    rewritten.publish(world)
    done = world.resync("run", "--yes", "--json")
    assert done.code == 0, done
    assert done.json["files"] == [{"path": "a.txt", "state": "unstaged", "verdict": "restored", "reason": ""}]
    assert (world.clone / "renamed.txt").read_text() == rewritten.LINES + "mine\n"
    assert world.git("status", "--porcelain") == " M renamed.txt"


def test_permissions_that_git_is_told_not_to_look_at(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("config", "core.fileMode", "false")
    path = world.clone / "etc" / "tool.conf"
    path.chmod(0o750)
    assert world.resync(*RUN).code == 3
    assert path.stat().st_mode & 0o777 == 0o750
    assert world.resync("undo", "--yes", env={"GIT_COMMITTER_DATE": "1461092700 +0000"}).code == 0
    assert path.stat().st_mode & 0o777 == 0o750


def test_all_untracked_files_are_saved_on_request(world: World) -> None:
    rewritten.rewritten(world)
    world.write("scratch/idea.txt", "an idea\n")
    world.write(".gitignore", "*.log\n")
    world.write("noise.log", "noise\n")
    done = world.resync("run", "--yes", "--dirty", "park", "--include-untracked", "--json")
    assert done.code == 3, done
    kept = [each["path"] for each in done.json["files"] if each["verdict"] == "kept"]
    assert kept == [".gitignore", "scratch/idea.txt"]
    rescue = done.json["rescue"]["branch"]
    saved = world.git("ls-tree", "-r", "--name-only", f"{rescue}^3").splitlines()
    assert saved == [".gitignore", "notes.txt", "scratch/idea.txt"]
    assert (world.clone / "scratch/idea.txt").read_text() == "an idea\n"
    # What a person does with them later is theirs: undo leaves them alone.
    world.write("scratch/idea.txt", "a better idea\n")
    assert world.resync("undo", "--yes").code == 0
    assert (world.clone / "scratch/idea.txt").read_text() == "a better idea\n"
    assert (world.clone / "noise.log").exists()


def test_untracked_files_that_are_in_nobodys_way_are_not_looked_at(world: World) -> None:
    rewritten.rewritten(world)
    path = world.write("scratch/idea.txt", "an idea\n")
    path.chmod(0)
    done = world.resync("run", "--yes", "--dirty", "park", "--json")
    assert done.code == 3, done
    assert "scratch/idea.txt" not in [each["path"] for each in done.json["files"]]
