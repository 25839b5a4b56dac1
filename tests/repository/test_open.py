"""Which repository and which working tree the environment names, as git(1) has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from resync.errors import Refused
from resync.repository import Repository
from tests.conftest import World, needs_git

pytestmark = needs_git


def opened(path: Path, **env: str) -> str:
    with Repository.open(str(path), env) as repository:
        return repository.root


def test_the_working_tree_of_a_named_git_directory(rewritten_world: World) -> None:
    world = rewritten_world
    git_dir, elsewhere = str(world.clone / ".git"), world.base / "elsewhere"
    elsewhere.mkdir()
    assert opened(elsewhere, GIT_DIR=git_dir) == str(elsewhere)
    assert opened(elsewhere, GIT_DIR="../clone/.git", GIT_WORK_TREE="../clone/etc/..") == str(world.clone)
    world.git("config", "core.worktree", str(elsewhere))
    assert opened(world.base, GIT_DIR=git_dir) == str(elsewhere)
    assert opened(world.base, GIT_DIR=git_dir, GIT_WORK_TREE="clone") == str(world.clone)


def test_programs_find_the_repository_that_was_opened(rewritten_world: World) -> None:
    """What was said by relative names holds in the folder where they run; else nothing is said."""
    world = rewritten_world
    git_dir = str(world.clone / ".git")
    with Repository.open(str(world.clone / "etc"), {"WORD": "w"}) as repository:
        assert repository.environment == {"WORD": "w"}
    named = {"GIT_DIR": "clone/.git", "GIT_WORK_TREE": "clone", "GIT_INDEX_FILE": git_dir + "/index"}
    with Repository.open(str(world.base), named) as repository:
        assert repository.environment == {
            "GIT_DIR": git_dir,
            "GIT_WORK_TREE": str(world.clone),
            "GIT_INDEX_FILE": git_dir + "/index",
        }
    elsewhere = world.base / "elsewhere"
    elsewhere.mkdir()
    world.git("config", "core.worktree", str(elsewhere))
    with Repository.open(str(world.clone), {}) as repository:
        assert repository.root == str(elsewhere)
        assert repository.environment == {"GIT_DIR": git_dir}


def test_a_bare_repository_with_a_working_tree_of_its_own(rewritten_world: World) -> None:
    world = rewritten_world
    with pytest.raises(Refused) as refused:
        opened(world.base, GIT_DIR=str(world.upstream))
    assert refused.value.kind == "bare-repository"
    assert opened(world.base, GIT_DIR=str(world.upstream), GIT_WORK_TREE="work") == str(world.base / "work")


def test_a_run_in_the_configured_working_tree(rewritten_world: World) -> None:
    """Not in the folder where it was called, which would look as if every file had been deleted."""
    world = rewritten_world
    git_dir = world.base / "apart.git"
    shutil.move(world.clone / ".git", git_dir)
    world.git("config", "core.worktree", str(world.clone), env={"GIT_DIR": str(git_dir)})
    called = world.base / "called"
    called.mkdir()
    done = world.resync("run", "--yes", "--dirty", "park", "--json", at=called, env={"GIT_DIR": str(git_dir)})
    assert done.code == 3, done
    assert done.json["checkout"] == str(world.clone)
    assert list(called.iterdir()) == []


def test_a_damaged_checkout_within_another_is_not_taken_for_that(rewritten_world: World) -> None:
    """git looks further up, and whoever asks for the checkouts below a folder would get the one around it."""
    outer = rewritten_world.clone
    inner = outer / "vendor" / "tool"
    (inner / "deep").mkdir(parents=True)
    (outer / "link").symlink_to(inner)
    (inner / ".git").mkdir()
    (inner / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    for place in (inner, inner / "deep", outer / "link"):
        with pytest.raises(Refused) as refused:
            opened(place)
        assert refused.value.kind == "not-a-repository"
        assert f"{place if place != inner / 'deep' else inner}/.git" in refused.value.message
        assert opened(place, GIT_DIR=str(outer / ".git"), GIT_WORK_TREE=str(outer)) == str(outer)
    (inner / ".git" / "HEAD").unlink()
    with pytest.raises(Refused):
        opened(inner)
    shutil.rmtree(inner / ".git")
    assert opened(inner) == str(outer)
    with pytest.raises(Refused) as refused:
        opened(outer / ".git" / "refs")
    assert refused.value.kind == "bare-repository"


def test_no_repository_is_found_above_a_ceiling(rewritten_world: World) -> None:
    """``GIT_CEILING_DIRECTORIES`` says where git stops looking; a repository above is somebody else's."""
    world, clone = rewritten_world, rewritten_world.clone
    etc = clone / "etc"
    (world.base / "link").symlink_to(clone)
    for folder, ceiling in (
        (etc, clone),
        (etc, world.base / "link"),
        (etc, world.base),
        (clone, clone),
        (etc, etc),
        (etc, "clone"),
    ):
        env = {"GIT_CEILING_DIRECTORIES": f"/nowhere:{ceiling}"}
        found = world.git("rev-parse", "--show-toplevel", at=folder, env=env, check=False)
        if found:
            assert opened(folder, **env) == found, ceiling
            continue
        with pytest.raises(Refused) as refused:
            opened(folder, **env)
        assert refused.value.kind == "not-a-repository"
        assert "is not in a git repository" in str(refused.value)
    (clone / ".git" / "reftable").mkdir()
    (clone / ".git" / "reftable" / "tables.list").touch()
    with pytest.raises(Refused) as refused:
        opened(etc, GIT_CEILING_DIRECTORIES=str(clone))
    assert refused.value.kind == "not-a-repository"


def test_a_working_tree_whose_repository_is_gone(rewritten_world: World) -> None:
    """Or whose ``.git`` says nothing at all; git reads such a file no further up, either."""
    world = rewritten_world
    linked = world.base / "linked"
    world.git("worktree", "add", "-q", "--detach", str(linked))
    inner = world.clone / "inner"
    inner.mkdir()
    (inner / ".git").touch()
    for folder in (inner, linked):
        if folder == linked:
            world.clone.rename(world.base / "moved")
        assert world.git("rev-parse", "--git-dir", at=folder, check=False) == ""
        with pytest.raises(Refused) as refused:
            opened(folder)
        assert refused.value.kind == "not-a-repository"
        assert f"{folder}/.git leads to no git repository" in refused.value.message
    world.git("worktree", "repair", str(linked), at=world.base / "moved")
    assert opened(linked) == str(linked)
