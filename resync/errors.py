"""What can go wrong, as a sentence for a person and a stable kind for a program.

Every message says what is wrong and, through the exit status, what was not changed;
the hint is the command that helps.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum

_MOST_LISTED = 5

WAYS_ON = (
    "resync continue    # finishes it",
    "resync abort    # everything back as it was",
)
"""What helps where a run stands half-way."""


class ExitCode(IntEnum):
    """The exit statuses of every command (see the table in DESIGN.md)."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    WAITING = 3
    UNFINISHED = 4
    DUE = 5
    BUG = 70
    BUSY = 75
    INTERRUPTED = 130


class ResyncError(Exception):
    """A refusal or failure that is told to the user in words.

    ``kind`` is stable and goes into the JSON; ``message`` is one sentence or more of text. ``hints`` are ways
    to go on, each for a line of its own: a command that does it when it is pasted, perhaps with ``    # why``
    after it, or else a sentence. ``hint`` is those lines, or empty; a line end in one of them is escaped, so
    that no name from a repository looks like a command. ``checkout`` and ``branch`` are filled in by whoever
    knows which repository it is about.
    """

    exit_code = ExitCode.REFUSED

    def __init__(self, kind: str, message: str, *hints: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = "\n".join(hint.replace("\n", "\\n") for hint in hints if hint)
        self.checkout: str | None = None
        self.branch: bytes | None = None


class Refused(ResyncError):
    """Nothing of the user's was changed, and going on would have been a guess."""


class LargeBlob(Refused):
    """A file is too large to be held in memory, which what is asked for would need."""


class UsageError(ResyncError):
    """The command line or the configuration asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class Busy(ResyncError):
    """Somebody else holds a lock, or the network failed; the same call may go through later."""

    exit_code = ExitCode.BUSY


class Unfinished(ResyncError):
    """A run was interrupted and has to be continued or aborted first."""

    exit_code = ExitCode.UNFINISHED


class Interrupted(ResyncError):
    """A signal ended the command; the message says how far it had come and what became of that."""

    exit_code = ExitCode.INTERRUPTED


def listed(names: Sequence[bytes]) -> str:
    """Names for a sentence, only the first where there are many; they are escaped where it is shown."""
    first = ", ".join(name.decode("utf-8", "backslashreplace") for name in names[:_MOST_LISTED])
    return first + (", …" if len(names) > _MOST_LISTED else "")


def as_reason(error: Exception) -> str:
    """What an error says, as a part of another sentence that says itself what was not changed."""
    return str(error).removesuffix(" Nothing was changed.").removesuffix(".")


def let_go(error: BaseException) -> None:
    """Where memory is short, let go of what the calls that failed hold: to say so takes some, too."""
    if isinstance(error, MemoryError):
        trace, error.__context__ = error.__traceback__, None
        while trace is not None:
            with suppress(RuntimeError):  # the frame that runs
                trace.tb_frame.clear()
            trace = trace.tb_next
        error.__traceback__ = None
