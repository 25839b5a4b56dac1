"""dulwich's ``Repo``, with the numbers of git's configuration as git has them.

dulwich 1.2.21 takes some settings for plain numbers as soon as it opens a repository, and fails at ``512m``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from resync.repository.config import BIG_FILE, whole_number

if TYPE_CHECKING:
    from dulwich.config import ConfigFile
    from dulwich.repo import Repo

_NUMBERS = {
    (b"core",): (b"packedGitLimit", b"deltaBaseCacheLimit", b"bigFileThreshold", b"maxTreeDepth"),
    (b"pack",): (b"windowMemory", b"deltaCacheSize", b"bigFileThreshold"),
}


@cache
def repo_class() -> type[Repo]:
    """The class; a function, because dulwich is imported only when it is needed."""
    from dulwich.repo import Repo

    class PlainNumbers(Repo):
        """A repository of dulwich's that spells numbers out."""

        def __init__(self, *places: Any, **options: Any) -> None:
            super().__init__(*places, **options)
            # It takes core.bigFileThreshold for what a loose object may have at most, trees among them.
            self.object_store.loose_object_size_limit = BIG_FILE

        def get_config(self) -> ConfigFile:
            config = super().get_config()
            for section, names in _NUMBERS.items():
                for name in names:
                    _spell_out(config, section, name)
            return config

    return PlainNumbers


def _spell_out(config: ConfigFile, section: tuple[bytes, ...], name: bytes) -> None:
    try:
        number = whole_number(config.get(section, name))
    except KeyError:
        return
    if number is not None:
        config.set(section, name, b"%d" % number)
