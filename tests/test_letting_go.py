"""Old runs go by and by, a rescue branch goes when a person drops it, and nothing else goes with them."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from resync.journal import Entry
from resync.letting_go import _candidates
from tests.conftest import CLOCK, World, needs_git
from tests.rewritten import publish, work

pytestmark = needs_git

DAY = 24 * 60 * 60
PRIVATE = ("resync: ", "Every tip that resync has seen here")


def at(world: World, day: int) -> None:
    """Move the clock to this day."""
    world.env["GIT_COMMITTER_DATE"] = f"{CLOCK + day * DAY} +0000"


def go_on(world: World, number: int) -> None:
    """Upstream has one more commit, so that a run has something to do."""
    world.commit(f"Upstream {number}", {f"upstream{number}.txt": f"{number}\n"}, at=work(world))
    publish(world)


def run(world: World, *options: str) -> str:
    done = world.resync("run", "--yes", "--dirty", "park", "--advance", "--json", *options)
    assert done.code in (0, 3), (done.out, done.err)
    return str(done.json["run"])


def runs(world: World) -> list[str]:
    return sorted(os.listdir(world.clone / ".git" / "resync" / "runs"))


def pins(world: World) -> set[str]:
    """The runs that have refs."""
    names = world.git("for-each-ref", "--format=%(refname)", "refs/resync/").splitlines()
    return {name.split("/")[2] for name in names} - {"upstream"}


def held(world: World) -> set[str]:
    """Every commit and all bytes that some ref keeps: not trees, and not the commits that resync makes around
    what is not committed."""
    found = set()
    for line in world.git("rev-list", "--objects", "--all", "--no-object-names").splitlines():
        found.add(line)
    kinds = world.git(
        "cat-file", "--batch-check=%(objecttype) %(objectname)", stdin="\n".join(found).encode()
    )
    commits = {line.split()[1] for line in kinds.splitlines() if line.startswith("commit")}
    blobs = {line.split()[1] for line in kinds.splitlines() if line.startswith("blob")}
    subjects = world.git("log", "--all", "--format=%H %s").splitlines()
    ours = {
        oid for oid, _, subject in (line.partition(" ") for line in subjects) if subject.startswith(PRIVATE)
    }
    return (commits - ours) | blobs


def indexes(world: World) -> set[str]:
    """The raw index files that are pinned: what they name is kept, they themselves are not for ever."""
    names = world.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/resync/").splitlines()
    return {line.split()[1] for line in names if line.split()[0].endswith("/index")}


def follow(world: World) -> None:
    """The clone drops its work and stands where upstream does."""
    (world.clone / "notes.txt").unlink()
    world.git("fetch", "-q")
    world.git("reset", "-q", "--hard", "origin/main")


def advanced(world: World, count: int) -> list[str]:
    """A clean clone without local commits that has followed upstream so many times, one day each."""
    follow(world)
    made = []
    for number in range(count):
        at(world, number)
        go_on(world, number)
        made.append(run(world))
    return made


def test_old_runs_are_forgotten_by_count_and_age(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("config", "resync.keepRuns", "2")
    made = advanced(world, 4)
    assert runs(world) == sorted(made), "all are young"
    at(world, 93)
    before = held(world) - indexes(world)
    assert world.resync("run", "--yes").code == 0
    assert runs(world) == sorted(made[2:]) == sorted(pins(world))
    assert held(world) - indexes(world) == before
    assert world.resync("undo", made[0], "--yes", "--json").json["error"]["kind"] == "unknown-run"
    assert world.git("fsck", "--strict", "--no-dangling") == ""


def test_a_setting_says_how_long(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("config", "resync.keepRuns", "1")
    world.git("config", "resync.keepDays", "1")
    made = advanced(world, 5)
    assert runs(world) == made[3:]
    world.git("config", "resync.keepDays", "soon")
    done = world.resync("run", "--yes", "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "bad-config")


def test_a_run_with_the_last_copy_stays(rewritten_world: World) -> None:
    """Of a commit, of an edit, of an ignored file, of what somebody wrote to a file that was moved away."""
    world = rewritten_world
    world.git("config", "resync.keepRuns", "1")
    world.git("config", "resync.keepDays", "0")
    (world.clone / ".git" / "info" / "exclude").write_text("secret.txt\n")
    follow(world)
    at(world, 0)
    world.write("secret.txt", "mine\n")
    world.commit("Upstream's", {"secret.txt": "theirs\n"}, at=work(world))
    publish(world)
    ignored = run(world)
    at(world, 1)
    world.commit("Mine", {"mine.txt": "mine\n"})
    go_on(world, 1)
    commit = run(world)
    at(world, 2)
    go_on(world, 2)
    world.write("README", "edited\n")
    world.commit("Theirs", {"README": "A tool.\nA good one.\n"}, at=work(world))
    publish(world)
    edit = run(world)
    at(world, 3)
    go_on(world, 3)
    world.commit("Upstream's again", {"numbers.txt": "1\n"}, at=work(world))
    publish(world)
    written = run(world)
    place = world.clone / ".git" / "resync" / "runs" / written / "quarantine"
    (moved,) = place.iterdir()
    with open(moved, "a") as file:
        file.write("an editor had it open\n")
    for day in range(4, 8):
        at(world, day)
        go_on(world, day)
        run(world)
    for name in world.git("branch", "--list", "--format=%(refname:short)", "rescue/*").splitlines():
        world.git("branch", "-q", "-D", name)
    at(world, 8)
    go_on(world, 8)
    before = held(world) - indexes(world)
    last = run(world)
    assert before <= held(world)
    assert {ignored, commit, edit, written, last} <= set(runs(world))
    assert moved.read_text().endswith("open\n")
    # What a branch keeps from now on need not be kept twice.
    first = world.git("rev-parse", f"refs/resync/{commit}/work")
    world.git("branch", "kept", first)
    at(world, 9)
    go_on(world, 9)
    run(world)
    assert commit not in runs(world)


def test_a_run_whose_rescue_branch_stands_or_that_was_taken_back_stays(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("config", "resync.keepRuns", "1")
    world.git("config", "resync.keepDays", "0")
    first = run(world)
    at(world, 1)
    done = world.resync("undo", "--yes", "--json")
    assert done.code == 0
    at(world, 2)
    assert world.resync("run", "--yes").code == 1
    assert runs(world) == sorted([first, done.json["run"]])


def entry(number: int, when: int, **more: Any) -> Entry:
    known: dict[str, Any] = {"state": "done", "worktree": ".", "undoes": None, "waits": False, **more}
    return Entry(number=number, run=str(number), when=when, **known)


def test_who_is_looked_at() -> None:
    def names(*entries: Entry, most: int = 1, young: int = 10) -> list[str]:
        return [each.run for each in _candidates(entries, most, young)]

    assert names(entry(1, 0), entry(2, 0), entry(3, 0)) == ["1", "2"]
    assert names(entry(1, 10), entry(2, 9), entry(3, 0)) == ["2"]
    assert names(entry(1, 0), entry(2, 0, worktree="linked"), entry(3, 0)) == ["1"]
    assert names(entry(1, 0, state="switching"), entry(2, 0, state="aborted"), entry(3, 0)) == ["2"]
    assert names(entry(1, 0), entry(2, 0), entry(3, 0, undoes="2")) == ["1"]
    assert names(entry(1, 0), entry(2, 0, undoes="1"), entry(3, 0, undoes="2")) == []


@pytest.mark.parametrize("seed", range(2))
def test_no_commit_and_no_bytes_ever_go(rewritten_world: World, seed: int) -> None:
    """Random work, runs, undos and deletions of branches, with the keenest settings: what was there and what
    people did not delete themselves is still there after each command."""
    world = rewritten_world
    world.git("config", "resync.keepRuns", "1")
    world.git("config", "resync.keepDays", "0")
    dice = random.Random(seed)
    forgotten = 0
    for day in range(9):
        at(world, day)
        act = dice.choice(("commit", "edit", "delete", "undo", "nothing", "nothing"))
        if act == "commit":
            world.commit(f"Mine {day}", {f"mine{day}.txt": f"{day}\n"})
        elif act == "edit":
            world.write("README", f"edited on day {day}\n")
        elif act == "delete":
            for name in world.git("branch", "--list", "--format=%(refname:short)", "rescue/*").splitlines():
                world.git("branch", "-q", "-D", name)
        go_on(world, day)
        kept, known = held(world) - indexes(world), set(runs_or_none(world))
        if act == "undo":
            done = world.resync("undo", "--yes", "--discard-newer", "--json")
        else:
            options = ("--yes", "--dirty", "park", "--advance", "--redo", "--json")
            done = world.resync("run", *options)
        assert done.code in (0, 1, 3), done
        assert kept - held(world) == set()
        forgotten += len(known - set(runs_or_none(world)))
    assert forgotten, "nothing was ever forgotten: the test shows nothing"


def runs_or_none(world: World) -> list[str]:
    return runs(world) if (world.clone / ".git" / "resync" / "runs").exists() else []


# --- rescue drop -----------------------------------------------------------------------------------------


def drop(world: World, name: str) -> Any:
    done = world.resync("rescue", "drop", name, "--yes", "--json")
    assert done.code == 0, done
    return done.json["dropped"]


def rescued(world: World) -> list[str]:
    return world.git("branch", "--list", "--format=%(refname:short)", "rescue/*").splitlines()


def test_what_is_said_to_be_lost_is_lost_and_nothing_else(rewritten_world: World) -> None:
    world = rewritten_world
    made = run(world)
    (name,) = rescued(world)
    shown = world.resync("rescue", "show", name, "--json").json
    assert [each["subject"] for each in shown["commits"]] == [
        "Ship a plugin",
        "Count my way",
        "Fix the README",
    ]
    assert {each["path"]: each["size"] for each in shown["kept"]}["notes.txt"] == 9
    before = held(world) - indexes(world)
    dropped = drop(world, name)
    gone = before - held(world)
    commits = {each["oid"] for each in dropped["commits"]}
    assert commits == {oid for oid in gone if world.git("cat-file", "-t", oid) == "commit"}
    # What else is gone are the bytes that were told, or that were in those commits.
    told = {(each["path"], each["size"]) for each in dropped["files"]}
    assert ("notes.txt", 9) in told
    inside = set(world.git("rev-list", "--objects", "--no-object-names", *commits).splitlines())
    for oid in gone - commits - inside:
        size = int(world.git("cat-file", "-s", oid))
        assert size in {each for _, each in told}
    assert (rescued(world), pins(world), runs(world)) == ([], set(), [made])
    assert os.listdir(world.clone / ".git" / "resync" / "runs" / made) != []
    assert not (world.clone / ".git" / "resync" / "runs" / made / "quarantine").exists()
    assert world.resync("undo", "--yes", "--json").json["error"]["kind"] == "backup-missing"
    assert world.resync("status").code == 0
    assert world.git("fsck", "--strict", "--no-dangling") == ""


def test_what_stands_elsewhere_is_not_said_to_be_lost(rewritten_world: World) -> None:
    world = rewritten_world
    run(world)
    (name,) = rescued(world)
    world.git("branch", "mine", f"{name}~1")
    world.git("stash", "push", "-q")
    dropped = drop(world, name)
    assert "Count my way" not in [each["subject"] for each in dropped["commits"]]
    # The edits went into the stash as well, what was in the way did not.
    assert {each["path"] for each in dropped["files"]} >= {"notes.txt"}
    stashed = world.git("diff", "--name-only", "stash@{0}^1", "stash@{0}").splitlines()
    sizes = {(each["path"], each["size"]) for each in dropped["files"]}
    for path in stashed:
        size = int(world.git("cat-file", "-s", f"stash@{{0}}:{path}"))
        assert (path, size) not in sizes


def test_a_pipe_that_was_moved_aside_is_named(rewritten_world: World) -> None:
    world = rewritten_world
    (world.clone / "notes.txt").unlink()
    os.mkfifo(world.clone / "notes.txt")
    run(world)
    (name,) = rescued(world)
    assert {"path": "notes.txt", "size": None} in drop(world, name)["files"]


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\x04", 1)])
def test_it_asks(rewritten_world: World, answer: str, code: int) -> None:
    world = rewritten_world
    run(world)
    before = world.state()
    done = world.terminal("rescue", "drop", rescued(world)[0], answer=answer)
    assert done.code == code, done
    for words in ("Count my way", "notes.txt  (9 bytes)", "no longer be undone", "Drop it? [y/N]"):
        assert words in done.out
    assert (world.state() == before) == (code == 1)


@pytest.mark.parametrize("where", ["here", "linked"])
def test_a_branch_that_is_checked_out_stays(rewritten_world: World, where: str) -> None:
    world = rewritten_world
    run(world)
    (name,) = rescued(world)
    if where == "here":
        world.git("checkout", "-q", "--force", name)
    else:
        world.git("worktree", "add", "-q", str(world.base / "linked"), name)
    before = world.state()
    done = world.resync("rescue", "drop", name, "--yes", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "checked-out")
    assert world.state() == before


def test_a_rescue_branch_that_no_run_is_known_to_have_made(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("branch", "rescue/by-hand", "HEAD~1")
    world.git("reset", "-q", "--hard", "origin/main")
    show = world.resync("rescue", "show", "rescue/by-hand")
    assert "Count my way" in show.out
    dropped = drop(world, "rescue/by-hand")
    assert [each["subject"] for each in dropped["commits"]] == ["Count my way", "Ship a plugin"]
    assert rescued(world) == []


def test_names_have_to_be_given_and_known(rewritten_world: World) -> None:
    world = rewritten_world
    assert world.resync("rescue", "drop", "--yes").code == 2
    assert world.resync("rescue", "drop", "main", "--yes").code == 1
    run(world)
    before = world.state()
    done = world.resync("rescue", "drop", "main", "--yes", "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "unknown-rescue")
    assert world.state() == before
