"""What has to be true of an event that was played; each check names one promise."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.conftest import CLOCK, World
from tests.event.dirt import Recorded
from tests.event.play import Played
from tests.event.upstream import ANNOUNCEMENT, BRANCH, listing, read_objects

_LOCAL = f"refs/heads/{BRANCH}"
_TRACKING = f"refs/remotes/origin/{BRANCH}"


def compare(world: World, played: Played) -> Counter[str]:
    """Check everything; returns how often each verdict was reached."""
    looking_changes_nothing(played)
    plan_and_run_agree(played)
    commits_as_git_picks_them(played)
    headers_are_kept(world, played)
    edits_as_git_merges_them(played)
    other_files_are_not_touched(played)
    everything_is_backed_up(world, played)
    stash_brings_the_old_state_back(world, played)
    repository_is_sound(world, played)
    status_shows_what_the_report_lists(played)
    refs_and_reflogs_tell_the_story(world, played)
    second_run_has_nothing_to_do(played)
    undo_brings_everything_back(played)
    report = played.run.json
    return Counter(
        [f"commit {each['verdict']}" for each in report["commits"]]
        + [f"{each['state']} {each['verdict']}" for each in report["files"]]
    )


def same_checkout(one: Recorded, other: Recorded) -> None:
    """Two records agree in everything but the index file's own bytes (which hold times)."""
    assert one.refs == other.refs
    assert one.flags == other.flags
    assert one.files == other.files
    assert one.status == other.status
    assert (one.tip, one.index, one.worktree) == (other.tip, other.index, other.worktree)


def looking_changes_nothing(played: Played) -> None:
    """``check`` and ``plan`` leave refs, index and files as they were, to the byte."""
    assert (played.check.code, played.plan.code) == (5, 5)
    assert played.checked == played.before
    assert played.planned == played.before
    upstream = played.check.json["upstream"]
    assert (upstream["kind"], upstream["left"], upstream["arrived"]) == ("rewritten", 145, 1001)
    assert (upstream["old_tip"], upstream["new_tip"]) == (played.event.old, played.event.new)


def plan_and_run_agree(played: Played) -> None:
    """The run did what the plan said: verdicts, new commits (so trees as well) and the rescue branch."""
    planned, done = played.plan.json, played.run.json
    assert played.run.code == done["exit_code"] == 3
    for field in ("upstream", "commits", "files", "rescue"):
        assert planned[field] == done[field]
    assert [(each["old_tip"], each["new_tip"]) for each in planned["branches"]] == [
        (played.before.tip, played.after.tip)
    ]
    assert done["left_alone"] == []


def commits_as_git_picks_them(played: Played) -> None:
    """Verdicts, conflicts and the final tree are git's."""
    ours = [
        (each["oid"], each["verdict"], frozenset(each["conflicts"])) for each in played.run.json["commits"]
    ]
    assert ours == [(each.oid, each.verdict, each.conflicts) for each in played.picked]


def headers_are_kept(world: World, played: Played) -> None:
    """Of each reapplied commit only tree, parent, committer and signature are others; trees are git's."""
    commits = [each for each in played.run.json["commits"] if each["new_oid"] is not None]
    raw = read_objects(world, [each[key] for each in commits for key in ("oid", "new_oid")], at=played.copy)
    trees = {each.oid: each.tree for each in played.picked}
    parent = played.event.new
    for each in commits:
        headers, separator, message = raw[each["oid"]].partition(b"\n\n")
        kept = _without_signature(headers).split(b"\n")
        kept[0] = f"tree {trees[each['oid']]}".encode()
        kept[1] = f"parent {parent}".encode()
        kept[3] = b"committer C O Mitter <committer@example.com> %d +0000" % CLOCK
        assert raw[each["new_oid"]] == b"\n".join(kept) + separator + message
        parent = each["new_oid"]
    assert parent == played.after.tip


def _without_signature(headers: bytes) -> bytes:
    before, found, after = headers.partition(b"\ngpgsig ")
    if not found:
        return headers
    lines = after.split(b"\n")[1:]
    while lines and lines[0].startswith(b" "):
        lines.pop(0)
    return b"\n".join([before, *lines])


