"""The terminal: what is printed where, in which colours, and what a person answers."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import IO, Any

from resync.report.text import Tone
from resync.report.words import shown
from resync.request import LogFormat

_CODES: dict[Tone, str] = {
    "good": "\x1b[32m",
    "warning": "\x1b[33m",
    "bad": "\x1b[31m",
    "quiet": "\x1b[2m",
    "strong": "\x1b[1m",
}
_RESET = "\x1b[0m"
_ESCAPE = re.compile("\x1b\\[[0-9]*m")
_PROGRESS_EVERY = 0.2


class Console:
    """Standard output for the answer, standard error for progress, standard input for a yes."""

    def __init__(
        self,
        *,
        as_json: bool,
        quiet: bool,
        color: str,
        env: Mapping[str, str],
        log_format: LogFormat | None = None,
        clock: Callable[[], str] = str,
    ) -> None:
        """``color`` is ``auto``, ``always`` or ``never``; ``env`` may have ``NO_COLOR`` and ``TERM``.

        With a ``log_format`` standard error is a log: every step is told, each line with the time that
        ``clock`` says.
        """
        self.as_json = as_json
        self._quiet = quiet
        plain = bool(env.get("NO_COLOR")) or env.get("TERM") == "dumb"
        self._color = color == "always" or (color == "auto" and not plain and _is_terminal(sys.stdout))
        self._log_format = log_format
        self._clock = clock
        self._progress = not quiet and not as_json and log_format is None and _is_terminal(sys.stderr)
        self._last_progress = 0.0
        self._progress_width = 0
        self._warnings: list[str] = []
        self._unheard = False
        self.unsaid = False
        """Whether something could not be told, though somebody wants to know it."""
        if self._color:
            import colorama

            colorama.just_fix_windows_console()

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked."""
        return not self.as_json and _is_terminal(sys.stdin) and _is_terminal(sys.stdout)

    def paint(self, text: str, tone: Tone) -> str:
        """``text`` in the colour of its tone, where colours are wanted."""
        return f"{_CODES[tone]}{text}{_RESET}" if self._color and text else text

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines for a person; nothing with ``--json`` or ``--quiet``."""
        if not self.as_json and not self._quiet:
            self._print(lines)

    def important(self, lines: Iterable[str]) -> None:
        """Print lines that ``--quiet`` does not hide: what waits for a person."""
        if not self.as_json:
            self._print(lines)

    def _print(self, lines: Iterable[str]) -> None:
        self.end_progress()
        self._say("".join(_encodable(line, sys.stdout) + "\n" for line in lines))

    def document(self, document: Mapping[str, Any]) -> None:
        """Print the JSON object, with ``--json`` only."""
        if self.as_json:
            self._say(json.dumps({**document, "warnings": self._warnings}) + "\n")

    def passed_on(self, document: str, log: str) -> None:
        """Print what a process of ours came to: its JSON object, with ``--json``, and its log."""
        if self.as_json:
            self._say(document + "\n")
        if self._log_format is not None:
            self._complain(log.splitlines())

    def error(self, lines: Iterable[str]) -> None:
        """Print lines to standard error: what is wrong, and what helps."""
        if self._log_format is not None:
            said = _ESCAPE.sub("", " ".join(line.strip() for line in lines))
            self._log("error", said.removeprefix("resync: "))
            return
        self._complain(lines)

    def log(self, sentence: str) -> None:
        """Tell of a step that was taken; only where standard error is a log."""
        if self._log_format is not None:
            self._log("info", sentence)

    def _log(self, level: str, text: str) -> None:
        """One line with the time, harmless whatever is in it."""
        text, now = shown(text), self._clock()
        if self._log_format == "json":
            self._complain([json.dumps({"time": now, "level": level, "message": text})])
        else:
            self._complain([f"{now} {level}: {text}"])

    def _complain(self, lines: Iterable[str]) -> None:
        self.end_progress()
        with suppress(OSError):
            for line in lines:
                sys.stderr.write(_encodable(line, sys.stderr) + "\n")

    def _say(self, text: str) -> None:
        """Write to standard output. Where nobody reads it any more, the work goes on in silence."""
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError as error:
            self._unheard = True
            # What could not be handed over would be tried again, and complained about, when Python ends.
            with suppress(OSError), open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
            # Who closed the pipe wanted to hear no more; a full disk is another matter.
            if not isinstance(error, BrokenPipeError):
                self.unsaid = True
                self.error([f"resync: standard output cannot be written ({error.strerror})"])

    def warn(self, sentence: str) -> None:
        """Print a warning to standard error; with ``--json`` it also stands in the object."""
        self._warnings.append(sentence)
        if self._log_format is not None:
            self._log("warning", sentence)
            return
        self._complain([self.paint("resync: ", "warning") + shown(sentence)])

    def progress(self, message: str) -> None:
        """Show the last of what is going on, on a terminal and not too often."""
        now = time.monotonic()
        if not self._progress or now - self._last_progress < _PROGRESS_EVERY:
            return
        text = shown(message.strip().rpartition("\r")[2].rpartition("\n")[2])[:76]
        if text:
            self._last_progress = now
            with suppress(OSError):
                sys.stderr.write("\r" + text.ljust(self._progress_width))
                sys.stderr.flush()
            self._progress_width = len(text)

    def end_progress(self) -> None:
        """Take the progress line away."""
        if self._progress_width:
            with suppress(OSError):
                sys.stderr.write("\r" + " " * self._progress_width + "\r")
                sys.stderr.flush()
            self._progress_width = 0

    def ask(self, question: str) -> bool:
        """Ask for a yes; everything else, the end of input too, is a no."""
        self._say(f"{question} [y/N] ")
        if self._unheard:
            return False
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            sys.stdout.write("\n")
        return answer.strip().lower() in ("y", "yes")

    def prompt(self, question: str, hidden: bool) -> str | None:
        """Ask for a user name, or (``hidden``) a password that is not shown; None for no answer."""
        self.end_progress()
        try:
            if hidden:
                import getpass

                return getpass.getpass(question)
            self._say(question)
            return None if self._unheard else sys.stdin.readline().rstrip("\r\n") or None
        except EOFError:
            return None

    def choose(self, question: str, count: int) -> int | None:
        """Ask for a number from 1 to ``count``; returns it less one, None for any other answer."""
        self._say(f"{question} [1-{count}, anything else for none] ")
        if self._unheard:
            return None
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            sys.stdout.write("\n")
        number = answer.strip()
        return (
            int(number) - 1 if number.isascii() and number.isdigit() and 1 <= int(number) <= count else None
        )


def open_standard_files() -> None:
    """Where one of them is closed, no file of ours may come to stand in its place: others write to it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it takes the lowest number that is free
    # Python has none at all then, and whoever prints expects one.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def flush() -> bool:
    """Hand over all that was printed; False where nobody takes it any more."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        return False
    return True


def _is_terminal(stream: IO[str] | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def _encodable(text: str, stream: IO[str]) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
