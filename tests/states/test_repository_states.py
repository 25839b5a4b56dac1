"""What kind of repository a clone may be (numbers 39 to 50 and 59), and what it lies on (97 to 100)."""

from __future__ import annotations

import os
import shutil
import stat
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import sha1

import pytest

from tests import servers
from tests.conftest import World, needs_git
from tests.rewritten import CONFIG, LINES
from tests.states.play import RUN, refused, rewrite, run, state, undone

pytestmark = needs_git

THEIRS = CONFIG.replace("setting_5 = 5", "setting_5 = theirs")


@pytest.mark.state(41)
@pytest.mark.parametrize(("name", "fatal"), [(b"zzzz", True), (b"ZZZZ", False)])
def test_an_index_extension_that_nobody_knows(clone: World, name: bytes, fatal: bool) -> None:
    rewrite(clone)
    path = clone.clone / ".git" / "index"
    body = path.read_bytes()[:-20] + name + struct.pack(">I", 3) + b"abc"
    path.write_bytes(body + sha1(body).digest())
    done = clone.resync(*RUN)
    if not fatal:
        assert done.code == 0, done
        return
    assert (done.code, done.json["error"]["kind"]) == (1, "unknown-index-extension")
    assert path.read_bytes()[:-20] == body


@pytest.mark.state(45)
@pytest.mark.parametrize("where", ["main", "linked"])
def test_a_branch_that_another_working_tree_has_too(clone: World, where: str) -> None:
    rewrite(clone)
    linked = clone.base / "linked"
    clone.git("worktree", "add", "-q", "--force", str(linked), "main")
    before = state(clone)
    done = clone.resync(*RUN, at=linked if where == "linked" else clone.clone)
    assert (done.code, done.json["error"]["kind"]) == (1, "checked-out-elsewhere"), done
    assert str(clone.clone if where == "linked" else linked) in done.json["error"]["message"]
    assert state(clone) == before
    assert clone.git("status", "--porcelain", at=linked) == ""
    clone.git("checkout", "-q", "--detach", at=linked)
    run(clone)
    assert clone.git("status", "--porcelain", at=linked) == ""


@pytest.mark.state(47)
def test_alternates_that_are_gone(clone: World) -> None:
    rewrite(clone)
    objects = clone.clone / ".git" / "objects"
    elsewhere = clone.base / "elsewhere"
    shutil.copytree(objects, elsewhere)
    for folder in objects.iterdir():
        if folder.name != "info":
            shutil.rmtree(folder)
    (objects / "pack").mkdir()
    (objects / "info").mkdir(exist_ok=True)
    (objects / "info" / "alternates").write_text(f"{elsewhere}\n")
    assert clone.git("status", "--porcelain") == ""
    assert clone.resync("plan").code == 5
    elsewhere.rename(clone.base / "gone")
    tip = (clone.clone / ".git" / "refs" / "heads" / "main").read_bytes()
    done = clone.resync(*RUN)
    assert (done.code, done.json["error"]["kind"]) == (1, "missing-object"), done
    assert (clone.clone / ".git" / "refs" / "heads" / "main").read_bytes() == tip
    (clone.base / "gone").rename(elsewhere)
    assert clone.resync(*RUN).code == 0


@pytest.mark.state(48)
@pytest.mark.parametrize("settled", ["", "--unshallow", "--old-tip"])
def test_a_shallow_clone(clone: World, settled: str) -> None:
    """Where the answer depends on what is cut off, it is asked for and not guessed."""
    shutil.rmtree(clone.clone)
    clone.git("clone", "-q", "--depth=1", f"file://{clone.upstream}", str(clone.clone), at=clone.base)
    clone.commit("Mine", {"mine.txt": "mine\n"})
    options: tuple[str, ...] = ()
    if not settled:
        # What went on from the cut needs nothing of what is below it.
        at = clone.base / "work"
        clone.commit("Next", {"next.txt": "next\n"}, at=at)
        clone.commit("After", {"after.txt": "after\n"}, at=at)
        clone.git("push", "-q", "origin", "main", at=at)
        checked = clone.resync("check", "--json")
        assert (checked.json["upstream"]["kind"], checked.json["upstream"]["arrived"]) == ("advanced", 2)
        options = ("--advance",)
    else:
        rewrite(clone)
        done = refused(clone, "shallow-history", "check")
        assert done.json["hint"].startswith("git fetch --unshallow\n")
        if settled == "--unshallow":
            clone.git("fetch", "-q", settled)
        else:
            options = (settled, "origin/main")
        checked = clone.resync("check", "--json", *options)
        assert checked.json["upstream"]["kind"] == "rewritten", checked
    done = clone.resync(*RUN, *options)
    assert done.code == 0, done
    assert clone.git("log", "-1", "--format=%s") == "Mine"
    assert (clone.clone / "mine.txt").read_text() == "mine\n"
    assert clone.git("status", "--porcelain") == ""


