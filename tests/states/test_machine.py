"""What the machine and others on it may do to a run (numbers 74 to 94, and 99), and damaged repositories."""

from __future__ import annotations

import errno
import os
import resource
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from resync.repository.trust import network_file_system
from resync.worktree.moves import rename
from tests.conftest import World, needs_git
from tests.meanwhile import PARK, locks, meanwhile, without_backup
from tests.rewritten import publish, work
from tests.states.play import RUN, refused, rewrite, run, saved, state, undone

pytestmark = needs_git

BACK_UP = "resync.sequencer.steps:Run.back_up"
LOCK = "resync.sequencer.steps:Run.lock"
APPLY = "resync.worktree.switch:FileSwitch.apply"
PUBLISH = "resync.sequencer.trees:TreeSwitch.write_index"
REFS = "resync.repository.refs:RefTransaction.commit"
as_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root may do that")


def git(*arguments: str) -> str:
    """A line of Python that runs git in the clone; its failure is none of the run's."""
    return f"subprocess.run({['git', *arguments]!r}, capture_output=True)"


# --- the repository ----------------------------------------------------------------------------------------


@pytest.mark.state(36)
def test_a_rebases_autostash_is_pinned(clone: World) -> None:
    """Only a file of the rebase names it, and gc does not look there."""
    clone.write("etc/tool.conf", "mine\n")
    clone.commit("Conflict", {"numbers.txt": "mine\n"})
    rewrite(clone)
    clone.git("fetch", "-q")
    clone.write("etc/tool.conf", "put aside\n")
    clone.git("rebase", "-q", "--autostash", "origin/main", check=False)
    stash = (clone.clone / ".git" / "rebase-merge" / "autostash").read_text().strip()
    refused(clone, "operation-in-progress")
    clone.git("reflog", "expire", "--expire=now", "--all")
    clone.git("gc", "-q", "--prune=now")
    assert clone.git("show", f"{stash}:etc/tool.conf") == "put aside"


