"""Servers on this machine that hand out a world's repositories, each bounded in time and on 127.0.0.1 only.

``over_http`` is git's http-backend behind Python's own HTTP, which may ask for a password, send on elsewhere,
or hang; ``over_git`` is ``git daemon``, ``over_ssh`` OpenSSH's sshd.
Whatever is not installed is a reason to skip. ``counted`` stands in between and counts the bytes.
"""

from __future__ import annotations

import base64
import getpass
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from resync.repository import Repository
from resync.upstream.fetch import Fetched, fetch
from resync.upstream.find import find
from tests.conftest import World

_SOON = 200  # tries, a twentieth of a second apart


def helper(name: str) -> str:
    """git's own program of that name; skips where it is not installed."""
    folder = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        pytest.skip(f"{name} is not installed")
    return path


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(_SOON):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the server did not start")


# --- HTTP ----------------------------------------------------------------------------------------------


@dataclass
class Manners:
    """How a server behaves, and what it heard: path and headers of every request.

    ``login`` is the user and password that it asks for, ``proxy_login`` those that it asks for as a proxy,
    and ``ways`` the lines in which it says how;
    ``sends_on`` where it redirects everybody to;
    ``stops_after`` how many bytes of a pack come before it goes silent (None: all come), until ``over``;
    ``trickles`` into how many pieces a pack falls, and how many seconds pass before each.
    """

    login: tuple[str, str] | None = None
    proxy_login: tuple[str, str] | None = None
    ways: tuple[str, ...] = ('Basic realm="here"',)
    sends_on: str | None = None
    trickles: tuple[int, float] | None = None
    stops_after: int | None = None
    over: threading.Event = field(default_factory=threading.Event)
    heard: list[tuple[str, dict[str, str]]] = field(default_factory=list)


