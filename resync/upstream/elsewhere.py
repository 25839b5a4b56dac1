"""Other remotes with a branch of the upstream's name: where ``origin`` is one's own fork, it is there that a
rewrite happens, and the fork knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from resync.errors import ResyncError, as_reason
from resync.history import History
from resync.model import Head, Note, Oid, Upstream
from resync.repository import Repository
from resync.repository.repo import BRANCHES
from resync.request import Caller
from resync.upstream.evidence import collect, judge
from resync.upstream.find import UpstreamBranch, of_remote
from resync.upstream.shared import ask

_PUSHED = b"update by push"


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What became of such branches: ``rewritten`` are those that left commits behind on which the checkout
    stands, or that are gone; ``unknown`` is about those of which nothing can be said."""

    rewritten: tuple[Upstream, ...] = ()
    unknown: tuple[Note, ...] = ()


def look_elsewhere(
    repository: Repository,
    history: History,
    upstream: UpstreamBranch,
    head: Head,
    *,
    asked: bool,
    caller: Caller,
    shared: str | None = None,
) -> Elsewhere:
    """What became of the branch of that name at the other remotes; with ``asked`` they are asked, or what
    they told another checkout is found in the folder ``shared``."""
    rewritten: list[Upstream] = []
    unknown: list[Note] = []
    for other in _others(repository, upstream, head):
        try:
            seen = _look(repository, history, other, head, asked, caller, shared)
        except ResyncError as error:
            name = other.branch.removeprefix(BRANCHES).decode("utf-8", "replace")
            why = as_reason(error)
            unknown.append(Note(None, f"whether {other.remote}/{name} was rewritten is not known. {why}"))
            continue
        if seen is not None:
            rewritten.append(seen)
    return Elsewhere(rewritten=tuple(rewritten), unknown=tuple(unknown))


def _others(repository: Repository, upstream: UpstreamBranch, head: Head) -> Iterator[UpstreamBranch]:
    """The branches of that name that are tracked here, but for those to which one's own work is pushed, and
    those of remotes that ``git fetch --all`` leaves out as well."""
    pushed_to = {repository.config_text("remote", "pushDefault")}
    if head.branch is not None:
        name = head.branch.removeprefix(BRANCHES).decode("utf-8", "surrogateescape")
        pushed_to.add(repository.config_text("branch", name, "pushRemote"))
    for remote in repository.remotes():
        if remote == upstream.remote or remote in pushed_to:
            continue
        other = of_remote(repository, remote, upstream.branch, "its name")
        if other.url == upstream.url or other.tracking is None or repository.ref(other.tracking) is None:
            continue
        skipped = repository.config_text("remote", remote, "skipFetchAll") or "false"
        if skipped.lower() in ("true", "yes", "on", "1"):
            continue
        if not any(entry.message == _PUSHED for entry in repository.reflog(other.tracking)):
            yield other


def _look(
    repository: Repository,
    history: History,
    other: UpstreamBranch,
    head: Head,
    asked: bool,
    caller: Caller,
    shared: str | None,
) -> Upstream | None:
    """What became of one of them; None where nothing did that concerns the checkout."""
    fetched = ask(repository, other, caller, folder=shared) if asked else None
    announcements = fetched.announcements if fetched is not None else {}
    evidence = collect(repository, other, head, given=None, announcements=announcements)
    tracked = repository.ref(other.tracking) if other.tracking is not None else None
    new_tip: Oid | None = fetched.tip if fetched is not None else tracked
    # Where that branch stood says nothing here unless the checkout stands on it: so there is no ``tracked``.
    seen = judge(
        history, other, evidence, head=head.tip, tracked=None, new_tip=new_tip, published=tuple
    ).upstream
    if seen.kind == "deleted":
        ours = tuple(each for each in evidence if history.is_ancestor(each.oid, head.tip))
        return replace(seen, old_tip=ours[0].oid, evidence=ours) if ours else None
    return seen if seen.kind in ("rewritten", "rewound", "unrelated") else None
