"""Which branch of which remote is the upstream of what is checked out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from resync.errors import Refused, UsageError
from resync.model import Head, RefName
from resync.repository import Repository
from resync.repository.repo import BRANCHES

DETACHED = "what HEAD stands on"
"""The source of an upstream that only the history of a detached HEAD tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamBranch:
    """The upstream branch: ``branch`` as the remote names it, ``tracking`` as it is kept here.

    ``tracking`` is None where no configured refspec keeps the branch. ``source`` says where the answer
    was found, for the report.
    """

    remote: str
    url: str
    branch: RefName
    tracking: RefName | None
    source: str

    @property
    def configured(self) -> bool:
        """Whether git's configuration says so: git makes no branch an upstream that is not there."""
        return self.source.startswith("branch.")


def find(repository: Repository, head: Head, wanted: str | None) -> UpstreamBranch:
    """The upstream of ``head``: ``wanted`` (``REMOTE/BRANCH``), else as configured, else ``.gitreview``'s,
    else for a detached HEAD the branch on which it stands.

    Raises ``UsageError("unknown-upstream")`` where ``wanted`` names no remote, and ``Refused`` where nothing
    says what the upstream is (``no-upstream``), or too much (``ambiguous-upstream``).
    """
    if wanted is not None:
        return _named(repository, wanted)
    if head.branch is not None:
        found = configured(repository, head.branch)
        if found is not None:
            return found
    reviewed = _from_gitreview(repository)
    if reviewed is not None:
        return reviewed
    if head.branch is None:
        from resync.upstream.detached import Named, branch_of

        def upstream_of(branch: RefName) -> Named | None:
            known = configured(repository, branch)
            return Named(known.remote, known.branch) if known is not None else None

        named = branch_of(repository, head, upstream_of)
        if named is not None:
            return of_remote(repository, named.remote, named.branch, DETACHED)
    name = head.name.decode("utf-8", "replace")
    what = f"Branch {name} has no upstream configured,"
    if head.branch is None:
        what = "A detached HEAD has no upstream, it stands on no branch that is known to be a remote's,"
    raise Refused(
        "no-upstream",
        f"{what} and there is no .gitreview that names one. Nothing was changed.",
        "git branch --set-upstream-to=REMOTE/BRANCH    # for good, and git branch -r tells them",
        "resync run --upstream REMOTE/BRANCH    # for this once",
    )


def _named(repository: Repository, wanted: str) -> UpstreamBranch:
    # A remote's name may itself contain slashes: the longest that fits is meant, as in git.
    for remote in sorted(repository.remotes(), key=len, reverse=True):
        if wanted.startswith(remote + "/") and len(wanted) > len(remote) + 1:
            branch = wanted.removeprefix(remote + "/").encode("utf-8", "surrogateescape")
            return of_remote(repository, remote, RefName(BRANCHES + branch), "--upstream")
    known = ", ".join(repository.remotes()) or "none"
    raise UsageError(
        "unknown-upstream",
        f"{wanted} does not begin with the name of a remote (there are: {known}). Nothing was changed.",
        "resync run --upstream REMOTE/BRANCH    # git branch -r tells them",
    )


def configured(repository: Repository, branch: RefName) -> UpstreamBranch | None:
    """The upstream that the branch is configured with, followed through local branches (a remote of ``.``);
    None where there is none or the local branches go in a circle."""
    seen: set[RefName] = set()
    while branch not in seen:
        seen.add(branch)
        name = branch.removeprefix(BRANCHES).decode("utf-8", "surrogateescape")
        remote = repository.config_text("branch", name, "remote")
        merge = repository.config_text("branch", name, "merge")
        if remote is None or merge is None:
            return None
        upstream = _whole_name(merge)
        if remote != ".":
            return of_remote(repository, remote, upstream, f"branch.{name}.merge")
        branch = upstream
    return None


def _whole_name(merge: str) -> RefName:
    """What ``branch.<name>.merge`` names, which git lets be short."""
    name = merge.encode("utf-8", "surrogateescape")
    if name.startswith(b"refs/"):
        return RefName(name)
    return RefName(b"refs/" + name if name.startswith(b"heads/") else BRANCHES + name)


def _from_gitreview(repository: Repository) -> UpstreamBranch | None:
    """The default branch that ``.gitreview`` names, on its remote (git-review's own default: gerrit)."""
    from resync.upstream.gitreview import MOST_BYTES, read_gitreview

    try:
        with open(os.path.join(repository.root, ".gitreview"), "rb") as file:
            settings = read_gitreview(file.read(MOST_BYTES))
    except OSError:
        return None
    branch = settings.get("defaultbranch", "")
    remotes = repository.remotes()
    for remote in (settings.get("defaultremote", "gerrit"), "origin"):
        if branch and remote in remotes:
            name = RefName(BRANCHES + branch.encode("utf-8", "surrogateescape"))
            return of_remote(repository, remote, name, ".gitreview")
    return None


def of_remote(repository: Repository, remote: str, branch: RefName, source: str) -> UpstreamBranch:
    """The branch of a remote, by its configuration; ``source`` says who named it."""
    # git lets branch.<name>.remote be an address instead of a remote's name; such a branch is not tracked.
    url = repository.config_text("remote", remote, "url") or remote
    tracking = tracking_ref(repository.config_all("remote", remote, "fetch"), branch)
    if tracking is not None and tracking.startswith(BRANCHES):
        # A mirror's refspec: what people commit on tells nothing of where upstream was.
        tracking = None
    return UpstreamBranch(remote=remote, url=url, branch=branch, tracking=tracking, source=source)


def tracking_ref(refspecs: Iterable[str], branch: RefName) -> RefName | None:
    """Where the fetch refspecs of a remote keep its ``branch``, or None (git's refspec rules)."""
    name = branch.decode("utf-8", "surrogateescape")
    kept = None
    for refspec in refspecs:
        negative = refspec.startswith("^")
        source, _, target = refspec.lstrip("^+").partition(":")
        before, star, after = source.partition("*")
        if star:
            if not (name.startswith(before) and name.endswith(after) and len(name) >= len(source) - 1):
                continue
            middle = name[len(before) : len(name) - len(after)]
        elif source != name and BRANCHES.decode() + source != name:
            continue
        else:
            middle = ""
        if negative:
            return None
        if target and kept is None:
            kept = RefName(target.replace("*", middle).encode("utf-8", "surrogateescape"))
    return kept
