"""Conflicts that were resolved once are resolved again, by resync as by git, and only where that is sure."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from resync.merge.recordings import Recording
from resync.merge.rerere import normalise, replayed
from resync.model import TreePath
from resync.repository import Repository
from resync.repository.rr_cache import RrCache
from resync.resolutions import Recorded, Resolutions
from resync.worktree.attributes import Attributes
from resync.worktree.settings import WorktreeSettings
from tests import rewritten
from tests.conftest import World, needs_git
from tests.rewritten import LINES

BOTH = LINES.replace("line 2\n", "line two, my way and the new way\n")


def resolve_by_git(world: World, text: str = BOTH) -> str:
    """Resolve the conflict of ``Count my way`` beside the branch, with rerere enabled; its conflict id."""
    world.git("config", "rerere.enabled", "true")
    world.git("fetch", "-q")
    beside = world.base / "beside"
    world.git("worktree", "add", "-q", "--detach", str(beside), "origin/main")
    mine = world.git("rev-list", "--grep=Count my way", "main")
    world.git("cherry-pick", mine, at=beside, check=False)
    (beside / "numbers.txt").write_bytes(text.encode())
    world.git("commit", "-q", "-a", "--no-edit", at=beside)
    world.git("worktree", "remove", "--force", str(beside))
    (made,) = os.listdir(world.clone / ".git" / "rr-cache")
    assert (world.clone / ".git" / "rr-cache" / made / "postimage").read_bytes() == text.encode()
    return made


def commits(world: World) -> dict[str, dict[str, object]]:
    return {each["subject"]: each for each in world.resync("plan", "--json").json["commits"]}


@needs_git
def test_what_git_recorded_is_used(rewritten_world: World) -> None:
    world = rewritten_world
    assert commits(world)["Count my way"]["verdict"] == "parked"
    resolve_by_git(world)
    planned = commits(world)["Count my way"]
    assert planned["verdict"] == "reapplied"
    assert planned["reason"] == "numbers.txt: a recorded resolution was used"
    assert planned["resolved"] == ["numbers.txt"]
    (world.clone / "notes.txt").unlink()  # it would be parked
    done = world.resync("run", "--yes", "--json")
    assert done.code == 0
    made = {each["subject"]: each["new_oid"] for each in done.json["commits"]}["Count my way"]
    assert made == planned["new_oid"]
    assert world.git("show", f"{made}:numbers.txt") + "\n" == BOTH
    assert "<<<<" not in (world.clone / "numbers.txt").read_text()


@needs_git
@pytest.mark.parametrize(
    ("settings", "used"),
    [
        ({}, "both"),
        ({"rerere.enabled": "true"}, "both"),
        ({"rerere.enabled": "false"}, "imported"),
        ({"rerere.enabled": "false", "resync.rerere": "true"}, "both"),
        ({"rerere.enabled": "true", "resync.rerere": "false"}, "imported"),
    ],
    ids=str,
)
def test_git_s_are_used_only_where_that_is_wanted(world: World, settings: dict[str, str], used: str) -> None:
    world.git("init", "-q", str(world.clone), at=world.base)
    for name, value in settings.items():
        world.git("config", name, value)
    assert found(world) is None
    write(world.clone / ".git" / "rr-cache" / CONFLICT)
    write(world.clone / ".git" / "resync" / "rr-cache" / CONFLICT, resolved=b"imported\n")
    assert found(world) == ([RESOLVED] if used == "both" else []) + [b"imported\n"]


def found(world: World) -> list[bytes] | None:
    """What is asked for the one conflict; None: nothing is asked."""
    settings = WorktreeSettings()
    with Repository.open(str(world.clone), world.env) as repository:
        recordings = Resolutions(repository).recordings(Attributes(lambda path: None, settings), settings)
    return [each.postimage for each in recordings.find(CONFLICT)] if recordings is not None else None


@needs_git
def test_git_records_line_ends_as_they_are_on_disk(world: World) -> None:
    rewritten.start(world)
    rewritten.local_commits(world)
    rewritten.rewrite(world)
    (world.clone / ".git" / "info" / "attributes").write_text("*.txt text eol=crlf\n")
    resolve_by_git(world, BOTH.replace("\n", "\r\n"))
    planned = commits(world)["Count my way"]
    assert planned["verdict"] == "reapplied"
    assert world.resync("run", "--yes").code == 0
    assert world.git("show", "HEAD:numbers.txt") + "\n" == BOTH
    assert (world.clone / "numbers.txt").read_bytes() == BOTH.replace("\n", "\r\n").encode()


# --- what is not to be believed ----------------------------------------------------------------------

TEXT = b"".join(b"line %d\n" % number for number in range(20)).replace(
    b"line 9\n", b"<<<<<<< HEAD\nmine\n=======\ntheirs\n>>>>>>> topic\n"
)
KNOWN = normalise(TEXT)
assert KNOWN is not None
CONFLICT = KNOWN.conflict_id(40)
RESOLVED = b"".join(b"line %d\n" % number for number in range(20)).replace(b"line 9\n", b"both\n")


def write(folder: Path, resolved: bytes = RESOLVED) -> None:
    assert KNOWN is not None
    folder.mkdir(parents=True)
    (folder / "preimage").write_bytes(KNOWN.image)
    (folder / "postimage").write_bytes(resolved)


def used(cache: Path) -> list[bytes]:
    """What the recordings of the conflict make of it."""
    images = RrCache(str(cache)).resolutions(CONFLICT)
    found = [replayed(TEXT, Recording(*each)) for each in images]
    return [each for each in found if each is not None]


def test_what_is_whole_is_used(tmp_path: Path) -> None:
    write(tmp_path / "real" / CONFLICT)
    assert used(tmp_path / "real") == [RESOLVED]
    (tmp_path / "rr-cache").symlink_to(tmp_path / "real")
    assert used(tmp_path / "rr-cache") == [RESOLVED], "people share theirs by a link"


@pytest.mark.parametrize(
    "damage",
    ["empty", "cut", "zeros", "markers", "other", "huge", "link", "fifo", "folder", "no folder", "links"],
)
@pytest.mark.parametrize("image", ["preimage", "postimage"])
def test_what_is_damaged_or_no_file_is_not_used(tmp_path: Path, damage: str, image: str) -> None:
    cache, elsewhere = tmp_path / "rr-cache", tmp_path / "elsewhere"
    write(cache / CONFLICT)
    elsewhere.mkdir()
    path = cache / CONFLICT / image
    good = path.read_bytes()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(good[:90])
        case "zeros":
            path.write_bytes(good[:90] + bytes(len(good) - 90))
        case "markers":
            path.write_bytes(TEXT)
        case "other":
            # A postimage may be anything: it is what a person made of the text.
            (cache / CONFLICT / "preimage").write_bytes(b"something else\n")
        case "huge":
            with path.open("r+b") as file:
                file.truncate(1 << 40)
        case "link":
            path.rename(elsewhere / image)
            path.symlink_to(elsewhere / image)
        case "fifo":
            path.unlink()
            os.mkfifo(path)
        case "folder":
            path.unlink()
            path.mkdir()
        case "no folder":
            (cache / CONFLICT).rename(elsewhere / CONFLICT)
            (cache / CONFLICT).write_bytes(b"")
        case "links":
            (cache / CONFLICT).rename(elsewhere / CONFLICT)
            (cache / CONFLICT).symlink_to(elsewhere / CONFLICT)
    assert used(cache) == []


def test_random_names_in_the_cache_are_passed_over(tmp_path: Path) -> None:
    cache = RrCache(str(tmp_path))
    conflict = "0123456789" * 4
    assert list(cache.resolutions(conflict)) == []
    folder = tmp_path / conflict
    folder.mkdir()
    chance = random.Random(1)
    for name in ("preimage.x", "postimage.-1", "preimage.0x1", "thisimage", "postimage.99999999999"):
        (folder / name).write_bytes(b"no\n")
    for number in ("", ".2", ".10"):
        (folder / f"preimage{number}").write_bytes(b"pre %s\n" % number.encode())
        if number != ".2":
            (folder / f"postimage{number}").write_bytes(b"post %s\n" % number.encode())
    assert list(cache.resolutions(conflict)) == [(b"pre \n", b"post \n"), (b"pre .10\n", b"post .10\n")]
    for wrong in ("..", "../" + conflict, conflict.upper() + "A", "", conflict[:-1], conflict + "0"):
        assert list(cache.resolutions(wrong)) == []
    for number in range(100, 400):
        for image in chance.sample(["preimage", "postimage"], 2):
            (folder / f"{image}.{number}").write_bytes(b"%d\n" % number)
    assert len(list(cache.resolutions(conflict))) == 64


# --- recording, beside git ---------------------------------------------------------------------------

FILES = {f"{name}.txt": f"{name}\n" + LINES for name in ("one", "two", "three")}


def change(text: str, to: str) -> str:
    return text.replace("line 5\n", to)


@pytest.fixture
def picking(world: World) -> World:
    """A clone amid a cherry-pick with three conflicts, two of them alike; git has recorded nothing."""
    world.git("init", "-q", "-b", "main", str(world.clone), at=world.base)
    world.commit("Base", FILES)
    world.git("branch", "topic")
    world.commit("Mine", {name: change(text, "mine\n") for name, text in FILES.items()})
    world.git("checkout", "-q", "topic")
    others = {name: change(text, "x\n" if name == "two.txt" else "other\n") for name, text in FILES.items()}
    world.commit("Other", others)
    world.git("-c", "rerere.enabled=false", "cherry-pick", "main", check=False)
    world.git("config", "rerere.enabled", "true")
    return world


def update(world: World, unmerged: bool = True) -> Recorded:
    paths = [TreePath(name.encode()) for name in FILES] if unmerged else []
    with Repository.open(str(world.clone), world.env) as repository:
        return Resolutions(repository).update(paths, lambda path: 7)


def recorded(world: World) -> dict[str, bytes]:
    git_dir = world.clone / ".git"
    found = {path: path.read_bytes() for path in (git_dir / "rr-cache").rglob("*image*")}
    found[git_dir / "MERGE_RR"] = (git_dir / "MERGE_RR").read_bytes()
    return {str(path.relative_to(git_dir)): data for path, data in found.items()}


def resolve(world: World) -> dict[str, str]:
    ends = {name: f"resolved, {'apart' if name == 'two.txt' else 'alike'}\n" for name in FILES}
    wanted = {name: change(text, ends[name]) for name, text in FILES.items()}
    for name, text in wanted.items():
        world.write(name, text)
    return wanted


def picked_again(world: World) -> dict[str, str]:
    """What git makes of the same conflicts the next time."""
    world.git("reset", "-q", "--hard", "topic~1")
    world.git("cherry-pick", "main", check=False)
    return {name: (world.clone / name).read_text() for name in FILES}


@needs_git
def test_conflicts_are_recorded_as_git_records_them(picking: World) -> None:
    done = update(picking)
    assert done.conflicts == (b"one.txt", b"three.txt", b"two.txt")
    ours = recorded(picking)
    shutil.rmtree(picking.clone / ".git" / "rr-cache")
    (picking.clone / ".git" / "MERGE_RR").unlink()
    picking.git("rerere")
    assert recorded(picking) == ours
    assert update(picking) == Recorded(), "they are recorded already"
    assert recorded(picking) == ours


@needs_git
def test_what_resync_records_git_replays(picking: World) -> None:
    update(picking)
    assert picking.git("rerere", "status").splitlines() == sorted(FILES)
    wanted = resolve(picking)
    picking.git("-c", "rerere.enabled=false", "commit", "-q", "-a", "--no-edit")
    done = update(picking, unmerged=False)
    assert done.resolutions == (b"one.txt", b"three.txt", b"two.txt")
    assert (picking.clone / ".git" / "MERGE_RR").read_bytes() == b""
    assert picked_again(picking) == wanted


@needs_git
def test_git_records_the_resolution_of_what_resync_has_shown(picking: World) -> None:
    update(picking)
    wanted = resolve(picking)
    picking.git("commit", "-q", "-a", "--no-edit")
    assert update(picking, unmerged=False) == Recorded()
    assert picked_again(picking) == wanted


@needs_git
def test_what_is_taken_away_unresolved_is_nobody_s_resolution(picking: World) -> None:
    update(picking)
    picking.git("checkout", "-q", "--ours", ".")
    with Repository.open(str(picking.clone), picking.env) as repository:
        Resolutions(repository).clear()
    assert update(picking, unmerged=False) == Recorded()
    assert recorded(picking) == {"MERGE_RR": b""}
    assert os.listdir(picking.clone / ".git" / "rr-cache") == []


@needs_git
@pytest.mark.parametrize(
    "state", ["not wanted", "locked", "damaged", "outside", "half resolved", "removed", "no folder"]
)
def test_recording_holds_nothing_up(picking: World, state: str) -> None:
    merge_rr, cache = (picking.clone / ".git" / name for name in ("MERGE_RR", "rr-cache"))
    if state in ("half resolved", "removed"):
        update(picking)
    before = merge_rr.read_bytes() if merge_rr.exists() else None
    match state:
        case "not wanted":
            picking.git("config", "rerere.enabled", "false")
        case "locked":
            (picking.clone / ".git" / "MERGE_RR.lock").write_bytes(b"")
        case "damaged":
            merge_rr.write_bytes(b"no list")
            before = b"no list"
        case "outside":
            before = b"a" * 40 + b"\tsub/../../secret\0"
            merge_rr.write_bytes(before)
        case "half resolved":
            for name in FILES:
                picking.write(name, (picking.clone / name).read_text().replace("=======\n", ""))
        case "removed":
            for name in FILES:
                (picking.clone / name).unlink()
        case "no folder":
            cache.write_bytes(b"")
    assert update(picking) == Recorded()
    assert (merge_rr.read_bytes() if merge_rr.exists() else None) == before
    assert not list(cache.rglob("postimage*"))
    if state == "removed":
        update(picking, unmerged=False)
        assert merge_rr.read_bytes() == b""
    assert not [name for name in os.listdir(picking.clone / ".git") if name.startswith("MERGE_RR-")]
