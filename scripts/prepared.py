"""For the sweeps beside this file: they start with any Python, and go on with that of the tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_SCRIPTS = Path(__file__).resolve().parent
_TOP = _SCRIPTS.parent
_GO_ON = 'at=$PWD; . "$0"; prepare test "[test]"; cd "$at"; exec "$python" "$@"'


def for_tests() -> None:
    """Have the tests' environment, which env.sh makes once: where this is another one, start anew in it.

    From then on the project's own modules and its tests can be imported.
    """
    if Path(sys.prefix).resolve() != (_TOP / ".venv" / "test").resolve():
        script = os.path.abspath(sys.argv[0])
        os.execvp("sh", ["sh", "-c", _GO_ON, str(_SCRIPTS / "env.sh"), script, *sys.argv[1:]])
    sys.path.insert(0, str(_TOP))
