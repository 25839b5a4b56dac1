"""Merge drivers and merge settings over a whole run, beside what ``git rebase`` makes of the same."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import rewritten
from tests.conftest import Done, World, needs_git
from tests.merge.git_merge import version

pytestmark = needs_git

OURS = rewritten.LINES.replace("line 6\n", "line six, upstream\n")
MINE = rewritten.LINES.replace("line 6\n", "line six, mine\n")
ODD = "sub/it's a;$(touch owned) `touch owned`!\n.txt"

# A driver as people write them: what the sides have in common is left out, so that git agrees on every byte.
JOIN = "(echo merged %P; cat %O %B) >>%A"


def start(world: World, rules: str, *, path: str = "list.txt", old: str = rewritten.LINES) -> None:
    """An upstream that was rewritten and a commit of mine, both of which change line six of one file."""
    at = rewritten.work(world)
    world.commit("Start", {path: old, ".gitattributes": rules}, at=at)
    world.commit("Old way", {"README": "old\n"}, at=at)
    rewritten.publish(world)
    world.git("clone", "-q", str(world.upstream), str(world.clone), at=world.base)
    world.git("reset", "-q", "--hard", "HEAD~1", at=at)
    world.commit("New way", {path: OURS}, at=at)
    rewritten.publish(world)


def rebased(world: World) -> str:
    """The tree that ``git rebase`` leaves in a copy of the clone; "conflict" where it stops."""
    copy = world.base / "copy"
    world.git("clone", "-q", str(world.upstream), str(copy), at=world.base)
    world.git("fetch", "-q", str(world.clone), "main:mine", at=copy)
    for line in world.git("config", "--local", "--list", "-z").split("\0"):
        name, _, value = line.partition("\n")
        if name.startswith(("merge.", "diff.")):
            world.git("config", name, value, at=copy)
    attributes = world.clone / ".git" / "info" / "attributes"
    if attributes.exists():
        (copy / ".git" / "info" / "attributes").write_bytes(attributes.read_bytes())
    world.git("checkout", "-q", "mine", at=copy)
    world.git("rebase", "-q", "--onto", "origin/main", "mine~1", at=copy, check=False)
    if (copy / ".git" / "rebase-merge").exists():
        return "conflict"
    return world.git("rev-parse", "HEAD^{tree}", at=copy)


def run(world: World) -> tuple[Done, str, str]:
    """A run, the verdict on the one commit, and its reason."""
    done = world.resync("run", "--yes", "--json", "--dirty", "park")
    assert done.err == ""
    (commit,) = done.json["commits"]
    return done, commit["verdict"], commit["reason"]


@pytest.mark.parametrize("path", ["list.txt", ODD])
def test_a_driver_merges_as_in_git(world: World, path: str) -> None:
    start(world, "*.txt merge=join\n", path=path)
    world.git("config", "merge.join.driver", JOIN)
    world.commit("Mine", {path: MINE})
    expected = rebased(world)
    _, verdict, reason = run(world)
    assert (verdict, reason) == ("reapplied", "")
    assert world.git("rev-parse", "HEAD^{tree}") == expected
    assert (world.clone / path).read_text() == f"{OURS}merged {path}\n{rewritten.LINES}{MINE}"
    assert not list(world.clone.glob("**/owned"))
    assert not list((world.clone / ".git" / "resync").glob("merging-*"))
    assert world.git("status", "--porcelain") == ""


def test_a_run_does_what_the_plan_said(world: World) -> None:
    start(world, "*.txt merge=join\n")
    world.git("config", "merge.join.driver", JOIN)
    world.commit("Mine", {"list.txt": MINE})
    planned = world.resync("plan", "--json").json["commits"]
    assert run(world)[0].json["commits"] == planned


@pytest.mark.parametrize(
    ("rules", "config", "verdict"),
    [
        ("*.txt merge=union", {}, "reapplied"),
        ("*.txt merge=union", {"merge.union.driver": JOIN}, "reapplied"),
        ("*.txt merge=binary", {"merge.binary.driver": JOIN}, "reapplied"),
        ("*.txt merge=text", {"merge.text.driver": JOIN}, "reapplied"),
        ("*.txt -merge", {"merge.binary.driver": JOIN}, "parked"),
        ("*.txt merge", {"merge.text.driver": JOIN, "merge.default": "text"}, "parked"),
        ("*.txt !merge", {"merge.text.driver": JOIN}, "parked"),
        ("*.txt !merge", {"merge.text.driver": JOIN, "merge.default": "text"}, "reapplied"),
        ("", {"merge.default": "union"}, "reapplied"),
        ("", {"merge.default": "join", "merge.join.driver": JOIN}, "reapplied"),
        ("", {"merge.default": "nothing"}, "parked"),
        ("*.txt merge=join", {"merge.JOIN.driver": JOIN}, "parked"),
        ("*.txt merge=join", {"merge.join.driver": ""}, "parked"),
        ("*.txt merge=join", {"merge.join.driver": JOIN + "; false"}, "parked"),
        ("*.txt merge=join", {"merge.join.driver": "exit 128"}, "parked"),
        ("*.txt merge=join", {"merge.join.driver": "kill -9 $$"}, "parked"),
        ("*.txt merge=join", {"merge.join.driver": "rm %A"}, "parked"),
        ("*.txt merge=join", {"merge.join.driver": "no-such-program"}, "parked"),
        ("*.txt merge=join", {"merge.join.driver": "no-such-program %A"}, "parked"),
        ("*.txt merge=join", {"merge.join.driver": "head -c 5000000 /dev/zero | tee %A >&2"}, "reapplied"),
        ("*.txt conflict-marker-size=11 merge=join", {"merge.join.driver": "echo %L >%A"}, "reapplied"),
    ],
)
def test_which_way_a_path_merges(world: World, rules: str, config: dict[str, str], verdict: str) -> None:
    start(world, rules + "\n")
    for name, value in config.items():
        world.git("config", name, value)
    world.commit("Mine", {"list.txt": MINE})
    expected = rebased(world)
    done, found, _ = run(world)
    assert found == verdict
    assert (expected == "conflict") == (verdict == "parked")
    if verdict == "reapplied":
        assert world.git("rev-parse", "HEAD^{tree}") == expected
    else:
        assert done.code == 3
        assert (world.clone / "list.txt").read_text() == OURS


def test_why_a_driver_failed_is_said(world: World) -> None:
    start(world, "*.txt merge=join\n")
    world.git("config", "merge.join.driver", "printf 'cannot \\033[31m merge' >&2; exit 130")
    world.commit("Mine", {"list.txt": MINE})
    expected = (
        "it conflicts with upstream (driver);"
        " list.txt: merge driver 'join' failed (exit status 130): cannot {}[31m merge"
    )
    planned = world.resync("plan")
    assert f"{'':20}{expected.format(chr(92) + 'x1b')}\n" in planned.out
    assert run(world)[1:] == ("parked", expected.format(chr(27)))


def test_a_driver_that_hangs_is_cut_off(world: World) -> None:
    start(world, "*.txt merge=join\n")
    world.git("config", "merge.join.driver", "sleep 60")
    world.git("config", "resync.timeout", "1")
    world.commit("Mine", {"list.txt": MINE})
    _, verdict, reason = run(world)
    assert verdict == "parked"
    assert "merge driver 'join' was not done after 1 seconds" in reason


def test_stopping_resync_stops_its_driver(world: World) -> None:
    start(world, "*.txt merge=join\n")
    world.git("config", "merge.join.driver", "echo $$ >../pid.part && mv ../pid.part ../pid; sleep 60")
    world.commit("Mine", {"list.txt": MINE})
    before = world.state()
    command = [sys.executable, "-m", "resync", "run", "--yes"]
    process = subprocess.Popen(command, cwd=world.clone, env=world.env, stderr=subprocess.DEVNULL)
    driver = world.base / "pid"
    until = time.monotonic() + 30
    while not driver.exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(30) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(driver.read_text()), 0)
    assert world.state() == before
    assert not list((world.clone / ".git" / "resync").glob("merging-*"))


OUTLIVES = (
    "exec 2>/dev/null; trap 'touch ../ended' EXIT; echo $$ >../pid.part && mv ../pid.part ../pid;"
    " until [ -e ../go ]; do sleep 0.02; done;"
    " (echo late; cat %B) >%A; echo late >%A.new; mv %A.new %O; rm -f %B"
)


def test_a_driver_that_outlives_a_killed_run(world: World) -> None:
    """It has a session of its own and goes on: in the files that it was given, which nobody else has."""
    start(world, "*.txt merge=join\n")
    world.git("config", "merge.join.driver", OUTLIVES)
    world.commit("Mine", {"list.txt": MINE})
    before, resync_folder = world.state(), world.clone / ".git" / "resync"
    command = [sys.executable, "-m", "resync", "run", "--yes"]
    process = subprocess.Popen(command, cwd=world.clone, env=world.env, stderr=subprocess.DEVNULL)
    _wait_for(world.base / "pid")
    process.kill()
    process.wait()
    os.kill(int((world.base / "pid").read_text()), 0)  # it lives
    assert world.state() == before
    (left,) = resync_folder.glob("merging-*")
    world.git("config", "merge.join.driver", JOIN)
    done, verdict, _ = run(world)
    assert (done.code, verdict) == (0, "reapplied")
    assert [*resync_folder.glob("merging-*")] == [left]
    after, others = world.state(), _all_files(world, left)
    (world.base / "go").touch()
    _wait_for(world.base / "ended")
    assert (left / "ours").read_text() == "late\n" + MINE
    assert (world.state(), _all_files(world, left)) == (after, others)
    os.utime(left, (0, 0))
    assert world.resync("run", "--yes").code == 0
    assert not left.exists()


def test_a_driver_that_outlives_its_folder(world: World) -> None:
    """Its files are gone, as after a day: it cannot make any in another place."""
    start(world, "*.txt merge=join\n")
    world.git("config", "merge.join.driver", OUTLIVES)
    world.commit("Mine", {"list.txt": MINE})
    command = [sys.executable, "-m", "resync", "run", "--yes"]
    process = subprocess.Popen(command, cwd=world.clone, env=world.env, stderr=subprocess.DEVNULL)
    _wait_for(world.base / "pid")
    process.kill()
    process.wait()
    (left,) = (world.clone / ".git" / "resync").glob("merging-*")
    os.utime(left, (0, 0))
    world.git("config", "merge.join.driver", JOIN)
    assert run(world)[0].code == 0
    assert not left.exists()
    after = (world.state(), _all_files(world, left))
    (world.base / "go").touch()
    _wait_for(world.base / "ended")
    assert (world.state(), _all_files(world, left)) == after


def _wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert path.exists()


def _all_files(world: World, but: Path) -> dict[str, bytes]:
    """Everything in the clone, git's own and resync's as well, but what is in one folder."""
    paths = [path for path in world.clone.rglob("*") if not path.is_relative_to(but)]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def test_a_driver_that_is_named_by_upstream_alone_never_runs(world: World) -> None:
    rules = "*.txt merge=join\n[attr]join merge=join\n"
    start(world, rules, path="d/list.txt")
    at = rewritten.work(world)
    config = '[merge "join"]\n\tdriver = touch owned\n'
    hidden: dict[str, str | bytes | None] = {
        "d/.gitattributes": rules,
        ".gitconfig": config,
        "config": config,
    }
    world.commit("Trap", hidden, at=at)
    rewritten.publish(world)
    world.commit("Mine", {"d/list.txt": MINE.replace("line six, mine", "line 6").replace("12", "twelve")})
    _, verdict, reason = run(world)
    assert verdict == "reapplied"
    assert reason == "d/list.txt: merged as text, because no merge driver 'join' is configured"
    assert not list(world.base.glob("**/owned"))


def test_uncommitted_edits_go_the_same_way(world: World) -> None:
    start(world, "*.txt merge=join\n")
    world.git("config", "merge.join.driver", JOIN)
    world.write("list.txt", MINE)
    done = world.resync("run", "--yes", "--json")
    assert done.json["files"] == [
        {"path": "list.txt", "state": "unstaged", "verdict": "restored", "reason": ""}
    ]
    assert (world.clone / "list.txt").read_text() == f"{OURS}merged list.txt\n{rewritten.LINES}{MINE}"


@pytest.mark.parametrize("staged", [True, False], ids=["staged", "unstaged"])
def test_an_edit_that_a_driver_fails_on_is_parked_and_says_why(world: World, staged: bool) -> None:
    start(world, "*.txt merge=join\n")
    world.git("config", "merge.join.driver", "echo no >&2; exit 129")
    world.write("list.txt", MINE)
    if staged:
        world.git("add", "list.txt")
    reason = "merge driver 'join' failed (exit status 129): no"
    planned = world.resync("plan")
    assert reason in planned.out
    before = world.state()
    refused = world.resync("run", "--yes", "--json")
    assert (refused.code, refused.json["error"]["kind"]) == (1, "would-park")
    assert world.state() == before
    done = world.resync("run", "--yes", "--json", "--dirty", "park")
    state = "staged" if staged else "unstaged"
    assert done.json["files"] == [{"path": "list.txt", "state": state, "verdict": "parked", "reason": reason}]
    assert (world.clone / "list.txt").read_text() == OURS
    log = world.resync("log", done.json["run"])
    assert reason in log.out


def test_an_edit_whose_driver_is_not_configured_says_so(world: World) -> None:
    start(world, "*.txt merge=join\n")
    world.write("list.txt", rewritten.LINES.replace("line 12", "line twelve"))
    (file,) = world.resync("run", "--yes", "--json").json["files"]
    assert file["verdict"] == "restored"
    assert file["reason"] == "merged as text, because no merge driver 'join' is configured"


def test_a_driver_sees_the_checkout_that_resync_was_called_for(world: World, tmp_path: Path) -> None:
    """From another folder, with GIT_DIR, and in a linked worktree: git finds the repository there."""
    start(world, "*.txt merge=join\n")
    world.git("config", "merge.join.driver", "(pwd; git rev-parse --show-toplevel --absolute-git-dir) >%A")
    world.commit("Mine", {"list.txt": MINE})
    linked = tmp_path / "a linked one"
    world.git("worktree", "add", "-q", "-b", "topic", "--track", str(linked), "origin/main")
    world.git("cherry-pick", "main", at=linked)
    own = os.path.realpath(world.clone)
    ways: list[tuple[tuple[str, ...], Path, dict[str, str], list[str]]] = [
        (("--repo", str(world.clone)), tmp_path, {}, [own, own, own + "/.git"]),
        ((), world.clone, {"GIT_DIR": ".git"}, [own, own, own + "/.git"]),
        ((), linked, {}, [str(linked), str(linked), f"{own}/.git/worktrees/{linked.name.replace(' ', '-')}"]),
    ]
    for arguments, at, env, expected in ways:
        done = world.resync("run", "--yes", "--redo", "--only-current", *arguments, at=at, env=env)
        assert done.code == 0, done.err
        assert ((linked if at == linked else world.clone) / "list.txt").read_text().splitlines() == expected
        if at != linked:
            assert world.resync("undo", "--yes", *arguments, at=at, env=env).code == 0


# --- settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "base"), [("merge", ""), ("diff3", "|||| {}\nline 6\n"), ("zdiff3", "|||| {}\nline 6\n")]
)
def test_labels_and_style_of_conflicts_are_those_of_git(world: World, style: str, base: str) -> None:
    """A driver that marks conflicts itself, with the labels it is given: as git writes them in a pick."""
    start(world, "*.txt merge=join\n")
    world.git("config", "merge.conflictStyle", style)
    oid = world.commit("Mine, the first\nand more\n\nbody", {"list.txt": MINE})
    world.git("-c", "merge.join.driver=false", "fetch", "-q", "origin")
    world.git("checkout", "-q", "-b", "oracle", "origin/main")
    world.git("cherry-pick", oid, check=False)
    marked = (world.clone / "list.txt").read_text()
    world.git("cherry-pick", "--abort")
    world.git("checkout", "-q", "main")
    markers = [line.split(" ", 1)[1] for line in marked.splitlines() if line[:4] in ("<<<<", "||||", ">>>>")]
    world.git("config", "merge.join.driver", "printf '%%s\\n' %X %S %Y >%A")
    assert run(world)[1] == "reapplied"
    given = (world.clone / "list.txt").read_text().splitlines()
    assert markers == (given if base else [given[0], given[2]])
    assert given == ["HEAD", f"parent of {oid[:7]} (Mine, the first)", f"{oid[:7]} (Mine, the first)"]


@pytest.mark.parametrize(
    ("config", "verdict"),
    [
        ({}, "reapplied"),
        ({"merge.renames": "false"}, "parked"),
        ({"diff.renames": "false"}, "parked"),
        ({"diff.renames": "false", "merge.renames": "copies"}, "reapplied"),
        ({"diff.renameLimit": "1"}, "parked"),
        ({"diff.renameLimit": "1", "merge.renameLimit": "0"}, "reapplied"),
        ({"merge.renameLimit": "-1"}, "reapplied"),
    ],
)
def test_how_renames_are_looked_for(world: World, config: dict[str, str], verdict: str) -> None:
    start(world, "", path="old-name")
    at = rewritten.work(world)
    world.git("rm", "-q", "old-name", at=at)
    others = {f"other-{n}": "".join(f"{n}, {m}\n" for m in range(9)) for n in range(3)}
    world.commit("Rename", {"new-name": OURS, **others}, at=at)
    rewritten.publish(world)
    world.commit("Mine", {"old-name": rewritten.LINES.replace("line 12", "line twelve")})
    for name, value in config.items():
        world.git("config", name, value)
    expected = rebased(world)
    assert run(world)[1] == verdict
    # git's merge-ort took no notice of "false" before 2.50, though git-config(1) always had it.
    if "false" not in config.values() or version() >= (2, 50):
        assert (expected == "conflict") == (verdict == "parked")
    if verdict == "reapplied":
        assert world.git("rev-parse", "HEAD^{tree}") == expected


@pytest.mark.parametrize(
    ("value", "place"), [("true", "after/mine"), ("false", "before/mine"), ("conflict", ""), ("", "")]
)
def test_files_follow_a_directory_that_upstream_renamed(world: World, value: str, place: str) -> None:
    start(world, "", path="before/f")
    at = rewritten.work(world)
    world.git("mv", "before", "after", at=at)
    world.commit("Rename", {}, at=at)
    rewritten.publish(world)
    world.commit("Mine", {"before/mine": "mine\n"})
    if value:
        world.git("config", "merge.directoryRenames", value)
    expected = rebased(world)
    _, verdict, _ = run(world)
    assert verdict == ("reapplied" if place else "parked")
    if place:
        assert (world.clone / place).read_text() == "mine\n"
        assert world.git("rev-parse", "HEAD^{tree}") == expected
    else:
        assert expected == "conflict"


def test_a_style_that_git_does_not_know_is_wrong_configuration(world: World) -> None:
    start(world, "")
    world.commit("Mine", {"list.txt": MINE})
    world.git("config", "merge.conflictStyle", "diff4")
    before = world.state()
    done = world.resync("run", "--yes", "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "bad-config")
    assert "merge.conflictStyle is 'diff4'" in done.json["error"]["message"]
    assert world.state() == before
