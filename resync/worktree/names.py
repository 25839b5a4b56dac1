"""Which paths of a tree may be made in a working tree. Trees come from strangers."""

from __future__ import annotations

import os
from collections.abc import Iterable

from resync.errors import Refused
from resync.model import TreePath

_NAME_MAX = 255
_PATH_MAX = 4096


def check_paths(root: str, paths: Iterable[TreePath]) -> None:
    """Raise ``Refused("hostile-path")`` for a path that could leave the tree, reach ``.git`` or not be made.

    The spellings of ``.git`` are those that any file system that git knows takes for it, on every system:
    the repository may be copied to another.
    """
    longest = _PATH_MAX - len(os.fsencode(root)) - 2
    good: set[bytes] = set()
    for path in paths:
        if len(path) > longest:
            raise _hostile(path, "is longer than a path can be here")
        for name in path.split(b"/"):
            if name not in good:
                reason = _fault(name)
                if reason:
                    raise _hostile(path, reason)
                good.add(name)


def _fault(name: bytes) -> str | None:
    from dulwich.index import validate_path_element_hfs, validate_path_element_ntfs

    if not name or b"\0" in name:
        return "has a name that is no name"
    if len(name) > _NAME_MAX:
        return "has a name that is longer than a name can be here"
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        readable = True
    else:
        readable = validate_path_element_hfs(name)
    if not readable or not validate_path_element_ntfs(name):
        return "would reach out of the working tree or into .git"
    return None


def _hostile(path: TreePath, reason: str) -> Refused:
    return Refused(
        "hostile-path",
        f"The new tree has the path {os.fsdecode(path)!r}, which {reason}. Nothing was changed.",
        "do not use this upstream before somebody has looked at it",
    )
