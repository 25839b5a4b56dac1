"""Which of upstream's tags are releases, and the newest of them on a branch.

Versions are ordered as PEP 440 has it (by ``packaging``). A tag counts where its name is a version: alone
(``1.2``), with a ``v``, or behind one of the words of ``_PLAIN``. Any other word before a version may be the
name of one product among several in a repository: such tags count for a checkout that stands on one of them,
or where there are no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from resync.errors import Refused, UsageError
from resync.history import History
from resync.model import Oid, RefName, Upstream
from resync.repository import Repository
from resync.repository.repo import TAGS
from resync.upstream.evidence import Judgement

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

_TAG = re.compile(r"(?:(?P<word>[A-Za-z][A-Za-z0-9_.+-]*?)(?P<joint>[-_/]))?(?P<version>[vV]?[0-9].*)")
_PLAIN = ("release", "releases", "rel", "version", "ver", "v")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A tag that names a version. ``product`` is the word before it, empty where it is a plain one."""

    tag: RefName
    product: str
    version: Version

    @property
    def name(self) -> str:
        """The tag as people say it."""
        return self.tag.removeprefix(TAGS).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which releases are wanted; ``constraint`` is a version specifier, ``pre`` admits pre-releases."""

    constraint: SpecifierSet | None = None
    pre: bool = False

    def admits(self, release: Release) -> bool:
        """Whether the release is one that is wanted."""
        return (self.pre or not release.version.is_prerelease) and self.within(release)

    def within(self, release: Release) -> bool:
        """Whether the constraint leaves room for it."""
        return self.constraint is None or self.constraint.contains(release.version, prereleases=True)

    def wants(self, ref: RefName) -> bool:
        """Whether the ref is the tag of a release that is wanted."""
        release = release_of(ref)
        return release is not None and self.admits(release)


def choice(constraint: str | None, *, pre: bool) -> Choice:
    """What the command line asks for; raises ``UsageError("bad-constraint")``."""
    if constraint is None:
        return Choice(pre=pre)
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return Choice(constraint=SpecifierSet(constraint), pre=pre)
    except InvalidSpecifier:
        raise UsageError(
            "bad-constraint",
            f"--constraint {constraint} is no version specifier. Nothing was changed.",
            "--constraint '>=1.1,<2' (see PEP 440)",
        ) from None


def release_of(tag: RefName) -> Release | None:
    """The release that a tag names; None where its name is no version."""
    from packaging.version import Version

    if not tag.startswith(TAGS):
        return None
    found = _TAG.fullmatch(tag.removeprefix(TAGS).decode("utf-8", "replace"))
    if found is None:
        return None
    try:
        version = Version(found["version"])
    except ValueError:  # packaging's own is one, and so is that of a number of thousands of digits
        return None
    word = found["word"] or ""
    return Release(tag=tag, product="" if word.lower() in _PLAIN else word, version=version)


def releases(refs: Iterable[RefName]) -> Iterator[Release]:
    """Those of ``refs`` that are releases."""
    for name in refs:
        release = release_of(name)
        if release is not None:
            yield release


def standing_at(repository: Repository, refs: Mapping[RefName, Oid], commit: Oid) -> tuple[Release, ...]:
    """The releases whose tags, among ``refs``, name the commit; the newest first."""
    found = [each for each in releases(refs) if _commit(repository, refs[each.tag]) == commit]
    return tuple(sorted(found, key=_order, reverse=True))


def newest(
    repository: Repository,
    history: History,
    tip: Oid,
    refs: Mapping[RefName, Oid],
    wanted: Choice,
    here: Release | None,
) -> tuple[Release, Oid] | None:
    """The newest release that is wanted and that ``tip`` reaches, and its commit: one of the same product as
    the one ``here``, else a plain one, else of the only product that there is.

    ``refs`` are the remote's, as it advertises them: a tag that stands only here proves nothing.
    """
    reached = history.surely([tip], [])
    known = tuple(releases(refs))
    products = {each.product for each in known}
    product = here.product if here is not None else next(iter(products)) if len(products) == 1 else ""
    likely = [each for each in known if each.product == product and wanted.admits(each)]
    for release in sorted(likely, key=_order, reverse=True):
        commit = _commit(repository, refs[release.tag])
        if commit is not None and commit in reached:
            return release, commit
    return None


def aim(
    repository: Repository,
    history: History,
    judged: Judgement,
    *,
    head: Oid,
    base: Oid | None,
    refs: Mapping[RefName, Oid],
    wanted: Choice,
    here: Release | None,
) -> Upstream:
    """What upstream did, with the newest release on its branch as where to go, in place of its tip.

    ``base`` is the commit of upstream's that ``head`` stands on, ``here`` the release that it is. Raises
    ``Refused``: ``no-release`` where the branch has none that is wanted, ``older-release`` and
    ``no-newer-release`` where going there would be a step back.
    """
    upstream = judged.upstream
    if upstream.new_tip is None or upstream.kind == "unknown":
        return upstream
    left = base in judged.gone
    found = newest(repository, history, upstream.new_tip, refs, wanted, here)
    if found is None:
        if upstream.kind == "up-to-date":
            return upstream
        raise _no_release(upstream, wanted, "no-release", "has no release")
    release, commit = found
    had = history.is_ancestor(commit, head)
    if had and left:
        raise _no_release(upstream, wanted, "no-newer-release", f"has no newer release than {release.name}")
    if here is not None and not had and release.version < here.version and wanted.within(here):
        newer = f"has no newer release than {release.name}, and {here.name} is checked out"
        raise _no_release(upstream, wanted, "older-release", newer)
    if not left:
        arrived = history.reachable([commit], [head]) if not had else set()
        upstream = replace(
            upstream,
            kind="up-to-date" if had else "advanced",
            left=0,
            arrived=sum(len(history.parents(oid)) < 2 for oid in arrived),
        )
    return replace(upstream, new_tip=commit, release=release.tag)


def _no_release(upstream: Upstream, wanted: Choice, kind: str, what: str) -> Refused:
    within = f" within {wanted.constraint}" if wanted.constraint is not None else ""
    hints = ["wait for one", "resync run --to tip    # follows the branch itself"]
    if not wanted.pre:
        hints.append("resync run --to release --pre    # looks at pre-releases as well")
    return Refused(kind, f"{upstream.name} {what}{within}. Nothing was changed.", *hints)


def _order(release: Release) -> tuple[Version, RefName]:
    """Two tags of one version are told apart by name, so that the answer is always the same."""
    return release.version, release.tag


def _commit(repository: Repository, oid: Oid) -> Oid | None:
    if oid not in repository.objects:
        return None
    try:
        commit = repository.objects.peel(oid)
    except Refused:
        return None
    return commit if repository.objects.is_commit(commit) else None