class Backend(BaseHTTPRequestHandler):
    """Hands every request to git http-backend, as CGI (RFC 3875) has it."""

    protocol_version = "HTTP/1.1"
    program: str
    root: Path
    env: dict[str, str]
    manners: Manners

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self._body())

    def do_CONNECT(self) -> None:
        """As a proxy: hand on whatever comes, both ways."""
        self.manners.heard.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        if not self._may("Proxy-Authorization", self.manners.proxy_login):
            self._answer(407, [("Proxy-Authenticate", way) for way in self.manners.ways], b"who are you?")
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), 60) as far:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=hand_on, args=(far, self.connection), daemon=True)
            back.start()
            hand_on(self.connection, far)
            back.join(60)
        self.close_connection = True

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
        manners = self.manners
        manners.heard.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        if manners.sends_on is not None:
            self._answer(302, [("Location", manners.sends_on + self.path)], b"")
        elif not self._may("Proxy-Authorization", manners.proxy_login):
            self._answer(407, [("Proxy-Authenticate", way) for way in manners.ways], b"who are you?")
        elif not self._may("Authorization", manners.login):
            self._answer(401, [("WWW-Authenticate", way) for way in manners.ways], b"who are you?")
        else:
            self._answer(*self._by_git(body))

    def _may(self, header: str, login: tuple[str, str] | None) -> bool:
        if login is None:
            return True
        word = base64.b64encode(":".join(login).encode()).decode()
        return self.headers.get(header) == f"Basic {word}"

    def _by_git(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        url = urlsplit(self.path)
        done = subprocess.run(
            [self.program],
            input=body,
            capture_output=True,
            check=False,  # it may have said why in git's own protocol
            timeout=60,
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
        headers = [
            (name, value) for name, _, value in (h.partition(": ") for h in head.decode().split("\r\n"))
        ]
        status = next((value for name, value in headers if name == "Status"), "200")
        return int(status[:3]), [each for each in headers if each[0] != "Status"], content

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        stop = self.manners.stops_after
        if stop is not None and b"PACK" in content:
            at = content.index(b"PACK") + stop
            self.wfile.write(content[:at])
            self.manners.over.wait(60)
            self.close_connection = True
            return
        # Whoever gave up waiting reads no more.
        with suppress(OSError):
            pieces, pause = (b"PACK" in content and self.manners.trickles) or (1, 0)
            size = -(-len(content) // pieces) or 1
            for place in range(0, len(content), size):
                self.manners.over.wait(pause)
                self.wfile.write(content[place : place + size])

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def hand_on(here: socket.socket, there: socket.socket) -> None:
    """Send on what comes until nothing more does."""
    with suppress(OSError):
        while data := here.recv(65536):
            there.sendall(data)
        there.shutdown(socket.SHUT_WR)


@contextmanager
def serving(world: World, manners: Manners, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The world's repositories over HTTP; yields the address of the folder that they are in."""
    names = {"program": helper("git-http-backend"), "root": world.base, "env": world.env, "manners": manners}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Backend,), names))
    server.daemon_threads = True
    if tls is not None:
        # The handshake is each connection's own affair, or one that breaks off would end the server.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            manners.over.set()
            server.shutdown()
            thread.join()


@contextmanager
def over_http(world: World) -> Iterator[str]:
    manners = Manners()
    with serving(world, manners) as url:
        yield f"{url}/up.git"
    assert any("git-upload-pack" in path for path, _ in manners.heard)


@contextmanager
def over_http_with_a_password(world: World) -> Iterator[str]:
    """It is in the user's file, where git's helper looks for it."""
    manners = Manners(login=("me", "sec:ret/@"))
    with serving(world, manners) as url:
        store = Path(world.env["HOME"]) / ".git-credentials"
        store.write_text(url.replace("://", "://me:sec%3aret%2f%40@") + "\n")
        world.git("config", "--global", "credential.helper", "store")
        yield f"{url}/up.git"


@contextmanager
def over_http_sent_on(world: World) -> Iterator[str]:
    behind = Manners()
    with serving(world, behind) as there, serving(world, Manners(sends_on=there)) as here:
        yield f"{here}/up.git"
    assert any("git-upload-pack" in path for path, _ in behind.heard)


@contextmanager
def over_slow_http(world: World) -> Iterator[str]:
    manners = Manners(trickles=(7, 0.05))
    with serving(world, manners) as url:
        yield f"{url}/up.git"
    assert any("git-upload-pack" in path for path, _ in manners.heard)


@contextmanager
def over_tls(world: World, manners: Manners, *, of_clients: bool = False) -> Iterator[tuple[str, Path, Path]]:
    """As ``serving``, by TLS; yields the address, a certificate made for it, and its key.

    With ``of_clients`` it serves only those who show that certificate, too.
    """
    openssl = program("openssl")
    certificate, key = world.base / "certificate", world.base / "key"
    subprocess.run(
        [
            *f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(),
            *["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        capture_output=True,
        check=True,
        timeout=60,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if of_clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate)
    with serving(world, manners, tls=context) as url:
        yield url.replace("http:", "https:"), certificate, key


# --- git's own protocol ---------------------------------------------------------------------------------


@contextmanager
def over_git(world: World) -> Iterator[str]:
    port = free_port()
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
        wait_for(port)
        yield f"git://127.0.0.1:{port}/up.git"
    finally:
        daemon.terminate()
        daemon.wait()


@contextmanager
def over_dulwich(world: World) -> Iterator[str]:
    from dulwich.repo import Repo
    from dulwich.server import DictBackend, TCPGitServer

    with Repo(str(world.upstream)) as repo:
        server: Any = TCPGitServer(DictBackend({b"/up.git": repo}), "127.0.0.1", 0)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"git://127.0.0.1:{server.server_address[1]}/up.git"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


# --- ssh -------------------------------------------------------------------------------------------------


def program(name: str) -> str:
    """A program of the system's; skips where it is not installed."""
    found = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def over_ssh(world: World) -> Iterator[str]:
    """OpenSSH's server for the one user that runs the tests; its key is in ``core.sshCommand``."""
    sshd, ssh, keygen = program("sshd"), program("ssh"), program("ssh-keygen")
    folder = world.base / "ssh"
    folder.mkdir()
    for name in ("host", "user"):
        subprocess.run(
            [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True, timeout=60
        )
    port = free_port()
    (folder / "config").write_text(
        f"""\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AcceptEnv GIT_PROTOCOL
"""
    )
    (folder / "known").write_text(f"* {(folder / 'host.pub').read_text()}")
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # where it shuts itself in
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            [sshd, "-D", "-e", "-f", str(folder / "config")], stdin=subprocess.DEVNULL, stderr=log
        )
    try:
        wait_for(port)
        command = (
            f"{ssh} -F none -i {folder}/user -o IdentitiesOnly=yes -o UserKnownHostsFile={folder}/known"
            f" -o GlobalKnownHostsFile=none -o StrictHostKeyChecking=yes"
        )
        world.git("config", "--global", "core.sshCommand", command)
        yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}{world.upstream}"
    finally:
        server.terminate()
        server.wait()


# --- on this disk ----------------------------------------------------------------------------------------


@contextmanager
def over_file(world: World) -> Iterator[str]:
    yield world.upstream.as_uri()


@contextmanager
def over_path(world: World) -> Iterator[str]:
    yield str(world.upstream)


@contextmanager
def over_relative_path(world: World) -> Iterator[str]:
    yield "../up.git"


# --- asking ------------------------------------------------------------------------------------------------


def ask(world: World, env: Mapping[str, str] | None = None) -> Fetched:
    """What the world's clone fetches of its upstream, by ``fetch`` alone."""
    with Repository.open(str(world.clone), {**world.env, **(env or {})}) as repository:
        return fetch(repository, find(repository, repository.head(), None), lambda message: None)


def packs(world: World) -> int:
    """How many packs the world's clone has."""
    return len(list((world.clone / ".git" / "objects" / "pack").glob("*.pack")))


# --- in between --------------------------------------------------------------------------------------------


@dataclass
class Count:
    """Bytes that went through, both ways together; none of the server's after ``most`` of them, and nobody is
    told."""

    port: int
    bytes: int = 0
    most: int | None = None


@contextmanager
def counted(port: int, most: int | None = None) -> Iterator[Count]:
    """Stands before a port of this machine and hands on whatever comes, ``most`` bytes at most."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.05)
    count = Count(server.getsockname()[1], most=most)
    over = threading.Event()

    def hand_on(here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while data := here.recv(65536):
                count.bytes += len(data)
                if count.most is not None and count.bytes > count.most:
                    over.wait(60)
                    break
                there.sendall(data)
            there.shutdown(socket.SHUT_WR)

    def serve() -> None:
        while not over.is_set():
            try:
                near, _ = server.accept()
            except TimeoutError:
                continue
            near.settimeout(60)
            far = socket.create_connection(("127.0.0.1", port), 60)
            for pair in ((near, far), (far, near)):
                threading.Thread(target=hand_on, args=pair, daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield count
    finally:
        over.set()
        thread.join()
        server.close()
