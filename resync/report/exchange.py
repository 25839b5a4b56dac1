"""What to say of resolutions that were handed on to other checkouts, or taken in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from resync.model import Oid
from resync.report.words import count, short, shown

if TYPE_CHECKING:
    from resync.exchange import Export
    from resync.repository.rr_cache import Added
    from resync.resolution_file import ResolutionFile

_ADDED: dict[Added, str] = {
    "new": "new",
    "known": "known already",
    "replaced": "in place of an earlier one",
    "refused": "not taken, because there are too many for one conflict",
}


def export_lines(export: Export, path: str) -> Iterator[str]:
    """What is in a file, and what is not."""
    what = count(len(export.content.resolutions), "resolution")
    yield f"{what} for {count(len(export.content.commits), 'commit')} in {shown(path)}"
    for each in export.commits:
        yield f"  {short(each.commit.oid)}  {shown(each.commit.subject)}"
        for name in each.resolved:
            yield f"    {shown(name)}"
        for name, why in each.left:
            yield f"    {shown(name)} is left out: {shown(why)}"
    yield "To use them in another checkout with the same commits: resync rescue import FILE"


def import_lines(
    content: ResolutionFile, here: Sequence[Oid | None], counts: Mapping[Added, int], path: str
) -> Iterator[str]:
    """What was taken in, for which commits, and which of these are here (by their ids)."""
    kinds = ", ".join(f"{counts[kind]} {words}" for kind, words in _ADDED.items() if counts.get(kind))
    yield f"{count(len(content.resolutions), 'resolution')} in {shown(path)}" + (
        f": {kinds}" if kinds else ""
    )
    for commit, oid in zip(content.commits, here, strict=True):
        where = short(oid) if oid is not None else "not here  "
        yield f"  {where}  {shown(commit.subject)}  ({count(len(commit.resolutions), 'resolution')})"
    yield "They are used from now on when your commits conflict like this: resync plan"
