"""Asking the remote what its branch is now, and bringing the objects over.

dulwich's transports do the talking. Only objects are written here: which refs move, and when, is the
plan's to say (dulwich's own fetch takes only ``refs/heads`` for what it has, and may start a garbage
collection that deletes stashes, so its lower half is called instead).
"""

from __future__ import annotations

import errno
import os
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from resync.errors import Busy, Refused, ResyncError, UsageError
from resync.model import Oid, RefName
from resync.repository import Repository
from resync.repository.damage import signs_of_damage
from resync.repository.numbers import repo_class
from resync.repository.repo import BRANCHES
from resync.upstream.find import UpstreamBranch

if TYPE_CHECKING:
    from dulwich.client import FetchPackResult, GitClient

TAGS = b"refs/tags/"

# Tags by which projects say that they end or replace a branch; resync.announcement adds to them.
ANNOUNCEMENTS = ("*-early-demise", "*-eol")

# Errors that are of the disk here, and not of the way to the remote.
_OUR_DISK = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE)

_SCHEMES = ("file", "git", "git+ssh", "http", "https", "ssh", "ssh+git")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What the remote said.

    ``tip`` is its branch now (None: it has no such branch), ``refs`` everything that it advertised, and
    ``announcements`` the announcing tags among it (tag ref to object, annotated tags not peeled).
    """

    tip: Oid | None
    refs: Mapping[RefName, Oid]
    announcements: Mapping[RefName, Oid]


def fetch(
    repository: Repository,
    upstream: UpstreamBranch,
    progress: Progress,
    also: Callable[[RefName], bool] = lambda name: False,
    *,
    through: Callable[[], tuple[GitClient, str]] | None = None,
) -> Fetched:
    """Fetch the upstream branch, the announcing tags, and whatever refs are wanted ``also``; nothing but
    objects is written. ``through`` gives a client, and the path for it, that stand for the remote.

    Raises ``Refused("damaged-object")``; ``Busy("upstream-unreachable")`` where the remote cannot be reached
    or breaks off; and ``UsageError("unsupported-address")`` for one that resync has no transport for.
    """
    patterns = announcement_patterns(repository)
    # A local upstream is read as any repository is, and dulwich's word for an object that it lacks is this.
    damage: tuple[type[Exception], ...] = (KeyError, *signs_of_damage())
    try:
        refs = _exchange(
            repository,
            upstream,
            lambda name: name == upstream.branch or is_announcement(name, patterns) or also(name),
            progress,
            through,
        )
    except ResyncError:
        raise
    except damage as error:
        raise Refused(
            "damaged-object",
            f"Something that was read for fetching is damaged, here or at {without_secrets(upstream.url)}"
            f" ({error or type(error).__name__}). Nothing was changed.",
            "git fsck, here and there",
        ) from error
    except Exception as error:
        if not _is_transport_error(error) or getattr(error, "errno", None) in _OUR_DISK:
            raise
        raise Busy(
            "upstream-unreachable",
            f"Upstream {upstream.remote} at {without_secrets(upstream.url)} cannot be reached"
            f" ({_words(error)}). Nothing was changed.",
            "check the address (git remote -v) and the network, then try again",
        ) from error
    return Fetched(
        tip=refs.get(upstream.branch),
        refs=refs,
        announcements={name: oid for name, oid in refs.items() if is_announcement(name, patterns)},
    )


def without_secrets(url: str) -> str:
    """The address without a user name and password, for showing."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


def announcement_patterns(repository: Repository) -> tuple[str, ...]:
    """The patterns of announcing tags' names: the built-in ones and ``resync.announcement``."""
    return (*ANNOUNCEMENTS, *repository.config_all("resync", "announcement"))


def is_announcement(name: RefName, patterns: Sequence[str]) -> bool:
    """Whether the ref is a tag whose name fits one of the patterns."""
    if not name.startswith(TAGS):
        return False
    short = name.removeprefix(TAGS).decode("utf-8", "surrogateescape")
    return any(fnmatchcase(short, pattern) for pattern in patterns)


