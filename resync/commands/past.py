"""``status``, ``log`` and ``rescue``: what was done, what waits, and what the rescue branches keep."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING, Any

from resync.commands.session import Session, interrupted, still_waiting, waiting_lines
from resync.errors import Busy, ExitCode, Unfinished
from resync.journal import Journals
from resync.model import MODE_GITLINK, TreePath
from resync.report import data, text
from resync.report.words import count, short, shown
from resync.repository import Repository
from resync.repository.locks import RunLock

if TYPE_CHECKING:
    from resync.rescue import KeptFile


def status(session: Session) -> ExitCode:
    """Where an unfinished run or parked work stands."""
    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        unfinished = journals.unfinished()
        left_over = still_waiting(repository, journals)
        head = repository.head()
        if unfinished is not None:
            error = interrupted(unfinished)
            console.important(text.error_lines(error, console.paint))
            code, hint = ExitCode.UNFINISHED, error.hint
        elif _died_early(journals):
            error = _died()
            console.important(text.error_lines(error, console.paint))
            code, hint = ExitCode.UNFINISHED, error.hint
        elif left_over:
            code, hint = ExitCode.WAITING, "resync rescue show"
        else:
            console.lines(["No run is unfinished, and no parked work waits."])
            code, hint = ExitCode.OK, ""
        console.important(
            islice(waiting_lines(left_over, session), 0 if code == ExitCode.UNFINISHED else 1, None)
        )
        console.document(
            data.document(
                "status",
                code,
                checkout=repository.root,
                branch=head.name,
                hint=hint,
                unfinished=unfinished.plan.id if unfinished is not None else None,
                waiting=[data.waiting(each) for each in left_over],
            )
        )
        return code


def _died_early(journals: Journals) -> bool:
    """Whether a run was killed before it changed anything: it left locks, and nobody is at work."""
    if not journals.everywhere("planned"):
        return False
    try:
        with RunLock(journals.folder, patience=0):
            return True
    except Busy:
        return False


def _died() -> Unfinished:
    return Unfinished(
        "interrupted-run",
        "A run was killed before it changed anything; the locks that it held may keep git waiting.",
        "resync abort",
    )


def log(session: Session, run: str | None) -> ExitCode:
    """Past runs, and what each did; or one of them in full."""
    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        if run is not None:
            journal = journals.load(run)
            console.lines(text.journal_lines(journal, console.paint))
            console.document(
                data.document(
                    "log", ExitCode.OK, plan=journal.plan, done=journal.state == "done", state=journal.state
                )
            )
            return ExitCode.OK
        runs = list(journals.newest_first())
        if not runs:
            console.lines(["resync has changed nothing here yet."])
        console.lines(text.journal_headline(journal, console.paint) for journal in runs)
        console.document(
            data.document(
                "log",
                ExitCode.OK,
                checkout=repository.root,
                runs=[data.journal(journal) for journal in runs],
            )
        )
        return ExitCode.OK


def rescue_list(session: Session) -> ExitCode:
    """All rescue branches."""
    from resync import rescue as rescues

    console = session.console
    with session.open() as repository:
        found = rescues.branches(repository, Journals(repository))
        if not found:
            console.lines(["There is no rescue branch here."])
        for each in found:
            files = sum(1 for _ in rescues.files(repository, each))
            what = count(files, "uncommitted file") if files else "commits only"
            console.lines([f"{shown(each.short_name)}  {short(each.tip)}  {what}"])
        console.document(
            data.document(
                "rescue",
                ExitCode.OK,
                checkout=repository.root,
                rescues=[data.rescue_branch(each) for each in found],
            )
        )
        return ExitCode.OK


def rescue_show(session: Session, name: str | None) -> ExitCode:
    """What one rescue branch keeps."""
    from resync import rescue as rescues

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        rescue = rescues.choose(rescues.branches(repository, journals), name)
        journal = journals.load(rescue.run) if rescue.run is not None else None
        files = [(file, _size(repository, file)) for file in rescues.files(repository, rescue)]
        commits = journal.plan.commits if journal is not None else ()
        console.lines(text.rescue_lines(rescue, commits, files, console.paint))
        console.document(
            data.document(
                "rescue",
                ExitCode.OK,
                checkout=repository.root,
                rescues=[data.rescue_branch(rescue)],
                kept=[data.kept_file(file, size) for file, size in files],
            )
        )
        return ExitCode.OK


def _size(repository: Repository, file: KeptFile) -> int | None:
    if file.entry is None or file.entry.mode == MODE_GITLINK:
        return None
    return len(repository.objects.blob(file.entry.oid))


def rescue_restore(session: Session, path: str, name: str | None, folder: str | None) -> ExitCode:
    """Get one file out of a rescue branch; nothing is overwritten."""
    from resync import rescue as rescues

    console = session.console
    with session.open() as repository:
        rescue = rescues.choose(rescues.branches(repository, Journals(repository)), name)
        tree_path = TreePath(os.fsencode(path.replace(os.sep, "/")))
        target = os.path.abspath(os.path.join(session.caller.folder, folder)) if folder else None
        where, size = rescues.restore(repository, rescue, tree_path, target)
        console.lines([f"{shown(where)}: {count(size, 'byte')} from {shown(rescue.short_name)}"])
        extra: dict[str, Any] = {"restored": {"path": path, "to": where, "size": size}}
        console.document(data.document("rescue", ExitCode.OK, checkout=repository.root, **extra))
        return ExitCode.OK
