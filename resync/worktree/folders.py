"""The folders of a working tree, in so far as they let files be changed and moved out of the way."""

from __future__ import annotations

import os
from collections.abc import Iterable

from resync.errors import Refused
from resync.model import TreePath


def check_folders(root: str | bytes, paths: Iterable[TreePath], device: int) -> None:
    """Refuse where a folder in which a file changes, or that in which it will be made, does not let it.

    ``device`` is that of the folder which files are moved to. Raises ``Refused``: ``other-file-system``,
    ``not-writable``.
    """
    top = os.path.join(os.fsencode(root), b"")
    checked: set[bytes] = set()
    for inner in dict.fromkeys(path[: path.rfind(b"/") + 1] for path in paths):
        folder = os.path.dirname(top + inner)
        while folder not in checked:
            checked.add(folder)
            if not os.path.isdir(folder) and len(folder) > len(top):
                folder = os.path.dirname(folder)
                continue
            _check(folder, device)


def _check(folder: bytes, device: int) -> None:
    if os.stat(folder).st_dev != device:
        raise Refused(
            "other-file-system",
            f"{os.fsdecode(folder)} lies on another file system than the repository, so files there"
            " cannot be changed safely. Nothing was changed.",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refused(
            "not-writable",
            f"You may not change files in {os.fsdecode(folder)}. Nothing was changed.",
            "run resync as the owner of the checkout",
        )
