"""The steps of a sitting: where one begins, what it goes on with, and the plan that it comes to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from resync import plan as planning
from resync.backup import CHERRY_PICK_HEAD, move_pick, set_message, with_backup
from resync.carry import Carried, edits_between
from resync.checkout import filters_for, read_checkout
from resync.commit_message import message_rules
from resync.errors import Refused, Unfinished, listed
from resync.journal import Journals
from resync.jump import Jump, jump
from resync.model import (
    Head,
    IndexChange,
    IndexRecord,
    LocalCommit,
    MoveRefs,
    Plan,
    RefName,
    RefUpdate,
    Sitting,
    Switch,
)
from resync.notes import with_notes
from resync.replay.picking import Picked, pick, show
from resync.replay.sides import without_sides
from resync.repository import Repository
from resync.repository.renames import way_to
from resync.request import Caller
from resync.signing import promised
from resync.sitting.edits import come_back, offer
from resync.sitting.merges import as_merge, merged_sides, side_of, with_made
from resync.sitting.resolving import accepted, committed, refuse_unresolved, resolved, taken_away
from resync.sitting.table import End, Ground, Table
from resync.waiting import parked_on
from resync.worktree.settings import WorktreeSettings
from resync.worktree.snapshot import stash


def begin(repository: Repository, journals: Journals, caller: Caller, settings: WorktreeSettings) -> Plan:
    """The plan of a sitting's first step: edits aside, and the first parked commit that conflicts taken.

    What applies cleanly by now is committed at once. Raises ``Refused``: ``nothing-interrupted`` where
    nothing is parked for what is checked out, ``untracked-in-the-way``, and as reading the checkout does.
    """
    head = repository.head()
    parked = parked_on(repository, journals, head)
    if not parked.commits and not parked.edits:
        raise Refused(
            "nothing-interrupted",
            f"No run was interrupted here, and nothing that was parked waits for {_name(head)}."
            " Nothing was changed.",
            "resync status",
        )
    with filters_for(repository, settings, caller) as filters:
        checkout = read_checkout(repository, head, filters)
        table = Table(repository, head, checkout, caller, filters)
        found = merged_sides(table, parked)
        aside = stash(table.objects, head, table.index, table.worktree, table.who)
        sitting = Sitting(
            id=caller.run,
            tip=head.tip,
            commits=without_sides(parked.commits, found),
            edits=parked.edits,
            aside=aside if checkout.changes else None,
            announced=tuple(each.path for each in checkout.changes if each.intent_to_add),
            renew=parked.renew,
            sides=found,
        )
        clean = Ground(tip=head.tip, index=table.tree, worktree=table.tree)
        return _next(table, sitting, clean, ())


def go_on(
    repository: Repository,
    last: Plan,
    caller: Caller,
    settings: WorktreeSettings,
    *,
    skip: bool = False,
) -> Plan:
    """The plan of a sitting's next step, ``last`` being its last one: what was taken is committed as it was
    resolved, or left parked with ``skip``; then it goes on.

    Raises ``Unfinished``: ``unresolved``, ``empty-message``, ``other-branch``; and ``Refused`` as ``begin``,
    and ``operation-in-progress`` where something else than the sitting's pick is under way.
    """
    sitting = last.sitting
    assert sitting is not None
    head = repository.head()
    check_place(repository, last, head)
    with filters_for(repository, settings, caller) as filters:
        checkout = read_checkout(repository, head, filters, sitting=sitting)
        table = Table(repository, head, checkout, caller, filters)
        taken = sitting.taken
        if taken is None:
            left = sitting.commits[1:] if skip else sitting.commits
            return _next(table, replace(sitting, commits=left), table.ground, ())
        mine = committed(table, sitting, taken)
        if mine is None and skip:
            return _next(table, sitting, taken_away(table, taken), ())
        refuse_unresolved(table, taken)
        if mine is not None:
            joined = as_merge(table, sitting, mine)
            if joined is None:
                sitting = replace(sitting, commits=(*side_of(sitting, taken.commit), *sitting.commits))
                return _next(table, sitting, table.ground, (mine,))
            return _next(table, sitting, replace(table.ground, tip=joined[-1].new_oid or head.tip), joined)
        if taken.commit is None:
            return _next(table, *accepted(table, sitting, taken), ())
        if repository.ref(CHERRY_PICK_HEAD) is None:
            # git cherry-pick --abort, --skip or --quit was said, or git reset: it stays parked.
            return _next(table, sitting, table.ground, ())
        made = resolved(table, sitting, taken.commit, taken)
        return _next(table, sitting, replace(table.ground, tip=made[-1].new_oid or head.tip), made)


def check_place(repository: Repository, last: Plan, head: Head) -> None:
    """Raise where the sitting is not what is going on here: ``Unfinished("other-branch")``, and
    ``Refused("operation-in-progress")`` for a pick of another commit."""
    if head.branch != last.head.branch:
        repository.refuse_operation(but="cherry-pick")  # of which some check out a commit of their own
        name = _name(last.head)
        raise Unfinished(
            "other-branch",
            f"The conflicts that you are resolving are those of {name}, which is not what is checked out."
            " Nothing was changed.",
            way_to(repository, last.head.branch, last.new_tip),
        )
    taken = last.sitting.taken if last.sitting is not None else None
    if repository.ref(CHERRY_PICK_HEAD) not in (None, taken.commit if taken is not None else None):
        repository.refuse_operation()


def _next(table: Table, sitting: Sitting, ground: Ground, done: tuple[LocalCommit, ...]) -> Plan:
    """Go on from ``ground``, ``done`` being what this step has made of commits so far."""
    objects, sitting = table.objects, with_made(sitting, done)
    edits = edits_between(objects, objects.commit(ground.tip).tree, ground.index, ground.worktree)
    edited = [each.path for each in edits]
    staged = {each.path: each.index for each in edits if each.staged}
    if staged and sitting.commits:
        # They would go into the next commit; git does not begin to pick then.
        picked = Picked(tip=ground.tip, commits=(), left=sitting.commits, blocked=tuple(sorted(staged)))
    else:
        picked = pick(
            objects,
            ground.tip,
            sitting.commits,
            table.picks,
            beside=table.beside(sitting),
            edited=edited,
            renew=sitting.renew,
        )
    tree = objects.commit(picked.tip).tree
    sitting = with_made(sitting, picked.commits)
    sitting = replace(sitting, tip=picked.tip, taken=None, blocked=picked.blocked, commits=picked.left)
    if picked.conflicted is not None:
        shown = show(objects, picked.conflicted, picked.tip, message_rules(table.repository))
        end = End(
            sitting=replace(sitting, taken=shown.taken),
            index=shown.index,
            worktree=shown.worktree,
            conflicts=shown.conflicts,
            message=shown.message,
        )
    elif picked.blocked:
        end = End(sitting=sitting, index=tree, worktree=tree)
    else:
        end = come_back(table, sitting, tree, edited)
    # The person's own edits of now stay where they are.
    end = replace(
        end,
        index=objects.edit_tree(end.index, staged),
        worktree=objects.edit_tree(end.worktree, {each.path: each.worktree for each in edits}),
    )
    if not end.sitting.open:
        end = offer(table, end)
    return _planned(table, end, (*done, *picked.commits))


def _planned(table: Table, end: End, commits: tuple[LocalCommit, ...]) -> Plan:
    sitting, checkout = end.sitting, table.checkout
    carried = Carried(
        index=table.index,
        worktree=table.worktree,
        new_index=end.index,
        new_worktree=end.worktree,
        conflicts=end.conflicts,
    )
    landing = jump(table.repository, checkout, carried, table.filters)
    _refuse_untracked(landing)
    first = sitting.id == table.caller.run
    waits = first and sitting.open and not sitting.returned
    plan = Plan(
        id=table.caller.run,
        checkout=table.repository.root,
        head=table.head,
        new_tip=sitting.tip,
        upstream=None,
        commits=commits,
        files=planning.set_aside(checkout.changes) if waits else end.files,
        rescue=None,
        steps=(
            _announced(table, sitting, landing.switch),
            MoveRefs(updates=tuple(_updates(table, sitting))),
            *set_message(table.repository, end.message),
        ),
        notes=table.filters.notes,
        sitting=sitting,
    )
    # Where edits may come to stay parked, somebody has to be able to find them.
    visible = first and sitting.aside is not None and (sitting.open or plan.waiting)
    plan = with_backup(table.repository, plan, checkout.changes, [], table.who, visible=visible)
    return with_notes(table.repository, promised(table.repository, plan), table.who)


def _announced(table: Table, sitting: Sitting, switch: Switch) -> Switch:
    """The switch that also announces again (``git add -N``) what had been."""
    if not sitting.returned:
        return switch
    after = {each.path: each.after for each in switch.files}
    index = table.checkout.index.entries
    again = [
        IndexChange(
            path=path,
            before=None,
            after=IndexRecord(mode=entry.mode, oid=table.objects.hash_blob(b""), intent_to_add=True),
        )
        for path in sitting.announced
        if path not in index and (entry := after.get(path)) is not None
    ]
    return replace(switch, index=(*switch.index, *again))


def _updates(table: Table, sitting: Sitting) -> Iterator[RefUpdate]:
    head = table.head
    if sitting.tip != head.tip:
        name = head.branch or RefName(b"HEAD")
        yield RefUpdate(name=name, old=head.tip, new=sitting.tip, message="resync: continue")
    yield from move_pick(table.repository, sitting.taken.commit if sitting.taken is not None else None)


def _refuse_untracked(landing: Jump) -> None:
    """Refuse to write over what git does not have; the very same bytes are taken for the file."""
    changed = {each.path for each in landing.switch.files}
    found = [each.path for each in landing.in_the_way if each.path in changed]
    if found:
        raise Refused(
            "untracked-in-the-way",
            f"Untracked files stand where a file has to go ({listed(found)}). Nothing was changed.",
            "move them away, and then: resync continue",
        )


def _name(head: Head) -> str:
    return head.name.decode("utf-8", "replace")
