"""Past runs as lines for people: each on one line or in full, with old commits beside new ones, and where the
branches were and are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from resync.model import LocalCommit, Sitting
from resync.report.plan import rescue_name, work_lines
from resync.report.text import Paint, Tone, quoted, upstream_lines
from resync.report.words import count, short, shown

if TYPE_CHECKING:
    from resync.comparison import Compared, Mark, Place
    from resync.journal import Journal


_SHORT = 10
_TONES: dict[Mark, Tone] = {"=": "good", "!": "warning", "<": "quiet", "?": "quiet"}
_LINE_TONES: dict[bytes, Tone] = {b"-": "bad", b"+": "good", b"@": "quiet"}


def range_diff_lines(compared: Iterable[Compared], paint: Paint) -> Iterator[str]:
    """The old commit, ``=`` (the same), ``!`` (not the same: the difference follows) or ``<`` (left out), and
    the new commit; as git-range-diff(1) prints them."""
    branch = None
    for each in compared:
        if each.branch != branch:
            branch = each.branch
            yield ""
            yield f"Old and new commits of {shown(branch)}:"
        old = f"{each.number}:  {each.commit.oid[:_SHORT].decode()}"
        new = f"-:  {'-' * _SHORT}"
        if each.commit.new_oid is not None:
            new = f"{each.new_number}:  {each.commit.new_oid[:_SHORT].decode()}"
        mark = paint(each.mark, _TONES[each.mark])
        yield f"  {old} {mark} {new}  {shown(each.commit.subject)}"
        for line in each.difference:
            words = shown(line.rstrip(b"\n"))
            tone = _LINE_TONES.get(line[:1])
            yield "      " + (paint(words, tone) if tone is not None else words)


def graph_lines(places: Sequence[Place], paint: Paint) -> Iterator[str]:
    """Where upstream and the branches were and are, each below what it stands on, as a tree."""
    if not places:
        return
    yield ""
    yield "Where the branches were and are:"
    above: dict[int | None, list[int]] = {}
    for number, place in enumerate(places):
        above.setdefault(place.on, []).append(number)
    waiting = [(number, "", "") for number in reversed(above.get(None, []))]
    while waiting:
        number, first, rest = waiting.pop()
        place = places[number]
        words = shown(", ".join(place.labels)) or "where the two lines part"
        much = f"  (+ {count(place.commits, 'commit')})" if place.on is not None else ""
        tone: Tone = "quiet" if place.past else "strong"
        yield f"  {first}{place.oid[:_SHORT].decode()}  {paint(words, tone)}{much}"
        children = above.get(number, [])
        for at, child in reversed([*enumerate(children)]):
            last = at == len(children) - 1
            waiting.append((child, rest + ("`-- " if last else "|-- "), rest + ("    " if last else "|   ")))


def along_sentence(journal: Journal) -> str:
    """That a run of another working tree has moved this one."""
    run, place = journal.plan.id, quoted(shown(journal.plan.checkout))
    return (
        f"Moved along with another working tree: resync log {run}; to undo it: cd {place}, then resync undo"
    )


def _step_headline(commits: Sequence[LocalCommit], sitting: Sitting) -> str:
    """A person's step with what was parked, in a few words."""
    if commits or sitting.taken is None:
        return f"{count(len(commits), 'commit')} finished, of what was parked"
    taken = sitting.taken.commit
    return f"took up parked {short(taken) if taken is not None else 'edits'}"


def journal_headline(journal: Journal, paint: Paint) -> str:
    """One run on one line."""
    plan = journal.plan
    what = (
        f"undid {plan.undoes}"
        if plan.undoes is not None
        else f"{count(len(plan.commits), 'commit')} of yours"
    )
    if plan.sitting is not None and plan.upstream is None:
        what = _step_headline(plan.commits, plan.sitting)
    moved = f"{short(plan.head.tip)} -> {short(plan.new_tip)}"
    state = "" if journal.state == "done" else paint(f"  ({journal.state})", "warning")
    return f"{plan.id}  {shown(plan.head.name)}  {moved}  {what}{state}"


def journal_lines(journal: Journal, paint: Paint) -> Iterator[str]:
    """One run in full."""
    plan = journal.plan
    yield paint(journal_headline(journal, paint), "strong")
    if plan.upstream is not None:
        yield from upstream_lines(plan.upstream, paint)
    yield from work_lines(plan, paint)
    if plan.rescue is not None:
        yield ""
        yield f"What was there before is on the branch {rescue_name(plan)}."
