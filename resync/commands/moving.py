"""``plan``, ``run``, and what finishes a run or takes it back: ``continue``, ``abort``, ``undo``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from resync.commands import sitting as resolving
from resync.commands.session import (
    Session,
    elsewhere_hint,
    half_way_elsewhere,
    interrupted,
    refuse_to_guess,
    refuse_unfinished,
    still_waiting,
    waiting_lines,
)
from resync.errors import Busy, ExitCode, Refused, ResyncError
from resync.journal import Journals
from resync.model import Plan
from resync.report import data, text
from resync.report.plan import branch_lines, changed, done_lines, plan_lines, undo_line
from resync.report.words import count, shown
from resync.repository import Repository
from resync.repository.locks import RunLock
from resync.repository.trust import network_file_system
from resync.request import Request

if TYPE_CHECKING:
    from resync.sequencer import Result, Sequencer


def plan(session: Session, request: Request) -> ExitCode:
    """Say what ``run`` would do, by doing all of it in memory."""
    from resync.rehearse import rehearse

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        refuse_unfinished(journals)
        rehearsed = rehearse(repository, request, session.caller, session.settings(repository))
        left_over = still_waiting(repository, journals)
        elsewhere = elsewhere_hint(session, rehearsed.elsewhere)
        waits = bool(left_over) or any(each.waits for each in rehearsed.branches)
        due = rehearsed.recorded or elsewhere
        code = ExitCode.DUE if due else ExitCode.WAITING if waits else ExitCode.OK
        hint = session.again("run") if rehearsed.recorded else elsewhere
        console.lines(_plan_lines(session, rehearsed))
        if rehearsed.recorded:
            console.lines([f"Nothing was changed. To carry this out: {hint}"])
        console.important(text.elsewhere_lines(rehearsed.elsewhere, rehearsed.head, elsewhere, console.paint))
        console.important(waiting_lines(left_over, session))
        console.document(data.document("plan", code, plan=rehearsed, hint=hint))
        return code


def _plan_lines(session: Session, plan: Plan) -> Iterator[str]:
    paint = session.console.paint
    if plan.undoes is not None:
        yield f"This takes back run {plan.undoes}:"
    if plan.upstream is not None:
        yield from text.upstream_lines(plan.upstream, paint, verbose=session.verbose)
    if plan.recorded:
        yield from plan_lines(plan, paint)
    else:
        yield from branch_lines(plan, paint)
        yield from text.note_lines(plan.notes, paint)


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


def run(session: Session, request: Request) -> ExitCode:
    """Fetch, plan, ask, do."""
    from resync.backup import pin_autostash
    from resync.checkout import programs_for
    from resync.commands import hooks
    from resync.letting_go import prune
    from resync.refusals import Doubt
    from resync.rehearse import rehearse
    from resync.sequencer import Sequencer
    from resync.signing import signed

    console = session.console
    with session.open() as repository:
        refuse_to_guess(
            console,
            yes=request.unattended,
            hints=("resync plan    # shows what would be done", "resync run --yes    # does it"),
        )
        journals = Journals(repository)
        settings = session.settings(repository)
        sequencer = Sequencer(repository, session.caller, settings)
        _warn(session, repository)
        with RunLock(journals.folder):
            sequencer.sweep()
            unfinished = journals.unfinished()
            if unfinished is not None:
                if not request.unattended:
                    raise interrupted(unfinished)
                finished = sequencer.finish(unfinished)
                return _report_done(session, repository, "run", unfinished.plan, finished)
            refuse_unfinished(journals)
            prune(repository, journals, session.caller)
            caller = journals.unused(session.caller)
            console.log(f"{repository.root}: asking upstream, and rehearsing")
            try:
                rehearsed = rehearse(repository, request, caller, settings)
            except Refused as refusal:
                if refusal.kind == "operation-in-progress":
                    pin_autostash(repository, caller)
                if not isinstance(refusal, Doubt):
                    raise
                if request.unattended:
                    raise
                request = replace(request, old_tip=_asked_for_old_tip(session, repository, request))
                rehearsed = rehearse(repository, request, caller, settings)
            _agreed(session, rehearsed, "Carry out this plan?", ask=not request.unattended)
            agreed = signed(repository, rehearsed, caller, programs_for(repository, settings))
            console.important(text.note_lines(agreed.notes[len(rehearsed.notes) :], console.paint))
            for line in _headline(agreed):
                console.log(f"{repository.root}: {line}")
            with hooks.around(session, repository, agreed, "run"):
                result = sequencer.carry_out(agreed)
            return _report_done(session, repository, "run", agreed, result)


def _headline(plan: Plan) -> Iterator[str]:
    """What upstream did and what will be done about it, for the log."""
    if plan.upstream is not None:
        yield next(text.upstream_lines(plan.upstream, lambda line, tone: line))
    if plan.recorded:
        yield f"run {plan.id}: {count(len(plan.commits), 'commit')} of yours, {changed(plan)} to change"


def _warn(session: Session, repository: Repository) -> None:
    """Say what a run does not stumble over and somebody should know of."""
    for sentence in repository.broken_refs():
        session.console.warn(sentence)
    kind = network_file_system(repository.common_dir)
    if kind is not None:
        session.console.warn(
            f"The repository lies on a network file system ({kind}): run resync on one machine at a time."
        )


def _asked_for_old_tip(session: Session, repository: Repository, request: Request) -> str:
    """Let a person say where upstream's commits end; an answer that is none raises ``Doubt``."""
    from resync.observe import observe
    from resync.refusals import unusable
    from resync.upstream.candidates import candidates
    from resync.upstream.dropped import made_here
    from resync.upstream.published import published

    console = session.console
    seen = observe(repository, request, session.caller)
    refusal = unusable(seen)
    if refusal is None or seen.upstream.new_tip is None:
        raise Busy("moved-meanwhile", "Upstream moved just now. Nothing was changed.", "resync")
    likely = candidates(
        seen.history,
        head=seen.head.tip,
        new_tip=seen.upstream.new_tip,
        made=made_here(repository, seen.history, seen.head, seen.branch.tracking),
        published=published(
            repository, seen.branch, seen.head, seen.fetched.refs if seen.fetched is not None else None
        ),
    )
    commits = [(each, repository.objects.commit(each.oid)) for each in likely]
    console.important(text.candidate_lines(seen.upstream, commits, console.paint))
    chosen = console.choose("Which one was the last of upstream's?", len(commits)) if commits else None
    if chosen is None:
        raise refusal
    return likely[chosen].oid.decode()


