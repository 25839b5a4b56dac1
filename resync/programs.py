"""Programs that the user's own git configuration names, started as git starts them: by a shell.

Nothing else in resync starts a program, and nothing that a repository contains says which one: a command
comes from git's configuration, which only its owner writes. A program gets no input that it could wait for,
no terminal to ask on, and only so much time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

# Of what a program says on its standard error, the end is kept (bytes, lines): there it says why it gave up.
_KEPT = 4096
_LINES = 3

# How long to wait (seconds) for the standard error of a program that has ended: another that it left running
# in the background may never close it.
_LAST_WORDS = 1.0

_WITHOUT_WINDOW = (
    0x0800_0000 | 0x0200
)  # CREATE_NO_WINDOW, CREATE_NEW_PROCESS_GROUP: Python names them on Windows


class ProgramFailed(Exception):
    """A program could not be started, was killed, or took too long; the message is the end of a sentence."""


class ProgramTooSlow(ProgramFailed):
    """It was still at work when its time was over, and was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A program that came to its own end: its exit status, and the last lines of its standard error."""

    status: int
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Where and how programs run: in ``folder``, with the environment ``env``, for ``timeout`` seconds."""

    folder: str
    env: Mapping[str, str]
    timeout: float

    def run(self, command: bytes) -> Ended:
        """Run a shell command to its end, without input; what it prints on standard output goes nowhere.

        Raises ``ProgramFailed``, or after a time-out ``ProgramTooSlow``; what it started is killed with it.
        """
        import subprocess

        process = self._start(command)
        assert process.stderr is not None
        ear = _Ear(process.stderr)
        try:
            status = process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise ProgramTooSlow(
                f"was not done after {self.timeout:g} seconds{because(ear.said())}"
            ) from None
        except BaseException:
            _kill(process)
            raise
        if status < 0:
            raise ProgramFailed(f"was killed by signal {-status}{because(ear.said())}")
        return Ended(status=status, said=ear.said())

    def _start(self, command: bytes) -> subprocess.Popen[bytes]:
        import subprocess

        try:
            return subprocess.Popen(
                [self._shell(), "-c", os.fsdecode(command)],
                cwd=self.folder,
                env={**self.env, "GIT_TERMINAL_PROMPT": "0"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                # Of a session of its own it has no terminal, and can be killed with all that it started.
                start_new_session=os.name != "nt",
                creationflags=_WITHOUT_WINDOW if os.name == "nt" else 0,
            )
        except (OSError, ValueError) as error:
            raise ProgramFailed(f"could not be started ({error})") from None

    def _shell(self) -> str:
        """The shell that runs git's commands: ``sh``; on Windows the one that git for Windows brings."""
        if os.name != "nt":
            return "sh"
        import shutil

        found = shutil.which("sh", path=self.env.get("PATH"))
        for name in ("ProgramW6432", "ProgramFiles", "ProgramFiles(x86)", "LocalAppData"):
            folder = self.env.get(name)
            if found is None and folder:
                below = ("Programs", "Git") if name == "LocalAppData" else ("Git",)
                found = shutil.which("sh", path=os.path.join(folder, *below, "bin"))
        if found is None:
            raise ProgramFailed("needs a shell, and there is no sh here (git for Windows has one)")
        return found


class _Ear:
    """Listens to a program's standard error until it is closed, and keeps the end of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), 65536):
                self._kept = (self._kept + chunk)[-_KEPT:]

    def said(self) -> str:
        """The last lines of it, once the program has ended."""
        self._thread.join(_LAST_WORDS)
        lines = [line.strip() for line in self._kept.decode("utf-8", "replace").splitlines()]
        return " / ".join([line for line in lines if line][-_LINES:])


def _kill(process: subprocess.Popen[bytes]) -> None:
    if os.name == "nt":
        process.kill()
    else:
        import signal

        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def because(said: str) -> str:
    """What a program said as the end of a sentence about it."""
    return f": {said}" if said else ""


def quoted(argument: bytes) -> bytes:
    """An argument in the quotes that git puts around it; always, because a command may rely on them."""
    return b"'" + argument.replace(b"'", b"'\\''").replace(b"!", b"'\\!'") + b"'"
