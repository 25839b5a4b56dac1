"""``continue``, ``skip`` and ``abort`` where a person finishes what was parked."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from resync.commands.session import Session, interrupted, still_waiting, waiting_lines
from resync.errors import ExitCode, Refused, ResyncError, as_reason
from resync.journal import Entry, Journals
from resync.model import Commit, Plan, Sitting
from resync.report import data, text
from resync.report import sitting as words
from resync.report.plan import done_lines, undo_line
from resync.report.words import shown
from resync.repository import Repository
from resync.repository.locks import RunLock

if TYPE_CHECKING:
    from resync.sequencer import Result, Sequencer
    from resync.worktree.index import Index


def skip(session: Session) -> ExitCode:
    """Leave what was taken parked, and go on with the next."""
    from resync.sequencer import Sequencer

    with session.open() as repository:
        journals = Journals(repository)
        sequencer = Sequencer(repository, session.caller, session.settings(repository))
        with RunLock(journals.folder):
            sequencer.sweep()
            unfinished = journals.unfinished()
            if unfinished is not None:
                raise interrupted(unfinished)
            entry = journals.sitting()
            if entry is None:
                raise Refused(
                    "nothing-to-skip",
                    "No conflict is being resolved here. Nothing was changed.",
                    "resync status",
                )
            return _step(session, repository, journals, sequencer, entry, skip=True)


def go_on(session: Session, repository: Repository, journals: Journals, sequencer: Sequencer) -> ExitCode:
    """Take the next of what is parked, or go on with what the person has resolved."""
    return _step(session, repository, journals, sequencer, journals.sitting(), skip=False)


def _step(
    session: Session,
    repository: Repository,
    journals: Journals,
    sequencer: Sequencer,
    entry: Entry | None,
    *,
    skip: bool,
) -> ExitCode:
    from resync import sitting
    from resync.checkout import programs_for
    from resync.commands import hooks
    from resync.resolutions import Resolutions
    from resync.signing import signed

    settings, caller = session.settings(repository), journals.unused(session.caller)
    if entry is None:
        plan = sitting.begin(repository, journals, caller, settings)
    else:
        last = journals.load(entry.run, steps=False).plan
        plan = sitting.go_on(repository, last, caller, settings, skip=skip)
        if not skip:
            record(session, repository, last.sitting)
    agreed = signed(repository, plan, caller, programs_for(repository, settings))
    result = sequencer.carry_out(agreed)
    if skip:
        Resolutions(repository).clear()
    hooks.rewritten(session, repository, agreed)
    return report(session, repository, "skip" if skip else "continue", agreed, result)


def give_up(
    session: Session, repository: Repository, journals: Journals, sequencer: Sequencer, entry: Entry
) -> ExitCode:
    """Everything back as it was before the sitting, as a run of its own."""
    from resync import undo
    from resync.resolutions import Resolutions
    from resync.sitting import check_place

    last = journals.load(entry.run, steps=False).plan
    check_place(repository, last, repository.head())
    journal = undo.choose(journals, entry.run)
    console, settings, caller = session.console, session.settings(repository), journals.unused(session.caller)
    plan = undo.rehearse_undo(repository, journal, caller, settings, discard_newer=True)
    result = sequencer.carry_out(plan)
    Resolutions(repository).clear()
    found = afterwards(session, repository, journals)
    code = found.status(result.left)
    name = shown(plan.head.name)
    document = data.document("abort", code, plan=plan, done=True, result=result, hint=found.hint)
    conclude(journals, plan, document)
    console.lines([f"{name}, its index and your files are as they were before run {journal.plan.id}."])
    if plan.rescue is not None:
        saved = shown(plan.rescue.name.removeprefix(b"refs/heads/"))
        console.lines([f"How far you had come is on the branch {saved}."])
    console.important(text.left_lines(result.left, console.paint))
    console.important(found.lines)
    console.lines(["To be in the middle of it again: resync undo"])
    console.document(document)
    return code


def report(session: Session, repository: Repository, command: str, done: Plan, result: Result) -> ExitCode:
    """Say what a step did and where the sitting stands, and record it with the run."""
    console, journals, sitting = session.console, Journals(repository), done.sitting
    assert sitting is not None
    found = afterwards(session, repository, journals, sitting)
    code = found.status(result.left)
    if result.interrupted:
        console.warn("A signal came when the last step had begun, so the run was finished.")
    document = data.document(
        command,
        code,
        plan=done,
        done=True,
        result=result,
        hint=found.hint,
        sitting=found.standing,
    )
    conclude(journals, done, document)
    console.lines(words.step_lines(done, console.paint))
    console.important(text.left_lines(result.left, console.paint))
    console.important(text.bared_lines(result.bared, console.paint))
    if not sitting.open:
        console.lines(done_lines(done, console.paint))
    console.important(found.lines)
    if not sitting.open:
        console.lines(undo_line(done))
    console.document(document)
    return code


class Afterwards(NamedTuple):
    """What there is for a person to do when a run is done: what waits, or where a sitting stands.

    ``standing`` says the latter to a program, and ``lines`` say all of it to a person. ``waits`` says that
    something waits, or cannot be looked at.
    """

    sitting: Sitting | None
    waits: bool
    standing: dict[str, Any] | None
    lines: tuple[str, ...]

    def status(self, *waiting: object) -> ExitCode:
        """The exit status of a run that is done; ``waiting`` is whatever else may need a person."""
        if self.sitting is not None and self.sitting.open:
            return ExitCode.UNFINISHED
        return ExitCode.WAITING if self.waits or any(waiting) else ExitCode.OK

    @property
    def hint(self) -> str:
        """What to type to see it; empty where there is nothing."""
        return "resync status" if self.status() else ""


def afterwards(
    session: Session, repository: Repository, journals: Journals, sitting: Sitting | None = None
) -> Afterwards:
    """Look what there is to do after a run, and record the conflicts of a sitting: the one that is given, or
    that stands open.

    The run is done, whatever the system says to that: nothing that goes wrong here makes it look failed.
    """
    try:
        sitting = sitting or open_sitting(journals)
        record(session, repository, sitting)
        if sitting is not None and sitting.open:
            lines = tuple(standing_lines(session, repository, sitting))
            return Afterwards(sitting, False, standing(repository, sitting), lines)
        left_over = still_waiting(repository, journals)
        return Afterwards(sitting, bool(left_over), None, tuple(waiting_lines(left_over, session)))
    except (OSError, ResyncError) as error:
        unseen = f"What waits for you cannot be looked at now ({as_reason(error)}): resync status"
        return Afterwards(sitting, True, None, (unseen,))


def record(session: Session, repository: Repository, sitting: Sitting | None) -> None:
    """Record, where git's rerere would, the conflicts that a person finds, or how they were resolved."""
    from resync.checkout import merge_options_at
    from resync.resolutions import Resolutions
    from resync.worktree.index import load_index

    if sitting is None or sitting.taken is None or sitting.taken.commit is None:
        return
    index, _ = load_index(repository.index_path, hex_length=repository.objects.hex_length)
    regular = {
        path: {each.stage for each in stages if stat.S_ISREG(each.mode)}
        for path, stages in index.unmerged.items()
    }
    tree = repository.objects.commit(repository.head().tip).tree
    options = merge_options_at(repository, tree, session.settings(repository))
    Resolutions(repository).update(
        [path for path, stages in regular.items() if stages >= {2, 3}],
        lambda path: options.attributes_of(path).marker_size,
    )


