"""The runs that are on record: those of this working tree, and those of others."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from resync.errors import Refused
from resync.journal.record import VERSION, decode, encode, in_lines, read, write, write_text
from resync.model import MoveRefs, PathIn, Plan, RefName, Step, Switch, TreePath
from resync.repository import Repository
from resync.repository.durable import fsync_directory, make_folders
from resync.repository.renames import former_names
from resync.request import Caller, run_id

TREES = "trees"
"""Where a run keeps what is of other working trees: a folder in its own, and what their pins begin with."""
_REMOVED = "removed-"


# What the state may be, in the order in which it does. A run in "switching" is finished or undone;
# before that nothing of the user's was touched.
STATES = ("planned", "switching", "done", "aborted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What ``state.json`` says of a run.

    Runs are ordered by ``number``: a clock may stand or go back. ``when`` is in seconds since 1970.
    ``worktree`` is the working tree that it was made in (its git directory, from the common one), ``undoes``
    the run that it took back, ``waits`` whether it parked anything or left anything alone. ``left`` are the
    paths that somebody else changed while it was at work, ``left_in`` those in other working trees.
    ``trees`` are the other working trees that move along in it. ``sitting`` is that which it is a part of, by
    its first run, and ``sits`` says that the sitting went on after it.
    """

    version: int = VERSION
    number: int
    run: str
    when: int = 0
    state: str
    worktree: str
    undoes: str | None
    waits: bool
    left: tuple[TreePath, ...] = ()
    left_in: tuple[PathIn, ...] = ()
    trees: tuple[str, ...] = ()
    sitting: str | None = None
    sits: bool = False

    @property
    def all_left(self) -> tuple[PathIn, ...]:
        """What was left alone, in whichever working tree."""
        return (*map(PathIn, self.left), *self.left_in)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """One run as it was recorded."""

    plan: Plan
    folder: str
    state: str

    @property
    def proof(self) -> str:
        """The file that proves which locks are the run's."""
        return _proof(self.folder)

    def tree_folder(self, number: int) -> str:
        """The folder for the files of another working tree that moves along, by the number in its plan."""
        return os.path.join(self.folder, TREES, str(number))


