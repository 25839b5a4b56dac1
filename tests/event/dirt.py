"""Uncommitted work of every kind on top of the local commits, and what a record of it looks like."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import World, snapshot_files
from tests.event.edits import Edit, Edits
from tests.event.upstream import Event

_AIMS = ("kept", "restored", "parked", "adopted")
_EXTRAS = ("mode", "staged new file", "deletion", "staged deletion", "link for file", "nothing")


@dataclass(frozen=True, kw_only=True)
class Dirt:
    """Which paths were made dirty and how.

    ``same``, ``other`` and ``ignored`` stand where the new tree has files: untracked with its bytes,
    untracked with others, and ignored. ``apart`` are untracked files that nothing will come near.
    """

    staged: tuple[str, ...]
    unstaged: tuple[str, ...]
    same: str
    other: str
    ignored: str
    apart: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A checkout as it is at one moment. ``index`` and ``worktree`` are trees of the tracked files;
    ``flags`` are the index entries with theirs; ``files`` are modes and bytes on the disk, ``written``
    inode and modification time of each, which tell whether a file was written anew."""

    tip: str
    refs: dict[str, str]
    index: str
    worktree: str
    entries: str
    flags: str
    status: str
    index_file: bytes = field(repr=False)
    files: dict[str, tuple[int, bytes]] = field(repr=False)
    written: dict[str, tuple[int, int]] = field(repr=False)


def make(world: World, event: Event, edits: Edits, seed: int) -> Dirt:
    """Dirty the clone: two staged edits, one of them edited again, two unstaged edits, something more,
    and files in the way. The seed shifts the aims, so that every kind of edit meets every outcome."""
    aims = [_AIMS[(seed + number) % len(_AIMS)] for number in range(4)]
    first, second, third, fourth = (_aimed(edits, aim) for aim in aims)
    for edit in (first, second):
        world.write(edit.path, edit.data)
        world.git("add", edit.path)
    world.write(second.path, second.data + edits.text())
    for edit in (third, fourth):
        world.write(edit.path, edit.data)
    staged, unstaged = [first.path, second.path], [second.path, third.path, fourth.path]
    path, is_staged = _something_more(world, edits)
    (staged if is_staged else unstaged).extend(path)
    # A flag on a file that upstream changes and on one that it does not.
    world.git("update-index", "--assume-unchanged", edits.pick(edits.changed()), edits.pick(edits.equal()))

    same, other, ignored = (edits.pick(edits.arriving()) for _ in range(3))
    world.write(same, event.blobs[event.new_files[same].oid])
    world.write(other, edits.text()).chmod(0o755)
    world.write(ignored, b"password: " + edits.line()).chmod(0o600)
    with open(world.clone / ".git" / "info" / "exclude", "a") as file:
        file.write(f"/{ignored}\n*.cache\n")
    vanishing = os.path.dirname(edits.pick(edits.gone()))
    apart = ("my notes.txt", f"{vanishing}/my-notes.txt")
    for name in (*apart, "local/warm.cache"):
        world.write(name, edits.text())
    return Dirt(
        staged=tuple(staged), unstaged=tuple(unstaged), same=same, other=other, ignored=ignored, apart=apart
    )


def _aimed(edits: Edits, aim: str) -> Edit:
    match aim:
        case "kept":
            return edits.untouched()
        case "restored":
            return edits.apart()
        case "parked":
            return edits.clashing()
        case _:
            return edits.upstreams()


def _something_more(world: World, edits: Edits) -> tuple[list[str], bool]:
    """One more change, and whether it is staged."""
    match edits.random.choice(_EXTRAS):
        case "mode":
            path = edits.pick(edits.changed())
            (world.clone / path).chmod((world.clone / path).stat().st_mode ^ 0o111)
            return [path], False
        case "staged new file":
            world.write("staged/new.txt", edits.text())
            world.git("add", "staged/new.txt")
            return ["staged/new.txt"], True
        case "deletion":
            path = edits.pick(edits.changed())
            (world.clone / path).unlink()
            return [path], False
        case "staged deletion":
            path = edits.pick(edits.equal())
            world.git("rm", "-q", path)
            return [path], True
        case "link for file":
            path = edits.pick(edits.equal())
            (world.clone / path).unlink()
            (world.clone / path).symlink_to("nowhere")
            return [path], False
        case _:
            return [], False


def record(world: World, at: Path | None = None) -> Recorded:
    """What the checkout is now, as git and the disk say. Refs of resync's own are left out.

    Nothing is written to the checkout: what git makes on the way goes to ``scratch``.
    """
    at = at or world.clone
    refs = {}
    for line in world.git("for-each-ref", "--format=%(objectname) %(refname)", at=at).splitlines():
        oid, _, name = line.partition(" ")
        if not name.startswith(("refs/resync/", "refs/heads/rescue/")):
            refs[name] = oid
    index_file = (at / ".git" / "index").read_bytes()
    objects = scratch(world)
    env = {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_OBJECT_DIRECTORY": str(objects),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(at / ".git" / "objects"),
    }
    copied = {**env, "GIT_INDEX_FILE": str(objects / "index")}
    (objects / "index").write_bytes(index_file)
    index = world.git("write-tree", at=at, env=copied)
    world.git("update-index", "-q", "--really-refresh", at=at, env=copied, check=False)
    world.git("add", "--update", ".", at=at, env=copied)
    files = snapshot_files(at)
    status = {path: (at / path).lstat() for path in files}
    return Recorded(
        tip=world.git("rev-parse", "HEAD", at=at),
        refs={**refs, "HEAD": (at / ".git" / "HEAD").read_text()},
        index=index,
        worktree=world.git("write-tree", at=at, env=copied),
        entries=world.git("ls-files", "--stage", at=at),
        flags=world.git("ls-files", "-s", "-t", "-v", at=at),
        status=world.git("status", "--porcelain", "-uall", "-z", at=at, env=env),
        index_file=index_file,
        files=files,
        written={path: (each.st_ino, each.st_mtime_ns) for path, each in status.items()},
    )


def scratch(world: World) -> Path:
    """The object folder for what the tests themselves make of a checkout."""
    folder = world.base / "scratch"
    folder.mkdir(exist_ok=True)
    return folder
