"""One call of the command line: which command, environment, clock, and what happens to errors. Nothing else
reads these."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from resync.arguments import ABOUT_UPSTREAM, COMMANDS, WITH_VALUE, parse, request_of
from resync.errors import ExitCode, Interrupted, ResyncError, UsageError, let_go
from resync.interrupts import listen
from resync.request import LOG_FORMATS, Caller, LogFormat, run_id

if TYPE_CHECKING:
    import argparse

    from resync.commands.session import Session
    from resync.console import Console


def run_command(arguments: Sequence[str], *, shared: str | None = None) -> int:
    """Carry out one call of the command line and return its exit status.

    ``shared`` is a folder for what remotes answer, where it is one of several calls.
    """
    from resync.console import open_standard_files

    if "#" in arguments:  # zsh hands on the comment of a line that was pasted as it was printed
        arguments = arguments[: arguments.index("#")]
    # A run makes hundreds of thousands of small tuples that live until its end, and no circles among them:
    # to look for some at every 700th costs a tenth of the time.
    gc.set_threshold(100_000, 20, 20)
    open_standard_files()
    listen()
    command = next((word for word in arguments if word in COMMANDS), "run")
    console = _console("--json" in arguments, log_format=_log_format(arguments))
    try:
        options = parse(arguments)
        command = options.command
        console = _console(
            options.json, quiet=options.quiet, color=options.color, log_format=options.log_format
        )
        code = _dispatch(options, arguments, console, shared)
        # Somebody has to look at what could not be told.
        return int(ExitCode.WAITING if console.unsaid and code == ExitCode.OK else code)
    except ResyncError as error:
        return _fail(error, command, console)
    except KeyboardInterrupt:
        stopped = Interrupted("cancelled", "Interrupted. Nothing was changed.", "resync status")
        return _fail(stopped, command, console)
    except BaseException as error:
        let_go(error)
        from resync.failures import as_said, nobodys

        if nobodys(error):
            raise
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        return _fail(as_said(error, sys.argv, stamp), command, console)


def _fail(error: ResyncError, command: str, console: Console) -> int:
    from resync.failures import report

    return int(report(error, command, console))


def _console(
    as_json: bool, *, quiet: bool = False, color: str = "auto", log_format: LogFormat | None
) -> Console:
    from resync.console import Console

    return Console(
        as_json=as_json, quiet=quiet, color=color, env=os.environ, log_format=log_format, clock=_clock
    )


def _log_format(arguments: Sequence[str]) -> LogFormat | None:
    """The form of the log, for what is wrong with the arguments themselves."""
    words = " ".join(arguments).replace("--log-format=", "--log-format ")
    return next((known for known in LOG_FORMATS if f"--log-format {known}" in words), None)


def _clock() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _dispatch(
    options: argparse.Namespace, arguments: Sequence[str], console: Console, shared: str | None
) -> ExitCode:
    if options.command == "demo":
        from resync.demo import demo

        return demo(options.folder, console, sys.argv[0], os.environ.get("PATH", ""))
    if options.command == "forget":
        from resync.fleet import meant

        return meant.strike_off(options.folder, _state(), console)
    if len(options.paths) > 1 or options.all is not None or options.registered:
        from resync.fleet import meant

        return meant.visit(options, arguments, WITH_VALUE, os.environ, _state, console)
    from resync.commands.session import Session, meaning

    session = Session(
        path=next(iter(options.paths), None) or options.repo or ".",
        env=os.environ,
        caller=_caller(console),
        console=console,
        verbose=options.verbose,
        words=meaning(arguments, WITH_VALUE, COMMANDS) if options.command in ABOUT_UPSTREAM else (),
        seen=_register if options.command in ("run", "plan") else lambda root: None,
    )
    match options.command:
        case "check":
            from resync.commands import look

            return look.check(session, request_of(options, shared), commit=options.commit)
        case "status" | "log":
            return _look_back(session, options)
        case "rescue":
            return _rescue(session, options)
    from resync.commands import moving, sitting

    match options.command:
        case "plan":
            return moving.plan(session, request_of(options, shared))
        case "continue" | "abort":
            return moving.resume(session, abort=options.command == "abort")
        case "skip":
            return sitting.skip(session)
        case "undo":
            return moving.undo(session, options.run, yes=options.yes, discard_newer=options.discard_newer)
    return moving.run(session, request_of(options, shared))


def _state() -> str:
    """The folder in which resync notes the checkouts that it has seen."""
    import platformdirs

    return os.path.join(platformdirs.user_state_dir("resync", appauthor=False), "checkouts")


def _register(root: str) -> None:
    """Note a checkout; where nothing can be noted, nothing is missing but that."""
    from resync.registry import remember

    if os.name == "nt" or os.environ.get("HOME") or os.environ.get("XDG_STATE_HOME"):
        with suppress(OSError):
            remember(_state(), root)


def _look_back(session: Session, options: argparse.Namespace) -> ExitCode:
    from resync.commands import past

    return past.status(session) if options.command == "status" else past.log(session, options.run)


def _rescue(session: Session, options: argparse.Namespace) -> ExitCode:
    from resync.commands import rescue

    match options.action:
        case "restore":
            return rescue.restore(session, options.file, options.source, options.to)
        case "show":
            return rescue.show(session, options.source)
        case "export":
            return rescue.export(session, options.file, options.source)
        case "import":
            return rescue.take_in(session, options.file)
        case "drop":
            return rescue.drop(session, options.source, yes=options.yes)
    return rescue.list_all(session)


def _caller(console: Console) -> Caller:
    """Who calls, and when; ``GIT_COMMITTER_DATE`` is honoured, as by git."""
    now, zone = int(time.time()), -(time.altzone if time.localtime().tm_isdst else time.timezone) // 60
    given = os.environ.get("GIT_COMMITTER_DATE", "")
    if given:
        from resync.dates import parse_date

        try:
            now, zone = parse_date(given)
        except (ValueError, TypeError):
            raise UsageError(
                "bad-date",
                f"GIT_COMMITTER_DATE is {given!r}, which is no date that resync can read."
                " Nothing was changed.",
                "unset GIT_COMMITTER_DATE    # or give it as 2016-04-19T19:02:32+00:00",
            ) from None
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        folder = ""
    prompt = console.prompt if console.interactive else None
    return Caller(
        now=now, zone=zone, run=run_id(stamp), folder=folder, prompt=prompt, progress=console.progress
    )
