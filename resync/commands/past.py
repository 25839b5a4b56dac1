"""``status`` and ``log``: what was done, and what waits."""

from __future__ import annotations

from itertools import islice

from resync.commands.session import Session, looked, still_waiting, stopped, waiting_lines
from resync.commands.sitting import open_sitting, standing, standing_lines
from resync.errors import ExitCode
from resync.journal import Journals
from resync.report import data, lookback, text


def status(session: Session) -> ExitCode:
    """Where an unfinished run, parked work or a hold stands."""
    from resync.holds import holding

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        unfinished = journals.unfinished()
        left_over = still_waiting(repository, journals)
        head = repository.head()
        held = holding(journals, head.branch)
        error = stopped(journals)
        sitting = open_sitting(journals) if unfinished is None else None
        if error is not None:
            code, hint = ExitCode.UNFINISHED, error.hint
            if sitting is not None:
                console.important(standing_lines(session, repository, sitting))
            else:
                console.important(text.error_lines(error, console.paint))
        elif left_over:
            code, hint = ExitCode.WAITING, "resync rescue show"
        else:
            console.lines(["No run is unfinished, and no parked work waits."])
            code, hint = ExitCode.OK, ""
        if held is not None:
            console.lines(text.hold_lines(held))
        if sitting is None:
            start = 0 if code == ExitCode.UNFINISHED else 1
            console.important(islice(waiting_lines(left_over, session), start, None))
        console.document(
            data.document(
                "status",
                code,
                checkout=repository.root,
                branch=head.name,
                hint=hint,
                unfinished=unfinished.plan.id if unfinished is not None else None,
                held=data.hold(held) if held is not None else None,
                waiting=[data.waiting(each) for each in left_over],
                sitting=standing(repository, sitting) if sitting is not None else None,
            )
        )
        return code


def log(session: Session, run: str | None) -> ExitCode:
    """Past runs, and what each did; or one of them in full."""
    from resync.comparison import compared, places

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        if run is not None:
            journal = journals.load(run)
            done = journal.state == "done"
            pairs = tuple(compared(repository, journal.plan)) if done else ()
            graph = places(repository, journal.plan) if done else ()
            console.lines(lookback.journal_lines(journal, console.paint))
            console.lines(lookback.range_diff_lines(pairs, console.paint))
            console.lines(lookback.graph_lines(graph, console.paint))
            return looked(
                session,
                repository,
                journals,
                "log",
                plan=journal.plan,
                done=done,
                state=journal.state,
                range_diff=[data.compared(each) for each in pairs],
                graph=[data.place(each) for each in graph],
            )
        runs = list(journals.newest_first())
        along = journals.last_along()
        if not runs and along is None:
            console.lines(["resync has changed nothing here yet."])
        console.lines(lookback.journal_headline(journal, console.paint) for journal in runs)
        if along is not None:
            console.lines([lookback.along_sentence(along)])
        found = [data.journal(journal) for journal in runs]
        return looked(session, repository, journals, "log", runs=found)
