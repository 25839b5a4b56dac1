"""The other branches that stand on what upstream left behind: which they are, and what becomes of each.

By default the branches that point inside the current branch's range move along with it, as with git's
``--update-refs``; the others are rehearsed and named, and move where they are asked for. A branch that is not
checked out here moves only as a whole: nobody is there to see what would be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from resync.errors import Refused
from resync.history import HistoryCut
from resync.model import BranchMove, Head, LocalCommit, Oid, RefName
from resync.observe import Observation
from resync.replay import Replay, Series
from resync.repository import Repository
from resync.repository.repo import BRANCHES
from resync.repository.trees import other_checkout
from resync.request import Request
from resync.upstream.dropped import yours
from resync.upstream.find import UpstreamBranch, configured
from resync.upstream.published import merged_in, published, pushed_from_here

_OURS = (b"rescue/", b"resync-rescue/")
_OTHERS = b"review/"
"""Where git-review puts other people's changes that were downloaded."""

_CARRIED = ("reapplied", "already-upstream", "became-empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Another branch that is concerned: its ``series`` to replay, and what of it came in through merges.

    ``dropped`` are commits that were made here, were upstream's once, and are no more. ``inside`` says that
    it points inside the range of the current branch, ``tracks`` that it has the same upstream, and
    ``checkout`` is another working tree that has it checked out.
    """

    name: RefName
    series: Series
    merged: frozenset[Oid]
    dropped: frozenset[Oid]
    inside: bool
    tracks: bool
    checkout: str | None

    @property
    def short_name(self) -> bytes:
        """The branch as people say it."""
        return self.name.removeprefix(BRANCHES)


def topics(repository: Repository, seen: Observation, request: Request, *, moves: bool) -> tuple[Topic, ...]:
    """The other branches that a run has to do with, by name; ``moves`` says that the current one will move.

    Raises ``Refused("no-such-branch")`` where ``request`` names a branch that is not here. One that is here
    and has nothing to be carried over is no mistake: a timer asks again and again.
    """
    if seen.upstream.new_tip is None or request.only_current:
        return ()
    inside = frozenset(seen.local) if moves else frozenset[Oid]()
    found = []
    here = repository.refs(BRANCHES)
    for pattern in request.branches:
        if not any(_matches(name.removeprefix(BRANCHES), pattern) for name in here):
            raise Refused(
                "no-such-branch",
                f"No branch here is called {pattern}. Nothing was changed.",
                "git branch --list",
            )
    for name, tip in sorted(here.items()):
        short = name.removeprefix(BRANCHES)
        if name == seen.head.branch or short.startswith(_OURS) or repository.is_symbolic(name):
            continue
        if not repository.objects.is_commit(tip):
            continue
        topic = _topic(repository, seen, name, tip, inside, named=_named(short, request))
        if topic is not None:
            found.append(topic)
    return tuple(found)


def _topic(
    repository: Repository,
    seen: Observation,
    name: RefName,
    tip: Oid,
    inside: frozenset[Oid],
    *,
    named: bool,
) -> Topic | None:
    """What has to be known of one branch; None where the rewrite does not concern it."""
    upstream = configured(repository, name)
    tracks = upstream is not None and _same(upstream, seen.branch)
    if upstream is not None and not tracks and not named and tip not in inside:
        # Somebody else's branch: its own upstream says where it stands.
        pushed = upstream.tracking is not None and pushed_from_here(repository, upstream.tracking)
        if not pushed:
            return None
    history, new_tip = seen.history, seen.upstream.new_tip
    assert new_tip is not None
    try:
        beyond = history.surely([tip], [new_tip])
        if tip not in inside and beyond.isdisjoint(seen.gone):
            return None
        arrived = history.surely([new_tip], [tip])
        mine = beyond - seen.gone
        if repository.shallow:
            mine = history.reachable([tip], [new_tip, *seen.upstream.old_tips])
    except HistoryCut:
        return None  # a shallow clone does not know what it stands on
    head = Head(branch=name, tip=tip)
    merged: frozenset[Oid] = frozenset()
    if mine.merges():
        advertised = seen.fetched.refs if seen.fetched is not None else None
        known = [new_tip, *dict.fromkeys(each.oid for each in seen.evidence)]
        merged = merged_in(history, mine, tip, published(repository, seen.branch, head, advertised), known)
    dropped = frozenset[Oid]()
    if seen.gone:
        dropped = yours(repository, history, head, seen.branch.tracking, beyond & seen.gone)
    return Topic(
        name=name,
        series=Series(
            tip=tip,
            commits=history.topological({*(mine - merged), *dropped}),
            upstream=frozenset(arrived),
        ),
        merged=frozenset(merged),
        dropped=dropped,
        inside=tip in inside,
        tracks=tracks,
        checkout=other_checkout(repository, name),
    )


def _same(one: UpstreamBranch, other: UpstreamBranch) -> bool:
    return (one.remote, one.branch) == (other.remote, other.branch)


def _named(short: bytes, request: Request) -> bool:
    return any(_matches(short, pattern) for pattern in request.branches)


def _matches(short: bytes, pattern: str) -> bool:
    return fnmatchcase(short.decode("utf-8", "surrogateescape"), pattern)


# --- what becomes of each ------------------------------------------------------------------------------


def branch_moves(
    found: Sequence[Topic],
    replayed: Sequence[Replay],
    request: Request,
    known: Sequence[LocalCommit],
    along: Callable[[RefName, Oid, Oid], str],
) -> Iterator[BranchMove]:
    """What becomes of each branch, ``replayed`` being what was rehearsed of it.

    ``known`` are the commits of the current branch: what a branch shares with it, or with one that comes
    before, is listed there, unless it is parked there with the merge that brought it in, and not here.
    ``along`` has the working tree that has a branch checked out move along from one commit to another, or
    says why it does not.
    """
    listed = {(commit.oid, commit.verdict) for commit in known}
    for topic, done in zip(found, replayed, strict=True):
        moves, reason = _decide(topic, done, request)
        if moves and topic.checkout is not None and done.tip != topic.series.tip:
            stays = along(topic.name, topic.series.tip, done.tip)
            moves, reason = not stays, stays or reason
        yield BranchMove(
            name=topic.name,
            old_tip=topic.series.tip,
            new_tip=done.tip,
            moves=moves and done.tip != topic.series.tip,
            reason=reason,
            waits=(bool(done.commits) and not moves) or (moves and not _whole(done)),
            commits=tuple(each for each in done.commits if (each.oid, each.verdict) not in listed),
            worktree=topic.checkout,
        )
        listed.update((each.oid, each.verdict) for each in done.commits)


def _decide(topic: Topic, done: Replay, request: Request) -> tuple[bool, str]:
    """Whether a branch moves, and why (or why not) in words."""
    named = _named(topic.short_name, request)
    if not done.commits and not (named or (topic.tracks and request.all_branches)):
        return False, "it has no commits of yours"
    if named or topic.inside:
        chosen = True
    else:
        chosen = request.all_branches and not topic.short_name.startswith(_OTHERS)
    if not chosen:
        whose = "it is somebody else's change" if topic.short_name.startswith(_OTHERS) else "nobody asked"
        name = topic.short_name.decode("utf-8", "surrogateescape")
        return False, f"{whose}; to move it: resync run --branch {name}"
    if _whole(done):
        return True, "it points inside your branch" if topic.inside and not named else ""
    if named and request.on_conflict == "park":
        return True, "what could not be carried over is on its rescue branch"
    name = topic.short_name.decode("utf-8", "surrogateescape")
    return False, f"not all of it carries over; to move it: resync run --branch {name} --on-conflict park"


def _whole(done: Replay) -> bool:
    return all(each.verdict in _CARRIED for each in done.commits)
