"""What an undo turned away from: the state of upstream to which no run goes unasked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress

from resync.errors import Refused
from resync.journal import Journals
from resync.model import Oid, Plan, RefName


def holding(journals: Journals, branch: RefName | None) -> Plan | None:
    """The last run of a branch, if it was an undo that turned away from a tip of upstream (``holds``). What
    only took up parked work does not count."""
    runs = (plan for plan in done_on(journals, branch) if not _resolves(journals, plan))
    last = next(runs, None)
    return last if last is not None and last.holds is not None else None


def _resolves(journals: Journals, plan: Plan) -> bool:
    """Whether a run only resolves conflicts, or took such a one back."""
    if plan.undoes is not None:
        with suppress(Refused):  # its record may be gone
            return _resolves(journals, journals.load(plan.undoes, steps=False).plan)
    return plan.resolves


def done_on(journals: Journals, branch: RefName | None) -> Iterator[Plan]:
    """The finished runs of a branch (None: with HEAD detached), the newest first, without their steps."""
    for entry, _ in journals.finished():
        plan = journals.load(entry.run, steps=False).plan
        if plan.head.branch == branch:
            yield plan


def turned_away(journals: Journals, undone: Plan) -> Oid | None:
    """What the undo of a run turns away from: where upstream was when the branch last followed it.

    The undo of an undo brings back what was held before that.
    """
    runs = done_on(journals, undone.head.branch)
    if undone.undoes is None:
        followed = (plan.upstream.new_tip for plan in runs if plan.upstream is not None)
        return next(followed, None)
    before = itertools.dropwhile(lambda plan: plan.id != undone.id, runs)
    return next((plan.holds for plan in itertools.islice(before, 1, None)), None)
