"""What upstream was and is, and which commits are yours: the first part of every command."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace

from resync.errors import Refused, UsageError
from resync.history import History, HistoryCut, open_history
from resync.model import Evidence, Head, Note, Oid, RefName, RefUpdate, Upstream
from resync.policy import deploys
from resync.repository import Repository
from resync.repository.refs import write_now
from resync.repository.repo import BRANCHES, TAGS
from resync.request import Caller, Progress, Request
from resync.upstream.commit_map import read_map, tips_of
from resync.upstream.detached import stands_on
from resync.upstream.elsewhere import Elsewhere, look_elsewhere
from resync.upstream.evidence import collect, fetched_ref, judge, record_ref, remembered, went_back
from resync.upstream.fetch import Fetched
from resync.upstream.find import DETACHED, UpstreamBranch, find
from resync.upstream.moved import moved
from resync.upstream.published import published
from resync.upstream.releases import Choice, Release, aim, choice, standing_at
from resync.upstream.revision import resolve
from resync.upstream.shared import ask

# Evidence that the very branch was there once, and not only its commits.
_SEEN_HERE = ("record", "tracking", "given", "commit-map")


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


def observe(repository: Repository, request: Request, caller: Caller, progress: Progress) -> Observation:
    """Find the upstream, ask the remote, weigh the evidence. Writes objects and resync's own record.

    Raises ``Refused`` (``unborn-head``, ``no-upstream``, ``never-fetched``, with a detached HEAD also
    ``operation-in-progress``), ``UsageError`` and ``Busy`` as its parts do.
    """
    head = repository.head()
    if head.branch is None:
        # A rebase detaches HEAD: then it is not the configuration that lacks an upstream.
        repository.refuse_operation()
    branch = find(repository, head, request.upstream)
    given = resolve(repository, request.old_tip, "--old-tip") if request.old_tip else None
    wanted = _release_wanted(repository, request, head)
    also = wanted.wants if wanted is not None else lambda name: False
    fetched = None
    attended = not request.unattended
    prompt = caller.prompt if attended else None
    if request.fetch:
        fetched = ask(
            repository,
            branch,
            progress,
            also,
            folder=request.shared,
            attended=attended,
            prompt=prompt,
        )
    if fetched is not None and fetched.tip is not None:
        _keep(repository, fetched_ref(branch), fetched.tip, caller)
    tracked = repository.ref(branch.tracking) if branch.tracking is not None else None
    history = open_history(repository)
    if fetched is not None and fetched.tip is not None and repository.promisors():
        from resync.upstream.promised import Promised

        tips = [head.tip, fetched.tip, *([tracked] if tracked is not None else [])]
        repository.objects.promised = Promised(
            repository, branch, history, tips, progress, attended=attended, prompt=prompt
        )
    mapped: tuple[Oid, ...] = ()
    if request.commit_map is not None:
        mapped = tips_of(history, head.tip, read_map(request.commit_map))
    evidence = collect(
        repository,
        branch,
        head,
        given=given,
        mapped=mapped,
        announcements=fetched.announcements if fetched else {},
    )
    if request.onto is not None:
        new_tip: Oid | None = resolve(repository, request.onto, "--onto")
    else:
        new_tip = fetched.tip if fetched is not None else _known_tip(branch, tracked)
    judged = judge(
        history,
        branch,
        evidence,
        head=head.tip,
        tracked=tracked,
        new_tip=new_tip,
        published=lambda: published(repository, branch, head, fetched.refs if fetched else None),
    )
    _remember(repository, history, branch, judged.upstream, tracked, caller)
    upstream, pinned, base = judged.upstream, None, None
    if (
        upstream.kind == "rewritten"
        and request.onto is None
        and went_back(repository, history, branch.tracking, head.tip, upstream)
    ):
        upstream = replace(upstream, kind="rewound")
    if head.branch is None or wanted is not None:
        base = stands_on(history, head.tip, judged.local)
        pinned = _release_here(repository, base, fetched)
    if wanted is not None and fetched is not None and (pinned is not None or request.to == "release"):
        upstream = aim(
            repository,
            history,
            replace(judged, upstream=upstream),
            head=head.tip,
            base=base,
            refs=fetched.refs,
            wanted=wanted,
            here=pinned,
        )
    if fetched is not None and upstream.kind == "deleted" and upstream.old_tip is not None:
        from resync.upstream.successors import successors

        # A tag that announces the branch's end holds all of it, and nothing goes on there.
        others = {name: oid for name, oid in fetched.refs.items() if name not in fetched.announcements}
        likely = successors(repository, history, upstream.old_tip, others)
        upstream = replace(upstream, successors=likely)
    elsewhere = Elsewhere()
    # Who has named the upstream need not be told of others, and one surprise is enough.
    if upstream.kind in ("up-to-date", "advanced") and request.upstream is None and request.onto is None:
        elsewhere = look_elsewhere(
            repository,
            history,
            branch,
            head,
            asked=fetched is not None,
            progress=progress,
            shared=request.shared,
        )
    return Observation(
        history=history,
        head=head,
        branch=branch,
        fetched=fetched,
        tracked=tracked,
        upstream=upstream,
        local=tuple(history.topological(judged.local)),
        merged=judged.merged,
        gone=judged.gone,
        evidence=evidence,
        elsewhere=elsewhere,
        follows_tags=repository.config_text("remote", branch.remote, "tagopt") != "--no-tags",
        pinned=pinned if head.branch is None else None,
        notes=(
            *moved(repository, branch, upstream, fetched),
            *((_detached(branch, pinned),) if head.branch is None else ()),
        ),
    )


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
        return choice(request.constraint, pre=request.pre)
    return None


def _release_here(repository: Repository, commit: Oid | None, fetched: Fetched | None) -> Release | None:
    """The newest release that the commit is, by the tags here and those of the remote."""
    if commit is None:
        return None
    tags = {**repository.refs(TAGS), **(fetched.refs if fetched is not None else {})}
    return next(iter(standing_at(repository, tags, commit)), None)


def _detached(branch: UpstreamBranch, pinned: Release | None) -> Note:
    name = f"{branch.remote}/{branch.branch.removeprefix(BRANCHES).decode('utf-8', 'backslashreplace')}"
    at = f" at release {pinned.name}" if pinned is not None else ""
    how = "it stands on" if branch.source == DETACHED else "its upstream is"
    return Note(None, f"HEAD is detached{at}; {how} {name}")


def _keep(repository: Repository, name: RefName, tip: Oid, caller: Caller) -> None:
    """Keep what was fetched from a prune: a plan may be looked at for hours before a run moves a ref."""
    old = repository.ref(name)
    if old != tip:
        update = RefUpdate(name=name, old=old, new=tip, message="resync: fetched")
        write_now(repository, [update], caller.signed(repository.identity()))


def _known_tip(branch: UpstreamBranch, tracked: Oid | None) -> Oid:
    if tracked is None:
        raise Refused(
            "never-fetched",
            f"Without asking {branch.remote}, resync knows nothing of its branch"
            f" {branch.branch.removeprefix(BRANCHES).decode('utf-8', 'replace')}. Nothing was changed.",
            "run the same command without --no-fetch",
        )
    return tracked


def _remember(
    repository: Repository,
    history: History,
    branch: UpstreamBranch,
    upstream: Upstream,
    tracked: Oid | None,
    caller: Caller,
) -> None:
    """Append to resync's own record what is now known to have been upstream's (what a person only
    claimed with ``--old-tip`` or a commit map, or chose with ``--onto`` is not)."""
    if upstream.kind == "deleted" and tracked is None:
        return
    tips = [each.oid for each in upstream.evidence if each.kind not in ("given", "commit-map")]
    tips += [tracked] if tracked is not None else []
    known = repository.ref(record_ref(branch))
    if known is not None and set(tips) <= set(repository.objects.commit(known).parents):
        return
    who = caller.signed(repository.identity())
    update = remembered(repository, history, branch, tuple(tips), who)
    if update is not None:
        write_now(repository, [update], who)


class Doubt(Refused):
    """Nothing tells upstream's commits from the user's own: only a person can."""


def unusable(seen: Observation) -> Refused | None:
    """Why nothing can be carried over to what upstream is now; None where it can."""
    upstream = seen.upstream
    if upstream.kind == "deleted" and not _was_there(seen):
        branch = upstream.branch.removeprefix(BRANCHES).decode("utf-8", "replace")
        return Refused(
            "no-such-branch",
            f"{upstream.remote} has no branch {branch}, and never had as far as resync knows."
            " Nothing was changed.",
            f"git ls-remote --heads {upstream.remote}",
        )
    if upstream.kind == "deleted":
        tag = _ended_by(seen)
        announced = f", as its tag {tag} announces" if tag else ": the remote has no such branch now"
        wait = "wait, in case upstream makes it anew" if tag else "wait for it to come back"
        return Refused(
            "upstream-deleted",
            f"{upstream.name} is gone{announced}. Nothing was changed.",
            wait,
            f"resync run --upstream {_likeliest(upstream)}    # goes there instead",
        )
    if upstream.kind == "unknown":
        return Doubt(
            "no-evidence",
            f"Nothing tells which of your branch's commits were once those of {upstream.name}."
            " Nothing was changed.",
            "resync run --old-tip REV    # REV is the last of upstream's commits below your work",
        )
    return None


def _was_there(seen: Observation) -> bool:
    """Whether the very branch is known to have been there once, and not only commits of upstream's."""
    kinds = {each.kind for each in seen.upstream.evidence}
    # A prune takes all traces of the branch but two: what was cloned, and that it was made the upstream.
    return not kinds.isdisjoint(_SEEN_HERE) or (seen.branch.configured and "reflog" in kinds)


def _ended_by(seen: Observation) -> str | None:
    """The tag of the remote that announces the end of a branch that is gone: one that holds its old tip."""
    old_tip = next((each.oid for each in seen.evidence if each.kind != "announcement-tag"), None)
    for each in seen.evidence:
        if each.kind == "announcement-tag" and old_tip is not None:
            with suppress(HistoryCut):
                if seen.history.is_ancestor(old_tip, each.oid):
                    return each.source.removeprefix(TAGS).decode("utf-8", "backslashreplace")
    return None


def _likeliest(upstream: Upstream) -> str:
    """The branch that a deleted one most likely lives on in, as the command line takes it."""
    for each in upstream.successors:
        if each.ref.startswith(BRANCHES):
            return f"{upstream.remote}/{each.ref.removeprefix(BRANCHES).decode('utf-8', 'replace')}"
    return "REMOTE/BRANCH"
