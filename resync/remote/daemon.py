"""git:// with time-outs, and through the program that ``core.gitProxy`` names (git-config(1))."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from resync.errors import UsageError
from resync.programs import ProgramFailed, Programs
from resync.remote.address import DEFAULT_PORTS, Address
from resync.remote.lines import Call, Wish, client_over, lines
from resync.remote.settings import Patience
from resync.remote.ssh import Line
from resync.remote.watch import Watch

if TYPE_CHECKING:
    from dulwich.client import GitClient
    from dulwich.config import StackedConfig


class Wire:
    """A connection to a daemon, as dulwich takes one."""

    def __init__(self, address: Address, patience: Patience, watch: Watch) -> None:
        place = address.host, address.port or DEFAULT_PORTS["git"]
        self._watch = watch
        self._socket = socket.create_connection(place, patience.connect)
        self._watched = ExitStack()
        self._watched.enter_context(watch.over(self._socket))
        self._socket.settimeout(patience.idle)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._unsaid = bytearray()

    def read(self, size: int) -> bytes:
        self._say()
        data = self._file.read(size)
        self._watch.heard(len(data))
        return data

    def write(self, data: bytes) -> int:
        self._unsaid += data
        return len(data)

    def _say(self) -> None:
        """Say what was written: many small lines at once."""
        if self._unsaid:
            self._socket.sendall(self._unsaid)
            self._unsaid.clear()

    stderr = None

    def can_read(self) -> bool:
        """See ``Line.can_read``."""
        return False

    def close(self) -> None:
        with suppress(OSError):
            self._say()
        self._watched.close()
        self._file.close()
        self._socket.close()

    def no_more(self) -> None:
        """Say that nothing more will be written."""
        with suppress(OSError):
            self._say()
            self._socket.shutdown(socket.SHUT_WR)


def git_proxy(config: StackedConfig, env: Mapping[str, str], address: Address) -> str | None:
    """The program that ``GIT_PROXY_COMMAND`` or ``core.gitProxy`` names for an address; None: none.

    ``PROGRAM for DOMAIN`` is for that host and those below it, and the first setting that fits counts, the
    system's before the user's. A port in the address is part of the host's name there, as with git.
    """
    given = env.get("GIT_PROXY_COMMAND")
    if given is not None:
        return given or None
    host = address.place
    for backend in reversed(config.backends):
        for name, value in backend.items((b"core",)):
            program, found, domain = value.decode("utf-8", "surrogateescape").partition(" for ")
            if name.lower() == b"gitproxy" and (not found or host == domain or host.endswith("." + domain)):
                return program if program not in ("none", "") else None
    return None


def daemon_client(
    address: Address, proxy: str | None, programs: Programs, patience: Patience, wish: Wish, watch: Watch
) -> GitClient:
    """dulwich's client for git://, over our connection or (``proxy``) a program in its place."""

    def connect(command: bytes, path: str | bytes, peeled: dict[bytes, bytes]) -> Call:
        line = (
            Wire(address, patience, watch) if proxy is None else _by_program(proxy, address, programs, watch)
        )
        protocol = lines(line, wish, peeled, line.no_more)
        where = path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
        # A version other than the oldest stands behind two NULs: old daemons stop reading at the first.
        host = b"host=" + address.place.encode("ascii") + b"\0\0version=2\0"
        protocol.send_cmd(b"git-" + command, where, host)
        return Call(protocol, line.can_read, line.stderr)

    return client_over(connect, wish)


def _by_program(program: str, address: Address, programs: Programs, watch: Watch) -> Line:
    """git starts it without a shell."""
    try:
        talk = programs.talk([program, address.host, str(address.port or DEFAULT_PORTS["git"])])
        return Line(talk, watch)
    except ProgramFailed as failed:
        raise UsageError(
            "no-proxy-command",
            f"The program of core.gitProxy, {program}, {failed}. Nothing was changed.",
            "git config --show-origin --get-all core.gitProxy",
        ) from None
