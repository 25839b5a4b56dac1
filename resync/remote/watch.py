"""Ends a conversation with a remote that goes on without end, or has too much to say beside what is kept.

A time-out for silence does not help against a word now and then, and what is held in memory while it comes
(refs, capabilities, headers, words of progress) has no length that anybody would have named before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from threading import Lock, Timer

MOST_BESIDE = 64 << 20
"""Bytes that the other side may say beside the pack: some million refs."""

_FRAME = 16  # bytes around each piece of a pack


class Watch:
    """Over one conversation. ``seconds`` is how long all of it may take; ``close`` when it is over."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._beside = 0
        self._why = ""
        self._lock = Lock()
        self._ends: list[Callable[[], None]] = []
        self._timer = Timer(seconds, self._too_long)
        self._timer.daemon = True
        self._timer.start()

    def heard(self, size: int) -> None:
        """So many bytes came; raises ``TimeoutError`` where they are too many."""
        self._beside += size
        if self._beside > MOST_BESIDE:
            self._end(f"it sends more than {MOST_BESIDE >> 20} MiB beside what was asked for")
            raise TimeoutError

    def kept(self, size: int) -> None:
        """So many of those that came are of the pack, which does not stay in memory."""
        self._beside = max(0, self._beside - size - min(size, _FRAME))

    def ends_with(self, end: Callable[[], None]) -> None:
        """Have ``end`` called, in another thread, where it is to stop; raises ``TimeoutError`` where it is
        to stop already."""
        with self._lock:
            if self._why:
                raise TimeoutError
            self._ends.append(end)

    @contextmanager
    def over(self, line: socket) -> Iterator[None]:
        """Inside, ``line`` is shut down where it is to stop, whoever has wrapped it in what."""
        with line.dup() as ours:

            def end() -> None:
                hang_up(ours)

            self.ends_with(end)
            try:
                yield
            finally:
                with self._lock:
                    self._ends.remove(end)

    @contextmanager
    def in_words(self) -> Iterator[None]:
        """Whatever goes wrong because it was stopped, as a ``TimeoutError`` that says why."""
        try:
            yield
        except Exception:
            if not self._why:
                raise
            raise TimeoutError(self._why) from None

    def close(self) -> None:
        """It is over."""
        self._timer.cancel()

    def _too_long(self) -> None:
        self._end(f"it was not done after {self._seconds:g} seconds")

    def _end(self, why: str) -> None:
        with self._lock:
            self._why = self._why or why
            ends = tuple(self._ends)
        for end in ends:
            end()


def hang_up(line: socket) -> None:
    """End a connection for whoever waits at it."""
    with suppress(OSError):
        line.shutdown(SHUT_RDWR)
