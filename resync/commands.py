"""The commands: each opens the repository, goes as far along the pipeline as it must, and reports.

Modules that only some commands need are imported there: ``check`` is asked often and has to be quick.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from resync.console import Console
from resync.errors import Busy, ExitCode, Refused, ResyncError, Unfinished, UsageError
from resync.journal import Journal, Journals
from resync.model import MODE_GITLINK, Caller, Plan, Request, TreePath
from resync.report import data, text
from resync.report.words import count, short, shown
from resync.repository import Repository
from resync.repository.locks import RunLock
from resync.repository.sharing import share

if TYPE_CHECKING:
    from resync.rescue import KeptFile
    from resync.sequencer import Result
    from resync.waiting import Waiting
    from resync.worktree.settings import WorktreeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One call of a command: where, by whom, how to talk. ``env`` is the environment.

    ``words`` are the arguments that say what is to be done, for naming a command that does the same.
    """

    path: str
    env: Mapping[str, str]
    caller: Caller
    console: Console
    verbose: bool
    words: tuple[str, ...] = ()

    def again(self, command: str) -> str:
        """What to type for another command with the same meaning."""
        if command == "run" and not self.words:
            return "resync"
        return " ".join(["resync", command, *map(text.quoted, self.words)])

    @contextmanager
    def open(self) -> Iterator[Repository]:
        """The repository that the command is about; errors inside learn which one it is."""
        with Repository.open(os.path.abspath(self.path), self.env) as repository:
            for sentence in repository.warnings():
                self.console.warn(sentence)
            try:
                yield repository
                share(repository)
            except ResyncError as error:
                error.checkout = repository.root
                error.branch = repository.branch_name()
                error.hint = repository.hint(error)
                raise

    def settings(self, repository: Repository) -> WorktreeSettings:
        """What the configuration says about the working tree."""
        from resync.worktree.settings import read_settings

        base = self.env.get("XDG_CONFIG_HOME") or os.path.join(self.env.get("HOME", ""), ".config")
        return read_settings(
            repository.config, common_dir=repository.common_dir, user_dir=os.path.join(base, "git")
        )


# --- check and plan ----------------------------------------------------------------------------------


def check(session: Session, request: Request) -> ExitCode:
    """Was upstream rewritten? Writes objects and resync's own record only."""
    from resync.observe import observe, unusable

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        unfinished = journals.unfinished()
        seen = observe(repository, request, session.caller, console.progress)
        upstream = seen.upstream
        left_over = _waiting(repository, journals)
        refusal = unusable(upstream)
        code = ExitCode.OK
        error: ResyncError | None = None
        if unfinished is not None:
            code, error = ExitCode.UNFINISHED, _interrupted(unfinished)
        elif refusal is not None:
            code, error = ExitCode.REFUSED, refusal
        elif upstream.kind not in ("up-to-date", "advanced"):
            code = ExitCode.DUE
        elif left_over:
            code = ExitCode.WAITING
        hint = session.again("plan") if code == ExitCode.DUE else "resync status" if left_over else ""
        if refusal is None or session.verbose or upstream.successors:
            console.lines(text.upstream_lines(upstream, console.paint, verbose=session.verbose))
        if code == ExitCode.DUE:
            yours = count(len(seen.local), "commit") if seen.local else "no commits"
            console.lines([f"  You have {yours} of your own on {shown(seen.head.name)}."])
            console.lines([f"To see what would become of your work: {hint}"])
        console.important(_waiting_lines(left_over, session))
        if error is not None:
            console.error(text.error_lines(error, console.paint))
        console.document(
            data.document(
                "check",
                code,
                checkout=repository.root,
                branch=seen.head.name,
                upstream=upstream,
                error=error,
                hint=hint,
            )
        )
        return code


