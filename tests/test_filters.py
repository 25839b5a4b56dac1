"""Filters over a whole run: LFS, secrets and whatever else the user's configuration names.

The filter of most tests stores lower case and shows upper case, so that nothing comes out right by chance.
"""

from __future__ import annotations

import os
import re
import sys
import time

import pytest

from tests import rewritten
from tests.conftest import CLOCK, Done, World, needs_git
from tests.meanwhile import meanwhile
from tests.worktree.test_filters import PROCESS

pytestmark = needs_git

OLD = "".join(f"line {number}\n" for number in range(1, 13))
NEW = OLD.replace("line 2\n", "line two, upstream\n")
RULES = "*.x filter=f\n"
CLEAN, SMUDGE = "tr A-Z a-z", "tr a-z A-Z"
LATER = {"GIT_COMMITTER_DATE": f"{CLOCK + 60} +0000"}


def start(world: World, rules: str = RULES, **config: str) -> None:
    """An upstream that was rewritten and changes ``a.x``; a clone whose files came through the filter."""
    at = rewritten.work(world)
    world.commit("Start", {"a.x": OLD, "same.x": OLD, "README": "r\n", ".gitattributes": rules}, at=at)
    world.commit("Old way", {"README": "old\n"}, at=at)
    rewritten.publish(world)
    world.git("clone", "-q", "--no-checkout", str(world.upstream), str(world.clone), at=world.base)
    for name, value in (config or {"clean": CLEAN, "smudge": SMUDGE, "required": "true"}).items():
        world.git("config", f"filter.f.{name}", value)
    world.git("checkout", "-q", "main")
    settle(world)
    world.git("reset", "-q", "--hard", "HEAD~1", at=at)
    world.commit("New way", {"a.x": NEW, "new.x": "new\n"}, at=at)
    rewritten.publish(world)


def settle(world: World) -> None:
    """So that stat data proves all of it: a file as young as the index is read again, and filtered again."""
    for path in world.clone.iterdir():
        if path.is_file():
            os.utime(path, (CLOCK, CLOCK))
    world.git("update-index", "-q", "--refresh")


def checked_out(world: World) -> dict[str, bytes]:
    """What git, with the same filters, writes for the commit that is checked out."""
    out = world.base / "out"
    world.git("checkout-index", "-a", f"--prefix={out}/")
    return {path.name: path.read_bytes() for path in out.glob("*.x")}


def on_disk(world: World) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in world.clone.glob("*.x")}


def run(world: World, *options: str) -> Done:
    done = world.resync("run", "--yes", "--json", *options)
    assert done.err == ""
    return done


def gone(world: World) -> None:
    """The filter's program is no longer there."""
    for name in ("clean", "smudge", "process"):
        world.git("config", f"filter.f.{name}", "no-such-program")


def process_command(world: World) -> str:
    script = world.base / "filter.py"
    script.write_text(PROCESS)
    return f"'{sys.executable}' '{script}' clean,smudge '{world.base / 'log'}'"


def touch_all(world: World) -> None:
    """So that stat data proves nothing, and whoever looks has to read."""
    for path in world.clone.glob("*.x"):
        path.write_bytes(path.read_bytes())


@pytest.mark.parametrize("kind", ["one-shot", "process"])
@pytest.mark.parametrize("touched", [False, True])
def test_files_come_out_as_git_checks_them_out(world: World, kind: str, touched: bool) -> None:
    if kind == "process":
        start(world, process=process_command(world), required="true")
    else:
        start(world)
    world.commit("Mine", {"mine.x": "MINE\n"})
    if touched:
        touch_all(world)
    before = on_disk(world)
    planned = world.resync("plan", "--json").json
    assert on_disk(world) == before
    done = run(world)
    assert done.code == 0
    assert done.json["commits"] == planned["commits"]
    assert on_disk(world)["a.x"] == NEW.upper().encode()
    assert on_disk(world)["mine.x"] == b"MINE\n"
    assert world.git("show", "HEAD:mine.x") == "mine"
    assert on_disk(world) == checked_out(world)
    assert world.git("status", "--porcelain") == ""
    gone(world)
    assert world.resync("undo", "--yes", env=LATER).code == 0
    assert on_disk(world) == before
    assert world.resync("undo", "--yes", env=LATER).code == 0
    assert on_disk(world)["a.x"] == NEW.upper().encode()


