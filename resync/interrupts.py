"""Ctrl-C, SIGTERM and SIGHUP: what is at work is unwound, but for steps that have to come to their end.

They raise ``KeyboardInterrupt``, in the main thread and between any two instructions. What must not stop in
the middle is done ``uninterrupted``. A signal that whoever started us had ignored (nohup, a shell's
background) stays ignored. SIGPIPE is ignored by Python itself; see ``console`` for output that nobody reads.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def listen() -> None:
    """From now on all of them raise ``KeyboardInterrupt``."""
    for number in _heeded():
        signal.signal(number, _interrupt)


@contextmanager
def uninterrupted() -> Iterator[list[int]]:
    """Inside, a signal is only noted: in the list that is given, which is complete when the block ends."""
    met: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield met  # signals come to the main thread only
        return
    before = {number: signal.signal(number, lambda each, frame: met.append(each)) for number in _heeded()}
    try:
        yield met
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heeded() -> list[int]:
    return [number for number in _NUMBERS if signal.getsignal(number) not in (signal.SIG_IGN, None)]


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
