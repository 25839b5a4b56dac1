"""The demo's story: each step is a sentence, something that happens upstream or a command, and its output.

The commands are the real ones, run in this process on the clone; only their clock is the story's, so
that every demo looks the same.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from resync.commands import look, moving, past, rescue
from resync.commands.session import Session
from resync.console import Console
from resync.demo import kolla
from resync.demo.builder import LIBERTY, Upstream, make_clone
from resync.errors import ExitCode, Refused, ResyncError
from resync.journal import Journals
from resync.report import data, text
from resync.report.text import Tone
from resync.report.words import shown
from resync.repository import Repository
from resync.repository.repo import BRANCHES
from resync.request import Caller, Request

_UNATTENDED = Request(unattended=True)
_PARKING = Request(unattended=True, dirty="park")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: what is told, what upstream does, and a command as it is typed and as it is run."""

    words: str
    typed: str
    run: Callable[[Session], ExitCode]
    upstream: Callable[[Upstream], None] | None = None
    quiet: bool = False


STEPS = (
    Step(
        words="Upstream tags the old branch as liberty-early-demise and deletes it.",
        upstream=Upstream.end_liberty,
        typed="resync check",
        run=lambda session: look.check(session, Request()),
    ),
    Step(
        words="Then it makes the branch anew: from stable/mitaka, with two patches on top.",
        upstream=Upstream.recreate_liberty,
        typed="resync check",
        run=lambda session: look.check(session, Request()),
    ),
    Step(
        words="What would become of your work? Looking changes nothing.\n"
        "(parked: does not fit any more and stays on a rescue branch; adopted: upstream has the same)",
        typed="resync plan",
        run=lambda session: moving.plan(session, Request()),
    ),
    Step(
        words="Where nobody can be asked, as on a server, resync refuses rather than put your edits aside.",
        typed="resync run --yes",
        run=lambda session: moving.run(session, _UNATTENDED),
    ),
    Step(
        words="So you allow it. --quiet tells only what is left for you to do.",
        typed="resync run --yes --dirty park --quiet",
        run=lambda session: moving.run(session, _PARKING),
        quiet=True,
    ),
    Step(
        words="Whatever did not fit is safe. Your script comes back in a folder next to the clone.",
        typed="resync rescue restore tools/cleanup-containers --to ../mine",
        run=lambda session: rescue.restore(session, "tools/cleanup-containers", None, "../mine"),
    ),
    Step(
        words="Second thoughts? Branch, index and files go back to what they were, byte for byte.",
        typed="resync undo --yes",
        run=lambda session: moving.undo(session, None, yes=True, discard_newer=False),
    ),
    Step(
        words="And an undo can be undone.",
        typed="resync undo --yes",
        run=lambda session: moving.undo(session, None, yes=True, discard_newer=False),
    ),
    Step(
        words="Every run is on record, the newest first.",
        typed="resync log",
        run=lambda session: past.log(session, None),
    ),
)


def demo(folder: str | None, console: Console, called: str = "resync", search: str = "") -> ExitCode:
    """Build the demo in ``folder`` (None: a new temporary one) and run the story on it.

    ``called`` is the file that was called, and ``search`` where a shell looks for programs.
    Raises ``Refused("folder-not-empty")`` where the folder has something in it already.
    """
    folder = _new_folder(folder)
    clone = os.path.join(folder, "clone")
    upstream = Upstream(os.path.join(folder, "upstream.git"))
    make_clone(upstream.path, clone)
    console.lines(_opening(folder, console))
    outcomes = [_play(step, number, upstream, clone, console) for number, step in enumerate(STEPS, 1)]
    console.lines(_ending(folder, clone, console, _start(called, search)))
    with Repository.open(clone, {}) as repository:
        carried = next(each for each in Journals(repository).newest_first() if each.plan.undoes is None)
    console.document(
        data.document(
            "demo",
            ExitCode.OK,
            plan=carried.plan,
            done=True,
            hint="resync status",
            folder=folder,
            steps=[
                {"command": step.typed, "exit_code": int(code)}
                for step, code in zip(STEPS, outcomes, strict=True)
            ],
        )
    )
    return ExitCode.OK


