"""The upstream of the event: Kolla's stable/liberty before and after it was deleted and recreated."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.conftest import EVENT, World, environment

BRANCH = "stable/liberty"
ANNOUNCEMENT = "refs/tags/liberty-early-demise"
_BUNDLE = EVENT / "kolla-event.bundle"
_PICKS = EVENT / "merge-cases.tsv"


class Entry(NamedTuple):
    """A file of a tree, as ``git ls-tree`` prints it."""

    mode: str
    oid: str


@dataclass(frozen=True, kw_only=True)
class Event:
    """Both tips with every file of theirs; ``renamed`` are the old names of those that git finds again
    under another name, ``blobs`` the bytes of all files by id."""

    old: str
    new: str
    announcement: str
    old_files: Mapping[str, Entry]
    new_files: Mapping[str, Entry]
    renamed: tuple[str, ...]
    blobs: Mapping[str, bytes] = field(repr=False)


def begin(world: World) -> Event:
    """Put upstream where it was before the event, and clone it the way that people did."""
    made, event = _begun()
    shutil.rmtree(world.upstream, ignore_errors=True)
    for ours, its in ((made.upstream, world.upstream), (made.clone, world.clone)):
        shutil.copytree(ours, its, symlinks=True, copy_function=_copy)
    world.git("config", "remote.origin.url", str(world.upstream))
    for log in (world.clone / ".git" / "logs").rglob("*"):
        if log.is_file():
            log.write_text(log.read_text().replace(str(made.upstream), str(world.upstream)))
    # The copied files have other stat data than the index has.
    world.git("update-index", "-q", "--refresh")
    return event


def _copy(source: str, target: str) -> None:
    """A pack is never written to again, so it need not be there twice."""
    if source.endswith((".pack", ".idx", ".rev")):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


@cache
def _begun() -> tuple[World, Event]:
    """Upstream and a clone of it before the event, made once; ``begin`` hands out copies."""
    base = Path(tempfile.mkdtemp(prefix="event-"))
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    (base / "home").mkdir()
    up, clone = base / "up.git", base / "clone"
    world = World(base=base, upstream=up, clone=clone, env=environment(base / "home"))
    world.git("init", "-q", "--bare", "-b", "main", str(up), at=base)
    world.git("fetch", "-q", "--no-tags", str(_BUNDLE), "refs/*:refs/event/*", at=up)
    old, new, announcement = world.git(
        "rev-parse",
        "refs/event/resync/old",
        "refs/event/resync/new",
        "refs/event/tags/liberty-early-demise",
        at=up,
    ).splitlines()
    world.git("update-ref", f"refs/heads/{BRANCH}", old, at=up)
    world.git("update-ref", "refs/heads/stable/mitaka", "refs/event/heads/stable/mitaka", at=up)
    world.git("update-ref", "refs/tags/1.0.0", "refs/event/tags/1.0.0", at=up)
    world.git("symbolic-ref", "HEAD", f"refs/heads/{BRANCH}", at=up)
    # Over the wire, or the clone would have all of the new line's objects already.
    world.git("clone", "-q", "--no-local", str(up), str(clone), at=base)
    old_files, new_files = listing(world, old, at=up), listing(world, new, at=up)
    # A letter, the old name and the new one, each ended by a NUL.
    renamed = world.git("diff", "--name-status", "-M", "--diff-filter=R", "-z", old, new, at=up).split("\0")
    oids = {entry.oid for files in (old_files, new_files) for entry in files.values()}
    event = Event(
        old=old,
        new=new,
        announcement=announcement,
        old_files=old_files,
        new_files=new_files,
        renamed=tuple(renamed[1::3]),
        blobs=read_objects(world, oids, at=up),
    )
    return world, event


def rewrite(world: World, event: Event) -> None:
    """What upstream did: the old tip tagged, the branch deleted and recreated from the next one."""
    up = world.upstream
    world.git("update-ref", ANNOUNCEMENT, event.announcement, at=up)
    world.git("update-ref", "-d", f"refs/heads/{BRANCH}", at=up)
    world.git("update-ref", f"refs/heads/{BRANCH}", event.new, at=up)


def listing(world: World, tree: str, at: Path | None = None) -> dict[str, Entry]:
    """Every file below a tree, by path."""
    found = {}
    for line in world.git("ls-tree", "-r", "-z", tree, at=at).split("\0")[:-1]:
        meta, _, path = line.partition("\t")
        mode, _, oid = meta.split(" ")
        found[path] = Entry(mode, oid)
    return found


def read_objects(world: World, oids: Iterable[str], at: Path | None = None) -> dict[str, bytes]:
    """The raw bytes of objects (``World.git`` would take a line end off them), by id."""
    wanted = list(dict.fromkeys(oids))
    printed = subprocess.run(
        ["git", "cat-file", "--batch"],
        cwd=at or world.clone,
        env=world.env,
        input="".join(oid + "\n" for oid in wanted).encode(),
        capture_output=True,
        check=True,
    ).stdout
    found = {}
    for oid in wanted:
        header, _, printed = printed.partition(b"\n")
        size = int(header.split(b" ")[2])
        found[oid], printed = printed[:size], printed[size + 1 :]
    return found


def clean_picks(onto: str) -> list[str]:
    """The commits of the history that are known to pick cleanly on ``onto``, in the list's order."""
    lines = _PICKS.read_text().splitlines()
    cases = [line.split("\t") for line in lines if not line.startswith("#")]
    return [theirs for _, ours, theirs, verdict, _ in cases if ours == onto and verdict == "clean"]