def plan(session: Session, request: Request) -> ExitCode:
    """Say what ``run`` would do, by doing all of it in memory."""
    from resync.rehearse import rehearse

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        _refuse_unfinished(journals)
        rehearsed = rehearse(
            repository, request, session.caller, session.settings(repository), console.progress
        )
        left_over = _waiting(repository, journals)
        code = ExitCode.DUE if rehearsed.recorded else ExitCode.WAITING if left_over else ExitCode.OK
        hint = session.again("run") if code == ExitCode.DUE else ""
        console.lines(_plan_lines(session, rehearsed))
        if code == ExitCode.DUE:
            console.lines([f"Nothing was changed. To carry this out: {hint}"])
        console.important(_waiting_lines(left_over, session))
        console.document(data.document("plan", code, plan=rehearsed, hint=hint))
        return code


def _plan_lines(session: Session, plan: Plan) -> Iterator[str]:
    paint = session.console.paint
    if plan.undoes is not None:
        yield f"This takes back run {plan.undoes}:"
    if plan.upstream is not None:
        yield from text.upstream_lines(plan.upstream, paint, verbose=session.verbose)
    if plan.recorded:
        yield from text.plan_lines(plan, paint)


def _refuse_to_guess(console: Console, *, yes: bool, hint: str) -> None:
    """Refuse where a person would have to be asked and there is nobody to ask."""
    if not yes and not console.interactive:
        raise UsageError(
            "not-a-terminal",
            "There is no terminal to ask on, and --yes was not given. Nothing was changed.",
            hint,
        )


def _agreed(session: Session, plan: Plan, question: str, *, ask: bool) -> None:
    """Show the plan and, with ``ask``, let the user decide; a no is ``Refused("declined")``."""
    console = session.console
    if not ask or not plan.recorded:
        console.lines(_plan_lines(session, plan))
        return
    # Nobody can answer about a plan that --quiet has hidden.
    console.important([*_plan_lines(session, plan), ""])
    if not console.ask(question):
        raise Refused("declined", "Nothing was changed.")


# --- run ---------------------------------------------------------------------------------------------


def run(session: Session, request: Request) -> ExitCode:
    """Fetch, plan, ask, do."""
    from resync.rehearse import rehearse
    from resync.sequencer import Sequencer

    console = session.console
    with session.open() as repository:
        hint = "resync plan to see what would be done; resync run --yes to do it"
        _refuse_to_guess(console, yes=request.unattended, hint=hint)
        journals = Journals(repository)
        settings = session.settings(repository)
        sequencer = Sequencer(repository, session.caller, settings)
        with RunLock(journals.folder):
            sequencer.sweep()
            unfinished = journals.unfinished()
            if unfinished is not None:
                if not request.unattended:
                    raise _interrupted(unfinished)
                finished = sequencer.finish(unfinished)
                return _report_done(session, repository, "run", unfinished.plan, finished)
            rehearsed = rehearse(repository, request, session.caller, settings, console.progress)
            _agreed(session, rehearsed, "Carry out this plan?", ask=not request.unattended)
            result = sequencer.carry_out(rehearsed)
            return _report_done(session, repository, "run", rehearsed, result)


def _report_done(
    session: Session, repository: Repository, command: str, done: Plan, result: Result
) -> ExitCode:
    """Say what became of everything, and record it with the run."""
    console = session.console
    journals = Journals(repository)
    left_over = _waiting(repository, journals)
    code = ExitCode.WAITING if left_over or result.left else ExitCode.OK
    document = data.document(
        command,
        code,
        plan=done,
        done=True,
        left=result.left,
        bared=result.bared,
        hint="resync status" if left_over else "",
    )
    if done.recorded:
        with suppress(OSError):
            # The run is done; that its record lacks what was said about it must not make it look failed.
            journals.conclude(done.id, document)
        console.lines([""])
        console.lines(text.done_lines(done, console.paint))
        console.important(text.left_lines(result.left, console.paint))
        console.important(text.bared_lines(result.bared, console.paint))
    elif done.upstream is not None and done.upstream.kind == "advanced":
        console.lines(["To carry your work over to its new commits: resync run --advance"])
    console.important(_waiting_lines(left_over, session))
    if done.recorded:
        console.lines(text.undo_line(done))
    console.document(document)
    return code


