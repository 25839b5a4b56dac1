"""What was parked, finished by a person: taken to the working tree, resolved, committed, and the edits back.

git is the oracle: what it finds there, what it makes of a cherry-pick itself, and its own commands typed in
between.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Done, World, environment, needs_git
from tests.inside import inside
from tests.rewritten import CONFIG, LINES, publish, start, work

pytestmark = needs_git

OURS = LINES.replace("line 2\n", "line two, the new way\n")


def make(world: World) -> None:
    """Two local commits that conflict with upstream's and, between them, one that does not; edits to one of
    the files that conflict, to another one, a new file that is staged, and one that is announced."""
    start(world)
    lines = (world.clone / "numbers.txt").read_text().replace("two, the old way", "two, my way")
    world.commit("Count my way\n\nBecause I can.\n\n# not a comment\n", {"numbers.txt": lines})
    world.commit("Set one", {"etc/tool.conf": CONFIG.replace("setting_1 = 1\n", "setting_1 = one\n")})
    world.commit("Ship a plugin", {"plugin.txt": "my plugin\n"})
    world.write("numbers.txt", lines.replace("line 12\n", "line twelve\n"))
    world.git("add", "numbers.txt")
    world.write("numbers.txt", lines.replace("line 12\n", "line twelve\n").replace("line 8\n", "line ate\n"))
    world.write("etc/tool.conf", (world.clone / "etc/tool.conf").read_text().replace("= 9\n", "= 99\n"))
    world.write("new.txt", "new\n")
    world.git("add", "new.txt")
    world.write("announced.txt", "announced\n")
    world.git("add", "-N", "announced.txt")
    at = work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    world.commit("New way", {"numbers.txt": OURS}, at=at)
    world.commit("No one", {"etc/tool.conf": CONFIG.replace("setting_1 = 1\n", "setting_one = 1\n")}, at=at)
    publish(world)
    world.git("config", "remote.origin.url", "../up.git")  # so that a copy has its own


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That, before the run in ``before`` and after it in ``parked``."""
    top = tmp_path_factory.mktemp("made")
    base = top / "before"
    (base / "home").mkdir(parents=True)
    made = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(base / "home"))
    made.git("init", "-q", "--bare", "-b", "main", str(made.upstream), at=base)
    make(made)
    copy = _copied(base, top / "parked", base / "home")
    done = inside(copy, "run", "--yes", "--dirty", "park")
    assert done.code == 3, done
    return top


def _copied(made: Path, base: Path, home: Path) -> World:
    shutil.copytree(made, base, symlinks=True)
    return World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(home))


@pytest.fixture
def parked(_made: Path, tmp_path: Path, hermetic: Path) -> World:
    """A clone in which a run parked two commits, and restored edits to the same files and to others."""
    return _copied(_made / "parked", tmp_path / "world", hermetic)


@pytest.fixture
def before_the_run(_made: Path, tmp_path: Path, hermetic: Path) -> World:
    """The same clone before that run."""
    return _copied(_made / "before", tmp_path / "world", hermetic)


def step(world: World, *arguments: str, code: int) -> Done:
    done = inside(world, *(arguments or ("continue",)), "--json")
    assert done.code == code, done
    return done


def resolve(world: World, path: str, data: str) -> None:
    world.write(path, data)
    world.git("add", path)


MINE = OURS.replace("the new way", "my new way")
SET = CONFIG.replace("setting_1 = 1\n", "setting_one = one\n")


def check_finished(world: World) -> None:
    """Each commit holds its own changes and the edits are back as they were."""
    log = world.git("log", "--reverse", "--format=%s %an %ad", "--date=unix", "origin/main..")
    assert [line.partition(" A U Thor")[0] for line in log.splitlines()] == [
        "Ship a plugin",
        "Count my way",
        "Set one",
    ]
    assert world.git("show", "HEAD~1:numbers.txt") + "\n" == MINE
    assert world.git("show", "HEAD:etc/tool.conf") + "\n" == SET
    changed = [world.git("diff", "--name-only", f"{rev}~", rev) for rev in ("HEAD~2", "HEAD~1", "HEAD")]
    assert changed == ["plugin.txt", "numbers.txt", "etc/tool.conf"]
    check_edits(world)
    assert not (world.clone / ".git" / "CHERRY_PICK_HEAD").exists()
    assert not (world.clone / ".git" / "MERGE_MSG").exists()
    assert world.git("fsck", "--strict", "--no-dangling") == ""