def _new_folder(wanted: str | None) -> str:
    if wanted is None:
        return tempfile.mkdtemp(prefix="resync-demo-")
    folder = os.path.abspath(wanted)
    try:
        os.makedirs(folder, exist_ok=True)
        empty = not os.listdir(folder)
    except (FileExistsError, NotADirectoryError):
        empty = False
    if not empty:
        raise Refused(
            "folder-not-empty",
            f"{wanted} is not empty, and the demo wants a folder of its own. Nothing was changed.",
            "resync demo    # takes a temporary folder, or name a new one",
        )
    return folder


def _play(step: Step, number: int, upstream: Upstream, clone: str, console: Console) -> ExitCode:
    """Tell one step, run its command, and return the command's exit status."""
    if step.upstream is not None:
        step.upstream(upstream)
    words = [console.paint(line, "strong") for line in step.words.splitlines()]
    console.lines(["", *words, console.paint(f"$ {step.typed}", "good")])
    stage = _Stage(console, quiet=step.quiet)
    session = Session(
        path=clone,
        env={"HOME": os.path.dirname(clone)},
        caller=_caller(number, clone, stage),
        console=stage,
        verbose=False,
    )
    try:
        code = step.run(session)
    except ResyncError as error:
        stage.error(text.error_lines(error, console.paint))
        code = error.exit_code
    if code != ExitCode.OK:
        console.lines([console.paint(f"(exit status {int(code)})", "quiet")])
    return code


def _caller(number: int, folder: str, console: Console) -> Caller:
    """Whoever types the command of a step: on the story's own clock, where every step takes a minute."""
    run = f"20160419T10{number:02}00Z-{number:04x}"
    now = kolla.REWRITE + 60 * number
    return Caller(now=now, zone=0, run=run, folder=folder, progress=console.progress)


class _Stage(Console):
    """Where the commands of the story speak: on the demo's own console, but with no JSON of their own."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        super().__init__(as_json=console.as_json, quiet=quiet, color="never", env={})
        self._console = console

    def paint(self, text: str, tone: Tone) -> str:
        return self._console.paint(text, tone)

    def lines(self, lines: Iterable[str]) -> None:
        if not self._quiet:
            self._console.lines(lines)

    def important(self, lines: Iterable[str]) -> None:
        self._console.important(lines)

    def error(self, lines: Iterable[str]) -> None:
        # In the story a refusal is part of the output, and it must not overtake the lines before it.
        self._console.lines(lines)

    def progress(self, message: str) -> None:
        self._console.progress(message)

    def document(self, document: Mapping[str, Any]) -> None:
        pass


def _opening(folder: str, console: Console) -> Iterator[str]:
    branch = LIBERTY.removeprefix(BRANCHES).decode()
    yield console.paint(f"In April 2016, OpenStack Kolla replaced its branch {branch}.", "strong")
    yield "This is a small upstream that does the same, and your clone of it:"
    yield f"  both are in {shown(folder)}"
    yield (
        f"  on {branch} you have {len(kolla.YOUR_COMMITS)} commits of your own,"
        f" {len(kolla.UNSTAGED)} edited files and a script that git does not know"
    )


def _start(called: str, search: str) -> str | None:
    """How to start this resync, where a shell does not find one by its name; None where it does."""
    if os.path.dirname(called) == "" or shutil.which("resync", path=search) is not None:
        return None
    called = os.path.abspath(called)
    if os.path.basename(called) == "__main__.py":
        return shlex.join([sys.executable, "-m", "resync"])
    return shlex.quote(called) if os.access(called, os.X_OK) else shlex.join([sys.executable, called])


def _ending(folder: str, clone: str, console: Console, program: str | None) -> Iterator[str]:
    yield ""
    yield console.paint("The clone is yours to try:", "strong")
    yield f"  cd {text.quoted(shown(clone))}"
    if program is not None:
        yield f"  alias resync={text.quoted(shown(program))}    # this shell does not find it by itself"
    yield "  resync status          # what waits for you"
    yield "  resync rescue show     # all that the rescue branch keeps"
    yield "  resync undo            # everything as it was"
    yield f"To remove it: rm -rf {text.quoted(shown(folder))}"