def test_an_edit_is_merged_as_git_stores_it(world: World) -> None:
    start(world)
    mine = OLD.upper().replace("LINE 12\n", "LINE TWELVE, MINE\n")
    world.write("a.x", mine)
    world.write("same.x", "STAGED\n")
    world.git("add", "same.x")
    done = run(world)
    assert [(file["path"], file["verdict"]) for file in done.json["files"]] == [
        ("a.x", "restored"),
        ("same.x", "kept"),
    ]
    merged = NEW.replace("line 12\n", "line twelve, mine\n")
    assert (world.clone / "a.x").read_text() == merged.upper()
    assert world.git("status", "--porcelain") == " M a.x\nM  same.x"
    world.git("add", "a.x")
    assert world.git("show", ":a.x") + "\n" == merged
    assert (world.clone / "same.x").read_text() == "STAGED\n"
    world.git("reset", "-q", "a.x")
    assert world.resync("undo", "--yes", env=LATER).code == 0
    assert (world.clone / "a.x").read_text() == mine
    assert world.git("status", "--porcelain") == " M a.x\nM  same.x"


# --- what a filter keeps away from git ---------------------------------------------------------------


def blobs(world: World, *revisions: str) -> set[str]:
    """All that is in the files which the revisions reach."""
    listed = world.git("rev-list", "--objects", *revisions, "--").splitlines()
    return {world.git("cat-file", "-p", line.split()[0]) for line in listed}


def private(world: World) -> None:
    """Edits that hold a secret: unstaged, staged and edited again, an untracked file in the way."""
    world.write("a.x", OLD.upper().replace("LINE 2\n", "SECRET ONE\n"))
    world.write("same.x", "SECRET TWO\n")
    world.git("add", "same.x")
    world.write("same.x", "SECRET THREE\n")
    world.write("new.x", "SECRET FOUR\n")
    world.write("fine.txt", "untracked\n")


@pytest.mark.state(20)
def test_a_secret_is_pinned_and_on_no_branch(world: World) -> None:
    start(world)
    private(world)
    before = on_disk(world)
    done = run(world, "--dirty", "park")
    assert done.code == 3
    rescue = done.json["rescue"]["branch"]
    assert not re.search("SECRET", "".join(blobs(world, "--branches", "--tags", "--remotes")))
    assert {"secret two", "secret three"} <= blobs(world, rescue)
    kept = "\n".join(blobs(world, f"--glob=refs/resync/{done.json['run']}/*"))
    assert set(re.findall(r"SECRET \w+", kept)) == {
        "SECRET ONE",
        "SECRET TWO",
        "SECRET THREE",
        "SECRET FOUR",
    } - {"SECRET TWO"}
    shown = world.resync("rescue", "show", rescue, "--json").json["kept"]
    assert {(each["path"], each["state"]) for each in shown} == {
        ("a.x", "unstaged"),
        ("same.x", "staged"),
        ("same.x", "unstaged"),
        ("new.x", "untracked"),
    }
    for name in ("a.x", "new.x"):
        assert world.resync("rescue", "restore", name, "--to", str(world.base / "back")).code == 0
        assert (world.base / "back" / name).read_bytes() == before[name]
    gone(world)
    assert world.resync("undo", "--yes", env=LATER).code == 0
    assert on_disk(world) == before


def test_git_takes_the_rescue_branch_for_a_stash(world: World) -> None:
    start(world)
    private(world)
    (world.clone / "new.x").unlink()
    (world.clone / "fine.txt").unlink()
    before = on_disk(world)
    rescue = run(world, "--dirty", "park").json["rescue"]["branch"]
    world.git("reset", "-q", "--hard", f"{rescue}~1")
    world.git("stash", "apply", "-q", "--index", rescue)
    assert on_disk(world) == before
    assert world.git("status", "--porcelain") == " M a.x\nMM same.x"