def check_edits(world: World) -> None:
    status = world.git("status", "--porcelain=v1").splitlines()
    assert sorted(status) == [" A announced.txt", " M etc/tool.conf", "A  new.txt", "MM numbers.txt"]
    staged = world.git("diff", "--cached", "-U0", "numbers.txt").splitlines()
    assert staged[-2:] == ["-line 12", "+line twelve"]
    unstaged = world.git("diff", "-U0", "numbers.txt", "etc/tool.conf").splitlines()
    assert [line for line in unstaged if line[:1] in "+-" and line[:3] not in ("+++", "---")] == [
        "-setting_9 = 9",
        "+setting_9 = 99",
        "-line 8",
        "+line ate",
    ]


def as_found(world: World) -> tuple[str, str, dict[str, bytes]]:
    """What git says of index and files, and the files."""
    names = [path for path in world.clone.rglob("*") if path.is_file() and ".git" not in path.parts]
    return (
        world.git("ls-files", "-s"),
        world.git("status", "--porcelain=v2", "--branch"),
        {str(path.relative_to(world.clone)): path.read_bytes() for path in names},
    )


def test_resolved_and_committed_one_by_one(parked: World) -> None:
    world = parked
    before = as_found(world)
    first = step(world, code=4).json
    assert (first["sitting"]["subject"], first["sitting"]["conflicts"]) == ("Count my way", ["numbers.txt"])
    assert first["sitting"]["edits_set_aside"]
    assert {each["verdict"] for each in first["files"]} == {"set-aside"}
    refused = step(world, code=4).json
    assert refused["error"]["kind"] == "unresolved"
    assert "numbers.txt" in refused["error"]["message"]
    world.git("add", "numbers.txt")  # with its markers
    said = inside(world, "status").out
    assert "numbers.txt  (git add was said, and conflict markers are left in it)" in said
    assert "You have resolved" not in said
    assert "numbers.txt" in step(world, code=4).json["error"]["message"]
    for command in (("run", "--yes"), ("plan",), ("undo", "--yes"), ("rescue", "drop", "main", "--yes")):
        assert step(world, *command, code=4).json["error"]["kind"] == "stopped-at-conflict"
    resolve(world, "numbers.txt", MINE)
    second = step(world, code=4).json
    assert [each["verdict"] for each in second["commits"]] == ["reapplied"]
    assert second["sitting"]["subject"] == "Set one"
    resolve(world, "etc/tool.conf", SET)
    assert "You have resolved" in inside(world, "status").out
    done = step(world, code=0).json
    assert done["sitting"] is None
    assert world.git("log", "-1", "--format=%B", "HEAD~1") == (
        "Count my way\n\nBecause I can.\n\n# not a comment\n"
    )
    check_finished(world)
    assert step(world, "status", code=0).json["waiting"] == []
    after = as_found(world)
    undone = inside(world, "undo", "--yes")
    # Another undo would take this one back; who wants to go further is told how.
    parking = inside(world, "log", "--json").json["runs"][-1]["run"]
    assert undone.out.endswith(f"To take back the run before it as well: resync undo {parking}\n")
    assert as_found(world) == before
    step(world, "undo", "--yes", code=0)
    assert as_found(world) == after


def test_as_git_leaves_a_cherry_pick(parked: World) -> None:
    """Index, files, message and what git says are those of git's own, on a copy without the edits."""
    world = parked
    oid = world.git("log", "--all", "--format=%H", "--grep=Count my way").splitlines()[0]
    world.git("worktree", "add", "-q", "--detach", str(world.base / "other"), "main")
    other = world.base / "other"
    world.git("cherry-pick", oid, at=other, check=False)
    step(world, code=4)
    for arguments in (("ls-files", "-s"), ("status", "--porcelain=v2"), ("diff",)):
        found = world.git(*arguments).splitlines()
        assert [line for line in found if "announced" not in line] == world.git(
            *arguments, at=other
        ).splitlines()
    theirs = Path(world.git("rev-parse", "--absolute-git-dir", at=other))
    for name in ("CHERRY_PICK_HEAD", "MERGE_MSG"):
        assert (world.clone / ".git" / name).read_bytes() == (theirs / name).read_bytes()


@pytest.mark.parametrize("verb", ["commit", "cherry-pick --continue"])
def test_committed_with_git(parked: World, verb: str) -> None:
    world = parked
    step(world, code=4)
    resolve(world, "numbers.txt", MINE)
    world.git(*verb.split(), *(["--no-edit"] if verb == "commit" else []), env={"GIT_EDITOR": "true"})
    second = step(world, code=4).json
    assert second["commits"][0]["reason"] == "you committed it"
    assert second["sitting"]["subject"] == "Set one"
    resolve(world, "etc/tool.conf", SET)
    world.git("commit", "-q", "--no-edit")
    assert step(world, code=0).json["commits"][0]["new_oid"] == world.git("rev-parse", "HEAD")
    check_finished(world)


