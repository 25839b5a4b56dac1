"""Which lines two texts have in common: the histogram diff, on interned lines.

The algorithm is the one that JGit introduced as ``HistogramDiff`` and describes in its documentation, an
extension of Bram Cohen's patience diff, and the one by which git merges: the longest run of common
lines around the line that is rarest in the first text splits both texts, and what lies before and
behind the run is compared in the same way. Lines that occur more than ``MAX_CHAIN`` times cannot split;
where only such lines are common, Myers' algorithm decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from resync.merge.myers import Budget, compare

Range: TypeAlias = tuple[int, int, int, int]
"""A changed range ``(a_start, a_end, b_start, b_end)``: these lines of ``a`` became those of ``b``."""

MAX_CHAIN = 64
"""A line that is more frequent than this is no place to split at (git's and JGit's value)."""

_STEP = 64
"""How many lines of a run are compared at once."""


class _Allowance:
    """The steps that may still be taken; a line indexed is one, and so is a line of each run looked at."""

    __slots__ = ("steps",)

    def __init__(self, lines: int) -> None:
        self.steps = min(30 * lines, 8_000_000) + 200_000


def changed_ranges(a: Sequence[int], b: Sequence[int]) -> list[Range]:
    """The changed ranges between two texts of interned lines, in order, none touching the next.

    Time is bounded for every input: the steps of all rounds together are counted, and when they are used
    up the rest is compared by Myers' algorithm under a bound of its own.
    """
    changed: list[Range] = []
    allowance, budget = _Allowance(len(a) + len(b)), Budget(len(a) + len(b))
    waiting: list[Range] = [(0, len(a), 0, len(b))]
    while waiting:
        region = waiting.pop()
        a_start, a_end, b_start, b_end = region
        if a_start == a_end or b_start == b_end:
            if a_start != a_end or b_start != b_end:
                changed.append(region)
            continue
        allowance.steps -= a_end - a_start + b_end - b_start
        common, run = (True, None) if allowance.steps < 0 else _best_run(a, b, region, allowance)
        if run is not None:
            a_from, a_to, b_from, b_to = run
            waiting.append((a_to, a_end, b_to, b_end))
            waiting.append((a_start, a_from, b_start, b_from))
        elif common:
            changed += compare(a, b, region, budget)
        else:
            changed.append(region)
    return changed


def _best_run(
    a: Sequence[int], b: Sequence[int], region: Range, allowance: _Allowance
) -> tuple[bool, Range | None]:
    """Whether a region has common lines, and the run of them to split it at.

    Lines of ``b`` are candidates in their order. A run beats the best so far when it is longer or holds
    a rarer line; a line that is more frequent than the rarest of the best run is not looked at.
    """
    a_start, a_end, b_start, b_end = region
    places: dict[int, list[int]] = {}
    for i in range(a_start, a_end):
        line = a[i]
        if line in places:
            places[line].append(i)
        else:
            places[line] = [i]

    best: Range | None = None
    best_length, rarest = 1, MAX_CHAIN + 1
    common = False
    j = b_start
    while j < b_end and allowance.steps >= 0:
        following = j + 1
        occurrences = places.get(b[j])
        if occurrences is not None:
            common = True
            if len(occurrences) <= rarest:
                reached = -1
                for place in occurrences:
                    if place < reached:
                        continue
                    rarity = len(occurrences)
                    a_from, b_from = place, j
                    while a_from > a_start and b_from > b_start and a[a_from - 1] == b[b_from - 1]:
                        a_from -= 1
                        b_from -= 1
                        if rarity > 1:
                            rarity = min(rarity, len(places[a[a_from]]))
                    a_to, b_to = place + 1, j + 1
                    while rarity > 1 and a_to < a_end and b_to < b_end and a[a_to] == b[b_to]:
                        rarity = min(rarity, len(places[a[a_to]]))
                        a_to += 1
                        b_to += 1
                    if rarity == 1 and a_to < a_end and b_to < b_end and a[a_to] == b[b_to]:
                        same = _common_ahead(a, b, (a_to, a_end, b_to, b_end))
                        a_to += same
                        b_to += same
                    reached = a_to
                    allowance.steps -= a_to - a_from
                    following = max(following, b_to)
                    if a_to - a_from > best_length or rarity < rarest:
                        best = (a_from, a_to, b_from, b_to)
                        best_length, rarest = a_to - a_from, rarity
        j = following
    return common, best if rarest <= MAX_CHAIN else None


def _common_ahead(a: Sequence[int], b: Sequence[int], region: Range) -> int:
    """How many lines at the start of a region are the same."""
    a_at, a_end, b_at, b_end = region
    most = min(a_end - a_at, b_end - b_at)
    same = 0
    while same + _STEP <= most and (
        a[a_at + same : a_at + same + _STEP] == b[b_at + same : b_at + same + _STEP]
    ):
        same += _STEP
    while same < most and a[a_at + same] == b[b_at + same]:
        same += 1
    return same