@pytest.mark.state(20)
def test_what_no_filter_could_clean_is_pinned_too(world: World) -> None:
    """git would store the file as it is; a branch that might be pushed does not get it."""
    start(world, clean=CLEAN, smudge=SMUDGE)
    world.git("config", "filter.f.clean", "echo no key >&2; false")
    world.write("same.x", "SECRET\n")
    done = run(world, "--dirty", "park")
    note = "taken as it is, because the filter 'f' failed (exit status 1): no key"
    assert {"path": "same.x", "text": note} in done.json["notes"]
    assert "SECRET" not in blobs(world, "--branches")
    assert (world.clone / "same.x").read_text() == "SECRET\n"
    rescue = done.json["rescue"]["branch"]
    shown = world.resync("rescue", "show", rescue, "--json").json["kept"]
    assert [(each["path"], each["state"], each["size"]) for each in shown] == [("same.x", "unstaged", 7)]
    (world.clone / "same.x").unlink()
    assert world.resync("undo", "--yes", "--json", env=LATER).code in (0, 3)
    assert (world.clone / "a.x").read_text() == OLD.upper()


def test_the_past_comes_back_though_newer_commits_were_made(world: World) -> None:
    """What the run did not touch and a newer commit did is in the backup, the secret in its pin."""
    start(world)
    world.write("same.x", "SECRET\n")
    run(world)
    world.write("same.x", "OTHER\n")
    world.git("commit", "-qam", "Newer")
    done = world.resync("undo", "--yes", "--discard-newer", "--json", env=LATER)
    assert done.code in (0, 3), done
    assert (world.clone / "same.x").read_text() == "SECRET\n"
    assert world.git("status", "--porcelain") == " M same.x"


# --- filters that fail -------------------------------------------------------------------------------

FAILURES = [
    ("no-such-program", "failed (exit status 127)"),
    ("echo why >&2; exit 9", "failed (exit status 9): why"),
    ("cat; kill -9 $$", "was killed by signal 9"),
    ("echo half; sleep 60", "was not done after 1 seconds"),
]


@pytest.mark.parametrize("where", ["smudge", "process"])
@pytest.mark.parametrize(("command", "reason"), FAILURES)
def test_a_required_filter_that_fails_refuses_before_anything_changes(
    world: World, where: str, command: str, reason: str
) -> None:
    start(world)
    world.commit("Mine", {"mine.x": "MINE\n"})
    world.git("config", f"filter.f.{where}", command)
    world.git("config", "resync.timeout", "1")
    before = world.state()
    for call in (("plan", "--json"), ("run", "--yes", "--json")):
        done = world.resync(*call)
        error = done.json["error"]
        assert (done.code, error["kind"]) == (1, "filter-failed"), error
        assert "The filter 'f', which 'a.x' has to go through" in error["message"]
        assert where == "process" or reason in error["message"]
    assert world.state() == before


@pytest.mark.parametrize(("command", "reason"), FAILURES)
def test_one_that_is_not_required_leaves_the_file_as_git_has_it(
    world: World, command: str, reason: str
) -> None:
    start(world, clean=CLEAN, smudge=SMUDGE)
    world.git("config", "filter.f.smudge", command)
    world.git("config", "resync.timeout", "1")
    done = run(world)
    assert done.code == 0
    assert on_disk(world)["a.x"] == NEW.encode()
    notes = {note["path"]: note["text"] for note in done.json["notes"]}
    assert set(notes) == {"a.x", "new.x"}
    assert notes["a.x"].startswith(f"left unfiltered, because the filter 'f' {reason}")
    assert "Note: a.x: left unfiltered" in world.resync("log", done.json["run"]).out
    if "sleep" not in command:
        assert on_disk(world)["a.x"] == checked_out(world)["a.x"]