def _waiting(repository: Repository, journals: Journals) -> tuple[Waiting, ...]:
    if not any(entry.waits for entry in journals.entries()):
        return ()
    from resync.waiting import waiting

    return waiting(repository, journals)


def _waiting_lines(left_over: Iterable[Waiting], session: Session) -> Iterable[str]:
    for each in left_over:
        yield ""
        yield session.console.paint(
            f"Waiting for you since run {each.run} (all of it is safe on {shown(each.rescue.short_name)}):",
            "warning",
        )
        yield from text.waiting_lines(each)


def _interrupted(journal: Journal) -> Unfinished:
    return Unfinished(
        "interrupted-run",
        f"Run {journal.plan.id} was interrupted half-way. Everything of yours is backed up.",
        "resync continue to finish it, or resync abort to have everything back as it was",
    )


def _refuse_unfinished(journals: Journals) -> None:
    unfinished = journals.unfinished()
    if unfinished is not None:
        raise _interrupted(unfinished)


# --- the other half of an interrupted run --------------------------------------------------------------


def resume(session: Session, *, abort: bool) -> ExitCode:
    """``continue`` or ``abort`` an interrupted run."""
    from resync.sequencer import Sequencer

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        sequencer = Sequencer(repository, session.caller, session.settings(repository))
        with RunLock(journals.folder):
            died = bool(journals.everywhere("planned"))
            # A run that died before it changed anything left its locks, and git waits for them.
            sequencer.sweep()
            unfinished = journals.unfinished()
            if unfinished is None and died:
                console.lines(["What the run left that was killed is cleared away; it had changed nothing."])
                console.document(
                    data.document("abort" if abort else "continue", ExitCode.OK, checkout=repository.root)
                )
                return ExitCode.OK
            if unfinished is None:
                raise Refused(
                    "nothing-interrupted",
                    "No run was interrupted here. Nothing was changed.",
                    "resync status",
                )
            if not abort:
                result = sequencer.finish(unfinished)
                return _report_done(session, repository, "continue", unfinished.plan, result)
            left = sequencer.abort(unfinished).left
            code = ExitCode.WAITING if left else ExitCode.OK
            name = shown(unfinished.plan.head.name)
            console.lines([f"Run {unfinished.plan.id} was taken back; {name} and your files are as before."])
            console.important(text.left_lines(left, console.paint))
            console.document(
                data.document(
                    "abort", code, checkout=repository.root, branch=unfinished.plan.head.name, left=left
                )
            )
            return code


def undo(session: Session, run: str | None, *, yes: bool, discard_newer: bool) -> ExitCode:
    """Everything back as it was before a run, as a new run."""
    from resync import undo as undoing
    from resync.sequencer import Sequencer

    console = session.console
    with session.open() as repository:
        _refuse_to_guess(console, yes=yes, hint="resync undo --yes")
        journals = Journals(repository)
        settings = session.settings(repository)
        sequencer = Sequencer(repository, session.caller, settings)
        with RunLock(journals.folder):
            sequencer.sweep()
            _refuse_unfinished(journals)
            journal = undoing.choose(journals, run)
            rehearsed = undoing.rehearse_undo(
                repository, journal, session.caller, settings, discard_newer=discard_newer
            )
            _agreed(session, rehearsed, "Take it back?", ask=not yes)
            result = sequencer.carry_out(rehearsed)
            return _report_done(session, repository, "undo", rehearsed, result)


# --- looking back --------------------------------------------------------------------------------------


def status(session: Session) -> ExitCode:
    """Where an unfinished run or parked work stands."""
    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        unfinished = journals.unfinished()
        left_over = _waiting(repository, journals)
        head = repository.head()
        if unfinished is not None:
            error = _interrupted(unfinished)
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
            islice(_waiting_lines(left_over, session), 0 if code == ExitCode.UNFINISHED else 1, None)
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
