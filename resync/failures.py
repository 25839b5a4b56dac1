"""How errors are told, and what is said of those that nobody foresaw: their traceback goes to a log file."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from resync import __version__
from resync.console import Console
from resync.errors import ExitCode, Refused, ResyncError, UsageError
from resync.report import data, text


def report(error: ResyncError, command: str, console: Console) -> ExitCode:
    """Say what went wrong, to people or as the JSON object of the command; returns the exit status."""
    if error.kind == "declined":
        console.important([error.message])
    else:
        console.error(text.error_lines(error, console.paint))
    console.document(
        data.document(
            command,
            ExitCode(error.exit_code),
            checkout=error.checkout,
            branch=error.branch,
            error=error,
        )
    )
    return error.exit_code


def nobodys(error: BaseException) -> bool:
    """Whether an error is none of ours to tell: the interpreter ends, or is ended. A panic of dulwich's Rust,
    as where memory is short for what a delta makes, is none of Python's exceptions either, and is ours."""
    return not isinstance(error, Exception) and not _is_panic(error)


def _is_panic(error: BaseException) -> bool:
    return type(error).__name__ == "PanicException"


def as_said(error: BaseException, called: Sequence[str], stamp: str) -> ResyncError:
    """What to say of an error: that the system does not let us go on, or that it is a bug.

    ``called`` is the command line and ``stamp`` the time, for the log file and its name.
    """

    def log() -> str:
        return _log(error, called, stamp)

    if isinstance(error, MemoryError) or (_is_panic(error) and "null" in str(error)):
        return Refused(
            "out-of-memory",
            "There is not enough memory for what upstream holds. Nothing of yours was changed.",
            "git fetch && git diff --stat HEAD...FETCH_HEAD    # tells what is that large",
        )
    if isinstance(error, FileNotFoundError) and error.errno and error.filename is None:
        # The one thing that the system looks for without a name is the current directory.
        return UsageError(
            "no-such-folder",
            "The folder in which resync was called is gone, and what was named is looked for from there."
            " Nothing was changed.",
            "cd into your checkout",
        )
    if isinstance(error, OSError) and _refused_by_the_system(error):
        where = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, (str, bytes)) else ""
        return Refused(
            "system-error",
            f"The system does not let resync go on ({error.strerror}{where}). Nothing of yours was changed.",
            f"make room or get access, and try again; the details are in {log()}",
        )
    bug = ResyncError(
        "bug",
        f"This is a bug in resync ({type(error).__name__}). The details are in {log()}; please report it.",
        "resync status    # tells where things stand",
    )
    bug.exit_code = ExitCode.BUG
    return bug


def _refused_by_the_system(error: OSError) -> bool:
    """A disk that is full or may not be written to is nobody's bug. A run that fails puts everything back, or
    says itself that it is half-way."""
    ours = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError)
    return not isinstance(error, ours) and error.strerror is not None


def _log(error: BaseException, called: Sequence[str], stamp: str) -> str:
    """Write the traceback to a log file; returns its path, or why there is none."""
    import traceback

    import platformdirs

    folder = platformdirs.user_log_dir("resync", appauthor=False)
    path = os.path.join(folder, f"{stamp}.log")
    try:
        os.makedirs(folder, exist_ok=True)
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"resync {__version__}, Python {sys.version}\n{list(called)}\n")
            traceback.print_exception(error, file=file)
    except OSError:
        return "nowhere: the log file cannot be written"
    return path
