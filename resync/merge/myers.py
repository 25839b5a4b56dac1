"""Which lines two texts have in common: Myers' diff, for regions where every common line is frequent.

The linear-space variant of Eugene W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986):
paths grow from both corners of the edit graph until they meet, and the meeting point splits the
region. Where the texts differ so much that this gets expensive, the furthest point that was reached
splits it instead, and a region for which no work is left is one change: a valid answer, only not the
smallest.

Before that, lines are set aside as the manual of GNU diff describes ("discarding confusing lines") and as git
does: those that the other text does not have, and frequent ones among them that would match by chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeAlias

_Range: TypeAlias = tuple[int, int, int, int]

_ROUNDS = 256
"""After so many rounds without a meeting point the furthest point splits (more for long texts)."""


_MOST_FREQUENT = 1024
"""A line that occurs so often in the other text may be set aside however long the texts are."""

_LOOKED_AROUND = 100
"""How far around a frequent line its neighbours are looked at."""

_FOREIGN_SHARE = 3
"""A frequent line is set aside if more than so many neighbours are foreign for each frequent one."""


class Budget:
    """The steps that one comparison may still take."""

    __slots__ = ("steps",)

    def __init__(self, lines: int) -> None:
        self.steps = min(20 * lines, 2_000_000) + 500_000


def compare(a: Sequence[int], b: Sequence[int], region: _Range, budget: Budget) -> list[_Range]:
    """The changed ranges inside one region of two texts of interned lines, in order."""
    in_a, in_b = Counter(a[region[0] : region[1]]), Counter(b[region[2] : region[3]])
    a_start, a_end, b_start, b_end = _without_common_ends(a, b, region)
    a_kept = _telling(a, (a_start, a_end), in_b, in_a.total())
    b_kept = _telling(b, (b_start, b_end), in_a, in_b.total())
    pairs = _common_pairs([a[i] for i in a_kept], [b[j] for j in b_kept], budget)

    changed: list[_Range] = []
    a_at, b_at = a_start, b_start
    for i, j in [*((a_kept[x], b_kept[y]) for x, y in pairs), (a_end, b_end)]:
        if i > a_at or j > b_at:
            changed.append((a_at, i, b_at, j))
        a_at, b_at = i + 1, j + 1
    return changed


def _telling(text: Sequence[int], span: tuple[int, int], in_other: Counter[int], size: int) -> list[int]:
    """The positions in ``span`` that are worth comparing; ``size`` is the length of the whole region.

    Foreign lines, which the other text does not have, are changed whatever happens. A line that the other
    text has often, about the square root of ``size`` or more, goes with them where it stands in the
    middle of a run of foreign and frequent lines that are foreign for the greater part.
    """
    often = min(_power_of_two_near_root(size), _MOST_FREQUENT)
    start, end = span
    occurrences = [in_other[line] for line in text[start:end]]
    if max(occurrences, default=0) < often:
        return [start + place for place, times in enumerate(occurrences) if times]
    foreign = [0, *accumulate(not times for times in occurrences)]  # how many there are before each place
    kept: list[int] = []
    run_start = 0
    # Between two lines that are neither foreign nor frequent there is a run of such lines, perhaps empty.
    for run_end in [*(place for place, times in enumerate(occurrences) if 0 < times < often), end - start]:
        for place in range(run_start, run_end):
            if not occurrences[place]:
                continue
            first, last = max(run_start, place - _LOOKED_AROUND), min(run_end, place + 1 + _LOOKED_AROUND)
            before, after = foreign[place] - foreign[first], foreign[last] - foreign[place + 1]
            frequent = last - first - before - after + 1  # the line itself counts from either side
            if not (before and after and before + after > _FOREIGN_SHARE * frequent):
                kept.append(start + place)
        if run_end < end - start:
            kept.append(start + run_end)
        run_start = run_end + 1
    return kept


def _power_of_two_near_root(number: int) -> int:
    """The power of two that git takes for a square root: the least above it, or twice that."""
    return 1 << (number.bit_length() + 1) // 2


def _common_pairs(a: list[int], b: list[int], budget: Budget) -> list[tuple[int, int]]:
    """Pairs of positions at which the two sequences are matched, ascending."""
    pairs: list[tuple[int, int]] = []
    waiting: list[_Range] = [(0, len(a), 0, len(b))]
    while waiting:
        region = waiting.pop()
        a_start, a_end, b_start, b_end = region
        inner = _without_common_ends(a, b, region)
        head = inner[0] - a_start
        pairs += ((a_start + n, b_start + n) for n in range(head))
        tail = a_end - inner[1]
        if inner[0] < inner[1] and inner[2] < inner[3] and budget.steps > 0:
            x, y = _split(a, b, inner, budget)
            if tail:  # a region that is nothing but its common end waits behind the two halves
                waiting.append((a_end - tail, a_end, b_end - tail, b_end))
            waiting.append((x, inner[1], y, inner[3]))
            waiting.append((inner[0], x, inner[2], y))
        else:
            pairs += ((a_end - tail + n, b_end - tail + n) for n in range(tail))
    return pairs


def _without_common_ends(a: Sequence[int], b: Sequence[int], region: _Range) -> _Range:
    a_start, a_end, b_start, b_end = region
    while a_start < a_end and b_start < b_end and a[a_start] == b[b_start]:
        a_start += 1
        b_start += 1
    while a_start < a_end and b_start < b_end and a[a_end - 1] == b[b_end - 1]:
        a_end -= 1
        b_end -= 1
    return a_start, a_end, b_start, b_end


def _split(a: Sequence[int], b: Sequence[int], region: _Range, budget: Budget) -> tuple[int, int]:
    """The point at which a region without common ends is best split in two.

    ``forward[k]`` is how far in ``a`` a path from the start got on diagonal ``k`` (position in ``a``
    minus position in ``b``), ``backward[k]`` the same for paths from the end. Diagonals outside of the
    region are fenced off by values that lose every comparison.
    """
    a_start, a_end, b_start, b_end = region
    lowest, highest = a_start - b_end, a_end - b_start
    start_diagonal, end_diagonal = a_start - b_start, a_end - b_end
    odd = (start_diagonal - end_diagonal) % 2 == 1
    offset = 1 - lowest  # diagonal to list position, with room for both fences
    size = highest - lowest + 3
    far = a_end + 1
    forward, backward = [-1] * size, [far] * size
    forward[start_diagonal + offset] = a_start
    backward[end_diagonal + offset] = a_end
    f_low = f_high = start_diagonal
    b_low = b_high = end_diagonal
    rounds = max(_ROUNDS, int((highest - lowest) ** 0.5))

    for _ in range(rounds):
        f_low, f_high = _widen(forward, (f_low, f_high), (lowest, highest), offset, -1)
        for k in range(f_high, f_low - 1, -2):
            at = k + offset
            x = max(forward[at - 1] + 1, forward[at + 1])
            y = x - k
            while x < a_end and y < b_end and a[x] == b[y]:
                x += 1
                y += 1
            forward[at] = x
            if odd and b_low <= k <= b_high and backward[at] <= x:
                return x, y
        b_low, b_high = _widen(backward, (b_low, b_high), (lowest, highest), offset, far)
        for k in range(b_high, b_low - 1, -2):
            at = k + offset
            x = min(backward[at - 1], backward[at + 1] - 1)
            y = x - k
            while x > a_start and y > b_start and a[x - 1] == b[y - 1]:
                x -= 1
                y -= 1
            backward[at] = x
            if not odd and f_low <= k <= f_high and x <= forward[at]:
                return x, y
        budget.steps -= f_high - f_low + b_high - b_low
        if budget.steps < 0:
            break
    return _furthest(region, (forward, f_low, f_high), (backward, b_low, b_high), offset)


def _widen(
    reach: list[int], window: tuple[int, int], limits: tuple[int, int], offset: int, fence: int
) -> tuple[int, int]:
    """Let a window of diagonals grow by one on each side, or shrink where it meets the region's edge."""
    low, high = window
    lowest, highest = limits
    if low > lowest:
        low -= 1
        reach[low - 1 + offset] = fence
    else:
        low += 1
    if high < highest:
        high += 1
        reach[high + 1 + offset] = fence
    else:
        high -= 1
    return low, high


def _furthest(
    region: _Range, forward: tuple[list[int], int, int], backward: tuple[list[int], int, int], offset: int
) -> tuple[int, int]:
    """Where a path from either end got furthest, inside the region and not at its ends."""
    a_start, a_end, b_start, b_end = region
    reach, low, high = forward
    ahead = max(
        (min(x, a_end, b_end + k) * 2 - k, k, min(x, a_end, b_end + k))
        for k in range(low, high + 1, 2)
        for x in (reach[k + offset],)
    )
    reach, low, high = backward
    behind = min(
        (max(x, a_start, b_start + k) * 2 - k, k, max(x, a_start, b_start + k))
        for k in range(low, high + 1, 2)
        for x in (reach[k + offset],)
    )
    if (a_end + b_end) - behind[0] < ahead[0] - (a_start + b_start):
        return ahead[2], ahead[2] - ahead[1]
    return behind[2], behind[2] - behind[1]
