"""The upstream over every way that it is fetched: HTTP, git://, file://, plain and relative paths."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import rewritten
from tests.conftest import CLOCK, World, needs_git

pytestmark = needs_git

PARK = ("run", "--yes", "--dirty", "park")


def helper(name: str) -> str:
    """git's own program of that name; skips where it is not installed."""
    folder = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        pytest.skip(f"{name} is not installed")
    return path


class Backend(BaseHTTPRequestHandler):
    """Hands every request to git http-backend, as CGI (RFC 3875) has it."""

    program: str
    root: Path
    env: dict[str, str]
    asked: list[str]

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _serve(self, body: bytes) -> None:
        url = urlsplit(self.path)
        self.asked.append(self.path)
        done = subprocess.run(
            [self.program],
            input=body,
            capture_output=True,
            check=True,
            env={
                **self.env,
                "GIT_PROJECT_ROOT": str(self.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": url.path,
                "QUERY_STRING": url.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_ADDR": "127.0.0.1",
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode("ascii").split("\r\n")]
        status = next((value for name, value in headers if name == "Status"), "200")
        self.send_response(int(status[:3]))
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def over_http(world: World) -> Iterator[str]:
    handler = type(
        "Handler",
        (Backend,),
        {"program": helper("git-http-backend"), "root": world.base, "env": world.env, "asked": []},
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/up.git"
            assert any("git-upload-pack" in path for path in handler.asked)  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def over_git(world: World) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    daemon = subprocess.Popen(
        [
            helper("git-daemon"),
            "--listen=127.0.0.1",
            f"--port={port}",
            "--export-all",
            f"--base-path={world.base}",
            str(world.base),
        ],
        env=world.env,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"git://127.0.0.1:{port}/up.git"
    finally:
        daemon.terminate()
        daemon.wait()


@contextmanager
def over_file(world: World) -> Iterator[str]:
    yield world.upstream.as_uri()


@contextmanager
def over_path(world: World) -> Iterator[str]:
    yield str(world.upstream)


@contextmanager
def over_relative_path(world: World) -> Iterator[str]:
    yield "../up.git"


WAYS: dict[str, Callable[..., object]] = {
    "http": over_http,
    "git": over_git,
    "file": over_file,
    "path": over_path,
    "relative path": over_relative_path,
}


@pytest.fixture(params=WAYS)
def reached(request: pytest.FixtureRequest, rewritten_world: World) -> Iterator[World]:
    """The rewritten world with its upstream reached in each way, and no git on resync's PATH."""
    empty = rewritten_world.base / "empty"
    empty.mkdir()
    with WAYS[request.param](rewritten_world) as url:  # type: ignore[attr-defined]
        rewritten_world.git("config", "remote.origin.url", url)
        yield rewritten_world


def without_git(world: World) -> dict[str, str]:
    """The environment for resync: a PATH without git."""
    assert shutil.which("git", path=str(world.base / "empty")) is None
    return {"PATH": str(world.base / "empty")}


def test_every_state_of_upstream(reached: World) -> None:
    world, no_git = reached, without_git(reached)
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
    script = world.base / "watched.py"
    script.write_text(
        "import sys\n"
        "def watch(event, arguments):\n"
        "    if event in ('subprocess.Popen', 'os.system', 'os.exec', 'os.fork', 'os.posix_spawn'):\n"
        "        raise SystemExit(f'{event} {arguments}')\n"
        "sys.addaudithook(watch)\n"
        "from resync.cli import run_command\n"
        "sys.exit(run_command(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), *PARK],
        cwd=world.clone,
        env={**world.env, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (3, "")


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
