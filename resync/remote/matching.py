"""Settings for an address: ``http.<url>.*`` and ``credential.<url>.*``, by the rules of git-config(1).

A setting for an address counts where scheme, host (``*`` for one label of it), port and user are those of the
address and its path begins with that of the setting, at a slash. Of several the most specific counts: longest
host, then longest path, then one with the user's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from resync.errors import UsageError
from resync.remote.address import Address, parse_address

if TYPE_CHECKING:
    from dulwich.config import StackedConfig

_Specific: TypeAlias = tuple[int, int, bool]

_ANYWHERE: _Specific = (0, 0, False)


def values_for(config: StackedConfig, kind: bytes, name: str, address: Address) -> list[bytes]:
    """Every value of ``<kind>.<name>`` and ``<kind>.<url>.<name>`` that counts for the address, the one that
    counts most last. One that is less specific than one before it is left out, as by git."""
    found: list[bytes] = []
    best = _ANYWHERE
    for pattern, value in _settings(config, kind, name):
        specific = _ANYWHERE if pattern is None else specificity(pattern, address, kind == b"credential")
        if specific is not None and specific >= best:
            best = specific
            found.append(value)
    return found


def value_for(config: StackedConfig, kind: bytes, name: str, address: Address) -> str | None:
    """The value that counts for the address; None where there is none."""
    found = values_for(config, kind, name, address)
    return found[-1].decode("utf-8", "surrogateescape") if found else None


def _settings(config: StackedConfig, kind: bytes, name: str) -> Iterator[tuple[str | None, bytes]]:
    """What stands in the configuration, the system's first, each with the address that it is for."""
    wanted = name.lower().encode()
    for backend in reversed(config.backends):
        for section in backend.sections():
            if section[0].lower() == kind and len(section) <= 2:
                pattern = section[1].decode("utf-8", "surrogateescape") if len(section) == 2 else None
                for key, value in backend.items(section):
                    if key.lower() == wanted:
                        yield pattern, value


def specificity(pattern: str, address: Address, partial: bool = False) -> _Specific | None:
    """How well a setting's address fits; None where it does not. ``partial`` allows one without a scheme."""
    if "://" not in pattern:
        return _partial(pattern, address) if partial else None
    try:
        setting = parse_address(pattern)
    except UsageError:
        return None
    if setting.scheme != address.scheme or setting.origin[2] != address.origin[2]:
        return None
    if setting.user is not None and setting.user != address.user:
        return None
    wanted, here = setting.host.lower().split("."), address.host.lower().split(".")
    if len(wanted) != len(here) or not all(a in ("*", b) for a, b in zip(wanted, here, strict=True)):
        return None
    path = _path(setting)
    if path and _path(address) != path and not _path(address).startswith(path + "/"):
        return None
    return len(setting.host), len(path) + 1, setting.user is not None


def _path(address: Address) -> str:
    return address.path.rstrip("/")


def _partial(pattern: str, address: Address) -> _Specific | None:
    """gitcredentials(7): ``example.com`` stands for that host, by whatever protocol."""
    host, _, path = pattern.partition("/")
    user, at, host = host.rpartition("@")
    fits = (
        host.lower() == address.place.lower()
        and (not at or user == address.user)
        and path.strip("/") in ("", address.path.strip("/"))
    )
    return _ANYWHERE if fits else None
