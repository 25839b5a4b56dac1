"""Where, as far as can be guessed, upstream's commits end and one's own begin: what to ask a person about."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from resync.history import History
from resync.model import Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A commit that may have been upstream's old tip, and what speaks for it."""

    oid: Oid
    why: str


def candidates(
    history: History, *, head: Oid, new_tip: Oid, made: Collection[Oid], published: Iterable[Oid]
) -> tuple[Candidate, ...]:
    """The likely ones among the first parents of ``head``, the likeliest first.

    ``made`` are the commits that reflogs say were made here, ``published`` the tips of the remote's other
    refs. None of this proves anything, so that only a person can decide by it.
    """
    beyond = history.reachable([head], [new_tip])
    chain: list[Oid] = []
    at: Oid | None = head
    while at is not None and at in beyond:
        chain.append(at)
        at = next(iter(history.parents(at)), None)
    found: dict[Oid, str] = {}
    older = next((oid for oid in chain if oid not in made), None)
    if older is not None and older != head:
        found[older] = "the newest commit that was not made here"
    elsewhere = history.reachable(published, [new_tip])
    known = next((oid for oid in chain if oid in elsewhere), None)
    if known is not None:
        found.setdefault(known, "the newest that another branch or tag of the remote has")
    if at is not None:
        found.setdefault(at, "upstream still has it: all above it would be yours")
    return tuple(Candidate(oid=oid, why=why) for oid, why in found.items())