def _report_done(
    session: Session, repository: Repository, command: str, done: Plan, result: Result
) -> ExitCode:
    """Tell the hook, say what became of everything, and record it with the run."""
    from resync.commands import hooks

    console = session.console
    if done.undoes is None:
        hooks.rewritten(session, repository, done)
    if done.resolves:
        return resolving.report(session, repository, command, done, result)
    journals = Journals(repository)
    found = resolving.afterwards(session, repository, journals)
    sitting = found.sitting
    behind = any(each.waits for each in done.branches)
    elsewhere = elsewhere_hint(session, done.elsewhere)
    code = found.status(result.left, behind, elsewhere)
    if result.interrupted:
        console.warn("A signal came when the last step had begun, so the run was finished.")
    stopped_at: dict[str, Any] = {"sitting": found.standing} if sitting is not None else {}
    document = data.document(
        command,
        code,
        plan=done,
        done=True,
        result=result,
        hint=found.hint or elsewhere,
        **stopped_at,
    )
    if done.recorded:
        resolving.conclude(journals, done, document)
        console.lines([""])
        console.lines(done_lines(done, console.paint))
        console.important(text.left_lines(result.left, console.paint))
        console.important(text.bared_lines(result.bared, console.paint))
    elif done.upstream is not None and done.upstream.kind == "advanced":
        console.lines(["To carry your work over to its new commits: resync run --advance"])
    console.important(text.elsewhere_lines(done.elsewhere, done.head, elsewhere, console.paint))
    console.important([""] if sitting is not None else [])
    console.important(found.lines)
    if done.recorded:
        console.lines(undo_line(done))
        console.lines(_further_back(journals, done))
    if not hooks.after(session, repository, done, document):
        code = code or ExitCode.WAITING
        document.update(exit_code=int(code), hint=f"see why the command of resync.{hooks.POST} failed")
        resolving.conclude(journals, done, document)
    console.log(f"{repository.root}: {command} done, status {int(code)}")
    console.document(document)
    return code


