"""Every refusal: its status, its stable kind, its words, and a checkout that is as it was, to the byte."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests import rewritten
from tests.conftest import CLOCK, Done, World, needs_git

pytestmark = needs_git

RUN = ("run", "--yes")
PARK = ("run", "--yes", "--dirty", "park")
SET_UPSTREAM = (
    "git branch --set-upstream-to=REMOTE/BRANCH    # for good, and git branch -r tells them\n"
    "resync run --upstream REMOTE/BRANCH    # for this once"
)


def everything(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below ``root``, the git directory's too, but for objects and what is resync's own."""
    found = {}
    for folder, folders, names in os.walk(root):
        inside = Path(folder).relative_to(root)
        folders[:] = [each for each in folders if not _own(inside / each)]
        for name in (*folders, *names):
            path = Path(folder) / name
            status = path.lstat()
            data = b""
            if stat.S_ISREG(status.st_mode):
                data = path.read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                data = os.fsencode(os.readlink(path))
            found[str(inside / name)] = (status.st_mode, data)
    return found


def _own(path: Path) -> bool:
    parts = path.parts[1:] if path.parts[0] == ".git" else path.parts
    return parts in (("objects",), ("resync",), ("refs", "resync"))


def refuses(
    world: World,
    arguments: Sequence[str],
    code: int,
    kind: str,
    message: str,
    hint: str = "",
    *,
    at: Path | None = None,
    call: Callable[[Sequence[str]], Done] | None = None,
) -> None:
    """resync says exactly this (``*`` stands for any text), as JSON and to people, and changes nothing."""
    at = at or world.clone
    before = everything(at)
    runs = _runs(at)
    full = (*arguments, "--json")
    done = call(full) if call is not None else world.resync(*full, at=at)
    assert done.code == code, (done.out, done.err)
    document = done.json
    assert document["schema_version"] == 1
    assert document["command"] == arguments[0]
    assert document["exit_code"] == code
    assert document["error"]["kind"] == kind
    assert _fits(document["error"]["message"], message), document["error"]["message"]
    assert _fits(document["hint"], hint), document["hint"]
    advice = "".join(f"   or: {line}\n" for line in document["hint"].splitlines())
    advice = advice.replace("   or:", "  try:", 1)
    assert done.err == f"resync: {document['error']['message']}\n{advice}"
    assert everything(at) == before
    assert _runs(at) == runs


def _fits(text: str, expected: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, expected.split("*"))), text) is not None


def _runs(at: Path) -> list[str]:
    folder = at / ".git" / "resync" / "runs"
    return sorted(os.listdir(folder)) if folder.exists() else []


def clean(world: World) -> None:
    """Drop the uncommitted work."""
    world.git("reset", "-q", "--hard")
    (world.clone / "notes.txt").unlink()


# --- no checkout to work in ----------------------------------------------------------------------------


