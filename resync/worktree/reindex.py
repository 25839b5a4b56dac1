"""The index after a switch: the entries that the plan changes, with stat data of the files it wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from resync.model import IndexChange, IndexRecord, TreePath
from resync.worktree.index import (
    ASSUME_VALID,
    INTENT_TO_ADD,
    NO_STAT,
    SKIP_WORKTREE,
    Index,
    IndexEntry,
    entry_from_stat,
    serialise_index,
    smudge_racy,
)


def reindexed(
    index: Index,
    index_mtime_ns: int,
    changes: Sequence[IndexChange],
    root: str,
    written: Mapping[TreePath, tuple[int, int]],
    *,
    hex_length: int,
) -> tuple[bytes, tuple[TreePath, ...]]:
    """The bytes of the index that ``changes`` make of ``index``, and the paths that were left alone.

    Entries of all stages are kept. A path whose entry is in neither the old nor the new state was changed by
    somebody else and stays as it is. Entries that another file's edit in the same tick could hide behind are
    marked to be looked at (git's racy rule), because the new index file will be younger than they are.
    ``written`` has size and modification time (nanoseconds) of the files that the switch wrote: one that is
    different by now was saved by somebody in between, and its entry gets no stat data, so that git looks.
    """
    entries = {(each.path, each.stage): smudge_racy(each, index_mtime_ns) for each in index}
    left: list[TreePath] = []
    for change in changes:
        place = change.path, change.stage
        current = entries.get(place)
        if _is(current, change.after):
            continue
        if not _is(current, change.before):
            left.append(change.path)
        elif change.after is None:
            entries.pop(place, None)
        else:
            made = _entry(change.path, change.after, root, written.get(change.path))
            entries[place] = made._replace(stage=change.stage)
    return serialise_index(entries.values(), hex_length=hex_length), tuple(left)


def reaches(index: Index, changes: Sequence[IndexChange]) -> bool:
    """Whether any of the changes is there: the index was written with them, or somebody did the same."""
    entries = {(each.path, each.stage): each for each in index}
    return any(
        _is(entry, change.after) and not _is(entry, change.before)
        for change in changes
        for entry in [entries.get((change.path, change.stage))]
    )


def _entry(path: TreePath, record: IndexRecord, root: str, written: tuple[int, int] | None) -> IndexEntry:
    flags = (
        (ASSUME_VALID if record.assume_valid else 0)
        | (SKIP_WORKTREE if record.skip_worktree else 0)
        | (INTENT_TO_ADD if record.intent_to_add else 0)
    )
    bare = IndexEntry(path, record.mode, record.oid, 0, flags, NO_STAT)
    if record.in_file and written is not None:
        try:
            status = os.lstat(os.path.join(os.fsencode(root), path))
        except OSError:
            return bare
        if written == (status.st_size, status.st_mtime_ns):
            return entry_from_stat(path, record.mode, record.oid, status)._replace(flags=flags)
    return bare


def _is(entry: IndexEntry | None, record: IndexRecord | None) -> bool:
    if entry is None or record is None:
        return entry is None and record is None
    return (entry.mode, entry.oid, entry.assume_valid, entry.skip_worktree, entry.intent_to_add) == (
        record.mode,
        record.oid,
        record.assume_valid,
        record.skip_worktree,
        record.intent_to_add,
    )
