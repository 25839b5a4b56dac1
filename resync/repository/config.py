"""Settings out of git's configuration, by the very section that they stand in.

dulwich's own look-up of ``[merge "x"]`` goes on to ``[merge]`` where that has no such setting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dulwich.config import StackedConfig


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
