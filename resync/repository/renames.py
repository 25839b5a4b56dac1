"""Branches that git has renamed: a reflog goes along with its branch, and says so (git-branch(1), ``-m``)."""

from __future__ import annotations

import re
import shlex

from resync.model import Oid, RefName
from resync.repository.repo import BRANCHES, Repository

_RENAMED = re.compile(rb"Branch: renamed (?P<old>\S+) to (?P<new>\S+)")


def former_names(repository: Repository, branch: RefName) -> tuple[RefName, ...]:
    """What the branch was called before, the newest name first, but for those that another has now."""
    name, found = branch, []
    for entry in reversed(repository.reflog(branch)):
        renamed = _RENAMED.fullmatch(entry.message)
        if renamed is not None and renamed["new"] == name:
            name = RefName(renamed["old"])
            found.append(name)
    return tuple(name for name in dict.fromkeys(found) if name != branch and repository.ref(name) is None)


def way_to(repository: Repository, branch: RefName | None, tip: Oid) -> str:
    """What to type to have a branch checked out again, which may have another name by now, or be gone from
    ``tip``; None is a detached HEAD."""
    if branch is None:
        return f"git checkout --detach {tip.decode()}"
    if repository.ref(branch) is not None:
        return f"git checkout {_short(branch)}"
    for other in repository.refs(BRANCHES):
        if branch in former_names(repository, other):
            return f"git checkout {_short(other)}"
    return f"git checkout -b {_short(branch)} {tip.decode()}"


def _short(branch: RefName) -> str:
    return shlex.quote(branch.removeprefix(BRANCHES).decode("utf-8", "replace"))
