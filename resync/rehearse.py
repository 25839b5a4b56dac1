"""A complete rehearsal in memory: from the question to a plan that says what becomes of everything.

What ``plan`` prints and what ``run`` does come out of the same call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from resync import plan as planning
from resync.backup import move_head, with_backup
from resync.carry import Carried, carry
from resync.checkout import Checkout, filters_for, merge_options_at, read_checkout
from resync.forest import Topic, branch_moves, topics
from resync.jump import Along, jump
from resync.model import (
    BranchMove,
    InTheWay,
    LocalFile,
    MoveRefs,
    Oid,
    PathState,
    Plan,
    RefName,
    RefUpdate,
)
from resync.notes import with_notes
from resync.observe import Observation, observe
from resync.policy import settled
from resync.refusals import refuse_edits, refuse_surprises
from resync.replay import PickOptions, Replay, Series, replay
from resync.repository import Repository
from resync.repository.repo import TAGS
from resync.request import Caller, Request
from resync.signing import promised
from resync.stopping import Stop, stop_at
from resync.upstream.dropped import Dropped, yours
from resync.upstream.gitreview import gitreview_notes
from resync.worktree.filters import Filters
from resync.worktree.settings import WorktreeSettings
from resync.worktree.untracked import find_untracked


def rehearse(repository: Repository, request: Request, caller: Caller, settings: WorktreeSettings) -> Plan:
    """Observe, replay and carry over in memory; the plan that ``run`` would carry out.

    Raises ``Refused`` for everything that is unsure, ``UsageError`` and ``Busy``; nothing of the user's
    is changed (objects and resync's own record may be written).
    """
    request = settled(repository.config, request)
    seen = observe(repository, request, caller)
    moves = _moves(seen, request)
    notes = refuse_surprises(repository, seen, request, settings, moves=moves)
    others = topics(repository, seen, request, moves=moves)
    rehearsal = _Rehearsal(
        repository=repository, settings=settings, request=request, caller=caller, seen=seen, others=others
    )
    if moves:
        plan = rehearsal.move()
        refuse_edits(plan, request)
        notes += gitreview_notes(repository.objects, seen.upstream)
    else:
        plan = rehearsal.refs_only()
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Current:
    """The current branch's series; ``sent`` are those of its commits that upstream once had and dropped."""

    series: Series
    sent: frozenset[Oid]


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """Where the current branch and the edits arrive: at the end of the series, or where the run stops.

    ``edits`` are those that are carried over, ``set_aside`` those that a stop puts by.
    """

    replayed: Replay
    carried: Carried
    edits: tuple[PathState, ...]
    set_aside: tuple[LocalFile, ...] = ()
    stop: Stop | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rehearsal:
    """One rehearsal: of what, as who asks what, after what was seen; ``others`` are the other branches."""

    repository: Repository
    settings: WorktreeSettings
    request: Request
    caller: Caller
    seen: Observation
    others: Sequence[Topic]

    def refs_only(self) -> Plan:
        """What is checked out stays; other branches may move, and what a fetch moves."""
        repository, seen = self.repository, self.seen
        branches: tuple[BranchMove, ...] = ()
        along = Along(repository, self.settings)
        if self.others:
            replayed = self._replay(self._options(), [])
            branches = tuple(branch_moves(self.others, replayed, self.request, (), along.take))
        updates = (*_fetched_updates(repository, seen), *_branch_updates(seen, branches))
        plan = Plan(
            id=self.caller.run,
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
        return with_backup(repository, plan, [], [], self._who, visible=False)

    def move(self) -> Plan:
        """The branch moves to what upstream is now, and the files with it."""
        with filters_for(self.repository, self.settings, self.caller) as filters:
            return self._move(read_checkout(self.repository, self.seen.head, filters), filters)

    def _move(self, checkout: Checkout, filters: Filters) -> Plan:
        repository, seen, options = self.repository, self.seen, self._options()
        replayed, *elsewhere = self._replay(options, [_current(repository, seen)])
        along = Along(repository, self.settings)
        branches = tuple(branch_moves(self.others, elsewhere, self.request, replayed.commits, along.take))
        end = self._end(checkout, replayed, branches, options)
        landing = jump(repository, checkout, end.carried, filters)
        bystanders = self._bystanders(checkout, landing.in_the_way)
        objects, new_tip, stop = repository.objects, end.replayed.tip, end.stop
        new_tree = objects.commit(new_tip).tree
        updates = (
            *_fetched_updates(repository, seen),
            *_branch_updates(seen, branches),
            *_head_updates(repository, seen, new_tip),
            *(stop.pick if stop is not None else ()),
        )
        plan = Plan(
            id=self.caller.run,
            checkout=repository.root,
            head=seen.head,
            new_tip=new_tip,
            upstream=seen.upstream,
            commits=end.replayed.commits,
            files=(
                *planning.local_files(
                    objects, end.carried, new_tree, end.edits, landing.in_the_way, landing.to_disk
                ),
                *end.set_aside,
                *(LocalFile(path=each.path, state="untracked", verdict="kept") for each in bystanders),
            ),
            rescue=None,
            steps=(
                landing.switch,
                *along.switches,
                MoveRefs(updates=updates),
                *(stop.messages if stop is not None else ()),
            ),
            notes=filters.notes,
            branches=branches,
            sitting=stop.sitting if stop is not None else None,
        )
        # An advance that parks nothing makes no rescue branch: a timer would flood the list of branches.
        visible = seen.upstream.kind != "advanced" or plan.waiting
        untracked = [*landing.in_the_way, *bystanders]
        return with_backup(repository, plan, checkout.changes, untracked, self._who, visible=visible)

    def _end(
        self, checkout: Checkout, replayed: Replay, branches: Sequence[BranchMove], options: PickOptions
    ) -> _End:
        """Where it all arrives: edits are set aside where it stops at a conflict, and else carried over."""
        objects = self.repository.objects
        stop = stop_at(
            self.repository,
            self.seen,
            self.request,
            self.caller,
            checkout=checkout,
            replayed=replayed,
            branches=branches,
            options=options,
        )
        if stop is not None:
            return _End(
                replayed=Replay(tip=stop.sitting.tip, commits=stop.commits),
                carried=stop.carried,
                edits=(),
                set_aside=planning.set_aside(checkout.changes),
                stop=stop,
            )
        old_tree, new_tree = (objects.commit(tip).tree for tip in (self.seen.head.tip, replayed.tip))
        carried = carry(objects, old_tree, new_tree, checkout.changes, options.merging)
        return _End(replayed=replayed, carried=carried, edits=checkout.changes)

    def _bystanders(self, checkout: Checkout, in_the_way: Sequence[InTheWay]) -> tuple[InTheWay, ...]:
        """The untracked files that are saved as well if that is wanted, and stay where they are."""
        if not self.request.include_untracked:
            return ()
        known = {each.path for each in in_the_way}
        root, index = self.repository.root, checkout.index
        untracked = find_untracked(self.repository.objects, root, index, self.settings)
        return tuple(each for each in untracked if each.path not in known)

    def _options(self) -> PickOptions:
        """How commits are picked onto what upstream is now."""
        assert self.seen.upstream.new_tip is not None
        committer, tree = self._who, self.repository.objects.commit(self.seen.upstream.new_tip).tree
        merging = merge_options_at(self.repository, tree, self.settings)
        return PickOptions(merging=merging, committer=committer)

    def _replay(self, options: PickOptions, current: Sequence[_Current]) -> tuple[Replay, ...]:
        """Replay the current branch, if it is to move (else its commits stay as they are), and the others."""
        seen, others = self.seen, self.others
        assert seen.upstream.new_tip is not None
        branches = [*(each.series for each in current), *(each.series for each in others)]
        arrived = frozenset[Oid]().union(*(each.upstream for each in branches))
        sent = frozenset[Oid]().union(*(each.sent for each in current), *(each.dropped for each in others))
        dropped = Dropped(self.repository, seen.gone, arrived)
        merged = seen.merged.union(*(each.merged for each in others))
        if not current:
            merged = merged.union(seen.local)
        return replay(
            self.repository.objects,
            seen.history,
            branches,
            options,
            onto=seen.upstream.new_tip,
            merged=merged,
            once_upstream=sent,
            dropped=(lambda oid: "") if self.request.keep_dropped else dropped.reason,
            renew=self.request.change_id == "new",
        )

    @property
    def _who(self) -> bytes:
        return self.caller.signed(self.repository.identity())


# --- the current branch --------------------------------------------------------------------------------


def _current(repository: Repository, seen: Observation) -> _Current:
    """The current branch's commits, with those that upstream had and dropped."""
    history, onto, tip = seen.history, seen.upstream.new_tip, seen.head.tip
    assert onto is not None
    sent = _sent(repository, seen)
    commits = history.topological({*seen.local, *sent}) if sent else seen.local
    series = Series(tip=tip, commits=commits, upstream=frozenset(history.surely([onto], [tip])))
    return _Current(series=series, sent=sent)


def _sent(repository: Repository, seen: Observation) -> frozenset[Oid]:
    """The commits below the branch that were made or pushed here, and that upstream had and has no more."""
    if not seen.gone:
        return frozenset()
    beyond = seen.history.surely([seen.head.tip], [oid for oid in [seen.upstream.new_tip] if oid])
    return yours(repository, seen.history, seen.head, seen.branch.tracking, beyond & seen.gone)


# --- the refs that move -------------------------------------------------------------------------------


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


def _head_updates(repository: Repository, seen: Observation, tip: Oid) -> Sequence[RefUpdate]:
    """The branch that is checked out, or HEAD itself, moves to ``tip``, if it is not there."""
    return move_head(repository, seen.head, tip, _carried_over(seen)) if tip != seen.head.tip else ()


def _branch_updates(seen: Observation, branches: Sequence[BranchMove]) -> Iterator[RefUpdate]:
    for each in branches:
        if each.moves:
            yield RefUpdate(name=each.name, old=each.old_tip, new=each.new_tip, message=_carried_over(seen))


def _carried_over(seen: Observation) -> str:
    return f"resync: carried over to {seen.upstream.name}"
