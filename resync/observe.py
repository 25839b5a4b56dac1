"""What upstream was and is, and which commits are yours: the first part of every command.

The facts are gathered first; what follows from them is concluded step by step, each step in one function.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from resync.errors import Refused, UsageError
from resync.history import History, open_history
from resync.model import Evidence, Head, Note, Oid, RefName, RefUpdate, Upstream
from resync.policy import deploys
from resync.repository import Repository
from resync.repository.refs import write_now
from resync.repository.repo import BRANCHES, TAGS
from resync.request import Caller, Request
from resync.upstream.elsewhere import Elsewhere, look_elsewhere
from resync.upstream.evidence import (
    Judgement,
    collect,
    fetched_ref,
    judge,
    record_ref,
    remembered,
    went_back,
)
from resync.upstream.fetch import Fetched
from resync.upstream.find import DETACHED, UpstreamBranch, find
from resync.upstream.moved import moved
from resync.upstream.published import published
from resync.upstream.revision import resolve
from resync.upstream.shared import ask

if TYPE_CHECKING:
    from resync.upstream.releases import Choice, Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What upstream did, seen from what is checked out.

    ``branch`` says which branch that is; ``fetched`` what the remote said, None where it was not asked.
    ``tracked`` is where the remote-tracking branch stands; ``local`` are the user's own commits, oldest
    first; ``merged`` came in through merges, ``gone`` is what upstream once had (see ``Judgement``), and
    ``evidence`` all that there is, strongest first.
    ``elsewhere`` is what became of branches of that name at other remotes, if nothing happened to this one.
    ``follows_tags`` is False where the remote is configured with ``--no-tags``. ``pinned`` is the release
    that a detached HEAD stands on, and ``notes`` are for people.
    """

    history: History
    head: Head
    branch: UpstreamBranch
    fetched: Fetched | None
    tracked: Oid | None
    upstream: Upstream
    local: tuple[Oid, ...]
    merged: frozenset[Oid]
    gone: AbstractSet[Oid]
    evidence: tuple[Evidence, ...]
    elsewhere: Elsewhere
    follows_tags: bool
    pinned: Release | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What there is to go by, before anything is concluded from it; fields as in ``Observation``.

    ``given`` is the commit that ``--old-tip`` names, ``wanted`` which releases may be gone to (None:
    upstream's tip is the aim).
    """

    history: History
    head: Head
    branch: UpstreamBranch
    fetched: Fetched | None
    tracked: Oid | None
    given: Oid | None
    wanted: Choice | None

    @property
    def advertised(self) -> Mapping[RefName, Oid] | None:
        """The refs of the remote; None where it was not asked."""
        return self.fetched.refs if self.fetched is not None else None

    @property
    def announcements(self) -> Mapping[RefName, Oid]:
        """The tags of the remote that announce the end of a branch."""
        return self.fetched.announcements if self.fetched is not None else {}


def observe(repository: Repository, request: Request, caller: Caller) -> Observation:
    """Find the upstream, ask the remote, weigh the evidence. Writes objects and resync's own record.

    Raises ``Refused`` (``unborn-head``, ``no-upstream``, ``never-fetched``, with a detached HEAD also
    ``operation-in-progress``), ``UsageError`` and ``Busy`` as its parts do.
    """
    facts = _gather(repository, request, caller)
    evidence = _evidence(repository, facts, request)
    judged = _judged(repository, facts, evidence, request)
    _remember(repository, facts, judged.upstream, caller)
    judged = replace(judged, upstream=_told_from_rewound(repository, facts, judged.upstream, request))
    upstream, pinned = _aimed(repository, facts, judged, request)
    upstream = _with_successors(repository, facts, upstream)
    head, branch, detached = facts.head, facts.branch, facts.head.branch is None
    return Observation(
        history=facts.history,
        head=head,
        branch=branch,
        fetched=facts.fetched,
        tracked=facts.tracked,
        upstream=upstream,
        local=tuple(facts.history.topological(judged.local)),
        merged=judged.merged,
        gone=judged.gone,
        evidence=evidence,
        elsewhere=_elsewhere(repository, facts, upstream, request, caller),
        follows_tags=repository.config_text("remote", branch.remote, "tagopt") != "--no-tags",
        pinned=pinned if detached else None,
        notes=(
            *moved(repository, branch, upstream, facts.fetched),
            *((_detached(branch, pinned),) if detached else ()),
        ),
    )


# --- the facts -----------------------------------------------------------------------------------------


def _gather(repository: Repository, request: Request, caller: Caller) -> _Facts:
    """Find the upstream branch and ask the remote for it; what it has is kept from a prune."""
    head = repository.head()
    if head.branch is None:
        # A rebase detaches HEAD: then it is not the configuration that lacks an upstream.
        repository.refuse_operation()
    branch = find(repository, head, request.upstream)
    given = resolve(repository, request.old_tip, "--old-tip") if request.old_tip else None
    wanted = _release_wanted(repository, request, head)
    fetched = None
    if request.fetch:
        also = wanted.wants if wanted is not None else lambda name: False
        attended = not request.unattended
        fetched = ask(repository, branch, caller, also, folder=request.shared, attended=attended)
    if fetched is not None and fetched.tip is not None:
        _keep(repository, fetched_ref(branch), fetched.tip, caller)
    facts = _Facts(
        history=open_history(repository),
        head=head,
        branch=branch,
        fetched=fetched,
        tracked=repository.ref(branch.tracking) if branch.tracking is not None else None,
        given=given,
        wanted=wanted,
    )
    _promise(repository, facts, request, caller)
    return facts


def _release_wanted(repository: Repository, request: Request, head: Head) -> Choice | None:
    """Which releases may be gone to; None where upstream's tip is the aim. A deployment (``resync.deploy``)
    that is pinned to a release goes from release to release."""
    asked = request.to == "release" or request.pre or request.constraint is not None
    if asked and (request.to == "tip" or request.onto is not None or not request.fetch):
        raise UsageError(
            "bad-arguments",
            "A release is looked for among the tags that the remote has now, so --to release (and --pre,"
            " --constraint) goes neither with --to tip nor with --onto or --no-fetch. Nothing was changed.",
            "resync run --to release",
        )
    by_preset = request.to is None and head.branch is None and request.onto is None and request.fetch
    if asked or (by_preset and deploys(repository.config)):
        from resync.upstream.releases import choice

        return choice(request.constraint, pre=request.pre)
    return None


def _keep(repository: Repository, name: RefName, tip: Oid, caller: Caller) -> None:
    """Keep what was fetched from a prune: a plan may be looked at for hours before a run moves a ref."""
    old = repository.ref(name)
    if old != tip:
        update = RefUpdate(name=name, old=old, new=tip, message="resync: fetched")
        write_now(repository, [update], caller.signed(repository.identity()))


def _promise(repository: Repository, facts: _Facts, request: Request, caller: Caller) -> None:
    """In a partial clone, have what was left out brought over where it is needed."""
    fetched, tracked = facts.fetched, facts.tracked
    if fetched is None or fetched.tip is None or not repository.promisors():
        return
    from resync.upstream.promised import Promised

    tips = [facts.head.tip, fetched.tip, *([tracked] if tracked is not None else [])]
    repository.objects.promised = Promised(
        repository, facts.branch, facts.history, tips, caller, attended=not request.unattended
    )


# --- what follows from them ----------------------------------------------------------------------------


def _evidence(repository: Repository, facts: _Facts, request: Request) -> tuple[Evidence, ...]:
    """All that tells of what upstream's tips have been, strongest first."""
    mapped: tuple[Oid, ...] = ()
    if request.commit_map is not None:
        from resync.upstream.commit_map import read_map, tips_of

        mapped = tips_of(facts.history, facts.head.tip, read_map(request.commit_map))
    return collect(
        repository,
        facts.branch,
        facts.head,
        given=facts.given,
        mapped=mapped,
        announcements=facts.announcements,
    )


def _judged(
    repository: Repository, facts: _Facts, evidence: tuple[Evidence, ...], request: Request
) -> Judgement:
    """What upstream did, and whose the commits are; raises ``Refused("never-fetched")``."""
    if request.onto is not None:
        new_tip: Oid | None = resolve(repository, request.onto, "--onto", _about_to_move(facts))
    else:
        new_tip = facts.fetched.tip if facts.fetched is not None else _known_tip(facts)
    return judge(
        facts.history,
        facts.branch,
        evidence,
        head=facts.head.tip,
        tracked=facts.tracked,
        new_tip=new_tip,
        published=lambda: published(repository, facts.branch, facts.head, facts.advertised),
    )


def _about_to_move(facts: _Facts) -> dict[RefName, Oid]:
    """Where the remote-tracking branch will stand: who names it means what it is after the fetch."""
    tracking, fetched = facts.branch.tracking, facts.fetched
    if tracking is None or fetched is None or fetched.tip is None:
        return {}
    return {tracking: fetched.tip}


def _known_tip(facts: _Facts) -> Oid:
    branch = facts.branch
    if facts.tracked is None:
        raise Refused(
            "never-fetched",
            f"Without asking {branch.remote}, resync knows nothing of its branch"
            f" {branch.branch.removeprefix(BRANCHES).decode('utf-8', 'replace')}. Nothing was changed.",
            "run the same command without --no-fetch",
        )
    return facts.tracked


def _remember(repository: Repository, facts: _Facts, upstream: Upstream, caller: Caller) -> None:
    """Append to resync's own record what is now known to have been upstream's (what a person only
    claimed with ``--old-tip`` or a commit map, or chose with ``--onto`` is not)."""
    branch, tracked = facts.branch, facts.tracked
    if upstream.kind == "deleted" and tracked is None:
        return
    tips = [each.oid for each in upstream.evidence if each.kind not in ("given", "commit-map")]
    tips += [tracked] if tracked is not None else []
    known = repository.ref(record_ref(branch))
    if known is not None and set(tips) <= set(repository.objects.commit(known).parents):
        return
    who = caller.signed(repository.identity())
    update = remembered(repository, facts.history, branch, tuple(tips), who)
    if update is not None:
        write_now(repository, [update], who)


def _told_from_rewound(
    repository: Repository, facts: _Facts, upstream: Upstream, request: Request
) -> Upstream:
    """A rewrite that only went back to what upstream had been before is called so, as of a lagging mirror."""
    if upstream.kind != "rewritten" or request.onto is not None:
        return upstream
    if went_back(repository, facts.history, facts.branch.tracking, facts.head.tip, upstream):
        return replace(upstream, kind="rewound")
    return upstream


def _aimed(
    repository: Repository, facts: _Facts, judged: Judgement, request: Request
) -> tuple[Upstream, Release | None]:
    """What upstream did, with a release as where to go if one is wanted; and the release that HEAD is at, by
    the tags, where that is asked for or HEAD is detached."""
    head, fetched, wanted = facts.head, facts.fetched, facts.wanted
    if head.branch is not None and wanted is None:
        return judged.upstream, None
    from resync.upstream.detached import stands_on
    from resync.upstream.releases import aim

    base = stands_on(facts.history, head.tip, judged.local)
    pinned = _release_here(repository, base, facts)
    if wanted is None or fetched is None or (pinned is None and request.to != "release"):
        return judged.upstream, pinned
    aimed = aim(
        repository,
        facts.history,
        judged,
        head=head.tip,
        base=base,
        refs=fetched.refs,
        wanted=wanted,
        here=pinned,
    )
    return aimed, pinned


def _release_here(repository: Repository, commit: Oid | None, facts: _Facts) -> Release | None:
    """The newest release that the commit is, by the tags here and those of the remote."""
    if commit is None:
        return None
    from resync.upstream.releases import standing_at

    tags = {**repository.refs(TAGS), **(facts.advertised or {})}
    return next(iter(standing_at(repository, tags, commit)), None)


def _with_successors(repository: Repository, facts: _Facts, upstream: Upstream) -> Upstream:
    """Of a branch that is gone, also where it may live on."""
    if facts.fetched is None or upstream.kind != "deleted" or upstream.old_tip is None:
        return upstream
    from resync.upstream.successors import successors

    # A tag that announces the branch's end holds all of it, and nothing goes on there.
    others = {name: oid for name, oid in facts.fetched.refs.items() if name not in facts.announcements}
    likely = successors(repository, facts.history, upstream.old_tip, others)
    return replace(upstream, successors=likely)


def _elsewhere(
    repository: Repository, facts: _Facts, upstream: Upstream, request: Request, caller: Caller
) -> Elsewhere:
    """What became of branches of that name at other remotes, where nothing happened to this one."""
    # Who has named the upstream need not be told of others, and one surprise is enough.
    if upstream.kind not in ("up-to-date", "advanced") or request.upstream is not None:
        return Elsewhere()
    if request.onto is not None:
        return Elsewhere()
    return look_elsewhere(
        repository,
        facts.history,
        facts.branch,
        facts.head,
        asked=facts.fetched is not None,
        caller=caller,
        shared=request.shared,
    )


def _detached(branch: UpstreamBranch, pinned: Release | None) -> Note:
    name = f"{branch.remote}/{branch.branch.removeprefix(BRANCHES).decode('utf-8', 'backslashreplace')}"
    at = f" at release {pinned.name}" if pinned is not None else ""
    how = "it stands on" if branch.source == DETACHED else "its upstream is"
    return Note(None, f"HEAD is detached{at}; {how} {name}")
