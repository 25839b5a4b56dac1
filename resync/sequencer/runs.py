"""Carries a plan out through the journal; finishes or takes back one that was interrupted.

The order is the promise: the journal's intent, then the backup (objects, refs, read back), then files,
then refs, then the index, then the journal's end. Every step that is done already is a step that
changes nothing, so finishing an interrupted run is carrying it out again.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn

from resync.errors import WAYS_ON, Busy, Interrupted, Refused, ResyncError, Unfinished, as_reason
from resync.interrupts import uninterrupted
from resync.journal import Entry, Journal, Journals
from resync.model import MoveRefs, PathIn, Plan, RefUpdate
from resync.repository import Repository
from resync.repository.locks import Proof
from resync.repository.refs import clear_locks, write_now
from resync.repository.trust import still_stands
from resync.request import Caller
from resync.sequencer.steps import Run
from resync.worktree.drivers import clear_dead
from resync.worktree.settings import WorktreeSettings

_A_DAY = 24 * 60 * 60
# What cannot be taken back, now or later: its record is damaged, or something else is checked out by now.
_GIVEN_UP = ("ref-moved", "unreadable-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run met.

    ``left`` are paths that somebody else changed in between and that were left as they are, ``bared`` those
    whose extended attributes the system did not let it put on the new file. ``moved`` are updates of refs
    that were not taken back, because somebody else had moved them. ``interrupted``: a signal came too late.
    """

    left: tuple[PathIn, ...] = ()
    bared: tuple[PathIn, ...] = ()
    moved: tuple[RefUpdate, ...] = ()
    interrupted: bool = False


class Sequencer:
    """Carries out the runs of one repository."""

    def __init__(self, repository: Repository, caller: Caller, settings: WorktreeSettings) -> None:
        self._repository = repository
        self._caller = caller
        self._settings = settings
        self._journals = Journals(repository)

    # --- a new run ---

    def carry_out(self, plan: Plan) -> Result:
        """Carry out a whole plan.

        Raises ``Refused`` or ``Busy`` with nothing of the user's changed, and ``Unfinished`` where the run
        stopped half-way and could not be taken back.
        """
        if not plan.recorded:
            # A plan that only moves refs needs no backup and leaves no record.
            updates = [each for step in plan.steps if isinstance(step, MoveRefs) for each in step.updates]
            with self._knowing_whose(self._repository.ref_path(update.name) for update in updates):
                write_now(self._repository, updates, self._who())
            return Result()
        journal = self._journals.begin(plan, self._caller.now)
        try:
            run = Run(self._repository, journal, self._caller, self._settings)
            with ExitStack() as taken:
                with self._knowing_whose(run.locked):
                    run.lock(taken)
                run.check()
                run.back_up()
                self._journals.advance(plan.id, "switching")
                locks = taken.pop_all()
        except BaseException:
            with uninterrupted(), suppress(OSError):
                self._forget(plan.id)
            raise
        with _held(locks):
            try:
                result = self._switch(run, plan)
            except BaseException as error:
                with uninterrupted():
                    self._give_up(run, plan, error)
                raise
        return result

    @contextmanager
    def _knowing_whose(self, files: Iterable[str]) -> Iterator[None]:
        """Say so where the lock of a file is that of a run which is half-way in another working tree."""
        try:
            yield
        except Busy:
            wanted = tuple(files)
            for other in self._journals.unfinished_elsewhere():
                if any(Proof(other.proof).proves(file + ".lock") for file in wanted):
                    raise Busy("locked", *_half_way_elsewhere(other)) from None
            raise

    def _forget(self, run: str) -> None:
        """Remove the record of a run that changed nothing, but not while it proves whose a lock is."""
        Proof(self._journals.proof(run)).settle()
        self._journals.forget(run)

    def _switch(self, run: Run, plan: Plan) -> Result:
        """Files can be taken back as long as no ref has moved; from then on the run comes to its end."""
        left = run.change_files()
        with uninterrupted() as signals:
            left = run.publish(left)
            self._journals.advance(plan.id, "done", left)
        return Result(left=left, bared=run.bared, interrupted=bool(signals))

    def _give_up(self, run: Run, plan: Plan, error: BaseException) -> None:
        """After a failure half-way: take everything back, or leave it locked for ``continue``."""
        reverted = False
        with suppress(OSError, ResyncError):
            if not run.moved_refs and not run.revert():
                self._journals.advance(plan.id, "aborted")
                reverted = True
        if not reverted:
            self._leave(run, plan, error)
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(
                "cancelled",
                "Interrupted while files were being changed: they are all back as they were. Nothing was"
                " changed.",
                "resync",
            ) from error

    @staticmethod
    def _leave(run: Run, plan: Plan, error: BaseException) -> NoReturn:
        """Leave a run that is half-way locked, for ``continue`` or ``abort``."""
        run.abandon()
        reason = error.message if isinstance(error, ResyncError) else str(error) or type(error).__name__
        by_signal = isinstance(error, KeyboardInterrupt)
        raise (Interrupted if by_signal else Unfinished)(
            "interrupted-run",
            f"The run stopped half-way ({'interrupted' if by_signal else reason}). Everything of yours is"
            f" backed up{' on ' + _branch(plan.rescue) if plan.rescue else ''}.",
            *WAYS_ON,
        ) from error

    # --- an interrupted run ---

    def sweep(self) -> None:
        """Clear away what runs left that died before or after they changed things: the locks that are
        provably theirs, and the record of those that changed nothing.

        Call it with the lock of runs held: nobody else can be planning then.
        """
        for entry in self._journals.everywhere():
            if entry.state == "switching" and self._journals.stands(entry):
                continue
            left = entry.all_left
            if entry.state == "switching":
                try:
                    left += self._take_others_back(entry)
                except (ResyncError, OSError) as error:
                    if not isinstance(error, ResyncError) or error.kind not in _GIVEN_UP:
                        if self._journals.takes_along(entry):
                            raise _not_taken_back(entry, error) from error
                        continue  # it stays locked for those whom it concerns
            Proof(self._journals.proof(entry.run)).release_left()
            if entry.state == "planned":
                self._journals.forget(entry.run)
            elif entry.state == "switching":
                # Its working tree is gone, and nobody can finish it: what it kept stays.
                self._journals.advance(entry.run, "aborted", left)
        self._journals.clear_removed()
        clear_locks(self._repository)
        self._repository.objects.clear_dead(self._caller.now - _A_DAY)
        clear_dead(self._journals.folder, self._caller.now - _A_DAY)

    def _take_others_back(self, entry: Entry) -> tuple[PathIn, ...]:
        """Take back what a run did in other working trees than its own, which is gone, and to the refs;
        returns the paths that are somebody else's by now."""
        if not entry.trees:
            return ()
        run = Run(self._repository, self._journals.load(entry.run), self._caller, self._settings, gone=True)
        with ExitStack() as locks:
            try:
                run.lock(locks, lenient=True)
                return run.revert()
            except BaseException:
                run.abandon()
                raise

    def finish(self, journal: Journal) -> Result:
        """Carry out what is left of an interrupted run."""
        run = self._taken_up(journal)
        locks = ExitStack()
        with _held(locks):
            self._lock_again(run, locks, journal.plan, "continue")
            if run.moved:
                raise _moved_since(run.moved)
            try:
                result = self._switch(run, journal.plan)
            except BaseException as error:
                with uninterrupted():
                    self._leave(run, journal.plan, error)
        return result

    def abort(self, journal: Journal) -> Result:
        """Take back whatever an interrupted run did."""
        run = self._taken_up(journal)
        locks = ExitStack()
        with _held(locks):
            self._lock_again(run, locks, journal.plan, "abort")
            try:
                left = run.revert()
                self._journals.advance(journal.plan.id, "aborted")
            except BaseException as error:
                with uninterrupted():
                    self._leave(run, journal.plan, error)
        return Result(left=left, moved=run.moved)

    def _taken_up(self, journal: Journal) -> Run:
        """A run that is half-way; raises ``Unfinished`` where one of its working trees cannot be opened."""
        try:
            return Run(self._repository, journal, self._caller, self._settings)
        except Refused as refused:
            raise Unfinished(refused.kind, refused.message, refused.hint) from None

    def _lock_again(self, run: Run, locks: ExitStack, plan: Plan, command: str) -> None:
        """Lock what a run that is half-way goes on with; refs that somebody moved since are ``run.moved``."""
        here, there = self._repository.root, plan.checkout
        if os.path.realpath(here) != os.path.realpath(there) and still_stands(
            there, self._repository.git_dir
        ):
            raise Unfinished(
                "other-worktree",
                f"Run {plan.id} was interrupted in {there}, and {here} is another working tree of the same"
                " repository. Nothing was changed.",
                f"cd {shlex.quote(there)} && resync {command}    # with GIT_DIR and GIT_WORK_TREE as then",
                "if the repository was moved from there, move away what is there now",
            )
        try:
            run.lock(locks, lenient=True)
        except Refused as refused:
            if refused.kind == "ref-moved":
                raise Unfinished(
                    "ref-moved",
                    "Something else is checked out than when the run was interrupted. Nothing was changed.",
                    f"{run.way_back()} && resync {command}",
                ) from None
            raise

    def _who(self) -> bytes:
        return self._caller.signed(self._repository.identity())


