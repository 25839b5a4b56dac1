"""One command for many checkouts: who is visited when, and what is told of it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from resync.console import Console
from resync.errors import ExitCode, Interrupted, ResyncError
from resync.fleet.crew import Answer, Crew
from resync.fleet.survey import Stop, survey
from resync.interrupts import uninterrupted
from resync.model import RefName
from resync.report import data
from resync.report.text import Paint, Tone, quoted
from resync.report.words import count, hint_lines, shown
from resync.upstream.shared import expect, is_there

# How long (seconds) an answer is waited for before we look whether a signal came.
_LOOK_UP = 0.2

# The worst first: what one of many checkouts comes to must not hide behind the others.
WORST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.BUG,
    ExitCode.UNFINISHED,
    ExitCode.REFUSED,
    ExitCode.USAGE,
    ExitCode.BUSY,
    ExitCode.WAITING,
    ExitCode.DUE,
    ExitCode.OK,
)
_MEANING = {
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.BUG: "a bug",
    ExitCode.UNFINISHED: "an interrupted run was found",
    ExitCode.REFUSED: "refused, nothing was changed",
    ExitCode.USAGE: "wrong usage or configuration",
    ExitCode.BUSY: "busy, or the network failed",
    ExitCode.WAITING: "something waits for you",
    ExitCode.DUE: "a run is due",
    ExitCode.OK: "all is well",
}
_TONES: dict[ExitCode, Tone] = {
    ExitCode.OK: "good",
    ExitCode.DUE: "warning",
    ExitCode.WAITING: "warning",
    ExitCode.BUSY: "warning",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked of every checkout: the command and its options, as they were typed. ``upstream`` is among
    them; ``jobs`` are worked on at once."""

    command: str
    options: Sequence[str]
    upstream: str | None
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What is kept of what became of a checkout: there may be many, and their plans are long."""

    path: str
    code: ExitCode
    what: str
    hint: str


def tour(ask: Ask, paths: Iterable[str], env: Mapping[str, str], console: Console) -> ExitCode:
    """Have the command carried out in each checkout; returns the worst of their exit statuses.

    A checkout that is named twice is visited once. What goes wrong in one is said and stops no other. Raises
    ``Interrupted`` once all that was at work has been unwound.
    """
    stops = list({stop.path: stop for stop in (survey(path, env, ask.upstream) for path in paths)}.values())
    shared = tempfile.mkdtemp(prefix="resync-")
    round_ = _Round(ask, stops, shared, console, Crew(min(ask.jobs, max(len(stops), 1)), env))
    try:
        told = round_.go()
    finally:
        shutil.rmtree(shared, ignore_errors=True)
    worst = next((code for code in WORST_FIRST if any(each.code == code for each in told)), ExitCode.OK)
    (console.lines if worst == ExitCode.OK else console.important)(_summary(told, console.paint))
    if round_.interrupted:
        left = len(stops) - len(told)
        raise Interrupted(
            "cancelled",
            f"Interrupted. What was at work came to an end as it is said above; {count(left, 'checkout')} of"
            f" {len(stops):,} were not begun.",
            "the same command goes on with them",
        )
    return worst


@dataclass(slots=True)
class _Round:
    """The visits of one command. ``leaders`` are the keys of upstreams that somebody is asking just now."""

    ask: Ask
    stops: Sequence[Stop]
    shared: str
    console: Console
    crew: Crew
    interrupted: bool = False
    leaders: dict[str, int] = field(default_factory=dict)
    inside: set[str] = field(default_factory=set)

    def go(self) -> list[_Told]:
        """Visit them all; what became of each, in the order of ``stops``."""
        self._expect()
        told: dict[int, _Told] = {}
        waiting = list(range(len(self.stops)))
        try:
            # Signals are noted, so that nothing is begun or lost between two lines of ours.
            with uninterrupted() as signals:
                while waiting or self.crew.working:
                    if signals and not self.interrupted:
                        self.interrupted, waiting = True, []
                        self.crew.interrupt()
                        continue
                    self._send(waiting)
                    answer = self.crew.take(_LOOK_UP)
                    if answer is not None:
                        self._back(answer.job)
                        told[answer.job] = self._tell(answer, len(told) + 1)
        finally:
            self.crew.dismiss()
        return [told[job] for job in sorted(told)]

    def _expect(self) -> None:
        branches: dict[str, set[RefName]] = {}
        for stop in self.stops:
            if stop.key is not None and stop.branch is not None:
                branches.setdefault(stop.key, set()).add(stop.branch)
        for key, wanted in branches.items():
            with suppress(OSError):  # then they ask for themselves
                expect(self.shared, key, wanted)

    def _send(self, waiting: list[int]) -> None:
        """Give out what can be begun now.

        Working trees of one repository go one after the other, because only one run at a time may be in it;
        and while somebody asks an upstream, those who are going to share the answer wait for it.
        """
        for job in list(waiting):
            if self.crew.working >= self.crew.size:
                return
            stop = self.stops[job]
            if stop.repository in self.inside:
                continue
            if stop.key is not None and not is_there(self.shared, stop.key):
                if stop.key in self.leaders:
                    continue
                self.leaders[stop.key] = job
            self.inside.add(stop.repository)
            words = [self.ask.command, "--json", "--repo", stop.path, *self.ask.options]
            try:
                self.crew.give(job, words, self.shared)
            except OSError:
                # There is no room for one more process; those at work will make some.
                self._back(job)
                if not self.crew.working:
                    raise
                return
            waiting.remove(job)

    def _back(self, job: int) -> None:
        stop = self.stops[job]
        self.inside.discard(stop.repository)
        if stop.key is not None and self.leaders.get(stop.key) == job:
            del self.leaders[stop.key]

    def _tell(self, answer: Answer, number: int) -> _Told:
        """Say what became of one, and keep as much as the summary needs."""
        stop = self.stops[answer.job]
        code, document = self._outcome(stop, answer)
        self.console.passed_on(json.dumps(document), answer.err)
        error = document.get("error") or {}
        told = _Told(
            path=stop.path,
            code=code,
            what=str(error.get("message") or _what(document)),
            hint=str(document.get("hint") or ""),
        )
        width = len(str(len(self.stops)))
        status = self.console.paint(f"{int(code):>3}", _TONES.get(code, "bad"))
        line = f"[{number:>{width}}/{len(self.stops)}] {status}  {shown(told.path)}  {shown(told.what)}"
        (self.console.lines if code == ExitCode.OK else self.console.important)([line])
        return told

    def _outcome(self, stop: Stop, answer: Answer) -> tuple[ExitCode, dict[str, Any]]:
        if not answer.died:
            try:
                document = json.loads(answer.out)
                # One that could not be opened does not know which it is.
                document["checkout"] = document["checkout"] or stop.path
                if not os.path.lexists(stop.path) and document["error"]:
                    document["error"]["message"] = "There is no such folder. Nothing was changed."
                    document["hint"] = f"resync forget {quoted(stop.path)}"
                return ExitCode(answer.code), document
            except ValueError:
                answer = Answer(job=answer.job, died="gave no answer")
        code = ExitCode.INTERRUPTED if self.interrupted else ExitCode.BUG
        error = ResyncError(
            "worker-died",
            f"The process that was at work on it {answer.died}; how far it came is not known.",
            f"resync status --repo {quoted(stop.path)}",
        )
        document = data.document(self.ask.command, code, checkout=stop.path, error=error)
        return code, {**document, "warnings": []}


def _what(document: Mapping[str, Any]) -> str:
    """What one checkout came to, in a few words."""
    upstream = document.get("upstream") or {}
    moved = [each for each in document.get("branches", ()) if each.get("moved")]
    verdicts = Counter(each["verdict"] for each in (*document["commits"], *document["files"]))
    words = [str(upstream.get("kind", ""))] if upstream else []
    words += [f"moved to {each['new_tip'][:10]}" for each in moved[:1]]
    words += [f"{number} {verdict}" for verdict, number in sorted(verdicts.items())]
    return ", ".join(words)


def _summary(told: Sequence[_Told], paint: Paint) -> Iterator[str]:
    """A row for each status that was met, the worst first, with the checkouts to look at."""
    yield ""
    yield paint(f"{'status':>6}  {'checkouts':>9}  meaning", "strong")
    for code in WORST_FIRST:
        these = [each for each in told if each.code == code]
        if these:
            yield paint(f"{int(code):>6}  {len(these):>9,}  {_MEANING[code]}", _TONES.get(code, "bad"))
        for each in these if code != ExitCode.OK else ():
            yield f"{'':>19}{shown(each.path)}"
            if each.hint:
                # Those that do not name the checkout are to be typed in it.
                there = "" if each.path in each.hint else " there"
                yield from (f"{'':>21}{line}" for line in hint_lines(each.hint, there))


def default_jobs() -> int:
    """How many checkouts are worked on at once, unless somebody says so."""
    return min(8, os.cpu_count() or 1)
