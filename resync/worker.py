"""The way in of a process that works for another one of resync's: see ``fleet.crew``.

A line of JSON on standard input is one call of the command line, a line on standard output what became of it.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import suppress


def main() -> None:
    """Carry out calls until the input ends."""
    from resync.cli import run_command
    from resync.interrupts import listen, uninterrupted

    listen()
    # Nothing that anybody prints may get among the answers, nor read the orders.
    orders, answers = os.fdopen(os.dup(0), encoding="ascii"), os.fdopen(os.dup(1), "w", encoding="ascii")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    with suppress(KeyboardInterrupt, OSError):
        for line in orders:
            order = json.loads(line)
            sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
            code = run_command(order["arguments"], shared=order["shared"])
            answer = {"code": code, "out": sys.stdout.getvalue(), "err": sys.stderr.getvalue()}
            with uninterrupted():
                answers.write(json.dumps(answer) + "\n")
                answers.flush()
    # As after any command, what matters is closed and durable by now.
    os._exit(0)
