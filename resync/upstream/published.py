"""What came in through a merge, and is published elsewhere: the sixth kind of evidence.

A branch that merged somebody's published branch reaches commits that nobody here made. What other refs the
remote has takes such commits off the user's own, but only what a merge brought in: the branch's own chain of
first parents is never shortened by them, and a ref that was pushed from here proves nothing, because it holds
the user's own work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from resync.history import History
from resync.model import Head, Oid, RefName
from resync.repository import Repository
from resync.repository.repo import BRANCHES, REMOTES, TAGS
from resync.upstream.find import UpstreamBranch, tracking_ref

_PUSHED = b"update by push"


def published(
    repository: Repository, upstream: UpstreamBranch, head: Head, advertised: Mapping[RefName, Oid] | None
) -> tuple[Oid, ...]:
    """The tips of the remote's other branches and its tags, as far as they were not pushed from here.

    ``advertised`` are the refs of the remote, None where it was not asked: then the remote-tracking branches
    answer. Commits that are not here are left out.
    """
    own = set(_own_names(repository, upstream.remote, head))
    refs = _known(repository, upstream) if advertised is None else advertised
    tips: dict[Oid, None] = {}
    for name, oid in refs.items():
        if name == upstream.branch or name in own or not name.startswith((BRANCHES, TAGS)):
            continue
        if oid in repository.objects:
            commit = repository.objects.peel(oid)
            if repository.objects.is_commit(commit):
                tips[commit] = None
    return tuple(tips)


def _known(repository: Repository, upstream: UpstreamBranch) -> dict[RefName, Oid]:
    """The remote's branches by their remote-tracking refs, under the names that the remote has for them."""
    prefix = REMOTES + upstream.remote.encode("utf-8", "surrogateescape") + b"/"
    return {
        RefName(BRANCHES + name.removeprefix(prefix)): oid for name, oid in repository.refs(prefix).items()
    }


def _own_names(repository: Repository, remote: str, head: Head) -> Iterator[RefName]:
    """The remote's refs that hold what was pushed from here: by reflogs, settings and equal names."""
    yield from repository.refs(BRANCHES)
    if head.branch is not None:
        name = head.branch.removeprefix(BRANCHES).decode("utf-8", "surrogateescape")
        merge = repository.config_text("branch", name, "merge")
        if merge is not None:
            yield RefName(merge.encode("utf-8", "surrogateescape"))
    pushes = repository.config_all("remote", remote, "push")
    for branch in repository.refs(BRANCHES):
        pushed_to = tracking_ref(pushes, branch)
        if pushed_to is not None:
            yield pushed_to
    prefix = REMOTES + remote.encode("utf-8", "surrogateescape") + b"/"
    for tracking in repository.refs(prefix):
        if pushed_from_here(repository, tracking):
            yield RefName(BRANCHES + tracking.removeprefix(prefix))
    # Tags that stand here by another way than a fetch cannot be told from those that were pushed.


def pushed_from_here(repository: Repository, tracking: RefName) -> bool:
    """Whether the reflog of a remote-tracking branch says that the remote's was pushed from here."""
    return any(entry.message == _PUSHED for entry in repository.reflog(tracking))


def merged_in(
    history: History, mine: Collection[Oid], head: Oid, tips: Iterable[Oid], known: Iterable[Oid]
) -> frozenset[Oid]:
    """Which of the commits ``mine`` came in through merges of what ``tips`` publish.

    ``mine`` are those that ``head`` reaches and the tips ``known`` of upstream do not.
    """
    chain: set[Oid] = set()
    at: Oid | None = head
    while at is not None and at in mine:
        chain.add(at)
        at = next(iter(history.parents(at)), None)
    side = set(mine) - chain
    if not side:
        return frozenset()
    return frozenset(side & history.reachable(tips, known))
