"""What git's configuration says about the working tree: the one place where it is read for these modules."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from resync.errors import UsageError

if TYPE_CHECKING:
    from dulwich.config import Config

AutoCrlf: TypeAlias = Literal["false", "true", "input"]
LineEnd: TypeAlias = Literal["lf", "crlf"]

SYSTEM_ATTRIBUTES = "/etc/gitattributes"
BIG_FILE = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterDriver:
    """The commands of one ``[filter "name"]`` section; None where one is not set."""

    clean: bytes | None = None
    smudge: bytes | None = None
    process: bytes | None = None
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorktreeSettings:
    """git-config(1) as far as it says what a file in the working tree is; the defaults are git's on Linux.

    ``attribute_files`` and ``exclude_files`` are paths of files that hold for the whole working tree, the
    one that counts most last; ``info_attributes`` counts more than any ``.gitattributes``.
    """

    file_mode: bool = True
    symlinks: bool = True
    ignore_case: bool = False
    precompose_unicode: bool = False
    trust_ctime: bool = True
    check_stat: bool = True
    auto_crlf: AutoCrlf = "false"
    eol: LineEnd = "lf"
    big_file_threshold: int = BIG_FILE
    filters: Mapping[bytes, FilterDriver] = field(default_factory=dict)
    attribute_files: tuple[str, ...] = ()
    info_attributes: str | None = None
    exclude_files: tuple[str, ...] = ()


def read_settings(config: Config, *, common_dir: str, user_dir: str) -> WorktreeSettings:
    """The settings of one repository, out of its stacked configuration.

    ``common_dir`` is the git directory that all linked worktrees share, and ``user_dir`` the folder of
    git's files in the user's configuration (``~/.config/git``, or below ``$XDG_CONFIG_HOME``). Raises
    ``UsageError("bad-config")`` for a value that git would not accept either.
    """
    info = os.path.join(common_dir, "info")
    attributes = _path(config, "attributesFile", os.path.join(user_dir, "attributes"))
    excludes = _path(config, "excludesFile", os.path.join(user_dir, "ignore"))
    return WorktreeSettings(
        file_mode=_boolean(config, (b"core",), "fileMode", True),
        symlinks=_boolean(config, (b"core",), "symlinks", True),
        ignore_case=_boolean(config, (b"core",), "ignoreCase", False),
        precompose_unicode=_boolean(config, (b"core",), "precomposeUnicode", False),
        trust_ctime=_boolean(config, (b"core",), "trustCtime", True),
        check_stat=(_value(config, (b"core",), "checkStat") or b"default").lower() != b"minimal",
        auto_crlf=_auto_crlf(config),
        eol=_line_end(config),
        filters=_filters(config),
        attribute_files=(SYSTEM_ATTRIBUTES, attributes),
        info_attributes=os.path.join(info, "attributes"),
        exclude_files=(excludes, os.path.join(info, "exclude")),
    )


def _value(config: Config, section: tuple[bytes, ...], name: str) -> bytes | None:
    try:
        return config.get(section, name.encode())
    except KeyError:
        return None


def _boolean(config: Config, section: tuple[bytes, ...], name: str, default: bool) -> bool:
    """A boolean in any of the spellings of git-config(1), numbers included."""
    value = _value(config, section, name)
    if value is None:
        return default
    word = value.strip().lower()
    if word in (b"true", b"yes", b"on"):
        return True
    if word in (b"false", b"no", b"off", b""):
        return False
    try:
        return int(word) != 0
    except ValueError:
        where = b".".join(section).decode("utf-8", "replace")
        raise UsageError(
            "bad-config",
            f"{where}.{name} is {value.decode('utf-8', 'backslashreplace')!r},"
            " which is neither true nor false. Nothing was changed.",
            f"git config {where}.{name} true",
        ) from None


def _path(config: Config, name: str, default: str) -> str:
    """A path of the user's; an empty one is no file, and not the default."""
    value = _value(config, (b"core",), name)
    return default if value is None else os.path.expanduser(os.fsdecode(value))


def _auto_crlf(config: Config) -> AutoCrlf:
    if (_value(config, (b"core",), "autocrlf") or b"").lower() == b"input":
        return "input"
    return "true" if _boolean(config, (b"core",), "autocrlf", False) else "false"


def _line_end(config: Config) -> LineEnd:
    """``core.eol``; "native", the default, is what the system has."""
    value = (_value(config, (b"core",), "eol") or b"native").lower()
    if value in (b"lf", b"crlf"):
        return "crlf" if value == b"crlf" else "lf"
    return "crlf" if os.linesep == "\r\n" else "lf"


def _filters(config: Config) -> Mapping[bytes, FilterDriver]:
    return {
        section[1]: FilterDriver(
            clean=_value(config, section, "clean"),
            smudge=_value(config, section, "smudge"),
            process=_value(config, section, "process"),
            required=_boolean(config, section, "required", False),
        )
        for section in config.sections()
        if len(section) == 2 and section[0].lower() == b"filter"
    }