def test_not_a_repository(rewritten_world: World, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    for command in (("check",), ("plan",), ("status",), ("log",), RUN, ("undo", "--yes")):
        refuses(
            rewritten_world,
            command,
            1,
            "not-a-repository",
            "* is not in a git repository. Nothing was changed.",
            "go into your checkout, or name it with --repo PATH",
            at=folder,
        )
    assert list(folder.iterdir()) == []


def test_no_such_folder(rewritten_world: World, tmp_path: Path) -> None:
    refuses(
        rewritten_world,
        (*RUN, "--repo", str(rewritten_world.base / "nowhere")),
        2,
        "no-such-folder",
        "*nowhere*. Nothing was changed.",
        "*",
    )


def test_configuration_that_cannot_be_read(rewritten_world: World) -> None:
    (rewritten_world.clone / ".git" / "config").write_text("[core\nbare = false\n")
    refuses(
        rewritten_world,
        RUN,
        2,
        "bad-config",
        "The configuration of the repository at * cannot be read (*). Nothing was changed.",
        "git config --list --show-origin",
    )


@pytest.mark.parametrize("url", ["foo://example.com/x", "ext::sh -c true"])
def test_address_that_nobody_speaks(rewritten_world: World, url: str) -> None:
    rewritten_world.git("config", "remote.origin.url", url)
    refuses(
        rewritten_world,
        RUN,
        2,
        "unsupported-address",
        "resync cannot fetch from *: it does not speak *. Nothing was changed.",
        "git fetch && resync run --no-fetch",
    )


def test_revisions_that_are_named_like_commands(rewritten_world: World) -> None:
    for arguments in (("--onto", "plan", "--yes"), ("--yes", "--old-tip", "check")):
        done = rewritten_world.resync(*arguments, "--json")
        assert (done.code, done.json["command"], done.json["error"]["kind"]) == (2, "run", "bad-revision")


@pytest.mark.state(46)
def test_bare(rewritten_world: World) -> None:
    refuses(
        rewritten_world,
        RUN,
        1,
        "bare-repository",
        f"{rewritten_world.upstream} is a bare repository: it has no working tree to carry over."
        " Nothing was changed.",
        "run resync in a clone of it",
        at=rewritten_world.upstream,
    )


@pytest.mark.state(33)
def test_unborn_head(rewritten_world: World) -> None:
    rewritten_world.git("checkout", "-q", "--orphan", "fresh")
    refuses(
        rewritten_world,
        RUN,
        1,
        "unborn-head",
        "Branch fresh has no commit yet, so there is nothing to carry over. Nothing was changed.",
        "git pull",
    )


def test_unknown_extension(rewritten_world: World) -> None:
    rewritten_world.git("config", "core.repositoryFormatVersion", "1")
    rewritten_world.git("config", "extensions.wings", "true")
    refuses(
        rewritten_world,
        RUN,
        1,
        "unsupported-repository",
        "The repository at * uses a format that resync cannot read (wings). Nothing was changed.",
    )


@pytest.mark.state(42)
def test_reftable(rewritten_world: World) -> None:
    # The layout that git 2.45 and later make (git-init(1), --ref-format=reftable).
    git_dir = rewritten_world.clone / ".git"
    rewritten_world.git("config", "core.repositoryFormatVersion", "1")
    rewritten_world.git("config", "extensions.refStorage", "reftable")
    shutil.rmtree(git_dir / "refs")
    (git_dir / "refs").mkdir()
    (git_dir / "refs" / "heads").write_text("this repository uses the reftable format\n")
    (git_dir / "HEAD").write_text("ref: refs/heads/.invalid\n")
    (git_dir / "reftable").mkdir()
    (git_dir / "reftable" / "tables.list").write_text("")
    refuses(
        rewritten_world,
        RUN,
        1,
        "unsupported-repository",
        f"The repository at {rewritten_world.clone} keeps its refs as a reftable, which resync cannot lock."
        " Nothing was changed.",
        "git refs migrate --ref-format=files",
    )


# --- no upstream to go to ------------------------------------------------------------------------------


@pytest.mark.state(57)
def test_no_upstream(rewritten_world: World) -> None:
    rewritten_world.git("branch", "--unset-upstream")
    refuses(
        rewritten_world,
        RUN,
        1,
        "no-upstream",
        "Branch main has no upstream configured, and there is no .gitreview that names one."
        " Nothing was changed.",
        SET_UPSTREAM,
    )


def test_no_upstream_of_a_detached_head(rewritten_world: World) -> None:
    rewritten_world.git("checkout", "-q", "--detach")
    rewritten_world.git("branch", "-q", "-r", "-d", "origin/main")
    refuses(
        rewritten_world,
        RUN,
        1,
        "no-upstream",
        "A detached HEAD has no upstream, it stands on no branch that is known to be a remote's, and there is"
        " no .gitreview that names one. Nothing was changed.",
        SET_UPSTREAM,
    )


def test_ambiguous_upstream_of_a_detached_head(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("checkout", "-q", "--detach")
    (world.clone / ".git/logs/HEAD").unlink()
    world.git("symbolic-ref", "--delete", "refs/remotes/origin/HEAD")
    world.git("update-ref", "refs/remotes/origin/twin", "origin/main")
    refuses(
        world,
        RUN,
        1,
        "ambiguous-upstream",
        "A detached HEAD has no upstream, and what it stands on is on origin/main, origin/twin."
        " Nothing was changed.",
        "resync run --upstream origin/main    # or another of them",
    )


def test_unknown_upstream(rewritten_world: World) -> None:
    refuses(
        rewritten_world,
        (*RUN, "--upstream", "nowhere/main"),
        2,
        "unknown-upstream",
        "nowhere/main does not begin with the name of a remote (there are: origin). Nothing was changed.",
        "resync run --upstream REMOTE/BRANCH    # git branch -r tells them",
    )


@pytest.mark.parametrize("command", [("check",), ("plan",), RUN])
def test_upstream_branch_gone(rewritten_world: World, command: tuple[str, ...]) -> None:
    rewritten_world.git("update-ref", "-d", "refs/heads/main", at=rewritten_world.upstream)
    refuses(
        rewritten_world,
        command,
        1,
        "upstream-deleted",
        "origin/main is gone: the remote has no such branch now. Nothing was changed.",
        "wait for it to come back\nresync run --upstream REMOTE/BRANCH    # goes there instead",
    )


def test_upstream_path_gone(rewritten_world: World) -> None:
    rewritten_world.upstream.rename(rewritten_world.base / "gone.git")
    refuses(
        rewritten_world,
        RUN,
        75,
        "upstream-unreachable",
        "Upstream origin at ../up.git cannot be reached (No git repository was found at *up.git)."
        " Nothing was changed.",
        "check the address (git remote -v) and the network, then try again",
    )


@pytest.mark.parametrize("scheme", ["http", "git"])
def test_upstream_refuses_the_connection(rewritten_world: World, scheme: str) -> None:
    with socket.socket() as taken:
        # Bound and not listening: nobody else gets the port, and connections to it are refused.
        taken.bind(("127.0.0.1", 0))
        url = f"{scheme}://me:secret@127.0.0.1:{taken.getsockname()[1]}/up.git"
        rewritten_world.git("config", "remote.origin.url", url)
        refuses(
            rewritten_world,
            RUN,
            75,
            "upstream-unreachable",
            f"Upstream origin at {url.replace('me:secret@', '')} cannot be reached (*onnection refused*)."
            " Nothing was changed.",
            "check the address (git remote -v) and the network, then try again",
        )


def test_never_fetched(rewritten_world: World) -> None:
    rewritten_world.git("update-ref", "-d", "refs/remotes/origin/main")
    refuses(
        rewritten_world,
        (*RUN, "--no-fetch"),
        1,
        "never-fetched",
        "Without asking origin, resync knows nothing of its branch *main. Nothing was changed.",
        "run the same command without --no-fetch",
    )


# --- git is in the middle of something -----------------------------------------------------------------

OPERATIONS = {
    "merge": (["merge", "origin/main"], "git merge --continue    # or --abort"),
    "rebase": (["rebase", "origin/main"], "git rebase --continue    # or --abort"),
    "rebase by patches": (["rebase", "--apply", "origin/main"], "git rebase --continue    # or --abort"),
    "cherry-pick": (["cherry-pick", "origin/main~2"], "git cherry-pick --continue    # or --abort"),
    "cherry-pick of several": (
        ["cherry-pick", "origin/main~2", "origin/main"],
        "git cherry-pick --continue    # or --abort",
    ),
    "revert": (["revert", "--no-edit", "HEAD~3"], "git revert --continue    # or --abort"),
    "bisect": (["bisect", "start"], "git bisect reset"),
    "am": (["am", "../0001-New-way.patch"], "git am --continue    # or --abort"),
}


@pytest.mark.state(35)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_under_way(rewritten_world: World, operation: str) -> None:
    command, way_out = OPERATIONS[operation]
    clean(rewritten_world)
    rewritten_world.git("fetch", "-q")
    rewritten_world.git("format-patch", "-q", "-1", "origin/main~2", "-o", "..")
    rewritten_world.git(*command, check=False)
    refuses(
        rewritten_world,
        PARK,
        1,
        "operation-in-progress",
        f"A git {operation.partition(' ')[0]} is under way in this checkout. Nothing was changed.",
        way_out,
    )


def test_rest_of_a_cherry_pick_under_way(rewritten_world: World) -> None:
    clean(rewritten_world)
    rewritten_world.git("fetch", "-q")
    rewritten_world.git("cherry-pick", "origin/main~2", "origin/main", check=False)
    rewritten_world.git("reset", "-q", "--hard")
    assert (rewritten_world.clone / ".git" / "sequencer").exists()
    refuses(
        rewritten_world,
        PARK,
        1,
        "operation-in-progress",
        "A git cherry-pick or revert is under way in this checkout. Nothing was changed.",
        "git cherry-pick --continue    # or --abort",
    )


# --- somebody else is at work --------------------------------------------------------------------------


@pytest.mark.state(37)
@pytest.mark.state(38)
@pytest.mark.parametrize("name", ["index", "HEAD", "refs/heads/main"])
def test_locked_by_somebody_else(rewritten_world: World, name: str) -> None:
    lock = rewritten_world.clone / ".git" / f"{name}.lock"
    lock.write_text("")
    refuses(
        rewritten_world,
        PARK,
        75,
        "locked",
        f"Somebody else holds {lock}, * seconds old: another git, an editor, or one that crashed."
        " Nothing was changed.",
        f"wait for it to end, and try again\nrm {lock}    # if you are sure that none of them runs any more",
    )


@pytest.mark.state(88)
@pytest.mark.parametrize("command", [PARK, ("undo", "--yes")])
def test_two_runs_at_once(rewritten_world: World, command: tuple[str, ...]) -> None:
    fcntl = pytest.importorskip("fcntl", reason="the test holds the lock as POSIX systems do")
    path = rewritten_world.clone / ".git" / "resync" / "lock"
    path.parent.mkdir()
    with open(path, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        refuses(
            rewritten_world,
            command,
            75,
            "run-in-progress",
            "Another resync is at work in this repository. Nothing was changed.",
            "wait for it to end and try again",
        )
    # The lock dies with its holder; nothing is left to be cleared away.
    assert rewritten_world.resync(*PARK).code == 3


@pytest.mark.parametrize("name", ["plan.json", "state.json"])
def test_a_record_of_another_version(rewritten_world: World, name: str) -> None:
    """Whoever wrote it knows what it means; what is not understood is neither changed nor passed over."""
    world = rewritten_world
    run = world.resync(*PARK, "--json").json["run"]
    path = world.clone / ".git" / "resync" / "runs" / run / name
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    for command in (("status",), ("undo", "--yes")):
        refuses(
            world,
            command,
            1,
            "unreadable-journal",
            f"The record of run {run} cannot be read (another version of resync wrote it)."
            " Nothing was changed.",
            f"look at .git/resync/runs/{run}\ngit branch --list *    # these are untouched",
        )
    assert '"version": 2' in path.read_text()


# --- nobody to ask, and wrong questions ----------------------------------------------------------------


def test_no_terminal(rewritten_world: World) -> None:
    message = "There is no terminal to ask on, and --yes was not given. Nothing was changed."
    hint = "resync plan    # shows what would be done\nresync run --yes    # does it"
    refuses(rewritten_world, ("run",), 2, "not-a-terminal", message, hint)
    refuses(rewritten_world, ("undo",), 2, "not-a-terminal", message, "resync undo --yes")
    bare_call = rewritten_world.resync()
    assert (bare_call.code, bare_call.out) == (2, "")
    first, second = hint.split("\n")
    assert bare_call.err == f"resync: {message}\n  try: {first}\n   or: {second}\n"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("run", "--frobnicate"), "Unrecognized arguments: --frobnicate", "resync --help"),
        (("run", "--dirty", "loose"), "Argument --dirty: invalid choice: *", "resync run --help"),
        (("run", "--color", "sometimes"), "Argument --color: invalid choice: *", "resync run --help"),
        (("check", "--yes"), "Unrecognized arguments: --yes", "resync --help"),
        (("run", "--ye"), "Unrecognized arguments: --ye", "resync --help"),
        (("undo", "one", "two"), "Unrecognized arguments: two", "resync --help"),
        (("rescue", "burn"), "Argument ACTION: invalid choice: 'burn' *", "resync rescue --help"),
        (
            ("rescue", "restore"),
            "The following arguments are required: PATH",
            "resync rescue restore --help",
        ),
    ],
)
def test_wrong_options(rewritten_world: World, arguments: tuple[str, ...], message: str, hint: str) -> None:
    refuses(rewritten_world, arguments, 2, "bad-arguments", f"{message}. Nothing was changed.", hint)