class Journals:
    """The runs of a repository; questions are about those of the working tree that it was opened at."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._worktree = os.path.relpath(repository.git_dir, repository.common_dir)
        self.folder = os.path.join(repository.common_dir, "resync")
        self._runs = os.path.join(self.folder, "runs")

    def run_folder(self, run: str) -> str:
        """The folder of one run, whether it exists or not."""
        return os.path.join(self._runs, run)

    def unused(self, caller: Caller) -> Caller:
        """The caller with an id for a run that no run here has: chance alone gives one twice, where the clock
        stands. Call it with the lock of runs held where the run is to begin."""
        while os.path.lexists(self.run_folder(caller.run)):
            caller = replace(caller, run=run_id(caller.run.rpartition("-")[0]))
        return caller

    def proof(self, run: str) -> str:
        """The file that proves which locks are one run's."""
        return _proof(self.run_folder(run))

    def begin(self, plan: Plan, when: int) -> Journal:
        """Record a run before its first step. Call it with the lock of runs held; ``when`` is in seconds
        since 1970."""
        folder = self.run_folder(plan.id)
        make_folders(self._runs)
        os.mkdir(folder)
        write(os.path.join(folder, "plan.json"), {"version": VERSION, "plan": encode(plan)})
        entry = Entry(
            number=max((entry.number for entry in self.everywhere()), default=0) + 1,
            run=plan.id,
            when=when,
            state="planned",
            worktree=self._worktree,
            undoes=plan.undoes,
            waits=plan.waiting,
            trees=tuple(tree.git_dir for _, tree in plan.others),
            sitting=plan.sitting.id if plan.sitting is not None else None,
            sits=plan.halted,
        )
        write(os.path.join(folder, "state.json"), encode(entry))
        fsync_directory(folder)
        fsync_directory(self._runs)
        return Journal(plan=plan, folder=folder, state=entry.state)

    def advance(self, run: str, state: str, left: tuple[PathIn, ...] = ()) -> None:
        """Record durably how far a run came: one of ``STATES``; and what it left alone."""
        assert state in STATES
        folder = self.run_folder(run)
        before = _read_entry(folder)
        entry = replace(
            before,
            state=state,
            left=tuple(each.path for each in left if each.root is None),
            left_in=tuple(each for each in left if each.root is not None),
            waits=before.waits or bool(left),
        )
        write(os.path.join(folder, "state.json"), encode(entry))
        fsync_directory(folder)

    def conclude(self, run: str, outcome: Mapping[str, Any]) -> None:
        """Record what the user was told at the end."""
        write_text(os.path.join(self.run_folder(run), "outcome.json"), in_lines(outcome))

    def forget(self, run: str) -> None:
        """Remove the record of a run, and whatever is in its folder."""
        self._remove(self.run_folder(run))

    def empty(self, run: str) -> None:
        """Remove the files that a run keeps, and leave its record."""
        for part in ("quarantine", "staging", TREES):
            self._remove(os.path.join(self.run_folder(run), part))

    def clear_removed(self) -> None:
        """Remove what is left of folders whose removal was interrupted."""
        import shutil

        for name in os.listdir(self.folder) if os.path.isdir(self.folder) else ():
            if name.startswith(_REMOVED):
                shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

    def _remove(self, folder: str) -> None:
        """Remove a folder, all at once for whoever looks: no half of one is ever taken for a run."""
        import shutil

        gone = os.path.join(self.folder, _REMOVED + os.path.relpath(folder, self._runs).replace(os.sep, "-"))
        try:
            os.rename(folder, gone)
            fsync_directory(os.path.dirname(folder))
        except OSError:
            gone = folder
        shutil.rmtree(gone, ignore_errors=True)

    def load(self, run: str, *, steps: bool = True) -> Journal:
        """One run, without the steps of its plan (which are most of it) if so asked. One that is done speaks
        of the branch that is checked out by the name that it has now.

        Raises ``Refused``: ``unknown-run``, or ``unreadable-journal`` where it is damaged.
        """
        folder = self.run_folder(run)
        try:
            record = read(os.path.join(folder, "plan.json"))
            state = _read_entry(folder).state
        except FileNotFoundError:
            raise Refused(
                "unknown-run", f"There is no run {run} here. Nothing was changed.", "resync log"
            ) from None
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise _unreadable(run, str(error)) from None
        try:
            plan = decode(Plan, record["plan"] if steps else {**record["plan"], "steps": []})
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(run, str(error)) from None
        if state == "done" and self._renamed:
            plan = _renamed(plan, self._renamed)
        return Journal(plan=plan, folder=folder, state=state)

    @functools.cached_property
    def _renamed(self) -> dict[RefName, RefName]:
        """The names that the branch which is checked out had before, each with the one that it has now."""
        with suppress(Refused):
            branch = self._repository.checked_out()
            if branch is not None:
                return dict.fromkeys(former_names(self._repository, branch), branch)
        return {}

    def entries(self, everywhere: Iterable[Entry] | None = None) -> list[Entry]:
        """The runs of this working tree, oldest first; ``everywhere`` are all runs, where these are read."""
        found = self.everywhere() if everywhere is None else everywhere
        return [entry for entry in found if entry.worktree == self._worktree]

    def newest_first(self) -> Iterator[Journal]:
        """Every run of this working tree from the newest on, read as far as the caller goes."""
        for entry in reversed(self.entries()):
            yield self.load(entry.run)

    def finished(self) -> Iterator[tuple[Entry, bool]]:
        """Every finished run of this working tree from the newest on, and whether its effect stands.

        It does where neither the run nor the sitting that it is a part of was undone, or where the undoing
        was itself undone.
        """
        yield from _finished(self.entries())

    def sitting(self, entries: Iterable[Entry] | None = None) -> Entry | None:
        """The last run of the sitting that is open in this working tree, if one is; ``entries`` are its runs
        where somebody has read them just now."""
        for entry, stands in _finished(self.entries() if entries is None else entries):
            if stands and entry.undoes is None:
                return entry if entry.sits else None
        return None

    def parts(self, run: str) -> list[Journal]:
        """The finished runs that are taken back together with this one: those of its sitting, in order."""
        entries = [entry for entry in self.entries() if entry.state == "done"]
        whole = next((entry.sitting for entry in entries if entry.run == run), None)
        if whole is None:
            return [self.load(run)]
        return [self.load(entry.run) for entry in entries if entry.sitting == whole]

    def unfinished(self, entries: Iterable[Entry] | None = None) -> Journal | None:
        """The run that was interrupted while it changed things in this working tree, if any; ``entries`` are
        its runs where somebody has read them just now."""
        known = self.entries() if entries is None else entries
        names = [entry.run for entry in known if entry.state == "switching"]
        return self.load(names[-1]) if names else None

    def stands(self, entry: Entry) -> bool:
        """Whether the working tree is still there in which a run was made (git worktree remove, prune)."""
        return os.path.isdir(os.path.join(os.path.dirname(self.folder), entry.worktree))

    def takes_along(self, entry: Entry) -> bool:
        """Whether a run that was made in another working tree has this one move along."""
        return self._worktree in entry.trees

    def moved_from_elsewhere(self, everywhere: Iterable[Entry] | None = None) -> Journal | None:
        """The run of another working tree that stands half-way and has this one move along, without its
        steps; ``everywhere`` are all runs, where these are read."""
        found = self.everywhere() if everywhere is None else everywhere
        names = [entry.run for entry in found if entry.state == "switching" and self.takes_along(entry)]
        return self.load(names[-1], steps=False) if names else None

    def last_along(self) -> Journal | None:
        """The last run of another working tree that moved this one along and stands, without its steps."""
        for entry, stands in _finished(self.everywhere()):
            if stands and entry.undoes is None and self.takes_along(entry):
                return self.load(entry.run, steps=False)
        return None

    def unfinished_elsewhere(self) -> list[Journal]:
        """The runs that stand half-way in other working trees than this one, without their steps."""
        found = [entry for entry in self.everywhere("switching") if entry.worktree != self._worktree]
        return [self.load(entry.run, steps=False) for entry in found]

    def everywhere(self, *states: str) -> list[Entry]:
        """The runs in any of the states (none named: in every one), of every working tree, oldest first."""
        try:
            names = os.listdir(self._runs)
        except FileNotFoundError:
            return []
        found = []
        for name in names:
            try:
                found.append(_read_entry(os.path.join(self._runs, name)))
            except FileNotFoundError:
                continue  # died before it was recorded
            except (ValueError, TypeError, KeyError) as error:
                raise _unreadable(name, str(error)) from None
        found = [entry for entry in found if not states or entry.state in states]
        return sorted(found, key=lambda entry: (entry.number, entry.run))