def conclude(journals: Journals, plan: Plan, document: dict[str, Any]) -> None:
    """Record with a run what was said about it, if the system lets us."""
    with suppress(OSError):
        # The run is done; that its record lacks what was said about it must not make it look failed.
        journals.conclude(plan.id, document)


def open_sitting(journals: Journals) -> Sitting | None:
    """The sitting that is open here, as it stood after its last step."""
    entry = journals.sitting()
    return journals.load(entry.run, steps=False).plan.sitting if entry is not None else None


def standing_lines(session: Session, repository: Repository, sitting: Sitting) -> Iterator[str]:
    """Where a sitting stands, for a person."""
    from resync.checkout import merge_options_at
    from resync.sitting import marked, staged_entry

    index, commit = _look(repository, sitting)
    objects, taken = repository.objects, sitting.taken
    unmerged = {path: [each.stage for each in stages] for path, stages in index.unmerged.items()}
    if taken is not None:
        tree = objects.commit(repository.head().tip).tree
        options = merge_options_at(repository, tree, session.settings(repository))
        left = marked(objects, taken, options, lambda path: [staged_entry(index, path)])
        unmerged.update((path, []) for path in left if path not in unmerged)
    first = Journals(repository).load(sitting.id, steps=False).plan.rescue
    rescue = first.name.removeprefix(b"refs/heads/") if first is not None else None
    yield from words.standing_lines(sitting, commit, unmerged, rescue, session.console.paint)


def standing(repository: Repository, sitting: Sitting) -> dict[str, Any] | None:
    """Where a sitting stands, for a program; None where it is over."""
    if not sitting.open:
        return None
    index, commit = _look(repository, sitting)
    return data.sitting(sitting, commit, index.unmerged.keys())


def _look(repository: Repository, sitting: Sitting) -> tuple[Index, Commit | None]:
    """The index as it is now, and the commit that was taken."""
    from resync.worktree.index import load_index

    index, _ = load_index(repository.index_path, hex_length=repository.objects.hex_length)
    taken = sitting.taken
    return index, repository.objects.commit(taken.commit) if taken is not None and taken.commit else None