@pytest.mark.parametrize("option", ["--old-tip", "--onto"])
@pytest.mark.parametrize("revision", ["nowhere", "HEAD:README"])
def test_bad_revision(rewritten_world: World, option: str, revision: str) -> None:
    refuses(
        rewritten_world,
        (*RUN, option, revision),
        2,
        "bad-revision",
        f"{option} {revision} names no commit in this repository. Nothing was changed.",
        "git log --oneline --branches --remotes --tags",
    )


def test_bad_date(rewritten_world: World) -> None:
    rewritten_world.env["GIT_COMMITTER_DATE"] = "yesterday"
    refuses(
        rewritten_world,
        RUN,
        2,
        "bad-date",
        "GIT_COMMITTER_DATE is 'yesterday', which is no date that resync can read. Nothing was changed.",
        "unset GIT_COMMITTER_DATE    # or give it as 2016-04-19T19:02:32+00:00",
    )


def test_bad_config(rewritten_world: World) -> None:
    rewritten_world.git("config", "core.fileMode", "maybe")
    refuses(
        rewritten_world,
        PARK,
        2,
        "bad-config",
        "core.fileMode is 'maybe', which is neither true nor false. Nothing was changed.",
        "git config core.fileMode true",
    )


# --- unsure what upstream did --------------------------------------------------------------------------


