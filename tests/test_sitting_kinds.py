"""Every kind of conflict, taken to the working tree as ``git cherry-pick`` leaves it, and given back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import World, needs_git, snapshot_files
from tests.inside import inside
from tests.rewritten import LINES, publish, work

pytestmark = needs_git

OTHER = LINES.replace("line 7\n", "line seven\n")


def base(world: World, at: Path) -> None:
    files: dict[str, str | bytes] = {"text": LINES, "gone": LINES, "kept": LINES, "two": LINES + "two\n"}
    files |= {"folder/a": "a\n", "folder/b": "b\n", "image": b"\0one"}
    for path, data in files.items():
        world.write(path, data, at)
    (at / "link").symlink_to("text")
    world.git("add", "-A", at=at)
    _module(world, at, 1)
    world.commit("Base", {}, at=at)


def _module(world: World, at: Path, number: int) -> None:
    world.git("update-index", "--add", "--cacheinfo", f"160000,{number:040d},module", at=at)


def _link(at: Path, target: str) -> None:
    (at / "link").unlink(missing_ok=True)
    (at / "link").symlink_to(target)


def _write(world: World, at: Path, path: str, data: str | bytes | None) -> None:
    full = at / path
    if full.is_dir() and not full.is_symlink():
        world.git("rm", "-rq", path, at=at)
    elif full.exists():
        full.unlink()
    if data is not None:
        world.write(path, data, at)


def side(*changes: tuple[str, str | bytes | None]) -> Callable[[World, Path], None]:
    def make(world: World, at: Path) -> None:
        for path, data in changes:
            _write(world, at, path, data)

    return make


def moved(old: str, new: str, data: str | None = None) -> Callable[[World, Path], None]:
    def make(world: World, at: Path) -> None:
        (at / new).parent.mkdir(parents=True, exist_ok=True)
        world.git("mv", old, new, at=at)
        if data is not None:
            world.write(new, data, at)

    return make


def executable(world: World, at: Path) -> None:
    (at / "added").write_text("added\n")
    (at / "added").chmod(0o755)


# What upstream does, and what the local commit does.
KINDS: dict[str, tuple[Callable[[World, Path], None], Callable[[World, Path], None]]] = {
    "content": (side(("text", OTHER)), side(("text", LINES.replace("line 7", "line VII")), ("more", "m\n"))),
    "modify/delete": (side(("gone", None)), side(("gone", OTHER))),
    "delete/modify": (side(("gone", OTHER)), side(("gone", None))),
    "add/add": (side(("added", "theirs\n")), side(("added", "mine\n"))),
    "modes": (side(("added", "added\n")), executable),
    "binary": (side(("image", b"\0two")), side(("image", b"\0three"))),
    "links": (
        lambda world, at: _link(at, "theirs"),
        lambda world, at: _link(at, "mine"),
    ),
    "link and file": (side(("link", "a file\n")), lambda world, at: _link(at, "mine")),
    "rename and edit": (
        moved("two", "three", OTHER + "two\n"),
        side(("two", LINES.replace("line 7", "line VII") + "two\n")),
    ),
    "rename/rename": (moved("kept", "theirs"), moved("kept", "mine")),
    "renamed and edited twice": (moved("kept", "theirs", OTHER), moved("kept", "mine", LINES + "mine\n")),
    "rename/delete": (side(("kept", None)), moved("kept", "mine")),
    "rename/add": (side(("mine", "in its place\n")), moved("kept", "mine")),
    "two to one": (moved("kept", "one"), moved("two", "one")),
    "file/folder": (side(("place/inside", "inside\n")), side(("place", "a file\n"))),
    "folder/file": (side(("folder", None), ("folder", "a file\n")), side(("folder/a", "changed\n"))),
    "renamed folder": (moved("folder", "elsewhere"), side(("folder/new", "new\n"))),
    "submodule": (lambda world, at: _module(world, at, 2), lambda world, at: _module(world, at, 3)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_as_git_leaves_it(world: World, kind: str) -> None:
    theirs, mine = KINDS[kind]
    at = work(world)
    base(world, at)
    publish(world)
    world.git("clone", "-q", str(world.upstream), str(world.clone), at=world.base)
    world.git("config", "merge.conflictStyle", "zdiff3")
    _commit(world, world.clone, "Mine", mine)
    _commit(world, at, "Theirs", theirs)
    publish(world)
    oid = world.git("rev-parse", "HEAD")
    assert inside(world, "run", "--yes", "--advance", "--dirty", "park").code == 3
    before = world.state()
    assert inside(world, "continue", "--json").json["sitting"]["commit"] == oid
    other = world.base / "other"
    world.git("worktree", "add", "-q", "--detach", str(other), "main")
    world.git("cherry-pick", oid, at=other, check=False)
    for arguments in (("ls-files", "-s"), ("status", "--porcelain=v2", "-uall"), ("diff", "HEAD")):
        assert world.git(*arguments) == world.git(*arguments, at=other), arguments
    (other / ".git").unlink()
    assert snapshot_files(world.clone) == snapshot_files(other)
    world.git("add", "-A", "--", ".", ":!module")  # with markers and all
    assert inside(world, "abort").code == 3
    after = world.state()
    assert (after["index"], after["files"]) == (before["index"], before["files"])


def _commit(world: World, at: Path, message: str, change: Callable[[World, Path], None]) -> None:
    change(world, at)
    staged = world.git("ls-files", "-s", "module", at=at)
    world.git("add", "-A", at=at)
    world.git("update-index", "--add", "--cacheinfo", ",".join(staged.split()[:2]) + ",module", at=at)
    world.git("commit", "-q", "-m", message, at=at)


@pytest.mark.parametrize("autoupdate", ["true", "false"])
def test_what_was_resolved_before_in_part(world: World, autoupdate: str) -> None:
    """Of two conflicts one is recorded: its file is as it was resolved, and staged where git would stage."""
    at = work(world)
    world.commit("Base", {"one": LINES, "two": LINES}, at=at)
    publish(world)
    world.git("clone", "-q", str(world.upstream), str(world.clone), at=world.base)
    world.git("config", "rerere.enabled", "true")
    world.git("config", "rerere.autoupdate", autoupdate)
    mine = LINES.replace("line 7\n", "line VII\n")
    oid = world.commit("Mine", {"one": mine, "two": mine})
    world.commit("Theirs", {"one": OTHER, "two": LINES.replace("line 7\n", "line 007\n")}, at=at)
    publish(world)
    world.git("fetch", "-q")
    for name in ("before", "other"):
        world.git("worktree", "add", "-q", "--detach", str(world.base / name), "origin/main")
    before, other = world.base / "before", world.base / "other"
    world.git("cherry-pick", oid, at=before, check=False)
    world.write("one", LINES.replace("line 7\n", "seven\n"), before)
    world.git("rerere", at=before)
    assert inside(world, "run", "--yes", "--advance").code == 3
    assert inside(world, "continue").code == 4
    world.git("cherry-pick", oid, at=other, check=False)
    for arguments in (("ls-files", "-s"), ("status", "--porcelain=v2"), ("diff",), ("rerere", "status")):
        assert world.git(*arguments) == world.git(*arguments, at=other), arguments
    folder = Path(world.git("rev-parse", "--absolute-git-dir", at=other))
    assert (world.clone / ".git" / "MERGE_MSG").read_bytes() == (folder / "MERGE_MSG").read_bytes()
    assert (world.clone / "one").read_text() == LINES.replace("line 7\n", "seven\n")
    left = {line.split("\t")[1] for line in world.git("ls-files", "-u").splitlines()}
    assert left == ({"two"} if autoupdate == "true" else {"one", "two"})
    world.write("two", mine)
    world.git("add", *left)
    assert inside(world, "continue").code == 0
    assert world.git("log", "-1", "--format=%s", "--name-only").split() == ["Mine", "one", "two"]
