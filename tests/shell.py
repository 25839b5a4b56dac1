"""A shell on a terminal of its own, with resync and git at hand, in which a test types like a person."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import sys
from types import TracebackType

from tests.conftest import World

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SILENCE = 300
"""Seconds without a word after which a command is taken for hung: no test waits for as long."""


class Shell:
    """``with Shell(world) as shell: shell.type("git status")``, in the clone."""

    def __init__(self, world: World) -> None:
        self._ours, its = pty.openpty()
        env = {**world.env, "TERM": "dumb", "PS1": "", "PS2": "", "GIT_PAGER": "cat", "GIT_EDITOR": "true"}
        self._process = subprocess.Popen(
            ["/bin/sh"],
            cwd=world.clone,
            env=env,
            stdin=its,
            stdout=its,
            stderr=its,
            close_fds=True,
            start_new_session=True,
        )
        os.close(its)
        python = shlex.join([sys.executable, "-m", "resync"])
        self._typed = 0
        self.type(f'stty -echo; resync() {{ {python} "$@"; }}')

    def __enter__(self) -> Shell:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._ours)  # which hangs up
        self._process.wait()

    def type(self, line: str, *, code: int = 0, answers: tuple[str, ...] = ()) -> str:
        """Type a line, and each of ``answers`` at the next question; return all that is printed.

        The command has to end with the status ``code``.
        """
        self._typed += 1
        end = f"[{self._typed}:"
        self._say(f"{line}; printf '[%s:%s]\\n' {self._typed} \"$?\"")
        printed = ""
        for answer in answers:
            printed += self._until(re.compile(r"\[y/N\] $"), printed)
            self._say(answer)
        printed = self._until(re.compile(re.escape(end) + r"(\d+)\]\n$"), printed)
        before, _, status = printed.rpartition(end)
        assert int(status.rstrip("]\n")) == code, (line, printed)
        return before

    def _say(self, line: str) -> None:
        os.write(self._ours, line.encode() + b"\n")

    def _until(self, wanted: re.Pattern[str], printed: str) -> str:
        while wanted.search(printed) is None:
            ready, _, _ = select.select([self._ours], [], [], _SILENCE)
            assert ready, f"nothing more after: {printed}"
            more = os.read(self._ours, 65536).decode("utf-8", "replace").replace("\r\n", "\n")
            printed += _ESCAPES.sub("", more)
        return printed
