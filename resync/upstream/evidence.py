"""What upstream's tips have been, with the reason why each is believed to have been one.

Everything here is the rule book of DESIGN.md, section 6: five kinds of evidence, strongest first. What
agrees is used together; the strongest that says something new about this branch is the one that decided.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from itertools import dropwhile

from resync.history import Commits, History, HistoryCut
from resync.model import Evidence, Head, Oid, RefName, RefUpdate, Upstream, UpstreamKind
from resync.repository import Repository
from resync.repository.objects import TREE
from resync.repository.repo import BRANCHES, REMOTES, ReflogEntry
from resync.upstream.find import UpstreamBranch
from resync.upstream.published import merged_in

RECORDS = b"refs/resync/upstream/"

# Reflog messages by which git says that a ref was put where upstream stood. Anything else (a commit, a
# reset to HEAD@{1}) may be the user's own work and proves nothing.
_FROM_TRACKING = re.compile(
    rb"(?:branch: Created from|branch: Reset to|reset: moving to|checkout: moving from \S+ to) (?P<name>\S+)$"
)
_FROM_CLONE_OR_PULL = re.compile(rb"clone: from |pull(?: -\S+)*: Fast-forward$")
_RENAMED = re.compile(rb"remote: renamed refs/remotes/(?P<old>\S+) to refs/remotes/\S+$")
_REBASE_ONTO = re.compile(rb"rebase(?: \(\w+\))?: checkout (?P<name>\S+)$")

_TAKEN_BACK = (b"resync: undo of ", b"resync: aborted")

# Evidence by which somebody says that upstream gave up its old tip.
_VOUCHING = ("given", "announcement-tag")
_DEEPEN = (
    "git fetch --unshallow",
    "resync run --old-tip REV    # if it was rewritten: the last of upstream's old commits below your work",
)


def record_ref(upstream: UpstreamBranch) -> RefName:
    """The ref of resync's own record of the branch's tips."""
    return _ref(upstream, b".tips")


def fetched_ref(upstream: UpstreamBranch) -> RefName:
    """The ref of what was fetched last, which proves nothing of what was there before."""
    return _ref(upstream, b".fetched")


def _ref(upstream: UpstreamBranch, suffix: bytes) -> RefName:
    remote = upstream.remote.encode("utf-8", "surrogateescape")
    if upstream.remote == upstream.url:
        # An address in the place of a remote's name: it may have what no ref may.
        from urllib.parse import quote

        remote = quote(remote, safe="").replace(".", "%2E").encode("ascii")
    branch = upstream.branch.removeprefix(BRANCHES)
    return RefName(RECORDS + remote + b"/" + branch + suffix)


def collect(
    repository: Repository,
    upstream: UpstreamBranch,
    head: Head,
    *,
    given: Oid | None,
    mapped: Iterable[Oid] = (),
    announcements: Mapping[RefName, Oid],
) -> tuple[Evidence, ...]:
    """Every tip that upstream is known to have had, strongest evidence first, missing commits left out.

    ``given`` is what a person named and ``mapped`` what a commit map says; ``announcements`` are the
    announcing tags as the remote advertises them (a tag that stands only here proves nothing).
    """
    found: list[Evidence] = []
    if given is not None:
        found.append(Evidence(kind="given", source=b"--old-tip", oid=given))
    found += (Evidence(kind="commit-map", source=b"--commit-map", oid=oid) for oid in mapped)
    for source in _records(repository, upstream):
        record = repository.ref(source)
        if record is not None:
            tips = repository.objects.commit(record).parents
            found += (Evidence(kind="record", source=source, oid=oid) for oid in tips)
    if upstream.tracking is not None:
        tip = repository.ref(upstream.tracking)
        if tip is not None:
            found.append(Evidence(kind="tracking", source=upstream.tracking, oid=tip))
    found += _from_reflogs(repository, upstream.tracking, head)
    for name, oid in announcements.items():
        if oid in repository.objects:
            found.append(Evidence(kind="announcement-tag", source=name, oid=repository.objects.peel(oid)))
    unique = dict.fromkeys(found)
    return tuple(each for each in unique if repository.objects.is_commit(each.oid))


def _records(repository: Repository, upstream: UpstreamBranch) -> Iterator[RefName]:
    """The record of the branch, and those under names that its remote had before it was renamed."""
    yield record_ref(upstream)
    branch = b"/" + upstream.branch.removeprefix(BRANCHES)
    for entry in reversed(repository.reflog(upstream.tracking)) if upstream.tracking is not None else ():
        renamed = _RENAMED.match(entry.message)
        if renamed and renamed["old"].endswith(branch):
            yield RefName(RECORDS + renamed["old"].removesuffix(branch) + branch + b".tips")


def _from_reflogs(repository: Repository, tracking: RefName | None, head: Head) -> Iterator[Evidence]:
    """Tips that reflogs name, newest first: all of the remote-tracking branch's, and of the local
    branch's and HEAD's those whose message says that they came from upstream."""
    names: set[bytes] = set()
    if tracking is not None:
        for entry in reversed(repository.reflog(tracking)):
            for oid in (entry.new, entry.old):
                if oid.strip(b"0"):
                    yield Evidence(kind="reflog", source=tracking, oid=oid)
        # git's spellings of the tracking branch in a reflog message.
        names = {bytes(tracking), tracking.removeprefix(b"refs/"), tracking.removeprefix(REMOTES)}
    for ref in dict.fromkeys((head.branch or RefName(b"HEAD"), RefName(b"HEAD"))):
        for entry in reversed(repository.reflog(ref)):
            match = _FROM_TRACKING.match(entry.message) or _REBASE_ONTO.match(entry.message)
            if _FROM_CLONE_OR_PULL.match(entry.message) or (match and match["name"] in names):
                yield Evidence(kind="reflog", source=ref, oid=entry.new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What upstream did, and whose the commits are, in no order.

    ``local`` are the user's own commits of the branch; ``merged`` those that came in through a merge of
    something else that is published; ``gone`` all that upstream once had and the new tip does not reach.
    """

    upstream: Upstream
    local: AbstractSet[Oid] = frozenset()
    merged: frozenset[Oid] = frozenset()
    gone: AbstractSet[Oid] = frozenset()


