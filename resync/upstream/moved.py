"""What else changed at a remote, besides its branch: its address, and which branch is its default one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from resync.errors import Refused
from resync.model import Note, RefName, Upstream
from resync.remote.address import for_showing, without_secrets
from resync.repository import Repository
from resync.repository.repo import BRANCHES
from resync.upstream.fetch import Fetched
from resync.upstream.find import UpstreamBranch

_CLONED = re.compile(rb"clone: from (?P<url>.+)")


def moved(
    repository: Repository, branch: UpstreamBranch, upstream: Upstream, fetched: Fetched | None
) -> Iterator[Note]:
    """A note where the branch is the remote's default one no longer, and one where something happened to it
    and the remote is at another address than that which was cloned."""
    head = RefName(b"refs/remotes/%s/HEAD" % branch.remote.encode("utf-8", "surrogateescape"))
    was_default = False
    with suppress(Refused):  # what is damaged there is no reason to stop
        was_default = branch.tracking is not None and repository.leads_to(head) == branch.tracking
    if fetched is not None and was_default:
        yield from _default(branch, fetched)
    if upstream.kind in ("up-to-date", "advanced"):
        return
    # A remote that was renamed has lost its own reflog.
    entries = (*repository.reflog(head), *repository.reflog(RefName(b"HEAD")))
    cloned = next(filter(None, (_CLONED.fullmatch(entry.message) for entry in entries)), None)
    if cloned is None:
        return
    before = cloned["url"].decode("utf-8", "surrogateescape")
    addresses = [
        branch.url,
        *(repository.config_text("remote", each, "url") for each in repository.remotes()),
    ]
    if _is_path(before) and _is_path(branch.url):
        return  # repositories of one disk, or a folder that holds both was moved
    if _plain(repository, before) not in [_plain(repository, each) for each in addresses if each is not None]:
        at = f"is at {for_showing(branch.url)} now, and was cloned from {for_showing(before)}"
        yield Note(None, f"{branch.remote} {at}")


def _default(branch: UpstreamBranch, fetched: Fetched) -> Iterator[Note]:
    """What the remote checks out by default is known by its commit only, so two branches at one are not told
    apart."""
    tip = fetched.refs.get(RefName(b"HEAD"))
    if tip is None or tip == fetched.tip:
        return
    names = [name for name, oid in fetched.refs.items() if name.startswith(BRANCHES) and oid == tip]
    if names:
        plain = [name.removeprefix(BRANCHES).decode("utf-8", "backslashreplace") for name in names]
        was = branch.branch.removeprefix(BRANCHES).decode("utf-8", "backslashreplace")
        yield Note(
            None,
            f"the default branch of {branch.remote} is {' or '.join(plain)} now, and no longer {was}"
            f" (git fetch {branch.remote}; git remote set-head {branch.remote} --auto)",
        )


def _plain(repository: Repository, url: str) -> str:
    """An address without what does not tell one from another."""
    plain = without_secrets(url).removeprefix("file://").rstrip("/").removesuffix(".git")
    return os.path.realpath(os.path.join(repository.root, plain)) if _is_path(url) else plain


def _is_path(url: str) -> bool:
    """Whether an address is a folder here, and neither ``scheme://…`` nor ``host:path``."""
    return url.startswith("file://") or re.match(r"[^/\\]+:", url) is None
