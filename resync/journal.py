"""The durable record of a run: its plan, how far it came, and what it came to.

Each run has a folder ``resync/runs/<id>`` in the common git directory (a linked worktree's own would go
away with it). ``plan.json`` is written before anything else; ``state.json`` has the last thing that is
known to have happened and what most questions about past runs need, because plans may be long.
``outcome.json`` is what the user was told. All are JSON, for a person to read when everything else fails; the
first two have a checksum of the rest, because a path or an id with one bit wrong would still be one.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from typing import Any

from resync.errors import Refused
from resync.model import Backup, MoveRefs, PathIn, Plan, SetMessage, Switch, TreePath
from resync.repository import Repository
from resync.repository.durable import fsync, fsync_directory, make_folders, new_file
from resync.request import Caller, run_id

VERSION = 1
TREES = "trees"
"""Where a run keeps what is of other working trees: a folder in its own, and what their pins begin with."""
_REMOVED = "removed-"
_OTHER_VERSION = "another version of resync wrote it"
_CHECKSUM = "sha256"

_STEPS: dict[str, type] = {step.__name__: step for step in (Backup, Switch, MoveRefs, SetMessage)}

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
        _write(os.path.join(folder, "plan.json"), {"version": VERSION, "plan": encode(plan)})
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
        _write(os.path.join(folder, "state.json"), encode(entry))
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
        _write(os.path.join(folder, "state.json"), encode(entry))
        fsync_directory(folder)

    def conclude(self, run: str, outcome: Mapping[str, Any]) -> None:
        """Record what the user was told at the end."""
        _write_text(os.path.join(self.run_folder(run), "outcome.json"), _in_lines(outcome))

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
        """One run, without the steps of its plan (which are most of it) if so asked.

        Raises ``Refused``: ``unknown-run``, or ``unreadable-journal`` where it is damaged.
        """
        folder = self.run_folder(run)
        try:
            record = _read(os.path.join(folder, "plan.json"))
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
        return Journal(plan=plan, folder=folder, state=state)

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


def _proof(folder: str) -> str:
    return os.path.join(folder, "proof")


def _read_entry(folder: str) -> Entry:
    entry: Entry = decode(Entry, _read(os.path.join(folder, "state.json")))
    if entry.state not in STATES:
        raise ValueError(f"{entry.state!r} is no state of a run")
    return entry


# --- plans as JSON ---------------------------------------------------------------------------------


def encode(value: object) -> Any:
    """A plan (or any part) as what JSON has: fields by name, bytes as text with surrogates for odd bytes."""
    if is_dataclass(value) and not isinstance(value, type):
        encoded = {field.name: encode(getattr(value, field.name)) for field in fields(value)}
        if type(value).__name__ in _STEPS:
            encoded["step"] = type(value).__name__
        return encoded
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    return value


def decode(wanted: Any, value: Any) -> Any:
    """The inverse of ``encode`` for a type of the model; raises ``ValueError`` or ``TypeError``."""
    wanted = getattr(wanted, "__supertype__", wanted)
    if wanted is bytes:
        return _checked(str, value).encode("utf-8", "surrogateescape")
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(wanted) if option is not type(None)]
        if value is None:
            return None
        if len(options) > 1:
            return decode(_STEPS[value["step"]], value)
        return decode(options[0], value)
    if origin is tuple:
        return tuple(decode(typing.get_args(wanted)[0], item) for item in _checked(list, value))
    if isinstance(wanted, type) and issubclass(wanted, tuple):
        types_of = _hints(wanted)
        items = zip(types_of.values(), _checked(list, value), strict=True)
        return wanted(*(decode(kind, item) for kind, item in items))
    if is_dataclass(wanted) and isinstance(wanted, type):
        types_of = _hints(wanted)
        # A field that has a default may be missing: it is newer than the record.
        here = [field for field in fields(wanted) if field.name in value or field.default is MISSING]
        return wanted(**{field.name: decode(types_of[field.name], value[field.name]) for field in here})
    if origin is typing.Literal:
        if value not in typing.get_args(wanted):
            raise ValueError(f"{value!r} is none of {typing.get_args(wanted)}")
        return value
    return _checked(wanted, value)


def _checked(wanted: type, value: Any) -> Any:
    if not isinstance(value, wanted):
        raise TypeError(f"{value!r} is no {wanted.__name__}")
    return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _write(path: str, record: Mapping[str, Any]) -> None:
    _write_text(path, _in_lines({**record, _CHECKSUM: _checksum(record)}))


def _in_lines(record: Mapping[str, Any]) -> str:
    """JSON with a line for every value: ``indent`` would take Python's encoder, at ten times the cost."""
    return json.dumps(record, separators=(",\n", ": ")) + "\n"


def _read(path: str) -> dict[str, Any]:
    """A record as it was written; raises ``ValueError`` where it is damaged."""
    with open(path, encoding="ascii") as file:
        record = json.load(file)
    if not isinstance(record, dict):
        raise ValueError("it is no record")
    if record.get("version", VERSION) != VERSION:
        raise ValueError(_OTHER_VERSION)
    given = record.pop(_CHECKSUM, None)
    if given not in (None, _checksum(record)):
        raise ValueError("it was changed since, or is damaged")
    return record


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record).encode("ascii")).hexdigest()


def _write_text(path: str, text: str) -> None:
    """Replace a small file durably; a reader sees the old text or the new."""
    partial = path + ".part"
    with open(new_file(partial), "w", encoding="ascii", newline="\n") as file:
        file.write(text)
        file.flush()
        fsync(file.fileno())
    os.replace(partial, path)


def _unreadable(run: str, reason: str) -> Refused:
    return Refused(
        "unreadable-journal",
        f"The record of run {run} cannot be read ({reason}). Nothing was changed.",
        f"look at .git/resync/runs/{run}",
        "git branch --list 'rescue/*'    # these are untouched",
    )
