"""The moves of the tests of bad states: rewrite upstream, run, look at what was saved, and go back."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from tests.conftest import CLOCK, Done, World
from tests.rewritten import LINES, publish, work

RUN = ("run", "--yes", "--dirty", "park", "--json")
LATER = {"GIT_COMMITTER_DATE": f"{CLOCK + 60} +0000"}


def rewrite(world: World, files: Mapping[str, str | bytes | None] | None = None) -> str:
    """Upstream takes its last commit back and has another, with ``files`` (None: removed), in its place."""
    at = work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    numbers = LINES.replace("line 2\n", "line two, the new way\n")
    world.commit("New way", {"numbers.txt": numbers, **(files or {})}, at=at)
    return publish(world)


def move_upstream_to(world: World, tree: str) -> str:
    """Upstream's branch takes its last commit back and has one with this tree in its place."""
    commit = world.git("commit-tree", "-p", "main~1", "-m", "New way", tree, at=world.upstream)
    world.git("update-ref", "refs/heads/main", commit, at=world.upstream)
    return commit


def raw_tree(world: World, entries: list[tuple[str, bytes, str]]) -> str:
    """A tree object in upstream with these modes, names and ids, made without git's own checks."""
    data = b"".join(b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(oid)) for mode, name, oid in entries)
    command = ("hash-object", "-t", "tree", "--literally", "-w", "--stdin")
    return world.git(*command, stdin=data, at=world.upstream)


def blob(world: World, data: bytes) -> str:
    """A blob in upstream."""
    return world.git("hash-object", "-w", "--stdin", stdin=data, at=world.upstream)


def state(world: World) -> dict[str, Any]:
    """What a run followed by an undo must give back to the byte, as git and the disk have it."""
    return {
        "branch": world.git("rev-parse", "HEAD"),
        "index": world.git("ls-files", "-s", "-t", "-v"),
        "files": everything(world),
        "status": world.git("status", "--porcelain=v2", "-uall", "--ignored"),
        "staged": world.git("diff", "--cached", "--binary"),
        "unstaged": world.git("diff", "--binary"),
    }


def everything(world: World) -> dict[bytes, tuple[int, int, int, bytes]]:
    """Everything in the working tree, folders too (but for empty ones): mode, owner, group, and bytes or
    target."""
    found = {}
    for folder, folders, names in os.walk(os.fsencode(world.clone)):
        if folder == os.fsencode(world.clone):
            folders.remove(b".git")
        for name in (*folders, *names):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            data = b""
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    data = file.read()
            elif stat.S_ISLNK(status.st_mode):
                data = os.readlink(path)
            elif stat.S_ISDIR(status.st_mode) and not os.listdir(path):
                continue
            found[os.path.relpath(path, os.fsencode(world.clone))] = (
                status.st_mode,
                status.st_uid,
                status.st_gid,
                data,
            )
    return found


def run(world: World, *options: str, code: int = 0) -> Done:
    """A run that is carried out and leaves a repository in which git finds nothing wrong."""
    done = world.resync(*RUN, *options)
    assert done.code == code, (done.out, done.err)
    assert world.git("log", "-1", "--format=%s", "HEAD~1") == "New way"
    assert sound(world)
    return done


def undone(world: World, before: Mapping[str, Any]) -> None:
    """Undo gives everything back."""
    done = world.resync("undo", "--yes", "--json", env=LATER)
    assert done.code == 0, (done.out, done.err)
    after = state(world)
    assert {name: after[name] for name in before} == before
    assert sound(world)


def refused(world: World, kind: str, *arguments: str, code: int = 1) -> Done:
    """A refusal of this kind that changes nothing and says so, and what to type."""
    before, git_files = state(world), own_files(world)
    done = world.resync(*(arguments or RUN), *(() if "--json" in (arguments or RUN) else ("--json",)))
    assert done.code == code, (done.out, done.err)
    assert done.json["error"]["kind"] == kind, done.out
    assert done.json["error"]["message"].endswith("Nothing was changed."), done.out
    assert state(world) == before
    assert own_files(world) == git_files
    return done


def own_files(world: World) -> dict[str, bytes]:
    """HEAD, refs, reflogs and configuration, as files."""
    found: dict[str, bytes] = {}
    git_dir = world.clone / ".git"
    if not git_dir.is_dir():
        return found
    for path in sorted(git_dir.rglob("*")):
        parts = path.relative_to(git_dir).parts
        if (
            path.is_file()
            and parts[0] not in ("objects", "resync", "index")
            and parts[:2] != ("refs", "resync")
        ):
            found["/".join(parts)] = path.read_bytes()
    return found


def sound(world: World) -> bool:
    """Whether git finds nothing wrong."""
    return world.git("fsck", "--strict", "--no-dangling") == ""


def rescue(done: Done) -> str:
    """The rescue branch of a run."""
    name: str = done.json["rescue"]["branch"]
    return name


def saved(world: World, done: Done, path: str, where: str = "") -> bytes:
    """A file's bytes on the rescue branch: of the working tree, the index (``^2``), or untracked (``^3``)."""
    return os.fsencode(world.git("cat-file", "blob", f"{rescue(done)}{where}:{path}") + "\n")


def pinned(world: World, done: Done, path: str) -> bytes:
    """The bytes of an ignored file, which is pinned and on no branch."""
    return os.fsencode(world.git("cat-file", "blob", f"refs/resync/{done.json['run']}/private:{path}") + "\n")


def verdicts(done: Done) -> dict[tuple[str, str], str]:
    """What the run says became of each file."""
    return {(each["path"], each["state"]): each["verdict"] for each in done.json["files"]}
