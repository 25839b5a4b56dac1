"""A run that stops at its first conflict (``--on-conflict stop``), which it takes to the working tree."""

from __future__ import annotations

from dataclasses import dataclass

from resync.backup import move_pick, set_message
from resync.carry import Carried, trees
from resync.checkout import Checkout
from resync.commit_message import message_rules
from resync.merge import MergeOptions
from resync.model import LocalCommit, RefUpdate, SetMessage, Sitting
from resync.observe import Observation
from resync.picking import show, stop_at_conflict
from resync.replay import Replay
from resync.repository import Repository
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
    checkout: Checkout,
    replayed: Replay,
    options: MergeOptions,
    caller: Caller,
) -> Stop | None:
    """The end of a run at the first conflict; None where there is none, or it goes on past it."""
    onto, objects, head = seen.upstream.new_tip, repository.objects, seen.head
    if request.on_conflict != "stop" or onto is None:
        return None
    who = caller.signed(repository.identity())
    renew = request.change_id == "new"
    picked = stop_at_conflict(objects, replayed, onto, options, who, renew=renew)
    if picked is None or picked.conflicted is None:
        return None
    shown = show(objects, picked.conflicted, picked.tip, message_rules(repository))
    index, worktree = trees(objects, objects.commit(head.tip).tree, checkout.changes)
    return Stop(
        commits=picked.commits,
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
            aside=stash(objects, head, index, worktree, who) if checkout.changes else None,
            announced=tuple(each.path for each in checkout.changes if each.intent_to_add),
            renew=picked.left if renew else (),
        ),
        pick=move_pick(repository, shown.taken.commit),
        messages=set_message(repository, shown.message),
    )
