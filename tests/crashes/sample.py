"""Which of many ends are played: all, so many in even steps, or as many as there is time for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

_ROUNDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """``at_most`` so many (None: all), and none that would begin after ``until``, by the monotonic clock."""

    at_most: int | None = None
    until: float | None = None

    @property
    def over(self) -> bool:
        return self.until is not None and time.monotonic() >= self.until

    def size(self, count: int) -> int:
        """How many of ``count`` are meant, time or not."""
        return count if self.at_most is None else min(count, self.at_most)

    def of(self, count: int) -> Iterator[int]:
        """Numbers below ``count``, spread evenly however early the time is over."""
        for numbers in self.rounds(count):
            yield from numbers

    def rounds(self, count: int) -> Iterator[Iterator[int]]:
        """The same in ascending rounds, each of which is spread over the whole."""
        size = self.size(count)
        steps = max(1, size - 1)
        chosen = [number * (count - 1) // steps if size > 1 else 0 for number in range(size)]
        rounds = _ROUNDS if self.until is not None else 1
        for first in sorted(range(rounds), key=lambda number: f"{number:03b}"[::-1]):
            yield self._in_time(chosen[first::rounds])

    def _in_time(self, numbers: list[int]) -> Iterator[int]:
        for number in numbers:
            if self.over:
                return
            yield number


@dataclass(kw_only=True)
class Swept:
    """What came of one sweep over one scenario.

    ``calls`` are those found, ``meant`` how many ends there are to play, ``ended`` how many were played, and
    ``recovered`` how many of these were also finished and taken back; ``met`` counts what else is worth it.
    """

    name: str
    calls: int = 0
    meant: int = 0
    ended: int = 0
    recovered: int = 0
    met: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
