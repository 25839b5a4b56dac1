"""Rescue branches as lines for people: what one keeps, and what would be gone with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from resync.dates import shown_date
from resync.model import Commit, LocalCommit
from resync.report.plan import commits_lines, made_at
from resync.report.text import Paint, quoted
from resync.report.words import count, short, shown

if TYPE_CHECKING:
    from resync.holdings import LostFile
    from resync.rescue import KeptFile, RescueBranch


def rescue_lines(
    rescue: RescueBranch,
    commits: Sequence[LocalCommit],
    files: Sequence[tuple[KeptFile, int | None]],
    paint: Paint,
) -> Iterator[str]:
    """What one rescue branch keeps: commits and their verdicts, uncommitted files and their sizes (bytes)."""
    made = f", saved {shown_date(rescue.when)} UTC" if rescue.when is not None else ""
    yield paint(shown(rescue.short_name), "strong") + made
    yield f"  the branch as it was: {short(rescue.tip)}"
    yield from commits_lines(commits, paint, dated=True)
    width = max((len(file.state) for file, _ in files), default=0)
    for file, size in files:
        what = "deleted" if size is None else count(size, "byte")
        yield f"  {file.state:<{width}}  {shown(file.path)}  ({what})"
    if files:
        yield f"To get one back: resync rescue restore PATH --from {quoted(shown(rescue.short_name))}"


def drop_lines(
    rescue: RescueBranch, commits: Sequence[Commit], files: Sequence[LostFile], paint: Paint
) -> Iterator[str]:
    """What would be gone for good with a rescue branch."""
    name = shown(rescue.short_name)
    if not commits and not files:
        yield f"All that {name} keeps is kept elsewhere as well."
    else:
        yield paint(f"Nothing else keeps these, and they would be gone with {name}:", "warning")
    for commit in commits:
        yield f"  commit  {short(commit.oid)}  {made_at(commit.author)}  {shown(commit.subject)}"
    for file in files:
        size = f"  ({count(file.size, 'byte')})" if file.size is not None else ""
        yield f"  file    {shown(file.path)}{size}"
    if rescue.run is not None:
        yield f"Run {rescue.run} can no longer be undone then."
