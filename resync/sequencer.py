"""Carries a plan out through the journal; finishes or takes back one that was interrupted.

The order is the promise: the journal's intent, then the backup (objects, refs, read back), then files,
then refs, then the index, then the journal's end. Every step that is done already is a step that
changes nothing, so finishing an interrupted run is carrying it out again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn

from resync.backup import RUN_REFS
from resync.errors import Busy, Interrupted, Refused, ResyncError, Unfinished
from resync.interrupts import uninterrupted
from resync.journal import Journal, Journals
from resync.model import (
    Backup,
    IndexChange,
    MoveRefs,
    Oid,
    Plan,
    RefName,
    RefUpdate,
    SetMessage,
    Switch,
    TreeEntry,
    TreePath,
)
from resync.repository import Repository
from resync.repository.locks import LockFile, Proof
from resync.repository.merge_message import put_message, read_message
from resync.repository.refs import RefTransaction, clear_locks, write_now
from resync.repository.trust import still_stands
from resync.request import Caller
from resync.worktree.drivers import clear_dead
from resync.worktree.files import Files, git_mode
from resync.worktree.index import index_bytes, load_index
from resync.worktree.reindex import reindexed
from resync.worktree.settings import WorktreeSettings
from resync.worktree.switch import FileSwitch, quarantined

_A_DAY = 24 * 60 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run met.

    ``left`` are paths that somebody else changed in between and that were left as they are, ``bared`` those
    whose extended attributes the system did not let it put on the new file. ``moved`` are updates of refs
    that were not taken back, because somebody else had moved them. ``interrupted``: a signal came too late.
    """

    left: tuple[TreePath, ...] = ()
    bared: tuple[TreePath, ...] = ()
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
            run = _Run(self._repository, journal, self._caller, self._settings)
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

    def _switch(self, run: _Run, plan: Plan) -> Result:
        """Files can be taken back as long as no ref has moved; from then on the run comes to its end."""
        left = run.change_files()
        with uninterrupted() as signals:
            left = run.publish(left)
            self._journals.advance(plan.id, "done", left)
        return Result(left=left, bared=run.bared, interrupted=bool(signals))

    def _give_up(self, run: _Run, plan: Plan, error: BaseException) -> None:
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
    def _leave(run: _Run, plan: Plan, error: BaseException) -> NoReturn:
        """Leave a run that is half-way locked, for ``continue`` or ``abort``."""
        run.abandon()
        reason = error.message if isinstance(error, ResyncError) else str(error) or type(error).__name__
        by_signal = isinstance(error, KeyboardInterrupt)
        raise (Interrupted if by_signal else Unfinished)(
            "interrupted-run",
            f"The run stopped half-way ({'interrupted' if by_signal else reason}). Everything of yours is"
            f" backed up{' on ' + _branch(plan.rescue) if plan.rescue else ''}.",
            "resync continue, or resync abort to have everything back as it was",
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
            Proof(self._journals.proof(entry.run)).release_left()
            if entry.state == "planned":
                self._journals.forget(entry.run)
            elif entry.state == "switching":
                # Its working tree is gone, and nobody can finish it: what it kept stays.
                self._journals.advance(entry.run, "aborted", entry.left)
        self._journals.clear_removed()
        clear_locks(self._repository)
        self._repository.objects.clear_dead(self._caller.now - _A_DAY)
        clear_dead(self._journals.folder, self._caller.now - _A_DAY)

    def finish(self, journal: Journal) -> Result:
        """Carry out what is left of an interrupted run."""
        run = _Run(self._repository, journal, self._caller, self._settings)
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
        run = _Run(self._repository, journal, self._caller, self._settings)
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

    def _lock_again(self, run: _Run, locks: ExitStack, plan: Plan, command: str) -> None:
        """Lock what a run that is half-way goes on with; refs that somebody moved since are ``run.moved``."""
        here, there = self._repository.root, plan.checkout
        if os.path.realpath(here) != os.path.realpath(there) and still_stands(
            there, self._repository.git_dir
        ):
            raise Unfinished(
                "other-worktree",
                f"Run {plan.id} was interrupted in {there}, and {here} is another working tree of the same"
                " repository. Nothing was changed.",
                f"cd {there}, then resync {command} (with GIT_DIR and GIT_WORK_TREE as they were, if you set"
                " them); if the repository was moved from there, move away what is there now",
            )
        try:
            run.lock(locks, lenient=True)
        except Refused as refused:
            if refused.kind == "ref-moved":
                raise Unfinished(
                    "ref-moved",
                    "Something else is checked out than when the run was interrupted. Nothing was changed.",
                    f"git checkout {_name(plan)}, then resync {command}",
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


class _Run:
    """The steps of one run, each a no-op where its after-state holds."""

    def __init__(
        self, repository: Repository, journal: Journal, caller: Caller, settings: WorktreeSettings
    ) -> None:
        plan = journal.plan
        self._repository = repository
        self._plan = plan
        self._who = caller.signed(repository.identity())
        self._backups = [update for step in plan.steps if isinstance(step, Backup) for update in step.refs]
        self._updates = [
            update for step in plan.steps if isinstance(step, MoveRefs) for update in step.updates
        ]
        self._switches = [step for step in plan.steps if isinstance(step, Switch)]
        self._messages = [step for step in plan.steps if isinstance(step, SetMessage)]
        self._files = FileSwitch(
            repository.root,
            journal.folder,
            repository.objects,
            plan.file_changes,
            settings,
            keep=caller.folder,
            originals=_originals(Journals(repository), plan),
            folders=plan.folders,
        )
        self._index_changes = [change for step in self._switches for change in step.index]
        self._proof = Proof(journal.proof)
        self._index_lock = LockFile(repository.index_path, self._proof)
        self._head_lock = LockFile(repository.ref_path(RefName(b"HEAD")), self._proof)
        self._refs = RefTransaction(repository, self._updates, self._proof)
        self._backup_refs = RefTransaction(repository, self._backups, self._proof)
        self.moved_refs = False

    @property
    def locked(self) -> tuple[str, ...]:
        """The files that it may lock."""
        return (self._index_lock.path, self._head_lock.path, *self._refs.files, *self._backup_refs.files)

    @property
    def moved(self) -> tuple[RefUpdate, ...]:
        """The updates of refs that somebody else has moved since; they are known with a lenient ``lock``."""
        return self._refs.left

    def lock(self, stack: ExitStack, *, lenient: bool = False) -> None:
        """Take the locks of index, HEAD and refs until the stack is left."""
        self._refs.lenient = lenient
        stack.enter_context(self._proof.written(self.locked))
        self._index_lock.acquire()
        stack.callback(self._index_lock.release)
        if self._plan.head.branch is not None:
            # A detached HEAD is among the refs; else it has to go on naming the branch.
            self._head_lock.acquire()
            stack.callback(self._head_lock.release)
        stack.enter_context(self._refs)
        branch = self._repository.head().branch
        if branch != self._plan.head.branch:
            raise Refused(
                "ref-moved",
                "Something else was checked out while resync was planning. Nothing was changed.",
                "resync",
            )

    def check(self) -> None:
        """Refuse where the checkout is no longer as it was planned with; prepare the new files."""
        data, _ = index_bytes(self._repository.index_path)
        found = self._repository.objects.hash_blob(data) if data is not None else None
        for step in self._switches:
            if found != step.index_file:
                raise Refused(
                    "changed-meanwhile",
                    "The index was changed by somebody else while resync was planning. Nothing was changed.",
                    "resync",
                )
        for message in self._messages:
            if self._message() != message.before:
                raise Refused(
                    "changed-meanwhile",
                    "The message in MERGE_MSG was changed by somebody else while resync was planning."
                    " Nothing was changed.",
                    "resync continue",
                )
        for update in self._updates:
            where = self._repository.other_checkout(update.name) if update.old is not None else None
            if where is not None:
                name = update.name.removeprefix(b"refs/heads/").decode("utf-8", "replace")
                raise Refused(
                    "ref-moved",
                    f"{name} was checked out in {where} while resync was planning. Nothing was changed.",
                    "resync",
                )
        self._files.check()
        self._files.stage()

    def _message(self) -> Oid | None:
        data = read_message(self._repository)
        return self._repository.objects.hash_blob(data) if data is not None else None

    def _put_message(self, old: Oid | None, new: Oid | None) -> None:
        """Replace the message where nobody has written another one in between."""
        if self._message() == old != new:
            data = self._repository.objects.blob(new) if new is not None else None
            put_message(self._repository, data, self._proof.path)

    def back_up(self) -> None:
        """Make the backup durable and read it back: objects, then the refs that keep them."""
        objects = self._repository.objects
        objects.sync()
        roots = [update.new for update in (*self._backups, *self._updates) if update.new is not None]
        roots += [change.after.oid for step in self._switches for change in step.files if change.after]
        objects.write_pack(objects.new_from(roots))
        with self._backup_refs as refs:
            refs.commit(self._who)
        self._check_backup()

    def _check_backup(self) -> None:
        for update in self._backups:
            if self._repository.ref(update.name) != update.new:
                raise Refused(
                    "backup-unreadable",
                    f"The backup {update.name.decode('utf-8', 'replace')} does not read back as it was"
                    " written.",
                    "git fsck",
                )

    @property
    def bared(self) -> tuple[TreePath, ...]:
        """The files whose extended attributes the system did not let the new ones have."""
        return tuple(self._files.bared)

    def change_files(self) -> tuple[TreePath, ...]:
        """Every file to its final bytes; returns the paths that are somebody else's by now."""
        self._files.stage()
        left = self._save((*self._files.apply(), *self._files.disturbed()))
        self._files.sync()
        return left

    def publish(self, left: Sequence[TreePath]) -> tuple[TreePath, ...]:
        """Refs, then the index; returns ``left`` with what the index could not follow."""
        self._check_backup()
        self.moved_refs = True
        self._refs.commit(self._who)
        for message in self._messages:
            self._put_message(message.before, message.after)
        return tuple(dict.fromkeys((*left, *self._write_index(self._index_changes))))

    def _save(self, left: Sequence[TreePath]) -> tuple[TreePath, ...]:
        """Pin what people made of files since the backup, and leave it as it is; returns its paths."""
        objects, files = self._repository.objects, Files(self._repository.root)
        entries: dict[TreePath, TreeEntry] = {}
        for path in left:
            status = files.lstat(path)
            mode = git_mode(status.st_mode) if status is not None else None
            if mode is not None:
                with suppress(Refused):  # it is at work on it just now
                    entries[path] = TreeEntry(mode, objects.add_blob(files.read(path)))
        if entries:
            name = RefName(b"%s%s/left" % (RUN_REFS, self._plan.id.encode()))
            old, new = self._repository.ref(name), objects.edit_tree(None, entries)
            update = RefUpdate(name=name, old=old, new=new, message="resync: left as they are")
            write_now(self._repository, [update], self._who)
        return tuple(dict.fromkeys(left))

    def revert(self) -> tuple[TreePath, ...]:
        """Everything back as it was before the run; the backup stays."""
        left = [*self._save((*self._files.revert(), *self._files.disturbed()))]
        self._files.sync()
        for message in self._messages:
            self._put_message(message.after, message.before)
        ours = [update for update in self._updates if update not in self.moved]
        if any(self._repository.ref(update.name) != update.old for update in ours):
            self._refs.take_back(self._who, "resync: aborted")
            left += self._write_index([change.inverse() for change in self._index_changes])
        return tuple(dict.fromkeys(left))

    def abandon(self) -> None:
        """Leave the locks on the disk, so that nobody works on a half-switched checkout."""
        self._proof.abandon()

    def _write_index(self, changes: Sequence[IndexChange]) -> tuple[TreePath, ...]:
        """The index with ``changes`` in place of the old one; the rename gives its lock up."""
        repository = self._repository
        width = repository.objects.hex_length
        index, modified = load_index(repository.index_path, hex_length=width)
        data, left = reindexed(
            index, modified, changes, repository.root, self._files.written, hex_length=width
        )
        self._index_lock.commit(data)
        return left


def _originals(journals: Journals, plan: Plan) -> Mapping[TreePath, bytes]:
    """Where the run that a plan takes back keeps the files that it moved out of the way."""
    if plan.undoes is None:
        return {}
    try:
        undone = journals.load(plan.undoes)
    except Refused:
        return {}  # its record was damaged since; the backup has the bytes
    return quarantined(undone.folder, undone.plan.file_changes)


def _name(plan: Plan) -> str:
    """What git checkout is told to have again what was checked out."""
    if plan.head.branch is None:
        return f"--detach {plan.head.tip.decode()}"
    return plan.head.name.decode("utf-8", "replace")


def _half_way_elsewhere(other: Journal) -> tuple[str, str]:
    """What to say, and what helps, where a run of another working tree is in the way."""
    place = other.plan.checkout
    return (
        f"Run {other.plan.id} was interrupted half-way in {place}, another working tree of this repository,"
        " and holds locks of what both need. Nothing was changed.",
        f"cd {place}, then resync continue or resync abort; if it is no longer there: git worktree prune",
    )


def _moved_since(moved: Sequence[RefUpdate]) -> Unfinished:
    names = ", ".join(update.name.decode("utf-8", "replace") for update in moved)
    return Unfinished(
        "ref-moved",
        f"The run that was interrupted cannot be finished, because somebody else has moved {names} since."
        " Nothing was changed.",
        "resync abort, which brings the files back and leaves what was moved where it is",
    )


def _branch(update: RefUpdate | None) -> str:
    return update.name.removeprefix(b"refs/heads/").decode("utf-8", "replace") if update else ""
