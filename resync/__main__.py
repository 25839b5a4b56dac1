"""``python -m resync``, and the commands ``resync`` and ``git-resync``."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line; returns the exit status."""
    if sys.argv[1:] == ["--version"]:
        # Asked by scripts again and again, so not worth loading the rest for.
        from resync import __version__

        sys.stdout.write(f"resync {__version__}\n")
        return 0
    from resync.cli import run_command
    from resync.console import flush

    code = run_command(sys.argv[1:])
    flush()
    # To take the interpreter down object by object takes a tenth of a check, and by now every file that
    # matters is closed and durable. Nor has it a say in the status where what was printed cannot be written.
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