@pytest.mark.state(49)
def test_a_partial_clone(clone: World) -> None:
    """What is absent and needed is asked for in words, and what to type brings it."""
    clone.git("config", "uploadpack.allowFilter", "true", at=clone.upstream)
    shutil.rmtree(clone.clone)
    url = f"file://{clone.upstream}"
    clone.git("clone", "-q", "--filter=blob:none", url, str(clone.clone), at=clone.base)
    clone.commit("Mine", {"numbers.txt": "mine\n"})
    rewrite(clone)
    clone.git("fetch", "-q")
    before = clone.git("rev-parse", "HEAD"), (clone.clone / "numbers.txt").read_text()
    done = clone.resync(*RUN, "--no-fetch")
    assert (done.code, done.json["error"]["kind"]) == (1, "missing-object"), done
    assert (clone.git("rev-parse", "HEAD"), (clone.clone / "numbers.txt").read_text()) == before
    assert done.json["hint"] == "git fetch --refetch --no-filter origin"
    clone.git(*done.json["hint"].split()[1:])
    done = clone.resync(*RUN, "--no-fetch")
    assert done.code == 3, done
    assert [each["verdict"] for each in done.json["commits"]] == ["parked"]


@pytest.mark.state(49)
@pytest.mark.parametrize("way", [servers.over_http, servers.over_file])
def test_a_partial_clone_gets_what_it_needs(
    clone: World, way: Callable[[World], AbstractContextManager[str]]
) -> None:
    """All that is needed, in one request, before anything moves; the run then comes to the end that it comes
    to in a whole clone, and git finds the clone sound."""
    clone.git("config", "uploadpack.allowFilter", "true", at=clone.upstream)
    mine = {"numbers.txt": LINES.replace("line 9\n", "line nine, mine\n"), "dir/one.txt": "mine\n"}
    with way(clone) as url:
        shutil.rmtree(clone.clone)
        clone.git("clone", "-q", "--filter=blob:none", url, str(clone.clone), at=clone.base)
        clone.commit("Mine", mine)
        whole = clone.base / "whole"
        clone.git("clone", "-q", str(clone.upstream), str(whole), at=clone.base)
        clone.commit("Mine", mine, at=whole)
        rewrite(clone, {"dir/one.txt": "upstream's\n", "dir/three.txt": "3\n", "dir/two.txt": None})
        expected = clone.resync(*RUN, at=whole)
        promised = clone.clone / ".git" / "objects" / "pack"
        packs = len(list(promised.glob("*.promisor")))
        planned = clone.resync("plan", "--json")
        # One for the commits, one for all else; from a path everything comes at once.
        assert len(list(promised.glob("*.promisor"))) <= packs + 2
        done = clone.resync(*RUN)
    verdicts = [(each["subject"], each["verdict"]) for each in expected.json["commits"]]
    for each in (planned, done):
        assert [(one["subject"], one["verdict"]) for one in each.json["commits"]] == verdicts, each
    assert (done.code, clone.git("rev-parse", "HEAD^{tree}")) == (
        expected.code,
        clone.git("rev-parse", "HEAD^{tree}", at=whole),
    )
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("fsck", "--no-dangling") == ""


@pytest.mark.state(49)
def test_what_a_remote_does_not_serve(clone: World) -> None:
    """It promised it once and has it no more: the words that say what to type, and nothing has changed."""
    clone.git("config", "uploadpack.allowFilter", "true", at=clone.upstream)
    with servers.over_http(clone) as url:
        shutil.rmtree(clone.clone)
        clone.git("clone", "-q", "--filter=blob:none", url, str(clone.clone), at=clone.base)
        clone.commit("Mine", {"numbers.txt": "mine\n"})
        rewrite(clone)
        lost = clone.git("rev-parse", "main:numbers.txt", at=clone.upstream)
        (clone.upstream / "objects" / lost[:2] / lost[2:]).unlink()
        before = state(clone)
        done = clone.resync(*RUN)
    assert (done.code, done.json["error"]["kind"]) == (1, "missing-object"), done
    assert done.json["hint"] == "git fetch --refetch --no-filter origin"
    assert state(clone) == before


@pytest.mark.state(50)
def test_replaced_objects_are_warned_about(clone: World) -> None:
    rewrite(clone)
    clone.git("replace", "HEAD", "HEAD~1")
    for command in (("check", "--json"), ("plan", "--json"), RUN):
        done = clone.resync(*command)
        (warning,) = done.json["warnings"]
        assert "refs/replace/" in warning
        assert warning in done.err
    clone.git("replace", "-d", clone.git("rev-parse", "ORIG_HEAD"))
    assert clone.resync("check", "--json").json["warnings"] == []
    assert clone.git("log", "-1", "--format=%s") == "Ship a plugin"


@pytest.mark.state(50)
def test_grafts_are_as_git_has_them(clone: World) -> None:
    """A graft that hangs upstream's old tip onto the new one: it only went back."""
    new = rewrite(clone)
    clone.git("fetch", "-q")
    clone.git("update-ref", "refs/remotes/origin/main", clone.git("rev-parse", "HEAD~1"))
    clone.write(".git/info/grafts", f"{clone.git('rev-parse', 'HEAD~1')} {new}\n")
    assert clone.git("merge-base", "HEAD", new) == new
    checked = clone.resync("check", "--no-fetch", "--onto", new, "--json").json
    assert checked["upstream"]["kind"] == "rewound"


