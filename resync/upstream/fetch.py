"""Asking the remote what its branch is now, and bringing the objects over.

dulwich's transports do the talking. Only objects are written here: which refs move, and when, is the
plan's to say (dulwich's own fetch takes only ``refs/heads`` for what it has, and may start a garbage
collection that deletes stashes, so its lower half is called instead).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

from resync.errors import Busy, Refused, ResyncError
from resync.model import Oid, RefName
from resync.remote.address import for_showing
from resync.remote.way import Way
from resync.repository import Repository
from resync.repository.damage import signs_of_damage
from resync.repository.repo import BRANCHES, TAGS
from resync.request import Progress, Prompt
from resync.upstream.find import UpstreamBranch

# Tags by which projects say that they end or replace a branch; resync.announcement adds to them.
ANNOUNCEMENTS = ("*-early-demise", "*-eol")

# Errors that are of the disk here, and not of the way to the remote.
_OUR_DISK = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE)


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
    attended: bool = False,
    prompt: Prompt | None = None,
    through: Way | None = None,
) -> Fetched:
    """Fetch the upstream branch, the announcing tags, and whatever refs are wanted ``also``; nothing but
    objects is written. ``through`` is a way that stands for the remote's own.

    ``attended`` says that a program may ask somebody for a password, and ``prompt`` is how we do.
    Raises ``Refused``: ``damaged-object``, ``authentication-failed``; ``Busy("upstream-unreachable")`` where
    the remote cannot be reached, keeps silent or breaks off; and ``UsageError`` as ``connect`` does.
    """
    # Imported here because --no-fetch goes without all that leads to a remote.
    from resync.remote.connect import connect

    patterns = announcement_patterns(repository)
    with in_words(upstream.remote, upstream.url):
        way = through or connect(repository, upstream.remote, upstream.url, attended=attended, prompt=prompt)
        with closing(way):
            refs = _exchange(
                repository,
                way,
                upstream,
                lambda name: name == upstream.branch or is_announcement(name, patterns) or also(name),
                progress,
            )
    return Fetched(
        tip=refs.get(upstream.branch),
        refs=refs,
        announcements={name: oid for name, oid in refs.items() if is_announcement(name, patterns)},
    )


@contextmanager
def in_words(remote: str, url: str) -> Iterator[None]:
    """Whatever goes wrong with a remote, as a ``ResyncError`` (see ``fetch``)."""
    # A local upstream is read as any repository is, and dulwich's word for an object that it lacks is this.
    damage: tuple[type[Exception], ...] = (KeyError, *signs_of_damage())
    try:
        yield
    except ResyncError:
        raise
    except damage as error:
        raise Refused(
            "damaged-object",
            f"Something that was read for fetching is damaged, here or at {for_showing(url)}"
            f" ({error or type(error).__name__}). Nothing was changed.",
            "git fsck    # here and there",
        ) from error
    except Exception as error:
        if not _is_transport_error(error) or getattr(error, "errno", None) in _OUR_DISK:
            raise
        raise Busy(
            "upstream-unreachable",
            f"Upstream {remote} at {for_showing(url)} cannot be reached ({_words(error)})."
            " Nothing was changed.",
            "check the address (git remote -v) and the network, then try again",
        ) from error


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
    way: Way,
    upstream: UpstreamBranch,
    is_wanted: Callable[[RefName], bool],
    progress: Progress,
) -> dict[RefName, Oid]:
    """One conversation with the remote: its refs, and whatever of the wanted is not here yet."""
    from dulwich.refs import check_ref_format

    follow = repository.config_text("remote", upstream.remote, "tagopt")
    tags_here = repository.refs(TAGS)

    def wants(refs: Mapping[bytes, bytes | None], peeled: Mapping[bytes, bytes]) -> list[Oid]:
        if any(oid is not None and len(oid) != repository.objects.hex_length for oid in refs.values()):
            raise Refused(
                "other-object-format",
                f"The ids of {upstream.remote} are of another kind than those here (SHA-1 and SHA-256)."
                " Nothing was changed.",
                "git rev-parse --show-object-format    # here and there",
            )
        gone = upstream.branch not in refs
        wanted = {
            Oid(oid)
            for name, oid in refs.items()
            if oid is not None
            and (
                is_wanted(RefName(name))
                # Where the branch is gone, one of the others, or a tag, may be what became of it.
                or (gone and name.startswith((BRANCHES, TAGS)))
                or (follow == "--tags" and name.startswith(TAGS))
            )
        }
        if follow != "--no-tags":
            # git follows tags to what is here already.
            wanted |= {
                Oid(oid)
                for name, oid in refs.items()
                if oid is not None
                and name.startswith(TAGS)
                and name not in tags_here
                and name in peeled
                and Oid(peeled[name]) in repository.objects
            }
        return sorted(oid for oid in wanted if oid not in repository.objects)

    refs = way.fetch(wants, progress)
    # A name that git would not take for a ref's could lead out of refs/ and be written anywhere.
    return {
        RefName(name): Oid(oid)
        for name, oid in refs.items()
        if oid is not None and (name == b"HEAD" or check_ref_format(name))  # type: ignore[arg-type]
    }


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
        under = inner.__cause__ or (None if inner.__suppress_context__ else inner.__context__)
        inner = reason if isinstance(reason, BaseException) else under
    return " ".join(str(error).split()) or type(error).__name__
