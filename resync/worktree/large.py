"""Files that are too large to be held in memory go as they are, a piece at a time, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from resync.errors import LargeBlob
from resync.model import Oid, TreePath
from resync.repository import Objects
from resync.worktree.attributes import PathAttributes
from resync.worktree.convert import stays_as_it_is
from resync.worktree.files import Files, changed_meanwhile
from resync.worktree.filters import filtered
from resync.worktree.settings import WorktreeSettings


def hash_file(objects: Objects, files: Files, path: TreePath, size: int) -> Oid:
    """The id of a file of ``size`` bytes; raises ``Refused("changed-meanwhile")`` if it has not so many."""
    try:
        return objects.hash_pieces(size, files.pieces(path))
    except ValueError:
        raise changed_meanwhile(path) from None


def refuse_converted(
    path: TreePath,
    attributes: PathAttributes,
    settings: WorktreeSettings,
    pieces: Callable[[], Iterator[bytes]],
) -> None:
    """Raise ``LargeBlob`` where a file is another on disk than in git, or may be."""
    if filtered(settings, attributes):
        raise _huge_file(path, "goes through a filter")
    if not stays_as_it_is(pieces(), attributes, settings):
        raise _huge_file(path, "its line ends may have to be converted")


def _huge_file(path: TreePath, why: str) -> LargeBlob:
    return LargeBlob(
        "huge-file",
        f"{os.fsdecode(path)!r} is too large to be held in memory, and {why}. Nothing was changed.",
        "move it out of the working tree and try again",
        "git config core.bigFileThreshold 2g    # if there is memory for it",
    )
