"""A person at a terminal, who answers when asked."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from tests.conftest import World

# Have the terminal on standard input for the session's own (/dev/tty), and go on as resync.
_START = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "resync", *sys.argv[1:]])
"""


def typed(
    world: World, answers: dict[str, str], *arguments: str, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run resync (a check, unless ``arguments`` say otherwise) on a terminal of its own, and type each answer
    once its question stands there; status and screen."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _START, *(arguments or ("check",))],
        cwd=world.clone,
        env={**world.env, "TERM": "xterm", **(env or {})},
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    printed = b""
    with suppress(OSError):
        while select.select([ours], [], [], 30)[0] and (chunk := os.read(ours, 65536)):
            printed += chunk
            for question in [each for each in answers if each.encode() in printed]:
                os.write(ours, answers.pop(question).encode() + b"\n")
    process.kill() if answers else None
    os.close(ours)
    return process.wait(30), printed.decode()
