"""Whose each commit of a branch is, and what says so: for people who want to see it for themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from resync.history import History, MentionIndex, PatchIndex
from resync.model import Evidence, Oid
from resync.repository import Objects

Whose: TypeAlias = Literal["yours", "upstream", "published", "still-upstream"]
"""Your own; upstream's once; brought in by a merge of another published branch; upstream's now as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Whose one commit is; ``evidence`` is the strongest there is for a commit that was upstream's once.

    ``content`` is what upstream has now that is like one of your own, for people: the same patch, or what
    messages say. It takes nothing away from being yours.
    """

    oid: Oid
    whose: Whose
    evidence: Evidence | None = None
    content: str = ""


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


def with_content(
    objects: Objects, history: History, owned: Iterable[Ownership], *, head: Oid, new_tip: Oid | None
) -> tuple[Ownership, ...]:
    """The same with what upstream's newer commits have of each that is yours. Raises ``Refused`` where an
    object is missing."""
    arrived = sorted(history.surely([new_tip], [head])) if new_tip is not None else []
    twins, mentions = PatchIndex(objects, arrived), MentionIndex(objects, arrived)

    def content(oid: Oid) -> str:
        twin = twins.find(oid)
        if twin is not None:
            return f"upstream has the same patch as {twin[:10].decode()}"
        return mentions.said_of(objects.commit(oid))

    return tuple(
        replace(each, content=content(each.oid)) if each.whose == "yours" else each for each in owned
    )