def _finished(entries: Iterable[Entry]) -> Iterator[tuple[Entry, bool]]:
    undone: set[str] = set()
    for entry in sorted(entries, key=lambda entry: entry.number, reverse=True):
        if entry.state != "done":
            continue
        stands = undone.isdisjoint({entry.run, entry.sitting})
        if stands and entry.undoes is not None:
            undone.add(entry.undoes)
        yield entry, stands


def _renamed(plan: Plan, names: Mapping[RefName, RefName]) -> Plan:
    """The plan with branches by other names."""

    def step_of(step: Step) -> Step:
        if isinstance(step, MoveRefs):
            updates = (replace(each, name=names.get(each.name, each.name)) for each in step.updates)
            return replace(step, updates=tuple(updates))
        if isinstance(step, Switch) and step.tree is not None:
            branch = names.get(step.tree.branch, step.tree.branch)
            return replace(step, tree=replace(step.tree, branch=branch))
        return step

    head = plan.head
    return replace(
        plan,
        head=replace(head, branch=names.get(head.branch, head.branch)) if head.branch is not None else head,
        branches=tuple(replace(each, name=names.get(each.name, each.name)) for each in plan.branches),
        steps=tuple(map(step_of, plan.steps)),
    )


def _proof(folder: str) -> str:
    return os.path.join(folder, "proof")


def _read_entry(folder: str) -> Entry:
    entry: Entry = decode(Entry, read(os.path.join(folder, "state.json")))
    if entry.state not in STATES:
        raise ValueError(f"{entry.state!r} is no state of a run")
    return entry


def _unreadable(run: str, reason: str) -> Refused:
    return Refused(
        "unreadable-journal",
        f"The record of run {run} cannot be read ({reason}). Nothing was changed.",
        f"look at .git/resync/runs/{run}",
        "git branch --list 'rescue/*'    # these are untouched",
    )