@pytest.mark.state(51)
def test_an_empty_object_is_noticed_and_written_anew(clone: World) -> None:
    """What a power cut leaves of an edit that was staged once; the backup can be read all the same."""
    clone.write("etc/tool.conf", "mine\n")
    rewrite(clone, {"etc/tool.conf": "theirs\n"})
    oid = clone.git("hash-object", "etc/tool.conf")
    path = clone.clone / ".git" / "objects" / oid[:2] / oid[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    done = clone.resync(*RUN)
    assert done.code == 3, done
    assert saved(clone, done, "etc/tool.conf") == b"mine\n"


@pytest.mark.state(52)
@pytest.mark.parametrize("content", ["", "\0" * 41, "garbage\n"])
def test_a_ref_without_an_id_is_reported(clone: World, content: str) -> None:
    rewrite(clone)
    (clone.clone / ".git" / "refs" / "heads" / "other").write_text(content)
    done = clone.resync(*RUN)
    assert done.code == 0, done
    assert any("refs/heads/other holds no object id" in each for each in done.json["warnings"])


@pytest.mark.state(52)
def test_the_branch_itself_without_an_id(clone: World) -> None:
    """Its reflog says where it was, and what to type."""
    rewrite(clone)
    tip = clone.git("rev-parse", "HEAD")
    (clone.clone / ".git" / "refs" / "heads" / "main").write_text("")
    done = clone.resync(*RUN)
    assert (done.code, done.json["error"]["kind"]) == (1, "damaged-ref"), done
    assert done.json["hint"].endswith(f" && git update-ref refs/heads/main {tip}")
    subprocess.run(["sh", "-c", done.json["hint"]], cwd=clone.clone, env=clone.env, check=True)
    run(clone)


@pytest.mark.state(53)
def test_a_ref_to_nothing_is_reported(clone: World) -> None:
    rewrite(clone)
    (clone.clone / ".git" / "refs" / "heads" / "other").write_text("1" * 40 + "\n")
    done = clone.resync(*RUN)
    assert done.code == 0, done
    assert any(f"refs/heads/other names {'1' * 40}" in each for each in done.json["warnings"])


@pytest.mark.state(54)
@pytest.mark.state(55)
@pytest.mark.parametrize("taken", ["rescue", "rescue/main", "rescue/main-20160419T190232Z"])
def test_names_that_are_taken(clone: World, taken: str) -> None:
    """Another name is used, and what stands there stays."""
    rewrite(clone)
    clone.git("branch", taken, "HEAD~1")
    before = clone.git("rev-parse", taken)
    done = run(clone)
    assert done.json["rescue"]["branch"] != taken
    assert clone.git("rev-parse", taken) == before


@pytest.mark.state(55)
def test_the_clock_goes_back(clone: World) -> None:
    """Runs are in the order in which they were made, and no name is given twice."""
    rewrite(clone)
    first = run(clone).json
    clone.git("reset", "-q", "--hard", "ORIG_HEAD")
    rewrite(clone, {"README": "again\n"})
    clone.env["GIT_COMMITTER_DATE"] = "1300000000 +0000"
    second = run(clone, "--redo").json
    assert first["rescue"] != second["rescue"]
    assert [each["run"] for each in clone.resync("log", "--json").json["runs"]] == [
        second["run"],
        first["run"],
    ]
    clone.env["GIT_COMMITTER_DATE"] = "1461092552 +0000"
    rewrite(clone, {"README": "and again\n"})
    assert run(clone).json["rescue"]["branch"].endswith("Z-2")


@pytest.mark.state(56)
def test_a_copy_of_a_corrupt_index_is_kept(clone: World) -> None:
    rewrite(clone)
    path = clone.clone / ".git" / "index"
    damaged = path.read_bytes()[:-1] + b"\0"
    path.write_bytes(damaged)
    done = clone.resync(*RUN)
    assert (done.code, done.json["error"]["kind"]) == (1, "corrupt-index"), done
    assert path.read_bytes() == damaged
    assert Path(done.json["hint"].rpartition(": ")[2]).read_bytes() == damaged


@pytest.mark.state(57)
def test_remotes_that_are_there_twice(clone: World) -> None:
    """Two names for one address are two remotes, and the branch says which; without that it is asked for."""
    rewrite(clone)
    clone.git("remote", "add", "twin", "../up.git")
    assert run(clone).json["upstream"]["remote"] == "origin"
    clone.git("config", "--unset", "branch.main.remote")
    done = refused(clone, "no-upstream")
    assert done.json["hint"].startswith("git branch --set-upstream-to=REMOTE/BRANCH")


# --- upstream ----------------------------------------------------------------------------------------------


@pytest.mark.state(74)
@pytest.mark.parametrize("damage", ["missing", "of another"])
def test_upstream_lacks_an_object(clone: World, damage: str) -> None:
    rewrite(clone, {"new.txt": "new\n"})
    oid = clone.git("rev-parse", "main:new.txt", at=clone.upstream)
    clone.git("repack", "-q", "-a", "-d", at=clone.upstream)
    clone.git("config", "core.looseCompression", "0", at=clone.upstream)
    pack = next((clone.upstream / "objects" / "pack").glob("*.pack"))
    data = pack.read_bytes()
    pack.unlink()
    pack.with_suffix(".idx").unlink()
    clone.git("unpack-objects", "-q", at=clone.upstream, stdin=data)
    path = clone.upstream / "objects" / oid[:2] / oid[2:]
    other = clone.git("hash-object", "-w", "--stdin", at=clone.upstream, stdin=b"other\n")
    path.unlink()
    if damage == "of another":
        path.write_bytes((clone.upstream / "objects" / other[:2] / other[2:]).read_bytes())
    before = state(clone)
    done = clone.resync(*RUN)
    assert done.code in (1, 75), done
    assert done.json["error"]["kind"] != "bug"
    assert state(clone) == before


@pytest.mark.state(75)
@pytest.mark.parametrize("answer", [b"", b"001e# service=git-upl"])
def test_a_server_that_stops_in_the_middle(clone: World, answer: bytes) -> None:
    """git's own protocol over a plain socket: it accepts, says so much, and hangs up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        connection.recv(1000)
        connection.sendall(answer)
        connection.close()

    threading.Thread(target=serve, daemon=True).start()
    clone.git("config", "remote.origin.url", f"git://127.0.0.1:{server.getsockname()[1]}/x")
    before = state(clone)
    done = clone.resync(*RUN)
    server.close()
    assert done.code == 75, done
    assert done.json["error"]["kind"] != "bug"
    assert state(clone) == before


@pytest.mark.state(76)
def test_a_redirect_to_another_host_gets_no_password(clone: World) -> None:
    """Neither that of the address nor a header that the configuration gives for the first host."""
    heard: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.server.server_address[0]
            heard.append((str(name), str(self.headers)))
            self.send_response(302 if name == "127.0.0.1" else 404)
            if name == "127.0.0.1":
                self.send_header("Location", f"http://127.0.0.2:{other.server_address[1]}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    first = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    try:
        other = ThreadingHTTPServer(("127.0.0.2", 0), Handler)
    except OSError:
        first.server_close()
        pytest.skip("there is one local address here")
    for server in (first, other):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    port = first.server_address[1]
    clone.git("config", "remote.origin.url", f"http://me:secret@127.0.0.1:{port}/x.git")
    before = state(clone)
    done = clone.resync(*RUN, env={"no_proxy": "*"})
    for server in (first, other):
        server.shutdown()
        server.server_close()
    assert done.code in (1, 75), done
    assert "secret" not in done.out + done.err
    assert state(clone) == before
    assert any(name == "127.0.0.1" for name, _ in heard)
    assert [
        headers for name, headers in heard if name == "127.0.0.2" and "authorization" in headers.lower()
    ] == []


@pytest.mark.state(77)
@pytest.mark.parametrize("date", ["253402300799 +0000", "99999999999999 +0000", "-1 +0000", "0 -9999"])
def test_dates_that_no_calendar_has(clone: World, date: str) -> None:
    tree = clone.git("rev-parse", "HEAD^{tree}")
    parent = clone.git("rev-parse", "HEAD")
    raw = f"tree {tree}\nparent {parent}\nauthor A <a@b> {date}\ncommitter A <a@b> {date}\n\nOdd date\n"
    command = ("hash-object", "-t", "commit", "--literally", "-w", "--stdin")
    clone.git("reset", "-q", "--soft", clone.git(*command, stdin=raw.encode()))
    rewrite(clone)
    for command_of_ours, code in (("check", 5), ("plan", 5), ("run", 0), ("log", 0)):
        done = clone.resync(command_of_ours, *(("--yes",) if command_of_ours == "run" else ()))
        assert done.code == code, done
    show = clone.resync("rescue", "show")
    assert (show.code, "Odd date" in show.out) == (0, True), show


@pytest.mark.state(78)
def test_upstream_moves_again_during_the_run(clone: World) -> None:
    """What was fetched is what is gone to; the next run sees the rest."""
    new = rewrite(clone)
    again = git("-C", "../work", "push", "-q", "--force", "origin", "HEAD~1:main")
    done = meanwhile(clone, "resync.rehearse:replay", again, *RUN)
    assert done.code == 0, done
    assert clone.git("rev-parse", "HEAD~1") == new == done.json["upstream"]["new_tip"]
    clone.commit("Third way", {"third.txt": "3\n"}, at=work(clone))
    publish(clone)
    assert clone.resync("check").code in (0, 5)


# --- the system --------------------------------------------------------------------------------------------


@pytest.mark.state(79)
@pytest.mark.state(81)
@pytest.mark.parametrize(("number", "nth"), [("ENOSPC", 1), ("EIO", 4), ("ENOSPC", 7), ("EIO", 10)])
def test_a_disk_that_cannot_make_durable(clone: World, number: str, nth: int) -> None:
    """A failure is a failure: it is not tried again until it seems to work, and nothing is changed."""
    clone.write("etc/tool.conf", "mine\n")
    rewrite(clone, {"etc/tool.conf": "theirs\n"})
    before = clone.state()
    failure = f"raise OSError(errno.{number}, os.strerror(errno.{number}), 'there')"
    done = meanwhile(clone, "os:fsync", failure, *RUN, nth=nth)
    assert done.code != 0, done
    assert "bug" not in done.out
    after = clone.state()
    if done.code in (1, 75):
        assert without_backup(after) == without_backup(before)
        assert clone.resync(*RUN).code == 3
    else:
        assert done.code == 4, done
        assert clone.resync("continue").code == 3
    assert locks(clone) == []


@pytest.mark.state(82)
@as_root
def test_a_disk_that_is_read_only(clone: World, tmp_path: Path) -> None:
    rewrite(clone)
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=False, capture_output=True
    ).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        subprocess.run(["cp", "-a", clone.clone, disk / "clone"], check=True)
        there = World(base=clone.base, upstream=clone.upstream, clone=disk / "clone", env=clone.env)
        there.git("config", "remote.origin.url", str(clone.upstream))
        there.git("update-index", "-q", "--refresh")
        before = state(there)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        done = there.resync(*RUN)
        assert (done.code, done.json["error"]["kind"]) == (1, "system-error"), done
        assert "Read-only file system" in done.json["error"]["message"]
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        assert state(there) == before
        assert there.resync(*RUN).code == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.state(83)
@pytest.mark.parametrize("nth", [1, 2])
def test_a_file_that_may_not_be_moved(clone: World, nth: int) -> None:
    """Immutable, or a mount point: what was changed until then goes back."""
    rewrite(clone, {"etc/tool.conf": "theirs\n"})
    before = clone.state()
    failure = "raise OSError(errno.EPERM, os.strerror(errno.EPERM), arguments[0])"
    done = meanwhile(clone, "resync.worktree.switch:rename", failure, *RUN, nth=nth)
    assert (done.code, done.json["error"]["kind"]) == (1, "system-error"), done
    assert without_backup(clone.state()) == without_backup(before)
    assert locks(clone) == []
    assert clone.resync(*RUN).code == 0


@pytest.mark.state(84)
@pytest.mark.parametrize("most", [8, 12])
def test_too_few_descriptors_are_refused_with_nothing_changed(clone: World, most: int) -> None:
    rewrite(clone)
    before = clone.state()
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # noqa: E731
    done = meanwhile(clone, "resync.cli:_caller", "pass", *RUN, before=limit)
    assert (done.code, done.json["error"]["kind"]) == (1, "system-error"), done
    assert os.strerror(errno.EMFILE) in done.json["error"]["message"]
    assert without_backup(clone.state()) == without_backup(before)
    assert clone.resync(*RUN).code == 0


@pytest.mark.state(84)
def test_no_memory(clone: World) -> None:
    rewrite(clone)
    before = clone.state()
    done = meanwhile(clone, BACK_UP, "raise MemoryError", *RUN)
    assert (done.code, done.json["error"]["kind"]) == (1, "out-of-memory"), done
    assert without_backup(clone.state()) == without_backup(before)


@pytest.mark.state(81)
@pytest.mark.parametrize(
    "asked",
    [
        ("core.fsync", "all"),
        ("core.fsync", "none"),
        ("core.fsyncObjectFiles", "true"),
        ("core.fsyncMethod", "writeout-only"),
        ("core.fsyncMethod", "batch"),
    ],
)
def test_whatever_git_is_asked_to_make_durable_all_is(clone: World, asked: tuple[str, str]) -> None:
    """core.fsync has nothing stricter than what a run does in any case; to ask for less does not help."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("nothing tells here what is open")
    clone.git("config", *asked)
    rewrite(clone, {"etc/tool.conf": "theirs\n"})
    note = (
        "old = os.fsync\n"
        "def fsync(number):\n"
        "    number = number if isinstance(number, int) else number.fileno()\n"
        "    open('../synced', 'a').write(os.readlink(f'/proc/self/fd/{number}') + chr(10))\n"
        "    return old(number)\n"
        "os.fsync = fsync"
    )
    done = meanwhile(clone, LOCK, "pass", *RUN, first=note)
    assert done.code == 0, done
    synced = (clone.base / "synced").read_text()
    git_dir = clone.clone / ".git"
    for part in (".pack", ".idx", "/plan.json.part", "/state.json.part", "/logs/refs/heads/main"):
        assert f"{part}\n" in synced, part
    # The branch, the remote-tracking branch, ORIG_HEAD, two pins at least, the index.
    assert synced.count("/proof.new\n") >= 6
    for folder in ("objects/pack", "refs/heads", f"resync/runs/{done.json['run']}"):
        assert f"{git_dir / folder}\n" in synced, folder


# --- others at work ----------------------------------------------------------------------------------------


@pytest.mark.state(88)
def test_a_holder_that_died_holds_nothing(clone: World) -> None:
    """The system drops the lock with its holder, whatever process has that number by then, and what a program
    that the holder had started does not matter."""
    rewrite(clone)
    clone.git("config", "merge.slow.driver", "sleep 30")
    child = "os.set_inheritable(2, True); subprocess.Popen(['sleep', '20'], stdin=-3, stdout=-3, stderr=-3); "
    assert meanwhile(clone, BACK_UP, child + "os._exit(9)", *RUN).code == 9
    assert clone.resync(*RUN).code == 0


@pytest.mark.state(89)
@pytest.mark.parametrize("place", [BACK_UP, APPLY, PUBLISH])
def test_git_writes_the_index_meanwhile(clone: World, place: str) -> None:
    """It cannot: the run holds its lock."""
    rewrite(clone)
    clone.write("theirs.txt", "added meanwhile\n")
    done = meanwhile(clone, place, git("add", "theirs.txt"), *RUN)
    assert done.code == 0, done
    assert clone.git("status", "--porcelain") == "?? theirs.txt"


@pytest.mark.state(89)
@pytest.mark.state(91)
@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (("add", "theirs.txt"), "changed-meanwhile"),
        (("commit", "-q", "--allow-empty", "-m", "Meanwhile"), "ref-moved"),
        (("checkout", "-q", "-b", "other"), "ref-moved"),
    ],
)
def test_git_before_the_locks_are_taken(clone: World, command: tuple[str, ...], kind: str) -> None:
    """Then the plan is for something else, and nothing is done."""
    rewrite(clone)
    clone.write("theirs.txt", "added meanwhile\n")
    done = meanwhile(clone, LOCK, git(*command), *RUN)
    assert (done.code, done.json["error"]["kind"]) == (1, kind), done
    assert locks(clone) == []
    assert clone.git("log", "-1", "--format=%s") == ("Meanwhile" if "commit" in command else "Ship a plugin")
    assert (clone.clone / "plugin.txt").read_text() == "my plugin\n"


