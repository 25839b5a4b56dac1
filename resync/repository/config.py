"""Settings out of git's configuration, by the very section that they stand in.

dulwich's own look-up of ``[merge "x"]`` goes on to ``[merge]`` where that has no such setting.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dulwich.config import StackedConfig


BIG_FILE = 512 * 1024 * 1024
"""git's default for ``core.bigFileThreshold``, in bytes."""

_NUMBER = re.compile(rb"([-+]?[0-9]+)([kmg])?")


def values_of(config: StackedConfig, section: tuple[bytes, ...], name: str) -> list[bytes]:
    """Every value of a setting: those of the repository first, and each file's in its own order."""
    wanted = name.lower().encode("utf-8", "surrogateescape")
    return [
        value for backend in config.backends for key, value in backend.items(section) if key.lower() == wanted
    ]


def value_of(config: StackedConfig, section: tuple[bytes, ...], name: str) -> bytes | None:
    """The value that counts, which is the last of the first file that has one; None: unset."""
    wanted = name.lower().encode("utf-8", "surrogateescape")
    for backend in config.backends:
        found = [each for key, each in backend.items(section) if key.lower() == wanted]
        if found:
            return found[-1]
    return None


def whole_number(value: bytes) -> int | None:
    """A whole number, with git's k, m or g behind it; None for anything else."""
    found = _NUMBER.fullmatch(value.strip().lower())
    return int(found[1]) * 1024 ** b" kmg".index(found[2] or b" ") if found else None


def big_file_threshold(config: StackedConfig) -> int | None:
    """``core.bigFileThreshold`` in bytes; None where it is no number."""
    value = value_of(config, (b"core",), "bigFileThreshold")
    return BIG_FILE if value is None else whole_number(value)
