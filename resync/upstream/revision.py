"""Revisions as people type them, to commits: the part of gitrevisions(7) that names tips and what is near.

Names and operators are followed here: dulwich's own reader goes through a reflog parser that fails on entries
which git writes, and takes a ref that it cannot read for its value of long ago. It resolves short ids.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from resync.errors import UsageError
from resync.model import Oid, RefName
from resync.repository import Repository
from resync.repository.repo import BRANCHES

_OPERATOR = re.compile(r"~(?P<back>[0-9]*)|\^\{(?:commit)?\}|\^(?P<parent>[0-9]*)|@\{(?P<at>[^}]*)\}")
_PREVIOUS = re.compile(r"@\{-(?P<back>[0-9]+)\}")
_MOVED = re.compile(rb"checkout: moving from (?P<name>\S+) to ")
_SHORT_ID = re.compile(r"[0-9a-fA-F]{4,64}")
_NOTHING: Mapping[RefName, Oid] = {}
# Where git looks for a name, in its order; of a remote that is its default branch.
_PLACES = ("{}", "refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")


def resolve(
    repository: Repository, revision: str, option: str, fetched: Mapping[RefName, Oid] = _NOTHING
) -> Oid:
    """The commit that ``revision`` names: a ref or id, followed by any of ``~N``, ``^N``, ``^{}``, ``@{N}``,
    ``@{upstream}``; ``@`` is HEAD, and ``@{-N}`` the branch that was checked out N switches ago.

    ``fetched`` are refs that are going to move, and to where: their names mean that already.
    Raises ``UsageError("bad-revision")``; ``option`` is where it was given, for the message.
    """
    try:
        return _resolve(_Names(repository, fetched), revision)
    except (KeyError, ValueError, IndexError, StopIteration, OSError):
        raise UsageError(
            "bad-revision",
            f"{option} {revision} names no commit in this repository. Nothing was changed.",
            "git log --oneline --branches --remotes --tags",
        ) from None


class _Names(NamedTuple):
    """What the names of refs mean: ``fetched`` before what the repository says."""

    repository: Repository
    fetched: Mapping[RefName, Oid]

    def ref(self, name: RefName) -> Oid | None:
        known = self.fetched.get(self.repository.leads_to(name)) if self.fetched else None
        return known or self.repository.ref(name)


def _resolve(names: _Names, revision: str) -> Oid:
    """What ``resolve`` does; raises a few kinds of error where that is nothing."""
    previous = _PREVIOUS.match(revision)
    if previous is not None:
        name, position = _checked_out(names.repository, int(previous["back"])), previous.end()
    else:
        first = _OPERATOR.search(revision)
        position = first.start() if first is not None else len(revision)
        name = revision[:position]
    at = _OPERATOR.match(revision, position)
    if at is not None and at["at"] is not None:
        oid = _at(names, name, at["at"])
        position = at.end()
    else:
        oid = _named(names, name)
    while position < len(revision):
        operator = _OPERATOR.match(revision, position)
        if operator is None or operator["at"] is not None:
            raise KeyError(revision)
        oid = _step(names.repository, oid, operator)
        position = operator.end()
    objects = names.repository.objects
    return objects.commit(objects.peel(oid)).oid


def _refs(names: _Names, name: str) -> Iterator[RefName]:
    """The refs of that name, in the order in which git looks for one; ``@`` is HEAD."""
    for place in _PLACES if name else ():
        ref = RefName(place.format("HEAD" if name == "@" else name).encode("utf-8", "surrogateescape"))
        if names.ref(ref) is not None:
            yield ref


def _named(names: _Names, name: str) -> Oid:
    repository = names.repository
    for ref in _refs(names, name):
        oid = names.ref(ref)
        if oid is not None:
            return oid
    if name == "FETCH_HEAD":
        with open(os.path.join(repository.git_dir, name), "rb") as file:
            return Oid(file.readline().split()[0])
    if not _SHORT_ID.fullmatch(name):
        raise KeyError(name)
    from dulwich.objectspec import parse_commit

    return Oid(parse_commit(repository.dulwich, name.lower().encode("ascii")).id)


def _step(repository: Repository, oid: Oid, operator: re.Match[str]) -> Oid:
    oid = repository.objects.peel(oid)
    if operator["back"] is not None:
        for _ in range(int(operator["back"] or 1)):
            oid = repository.objects.commit(oid).parents[0]
    elif operator["parent"] is not None:
        number = int(operator["parent"] or 1)
        if number:
            oid = repository.objects.commit(oid).parents[number - 1]
    return oid


def _at(names: _Names, name: str, what: str) -> Oid:
    """``name@{what}``: the value that a ref had N moves ago, or its upstream's. Without a name it is the
    branch that is checked out."""
    if what.lower() in ("u", "upstream"):
        oid = _upstream(names, name)
        if oid is None:
            raise KeyError(name)
        return oid
    if not re.fullmatch("[0-9]+", what):
        raise KeyError(what)
    repository = names.repository
    refs = _refs(names, name) if name else [repository.checked_out() or RefName(b"HEAD")]
    # A tag of that name has no reflog.
    log = next(filter(None, map(repository.reflog, refs)))
    return log[-1 - int(what)].new


def _upstream(names: _Names, name: str) -> Oid | None:
    """Where the upstream of a branch stands, which may be a local branch."""
    from resync.upstream.find import of_remote

    repository = names.repository
    branch = repository.checked_out()
    if name not in ("", "@", "HEAD"):
        branch = next((ref for ref in _refs(names, name) if ref.startswith(BRANCHES)), None)
    if branch is None:
        return None
    short = branch.removeprefix(BRANCHES).decode("utf-8", "surrogateescape")
    remote = repository.config_text("branch", short, "remote")
    merge = repository.config_text("branch", short, "merge")
    if remote is None or merge is None:
        return None
    upstream = RefName(merge.encode("utf-8", "surrogateescape"))
    tracking = upstream if remote == "." else of_remote(repository, remote, upstream, "").tracking
    return names.ref(tracking) if tracking is not None else None


def _checked_out(repository: Repository, back: int) -> str:
    """The branch (or commit) that was left ``back`` switches ago, by HEAD's reflog."""
    moves = [_MOVED.match(entry.message) for entry in repository.reflog(RefName(b"HEAD"))]
    left = [move["name"] for move in moves if move is not None]
    if not back:
        raise KeyError(back)
    return left[-back].decode("utf-8", "surrogateescape")