def test_no_evidence(rewritten_world: World) -> None:
    rewritten_world.git("config", "--unset-all", "remote.origin.fetch")
    rewritten_world.git("update-ref", "-d", "refs/remotes/origin/main")
    shutil.rmtree(rewritten_world.clone / ".git" / "logs")
    refuses(
        rewritten_world,
        PARK,
        1,
        "no-evidence",
        "Nothing tells which of your branch's commits were once those of origin/main. Nothing was changed.",
        "resync run --old-tip REV --dirty park    # REV is the last commit of upstream below your work",
    )


def test_unrelated(rewritten_world: World) -> None:
    at = rewritten.work(rewritten_world)
    rewritten_world.git("checkout", "-q", "--orphan", "other", at=at)
    rewritten_world.git("commit", "-q", "-m", "Another beginning", at=at)
    rewritten_world.git("branch", "-q", "-M", "other", "main", at=at)
    tip = rewritten.publish(rewritten_world)
    refuses(
        rewritten_world,
        PARK,
        1,
        "unrelated-upstream",
        "origin/main has no history in common with what it was. Nothing was changed.",
        f"resync run --expect {tip} --dirty park    # if that is meant",
    )


def test_rewound(rewritten_world: World) -> None:
    at = rewritten.work(rewritten_world)
    rewritten_world.git("reset", "-q", "--hard", "main~3", at=at)
    tip = rewritten.publish(rewritten_world)
    refuses(
        rewritten_world,
        PARK,
        1,
        "rewound-upstream",
        "origin/main went back to an earlier commit of its own, as a lagging mirror would."
        " Nothing was changed.",
        f"resync run --expect {tip} --dirty park    # if that is meant",
    )


