"""Which branch of which remote a detached HEAD stands on: no configuration says so, its history does.

A checkout that is pinned to a tag or a commit belongs to a branch whose tips, as far as they are known (the
remote-tracking branch, its reflog, resync's own record), reach what HEAD stands on.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from resync.errors import Refused
from resync.history import History, open_history
from resync.model import Head, Oid, RefName
from resync.repository import Repository
from resync.repository.repo import BRANCHES, REMOTES

_RECORDS = b"refs/resync/upstream/"
_LEFT = re.compile(rb"checkout: moving from (?P<name>\S+) to ")


class Named(NamedTuple):
    """A branch of a remote, by their names."""

    remote: str
    branch: RefName

    def __str__(self) -> str:
        return f"{self.remote}/{self.branch.removeprefix(BRANCHES).decode('utf-8', 'replace')}"


def branch_of(
    repository: Repository, head: Head, upstream_of: Callable[[RefName], Named | None]
) -> Named | None:
    """The branch that a detached HEAD belongs to, None where no branch is known that it stands on.

    Where several are, one counts more that has the commit on its own line of first parents; then the one that
    HEAD left when it was detached (``upstream_of`` a local branch), the remote's default branch, and what
    ``origin`` has. Raises ``Refused("ambiguous-upstream")`` where that does not settle it.
    """
    history = open_history(repository)
    tips = {
        name: found
        for name in _names(repository)
        if (found := {oid for oid in _tips(repository, name) if repository.objects.is_commit(oid)})
    }
    everything = set[Oid]().union(*tips.values())
    base = stands_on(history, head.tip, history.surely([head.tip], everything))
    if base is None:
        return None
    above = _Above(history, base, everything)
    having = [name for name, found in tips.items() if any(above.reaches(tip) for tip in found)]
    having = [name for name in having if any(above.on_line(tip) for tip in tips[name])] or having
    for likely in (set(_left(repository, having, upstream_of)), set(_defaults(repository))):
        having = [name for name in having if name in likely] or having
    having = [name for name in having if name.remote == "origin"] or having
    if len(having) > 1:
        raise Refused(
            "ambiguous-upstream",
            f"A detached HEAD has no upstream, and what it stands on is on {_list(having)}."
            " Nothing was changed.",
            f"resync run --upstream {shlex.quote(str(having[0]))}    # or another of them",
        )
    return having[0] if having else None


def stands_on(history: History, head: Oid, own: Collection[Oid]) -> Oid | None:
    """The first commit on the line of first parents of ``head`` that is not among its ``own``."""
    at: Oid | None = head
    while at is not None and at in own:
        at = next(iter(history.parents(at)), None)
    return at


def _names(repository: Repository) -> Iterator[Named]:
    """Every branch of a remote that is known here, by what tracks it or by resync's own record."""
    seen = set()
    for remote in repository.remotes():
        name = remote.encode("utf-8", "surrogateescape")
        for ref in repository.refs(REMOTES + name + b"/"):
            if not repository.is_symbolic(ref):
                seen.add(Named(remote, RefName(BRANCHES + ref.removeprefix(REMOTES + name + b"/"))))
        for ref in repository.refs(_RECORDS + name + b"/"):
            if ref.endswith(b".tips"):
                branch = ref.removeprefix(_RECORDS + name + b"/").removesuffix(b".tips")
                seen.add(Named(remote, RefName(BRANCHES + branch)))
    yield from sorted(seen)


def _tips(repository: Repository, name: Named) -> Iterator[Oid]:
    """What is known to have been the branch's tip."""
    path = name.remote.encode("utf-8", "surrogateescape") + b"/" + name.branch.removeprefix(BRANCHES)
    tracking = RefName(REMOTES + path)
    tip = repository.ref(tracking)
    if tip is not None:
        yield tip
    for entry in repository.reflog(tracking):
        yield from (entry.old, entry.new)
    record = repository.ref(RefName(_RECORDS + path + b".tips"))
    if record is not None:
        yield from repository.objects.commit(record).parents


class _Above:
    """What of all that some tips reach stands on ``base``."""

    def __init__(self, history: History, base: Oid, tips: Collection[Oid]) -> None:
        self._history = history
        self._base = base
        self._above = {base}
        # One pass from the oldest: whatever has a parent that stands on it does so itself.
        for oid in history.topological(history.surely(tips, [base])):
            if not self._above.isdisjoint(history.parents(oid)):
                self._above.add(oid)

    def reaches(self, tip: Oid) -> bool:
        return tip in self._above

    def on_line(self, tip: Oid) -> bool:
        """Whether the tip reaches it by first parents only, and not through what a merge brought in."""
        at: Oid | None = tip
        while at is not None and at in self._above and at != self._base:
            at = next(iter(self._history.parents(at)), None)
        return at == self._base


def _left(
    repository: Repository, among: Collection[Named], upstream_of: Callable[[RefName], Named | None]
) -> Iterator[Named]:
    """The upstream of the branch from which HEAD was detached last."""
    for entry in reversed(repository.reflog(RefName(b"HEAD"))):
        left = _LEFT.match(entry.message)
        if left is None:
            continue
        found = upstream_of(RefName(BRANCHES + left["name"]))
        if found is not None:
            yield found
            return
        named = [each for each in among if str(each).encode() == left["name"]]
        if named:
            yield from named
            return


def _defaults(repository: Repository) -> Iterator[Named]:
    """The branch to which each remote's HEAD pointed when it was cloned."""
    for remote in repository.remotes():
        prefix = REMOTES + remote.encode("utf-8", "surrogateescape") + b"/"
        target = repository.chain_end(RefName(prefix + b"HEAD"))
        if target.startswith(prefix):
            yield Named(remote, RefName(BRANCHES + target.removeprefix(prefix)))


def _list(names: list[Named]) -> str:
    shown = ", ".join(map(str, names[:5]))
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
