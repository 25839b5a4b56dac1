"""Git's configuration for one repository: whose word counts before whose, and what is included if.

git-config(1). dulwich 1.2.21 evaluates no condition in the user's and the system's files, takes one in the
repository's for met that is not (``gitdir:work`` in ``homework``), looks for ``config.worktree`` in the
common directory only and lets the repository's file go before it, and knows nothing of ``git -c``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from resync.patterns import Pattern

if TYPE_CHECKING:
    from dulwich.config import ConfigFile, StackedConfig
    from dulwich.repo import Repo

_WORD = r"'[^']*'(?:\\['!]'[^']*')*"
_SETTING = re.compile(rf"({_WORD})(=)?({_WORD})?(?: +|$)")
_ESCAPED = re.compile(r"'\\(['!])'")
_URLS = "remote.*.url:"


def stacked(
    repo: Repo, git_dir: str, branch: Callable[[], bytes | None], env: Mapping[str, str]
) -> StackedConfig:
    """All of the configuration, what counts first in front: ``git -c`` and ``GIT_CONFIG_COUNT``, the working
    tree's own, the repository's, the user's, the system's.

    ``branch`` is asked for the one that is checked out (``includeIf.onbranch``). Raises ``ValueError`` where
    something cannot be read.
    """
    from dulwich.config import StackedConfig

    local = repo.get_config()
    files = [local, *StackedConfig.default_backends()]
    if local.get_boolean((b"extensions",), b"worktreeConfig", False):
        own = _read(os.path.join(git_dir, "config.worktree"), {})
        files = [own, *files] if own is not None else files
    conditions = _Conditions(git_dir, branch, files)
    return StackedConfig([*_given(env), *map(conditions.met_in, files)], writable=local)


class _Conditions:
    """What stands behind ``includeIf``, for one repository."""

    def __init__(self, git_dir: str, branch: Callable[[], bytes | None], files: Sequence[ConfigFile]) -> None:
        self._places = {os.fsencode(os.path.realpath(git_dir)), os.fsencode(os.path.abspath(git_dir))}
        self._branch = branch
        self._files = files

    def met_in(self, file: ConfigFile) -> ConfigFile:
        """The file, with what it includes here."""
        path = file.path
        if path is None or not any(section[0].lower() == b"includeif" for section in file.sections()):
            return file
        path = os.fsdecode(path)
        folder = os.path.dirname(os.path.realpath(path))
        met = {
            "gitdir/i:": lambda pattern: self._is_place(pattern, folder, ignore_case=True),
            "gitdir:": lambda pattern: self._is_place(pattern, folder),
            "onbranch:": self._is_branch,
            "hasconfig:": self._is_remote,
        }
        return _read(path, met) or file

    def _is_place(self, pattern: str, folder: str, *, ignore_case: bool = False) -> bool:
        start, pattern = b"", _with_all_below(pattern)
        if pattern.startswith("./"):
            start, pattern = os.fsencode(os.path.join(folder, "")), pattern[2:]
        else:
            pattern = os.path.expanduser(pattern)
            pattern = pattern if os.path.isabs(pattern) else f"**/{pattern}"
        wanted = Pattern(os.fsencode(pattern), ignore_case=ignore_case)
        below = (place.removeprefix(start) for place in self._places if place.startswith(start))
        return any(map(wanted.matches, below))

    def _is_branch(self, pattern: str) -> bool:
        branch = self._branch()
        return branch is not None and Pattern(os.fsencode(_with_all_below(pattern))).matches(branch)

    def _is_remote(self, condition: str) -> bool:
        if not condition.startswith(_URLS):
            return False
        wanted = Pattern(os.fsencode(condition.removeprefix(_URLS)))
        return any(map(wanted.matches, self._urls()))

    def _urls(self) -> Iterator[bytes]:
        for file in self._files:
            for section in file.sections():
                if section[0].lower() == b"remote" and len(section) == 2:
                    yield from (value for name, value in file.items(section) if name.lower() == b"url")


def _with_all_below(pattern: str) -> str:
    """A pattern that ends with a slash stands for all that is below."""
    return f"{pattern}**" if pattern.endswith("/") else pattern


def _read(path: str, met: Mapping[str, Callable[[str], bool]]) -> ConfigFile | None:
    from dulwich.config import ConfigFile

    try:
        return ConfigFile.from_path(path, condition_matchers=met)
    except FileNotFoundError:
        return None


def _given(env: Mapping[str, str]) -> Iterator[ConfigFile]:
    """What the environment sets: ``git -c`` goes before ``GIT_CONFIG_COUNT``."""
    from dulwich.config import ConfigFile, env_config

    typed = env.get("GIT_CONFIG_PARAMETERS", "").strip()
    if typed:
        file, position = ConfigFile(), 0
        while position < len(typed):
            found = _SETTING.match(typed, position)
            if found is None:
                raise ValueError(f"GIT_CONFIG_PARAMETERS is {typed!r}")
            position = found.end()
            _set(file, *_setting(found))
        yield file
    try:
        counted = env_config(env)
    except KeyError as error:
        raise ValueError(str(error)) from None
    if counted is not None:
        yield counted


def _setting(found: re.Match[str]) -> tuple[str, str]:
    """Name and value: ``'name'='value'``, or as git before 2.31 had it ``'name=value'``; none is true."""
    name = _plain(found[1])
    if found[2] is None:
        name, equals, value = name.partition("=")
        return name, value if equals else "true"
    return name, _plain(found[3]) if found[3] is not None else "true"


def _plain(word: str) -> str:
    return _ESCAPED.sub(r"\1", word[1:-1])


def _set(file: ConfigFile, key: str, value: str) -> None:
    section, _, rest = key.partition(".")
    middle, dot, name = rest.rpartition(".")
    if not section or not name:
        raise ValueError(f"{key!r} is no name of a setting")
    place = (os.fsencode(section), os.fsencode(middle)) if dot else (os.fsencode(section),)
    file.add(place, os.fsencode(name), os.fsencode(value))
