"""Programs that the user's own git configuration names, started as git starts them: by a shell.

Nothing else in resync starts a program, and nothing that a repository contains says which one: a command
comes from git's configuration, which only its owner writes. A program gets no input but what it is given,
no terminal to ask on (unless its user is there and it is one that asks, as ssh does), and only so much time.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue, SimpleQueue
from threading import Thread
from time import monotonic
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

# Of what a program says on its standard error, the end is kept (bytes, lines): there it says why it gave up.
_KEPT = 4096
_LINES = 3

# How long to wait (seconds) for the standard error of a program that has ended: another that it left running
# in the background may never close it.
_LAST_WORDS = 1.0

# How often (seconds) somebody is told that a program is at work.
_TELL_EVERY = 0.5

# How long (seconds) a program that is told that there is nothing more to do may take to end.
_GOODBYE = 10.0

_CHUNK = 65536
_CHUNKS_AHEAD = 64

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
class Piped(Ended):
    """A program that came to its own end, and what it printed on its standard output."""

    output: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Where and how programs run: in ``folder``, with the environment ``env``, for ``timeout`` seconds.

    With ``terminal`` they keep the terminal, so that they can ask who sits there. ``waiting`` is told
    again and again for how many seconds one that is spoken with has been waited for.
    """

    folder: str
    env: Mapping[str, str]
    timeout: float
    terminal: bool = False
    waiting: Callable[[float], None] | None = None

    def run(self, command: bytes, data: bytes | None = None) -> Ended:
        """Run a shell command to its end, without input or with ``data`` to read, of which it need not read
        all; what it prints on standard output goes nowhere, and what it leaves at work is not waited for.

        Raises ``ProgramFailed``, or after a time-out ``ProgramTooSlow``; what it started is killed with it.
        """
        import subprocess

        process = self._start(command, subprocess.DEVNULL if data is None else subprocess.PIPE)
        assert process.stderr is not None
        ear = _Ear(process.stderr)
        if process.stdin is not None:
            Thread(target=_feed, args=(process.stdin, data), daemon=True).start()
        try:
            status = process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise _too_slow(self.timeout, ear.said()) from None
        except BaseException:
            _kill(process)
            raise
        return _ended(status, ear.said())

    def pipe(self, command: bytes, data: bytes, limit: int) -> Piped:
        """Run a shell command to its end with ``data`` to read; it need not read all of it.

        Raises as ``run`` does, and ``ProgramFailed`` where it prints more than ``limit`` bytes.
        """
        talk = self.talk(command)
        try:
            talk.say(data)
            talk.hang_up()
            output = talk.hear_all(limit)
            ended = talk.ended()
        except BaseException:
            talk.kill()
            raise
        return Piped(status=ended.status, said=ended.said, output=output)

    def talk(self, command: bytes | Sequence[str]) -> Talk:
        """Start a shell command, or a program with its arguments, that is spoken with.

        Raises ``ProgramFailed`` where it cannot be started.
        """
        import subprocess

        return Talk(self._start(command, subprocess.PIPE, subprocess.PIPE), self.timeout, self.waiting)

    def _start(
        self, command: bytes | Sequence[str], stdin: int, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start it, with these for its standard input and output; None: what it prints goes nowhere."""
        import subprocess

        try:
            return subprocess.Popen(
                [self._shell(), "-c", os.fsdecode(command)] if isinstance(command, bytes) else command,
                cwd=self.folder,
                env=self.env if self.terminal else {**self.env, "GIT_TERMINAL_PROMPT": "0"},
                stdin=stdin,
                stdout=subprocess.DEVNULL if stdout is None else stdout,
                stderr=subprocess.PIPE,
                # Of a session of its own it has no terminal, and can be killed with all that it started.
                start_new_session=os.name != "nt" and not self.terminal,
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


class Talk:
    """A program at work that is written to and read from. Say ``kill`` or ``end`` when done with it.

    Whoever speaks waits for nothing, and an answer is waited for until its time is over, counted from what
    was said last: so neither side can hold the other up, in whatever order they speak.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], timeout: float, waiting: Callable[[float], None] | None = None
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._timeout = timeout
        self._waiting = waiting
        self._until = monotonic() + timeout
        self._ear = _Ear(process.stderr)
        self._to_say: SimpleQueue[bytes | None] = SimpleQueue()
        self._heard: Queue[bytes] = Queue(_CHUNKS_AHEAD)
        self._rest = b""
        self._silent = False
        self._over = False
        Thread(target=self._speak, args=(process.stdin,), daemon=True).start()
        Thread(target=self._listen, args=(process.stdout,), daemon=True).start()

    def say(self, data: bytes) -> None:
        """Write to it; from now on it has time to answer."""
        self._until = monotonic() + self._timeout
        self._to_say.put(data)

    def hang_up(self) -> None:
        """Close its input, once all is written."""
        self._to_say.put(None)

    def hear(self, size: int) -> bytes:
        """Read exactly ``size`` bytes; raises ``ProgramFailed`` where it stops before, or is too slow."""
        parts = []
        while size:
            chunk = self._rest or self._chunk()
            if not chunk:
                raise ProgramFailed(f"ended in the middle of its work{because(self._ear.said())}")
            parts.append(chunk[:size])
            self._rest = chunk[size:]
            size -= len(parts[-1])
        return b"".join(parts)

    def hear_all(self, limit: int) -> bytes:
        """Read to the end; raises ``ProgramFailed`` for more than ``limit`` bytes, or if it is too slow."""
        parts, size = [], 0
        while chunk := self._chunk():
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                raise too_much(limit)
        return b"".join(parts)

    def output(self) -> IO[bytes]:
        """What it prints, as a file to read; it may be silent for its time between any two bytes, and reading
        raises ``TimeoutError`` where it is for longer."""
        return io.BufferedReader(_Output(self._next), _CHUNK)

    def _next(self) -> bytes:
        """The next of what it prints, empty at the end of it."""
        self._until = monotonic() + self._timeout
        chunk, self._rest = self._rest or self._chunk(), b""
        return chunk

    def said(self) -> str:
        """The last lines of its standard error, once it has ended."""
        return self._ear.said()

    def ended(self) -> Ended:
        """How it ended, which is waited for; raises ``ProgramFailed`` for a signal, or if it is too slow."""
        import subprocess

        try:
            status = self._process.wait(max(0.0, self._until - monotonic()))
        except subprocess.TimeoutExpired:
            raise _too_slow(self._timeout, self._ear.said()) from None
        return _ended(status, self._ear.said())

    def end(self) -> None:
        """Close its input and wait until it has ended, which it is made to if it does not."""
        self.hang_up()
        self._until = monotonic() + _GOODBYE
        try:
            with suppress(ProgramFailed):
                self.ended()
        finally:
            self.kill()

    def kill(self) -> None:
        """End it, with all that it started; nothing if it has ended."""
        self._over = True
        # Before its input ends: it would take that for a friendly end, and go on for a while.
        if self._process.poll() is None:
            _kill(self._process)
        self.hang_up()
        with suppress(Empty):
            while True:
                self._heard.get_nowait()

    def _chunk(self) -> bytes:
        if self._silent:
            return b""
        while True:
            left = max(0.0, self._until - monotonic())
            try:
                chunk = self._heard.get(timeout=left if self._waiting is None else min(left, _TELL_EVERY))
            except Empty:
                if self._waiting is None or left <= _TELL_EVERY:
                    raise _too_slow(self._timeout, self._ear.said()) from None
                self._waiting(self._timeout - left)
                continue
            self._silent = not chunk
            return chunk

    def _speak(self, stream: IO[bytes]) -> None:
        # One that does not want to read to the end may close its input.
        with suppress(OSError), stream:
            while (data := self._to_say.get()) is not None:
                stream.write(data)
                stream.flush()

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            while not self._over and (chunk := os.read(stream.fileno(), _CHUNK)):
                self._heard.put(chunk)
        self._heard.put(b"")