def test_a_process_that_dies_halfway_through_the_files(world: World) -> None:
    start(world, process=process_command(world), required="true")
    at = rewritten.work(world)
    world.commit("More", {"b.x": "b\n", "die.x": "d\n", "e.x": "e\n"}, at=at)
    rewritten.publish(world)
    before = world.state()
    done = world.resync("run", "--yes", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "filter-failed")
    assert "'die.x'" in done.json["error"]["message"]
    assert world.state() == before
    world.git("config", "filter.f.required", "false")
    done = run(world)
    assert [note["path"] for note in done.json["notes"]] == ["die.x"]
    assert {name: on_disk(world)[name] for name in ("b.x", "die.x", "e.x")} == {
        "b.x": b"B\n",
        "die.x": b"d\n",
        "e.x": b"E\n",
    }


def test_a_filter_that_upstream_alone_names_never_runs(world: World) -> None:
    start(world, other="1")
    at = rewritten.work(world)
    trap = '[filter "f"]\n\tsmudge = touch owned\n\tclean = touch owned\n\tprocess = touch owned\n'
    world.commit("Trap", {".gitconfig": trap, "config": trap, ".lfsconfig": trap}, at=at)
    rewritten.publish(world)
    assert run(world).code == 0
    assert on_disk(world)["a.x"] == NEW.encode()
    assert not list(world.base.glob("**/owned"))


@pytest.mark.parametrize("attribute", ["ident", "working-tree-encoding=UTF-16"])
def test_what_no_filter_is_still_refuses_where_upstream_changes_it(world: World, attribute: str) -> None:
    start(world, "", clean="cat")
    attributes = world.clone / ".git" / "info" / "attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text(f"*.x {attribute}\n")
    before = world.state()
    done = world.resync("run", "--yes", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "unsupported-attribute")
    assert "'a.x'" in done.json["error"]["message"]
    assert world.state() == before
    attributes.write_text(f"same.x {attribute}\n")
    assert run(world).code == 0


def test_a_filter_that_is_no_function_does_not_make_a_clean_file_dirty(world: World) -> None:
    """As with encryption that mixes in a random number: what stat data proves clean, nobody cleans again."""
    start(world)
    time.sleep(1.1)  # git writes an index that is younger than the files
    world.git("update-index", "--refresh", "--force-write-index")
    world.git("config", "filter.f.clean", "date +%N")
    assert world.git("status", "--porcelain") == ""
    done = run(world)
    assert (done.code, done.json["files"]) == (0, [])
    assert on_disk(world)["a.x"] == NEW.upper().encode()


@pytest.mark.parametrize("how", ["continue", "abort"])
def test_an_interrupted_run_needs_no_filter_to_end(world: World, how: str) -> None:
    start(world)
    private(world)
    before = on_disk(world)
    # All files are changed by then, and neither refs nor the index.
    killed = meanwhile(world, "resync.worktree.switch:sync_file_system", "os._exit(9)", nth=2)
    assert killed.code == 9, killed
    assert on_disk(world) != before
    gone(world)
    done = world.resync(how)
    if how == "abort":
        assert (done.code, on_disk(world)) == (0, before)
    else:
        assert done.code == 3
        assert on_disk(world)["a.x"] == NEW.upper().encode()
        assert world.resync("undo", "--yes", env=LATER).code == 0
        assert on_disk(world) == before


def test_who_sits_at_a_terminal_sees_that_filters_are_at_work(world: World) -> None:
    """There only, and never where quiet or JSON is asked for."""
    start(world)
    world.git("fetch", "-q")
    assert "\rFiltering file 1: 'a.x'" in world.terminal("plan", "--no-fetch").out
    for option in ("--quiet", "--json"):
        assert "Filtering" not in world.terminal("plan", "--no-fetch", option).out
    done = world.resync("run", "--yes")
    assert (done.code, "Filtering" in done.out + done.err) == (0, False)
    world.write("same.x", "EDITED\n")
    assert "\rFiltering file 1: 'same.x'" in world.terminal("undo", answer="y\n").out
