"""Revisions as people type them, to commits: the part of gitrevisions(7) that names tips and what is near.

dulwich resolves the plain names (refs, full and short ids); the operators are followed here, because its own
reader of them goes through a reflog parser that fails on entries which git writes.
"""

from __future__ import annotations

import re

from resync.errors import UsageError
from resync.model import Oid, RefName
from resync.repository import Repository
from resync.repository.repo import BRANCHES

_OPERATOR = re.compile(r"~(?P<back>\d*)|\^\{(?:commit)?\}|\^(?P<parent>\d*)|@\{(?P<at>[^}]*)\}")
_PREFIXES = (b"", b"refs/", b"refs/tags/", BRANCHES, b"refs/remotes/")


def resolve(repository: Repository, revision: str, option: str) -> Oid:
    """The commit that ``revision`` names: a ref or id, followed by any of ``~N``, ``^N``, ``^{}``, ``@{N}``,
    ``@{upstream}``; ``@`` is HEAD.

    Raises ``UsageError("bad-revision")``; ``option`` is where it was given, for the message.
    """
    first = _OPERATOR.search(revision)
    name = revision[: first.start()] if first else revision
    rest = revision[len(name) :]
    try:
        position = 0
        at = _OPERATOR.match(rest)
        if at is not None and at["at"] is not None:
            oid = _in_reflog(repository, name or "HEAD", at["at"])
            position = at.end()
        else:
            oid = _named(repository, "HEAD" if name == "@" else name)
        while position < len(rest):
            operator = _OPERATOR.match(rest, position)
            if operator is None or operator["at"] is not None:
                raise KeyError(revision)
            oid = _step(repository, oid, operator)
            position = operator.end()
        return repository.objects.commit(repository.objects.peel(oid)).oid
    except (KeyError, ValueError, IndexError):
        raise UsageError(
            "bad-revision",
            f"{option} {revision} names no commit in this repository. Nothing was changed.",
            "git log --oneline --all",
        ) from None


def _named(repository: Repository, name: str) -> Oid:
    from dulwich.objectspec import parse_commit

    if not name:
        raise KeyError(name)
    return Oid(parse_commit(repository.dulwich, name.encode("utf-8", "surrogateescape")).id)


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


def _in_reflog(repository: Repository, name: str, what: str) -> Oid:
    """``name@{what}``: the value that a ref had N moves ago, or its upstream's."""
    if what.lower() in ("u", "upstream"):
        from resync.upstream.find import configured

        head = repository.head().branch if name == "HEAD" else RefName(BRANCHES + name.encode())
        found = configured(repository, head) if head is not None else None
        oid = repository.ref(found.tracking) if found is not None and found.tracking is not None else None
        if oid is None:
            raise KeyError(name)
        return oid
    back = int(what)
    encoded = name.encode("utf-8", "surrogateescape")
    for prefix in _PREFIXES:
        entries = repository.reflog(RefName(prefix + encoded))
        if entries:
            return entries[-1 - back].new
    raise KeyError(name)
