"""A remote that goes on for ever, or says more than anybody can hold: it is hung up on, nothing changed."""

from __future__ import annotations

import gzip
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import pytest

from resync.errors import Busy, ResyncError, UsageError
from resync.remote import watch
from tests.conftest import World, needs_git
from tests.servers import ask, packs

pytestmark = needs_git

ONE = b"1" * 40
PROGRESS, DATA = b"\x02still at work\r", b"\x01"
SMART = "application/x-git-upload-pack-"


def line(data: bytes) -> bytes:
    return b"%04x%s" % (len(data) + 4, data)


def lines(*data: bytes) -> bytes:
    return b"".join(map(line, data)) + b"0000"


CAPABILITIES = lines(b"version 2\n", b"ls-refs\n", b"fetch=shallow\n", b"object-format=sha1\n")
REFS = lines(ONE + b" refs/heads/main\n")


@contextmanager
def talking(answers: Callable[[], Iterable[bytes]], pause: float = 0.0) -> Iterator[int]:
    """A server that says these words to everybody who says anything, one after the other; its port."""
    over = threading.Event()

    def say(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(60)
            for each in answers():
                if over.wait(pause):
                    return
                if each:
                    connection.sendall(each)
                else:
                    hear(connection)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=say, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        over.set()
        watch.hang_up(server)


def hear(connection: socket.socket) -> None:
    """A request: of HTTP with its body, which may come by itself."""
    heard = connection.recv(65536)
    if heard.startswith((b"GET", b"POST")):
        while b"\r\n\r\n" not in heard:
            heard += connection.recv(65536)
        head, _, body = heard.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        left = int(length[1]) - len(body) if length else 0
        while left:
            left -= len(connection.recv(left))


def refused(world: World, address: str) -> ResyncError:
    world.git("config", "remote.origin.url", address)
    with pytest.raises(ResyncError) as error:
        ask(world)
    assert "Nothing was changed." in error.value.message
    assert packs(world) == 0
    return error.value


def again(data: bytes) -> Iterator[bytes]:
    return itertools.repeat(data * 1000)


def numbered(form: bytes) -> Iterator[bytes]:
    return (
        b"".join(line(form % (start + each)) for each in range(1000)) for start in itertools.count(0, 1000)
    )


# What is heard of git:// after the request, an empty word standing for waiting for the next one.
FLOODS: dict[str, Callable[[], Iterable[bytes]]] = {
    "capabilities": lambda: itertools.chain([b"", line(b"version 2\n")], numbered(b"x%d=y\n")),
    "refs": lambda: itertools.chain([b"", CAPABILITIES, b""], numbered(b"%040d refs/heads/x\n")),
    "older refs": lambda: itertools.chain(
        [b"", line(ONE + b" HEAD\0ofs-delta\n")], numbered(b"%040d refs/x\n")
    ),
    "progress": lambda: itertools.chain(
        [b"", CAPABILITIES, b"", REFS, b"", line(b"packfile\n")], again(line(PROGRESS))
    ),
    "nothing": lambda: itertools.chain(
        [b"", CAPABILITIES, b"", REFS, b"", line(b"packfile\n")], again(line(DATA))
    ),
    "cuts": lambda: itertools.chain(
        [b"", CAPABILITIES, b"", REFS, b"", line(b"shallow-info\n")], numbered(b"shallow %040d")
    ),
    "acknowledgements": lambda: itertools.chain(
        [b"", lines(ONE + b" refs/heads/main\0side-band-64k multi_ack_detailed ofs-delta\n"), b""],
        again(line(b"ACK " + ONE + b" common\n")),
    ),
}


@pytest.mark.state(75)
@pytest.mark.parametrize("flood", FLOODS)
def test_more_than_anybody_can_hold(
    rewritten_world: World, monkeypatch: pytest.MonkeyPatch, flood: str
) -> None:
    monkeypatch.setattr(watch, "MOST_BESIDE", 1 << 20)
    with talking(FLOODS[flood]) as port:
        error = refused(rewritten_world, f"git://127.0.0.1:{port}/x")
    assert isinstance(error, Busy)
    assert "more than 1 MiB" in error.message


@pytest.mark.state(75)
def test_little_on_the_way_and_much_here(rewritten_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_BESIDE", 1 << 20)
    refs = lines(b"# service=git-upload-pack\n") + line(ONE + b" refs/heads/x\n") * 100_000
    with talking(
        lambda: [b"", http(SMART + "advertisement", gzip.compress(refs), "Content-Encoding: gzip")]
    ) as port:
        assert "more than 1 MiB" in refused(rewritten_world, f"http://127.0.0.1:{port}/x").message


def http(kind: str, body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    words = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*words, "", ""]).encode() + body


TRICKLES: dict[str, bytes] = {
    "git": b"fff00",
    "http": b"HTTP/1.1 100 Continue\r\n\r\n",
    # The record of a handshake that is as long as one may be, byte for byte.
    "https": b"\x16\x03\x03\x40\x00" + b"\0",
}


@pytest.mark.state(75)
@pytest.mark.parametrize("scheme", TRICKLES)
def test_a_word_now_and_then_for_ever(rewritten_world: World, scheme: str) -> None:
    """No silence is long enough for a time-out."""
    world, word = rewritten_world, TRICKLES[scheme]
    world.git("config", "resync.fetchTimeout", "1")
    pieces = [b"", word] if scheme == "http" else [b"", *(bytes([each]) for each in word)]
    with talking(lambda: itertools.chain(pieces, itertools.repeat(pieces[-1])), 0.05) as port:
        error = refused(world, f"{scheme}://127.0.0.1:{port}/x")
    assert isinstance(error, Busy)
    assert "not done after 1 seconds" in error.message


@pytest.mark.state(75)
def test_an_ssh_that_says_a_word_now_and_then(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("config", "resync.fetchTimeout", "1")
    program = world.base / "ssh"
    program.write_text("#!/bin/sh\nwhile :; do printf 0; sleep .05; done\n")
    program.chmod(0o755)
    world.git("config", "core.sshCommand", str(program))
    world.git("config", "ssh.variant", "ssh")
    assert "not done after 1 seconds" in refused(world, "ssh://example.com/x").message


def test_what_came_of_the_pack_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_BESIDE", 1 << 20)
    over = watch.Watch(60)
    for _ in range(100):
        over.heard(1 << 16)
        over.kept((1 << 16) - 5)
    with pytest.raises(TimeoutError), over.in_words():
        over.heard((1 << 20) + 1)
    with pytest.raises(TimeoutError):
        over.ends_with(time.sleep)  # type: ignore[arg-type]
    over.close()


def test_other_places_that_the_remote_names(rewritten_world: World) -> None:
    """``packfile-uris`` were not asked for: a server could have any host asked from here."""
    asked = threading.Event()

    def elsewhere() -> Iterator[bytes]:
        asked.set()
        yield b""

    with talking(elsewhere) as other:
        uri = line(b"packfile-uris\n") + line(b"https://127.0.0.1:%d/x sha1 %s\n" % (other, ONE))
        result = SMART + "result"
        words = [
            *(b"", http(SMART + "advertisement", lines(b"# service=git-upload-pack\n") + CAPABILITIES)),
            *(b"", http(result, REFS), b"", http(result, uri + line(b"packfile\n") + b"0000")),
        ]
        with talking(lambda: words) as port:
            error = refused(rewritten_world, f"http://127.0.0.1:{port}/x")
    assert "other places" in error.message
    assert not asked.is_set()


def test_a_folder_of_files_behind_http(rewritten_world: World) -> None:
    """git can read one ("dumb HTTP"); all of it would be held in memory here."""
    with talking(lambda: [b"", http("text/plain", ONE + b"\trefs/heads/main\n")]) as port:
        error = refused(rewritten_world, f"http://127.0.0.1:{port}/x")
    assert "text/plain" in error.message


def test_a_redirect_to_a_protocol_that_is_not_allowed(rewritten_world: World) -> None:
    world = rewritten_world
    words = http("text/plain", b"", "Location: https://127.0.0.1:1/x", status="302 Found")
    world.git("config", "protocol.https.allow", "never")
    with talking(lambda: [b"", words]) as port:
        error = refused(world, f"http://127.0.0.1:{port}/x")
    assert (type(error), error.kind) == (UsageError, "protocol-not-allowed")
