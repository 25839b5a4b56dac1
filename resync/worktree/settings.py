"""What git's configuration says about the working tree: the one place where it is read for these modules."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

from resync.errors import UsageError
from resync.merge.lines import Style
from resync.repository.config import BIG_FILE, value_of, whole_number

if TYPE_CHECKING:
    from dulwich.config import StackedConfig

AutoCrlf: TypeAlias = Literal["false", "true", "input"]
LineEnd: TypeAlias = Literal["lf", "crlf"]
DirectoryRenames: TypeAlias = Literal["conflict", "apply", "ignore"]

_Section: TypeAlias = tuple[bytes, ...]

SYSTEM_ATTRIBUTES = "/etc/gitattributes"
TIMEOUT = 600.0


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
    one that counts most last; ``info_attributes`` counts more than any ``.gitattributes``. Two are
    resync's own: ``follow_owner``, whether what root makes belongs to the owner of the folder that it is made
    in, and ``timeout``, how long (seconds) a program that the configuration names may take.
    """

    file_mode: bool = True
    symlinks: bool = True
    ignore_case: bool = False
    precompose_unicode: bool = False
    trust_ctime: bool = True
    follow_owner: bool = True
    check_stat: bool = True
    auto_crlf: AutoCrlf = "false"
    eol: LineEnd = "lf"
    big_file_threshold: int = BIG_FILE
    filters: Mapping[bytes, FilterDriver] = field(default_factory=dict)
    attribute_files: tuple[str, ...] = ()
    info_attributes: str | None = None
    exclude_files: tuple[str, ...] = ()
    timeout: float = TIMEOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeDriver:
    """The commands of one ``[merge "name"]`` section; None where one is not set.

    ``recursive`` names the driver, or built-in way, to take where merge bases are merged with each other.
    """

    command: bytes | None = None
    recursive: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSettings:
    """git-config(1) as far as it is about merging; the defaults are git's.

    ``default`` is the driver of paths without the attribute ``merge``. A ``rename_limit`` that is not above 0
    stands for git's own.
    """

    default: bytes | None = None
    drivers: Mapping[bytes, MergeDriver] = field(default_factory=dict)
    style: Style = "merge"
    renames: bool = True
    rename_limit: int = 0
    directory_renames: DirectoryRenames = "conflict"


def read_settings(config: StackedConfig, *, common_dir: str, user_dir: str) -> WorktreeSettings:
    """The settings of one repository, out of its stacked configuration.

    ``common_dir`` is the git directory that all linked worktrees share, and ``user_dir`` the folder of
    git's files in the user's configuration (``~/.config/git``, or below ``$XDG_CONFIG_HOME``). Raises
    ``UsageError("bad-config")`` for a value that git would not accept either.
    """
    info = os.path.join(common_dir, "info")
    attributes = _path(config, "attributesFile", os.path.join(user_dir, "attributes"))
    excludes = _path(config, "excludesFile", os.path.join(user_dir, "ignore"))
    return WorktreeSettings(
        file_mode=boolean(config, (b"core",), "fileMode", True),
        symlinks=boolean(config, (b"core",), "symlinks", True),
        ignore_case=boolean(config, (b"core",), "ignoreCase", False),
        precompose_unicode=boolean(config, (b"core",), "precomposeUnicode", False),
        trust_ctime=boolean(config, (b"core",), "trustCtime", True),
        follow_owner=follow_owner(config),
        check_stat=(value_of(config, (b"core",), "checkStat") or b"default").lower() != b"minimal",
        auto_crlf=_auto_crlf(config),
        eol=_line_end(config),
        big_file_threshold=integer(config, (b"core",), "bigFileThreshold", BIG_FILE),
        filters=_filters(config),
        attribute_files=(SYSTEM_ATTRIBUTES, attributes),
        info_attributes=os.path.join(info, "attributes"),
        exclude_files=(excludes, os.path.join(info, "exclude")),
        timeout=_seconds(config, (b"resync",), "timeout", TIMEOUT),
    )


def read_merge_settings(config: StackedConfig) -> MergeSettings:
    """What one repository's stacked configuration says about merging.

    Raises ``UsageError("bad-config")`` for a value that git would not accept either.
    """
    merge, diff = (b"merge",), (b"diff",)
    by_default = _renames(config, diff, True)
    return MergeSettings(
        default=value_of(config, merge, "default"),
        drivers={
            section[1]: MergeDriver(
                command=value_of(config, section, "driver"), recursive=value_of(config, section, "recursive")
            )
            for section in _sections(config, b"merge")
        },
        style=_style(config),
        renames=_renames(config, merge, by_default),
        rename_limit=integer(config, merge, "renameLimit", integer(config, diff, "renameLimit", 0)),
        directory_renames=_directory_renames(config),
    )