@pytest.mark.state(91)
@pytest.mark.parametrize("place", [BACK_UP, APPLY, PUBLISH])
def test_a_commit_meanwhile(clone: World, place: str) -> None:
    """It is refused by the locks; nobody commits upstream's difference onto the old tip."""
    new = rewrite(clone, {"etc/tool.conf": "theirs\n"})
    done = meanwhile(clone, place, git("commit", "-q", "-a", "--allow-empty", "-m", "Meanwhile"), *RUN)
    assert done.code == 0, done
    assert clone.git("rev-parse", "HEAD~1") == new
    assert "Meanwhile" not in clone.git("log", "--all", "--format=%s")


@pytest.mark.state(90)
@pytest.mark.parametrize(("place", "nth"), [(REFS, 1), (REFS, 2), (APPLY, 1), (PUBLISH, 1)])
def test_gc_meanwhile(clone: World, place: str, nth: int) -> None:
    """Also between the moment in which the objects are written and that in which a ref reaches them."""
    clone.write("etc/tool.conf", "mine\n")
    rewrite(clone, {"etc/tool.conf": "theirs\n"})
    clone.git("fetch", "-q")
    before = state(clone)
    done = meanwhile(clone, place, git("gc", "-q", "--prune=now"), *RUN, "--no-fetch", nth=nth)
    assert done.code == 3, done
    assert saved(clone, done, "etc/tool.conf") == b"mine\n"
    assert clone.git("fsck", "--strict", "--no-dangling") == ""
    clone.git("gc", "-q", "--prune=now")
    assert list((clone.clone / ".git" / "objects" / "pack").glob("*.keep")) == []
    undone(clone, before)


