"""The upstream over every way that it is fetched: HTTP, git://, ssh, file://, plain and relative paths."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import pytest

from resync.model import RefName
from tests import rewritten, servers
from tests.conftest import CLOCK, World, needs_git
from tests.servers import ask, packs

pytestmark = needs_git

PARK = ("run", "--yes", "--dirty", "park")


WAYS: dict[str, Callable[[World], AbstractContextManager[str]]] = {
    "http": servers.over_http,
    "http with a password": servers.over_http_with_a_password,
    "http that sends on": servers.over_http_sent_on,
    "slow http": servers.over_slow_http,
    "git": servers.over_git,
    "dulwich": servers.over_dulwich,
    "ssh": servers.over_ssh,
    "file": servers.over_file,
    "path": servers.over_path,
    "relative path": servers.over_relative_path,
}


def without_git(world: World) -> dict[str, str]:
    """The environment for resync: a PATH without git, but with the shell that starts programs."""
    folder = world.base / "programs"
    folder.mkdir(exist_ok=True)
    with suppress(FileExistsError):
        os.symlink(servers.program("sh"), folder / "sh")
    assert shutil.which("git", path=str(folder)) is None
    return {"PATH": str(folder)}


@pytest.mark.parametrize("way", WAYS)
def test_every_way(rewritten_world: World, way: str) -> None:
    """What the remote says is known, and all of its objects are here, which are not asked for twice."""
    world = rewritten_world
    with WAYS[way](world) as url:
        world.git("config", "remote.origin.url", url)
        env = without_git(world)
        before = packs(world)
        tip = world.git("rev-parse", "main", at=world.upstream).encode()
        assert ask(world, env).tip == tip
        assert packs(world) == before + 1
        world.git("rev-list", "--objects", tip)

        assert (ask(world, env).tip, packs(world)) == (tip, before + 1)

        world.git("branch", "-q", "-m", "main", "elsewhere", at=world.upstream)
        gone = ask(world, env)
        assert (gone.tip, gone.refs[RefName(b"refs/heads/elsewhere")]) == (None, tip)
        assert packs(world) == before + 1

        at = rewritten.work(world)
        world.git("tag", "-a", "-m", "The end", "main-early-demise", tip, at=at)
        world.git("reset", "-q", "--hard", "main~2", at=at)
        new = world.commit("Begin again", {"again.txt": "again\n"}, at=at)
        world.git("push", "-q", "origin", "main", "main-early-demise", at=at)
        again = ask(world, env)
        assert again.tip == new.encode()
        assert list(again.announcements) == [b"refs/tags/main-early-demise"]
        world.git("rev-list", "--objects", new, again.announcements[RefName(b"refs/tags/main-early-demise")])
    assert world.git("fsck", "--strict", "--no-dangling") == ""


def test_a_whole_story(rewritten_world: World) -> None:
    """Rewritten, nothing new, deleted, recreated: by whole runs, with no git on the PATH."""
    with servers.over_http(rewritten_world) as url:
        rewritten_world.git("config", "remote.origin.url", url)
        _whole_story(rewritten_world)


def _whole_story(world: World) -> None:
    no_git = without_git(world)
    deep = world.clone / "etc"
    old_tracking = world.git("rev-parse", "origin/main")
    tip = world.git("rev-parse", "main", at=world.upstream)

    # Rewritten; asked from a folder below the top, because a relative address counts from the top.
    checked = world.resync("check", "--json", env=no_git, at=deep)
    assert (checked.code, checked.json["upstream"]["kind"]) == (5, "rewritten")
    assert checked.json["upstream"]["new_tip"] == tip
    assert world.git("rev-parse", "origin/main") == old_tracking
    planned = world.resync("plan", "--json", env=no_git).json
    done = world.resync(*PARK, "--json", env=no_git)
    assert done.code == 3, (done.out, done.err)
    assert done.json["commits"] == planned["commits"]
    assert world.git("rev-parse", "HEAD") == planned["branches"][0]["new_tip"]
    assert world.git("rev-parse", "origin/main") == tip
    assert world.git("fsck", "--strict", "--no-dangling") == ""

    # Nothing new.
    again = world.resync(*PARK, "--json", env=no_git)
    assert (again.code, again.json["upstream"]["kind"]) == (3, "up-to-date")

    # Deleted, as on the day between.
    before = world.state()
    world.git("branch", "-q", "-m", "main", "elsewhere", at=world.upstream)
    gone = world.resync(*PARK, "--json", env=no_git)
    assert (gone.code, gone.json["error"]["kind"]) == (1, "upstream-deleted")
    assert world.state() == before

    # Recreated from elsewhere, with an announcing tag for the old end.
    at = rewritten.work(world)
    world.git("tag", "main-early-demise", tip, at=at)
    world.git("reset", "-q", "--hard", "main~2", at=at)
    new = world.commit("Begin again", {"again.txt": "again\n"}, at=at)
    world.git("push", "-q", "origin", "main", "main-early-demise", at=at)
    later = {**no_git, "GIT_COMMITTER_DATE": f"{CLOCK + 60} +0000"}
    last = world.resync(*PARK, "--json", env=later)
    assert last.code == 3, (last.out, last.err)
    assert last.json["upstream"]["kind"] == "rewritten"
    assert last.json["upstream"]["new_tip"] == new
    assert world.git("merge-base", "HEAD", "origin/main") == new
    assert world.git("rev-parse", "main-early-demise") == tip
    assert world.git("fsck", "--strict", "--no-dangling") == ""
    assert "Ship a plugin" in world.git("log", "--format=%s")


def test_first_contact_of_a_clone_made_without_tags(rewritten_world: World) -> None:
    """The announcing tag is seen as the remote advertises it, whatever the clone keeps."""
    world = rewritten_world
    at = rewritten.work(world)
    old = world.git("rev-parse", "origin/main")
    world.git("push", "-q", "origin", f"{old}:refs/tags/main-early-demise", at=at)
    world.git("config", "remote.origin.tagOpt", "--no-tags")
    shutil.rmtree(world.clone / ".git" / "logs")
    world.git("fetch", "-q")
    shutil.rmtree(world.clone / ".git" / "logs")
    checked = world.resync("check", "--json")
    assert (checked.code, checked.json["upstream"]["kind"]) == (5, "rewritten")
    assert [(each["kind"], each["oid"]) for each in checked.json["upstream"]["evidence"]] == [
        ("announcement-tag", old)
    ]
    assert world.resync(*PARK).code == 3
    assert world.git("tag") == ""


def test_no_program_is_started(rewritten_world: World) -> None:
    """Not git, and nothing else: Python itself reports every start of a process."""
    world = rewritten_world
    program = (
        "import sys\n"
        "def watch(event, arguments):\n"
        "    if event in ('subprocess.Popen', 'os.system', 'os.exec', 'os.fork', 'os.posix_spawn'):\n"
        "        raise SystemExit(f'{event} {arguments}')\n"
        "sys.addaudithook(watch)\n"
        "from resync.cli import run_command\n"
        "sys.exit(run_command(sys.argv[1:]))\n"
    )
    done = world.python(program, *PARK)
    assert (done.code, done.err) == (3, "")


@contextmanager
def advertising(tip: str, names: list[bytes]) -> Iterator[str]:
    """A server that has ``tip`` under all of ``names`` and no manners; the address of its repository."""

    def packet(line: bytes) -> bytes:
        return b"%04x" % (len(line) + 4) + line

    lines = [tip.encode() + b" " + name for name in (b"HEAD\0ofs-delta side-band-64k", *names)]
    answer = b"".join(packet(line + b"\n") for line in lines) + b"0000"

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)
            while connection.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        yield f"git://127.0.0.1:{server.getsockname()[1]}/up.git"
        thread.join()


@pytest.mark.state(73)
def test_names_that_lead_out_of_the_repository(rewritten_world: World) -> None:
    """A remote may advertise anything; what git takes for no ref's name is nobody's file."""
    world = rewritten_world
    tip = world.git("rev-parse", "main", at=world.upstream)
    world.git("fetch", "-q")
    hostile = [b"../../../outside", b"../../config", b"../../HEAD", b"a..b", b"x.lock", b".hidden", b"a//b"]
    with advertising(
        tip, [b"refs/heads/main", *(b"refs/tags/" + name for name in (*hostile, b"good"))]
    ) as url:
        world.git("config", "remote.origin.url", url)
        config = (world.clone / ".git" / "config").read_bytes()
        done = world.resync(*PARK, "--json")
    assert done.code == 3, (done.out, done.err)
    assert not (world.clone / ".." / "outside").exists()
    assert (world.clone / ".git" / "config").read_bytes() == config
    assert (world.clone / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert world.git("for-each-ref", "--format=%(refname)", "refs/tags") == "refs/tags/good"
    assert world.git("fsck", "--strict", "--no-dangling") == ""
