"""Each kind of evidence alone finds the local commits, and what looks like evidence finds nothing."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from resync.repository import Repository
from resync.upstream.evidence import collect
from resync.upstream.find import find
from tests import rewritten
from tests.conftest import World, needs_git

pytestmark = needs_git

MINE = ["Ship a plugin", "Count my way", "Fix the README"]


@pytest.fixture
def forgetful(rewritten_world: World) -> World:
    """A clone that fetched the new tip with git and lost every reflog: nothing tells of the old one."""
    world = rewritten_world
    world.git("fetch", "-q")
    shutil.rmtree(world.clone / ".git" / "logs")
    return world


def old_tip(world: World) -> str:
    """Where upstream stood when the clone was made: below the three local commits."""
    return world.git("rev-parse", "main~3")


def planned(world: World, *arguments: str) -> Any:
    done = world.resync("plan", "--json", *arguments)
    assert done.code == 5, (done.out, done.err)
    return done.json


def subjects(document: Any) -> list[str]:
    return [commit["subject"] for commit in document["commits"]]


def evidence(document: Any) -> set[tuple[str, str]]:
    return {(each["kind"], each["source"]) for each in document["upstream"]["evidence"]}


def write_reflog(world: World, ref: str, *entries: tuple[str, str]) -> None:
    """A reflog whose entries have these values and messages."""
    path = world.clone / ".git" / "logs" / ref
    path.parent.mkdir(parents=True, exist_ok=True)
    old, lines = "0" * 40, []
    for new, message in entries:
        lines.append(f"{old} {new} C O Mitter <committer@example.com> 1461092552 +0000\t{message}\n")
        old = new
    path.write_text("".join(lines))


def knows_nothing(world: World) -> None:
    done = world.resync("run", "--yes", "--dirty", "park", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "no-evidence"), (done.out, done.err)


def test_without_any(forgetful: World) -> None:
    knows_nothing(forgetful)


def test_given(forgetful: World) -> None:
    document = planned(forgetful, "--old-tip", old_tip(forgetful))
    assert subjects(document) == MINE
    assert evidence(document) == {("given", "--old-tip")}


def test_record(rewritten_world: World) -> None:
    world = rewritten_world
    assert world.resync("check").code == 5
    world.git("fetch", "-q")
    shutil.rmtree(world.clone / ".git" / "logs")
    # It outlives everything that git forgets.
    world.git("gc", "-q", "--prune=now")
    document = planned(world)
    assert subjects(document) == MINE
    assert evidence(document) == {("record", "refs/resync/upstream/origin/main.tips")}


def test_tracking(rewritten_world: World) -> None:
    shutil.rmtree(rewritten_world.clone / ".git" / "logs")
    document = planned(rewritten_world)
    assert subjects(document) == MINE
    assert evidence(document) == {("tracking", "refs/remotes/origin/main")}


def test_reflog_of_the_tracking_branch(forgetful: World) -> None:
    new = forgetful.git("rev-parse", "origin/main")
    write_reflog(
        forgetful, "refs/remotes/origin/main", (old_tip(forgetful), ""), (new, "fetch: forced-update")
    )
    document = planned(forgetful)
    assert subjects(document) == MINE
    assert evidence(document) == {("reflog", "refs/remotes/origin/main")}


NAMES_UPSTREAM = [
    "clone: from https://example.com/up.git",
    "pull: Fast-forward",
    "pull -q: Fast-forward",
    "branch: Created from origin/main",
    "branch: Created from refs/remotes/origin/main",
    "branch: Reset to origin/main",
    "reset: moving to origin/main",
    "checkout: moving from topic to origin/main",
    "rebase (start): checkout origin/main",
    "rebase: checkout origin/main",
]

PROVES_NOTHING = [
    "commit: origin/main",
    "commit (amend): pull: Fast-forward",
    "reset: moving to HEAD@{1}",
    "reset: moving to HEAD~1",
    "reset: moving to origin/other",
    "branch: Created from HEAD",
    "branch: Created from other",
    "checkout: moving from origin/main to topic",
    "merge topic: Fast-forward",
    "rebase (finish): returning to refs/heads/main",
    "rebase (start): checkout topic",
    "",
]


def collected(world: World) -> list[tuple[str, bytes, bytes]]:
    """The evidence that there is beside the remote-tracking branch itself."""
    with Repository.open(str(world.clone), {}) as repository:
        head = repository.head()
        upstream = find(repository, head, None)
        found = collect(repository, upstream, head, given=None, announcements={})
    return [(each.kind, each.source, each.oid) for each in found if each.kind != "tracking"]


@pytest.mark.parametrize("ref", ["HEAD", "refs/heads/main"])
def test_reflog_of_the_branch_and_of_head(forgetful: World, ref: str) -> None:
    old, mine = old_tip(forgetful), forgetful.git("rev-parse", "main")
    for message in NAMES_UPSTREAM:
        write_reflog(forgetful, ref, (old, message), (mine, "commit: x"))
        assert collected(forgetful) == [("reflog", ref.encode(), old.encode())], message
    document = planned(forgetful)
    assert subjects(document) == MINE
    assert evidence(document) == {("reflog", ref)}


def test_reflogs_that_prove_nothing(forgetful: World) -> None:
    """Taken for upstream's, the tip of the user's own work would be dropped without a word."""
    entries = [(forgetful.git("rev-parse", "main"), message) for message in PROVES_NOTHING]
    for ref in ("HEAD", "refs/heads/main"):
        write_reflog(forgetful, ref, *entries)
    assert collected(forgetful) == []
    knows_nothing(forgetful)


@pytest.mark.parametrize("annotated", [False, True])
@pytest.mark.parametrize("tag", ["main-early-demise", "main-eol", "end-of-main"])
def test_announcing_tag(forgetful: World, tag: str, annotated: bool) -> None:
    options = ["-a", "-m", "The end"] if annotated else []
    forgetful.git("tag", *options, tag, old_tip(forgetful), at=forgetful.upstream)
    forgetful.git("config", "resync.announcement", "end-of-*")
    document = planned(forgetful)
    assert subjects(document) == MINE
    assert evidence(document) == {("announcement-tag", f"refs/tags/{tag}")}


def test_a_private_tag_announces_nothing(forgetful: World) -> None:
    forgetful.git("tag", "main-early-demise", "main")
    knows_nothing(forgetful)


def test_a_tag_that_upstream_has_for_something_else(forgetful: World) -> None:
    forgetful.git("tag", "v1.0", old_tip(forgetful), at=forgetful.upstream)
    knows_nothing(forgetful)


def test_damaged_reflog_lines_are_passed_over(forgetful: World) -> None:
    path = forgetful.clone / ".git" / "logs" / "HEAD"
    path.parent.mkdir()
    tip = old_tip(forgetful)
    path.write_bytes(
        b"\n\0\xff garbage\n"
        + tip.encode()
        + b"\n"
        + f"{'0' * 40} {tip} no date\tclone: from x\n".encode()
        + f"{'0' * 40} {tip} C O Mitter <c@example.com> 1461092552 +0000\tclone: from x\n".encode()
        + f"{tip} {'1' * 40} C O Mitter <c@example.com> 1461092552 +0000\tpull: Fast-forward".encode()
    )
    document = planned(forgetful)
    assert subjects(document) == MINE
    assert evidence(document) == {("reflog", "HEAD")}


def test_the_record_only_grows(rewritten_world: World) -> None:
    world = rewritten_world
    name = "refs/resync/upstream/origin/main.tips"
    assert world.resync("check").code == 5
    first = world.git("rev-parse", name)
    assert world.git("rev-parse", f"{name}^@") == old_tip(world)
    assert world.resync("check").code == 5
    assert world.git("rev-parse", name) == first
    new = world.git("rev-parse", "main", at=world.upstream)
    assert world.resync("run", "--yes", "--dirty", "park").code == 3
    assert world.resync("check").code == 3
    tips = set(world.git("rev-parse", f"{name}^@").splitlines())
    assert tips == {world.git("rev-parse", "main@{1}~3"), new}


def test_what_was_fetched_survives_a_prune(rewritten_world: World) -> None:
    """A plan may be looked at for hours before its run moves the remote-tracking branch."""
    world = rewritten_world
    tip = world.git("rev-parse", "main", at=world.upstream)
    assert world.resync("check").code == 5
    world.git("gc", "-q", "--prune=now")
    assert world.git("rev-list", "--objects", tip)


def test_the_record_follows_a_renamed_remote(world: World) -> None:
    old = rewritten.start(world)
    assert world.resync("check").code == 0
    world.commit("Mine", {"mine.txt": "mine\n"})
    world.git("remote", "rename", "origin", "vendor")
    world.git("remote", "rename", "vendor", "upstream")
    rewritten.rewrite(world)
    world.git("fetch", "-q", "upstream")
    assert ("record", b"refs/resync/upstream/origin/main.tips", old.encode()) in collected(world)
    # A remote that is merely gone is another one: what it had proves nothing here.
    world.git("update-ref", "refs/resync/upstream/fork/main.tips", "refs/resync/upstream/origin/main.tips")
    assert not any(b"fork" in source for _, source, _ in collected(world))
