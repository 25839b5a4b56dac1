"""Whose each commit of a branch is, and what says so: for people who want to see it for themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from resync.history import History
from resync.model import Evidence, Oid

Whose: TypeAlias = Literal["yours", "upstream", "published", "still-upstream"]
"""Your own; upstream's once; brought in by a merge of another published branch; upstream's now as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Whose one commit is; ``evidence`` is the strongest there is for a commit that was upstream's once."""

    oid: Oid
    whose: Whose
    evidence: Evidence | None = None


def ownership(
    history: History,
    evidence: Iterable[Evidence],
    merged: Collection[Oid],
    *,
    head: Oid,
    new_tip: Oid | None,
) -> tuple[Ownership, ...]:
    """Whose the commits are that ``head`` reaches and upstream's new tip does not, newest first."""
    now = [new_tip] if new_tip is not None else []
    beyond = history.surely([head], now)
    strongest: dict[Oid, Evidence] = {}
    for each in evidence:
        for oid in beyond & history.surely([each.oid], now):
            strongest.setdefault(oid, each)
    return tuple(
        Ownership(oid=oid, whose="upstream", evidence=strongest[oid])
        if oid in strongest
        else Ownership(oid=oid, whose="published" if oid in merged else "yours")
        for oid in reversed(history.topological(beyond))
    )