@pytest.mark.parametrize("expected", ["1" * 40, "main", "c2a5"])
def test_unexpected_tip(rewritten_world: World, expected: str) -> None:
    tip = rewritten_world.git("rev-parse", "main", at=rewritten_world.upstream)
    refuses(
        rewritten_world,
        (*PARK, "--expect", expected),
        1,
        "unexpected-tip",
        f"origin/main is at {tip}, not at {expected} as expected. Nothing was changed.",
        "resync check    # tells what upstream did",
    )


def test_expected_tip(rewritten_world: World) -> None:
    tip = rewritten_world.git("rev-parse", "main", at=rewritten_world.upstream)
    assert rewritten_world.resync("plan", "--expect", tip).code == 5
    assert rewritten_world.resync("plan", "--expect", tip[:7].upper()).code == 5


def test_held_after_an_undo(rewritten_world: World) -> None:
    before = rewritten_world.state()
    assert rewritten_world.resync(*PARK).code == 3
    rewritten_world.env["GIT_COMMITTER_DATE"] = f"{CLOCK + 60} +0000"
    assert rewritten_world.resync("undo", "--yes").code == 0
    after = rewritten_world.state()
    assert (after["index"], after["files"]) == (before["index"], before["files"])
    rewritten_world.env["GIT_COMMITTER_DATE"] = f"{CLOCK + 120} +0000"
    refuses(
        rewritten_world,
        PARK,
        1,
        "held",
        "You took back the move to this state of origin/main, so resync does not repeat it unasked."
        " Nothing was changed.",
        "resync run --redo --dirty park",
    )
    assert rewritten_world.resync(*PARK, "--redo").code == 3


# --- uncommitted work that is in danger ----------------------------------------------------------------


def test_edits_are_not_wanted(rewritten_world: World) -> None:
    refuses(
        rewritten_world,
        (*RUN, "--dirty", "refuse"),
        1,
        "dirty",
        "2 files are edited and not committed (etc/tool.conf, numbers.txt). Nothing was changed.",
        "git commit -a    # commits them, then try again\nresync run --dirty restore    # carries them over",
    )


def test_would_park(rewritten_world: World) -> None:
    refuses(
        rewritten_world,
        RUN,
        1,
        "would-park",
        "1 file is in the way of upstream's changes and would be moved to the rescue branch (notes.txt)."
        " Nothing was changed.",
        "resync plan    # shows what would become of each\nresync run --yes --dirty park    # allows it",
    )