def edits_as_git_merges_them(played: Played) -> None:
    """Staged edits are staged, unstaged ones unstaged, each as git merges it; flags that could stay do."""
    carried = played.carried
    assert played.after.index == carried.index
    assert played.after.worktree == carried.worktree
    files = played.run.json["files"]
    for state, wanted in (("staged", carried.staged), ("unstaged", carried.unstaged)):
        assert {each["path"]: each["verdict"] for each in files if each["state"] == state} == wanted
    dirt = played.dirt
    assert set(carried.staged) == set(dirt.staged)
    assert set(carried.unstaged) == set(dirt.unstaged)
    in_the_way = [each for each in files if each["state"] in ("untracked", "ignored")]
    assert {each["path"]: (each["state"], each["verdict"]) for each in in_the_way} == {
        dirt.same: ("untracked", "adopted"),
        dirt.other: ("untracked", "parked"),
        dirt.ignored: ("ignored", "parked"),
    }


def other_files_are_not_touched(played: Played) -> None:
    """A file that ends as it began was not written in between."""
    before, after = played.before, played.after
    same = {path for path, state in before.files.items() if after.files.get(path) == state}
    assert same > {*played.dirt.apart, played.dirt.same}
    assert {path: before.written[path] for path in same} == {path: after.written[path] for path in same}


def everything_is_backed_up(world: World, played: Played) -> None:
    """The rescue branch has a stash's shape and all bytes; what is ignored is pinned, and not on it."""
    before, dirt, at = played.before, played.dirt, played.copy
    rescue, run = played.run.json["rescue"]["oid"], played.run.json["run"]
    assert world.git("rev-parse", f"refs/heads/{played.run.json['rescue']['branch']}", at=at) == rescue
    trees = world.git("rev-parse", f"{rescue}^{{tree}}", f"{rescue}^2^{{tree}}", at=at).splitlines()
    assert trees == [before.worktree, before.index]
    parents = world.git("rev-parse", f"{rescue}^1", f"{rescue}^2^1", at=at).splitlines()
    assert parents == [before.tip, before.tip]

    def on_disk(path: str) -> tuple[str, str]:
        mode, data = before.files[path]
        full = world.base / "bytes"
        full.write_bytes(data)
        oid = world.git("hash-object", "--no-filters", str(full), at=at)
        return ("100755" if mode & stat.S_IXUSR else "100644", oid)

    assert listing(world, f"{rescue}^3", at=at) == {path: on_disk(path) for path in (dirt.same, dirt.other)}
    private = f"refs/resync/{run}/private"
    assert listing(world, private, at=at) == {dirt.ignored: on_disk(dirt.ignored)}
    assert world.git("rev-parse", f"refs/resync/{run}/upstream", at=at) == played.event.old
    index = world.git("rev-parse", f"refs/resync/{run}/index", at=at)
    assert read_objects(world, [index], at=at)[index] == before.index_file

    public = _reachable(world, played, "refs/heads/rescue/")
    pinned = _reachable(world, played, f"refs/resync/{run}/")
    parked = {each["oid"] for each in played.run.json["commits"] if each["new_oid"] is None}
    assert parked <= public
    assert on_disk(dirt.ignored)[1] in pinned - public
    # And the same without trees: every byte that was dirty, by its hash.
    dirty = {on_disk(path)[1] for path in (*dirt.unstaged, dirt.same, dirt.other) if _is_file(before, path)}
    staged = listing(world, before.index, at=at)
    dirty |= {staged[path].oid for path in dirt.staged if path in staged}
    assert dirty <= public


def _is_file(before: Recorded, path: str) -> bool:
    return path in before.files and stat.S_ISREG(before.files[path][0])


def _reachable(world: World, played: Played, prefix: str) -> set[str]:
    """The ids of all objects that refs below ``prefix`` reach (and upstream's new line does not)."""
    listed = world.git("rev-list", "--objects", f"--glob={prefix}*", at=played.copy)
    return {line.partition(" ")[0] for line in listed.splitlines()}