@pytest.mark.parametrize("verb", ["resync skip", "cherry-pick --skip", "cherry-pick --abort", "reset --hard"])
def test_left_parked(parked: World, verb: str) -> None:
    world = parked
    before = as_found(world)
    oid = step(world, code=4).json["sitting"]["commit"]
    if verb == "resync skip":
        second = step(world, "skip", code=4).json
    else:
        world.git(*verb.split())
        second = step(world, code=4).json
    assert (second["commits"], second["sitting"]["subject"]) == ([], "Set one")
    done = step(world, "skip", code=3).json
    assert done["sitting"] is None
    assert as_found(world) == before
    waiting = step(world, "status", code=3).json["waiting"]
    assert oid in [each["oid"] for each in waiting[0]["commits"]]
    assert len(waiting[0]["commits"]) == 2


def test_quit(parked: World) -> None:
    """git forgets the pick and leaves what is there: what is not resolved is asked for, and what is staged is
    in the way until it is committed, or it would go into the next commit."""
    world = parked
    step(world, code=4)
    world.git("cherry-pick", "--quit")
    assert step(world, code=4).json["error"]["kind"] == "unresolved"
    resolve(world, "numbers.txt", MINE)
    assert step(world, code=4).json["sitting"]["blocked"] == ["numbers.txt"]
    world.git("commit", "-q", "-m", "By hand")
    assert step(world, code=4).json["sitting"]["subject"] == "Set one"
    resolve(world, "etc/tool.conf", SET)
    step(world, code=3)
    assert world.git("show", "--format=%s", "--name-only", "HEAD").split("\n") == [
        "Set one",
        "",
        "etc/tool.conf",
    ]
    check_edits(world)
    (waiting,) = step(world, "status", code=3).json["waiting"]
    assert [each["subject"] for each in waiting["commits"]] == ["Count my way"]


def test_given_up(parked: World) -> None:
    """All of it back, commits that were made with it, and what was half resolved is on a rescue branch."""
    world = parked
    before = as_found(world)
    step(world, code=4)
    resolve(world, "numbers.txt", MINE)
    world.git("commit", "-q", "--no-edit")
    step(world, code=4)
    world.write("etc/tool.conf", "half resolved\n")
    done = step(world, "abort", code=3).json
    assert as_found(world) == before
    rescue = done["rescue"]["branch"]
    assert world.git("show", f"{rescue}:etc/tool.conf") == "half resolved"
    assert world.git("show", f"{rescue}:numbers.txt") + "\n" == MINE
    step(world, "undo", "--yes", code=4)
    assert (world.clone / "etc" / "tool.conf").read_text() == "half resolved\n"
    assert [line.split()[2] for line in world.git("ls-files", "-u").splitlines()] == ["1", "2", "3"]
    assert step(world, "status", code=4).json["sitting"]["subject"] == "Set one"
    resolve(world, "etc/tool.conf", SET)
    step(world, code=0)
    check_finished(world)


def test_edits_of_meanwhile_stay(parked: World) -> None:
    """Those to other files are not committed unless staged; one in the way of the next commit stops it; one
    where an edit of before comes back meets it."""
    world = parked
    step(world, code=4)
    resolve(world, "numbers.txt", MINE)
    world.write("README", "edited meanwhile\n")
    world.write("etc/tool.conf", (world.clone / "etc" / "tool.conf").read_text() + "mine = 1\n")
    world.write("untracked.txt", "mine\n")
    blocked = step(world, code=4).json
    assert blocked["sitting"]["blocked"] == ["etc/tool.conf"]
    assert world.git("show", "--stat", "--format=", "HEAD").split()[0] == "numbers.txt"
    assert step(world, code=4).json["sitting"]["blocked"] == ["etc/tool.conf"]
    world.git("checkout", "-q", "etc/tool.conf")
    assert step(world, code=4).json["sitting"]["conflicts"] == ["etc/tool.conf"]
    resolve(world, "etc/tool.conf", SET)
    world.write("numbers.txt", MINE.replace("line 5\n", "line five\n"))
    done = step(world, code=0).json
    assert {(each["path"], each["verdict"]) for each in done["files"]} >= {("numbers.txt", "restored")}
    text = (world.clone / "numbers.txt").read_text()
    assert all(line in text for line in ("line five\n", "line twelve\n", "line ate\n", "my new way\n"))
    assert (world.clone / "README").read_text() == "edited meanwhile\n"
    assert (
        world.git("log", "--format=", "--name-only", "origin/main..", "--", "README", "untracked.txt") == ""
    )