def test_a_plan_for_nobody_refuses_what_the_run_will(rewritten_world: World) -> None:
    before = rewritten_world.state()
    assert rewritten_world.resync("plan").code == 5
    done = rewritten_world.resync("plan", "--yes", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "would-park")
    assert rewritten_world.state() == before
    allowed = rewritten_world.resync("plan", "--yes", "--dirty", "park")
    assert allowed.code == 5
    assert "To carry this out: resync run --dirty park" in allowed.out


@pytest.mark.state(4)
def test_unmerged_paths(rewritten_world: World) -> None:
    oid = rewritten_world.git("rev-parse", "HEAD:README")
    entries = [f"0 {'0' * 40}\tREADME", *(f"100644 {oid} {stage}\tREADME" for stage in (1, 2, 3))]
    rewritten_world.git("update-index", "--index-info", stdin="\n".join(entries).encode() + b"\n")
    refuses(
        rewritten_world,
        PARK,
        1,
        "unmerged-paths",
        "The index has unmerged paths (1) of a merge that nobody finished. Nothing was changed.",
        "git status",
    )


@pytest.mark.state(39)
def test_split_index(rewritten_world: World) -> None:
    rewritten_world.git("update-index", "--split-index")
    refuses(
        rewritten_world,
        PARK,
        1,
        "split-index",
        "*his repository keeps its index in two files (a split index), which resync does not read."
        " Nothing was changed.",
        "git update-index --no-split-index",
    )


@pytest.mark.state(40)
def test_sparse_index(rewritten_world: World) -> None:
    clean(rewritten_world)
    rewritten_world.git("sparse-checkout", "set", "--cone", "--sparse-index", "nothing")
    refuses(
        rewritten_world,
        PARK,
        1,
        "sparse-index",
        "*he index names whole directories (a sparse index), which resync does not read."
        " Nothing was changed.",
        "git sparse-checkout reapply --no-sparse-index",
    )


@pytest.mark.state(56)
def test_corrupt_index(rewritten_world: World) -> None:
    path = rewritten_world.clone / ".git" / "index"
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    refuses(
        rewritten_world,
        PARK,
        1,
        "corrupt-index",
        "*he index cannot be read: its checksum is wrong. Nothing was changed.",
        f"mv {path} {path}.broken && git reset    # git builds it anew; what was staged is unstaged\n"
        f"a copy of it as it is: {path.parent}/*",
    )


@pytest.mark.parametrize("damage", [b"", b"not zlib at all", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_damaged_commit(rewritten_world: World, damage: bytes) -> None:
    oid = rewritten_world.git("rev-parse", "HEAD")
    path = rewritten_world.clone / ".git" / "objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    path.write_bytes(damage)
    refuses(
        rewritten_world,
        PARK,
        1,
        "damaged-object",
        f"Object {oid} is damaged and cannot be read (*). Nothing was changed.",
        "git fsck",
    )


def test_missing_commit(rewritten_world: World) -> None:
    oid = rewritten_world.git("rev-parse", "HEAD~1")
    (rewritten_world.clone / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    refuses(
        rewritten_world,
        PARK,
        1,
        "missing-object",
        f"*bject {oid} is missing from the repository. Nothing was changed.",
        "git fsck",
    )


# --- what stands in the way ----------------------------------------------------------------------------


def test_nested_repository_in_the_way(rewritten_world: World) -> None:
    nested = rewritten_world.clone / "notes.txt"
    nested.unlink()
    rewritten_world.git("init", "-q", str(nested))
    rewritten_world.commit("Nested", {"file": "bytes\n"}, at=nested)
    refuses(
        rewritten_world,
        PARK,
        1,
        "repository-in-the-way",
        "'notes.txt' is a repository of its own and stands where the new tree has something else."
        " Nothing was changed.",
        "mv notes.txt ..",
    )


def hostile_tree(world: World, *names: bytes) -> str:
    """A tree in upstream that has a blob at each path, made without git's own checks."""
    blob = world.git("hash-object", "-w", "--stdin", stdin=b"evil", at=world.upstream)
    entries = b""
    for name in names:
        top, _, below = name.partition(b"//")
        mode, oid = (b"40000", hostile_tree(world, below)) if below else (b"100644", blob)
        entries += mode + b" " + top + b"\0" + bytes.fromhex(oid)
    return world.git(
        "hash-object", "-t", "tree", "--literally", "-w", "--stdin", stdin=entries, at=world.upstream
    )


def move_upstream_to(world: World, tree: str) -> None:
    commit = world.git("commit-tree", "-p", "main", "-m", "Evil", tree, at=world.upstream)
    world.git("update-ref", "refs/heads/main", commit, at=world.upstream)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b".git//x", "'.git/x'"),
        (b".GIT//hooks", "'.GIT/hooks'"),
        (b"git~1", "'git~1'"),
        (b"..//x", "'../x'"),
        (b".", "'.'"),
        (b".git.//x", "'.git./x'"),
        (b".gi\xe2\x80\x8ct//x", "'.gi\\u200ct/x'"),
        (b".git//\x1b[31m\n", "'.git/\\x1b[31m\\n'"),
        (b".git\\x", "'.git\\\\x'"),
    ],
)
def test_hostile_path(rewritten_world: World, name: bytes, shown: str) -> None:
    move_upstream_to(rewritten_world, hostile_tree(rewritten_world, name))
    # The plan refuses as the run does: what it looks at on the disk must not lie outside either.
    for command in (("plan",), PARK) if name == b"..//x" else (PARK,):
        refuses(
            rewritten_world,
            command,
            1,
            "hostile-path",
            f"The new tree has the path {shown}, which would reach out of the working tree or into .git."
            " Nothing was changed.",
            "do not use this upstream before somebody has looked at it",
        )


