"""Settings out of git's configuration, by the very section that they stand in.

dulwich's own look-up of ``[merge "x"]`` goes on to ``[merge]`` where that has no such setting.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resync.errors import UsageError

if TYPE_CHECKING:
    from dulwich.config import StackedConfig


BIG_FILE = 512 * 1024 * 1024
"""git's default for ``core.bigFileThreshold``, in bytes."""

TIMEOUT = 600.0
"""The default of ``resync.timeout``, in seconds."""

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


def boolean(config: StackedConfig, section: tuple[bytes, ...], name: str, default: bool) -> bool:
    """A boolean in any of the spellings of git-config(1), numbers included."""
    value = value_of(config, section, name)
    known = default if value is None else truth(value)
    if known is None:
        raise bad_value(config, section, name, "neither true nor false", "true")
    return known


def truth(value: bytes) -> bool | None:
    """Whether a value says yes or no, in git's spellings; None where it says neither."""
    word = value.strip().lower()
    if word in (b"true", b"yes", b"on"):
        return True
    if word in (b"false", b"no", b"off", b""):
        return False
    number = whole_number(word)
    return None if number is None else number != 0


def integer(config: StackedConfig, section: tuple[bytes, ...], name: str, default: int) -> int:
    """A whole number, with git's k, m or g behind it."""
    value = value_of(config, section, name)
    number = default if value is None else whole_number(value)
    if number is None:
        raise bad_value(config, section, name, "no whole number", str(default))
    return number


def one_of(
    config: StackedConfig, section: tuple[bytes, ...], name: str, words: Sequence[str], default: str | None
) -> str | None:
    """A setting that is one of some words, in any case."""
    value = value_of(config, section, name)
    if value is None:
        return default
    word = value.decode("utf-8", "replace").strip().lower()
    if word not in words:
        raise bad_value(config, section, name, f"none of {', '.join(words)}", words[0])
    return word


def seconds(config: StackedConfig, section: tuple[bytes, ...], name: str, default: float) -> float:
    """A whole number of seconds above 0."""
    value = value_of(config, section, name)
    number = default if value is None else whole_number(value)
    if number is None or number <= 0:
        raise bad_value(config, section, name, "no number of seconds above 0", f"{default:g}")
    return number


def bad_value(
    config: StackedConfig, section: tuple[bytes, ...], name: str, what: str, better: str
) -> UsageError:
    """The error for a setting of which git could not make anything either."""
    where = b".".join(section).decode("utf-8", "replace")
    value = (value_of(config, section, name) or b"").decode("utf-8", "backslashreplace")
    return UsageError(
        "bad-config",
        f"{where}.{name} is {value!r}, which is {what}. Nothing was changed.",
        f"git config {where}.{name} {better}",
    )