def test_an_edited_message(parked: World) -> None:
    world = parked
    step(world, code=4)
    resolve(world, "numbers.txt", MINE)
    message = world.clone / ".git" / "MERGE_MSG"
    message.write_text("# a comment\n")
    assert step(world, code=4).json["error"]["kind"] == "empty-message"
    message.write_text("\n\nCount otherwise  \n# a comment\n\n\n\nReally.\n")
    step(world, code=4)
    assert world.git("log", "-1", "--format=%B") == "Count otherwise\n\nReally.\n"
    assert world.git("log", "-1", "--format=%an %at") == "A U Thor 1461092552"


def test_resolved_to_nothing(parked: World) -> None:
    world = parked
    step(world, code=4)
    world.git("checkout", "-q", "HEAD", "--", "numbers.txt")
    second = step(world, code=4).json
    assert [each["verdict"] for each in second["commits"]] == ["became-empty"]
    step(world, "skip", code=3)
    (waiting,) = step(world, "status", code=3).json["waiting"]
    assert [each["subject"] for each in waiting["commits"]] == ["Set one"]


def test_what_is_parked_again_waits_again(parked: World) -> None:
    """A commit that was finished once, and taken back with the run that had parked it."""
    world = parked
    (first,) = step(world, "status", code=3).json["waiting"]
    step(world, code=4)
    resolve(world, "numbers.txt", MINE)
    step(world, code=4)
    step(world, "skip", code=3)
    step(world, "undo", first["run"], "--yes", "--discard-newer", code=3)
    again = step(world, "run", "--yes", "--redo", "--dirty", "park", code=3).json["run"]
    waiting = {each["run"]: each["commits"] for each in step(world, "status", code=3).json["waiting"]}
    assert waiting[again] == first["commits"]


def test_elsewhere_meanwhile(parked: World) -> None:
    world = parked
    step(world, code=4)
    world.git("stash", "-q", check=False)
    world.git("checkout", "-q", "-f", "-b", "other")
    assert step(world, code=4).json["error"]["kind"] == "other-branch"
    assert step(world, "abort", code=4).json["error"]["kind"] == "other-branch"
    world.git("checkout", "-q", "main")
    step(world, "abort", code=3)
    check_edits(world)


def test_in_a_linked_working_tree(parked: World) -> None:
    """Its HEAD, index, pick and message are its own, and the sitting is no other's."""
    world = parked
    world.git("checkout", "-q", "-f", "--detach")
    world.git("worktree", "add", "-q", str(world.base / "linked"), "main")
    linked = World(base=world.base, upstream=world.upstream, clone=world.base / "linked", env=world.env)
    # That run was made elsewhere, so nothing of it waits here.
    assert step(linked, code=1).json["error"]["kind"] == "nothing-interrupted"
    world.git("update-ref", "refs/remotes/origin/main", "main~1")
    linked.git("reset", "-q", "--hard", "rescue/main-20160419T190232Z~1")
    expected = world.git("rev-parse", "main", at=world.upstream)
    step(linked, "run", "--yes", "--old-tip", "main~3", "--expect", expected, code=3)
    step(linked, code=4)
    folder = Path(linked.git("rev-parse", "--absolute-git-dir"))
    assert (folder / "CHERRY_PICK_HEAD").exists()
    assert (folder / "MERGE_MSG").exists()
    assert not (world.clone / ".git" / "CHERRY_PICK_HEAD").exists()
    assert inside(world, "status", "--json").json["sitting"] is None
    resolve(linked, "numbers.txt", MINE)
    assert step(linked, code=4).json["sitting"]["subject"] == "Set one"
    step(linked, "abort", code=3)


def test_with_head_detached(before_the_run: World) -> None:
    world = before_the_run
    world.git("checkout", "-q", "--detach")
    step(world, "run", "--yes", "--dirty", "park", "--upstream", "origin/main", code=3)
    step(world, code=4)
    resolve(world, "numbers.txt", MINE)
    step(world, code=4)
    resolve(world, "etc/tool.conf", SET)
    step(world, code=3)  # the branch itself still waits
    check_finished(world)
    assert world.git("rev-parse", "--symbolic-full-name", "HEAD") == "HEAD"


# --- what else follows from a commit ----------------------------------------------------------------------


