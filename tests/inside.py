"""resync called in this process: as a process of its own gives the same answer, for less time."""

from __future__ import annotations

import io
import os
import signal
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from resync.cli import run_command
from tests.conftest import Done, World

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP"))


def inside(world: World, *arguments: str, at: Path | None = None, back: Path | None = None) -> Done:
    """Run resync in the clone (or ``at``), without a terminal, and go ``back`` to where we were."""
    out, err, here = io.StringIO(), io.StringIO(), back or os.getcwd()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    os.chdir(at or world.clone)
    try:
        with (
            mock.patch.dict(os.environ, world.env, clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
            mock.patch("sys.stdin", io.StringIO()),
        ):
            code = run_command(arguments)
    finally:
        os.chdir(here)
        for number, handler in before.items():
            signal.signal(number, handler)
    return Done(code=code, out=out.getvalue(), err=err.getvalue())
