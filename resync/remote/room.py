"""Whether there is room on the disk for what comes in, as far as that can be known beforehand."""

from __future__ import annotations

import shutil

from resync.errors import Refused

RESERVE = 32 << 20
"""Bytes that a fetch leaves free: a run that follows writes its backup there."""

_EVERY = 4 << 20


class Room:
    """Counts what comes in, and looks every few MiB whether as much again would still fit."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._coming = 0
        self._unlooked = _EVERY

    def need(self, size: int) -> None:
        """``size`` more bytes are coming; raises ``Refused("no-room")`` where the disk is nearly full."""
        self._coming += size
        self._unlooked += size
        if self._unlooked < _EVERY:
            return
        self._unlooked = 0
        free = shutil.disk_usage(self._folder).free
        if free < self._coming + RESERVE:
            raise Refused(
                "no-room",
                f"There is no room for what upstream has: {self._coming >> 20} MiB and more are coming, and"
                f" {free >> 20} MiB are free at {self._folder}. Nothing was changed.",
                "make room, and try again",
            )
