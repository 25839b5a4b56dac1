"""The inverse of an earlier run as a plan: which run, whether it can be taken back, and the steps."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from resync.backup import with_backup
from resync.checkout import Checkout, filters_for, read_checkout
from resync.errors import Refused
from resync.history import open_history
from resync.holds import done_on, turned_away
from resync.journal import Journal, Journals
from resync.jump import Along
from resync.model import (
    BranchMove,
    Head,
    LocalCommit,
    MoveRefs,
    Oid,
    Plan,
    RefUpdate,
    SetMessage,
    Switch,
)
from resync.repository import Repository
from resync.repository.merge_message import read_message
from resync.repository.renames import way_to
from resync.repository.repo import BRANCHES
from resync.repository.trees import other_checkout
from resync.request import Caller
from resync.undo.back import Back, backed_up, missing_backup
from resync.whole import whole
from resync.worktree.access import folders_of, with_access
from resync.worktree.filters import Filters
from resync.worktree.settings import WorktreeSettings


def choose(journals: Journals, run: str | None) -> Journal:
    """The run to undo: the named one, else the last that changed something. A sitting counts as one run,
    which has the name of its first.

    Raises ``Refused``: ``nothing-to-undo``, ``other-worktree``, ``unknown-run``, ``already-undone``.
    """
    if run is None:
        for entry, _ in journals.finished():
            return whole(journals, entry.run)
        along = journals.last_along()
        if along is not None:
            place = along.plan.checkout
            raise Refused(
                "other-worktree",
                f"Run {along.plan.id} of another working tree, {place}, has moved this one along; it can only"
                " be undone there. Nothing was changed.",
                f"cd {shlex.quote(place)} && resync undo {along.plan.id}",
            )
        raise Refused(
            "nothing-to-undo", "No run has changed anything here. Nothing was changed.", "resync log"
        )
    journal = journals.load(run)
    if journal.state != "done":
        raise Refused("nothing-to-undo", f"Run {run} changed nothing. Nothing was changed.", "resync log")
    if run not in [entry.run for entry in journals.entries()]:
        raise Refused(
            "other-worktree",
            f"Run {run} was made in another working tree, {journal.plan.checkout}. Nothing was changed.",
            f"cd {shlex.quote(journal.plan.checkout)} && resync undo {run}",
        )
    journal = whole(journals, run)
    for later, stands in journals.finished():
        if stands and later.undoes == journal.plan.id:
            raise Refused(
                "already-undone",
                f"Run {run} was undone by run {later.run}. Nothing was changed.",
                f"resync undo {later.run}    # takes that back",
            )
    return journal


def rehearse_undo(
    repository: Repository,
    journal: Journal,
    caller: Caller,
    settings: WorktreeSettings,
    *,
    discard_newer: bool,
) -> Plan:
    """The plan that brings branch, index and files back to how they were before the run.

    Raises ``Refused``: ``backup-missing``, ``other-branch`` where something else is checked out by now,
    ``newer-commits`` where commits were made since, or the branch was moved, and ``discard_newer`` was not
    said (they are on the rescue branch either way), and whatever reading the checkout refuses.
    """
    undone, head = journal.plan, repository.head()
    sitting = undone.sitting if undone.halted else None
    if repository.ref(backed_up(undone)) is None:
        raise missing_backup(undone)
    if head.branch != undone.head.branch:
        repository.refuse_operation()  # of which some check out a commit of their own
        name = undone.head.name.decode("utf-8", "replace")
        back = "abort" if sitting is not None else f"undo {undone.id}"
        raise Refused(
            "other-branch",
            f"Run {undone.id} was made on {name}, which is not what is checked out. Nothing was changed.",
            f"{way_to(repository, undone.head.branch, undone.new_tip)} && resync {back}",
        )
    since = _Since(repository, Journals(repository), undone, head)
    if since.somebody_moved and not discard_newer:
        raise Refused(
            "newer-commits",
            f"{head.name.decode('utf-8', 'replace')} has moved since run {undone.id}; undoing that run would"
            " take the newer commits off it. Nothing was changed.",
            f"resync undo {undone.id}    # shows them, and asks",
            f"resync undo {undone.id} --yes --discard-newer    # keeps them on a rescue branch only",
        )
    # Files go back to the bytes that they had: a filter that is gone by now must not stand in the way.
    with filters_for(repository, settings, caller, lenient=True) as filters:
        checkout = read_checkout(repository, head, filters, sitting=sitting)
        return _plan_back(repository, undone, since, checkout, caller, filters)


def _plan_back(
    repository: Repository,
    undone: Plan,
    since: _Since,
    checkout: Checkout,
    caller: Caller,
    filters: Filters,
) -> Plan:
    head = since.head
    who = caller.signed(repository.identity())
    back = Back(repository, checkout, head, filters)
    changes = list(undone.file_changes)
    records = [change for step in undone.switches for change in step.index]
    updates = [update for step in undone.steps if isinstance(step, MoveRefs) for update in step.updates]
    along = Along(repository, filters.settings)
    staying = list(_staying(repository, undone, updates, along))
    updates = [update for update in updates if update.name not in {branch.name for branch in staying}]
    files, entries = back.newer(undone, changes, records)
    changes += files
    records += entries
    in_the_way = back.in_the_way(changes)
    final = with_access(repository.root, back.files(changes, in_the_way))
    switch = Switch(
        files=final,
        index=tuple(back.index(records, final)),
        index_file=checkout.index_file,
        folders=folders_of(repository.root, final, undone.folders),
    )
    plan = Plan(
        id=caller.run,
        checkout=repository.root,
        head=head,
        new_tip=undone.head.tip,
        upstream=None,
        commits=since.commits,
        files=back.edits(changes, records, final, in_the_way),
        rescue=None,
        steps=(
            switch,
            *along.switches,
            MoveRefs(updates=tuple(back.refs(updates, undone))),
            *_message_back(repository, undone),
        ),
        undoes=undone.id,
        # Who gives up in the middle has not turned away from where upstream is.
        holds=None if undone.halted else turned_away(Journals(repository), undone),
        notes=filters.notes,
        branches=(*_gone_back(updates, along), *staying),
    )
    return with_backup(repository, plan, checkout.changes, in_the_way, who, visible=True)


def _message_back(repository: Repository, undone: Plan) -> Iterator[SetMessage]:
    """The step that puts git's message for the next commit back, where the run left one that still stands or
    took one away."""
    data = read_message(repository)
    now = repository.objects.add_blob(data) if data is not None else None
    for step in undone.steps:
        if isinstance(step, SetMessage) and step.before != now:
            yield SetMessage(before=now, after=step.before)


def _staying(
    repository: Repository, undone: Plan, updates: Sequence[RefUpdate], along: Along
) -> Iterator[BranchMove]:
    """The branches that would move back and that another working tree has checked out, and why they stay:
    moved under it, its files would all look edited there, and the next commit would undo what upstream did.

    A tree that moved along in the run goes back ``along`` with its branch, if it is as the run has left it.
    """
    moved = {tree.branch: (switch, tree) for switch, tree in undone.others}
    for update in updates:
        now, reason = repository.ref(update.name), ""
        if now is None or update.new is None or update.old is None or not update.name.startswith(BRANCHES):
            continue
        where = other_checkout(repository, update.name)
        if update.name in moved and now not in (update.new, update.old):
            reason = "it has moved since"
        elif now != update.new:
            continue
        elif update.name in moved:
            reason = along.take_back(*moved[update.name], update.new, update.old)
        elif where is not None:
            reason = f"it is checked out in {where}"
        if reason:
            yield BranchMove(
                name=update.name,
                old_tip=now,
                new_tip=update.old,
                moves=False,
                reason=reason,
                waits=True,
                commits=(),
                worktree=where,
            )


def _gone_back(updates: Sequence[RefUpdate], along: Along) -> Iterator[BranchMove]:
    """The branches that go back with another working tree."""
    trees = {step.tree.branch: step.tree for step in along.switches if step.tree is not None}
    for update in updates:
        if update.name in trees and update.old is not None and update.new is not None:
            yield BranchMove(
                name=update.name,
                old_tip=update.new,
                new_tip=update.old,
                moves=True,
                reason="",
                waits=False,
                commits=(),
                worktree=trees[update.name].root,
            )


class _Since:
    """What has become of the branch since a run: later runs moved it on, people made commits.

    ``head`` is what is checked out now, ``commits`` are those of people's that go off the branch with the
    run, oldest first: neither upstream's nor the copies that later runs made of what was there before.
    """

    def __init__(self, repository: Repository, journals: Journals, undone: Plan, head: Head) -> None:
        self.head = head
        self.commits: tuple[LocalCommit, ...] = ()
        self.somebody_moved = False
        if head.tip == undone.new_tip:
            return
        runs = list(done_on(journals, head.branch))
        self.commits = tuple(self._newer(repository, runs, undone.new_tip))
        left_by_runs = {tip for plan in runs for tip in (plan.head.tip, plan.new_tip)}
        self.somebody_moved = bool(self.commits) or head.tip not in left_by_runs

    def _newer(self, repository: Repository, runs: Sequence[Plan], base: Oid) -> Iterator[LocalCommit]:
        upstreams = [plan.upstream for plan in runs if plan.upstream is not None]
        theirs = {upstream.new_tip for upstream in upstreams}
        theirs |= {repository.ref(each.tracking) for each in upstreams if each.tracking is not None}
        history = open_history(repository)
        known = [oid for oid in theirs if oid is not None and repository.objects.is_commit(oid)]
        moved = [plan.commits for plan in runs] + [each.commits for plan in runs for each in plan.branches]
        copied = {each.new_oid: each.oid for commits in moved for each in commits}
        for oid in history.topological(history.reachable([self.head.tip], [base, *known])):
            if any(history.is_ancestor(each, base) for each in _copied_from(oid, copied)):
                continue
            commit = repository.objects.commit(oid)
            yield LocalCommit(
                oid=oid,
                subject=commit.subject,
                author=commit.author,
                verdict="parked",
                reason="it was made since the run",
                merge=len(commit.parents) > 1,
            )


def _copied_from(oid: Oid, copied: Mapping[Oid | None, Oid]) -> Iterator[Oid]:
    """The commits that one was made of by run after run, ``copied`` saying which became which."""
    met = {oid}
    while (origin := copied.get(oid)) is not None and origin not in met:
        met.add(origin)
        yield origin
        oid = origin