def judge(
    history: History,
    upstream: UpstreamBranch,
    evidence: tuple[Evidence, ...],
    *,
    head: Oid,
    tracked: Oid | None,
    new_tip: Oid | None,
    published: Callable[[], Iterable[Oid]],
) -> Judgement:
    """What upstream did, as seen from the commit ``head``.

    ``published`` gives the tips of the remote's other refs, and is asked only where a merge may have brought
    something of theirs in. ``tracked`` is where the remote-tracking branch stood before this fetch,
    ``new_tip`` where upstream's branch stands now (None: it is gone). A tip counts as one that was left
    behind when ``head`` reaches commits through it that the new tip does not reach, or when it is where the
    remote-tracking branch stood and the new tip does not reach it. Pure but for reading commits.
    """
    if new_tip is None:
        return Judgement(upstream=_upstream(upstream, "deleted", None, evidence, evidence))
    tips = tuple(dict.fromkeys(each.oid for each in evidence))
    # One walk answers nearly all: what the branch has beyond the new tip, and what upstream once had.
    here, now = (head,), (new_tip,)
    beyond, gone = history.ranges((here, now), (tips, now))
    cut = beyond is None or gone is None
    if beyond is None or gone is None:
        beyond, gone = history.surely(here, now), history.surely(tips, now)
    behind = _left_behind(history, evidence, beyond, gone, tracked)
    if cut and not behind:
        raise HistoryCut
    if behind:
        judged = _rewritten(history, upstream, evidence, behind, gone, new_tip, cut=cut)
    else:
        judged = _not_rewritten(history, upstream, evidence, head, new_tip)
    mine = history.reachable([head], [new_tip, *tips]) if cut else beyond - gone
    merged: frozenset[Oid] = frozenset()
    if mine.merges():
        merged = merged_in(history, mine, head, published(), [new_tip, *tips])
    return Judgement(upstream=judged, local=mine - merged, merged=merged, gone=gone)


def _left_behind(
    history: History,
    evidence: tuple[Evidence, ...],
    beyond: Commits,
    gone: Commits,
    tracked: Oid | None,
) -> tuple[Evidence, ...]:
    """The evidence whose tips the new tip left behind, in the order of strength.

    ``gone`` are the commits that upstream once had and has no more, ``beyond`` those that the branch has.
    """
    tips = {each.oid for each in evidence if each.oid in gone}
    concerns = {oid for oid in tips if oid in beyond}
    if concerns != tips:
        # Does a tip reach something that the branch still stands on?
        above = history.above(gone, beyond)
        concerns = {oid for oid in tips if oid in above}
    return tuple(
        each for each in evidence if each.oid in concerns or (each.oid == tracked and each.oid in tips)
    )


def _not_rewritten(
    history: History, upstream: UpstreamBranch, evidence: tuple[Evidence, ...], head: Oid, new_tip: Oid
) -> Upstream:
    kind: UpstreamKind
    # That the new tip itself is known says nothing about what was there before it.
    older = any(each.oid != new_tip for each in evidence)
    if history.is_ancestor(new_tip, head):
        kind = "up-to-date"
    elif older or history.is_ancestor(head, new_tip):
        kind = "advanced"
    else:
        kind = "unknown"
    old = next((each for each in evidence if each.kind == "tracking"), None)
    arrived: int | None = 0
    if kind == "advanced":
        try:
            arrived = _count(history.reachable([new_tip], [head]))
        except HistoryCut:
            arrived = None
    return _upstream(upstream, kind, new_tip, (old,) if old else (), evidence, arrived=arrived)


