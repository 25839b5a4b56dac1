"""The checkouts below a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

_SUBMODULES = os.sep + "modules" + os.sep


def below(top: str, unreadable: Callable[[str], None]) -> Iterator[str]:
    """Every folder at or below ``top`` that has a ``.git`` in it, in the order of names.

    Links are not followed, nothing in a ``.git`` is looked at, and submodules are left out: what they stand
    on is for the repository around them to say. Linked working trees and repositories within others are
    checkouts of their own. ``unreadable`` is told of folders that cannot be looked into.
    """
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                found = {entry.name: entry for entry in entries}
        except OSError:
            unreadable(folder)
            continue
        git = found.pop(".git", None)
        if git is not None and not (git.is_file(follow_symlinks=False) and _is_submodule(git.path)):
            yield folder
        inside = [entry.path for entry in found.values() if _is_folder(entry)]
        waiting += sorted(inside, reverse=True)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_submodule(path: str) -> bool:
    """Whether a ``.git`` file leads into the ``modules`` of another repository."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            target = file.read(4096).removeprefix("gitdir:").strip()
    except OSError:
        return False
    return _SUBMODULES in os.path.normpath(target) and ".git" in os.path.normpath(target).split(os.sep)