def stash_brings_the_old_state_back(world: World, played: Played) -> None:
    """``git stash apply --index`` of the rescue branch on a fresh checkout of the old tip."""
    fresh, before = world.base / "fresh", played.before
    world.git("clone", "-q", "--shared", "--no-checkout", str(played.copy), str(fresh), at=world.base)
    world.git("checkout", "-q", "--detach", before.tip, at=fresh)
    world.git("stash", "apply", "-q", "--index", played.run.json["rescue"]["oid"], at=fresh)
    assert world.git("ls-files", "--stage", at=fresh) == before.entries
    for path in before.files.keys() - _never_backed_up(played):
        mode, data = before.files[path]
        full = fresh / path
        found = os.readlink(full).encode() if full.is_symlink() else full.read_bytes()
        assert (stat.S_IFMT(full.lstat().st_mode), found) == (stat.S_IFMT(mode), data), path
        assert bool(full.lstat().st_mode & stat.S_IXUSR) == bool(mode & stat.S_IXUSR), path
    deleted = set(world.git("ls-files", "--deleted", "-z", at=fresh).split("\0")[:-1])
    assert deleted == {path for path in played.dirt.unstaged if path not in before.files}


def _never_backed_up(played: Played) -> set[str]:
    """Files that the run does not come near, and the ignored one, which is no matter of a stash."""
    return {*played.dirt.apart, played.dirt.ignored, "local/warm.cache"}


def repository_is_sound(world: World, played: Played) -> None:
    """``git fsck --strict`` has nothing to say."""
    assert world.git("fsck", "--strict", "--no-dangling", "--no-progress", at=played.copy) == ""
    assert not list((played.copy / ".git").rglob("*.lock"))


def status_shows_what_the_report_lists(played: Played) -> None:
    """``git status`` has the edits that the report calls kept or restored, and the files left alone."""
    shown: dict[str, set[str]] = {"staged": set(), "unstaged": set(), "untracked": set()}
    for line in played.after.status.split("\0")[:-1]:
        path = line[3:]
        if line.startswith("??"):
            shown["untracked"].add(path)
            continue
        if line[0] != " ":
            shown["staged"].add(path)
        if line[1] != " ":
            shown["unstaged"].add(path)
    listed = {
        state: {
            each["path"]
            for each in played.run.json["files"]
            if each["state"] == state and each["verdict"] in ("kept", "restored")
        }
        for state in ("staged", "unstaged")
    }
    assert shown == {**listed, "untracked": set(played.dirt.apart)}


def refs_and_reflogs_tell_the_story(world: World, played: Played) -> None:
    """The branch, its upstream and the announcing tag moved; reflogs have the true old values."""
    before, after = played.before, played.after
    moved = {name: oid for name, oid in after.refs.items() if before.refs.get(name) != oid}
    assert moved == {
        _LOCAL: after.tip,
        _TRACKING: played.event.new,
        "refs/remotes/origin/HEAD": played.event.new,
        ANNOUNCEMENT: played.event.announcement,
    }
    assert before.refs.keys() <= after.refs.keys()
    assert world.git("rev-parse", "ORIG_HEAD", at=played.copy) == before.tip
    carried = f"resync: carried over to origin/{BRANCH}"
    for name, old, new, message in (
        (_LOCAL, before.tip, after.tip, carried),
        ("HEAD", before.tip, after.tip, carried),
        (_TRACKING, played.event.old, played.event.new, "resync: forced-update"),
    ):
        written = (played.copy / ".git" / "logs" / name).read_text().splitlines()[-1]
        who = f"C O Mitter <committer@example.com> {CLOCK} +0000"
        assert written == f"{old} {new} {who}\t{message}"
        assert world.git("rev-parse", f"{name}@{{1}}", at=played.copy) == old


def second_run_has_nothing_to_do(played: Played) -> None:
    """A second run finds nothing new, says that parked work waits, and changes nothing."""
    said: Mapping[str, Any] = played.again.json
    assert played.again.code == said["exit_code"] == 3
    assert said["upstream"]["kind"] == "up-to-date"
    assert (said["commits"], said["files"], said["error"]) == ([], [], None)
    assert [each["moved"] for each in said["branches"]] == [False]
    assert said["hint"] == "resync status"
    assert played.after_again == played.after


def undo_brings_everything_back(played: Played) -> None:
    """Undo restores refs, index entries with their flags, files with their modes; undo of it redoes."""
    assert (played.undo.code, played.undo.json["error"]) == (0, None)
    same_checkout(played.undone, played.before)
    assert (played.redo.code, played.redo.json["error"]) == (3, None)
    same_checkout(played.redone, played.after)