def _rewritten(
    history: History,
    upstream: UpstreamBranch,
    evidence: tuple[Evidence, ...],
    behind: tuple[Evidence, ...],
    gone: Commits,
    new_tip: Oid,
    *,
    cut: bool,
) -> Upstream:
    """What became of a branch whose tips ``behind`` the new tip does not reach.

    Where the history is ``cut``, nothing here tells a rewrite from a step back to what is hidden: then only a
    person or an announcement can say so, or ``HistoryCut`` is raised.
    """
    tips = {each.oid for each in behind}
    left = gone
    if any(each.oid in gone and each.oid not in tips for each in evidence):
        left &= history.reachable(tips, [new_tip], ignore_cut=True)
    below = left.parents()
    deciding = next(each for each in behind if each.oid not in below)
    ordered = tuple(sorted(behind, key=lambda each: each.oid != deciding.oid))
    if cut:
        if not any(each.oid == deciding.oid and each.kind in _VOUCHING for each in behind):
            raise HistoryCut(*_DEEPEN)
        return _upstream(upstream, "rewritten", new_tip, ordered, evidence, left=None, arrived=None)
    # Of what the tips reach, all that the new tip reaches as well is below the commits that left.
    arrived = history.reachable([new_tip], below - left)
    kind: UpstreamKind = "rewritten"
    # What lies below the commits that left and is not one of them, the new tip reaches as well.
    if not below - left:
        kind = "unrelated"
    elif not arrived and history.is_ancestor(new_tip, deciding.oid):
        kind = "rewound"
    return _upstream(
        upstream,
        kind,
        new_tip,
        ordered,
        evidence,
        left=_count(left),
        arrived=_count(arrived),
    )


def _count(commits: Commits) -> int:
    """How many commits were gained or lost, as people count them: merges left out."""
    return len(commits) - len(commits.merges())


def _upstream(
    branch: UpstreamBranch,
    kind: UpstreamKind,
    new_tip: Oid | None,
    deciding: tuple[Evidence, ...],
    evidence: tuple[Evidence, ...],
    *,
    left: int | None = 0,
    arrived: int | None = 0,
) -> Upstream:
    return Upstream(
        remote=branch.remote,
        branch=branch.branch,
        tracking=branch.tracking,
        kind=kind,
        new_tip=new_tip,
        old_tip=deciding[0].oid if deciding else None,
        old_tips=tuple(dict.fromkeys(each.oid for each in evidence)),
        evidence=deciding,
        left=left,
        arrived=arrived,
    )


def went_back(
    repository: Repository, history: History, tracking: RefName | None, head: Oid, upstream: Upstream
) -> bool:
    """Whether a rewritten upstream is at what it had been before it came to its old tip, by the reflog of the
    remote-tracking branch, and ``head`` is not there: so a mirror looks that lags behind.
    """
    old_tip, new_tip = upstream.old_tip, upstream.new_tip
    entries = reversed(_upstreams_own(repository.reflog(tracking))) if tracking is not None else ()
    tips = [oid for entry in entries for oid in (entry.new, entry.old) if repository.objects.is_commit(oid)]
    if old_tip in tips:
        earlier = tips[tips.index(old_tip) :]
    else:
        # That the new tip was fetched already does not make it an earlier one.
        earlier = list(dropwhile(lambda oid: oid == new_tip, tips))
    if not earlier or old_tip is None or new_tip is None:
        return False
    with suppress(HistoryCut):
        # Those of the old tip's own line do not lead there.
        elsewhere = history.reachable(earlier, [old_tip])
        left = [oid for oid in earlier if oid in elsewhere]
        if left and not history.is_ancestor(new_tip, head):
            return new_tip in left or not history.reachable([new_tip], left)
    return False


def _upstreams_own(entries: Iterable[ReflogEntry]) -> list[ReflogEntry]:
    """The entries without what a run of resync wrote that was taken back: no upstream went there and back."""
    kept: list[ReflogEntry] = []
    for entry in entries:
        if entry.message.startswith(_TAKEN_BACK) and kept and kept[-1].old == entry.new:
            kept.pop()
        else:
            kept.append(entry)
    return kept


def remembered(
    repository: Repository, history: History, upstream: UpstreamBranch, tips: tuple[Oid, ...], who: bytes
) -> RefUpdate | None:
    """The update that appends ``tips`` to resync's own record, or None where it has them all.

    The record is a commit whose parents are the tips, those that others reach left out: so it survives
    prune, expiry and garbage collection. ``who`` is ``Name <mail> SECONDS ZONE``. The commit is only in
    memory yet.
    """
    name = record_ref(upstream)
    old = repository.ref(name)
    known = repository.objects.commit(old).parents if old is not None else ()
    parents = tuple(dict.fromkeys((*known, *tips)))
    # A tip too many does no harm, where a shallow clone cannot tell whether another reaches it.
    with suppress(HistoryCut):
        parents = history.independent(parents)
    if set(parents) == set(known):
        return None
    tree = repository.objects.add(TREE, b"")
    lines = [b"tree " + tree, *(b"parent " + oid for oid in parents)]
    lines += [b"author " + who, b"committer " + who, b"", b"Every tip that resync has seen here\n"]
    new = repository.objects.add_commit(b"\n".join(lines))
    return RefUpdate(name=name, old=old, new=new, message="resync: seen")
