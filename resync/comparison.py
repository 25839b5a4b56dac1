"""A run looked back at: each old commit beside its new one, and where the branches were and are.

The pairs are those of the run's record; whether the two are equal is decided as by git-range-diff(1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias

from resync.errors import Refused
from resync.history import History, open_history, patch_id
from resync.history.hunks import hunks
from resync.history.patch_text import TooLarge, patch_text
from resync.model import LocalCommit, Oid, Plan, RefName
from resync.repository import Objects, Repository

Mark: TypeAlias = Literal["=", "!", "<", "?"]
"""Equal, not equal, or without a new commit; ``?`` where one of the two is no longer here."""

_MOST_LINES = 1_000
"""So many lines of one difference are kept."""

_BEFORE = " (before)"

_MOST_BRANCHES = 20
"""So many branches are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One commit of ``branch`` and what it became. ``number`` and ``new_number`` count, from 1 on, the old
    and the new commits of the branch; ``difference`` has the lines of the diff of the two, if they differ.
    """

    branch: bytes
    commit: LocalCommit
    mark: Mark
    number: int
    new_number: int | None
    difference: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A commit at which branches stood before the run or after it, as ``labels`` say.

    ``past`` says that nothing stands there any more. ``on`` is the number of the place that it stands on
    (None: on none of them), ``commits`` how many commits it is above that.
    """

    oid: Oid
    labels: tuple[str, ...]
    past: bool
    on: int | None
    commits: int


# --- commits -------------------------------------------------------------------------------------------


def compared(repository: Repository, plan: Plan) -> Iterator[Compared]:
    """Every commit of the branches that a run moved, branch by branch; of an undo, which carries nothing
    over, none."""
    if plan.undoes is not None:
        return
    moved = [(plan.head.name, plan.commits)]
    moved += ((each.short_name, each.commits) for each in plan.branches if each.moves)
    for branch, commits in moved:
        made = 0
        for number, commit in enumerate(commits, start=1):
            made += commit.new_oid is not None
            mark, difference = _compare(repository.objects, commit)
            yield Compared(
                branch=branch,
                commit=commit,
                mark=mark,
                number=number,
                new_number=made if commit.new_oid is not None else None,
                difference=difference,
            )


def _compare(objects: Objects, commit: LocalCommit) -> tuple[Mark, tuple[bytes, ...]]:
    if commit.new_oid is None:
        return "<", ()
    if commit.new_oid == commit.oid:
        return "=", ()
    try:
        try:
            old, new = patch_text(objects, commit.oid), patch_text(objects, commit.new_oid)
        except TooLarge:
            return ("=" if _alike(objects, commit.oid, commit.new_oid) else "!"), ()
    except Refused:
        return "?", ()
    if old == new:
        return "=", ()
    return "!", tuple(islice(hunks(old, new, lambda start: _heading(old, start)), _MOST_LINES))


def _alike(objects: Objects, old: Oid, new: Oid) -> bool:
    one, other = objects.commit(old), objects.commit(new)
    same = (one.author, one.message) == (other.author, other.message)
    return same and patch_id(objects, old) == patch_id(objects, new)


def _heading(lines: Sequence[bytes], start: int) -> bytes:
    """Which section a hunk of the difference is in: the nearest heading above its first line."""
    for line in reversed(lines[:start]):
        if line.startswith(b" ## "):
            return b"@@ " + line.strip(b" #\n") + b"\n"
        if line.startswith(b"@@ "):
            return line
    return b"@@\n"


# --- branches ------------------------------------------------------------------------------------------


def places(repository: Repository, plan: Plan) -> tuple[Place, ...]:
    """Where upstream and the branches stood before a run and stand after it, each after what it stands on.

    Nothing where that cannot be told: for an undo, in a shallow clone, or where commits are gone.
    """
    if plan.undoes is not None or plan.upstream is None or plan.upstream.old_tip is None:
        return ()
    try:
        history = open_history(repository)
        return tuple(_placed(history, _labels(history, plan)))
    except Refused:
        return ()


def _labels(history: History, plan: Plan) -> dict[Oid, list[str]]:
    labels: dict[Oid, list[str]] = {}
    upstream = plan.upstream
    assert upstream is not None
    assert upstream.old_tip is not None
    if upstream.new_tip is not None:
        for base in history.merge_bases(upstream.old_tip, upstream.new_tip)[:1]:
            labels.setdefault(base, [])
        labels.setdefault(upstream.new_tip, []).append(upstream.name)
    labels.setdefault(upstream.old_tip, []).append(f"{upstream.name}{_BEFORE}")
    moved = [(plan.head.branch or RefName(b"HEAD"), plan.head.tip, plan.new_tip)]
    moved += ((each.name, each.old_tip, each.new_tip) for each in plan.branches if each.moves)
    for name, old, new in moved[:_MOST_BRANCHES]:
        short = name.removeprefix(b"refs/heads/").decode("utf-8", "surrogateescape")
        labels.setdefault(new, []).append(short)
        if old != new:
            labels.setdefault(old, []).append(f"{short}{_BEFORE}")
    return labels


def _placed(history: History, labels: dict[Oid, list[str]]) -> Iterator[Place]:
    numbers: dict[Oid, int] = {}
    below = {
        oid: [other for other in labels if other != oid and history.is_ancestor(other, oid)] for oid in labels
    }
    # What reaches more of the others stands above them.
    for oid in sorted(labels, key=lambda each: len(below[each])):
        nearest = history.independent(below[oid])
        on = nearest[0] if nearest else None
        numbers[oid] = len(numbers)
        yield Place(
            oid=oid,
            labels=tuple(labels[oid]),
            past=all(label.endswith(_BEFORE) for label in labels[oid]),
            on=numbers[on] if on is not None else None,
            commits=len(history.reachable([oid], [on])) if on is not None else 0,
        )