def _exchange(
    repository: Repository,
    upstream: UpstreamBranch,
    is_wanted: Callable[[RefName], bool],
    progress: Progress,
    through: Callable[[], tuple[GitClient, str]] | None,
) -> dict[RefName, Oid]:
    """One conversation with the remote: its refs, and whatever of the wanted is not here yet."""
    from tempfile import SpooledTemporaryFile

    from dulwich.refs import check_ref_format

    client, path = through() if through is not None else _connect(repository, upstream.url)
    store = repository.dulwich.object_store

    def wants(refs: Mapping[bytes, bytes], depth: int | None = None) -> list[bytes]:
        gone = upstream.branch not in refs
        wanted = {
            oid
            for name, oid in refs.items()
            if is_wanted(RefName(name))
            # Where the branch is gone, one of the others may be what became of it.
            or (gone and name.startswith(BRANCHES))
        }
        missing = sorted(oid for oid in wanted if Oid(oid) not in repository.objects)
        if not missing:
            raise _NothingWanted(refs)
        return missing

    with SpooledTemporaryFile(max_size=64 << 20, dir=os.fspath(store.path)) as pack:
        try:
            result: FetchPackResult = client.fetch_pack(
                path,
                wants,  # type: ignore[arg-type]
                _Haves(repository),  # type: ignore[arg-type]
                pack.write,
                progress=lambda message: progress(message.decode("utf-8", "replace")),
                ref_prefix=[b"HEAD", b"refs/heads/", TAGS],
            )
        except _NothingWanted as answer:
            refs: Mapping[bytes, bytes | None] = answer.refs
        else:
            refs = result.refs  # type: ignore[assignment]
            if pack.tell():
                pack.seek(0)
                with repository.objects.incoming() as made:
                    made.add_thin_pack(pack.read, None)
    # A name that git would not take for a ref's could lead out of refs/ and be written anywhere.
    return {
        RefName(name): Oid(oid)
        for name, oid in refs.items()
        if oid is not None and check_ref_format(name)  # type: ignore[arg-type]
    }


class _Haves:
    """Our commits, as dulwich's transports ask for them to find what both sides have.

    dulwich's own walker (whose methods these are) takes ids of 40 digits only.
    """

    def __init__(self, repository: Repository) -> None:
        self.shallow = set(repository.shallow)
        self._objects = repository.objects
        self._waiting = deque(sorted(repository.advertised_heads()))
        self._seen = set(self._waiting)
        self._parents: dict[Oid, tuple[Oid, ...]] = {}
        self._common: set[Oid] = set()

    def __next__(self) -> Oid | None:
        while self._waiting:
            oid = self._waiting.popleft()
            parents = () if oid in self.shallow else self._objects.commit(oid).parents
            self._parents[oid] = parents
            if oid in self._common:
                self._common.update(parents)
            unseen = [parent for parent in parents if parent not in self._seen]
            self._seen.update(unseen)
            self._waiting.extend(unseen)
            if oid not in self._common:
                return oid
        return None

    next = __next__

    def ack(self, oid: bytes) -> None:
        """The other side has this commit, and so all below it."""
        below = [Oid(oid)]
        while below:
            found = below.pop()
            if found not in self._common:
                self._common.add(found)
                below += self._parents.get(found, ())

    def nak(self) -> None:
        """The other side found nothing in common."""


class _NothingWanted(Exception):
    """Ends the conversation after the refs: dulwich would go on to make an empty pack, at some cost."""

    def __init__(self, refs: Mapping[bytes, bytes]) -> None:
        super().__init__()
        self.refs = refs


def _connect(repository: Repository, url: str) -> tuple[GitClient, str]:
    from dulwich.client import LocalGitClient, get_transport_and_path
    from dulwich.config import apply_instead_of

    address = apply_instead_of(repository.config, url)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)(?:://|::)", address)
    if scheme is not None and scheme[1].lower() not in _SCHEMES:
        raise UsageError(
            "unsupported-address",
            f"resync cannot fetch from {without_secrets(address)}: it does not speak {scheme[1]!r}."
            " Nothing was changed.",
            "git fetch, then resync --no-fetch",
        )
    client, path = get_transport_and_path(url, config=repository.config, operation="pull", quiet=True)
    if isinstance(client, LocalGitClient):
        # git reads a relative address from the top of the working tree.
        path = os.path.join(repository.root, path)
        # Its own configuration may have numbers that dulwich does not read.
        client._open_repo = lambda path: closing(repo_class()(path))  # type: ignore[method-assign]
    return client, path


def _is_transport_error(error: Exception) -> bool:
    from dulwich.client import HTTPProxyUnauthorized, HTTPUnauthorized, InvalidWants, StrangeHostname
    from dulwich.errors import GitProtocolError, NotGitRepository
    from urllib3.exceptions import HTTPError

    return isinstance(
        error,
        (
            OSError,
            EOFError,
            GitProtocolError,
            NotGitRepository,
            HTTPError,
            HTTPUnauthorized,
            HTTPProxyUnauthorized,
            InvalidWants,
            StrangeHostname,
        ),
    )


def _words(error: BaseException) -> str:
    """The innermost reason: libraries wrap it in sentences about their own objects."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        reason = getattr(inner, "reason", None)
        inner = reason if isinstance(reason, BaseException) else inner.__cause__ or inner.__context__
    return " ".join(str(error).split()) or type(error).__name__
