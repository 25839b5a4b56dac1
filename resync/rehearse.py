"""A complete rehearsal in memory: from the question to a plan that says what becomes of everything.

What ``plan`` prints and what ``run`` does come out of the same call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from resync import plan as planning
from resync.backup import move_head, with_backup
from resync.carry import carry
from resync.checkout import merge_options_at, programs_for, read_checkout
from resync.errors import Refused, listed
from resync.forest import Topic, branch_moves, topics
from resync.holds import holding
from resync.journal import Journals
from resync.jump import Along, jump
from resync.merge import MergeOptions
from resync.model import (
    BranchMove,
    InTheWay,
    LocalFile,
    MoveRefs,
    Note,
    Oid,
    Plan,
    RefName,
    RefUpdate,
    Upstream,
)
from resync.notes import with_notes
from resync.observe import Observation, observe, unusable
from resync.policy import settled
from resync.replay import Replay, Series, replay
from resync.repository import Repository
from resync.repository.repo import TAGS
from resync.request import Caller, Progress, Request
from resync.signing import promised
from resync.stopping import stop_at
from resync.upstream.dropped import Dropped, yours
from resync.upstream.gitreview import gitreview_notes
from resync.upstream.trust import Announcement, announcement
from resync.worktree.filters import Filters
from resync.worktree.settings import WorktreeSettings
from resync.worktree.untracked import find_untracked


def rehearse(
    repository: Repository,
    request: Request,
    caller: Caller,
    settings: WorktreeSettings,
    progress: Progress,
) -> Plan:
    """Observe, replay and carry over in memory; the plan that ``run`` would carry out.

    Raises ``Refused`` for everything that is unsure, ``UsageError`` and ``Busy``; nothing of the user's
    is changed (objects and resync's own record may be written).
    """
    request = settled(repository.config, request)
    seen = observe(repository, request, caller, progress)
    notes = _refuse_surprises(repository, seen, request, settings)
    moves = _moves(seen, request)
    others = topics(repository, seen, request, moves=moves)
    if moves:
        with Filters(settings, programs_for(repository, settings), progress=progress) as filters:
            plan = _plan_of_move(repository, seen, request, caller, settings, filters, others)
        _refuse_edits(plan, request)
    else:
        plan = _plan_of_refs(repository, seen, request, caller, settings, others)
    if moves:
        notes += gitreview_notes(repository.objects, seen.upstream)
    notes += (*seen.notes, *seen.elsewhere.unknown, *plan.notes)
    renews = request.change_id == "new"
    plan = replace(plan, notes=notes, elsewhere=seen.elsewhere.rewritten, renews=renews)
    plan = promised(repository, plan)
    return with_notes(repository, plan, caller.signed(repository.identity()))


def _moves(seen: Observation, request: Request) -> bool:
    """Whether the branch is to move: after a rewrite, and along with an advance only if asked to."""
    if seen.upstream.kind == "up-to-date":
        return False
    return seen.upstream.kind != "advanced" or bool(request.advance)


def _refuse_surprises(
    repository: Repository, seen: Observation, request: Request, settings: WorktreeSettings
) -> tuple[Note, ...]:
    """Refuse whatever is unsure; what the report should say of what is sure."""
    upstream = seen.upstream
    refusal = unusable(seen)
    if refusal is not None:
        raise refusal
    if request.expect is not None and not _expected(request.expect, upstream.new_tip):
        found = upstream.new_tip.decode() if upstream.new_tip else "nothing"
        raise Refused(
            "unexpected-tip",
            f"{upstream.name} is at {found}, not at {request.expect} as expected. Nothing was changed.",
            "resync check    # tells what upstream did",
        )
    if seen.pinned is not None and request.to is None and upstream.release is None and _moves(seen, request):
        raise Refused(
            "pinned-release",
            f"HEAD is detached at release {seen.pinned.name}, and whether it is to follow {upstream.name} or"
            " to go to its newest release, nobody said. Nothing was changed.",
            "resync run --to release",
            "resync run --to tip",
        )
    surprise = upstream.kind == "unrelated" or (upstream.kind == "rewound" and request.unattended)
    unsure = surprise and request.onto is None and not _whole(request.expect, upstream.new_tip)
    announced = _announced(repository, seen, request, settings, unsure=unsure)
    if unsure and announced is None:
        how = {
            "unrelated": "has no history in common with what it was",
            "rewound": "went back to an earlier commit of its own, as a lagging mirror would",
        }[upstream.kind]
        raise Refused(
            f"{upstream.kind}-upstream",
            f"{upstream.name} {how}. Nothing was changed.",
            _if_meant(upstream),
        )
    held = holding(Journals(repository), seen.head.branch)
    if held is not None and held.holds == upstream.new_tip and not request.redo and _moves(seen, request):
        raise Refused(
            "held",
            f"You took back the move to this state of {upstream.name}, so resync does not repeat it unasked."
            " Nothing was changed.",
            "resync run --redo",
        )
    if announced is None or announced.signer is None:
        return ()
    tag = announced.tag.removeprefix(TAGS).decode("utf-8", "backslashreplace")
    return (Note(None, f"tag {tag}, which announces it, is signed by the trusted key {announced.signer}"),)


def _if_meant(upstream: Upstream) -> str:
    assert upstream.new_tip is not None
    return f"resync run --expect {upstream.new_tip.decode()}    # if that is meant"


def _announced(
    repository: Repository, seen: Observation, request: Request, settings: WorktreeSettings, *, unsure: bool
) -> Announcement | None:
    """The announcement of what upstream did, None where there is none; refuses to follow a surprise, where a
    rewrite has to be announced. ``unsure`` says that nothing else settles what upstream did."""
    if seen.upstream.kind not in ("rewritten", "rewound", "unrelated"):
        return None
    wanted = request.require_announcement
    if not wanted and not unsure:
        return None
    tags = seen.fetched.announcements if seen.fetched is not None else {}
    try:
        return announcement(repository, seen.upstream, tags, programs_for(repository, settings))
    except Refused as refusal:
        if wanted:
            raise
        if refusal.kind == "untrusted-announcement":
            refusal.hint = _if_meant(seen.upstream)
            raise
        return None


def _expected(expected: str, tip: Oid | None) -> bool:
    return tip is not None and len(expected) >= 7 and tip.startswith(expected.lower().encode())


def _whole(expected: str | None, tip: Oid | None) -> bool:
    """Whether the whole id is expected: of seven digits somebody can make another commit."""
    return expected is not None and tip is not None and expected.lower().encode() == tip


def _refuse_edits(plan: Plan, request: Request) -> None:
    """Refuse by the policy for uncommitted edits: a service must not restart on upstream's defaults."""
    edits = [each for each in plan.files if each.state in ("staged", "unstaged")]
    if request.dirty == "refuse" and edits:
        raise Refused(
            "dirty",
            f"{_count(edits)} edited and not committed ({_list(edits)}). Nothing was changed.",
            "git commit -a    # commits them, then try again",
            "resync run --dirty restore    # carries them over",
        )
    parked = [each for each in plan.files if each.verdict in ("parked", "set-aside")]
    if request.dirty != "park" and request.unattended and parked:
        raise Refused(
            "would-park",
            f"{_count(parked)} in the way of upstream's changes and would be moved to the rescue branch"
            f" ({_list(parked)}). Nothing was changed.",
            "resync plan    # shows what would become of each",
            "resync run --yes --dirty park    # allows it",
        )


def _count(files: Sequence[LocalFile]) -> str:
    return "1 file is" if len(files) == 1 else f"{len(files)} files are"


def _list(files: Sequence[LocalFile]) -> str:
    return listed([each.path for each in files])


# --- plans that only move refs -----------------------------------------------------------------------


def _plan_of_refs(
    repository: Repository,
    seen: Observation,
    request: Request,
    caller: Caller,
    settings: WorktreeSettings,
    others: Sequence[Topic],
) -> Plan:
    """What is checked out stays; other branches may move, and what a fetch moves."""
    branches: tuple[BranchMove, ...] = ()
    along = Along(repository, settings)
    if others:
        options = _options(repository, seen, settings)
        replayed = _replay(repository, seen, request, caller, options, [], others)
        branches = tuple(branch_moves(others, replayed, request, (), along.take))
    updates = (*_fetched_updates(repository, seen), *_branch_updates(seen, branches))
    plan = Plan(
        id=caller.run,
        checkout=repository.root,
        head=seen.head,
        new_tip=seen.head.tip,
        upstream=seen.upstream,
        commits=(),
        files=(),
        rescue=None,
        steps=(*along.switches, MoveRefs(updates=updates)) if updates else (),
        branches=branches,
    )
    if not any(each.moves for each in branches):
        return plan
    return with_backup(repository, plan, [], [], caller.signed(repository.identity()), visible=False)


def _fetched_updates(repository: Repository, seen: Observation) -> tuple[RefUpdate, ...]:
    """What a fetch would move: the remote-tracking branch, and tags on what was fetched that are new here.

    A tag that stands here stays, whatever the remote has under that name, above or below it.
    """
    updates: list[RefUpdate] = []
    if seen.fetched is None:
        return ()
    tip = seen.fetched.tip
    if seen.branch.tracking is not None and tip is not None and tip != seen.tracked:
        forward = seen.tracked is not None and seen.history.is_ancestor(seen.tracked, tip)
        how = "storing head" if seen.tracked is None else "fast-forward" if forward else "forced-update"
        updates.append(
            RefUpdate(name=seen.branch.tracking, old=seen.tracked, new=tip, message=f"resync: {how}")
        )
    # A tag that cannot stand beside one that is here (v1 and v1/a) is left out, as by git.
    here = repository.refs(TAGS)
    folders = {folder for tag in here for folder in _above(tag)}
    updates += (
        RefUpdate(name=name, old=None, new=oid, message="resync: followed")
        for name, oid in seen.fetched.refs.items()
        if name.startswith(TAGS)
        and seen.follows_tags
        and oid in repository.objects
        and name not in here
        and name not in folders
        and here.keys().isdisjoint(_above(name))
    )
    return tuple(updates)


def _above(name: RefName) -> list[RefName]:
    """The names of the folders that a ref lies in, as no other ref may be called."""
    return [RefName(name[:place]) for place in range(len(TAGS), len(name)) if name[place : place + 1] == b"/"]


# --- plans that move the branch ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Current:
    """The current branch's series; ``sent`` are those of its commits that upstream once had and dropped."""

    series: Series
    sent: frozenset[Oid]


def _plan_of_move(
    repository: Repository,
    seen: Observation,
    request: Request,
    caller: Caller,
    settings: WorktreeSettings,
    filters: Filters,
    others: Sequence[Topic],
) -> Plan:
    objects, head = repository.objects, seen.head
    checkout = read_checkout(repository, head, settings, filters)
    who = caller.signed(repository.identity())
    options = _options(repository, seen, settings)
    current = _current(repository, seen)
    replayed, *elsewhere = _replay(repository, seen, request, caller, options, [current], others)
    along = Along(repository, settings)
    branches = tuple(branch_moves(others, elsewhere, request, replayed.commits, along.take))
    old_tree, edits = objects.commit(head.tip).tree, checkout.changes
    stop = stop_at(
        repository,
        seen,
        request,
        caller,
        checkout=checkout,
        replayed=replayed,
        branches=branches,
        options=options,
    )
    if stop is not None:
        replayed = Replay(tip=stop.sitting.tip, commits=stop.commits)
        carried, edits = stop.carried, ()
    else:
        carried = carry(objects, old_tree, objects.commit(replayed.tip).tree, edits, options)
    new_tree = objects.commit(replayed.tip).tree
    landing = jump(repository, checkout, carried, settings, filters)
    in_the_way = landing.in_the_way
    bystanders: tuple[InTheWay, ...] = ()
    if request.include_untracked:
        known = {each.path for each in in_the_way}
        untracked = find_untracked(objects, repository.root, checkout.index, settings)
        bystanders = tuple(each for each in untracked if each.path not in known)
    plan = Plan(
        id=caller.run,
        checkout=repository.root,
        head=head,
        new_tip=replayed.tip,
        upstream=seen.upstream,
        commits=replayed.commits,
        files=(
            *planning.local_files(objects, carried, new_tree, edits, in_the_way, landing.to_disk),
            *(planning.set_aside(checkout.changes) if stop is not None else ()),
            *(LocalFile(path=each.path, state="untracked", verdict="kept") for each in bystanders),
        ),
        rescue=None,
        steps=(
            landing.switch,
            *along.switches,
            MoveRefs(
                updates=(*_updates(repository, seen, replayed.tip, branches), *(stop.pick if stop else ()))
            ),
            *(stop.messages if stop is not None else ()),
        ),
        notes=filters.notes,
        branches=branches,
        sitting=stop.sitting if stop is not None else None,
    )
    # An advance that parks nothing makes no rescue branch: a timer would flood the list of branches.
    visible = seen.upstream.kind != "advanced" or plan.waiting
    return with_backup(repository, plan, checkout.changes, [*in_the_way, *bystanders], who, visible=visible)


def _options(repository: Repository, seen: Observation, settings: WorktreeSettings) -> MergeOptions:
    assert seen.upstream.new_tip is not None
    return merge_options_at(repository, repository.objects.commit(seen.upstream.new_tip).tree, settings)


def _current(repository: Repository, seen: Observation) -> _Current:
    """The current branch's commits, with those that upstream had and dropped."""
    history, onto, tip = seen.history, seen.upstream.new_tip, seen.head.tip
    assert onto is not None
    sent = _sent(repository, seen)
    commits = history.topological({*seen.local, *sent}) if sent else seen.local
    series = Series(tip=tip, commits=commits, upstream=frozenset(history.surely([onto], [tip])))
    return _Current(series=series, sent=sent)


def _replay(
    repository: Repository,
    seen: Observation,
    request: Request,
    caller: Caller,
    options: MergeOptions,
    current: Sequence[_Current],
    others: Sequence[Topic],
) -> tuple[Replay, ...]:
    """Replay the current branch, where it is to move (else its commits stay as they are), and the others."""
    assert seen.upstream.new_tip is not None
    branches = [*(each.series for each in current), *(each.series for each in others)]
    arrived = frozenset[Oid]().union(*(each.upstream for each in branches))
    dropped = Dropped(repository, seen.gone, arrived)
    merged = seen.merged.union(*(each.merged for each in others))
    if not current:
        merged = merged.union(seen.local)
    return replay(
        repository.objects,
        seen.history,
        branches,
        onto=seen.upstream.new_tip,
        committer=caller.signed(repository.identity()),
        options=options,
        merged=merged,
        once_upstream=frozenset[Oid]().union(*(each.sent for each in current), *(o.dropped for o in others)),
        dropped=(lambda oid: "") if request.keep_dropped else dropped.reason,
        renew=request.change_id == "new",
    )


def _sent(repository: Repository, seen: Observation) -> frozenset[Oid]:
    """The commits below the branch that were made or pushed here, and that upstream had and has no more."""
    if not seen.gone:
        return frozenset()
    beyond = seen.history.surely([seen.head.tip], [oid for oid in [seen.upstream.new_tip] if oid])
    return yours(repository, seen.history, seen.head, seen.branch.tracking, beyond & seen.gone)


def _updates(
    repository: Repository, seen: Observation, tip: Oid, branches: Sequence[BranchMove]
) -> tuple[RefUpdate, ...]:
    updates = [*_fetched_updates(repository, seen), *_branch_updates(seen, branches)]
    if tip != seen.head.tip:
        updates += move_head(repository, seen.head, tip, _carried_over(seen))
    return tuple(updates)


def _branch_updates(seen: Observation, branches: Sequence[BranchMove]) -> Iterator[RefUpdate]:
    for each in branches:
        if each.moves:
            yield RefUpdate(name=each.name, old=each.old_tip, new=each.new_tip, message=_carried_over(seen))


def _carried_over(seen: Observation) -> str:
    return f"resync: carried over to {seen.upstream.name}"