def _further_back(journals: Journals, done: Plan) -> Iterator[str]:
    """After an undo: how to take back the run before the one that it took back, for ``resync undo`` alone
    would take back the undo."""
    try:
        finished = list(journals.finished()) if done.undoes is not None else []
    except (OSError, ResyncError):
        return  # the undo is done, whatever the system says to a look at what there was before
    undone = next((entry for entry, _ in finished if entry.run == done.undoes), None)
    before = next((entry for entry, stands in finished if stands and entry.undoes is None), None)
    if undone is not None and undone.undoes is None and before is not None:
        yield f"To take back the run before it as well: resync undo {before.sitting or before.run}"


def resume(session: Session, *, abort: bool) -> ExitCode:
    """``continue`` or ``abort`` an interrupted run, else a person's work on conflicts."""
    from resync.commands import hooks
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
            if unfinished is None and died and journals.sitting() is None:
                return _nothing_more(session, repository, "abort" if abort else "continue")
            elsewhere = journals.moved_from_elsewhere() if unfinished is None else None
            if elsewhere is not None:
                raise half_way_elsewhere(elsewhere)
            if unfinished is None:
                return _resume_sitting(session, repository, sequencer, abort=abort)
            if not abort:
                result = sequencer.finish(unfinished)
                return _report_done(session, repository, "continue", unfinished.plan, result)
            result = sequencer.abort(unfinished)
            left = result.left
            found = resolving.afterwards(session, repository, journals)
            code = found.status(left, result.moved)
            what = "your files" if result.moved else f"{shown(unfinished.plan.head.name)} and your files"
            console.lines([f"Run {unfinished.plan.id} was taken back; {what} are as before."])
            console.important(text.left_lines(left, console.paint))
            for update in result.moved:
                console.warn(text.moved_sentence(update))
            console.important(found.lines)
            document = data.document(
                "abort",
                code,
                checkout=repository.root,
                branch=unfinished.plan.head.name,
                result=result,
                hint=found.hint,
            )
            if not hooks.after(session, repository, unfinished.plan, document):
                code = code or ExitCode.WAITING
                document["exit_code"] = int(code)
            console.document(document)
            return code


def _nothing_more(session: Session, repository: Repository, command: str) -> ExitCode:
    """The end of a command that had nothing to finish or take back but what a killed run left behind."""
    found = resolving.afterwards(session, repository, Journals(repository))
    code = found.status()
    session.console.important(found.lines)
    session.console.document(data.document(command, code, checkout=repository.root, hint=found.hint))
    return code


def _resume_sitting(
    session: Session, repository: Repository, sequencer: Sequencer, *, abort: bool
) -> ExitCode:
    journals = Journals(repository)
    if not abort:
        return resolving.go_on(session, repository, journals, sequencer)
    entry = journals.sitting()
    if entry is None:
        raise Refused(
            "nothing-interrupted",
            "No run was interrupted here, and no conflict is being resolved. Nothing was changed.",
            "resync status",
        )
    return resolving.give_up(session, repository, journals, sequencer, entry)


def undo(session: Session, run: str | None, *, yes: bool, discard_newer: bool) -> ExitCode:
    """Everything back as it was before a run, as a new run."""
    from resync import undo as undoing
    from resync.commands import hooks
    from resync.sequencer import Sequencer

    console = session.console
    with session.open() as repository:
        again = f"resync undo {run}" if run is not None else "resync undo"
        refuse_to_guess(
            console, yes=yes, hints=(f"{again} --yes{' --discard-newer' if discard_newer else ''}",)
        )
        journals = Journals(repository)
        settings = session.settings(repository)
        sequencer = Sequencer(repository, session.caller, settings)
        with RunLock(journals.folder):
            sequencer.sweep()
            refuse_unfinished(journals)
            journal = undoing.choose(journals, run)
            # A person is shown the newer commits and asked.
            rehearsed = undoing.rehearse_undo(
                repository,
                journal,
                journals.unused(session.caller),
                settings,
                discard_newer=discard_newer or not yes,
            )
            _agreed(session, rehearsed, "Take it back?", ask=not yes)
            with hooks.around(session, repository, rehearsed, "undo"):
                result = sequencer.carry_out(rehearsed)
            return _report_done(session, repository, "undo", rehearsed, result)
