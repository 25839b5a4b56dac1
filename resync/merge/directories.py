"""Directories that one side renamed as a whole, and what the other side put into them meanwhile.

The rules are those of git's ``technical/directory-rename-detection``: a directory counts as renamed where
the side removed it entirely, to where most of its renamed files went; a tie is no answer; where both
sides renamed it neither rename counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from resync.merge.renames import basename, dirname
from resync.model import TreePath


class DirectoryRenames(NamedTuple):
    """Old directory to new one; ``split`` are those whose files went to several with no majority."""

    targets: dict[bytes, bytes]
    split: tuple[bytes, ...] = ()


def find_directory_renames(
    renames: Mapping[TreePath, TreePath], removed: Mapping[TreePath, bool]
) -> DirectoryRenames:
    """The directories that one side renamed, from its renames of files.

    ``removed`` are the directories that it removed and in which new files of the other side may want to
    follow: True where such files are in the directory itself, False where they are only above.
    """
    counts: dict[bytes, Counter[bytes]] = {}
    for source, target in renames.items():
        old, new = dirname(source), dirname(target)
        first = True
        while old in removed and old != new:
            if first or removed[TreePath(old)]:
                counts.setdefault(old, Counter())[new] += 1
            first = False
            if not old or not new or basename(old) != basename(new):
                break
            old, new = dirname(old), dirname(new)
    targets: dict[bytes, bytes] = {}
    split: list[bytes] = []
    for old, candidates in counts.items():
        (best, most), *others = candidates.most_common(2)
        if others and others[0][1] == most:
            split.append(old)
        else:
            targets[old] = best
    return DirectoryRenames(targets, tuple(split))


def moved_along(path: TreePath, targets: Mapping[bytes, bytes]) -> tuple[bytes, TreePath] | None:
    """Where a path goes with the nearest renamed directory above it: that directory, and the new path."""
    directory = dirname(path)
    while directory:
        target = targets.get(directory)
        if target is not None:
            rest = path[len(directory) :]
            return directory, TreePath(target + rest if target else rest[1:])
        directory = dirname(directory)
    return None
