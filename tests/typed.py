"""A person at a terminal, who answers when asked."""

from __future__ import annotations

import os
import pty
import select
from collections.abc import Mapping
from contextlib import suppress

from tests import forked
from tests.conftest import World

_SILENCE = 300
"""Seconds without a word after which it is taken for hung: no test waits for as long."""

# Have a session of its own, and the terminal on standard input for that of the session (/dev/tty).
_PROGRAM = """
import fcntl, os, sys, termios
from resync.__main__ import main
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.exit(main())
"""


def typed(
    world: World, answers: dict[str, str], *arguments: str, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run resync (a check, unless ``arguments`` say otherwise) on a terminal of its own, and type each answer
    once its question stands there; status and screen."""
    ours, its = pty.openpty()
    environ = {**world.env, "TERM": "xterm", **(env or {})}
    process = forked.start(
        arguments or ("check",), at=world.clone, env=environ, files=(its, its, its), program=_PROGRAM
    )
    os.close(its)
    printed = b""
    with suppress(OSError):
        while select.select([ours], [], [], _SILENCE)[0] and (chunk := os.read(ours, 65536)):
            printed += chunk
            for question in [each for each in answers if each.encode() in printed]:
                os.write(ours, answers.pop(question).encode() + b"\n")
    os.close(ours)  # which hangs up
    return process.wait(), printed.decode()
