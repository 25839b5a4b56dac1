"""Letting go of what earlier runs left: old runs by and by, and a rescue branch that a person drops.

``prune`` forgets a run only where nothing is lost by that; ``drop`` says before what would be lost.
A run that is forgotten loses its refs first and its record last, a rescue branch that is dropped goes after
all that hangs on it: one who dies in between is followed by another who goes on.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from resync.errors import Refused, ResyncError
from resync.holdings import Loss, loss, refs_of
from resync.journal import Entry, Journals
from resync.model import Oid, RefName, RefUpdate
from resync.repository import Repository
from resync.repository.config import integer
from resync.repository.refs import write_now
from resync.repository.trees import other_checkout
from resync.request import Caller
from resync.rescue import RescueBranch

KEEP_RUNS = 50
KEEP_DAYS = 90
"""As long as git keeps a reflog's entries (``gc.reflogExpire``)."""

_A_DAY = 24 * 60 * 60

# A run that cannot go is looked at again and again: so many at a time.
_AT_A_TIME = 10


def prune(repository: Repository, journals: Journals, caller: Caller) -> tuple[str, ...]:
    """Forget runs that are neither among the newest nor young, where nothing is lost by that; return them.

    ``resync.keepRuns`` is how many of each working tree stay whatever their age, ``resync.keepDays`` how long
    a run stays however many there are. A run stays as well while its rescue branch stands, while it is
    unfinished, while a run stays that took it back or that is a later part of its sitting, and as long as a
    commit or bytes would be lost with it.
    Call it with the lock of runs held. Raises ``UsageError("bad-config")``.
    """
    config, section = repository.config, (b"resync",)
    most = max(1, integer(config, section, "keepRuns", KEEP_RUNS))
    days = integer(config, section, "keepDays", KEEP_DAYS)
    candidates = _candidates(journals.everywhere(), most, caller.now - days * _A_DAY)
    gone = []
    for entry in _turn(candidates, _AT_A_TIME):
        with suppress(ResyncError, OSError):
            if _forget(repository, journals, entry, caller):
                gone.append(entry.run)
    return tuple(gone)


def _candidates(entries: Iterable[Entry], most: int, young: int) -> list[Entry]:
    """The runs that count and age would let go, oldest first. ``young`` is when the oldest young one was."""
    newest_first = sorted(entries, key=lambda entry: entry.number, reverse=True)
    counted: dict[str, int] = {}
    needed: set[str | None] = set()
    found = []
    for entry in newest_first:
        counted[entry.worktree] = counted.get(entry.worktree, 0) + 1
        recent = counted[entry.worktree] <= most or entry.when >= young
        part = not needed.isdisjoint({entry.run, entry.sitting} - {None})
        if recent or part or entry.state not in ("done", "aborted"):
            needed |= {entry.undoes, entry.sitting}
        else:
            found.append(entry)
    return found[::-1]


def _turn(candidates: list[Entry], most: int) -> list[Entry]:
    """So many of the candidates; others each time that a run was made."""
    if len(candidates) <= most:
        return candidates
    start = candidates[-1].number % len(candidates)
    return (candidates[start:] + candidates[:start])[:most]


def _forget(repository: Repository, journals: Journals, entry: Entry, caller: Caller) -> bool:
    journal = journals.load(entry.run)
    refs = repository.refs()
    rescue = journal.plan.rescue
    if rescue is not None and rescue.name in refs:
        return False
    pins = refs_of(refs, entry.run)
    if loss(repository, pins, journal, commits_only=True):
        return False
    _delete(repository, pins, caller)
    journals.forget(entry.run)
    return True


def _delete(
    repository: Repository,
    refs: Mapping[RefName, Oid],
    caller: Caller,
    before: Callable[[], None] | None = None,
) -> None:
    updates = [RefUpdate(name=name, old=oid, new=None, message="resync: drop") for name, oid in refs.items()]
    write_now(repository, updates, caller.signed(repository.identity()), before)


# --- rescue branches -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """What dropping a rescue branch comes to: the refs that go, in this order, and what would be gone for
    good."""

    rescue: RescueBranch
    refs: Mapping[RefName, Oid]
    loss: Loss


def plan_drop(repository: Repository, journals: Journals, rescue: RescueBranch) -> Drop:
    """What ``drop`` would do.

    Raises ``Refused``: ``checked-out`` for a branch that somebody stands on, ``interrupted-run`` for that of
    a run that stands half-way in another working tree.
    """
    name = rescue.short_name.decode("utf-8", "backslashreplace")
    here = repository.checked_out() == rescue.name
    where = repository.root if here else other_checkout(repository, rescue.name)
    if where is not None:
        raise Refused(
            "checked-out",
            f"{name} is checked out in {where}, so it is not dropped. Nothing was changed.",
            f"git -C {shlex.quote(where)} checkout --detach",
        )
    pins: dict[RefName, Oid] = {}
    journal = None
    if rescue.run is not None:
        journal = journals.load(rescue.run)
        if journal.state == "switching":
            place = journal.plan.checkout
            raise Refused(
                "interrupted-run",
                f"{name} belongs to run {rescue.run}, which was interrupted half-way in {place} and needs it."
                " Nothing was changed.",
                f"cd {shlex.quote(place)} && resync continue    # or resync abort",
            )
        pins = refs_of(repository.refs(), rescue.run)
    refs = {**pins, rescue.name: rescue.oid}
    return Drop(rescue=rescue, refs=refs, loss=loss(repository, refs, journal))


def drop(repository: Repository, journals: Journals, planned: Drop, caller: Caller) -> None:
    """Remove a rescue branch, the pins of its run and the files that the run moved out of the way.

    What the run did stays in the log; it can no longer be undone. Raises ``Refused("ref-moved")``, with
    nothing removed, where one of the refs is not what it was when this was planned.
    """
    run = planned.rescue.run
    _delete(repository, planned.refs, caller, None if run is None else lambda: journals.empty(run))
