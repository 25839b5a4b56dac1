"""A run that stops at its first conflict (``--on-conflict stop``), which it takes to the working tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resync.backup import move_pick, set_message
from resync.carry import Carried, trees
from resync.checkout import Checkout
from resync.commit_message import message_rules
from resync.errors import Refused
from resync.model import BranchMove, LocalCommit, Oid, RefUpdate, SetMessage, Side, Sitting
from resync.observe import Observation
from resync.replay import PickOptions, Replay
from resync.replay.picking import Halt, halt, pick, show
from resync.replay.sides import Known, Sides, moved_on, sides, without_sides
from resync.repository import Objects, Repository
from resync.request import Caller, Request
from resync.worktree.snapshot import stash


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A run that stops at its first conflict: it is the first step of a sitting (see ``sitting``)."""

    commits: tuple[LocalCommit, ...]
    carried: Carried
    sitting: Sitting
    pick: tuple[RefUpdate, ...]
    messages: tuple[SetMessage, ...]


def stop_at(
    repository: Repository,
    seen: Observation,
    request: Request,
    caller: Caller,
    *,
    checkout: Checkout,
    replayed: Replay,
    branches: Sequence[BranchMove],
    options: PickOptions,
) -> Stop | None:
    """The end of a run at the first conflict; None where there is none, or it goes on past it.

    Raises ``Refused("merge-left")`` where a merge comes after it that a person could only flatten.
    """
    onto, objects, head = seen.upstream.new_tip, repository.objects, seen.head
    if request.on_conflict != "stop" or onto is None:
        return None
    halted = halt(objects, replayed, onto)
    if halted is None:
        return None
    found = _sides(objects, seen, halted, onto, branches)
    renewed = halted.left if request.change_id == "new" else ()
    picked = pick(
        objects,
        halted.tip,
        without_sides(halted.left, found),
        options,
        beside=Sides(objects, seen.history, found, options, renew=renewed),
        renew=renewed,
    )
    if picked.conflicted is None:
        return None
    done = {each.oid: each for each in picked.commits}
    shown = show(objects, picked.conflicted, picked.tip, message_rules(repository))
    index, worktree = trees(objects, objects.commit(head.tip).tree, checkout.changes)
    return Stop(
        commits=tuple(done.get(each.oid, each) for each in halted.commits),
        carried=Carried(
            index=index,
            worktree=worktree,
            new_index=shown.index,
            new_worktree=shown.worktree,
            conflicts=shown.conflicts,
        ),
        sitting=Sitting(
            id=caller.run,
            tip=picked.tip,
            taken=shown.taken,
            commits=picked.left,
            aside=stash(objects, head, index, worktree, options.committer) if checkout.changes else None,
            announced=tuple(each.path for each in checkout.changes if each.intent_to_add),
            renew=renewed,
            sides=moved_on(found, picked.commits),
        ),
        pick=move_pick(repository, shown.taken.commit),
        messages=set_message(repository, shown.message),
    )


def _sides(
    objects: Objects, seen: Observation, halted: Halt, onto: Oid, branches: Sequence[BranchMove]
) -> tuple[Side, ...]:
    """The sides of the merges that are left; refuses where one of them could only be flattened."""
    found = sides(
        objects,
        seen.history,
        halted.left,
        apart={each.oid for each in halted.commits if not each.conflicts},
        known=Known(
            commits=halted.commits,
            branches={each.old_tip: each.new_tip for each in branches if each.moves},
            old_tips=seen.upstream.old_tips,
            onto=onto,
        ),
        tip=halted.tip,
    )
    _refuse_flattening(objects, halted.left, found)
    return found


def _refuse_flattening(objects: Objects, left: Sequence[Oid], found: Sequence[Side]) -> None:
    whole = {side.merge for side in found}
    flat = [oid for oid in left if len(objects.commit(oid).parents) > 1 and oid not in whole]
    if flat:
        raise Refused(
            "merge-left",
            f"Something that merge {flat[0][:10].decode()} brought in conflicts, and only a run that goes on"
            " past conflicts can make such a merge anew. Nothing was changed.",
            "resync run --on-conflict park    # then resync continue",
        )