@pytest.mark.parametrize("names", [(b"a/b",), (b"a", b"a"), (b"a", b"a//b"), (b"",)])
def test_hostile_tree(rewritten_world: World, names: tuple[bytes, ...]) -> None:
    move_upstream_to(rewritten_world, hostile_tree(rewritten_world, *names))
    refuses(
        rewritten_world,
        PARK,
        1,
        "hostile-tree",
        "The tree * has a name twice, or a name or mode that no tree may have, or is damaged."
        " Nothing was changed.",
        "git fsck",
    )


# --- files that may not be read or written -------------------------------------------------------------

# A process of root that may not pass over permissions: the capabilities are dropped (prctl(2),
# PR_CAPBSET_DROP of CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH) before resync is started.
_POWERLESS = """\
import ctypes, os, sys
if os.geteuid() == 0:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(24, 1, 0, 0, 0) or libc.prctl(24, 2, 0, 0, 0):
        sys.exit(99)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def powerless(world: World) -> Callable[[Sequence[str]], Done]:
    """Calls resync as somebody who has to heed permissions; skips where that cannot be arranged."""
    script = world.base / "powerless.py"
    script.write_text(_POWERLESS)

    def call(arguments: Sequence[str]) -> Done:
        done = subprocess.run(
            [sys.executable, str(script), "-m", "resync", *arguments],
            cwd=world.clone,
            env=world.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 99:
            pytest.skip("root cannot give up its capabilities here")
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    return call


def _only_root_ignores_permissions() -> bool:
    return sys.platform != "linux" and os.geteuid() == 0


skip_permissions = pytest.mark.skipif(
    os.name == "nt" or _only_root_ignores_permissions(), reason="this user passes over permissions"
)


@pytest.mark.state(28)
@skip_permissions
@pytest.mark.parametrize("path", ["etc/tool.conf", "notes.txt"])
def test_unreadable_file(rewritten_world: World, path: str) -> None:
    secret = rewritten_world.clone / path
    call = powerless(rewritten_world)

    def call_with_secret(arguments: Sequence[str]) -> Done:
        secret.chmod(0)
        try:
            return call(arguments)
        finally:
            secret.chmod(0o644)

    secret.chmod(0o644)
    refuses(
        rewritten_world,
        PARK,
        1,
        "unreadable-file",
        f"'{path}' cannot be read (Permission denied), so it cannot be backed up. Nothing was changed.",
        "*",
        call=call_with_secret,
    )


@pytest.mark.state(83)
@skip_permissions
def test_folder_that_may_not_be_written(rewritten_world: World) -> None:
    folder = rewritten_world.clone / "etc"
    call = powerless(rewritten_world)
    folder.chmod(0o555)
    try:
        refuses(rewritten_world, PARK, 1, "not-writable", "*etc*. Nothing was changed.", "*", call=call)
    finally:
        folder.chmod(0o755)


# --- questions about runs and rescues that are not there -----------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "message", "hint"),
    [
        (("log", "nope"), 1, "unknown-run", "There is no run nope here.", "resync log"),
        (("log", "../../x"), 1, "unknown-run", "There is no run ../../x here.", "resync log"),
        (("undo", "--yes", "nope"), 1, "unknown-run", "There is no run nope here.", "resync log"),
        (("undo", "--yes"), 1, "nothing-to-undo", "No run has changed anything here.", "resync log"),
        (
            ("continue",),
            1,
            "nothing-interrupted",
            "No run was interrupted here, and nothing that was parked waits for main.",
            "resync status",
        ),
        (
            ("abort",),
            1,
            "nothing-interrupted",
            "No run was interrupted here, and no conflict is being resolved.",
            "resync status",
        ),
        (("rescue", "show"), 1, "no-rescue", "There is no rescue branch here.", ""),
        (("rescue", "restore", "x"), 1, "no-rescue", "There is no rescue branch here.", ""),
    ],
)
def test_before_any_run(
    rewritten_world: World, arguments: tuple[str, ...], code: int, kind: str, message: str, hint: str
) -> None:
    refuses(rewritten_world, arguments, code, kind, f"{message} Nothing was changed.", hint)


def test_after_a_run(rewritten_world: World) -> None:
    world = rewritten_world
    assert world.resync(*PARK).code == 3
    run = world.resync("log", "--json").json["runs"][0]["run"]
    rescue = world.resync("log", "--json").json["runs"][0]["rescue"]["branch"]
    refuses(
        world,
        ("rescue", "show", "rescue/other"),
        2,
        "unknown-rescue",
        "There is no rescue branch rescue/other. Nothing was changed.",
        "resync rescue list",
    )
    for path in ("nope", "etc", "plugin.txt/x"):
        refuses(
            world,
            ("rescue", "restore", path),
            1,
            "not-in-rescue",
            f"{rescue} keeps no file '{path}'. Nothing was changed.",
            f"resync rescue show {rescue}",
        )
    refuses(
        world,
        ("rescue", "restore", "notes.txt"),
        1,
        "file-exists",
        f"{world.clone}/notes.txt is there already, with other bytes. Nothing was changed.",
        f"resync rescue restore notes.txt --from {rescue} --to ../rescued    # then compare the two",
    )
    world.env["GIT_COMMITTER_DATE"] = f"{CLOCK + 60} +0000"
    world.commit("Newer work", {"newer.txt": "new\n"})
    refuses(
        world,
        ("undo", "--yes"),
        1,
        "newer-commits",
        f"main has moved since run {run}; undoing that run would take the newer commits off it."
        " Nothing was changed.",
        f"resync undo {run}    # shows them, and asks\n"
        f"resync undo {run} --yes --discard-newer    # keeps them on a rescue branch only",
    )
    world.git("reset", "-q", "--soft", "HEAD~1")
    world.git("checkout", "-q", "-b", "other")
    refuses(
        world,
        ("undo", "--yes"),
        1,
        "other-branch",
        f"Run {run} was made on main, which is not what is checked out. Nothing was changed.",
        f"git checkout main && resync undo {run}",
    )
    world.git("checkout", "-q", "main")
    assert world.resync("undo", "--yes").code == 0
    world.env["GIT_COMMITTER_DATE"] = f"{CLOCK + 120} +0000"
    undo = world.resync("log", "--json").json["runs"][0]["run"]
    refuses(
        world,
        ("undo", "--yes", run),
        1,
        "already-undone",
        f"Run {run} was undone by run {undo}. Nothing was changed.",
        f"resync undo {undo}    # takes that back",
    )


# --- a bug ---------------------------------------------------------------------------------------------


def test_a_bug_is_told_without_a_traceback(rewritten_world: World) -> None:
    world = rewritten_world
    before = everything(world.clone)
    program = (
        "import sys\n"
        "from resync import rehearse\n"
        "def broken(*arguments, **options):\n"
        "    raise RuntimeError('the sky \\x1b[31m fell')\n"
        "rehearse.replay = broken\n"
        "from resync.cli import run_command\n"
        "sys.exit(run_command(sys.argv[1:]))\n"
    )
    done = world.python(program, *PARK, "--json")
    assert done.code == 70
    (log,) = (Path(world.env["XDG_STATE_HOME"]) / "resync").rglob("*.log")
    assert done.err == (
        f"resync: This is a bug in resync (RuntimeError). The details are in {log}; please report it.\n"
        "  try: resync status    # tells where things stand\n"
    )
    assert (done.json["exit_code"], done.json["error"]["kind"]) == (70, "bug")
    written = log.read_text()
    assert "Traceback (most recent call last)" in written
    assert "RuntimeError: the sky" in written
    assert "in broken" in written
    assert everything(world.clone) == before