@pytest.mark.state(59)
@pytest.mark.parametrize("named", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_the_environment_says_where(clone: World, named: str) -> None:
    clone.write("etc/tool.conf", CONFIG.replace("setting_9 = 9", "setting_9 = 99"))
    rewrite(clone, {"etc/tool.conf": CONFIG.replace("setting_1 = 1\n", "")})
    git_dir = clone.clone / ".git"
    at, env = clone.clone, {}
    if named == "GIT_DIR":
        env = {"GIT_DIR": str(git_dir.rename(clone.base / "elsewhere.git"))}
    elif named == "GIT_WORK_TREE":
        at = clone.clone / "dir"
        env = {"GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(clone.clone)}
    else:
        env = {"GIT_INDEX_FILE": str(shutil.copy(git_dir / "index", clone.base / "other.index"))}
    untouched = (git_dir / "index").read_bytes() if named == "GIT_INDEX_FILE" else b""
    done = clone.resync(*RUN, at=at, env=env)
    assert done.code == 0, done
    assert "setting_9 = 99" in (clone.clone / "etc/tool.conf").read_text()
    assert clone.git("status", "--porcelain", at=at, env=env) == " M etc/tool.conf"
    if untouched:
        assert (git_dir / "index").read_bytes() == untouched


@pytest.mark.state(59)
@pytest.mark.parametrize(
    "named", ["GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR"]
)
def test_the_environment_says_that_something_is_elsewhere(clone: World, named: str) -> None:
    """What a run wrote would be where git does not look, and refs would name it."""
    rewrite(clone)
    here = clone.clone / ".git" / ("" if named == "GIT_COMMON_DIR" else "objects")
    elsewhere = shutil.copytree(here, clone.base / "elsewhere")
    before = clone.state()
    done = clone.resync(*RUN, env={named: str(elsewhere)})
    assert (done.code, done.json["error"]["kind"]) == (2, "unsupported-environment"), done
    assert clone.state() == before
    assert clone.resync(*RUN, env={named: str(here)}).code == 0


@pytest.mark.state(97)
def test_the_umask_is_respected(clone: World) -> None:
    rewrite(clone, {"new/file.txt": "new\n"})
    old = os.umask(0o077)
    try:
        run(clone)
    finally:
        os.umask(old)
    assert stat.S_IMODE((clone.clone / "new" / "file.txt").stat().st_mode) == 0o600
    assert stat.S_IMODE((clone.clone / "new").stat().st_mode) == 0o700
    runs = clone.clone / ".git" / "resync" / "runs"
    assert all(not path.stat().st_mode & 0o077 for path in runs.rglob("*.json"))


@pytest.mark.state(97)
@pytest.mark.parametrize(("setting", "file", "folder"), [("group", 0o660, 0o770), ("0660", 0o660, 0o770)])
def test_a_repository_that_a_group_shares(clone: World, setting: str, file: int, folder: int) -> None:
    """What is made in the git directory is the group's too; the working tree is as the umask has it."""
    rewrite(clone, {"new.txt": "new\n"})
    clone.git("config", "core.sharedRepository", setting)
    old = os.umask(0o077)
    try:
        done = run(clone)
    finally:
        os.umask(old)
    git_dir = clone.clone / ".git"
    made = [git_dir / "resync" / "lock", *(git_dir / "resync" / "runs").rglob("*.json")]
    made += [git_dir / "refs" / "heads" / done.json["rescue"]["branch"], git_dir / "refs" / "heads" / "main"]
    for path in made:
        assert path.stat().st_mode & file == file, path
        assert path.parent.stat().st_mode & folder == folder, path.parent
        assert path.parent.stat().st_mode & stat.S_ISGID
    assert all(not path.stat().st_mode & 0o222 for path in (git_dir / "objects" / "pack").glob("*.pack"))
    assert stat.S_IMODE((clone.clone / "new.txt").stat().st_mode) == 0o600


@pytest.mark.state(100)
def test_a_disk_without_links_and_modes(clone: World) -> None:
    """core.symlinks and core.fileMode, as git sets them on such a disk, are honoured."""
    clone.git("config", "core.symlinks", "false")
    clone.git("config", "core.fileMode", "false")
    path = clone.clone / "etc" / "tool.conf"
    path.chmod(0o755)
    at = clone.base / "work"
    clone.git("reset", "-q", "--hard", "main~1", at=at)
    (at / "link").symlink_to("numbers.txt")
    (at / "program").write_text("#!/bin/sh\n")
    (at / "program").chmod(0o755)
    clone.git("add", "-A", at=at)
    clone.commit("New way", {"numbers.txt": "new\n", "etc/tool.conf": THEIRS}, at=at)
    clone.git("push", "-q", "--force", "origin", "main", at=at)
    before = state(clone)
    run(clone)
    assert not (clone.clone / "link").is_symlink()
    assert (clone.clone / "link").read_text() == "numbers.txt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("ls-files", "-s", "link", "program").split()[::4] == ["120000", "100755"]
    undone(clone, before)
