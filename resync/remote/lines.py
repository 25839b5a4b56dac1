"""git's protocol in lines, as dulwich speaks it, with some things more that it does not do by itself.

A server of protocol version 2 (gitprotocol-v2) says of every annotated tag what it finally names, and sends
the tags of what it sends along if it is asked to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from dulwich.client import GitClient
    from dulwich.protocol import Protocol

_PEELED = b"peeled:"
_REFUSED = b"ERR "
_INCLUDE_TAG = b"include-tag\n"


class Wish(NamedTuple):
    """What a pack is to be like: ``thin``, with deltas against what is here, and with the ``tags`` of what it
    holds."""

    thin: bool
    tags: bool


class Call(NamedTuple):
    """A connection that is open: the ``protocol`` over it, whether the other side has said something, and
    where a program in between says what went wrong (None: there is none)."""

    protocol: Protocol
    can_read: Callable[[], bool]
    stderr: IO[bytes] | None


Connect: TypeAlias = "Callable[[bytes, str | bytes, dict[bytes, bytes]], Call]"
"""Given what is to run over there (``upload-pack``), on which path, and where it is noted what tags finally
name: calls the other side."""


def client_over(connect: Connect, wish: Wish) -> GitClient:
    """dulwich's client over connections of our own, in protocol version 2."""
    from dulwich.client import TraditionalGitClient

    class Client(TraditionalGitClient):
        """git over a line of ours."""

        def __init__(self) -> None:
            super().__init__(thin_packs=wish.thin, quiet=True, include_tags=wish.tags)
            self.peeled: dict[bytes, bytes] = {}

        def _connect(
            self, cmd: bytes, path: str | bytes, protocol_version: int | None = None
        ) -> tuple[Any, Callable[[], bool], IO[bytes] | None]:
            self.protocol_version = 2
            return connect(cmd, path, self.peeled)

    return Client()


def lines(
    connection: Any, wish: Wish, peeled: dict[bytes, bytes], no_more: Callable[[], None] | None = None
) -> Protocol:
    """The protocol over a connection (its ``read``, ``write`` and ``close``).

    ``peeled`` is filled with what the other side says of its tags; ``no_more`` says that all is written.
    """
    from dulwich.errors import GitProtocolError
    from dulwich.protocol import Protocol

    class Lines(Protocol):
        """The protocol, with ears."""

        asked = not wish.tags

        def read_pkt_line(self) -> bytes | None:
            line = super().read_pkt_line()
            if line is not None and line.startswith(_REFUSED):
                raise GitProtocolError(_words(line))
            if line is not None and _PEELED in line:
                note_peeled(line, peeled)
            return line

        def write_pkt_line(self, line: bytes | None) -> None:
            # The first want of version 2 stands alone; that of the older ones names capabilities.
            if not self.asked and line is not None and line.startswith(b"want "):
                self.asked = True
                if line.count(b" ") == 1:
                    super().write_pkt_line(_INCLUDE_TAG)
            super().write_pkt_line(line)

    return Lines(connection.read, connection.write, connection.close, shutdown_write=no_more)


def note_peeled(line: bytes, peeled: dict[bytes, bytes]) -> None:
    """Note what a line of ``ls-refs`` says of a tag."""
    words = line.rstrip(b"\n").split(b" ")
    for word in words[2:]:
        if word.startswith(_PEELED):
            peeled[words[1]] = word.removeprefix(_PEELED)


def refusal(answer: bytes) -> str | None:
    """What a server says in the first line of its answer where it refuses, which dulwich takes for something
    else; None where it does not."""
    return _words(answer[4:].split(b"\n", 1)[0]) if answer[4:8] == _REFUSED else None


def _words(line: bytes) -> str:
    return line.removeprefix(_REFUSED).decode("utf-8", "replace").strip()


def with_tags(request: bytes) -> bytes:
    """A request of version 2 for a pack, which asks for tags as well; any other as it is."""
    if b"command=fetch" not in request[:32]:
        return request
    place = 0
    while (length := int(request[place : place + 4], 16)) != 1:
        if length == 0:
            return request
        place += length
    line = b"%04x%s" % (len(_INCLUDE_TAG) + 4, _INCLUDE_TAG)
    return request[: place + 4] + line + request[place + 4 :]
