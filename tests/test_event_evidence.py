"""The founding event with one kind of evidence left at a time: the own commits are found exactly."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import EVENT, World, environment, needs_git
from tests.event import upstream

pytestmark = [
    needs_git,
    pytest.mark.skipif(not EVENT.exists(), reason=f"the event's data is not at {EVENT}"),
]
MINE = ["Ship a plugin", "Deploy our way", "Ship it again"]
TRACKING = f"refs/remotes/origin/{upstream.BRANCH}"
LOCAL = f"refs/heads/{upstream.BRANCH}"


@pytest.fixture(scope="module")
def _event(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, upstream.Event]:
    """A clone with three commits of its own, before upstream acts; made once, copied for each test."""
    base = tmp_path_factory.mktemp("event") / "base"
    home = base / "home"
    home.mkdir(parents=True)
    world = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(home))
    event = upstream.begin(world)
    world.git("config", "remote.origin.url", "../up.git")
    _work(world)
    return base, event


@pytest.fixture
def event(
    _event: tuple[Path, upstream.Event], tmp_path: Path, hermetic: Path
) -> tuple[World, upstream.Event]:
    """A copy of it."""
    base = tmp_path / "event"
    shutil.copytree(_event[0], base, symlinks=True)
    world = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(hermetic))
    return world, _event[1]


def _work(world: World) -> None:
    for number, subject in enumerate(MINE):
        world.commit(subject, {f"downstream/{number}.conf": f"{subject}\n"})


def _unannounced(world: World) -> None:
    world.git("update-ref", "-d", upstream.ANNOUNCEMENT, at=world.upstream)


def _fetched(world: World, keep: str = "") -> None:
    """git fetches the new tip, and all reflogs but one are gone; so are what only they hold."""
    world.git("fetch", "-q", "--no-tags")
    logs = world.clone / ".git" / "logs"
    for path in [path for path in logs.rglob("*") if path.is_file()]:
        if str(path.relative_to(logs)) != keep:
            path.unlink()
    # By the real clock the reflog that is kept is years old.
    never = [f"gc.{name}=never" for name in ("reflogExpire", "reflogExpireUnreachable")]
    world.git("-c", never[0], "-c", never[1], "gc", "-q", "--prune=now")


def _found(world: World, event: upstream.Event, *arguments: str) -> set[tuple[str, str]]:
    """The evidence that the plan names; it must have found exactly the own commits."""
    document: Any = world.resync("plan", "--json", *arguments).json
    assert document["error"] is None
    assert document["upstream"]["kind"] == "rewritten"
    assert (document["upstream"]["left"], document["upstream"]["new_tip"]) == (145, event.new)
    assert [each["subject"] for each in document["commits"]] == MINE
    assert {each["oid"] for each in document["upstream"]["evidence"]} == {event.old}
    return {(each["kind"], each["source"]) for each in document["upstream"]["evidence"]}


def test_given(event: tuple[World, upstream.Event]) -> None:
    world, acts = event
    upstream.rewrite(world, acts)
    _unannounced(world)
    _fetched(world)
    assert world.resync("plan", "--json").json["error"]["kind"] == "no-evidence"
    assert _found(world, acts, "--old-tip", acts.old) == {("given", "--old-tip")}


def test_commit_map(event: tuple[World, upstream.Event]) -> None:
    """As a tool leaves it that rewrote history: of every old commit, the new one in its place."""
    world, acts = event
    upstream.rewrite(world, acts)
    _unannounced(world)
    _fetched(world)
    gone = world.git("rev-list", f"{acts.new}..{acts.old}", at=world.upstream).splitlines()
    lines = ["old new", *(f"{oid} {acts.new}" for oid in gone)]
    (world.base / "commit-map").write_text("\n".join(lines) + "\n")
    found = _found(world, acts, "--commit-map", str(world.base / "commit-map"))
    assert {kind for kind, _ in found} == {"commit-map"}


def test_record(event: tuple[World, upstream.Event]) -> None:
    world, acts = event
    assert world.resync("check").code == 0
    upstream.rewrite(world, acts)
    _unannounced(world)
    _fetched(world)
    assert _found(world, acts) == {("record", f"refs/resync/upstream/origin/{upstream.BRANCH}.tips")}


def test_tracking(event: tuple[World, upstream.Event]) -> None:
    world, acts = event
    upstream.rewrite(world, acts)
    _unannounced(world)
    shutil.rmtree(world.clone / ".git" / "logs")
    assert _found(world, acts) == {("tracking", TRACKING)}


@pytest.mark.parametrize("ref", [TRACKING, LOCAL, "HEAD"])
def test_reflog(event: tuple[World, upstream.Event], ref: str) -> None:
    world, acts = event
    upstream.rewrite(world, acts)
    _unannounced(world)
    _fetched(world, keep=ref)
    assert _found(world, acts) == {("reflog", ref)}


def test_announcing_tag(event: tuple[World, upstream.Event]) -> None:
    world, acts = event
    upstream.rewrite(world, acts)
    _fetched(world)
    assert _found(world, acts) == {("announcement-tag", upstream.ANNOUNCEMENT)}


def test_announcing_tag_in_a_stale_clone(event: tuple[World, upstream.Event]) -> None:
    """The clone has seen 45 of the 145 commits, and the tag tells of all of them."""
    world, acts = event
    line = world.git("rev-list", "--first-parent", acts.old).splitlines()
    seen = next(oid for oid in line if _count(world, f"{oid}..{acts.old}") >= 100)
    assert 0 < _count(world, f"{acts.new}..{seen}") <= 45
    world.git("update-ref", LOCAL, seen, at=world.upstream)
    shutil.rmtree(world.clone)
    world.git("clone", "-q", "--no-local", "--single-branch", "up.git", "clone", at=world.base)
    assert world.git("cat-file", "-t", acts.old, check=False) == ""
    _work(world)
    upstream.rewrite(world, acts)
    _fetched(world)
    assert _found(world, acts) == {("announcement-tag", upstream.ANNOUNCEMENT)}


def _count(world: World, span: str) -> int:
    return int(world.git("rev-list", "--no-merges", "--count", span, at=world.upstream))