def follow_owner(config: StackedConfig) -> bool:
    """Whether what root makes in somebody's folder belongs to them (``resync.followOwner``)."""
    return boolean(config, (b"resync",), "followOwner", True)


# --- values ---


def boolean(config: StackedConfig, section: _Section, name: str, default: bool) -> bool:
    """A boolean in any of the spellings of git-config(1), numbers included."""
    value = value_of(config, section, name)
    known = default if value is None else _truth(value)
    if known is None:
        raise _bad(config, section, name, "neither true nor false", "true")
    return known


def _truth(value: bytes) -> bool | None:
    """Whether a value says yes or no; None where it says neither."""
    word = value.strip().lower()
    if word in (b"true", b"yes", b"on"):
        return True
    if word in (b"false", b"no", b"off", b""):
        return False
    number = whole_number(word)
    return None if number is None else number != 0


def integer(config: StackedConfig, section: _Section, name: str, default: int) -> int:
    """A whole number, with git's k, m or g behind it."""
    value = value_of(config, section, name)
    number = default if value is None else whole_number(value)
    if number is None:
        raise _bad(config, section, name, "no whole number", str(default))
    return number


def one_of(
    config: StackedConfig, section: _Section, name: str, words: Sequence[str], default: str | None
) -> str | None:
    """A setting that is one of some words, in any case."""
    value = value_of(config, section, name)
    if value is None:
        return default
    word = value.decode("utf-8", "replace").strip().lower()
    if word not in words:
        raise _bad(config, section, name, f"none of {', '.join(words)}", words[0])
    return word


def _seconds(config: StackedConfig, section: _Section, name: str, default: float) -> float:
    value = value_of(config, section, name)
    number = default if value is None else whole_number(value)
    if number is None or number <= 0:
        raise _bad(config, section, name, "no number of seconds above 0", f"{default:g}")
    return number


def _bad(config: StackedConfig, section: _Section, name: str, what: str, better: str) -> UsageError:
    where = b".".join(section).decode("utf-8", "replace")
    value = (value_of(config, section, name) or b"").decode("utf-8", "backslashreplace")
    return UsageError(
        "bad-config",
        f"{where}.{name} is {value!r}, which is {what}. Nothing was changed.",
        f"git config {where}.{name} {better}",
    )


def _sections(config: StackedConfig, kind: bytes) -> list[_Section]:
    """The sections of one kind that have a name of their own."""
    return [each for each in config.sections() if len(each) == 2 and each[0].lower() == kind]


# --- settings of the working tree ---


def _path(config: StackedConfig, name: str, default: str) -> str:
    """A path of the user's; an empty one is no file, and not the default."""
    value = value_of(config, (b"core",), name)
    return default if value is None else os.path.expanduser(os.fsdecode(value))


def _auto_crlf(config: StackedConfig) -> AutoCrlf:
    if (value_of(config, (b"core",), "autocrlf") or b"").lower() == b"input":
        return "input"
    return "true" if boolean(config, (b"core",), "autocrlf", False) else "false"


def _line_end(config: StackedConfig) -> LineEnd:
    """``core.eol``; "native", the default, is what the system has."""
    value = (value_of(config, (b"core",), "eol") or b"native").lower()
    if value in (b"lf", b"crlf"):
        return "crlf" if value == b"crlf" else "lf"
    return "crlf" if os.linesep == "\r\n" else "lf"


def _filters(config: StackedConfig) -> Mapping[bytes, FilterDriver]:
    return {
        section[1]: FilterDriver(
            clean=value_of(config, section, "clean"),
            smudge=value_of(config, section, "smudge"),
            process=value_of(config, section, "process"),
            required=boolean(config, section, "required", False),
        )
        for section in _sections(config, b"filter")
    }


# --- settings of merges ---


def _style(config: StackedConfig) -> Style:
    value = value_of(config, (b"merge",), "conflictStyle")
    if value is None:
        return "merge"
    for style in get_args(Style):
        if value == style.encode():
            return cast(Style, style)
    raise _bad(config, (b"merge",), "conflictStyle", "no style that git knows", "merge")


def _renames(config: StackedConfig, section: _Section, default: bool) -> bool:
    """Whether renames are looked for; git's merges look for no copies where they are asked to."""
    value = value_of(config, section, "renames")
    if value is not None and value.lower() in (b"copies", b"copy"):
        return True
    return boolean(config, section, "renames", default)


def _directory_renames(config: StackedConfig) -> DirectoryRenames:
    """git leaves a value that it does not know for a newer git."""
    value = value_of(config, (b"merge",), "directoryRenames")
    known = _truth(value) if value is not None else None
    return "conflict" if known is None else "apply" if known else "ignore"