@pytest.mark.state(94)
def test_a_network_file_system_is_warned_about(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    place = str(tmp_path.resolve()).replace(" ", "\\040")
    mounts.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"30 22 0:40 / {place}/srv rw shared:1 - nfs4 host:/srv rw\n"
        f"31 30 0:41 / {place}/srv/local\\040disk rw - xfs /dev/sdb rw\n"
        "not a line\n"
    )
    found = {
        name: network_file_system(str(tmp_path / name), str(mounts))
        for name in ("", "srv", "srv/clone/.git", "srv/local disk/clone", "srv2")
    }
    assert found == {
        "": None,
        "srv": "nfs4",
        "srv/clone/.git": "nfs4",
        "srv/local disk/clone": None,
        "srv2": None,
    }
    assert network_file_system(str(tmp_path), str(tmp_path / "none")) is None


@pytest.mark.state(94)
def test_the_warning_is_given(clone: World) -> None:
    rewrite(clone)
    first = "import resync.commands.moving as m; m.network_file_system = lambda folder: 'nfs4'"
    done = meanwhile(clone, LOCK, "pass", *RUN, first=first)
    assert done.code == 0, done
    assert any("network file system (nfs4)" in each for each in done.json["warnings"])


@pytest.mark.state(99)
def test_a_file_that_is_held_open_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By simulation: it is waited for, and where that does not help nothing is deleted and it is said."""
    whole, calls, slept = os.rename, [], []
    monkeypatch.setattr("time.sleep", slept.append)

    def held(source: bytes, target: bytes, free_after: int) -> None:
        calls.append(source)
        if len(calls) <= free_after:
            error = PermissionError(13, "The process cannot access the file")
            error.winerror = 32  # type: ignore[attr-defined]
            raise error
        whole(source, target)

    (tmp_path / "a").write_text("bytes")
    source, target = os.fsencode(tmp_path / "a"), os.fsencode(tmp_path / "b")
    monkeypatch.setattr(os, "rename", lambda *names: held(*names, free_after=3))
    rename(source, target)
    assert (len(calls), (tmp_path / "b").read_text(), len(slept)) == (4, "bytes", 3)
    calls.clear()
    monkeypatch.setattr(os, "rename", lambda *names: held(*names, free_after=99))
    with pytest.raises(PermissionError):
        rename(target, source)
    assert (len(calls), (tmp_path / "b").read_text()) == (6, "bytes")


@pytest.mark.state(99)
def test_a_run_over_a_file_that_stays_open(clone: World) -> None:
    """It goes back as it came: nothing deleted, nothing half-way, and the file is named."""
    rewrite(clone, {"etc/tool.conf": "theirs\n"})
    before = clone.state()
    failure = (
        "error = PermissionError(13, 'The process cannot access the file', 'etc/tool.conf');"
        " error.winerror = 32; raise error"
    )
    first = (
        "import time; time.sleep = lambda seconds: None; import resync.worktree.moves as m; m._PATIENCE = ()"
    )
    done = meanwhile(clone, "resync.worktree.switch:rename", failure, *PARK, "--json", first=first)
    assert (done.code, done.json["error"]["kind"]) == (1, "system-error"), done
    assert "etc/tool.conf" in done.json["error"]["message"]
    assert without_backup(clone.state()) == without_backup(before)