@contextmanager
def _held(locks: ExitStack) -> Iterator[None]:
    """Give the locks up when the block ends; raises ``Unfinished`` where that is all that is left to do."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            locks.close()
        raise
    try:
        locks.close()
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise Unfinished(
            "lock-left",
            "All is done, but the system does not let resync remove a lock of its own"
            f" ({error.strerror}{where}), and git waits for it.",
            "resync continue",
        ) from error


def _half_way_elsewhere(other: Journal) -> tuple[str, ...]:
    """What to say, and what helps, where a run of another working tree is in the way."""
    place = other.plan.checkout
    return (
        f"Run {other.plan.id} was interrupted half-way in {place}, another working tree of this repository,"
        " and holds locks of what both need. Nothing was changed.",
        f"cd {shlex.quote(place)} && resync continue    # or resync abort",
        "git worktree prune    # where it is no longer there",
    )


def _not_taken_back(entry: Entry, error: ResyncError | OSError) -> Unfinished:
    """What to say where a run stands half-way here, its own working tree is gone, and the way back fails."""
    first = error.hint.split("\n") if isinstance(error, ResyncError) else ()
    return Unfinished(
        "interrupted-run",
        f"Run {entry.run} was interrupted half-way, the working tree in which it was made is gone, and what"
        f" it did here cannot be taken back now: {as_reason(error)}. Everything of yours is backed up.",
        *first,
        "resync abort    # when that is done" if first else "resync abort",
    )


def _moved_since(moved: Sequence[RefUpdate]) -> Unfinished:
    names = ", ".join(update.name.decode("utf-8", "replace") for update in moved)
    return Unfinished(
        "ref-moved",
        f"The run that was interrupted cannot be finished, because somebody else has moved {names} since."
        " Nothing was changed.",
        "resync abort    # brings the files back and leaves what was moved where it is",
    )


def _branch(update: RefUpdate | None) -> str:
    return update.name.removeprefix(b"refs/heads/").decode("utf-8", "replace") if update else ""