class _Output(io.RawIOBase):
    """What a program prints, as a file without a buffer."""

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more = more
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, into: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            chunk = self._rest or self._more()
        except ProgramTooSlow as error:
            raise TimeoutError(f"the program {error}") from None
        size = min(len(into), len(chunk))
        into[:size], self._rest = chunk[:size], chunk[size:]
        return size


class _Ear:
    """Listens to a program's standard error until it is closed, and keeps the end of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), _CHUNK):
                self._kept = (self._kept + chunk)[-_KEPT:]

    def said(self) -> str:
        """The last lines of it, once the program has ended."""
        self._thread.join(_LAST_WORDS)
        lines = [line.strip() for line in self._kept.decode("utf-8", "replace").splitlines()]
        return " / ".join([line for line in lines if line][-_LINES:])


def _feed(stream: IO[bytes], data: bytes | None) -> None:
    with suppress(OSError), stream:
        stream.write(data or b"")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if os.name == "nt":
        process.kill()
    else:
        import signal

        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    process.wait()


def _ended(status: int, said: str) -> Ended:
    if status < 0:
        raise ProgramFailed(f"was killed by signal {-status}{because(said)}")
    return Ended(status=status, said=said)


def _too_slow(timeout: float, said: str) -> ProgramTooSlow:
    return ProgramTooSlow(f"was not done after {timeout:g} seconds{because(said)}")


def too_much(limit: int) -> ProgramFailed:
    """The failure of a program that gives more than ``limit`` bytes."""
    return ProgramFailed(f"gave more than {limit >> 20} MiB")


def because(said: str) -> str:
    """What a program said as the end of a sentence about it."""
    return f": {said}" if said else ""


def quoted(argument: bytes) -> bytes:
    """An argument in the quotes that git puts around it; always, because a command may rely on them."""
    return b"'" + argument.replace(b"'", b"'\\''").replace(b"!", b"'\\!'") + b"'"