def test_recorded_for_the_next_time(parked: World) -> None:
    """How it was resolved is recorded as git's rerere would, and used where the same comes again."""
    world = parked
    world.git("config", "rerere.enabled", "true")
    step(world, code=4)
    assert world.git("rerere", "status") == "numbers.txt"
    resolve(world, "numbers.txt", MINE)
    step(world, code=4)
    assert world.git("rerere", "status") == "etc/tool.conf"
    step(world, "abort", code=3)
    assert world.git("rerere", "status") == ""
    again = step(world, code=4).json
    assert [each["reason"] for each in again["commits"]] == ["numbers.txt: a recorded resolution was used"]
    assert again["sitting"]["subject"] == "Set one"
    assert world.git("show", "HEAD:numbers.txt") + "\n" == MINE


def test_notes_and_the_hook_follow(parked: World) -> None:
    world = parked
    oid = step(world, "status", code=3).json["waiting"][0]["commits"][0]["oid"]
    world.git("config", "notes.rewriteRef", "refs/notes/commits")
    world.git("notes", "add", "-m", "a note", oid)
    hook = world.write(".git/hooks/post-rewrite", "#!/bin/sh\ncat >> told\n")
    hook.chmod(0o755)
    step(world, code=4)
    resolve(world, "numbers.txt", MINE)
    step(world, code=4)
    new = world.git("rev-parse", "HEAD")
    assert world.git("notes", "show", new) == "a note"
    assert (world.clone / "told").read_text() == f"{oid} {new}\n"
    world.git("checkout", "-q", "HEAD", "--", "etc/tool.conf")
    resolve(world, "etc/tool.conf", SET)
    world.git("commit", "-q", "--no-edit")
    step(world, code=0)  # what git has committed is git's to tell of
    assert (world.clone / "told").read_text() == f"{oid} {new}\n"


# --- a run that stops at the first conflict ---------------------------------------------------------------


def test_a_run_that_stops(before_the_run: World) -> None:
    world = before_the_run
    before = as_found(world)
    stop = ("run", "--yes", "--dirty", "park", "--on-conflict", "stop")
    refused = step(world, *stop[:2], *stop[4:], code=1).json
    assert refused["error"]["kind"] == "would-park"
    assert as_found(world) == before
    stopped = step(world, *stop, code=4).json
    assert [each["verdict"] for each in stopped["commits"]] == ["parked"] * 3
    assert stopped["sitting"]["subject"] == "Count my way"
    assert world.git("rev-parse", "HEAD") == world.git("rev-parse", "origin/main")
    step(world, "abort", code=0)
    assert as_found(world) == before
    # Who gave up has not turned away from upstream.
    new = world.git("rev-parse", "main", at=world.upstream)
    step(world, "run", "--yes", "--dirty", "park", "--expect", new, code=3)


def test_a_run_that_stops_and_goes_on(before_the_run: World) -> None:
    world = before_the_run
    before = as_found(world)
    step(world, "run", "--yes", "--dirty", "park", "--on-conflict", "stop", code=4)
    resolve(world, "numbers.txt", MINE)
    assert step(world, code=4).json["sitting"]["subject"] == "Set one"
    resolve(world, "etc/tool.conf", SET)
    third = step(world, code=0).json
    assert [each["subject"] for each in third["commits"]] == ["Set one", "Ship a plugin"]
    subjects = world.git("log", "--reverse", "--format=%s", "origin/main..").splitlines()
    assert subjects == ["Count my way", "Set one", "Ship a plugin"]
    check_edits(world)
    after = as_found(world)
    step(world, "undo", "--yes", code=0)
    assert as_found(world) == before
    step(world, "undo", "--yes", code=0)
    assert as_found(world) == after


def test_a_run_that_need_not_stop(rewritten_world: World) -> None:
    """Where nothing conflicts it is a run like any other."""
    world = rewritten_world
    world.git("reset", "-q", "--hard", "HEAD~2")
    done = step(world, "run", "--yes", "--dirty", "park", "--on-conflict", "stop", code=3).json
    assert [each["verdict"] for each in done["commits"]] == ["reapplied"]
    assert "sitting" not in done


def test_a_run_does_not_stop_before_a_merge_that_it_would_flatten(before_the_run: World) -> None:
    """Something that it merged conflicts as well (what else comes of merges: ``test_sitting_merges``)."""
    world = before_the_run
    world.git("reset", "-q", "--hard")
    world.git("checkout", "-q", "-b", "side", "HEAD~3")
    world.commit("Aside", {"etc/tool.conf": CONFIG.replace("setting_1 = 1\n", "setting_1 = I\n")})
    world.git("checkout", "-q", "main")
    world.git("merge", "-q", "--no-edit", "-s", "ours", "side")
    refused = step(world, "run", "--yes", "--on-conflict", "stop", code=1).json
    assert refused["error"]["kind"] == "merge-left"
