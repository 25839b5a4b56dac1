"""What happens to a command, or beside it, at a place in its code: a signal, another git, a full disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from tests.conftest import Done, World

PARK = ("run", "--yes", "--dirty", "park")

_PROGRAM = """
import builtins, errno, importlib, os, signal, subprocess, sys
module, _, path = {place!r}.partition(":")
holder = importlib.import_module(module)
*outer, name = path.split(".")
for each in outer:
    holder = getattr(holder, each)
whole = getattr(holder, name)
calls = 0

def me(number):
    os.kill(os.getpid(), getattr(signal, number))

def hooked(*arguments, **options):
    global calls
    calls += 1
    if calls == {nth}:
        {action}
    return whole(*arguments, **options)

setattr(holder, name, hooked)
{signals}
{first}
from resync.cli import run_command
code = run_command(sys.argv[1:])
assert calls >= {nth}, "the place was never reached"
sys.exit(code)
"""

# A suite that runs in the background ignores Ctrl-C, and so would what it starts.
_DEFAULT_SIGNALS = """
signal.signal(signal.SIGINT, signal.default_int_handler)
for each in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, signal.SIG_DFL)
"""


def meanwhile(
    world: World,
    place: str,
    action: str,
    *arguments: str,
    nth: int = 1,
    first: str = "",
    before: Callable[[], None] | None = None,
) -> Done:
    """Run resync in the clone; at the ``nth`` call of ``place`` (``module:name``) ``action`` is done first.

    That is a line of Python; ``first`` is done before the command, and ``before`` in the new process before
    Python starts, which finds the signals as they are.
    """
    signals = _DEFAULT_SIGNALS if before is None else ""
    program = _PROGRAM.format(place=place, nth=nth, action=action, first=first, signals=signals)
    if before is None:
        return world.python(program, *(arguments or PARK))
    done = subprocess.run(
        [sys.executable, "-c", program, *(arguments or PARK)],
        cwd=world.clone,
        env=world.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        preexec_fn=before,
    )
    return Done(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


def without_backup(state: dict[str, object]) -> dict[str, object]:
    """A state of the world without the refs that a run made before it was taken back."""
    refs = state["refs"]
    assert isinstance(refs, list)
    kept = [ref for ref in refs if not ref.startswith(("refs/heads/rescue/", "refs/resync/"))]
    return {**state, "refs": kept}


def locks(world: World) -> list[str]:
    """The lock files in the git directory."""
    return [str(path) for path in (world.clone / ".git").rglob("*.lock")]
