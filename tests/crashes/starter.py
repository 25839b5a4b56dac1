"""Starts resync as ``tests.forked`` does, for the sweeps, which trace it and end it at a call.

A started process waits before its first step until it is told to go on, so that a tracer can attach. It can
be ended at a call to the system (``intercept``), or where that cannot be, end itself by Python's audit hooks.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.conftest import Done
from tests.crashes.intercept import End, answer, hand_over
from tests.crashes.trace import BEGIN
from tests.forked import load_everything

KILLED = -9
"""The status of a process that SIGKILL ended."""

_TOP = Path(__file__).resolve().parents[2]


class Starter:
    """A process that everything is loaded in, and the runs that are forked from it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """``env`` is the environment of the process; each run gets one of its own."""
        self._folder = tempfile.TemporaryDirectory(prefix="started-")
        ours, self._go = os.pipe()
        os.set_inheritable(ours, True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, str(ours)],
            cwd=_TOP,
            env={**env, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[ours],
            text=True,
        )
        os.close(ours)

    def __enter__(self) -> Starter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        os.close(self._go)  # before it is waited for: one that was never told to go on must not be waited for
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()

    def run(
        self,
        arguments: Sequence[str],
        *,
        at: Path,
        env: Mapping[str, str],
        attach: Callable[[int], Any] | None = None,
        end: End | None = None,
        audit: Mapping[str, Any] | None = None,
    ) -> Done:
        """Run resync with ``arguments`` in the folder ``at``.

        ``attach`` is called with the id of the process before it takes its first step, ``end`` is how it ends
        at which call, ``audit`` what it does to itself (see ``tests.crashes.audit``). The status is negative
        for a signal.
        """
        self._ask(1, arguments, at, env, end=asdict(end) if end is not None else None, audit=audit)
        pid = self._hear()[0]
        tracer = attach(pid) if attach is not None else None
        os.write(self._go, b"!")
        code = self._hear()[0]
        if tracer is not None:
            tracer.wait()
        return self._done(0, code)

    def run_together(
        self, arguments: Sequence[str], *, at: Path, env: Mapping[str, str], pauses: Sequence[float]
    ) -> list[Done]:
        """Run resync as often as there are pauses, all of them beside each other: each begins so many seconds
        after the one before it."""
        self._ask(len(pauses), arguments, at, env, end=None, audit=None)
        self._hear()
        for pause in pauses:
            time.sleep(pause)
            os.write(self._go, b"!")
        return [self._done(number, code) for number, code in enumerate(self._hear())]

    def _ask(
        self, count: int, arguments: Sequence[str], at: Path, env: Mapping[str, str], **besides: object
    ) -> None:
        wanted = {"arguments": [*arguments], "at": str(at), "env": {**env}, "count": count, **besides}
        self._say({**wanted, "texts": self._folder.name})

    def _done(self, number: int, code: int) -> Done:
        out, err = (
            Path(name).read_bytes().decode("utf-8", "surrogateescape")
            for name in _texts(self._folder.name, number)
        )
        return Done(code=code, out=out, err=err)

    def _say(self, words: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


# --- in the process that forks ---------------------------------------------------------------------------


def _serve(go: int) -> None:
    load_everything()
    for line in sys.stdin:
        wanted = json.loads(line)
        end = End(**wanted["end"]) if wanted["end"] is not None else None
        here, there = socket.socketpair() if end is not None else (None, None)
        pids = []
        for number in range(wanted["count"]):
            pid = os.fork()
            if pid == 0:
                _become(wanted, number, go, end, there)
            pids.append(pid)
        print(json.dumps(pids), flush=True)
        if end is not None and here is not None and there is not None:
            there.close()
            codes = [answer(here, pids[0], end)]
        else:
            codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        print(json.dumps(codes), flush=True)


def _texts(folder: str, number: int) -> list[str]:
    """The files that a run's output and errors go to."""
    return [os.path.join(folder, f"{name}-{number}") for name in ("out", "err")]


def _become(
    wanted: dict[str, Any], number: int, go: int, end: End | None, calls: socket.socket | None
) -> None:
    """Turn this process into the run that is wanted, or that with this number of several."""
    from resync.__main__ import main

    code = 70
    try:
        os.chdir(wanted["at"])
        os.environ.clear()
        os.environ.update(wanted["env"])
        files = [os.open(os.devnull, os.O_RDONLY)]
        files += [
            os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            for name in _texts(wanted["texts"], number)
        ]
        for place, descriptor in enumerate(files):
            os.dup2(descriptor, place)
            os.close(descriptor)
        sys.argv = ["resync", *wanted["arguments"]]
        os.read(go, 1)
        os.close(go)
        with suppress(FileNotFoundError):
            os.rmdir(BEGIN)
        if end is not None and calls is not None:
            hand_over(end.name, calls)
            calls.close()
        if wanted["audit"] is not None:
            from tests.crashes.audit import install

            install(**wanted["audit"])
        code = main()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
