"""The bytes of a new index: after a switch, with stat data of the files that it wrote, or out of entries.

The format is that which ``index`` reads. The bytes reach the disk under the lock that the whole run holds,
which is another module's job. No extension is written: each of them describes an index that this one is not.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from operator import attrgetter

from resync.model import MODE_GITLINK, IndexChange, IndexRecord, Oid, TreePath
from resync.worktree.index import (
    ASSUME_VALID,
    INDEX_HEADER,
    INTENT_TO_ADD,
    NO_STAT,
    RAW_ID,
    RAW_STAT,
    SKIP_WORKTREE,
    Index,
    IndexEntry,
    index_hash,
)

_FILLING = tuple(bytes(8 - used) for used in range(8))  # after an entry: one NUL or more, to a multiple of 8
_MODIFIED = struct.Struct(">II")
_UINT32 = 0xFFFFFFFF
_MTIME_SECONDS, _SIZE = slice(8, 12), slice(36, 40)  # where they stand in the stat data
_SECOND = 1_000_000_000
_ALL_FLAGS = ASSUME_VALID | SKIP_WORKTREE | INTENT_TO_ADD
_place_of = attrgetter("path", "stage")


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
    top = os.path.join(os.fsencode(root), b"")
    made: dict[tuple[TreePath, int], IndexEntry | None] = {}
    left: list[TreePath] = []
    for change in changes:
        place = change.path, change.stage
        current = made[place] if place in made else index.entry(*place)
        if _is(current, change.after):
            continue
        if not _is(current, change.before):
            left.append(change.path)
        elif change.after is None:
            made[place] = None
        else:
            made[place] = _entry(change, change.after, top, written.get(change.path))
    return _changed_index(index, index_mtime_ns, made, hex_length=hex_length), tuple(left)


def reaches(index: Index, changes: Sequence[IndexChange]) -> bool:
    """Whether any of the changes is there: the index was written with them, or somebody did the same."""
    return any(
        _is(entry, change.after) and not _is(entry, change.before)
        for change in changes
        for entry in [index.entry(change.path, change.stage)]
    )


def _entry(
    change: IndexChange, record: IndexRecord, top: bytes, written: tuple[int, int] | None
) -> IndexEntry:
    stat = NO_STAT
    if record.in_file and written is not None:
        with suppress(OSError):
            status = os.lstat(top + change.path)
            if written == (status.st_size, status.st_mtime_ns):
                stat = _pack_stat(status, record.mode)
    return IndexEntry(change.path, record.mode, record.oid, change.stage, _flags(record), stat)


def _is(entry: IndexEntry | None, record: IndexRecord | None) -> bool:
    if entry is None or record is None:
        return entry is None and record is None
    same = entry.oid == record.oid and entry.mode == record.mode
    return same and entry.flags & _ALL_FLAGS == _flags(record)


def _flags(record: IndexRecord) -> int:
    return (
        (ASSUME_VALID if record.assume_valid else 0)
        | (SKIP_WORKTREE if record.skip_worktree else 0)
        | (INTENT_TO_ADD if record.intent_to_add else 0)
    )


def _changed_index(
    index: Index,
    index_mtime_ns: int,
    changes: Mapping[tuple[TreePath, int], IndexEntry | None],
    *,
    hex_length: int,
) -> bytes:
    """The bytes of an index file with the entries of ``index``, but at some paths and stages others, or none.

    What is racy in the old index, which was of ``index_mtime_ns``, is marked to be looked at in the new one.
    """
    kept = dict(index.entries.raw)
    for path, stage in changes:
        if not stage:
            kept.pop(path, None)
    second = max(0, min(index_mtime_ns // _SECOND, _UINT32)).to_bytes(4, "big")
    rows = [
        (path, 0, raw if raw[_MTIME_SECONDS] < second else smudge_racy(raw, index_mtime_ns))
        for path, raw in kept.items()
    ]
    sides = (entry for stages in index.unmerged.values() for entry in stages)
    rows += (
        (entry.path, entry.stage, smudge_racy(entry.raw, index_mtime_ns))
        for entry in sides
        if _place_of(entry) not in changes
    )
    rows += ((path, stage, entry.raw) for (path, stage), entry in changes.items() if entry is not None)
    rows.sort()
    return _file([(path, raw) for path, _, raw in rows], hex_length)


# --- the file ---


def serialise_index(entries: Iterable[IndexEntry], *, hex_length: int) -> bytes:
    """The bytes of an index file with these entries, in any order: version 2, or 3 where a flag needs it.

    Raises ``ValueError`` where two entries have the same path and stage.
    """
    ordered = sorted(entries, key=_place_of)
    for one, following in pairwise(ordered):
        if _place_of(one) == _place_of(following):
            raise ValueError(f"two index entries for {one.path!r} at stage {one.stage}")
    return _file([(entry.path, entry.raw) for entry in ordered], hex_length)


def _file(rows: Sequence[tuple[TreePath, bytes]], hex_length: int) -> bytes:
    """The file of these entries, each its path and what stands before it, in order."""
    plain = RAW_ID + hex_length // 2 + 2  # one word of flags; two are of version 3
    version = 3 if any(len(raw) > plain for _, raw in rows) else 2
    parts = [INDEX_HEADER.pack(b"DIRC", version, len(rows))]
    parts += [raw + path + _FILLING[len(raw) + len(path) & 7] for path, raw in rows]
    body = b"".join(parts)
    return body + index_hash(hex_length, body)


def entry_from_stat(
    path: TreePath, mode: int, oid: Oid, status: os.stat_result, *, flags: int = 0
) -> IndexEntry:
    """The stage 0 entry for a file just written or just hashed, with what ``lstat`` said of it."""
    return IndexEntry(path, mode, oid, 0, flags, _pack_stat(status, mode))


def is_racy(stat: bytes, index_mtime_ns: int) -> bool:
    """Whether the file of an entry with this stat data may have changed in the very tick in which the index
    was written.

    Equal stat data proves nothing then, and the content has to be looked at (git's
    Documentation/technical/racy-git). An entry without nanoseconds is compared by the second.
    """
    seconds, nanoseconds = _MODIFIED.unpack_from(stat, _MTIME_SECONDS.start)
    if nanoseconds:
        return bool(seconds * _SECOND + nanoseconds >= index_mtime_ns)
    return bool(seconds >= index_mtime_ns // _SECOND)


def smudge_racy(stat: bytes, index_mtime_ns: int) -> bytes:
    """Stat data, and what follows it, as it may go from an index of that time into a newer one.

    In the newer index it would no longer look racy; a recorded size of 0 makes every reader look at the
    content. A file that is really empty keeps its 0 and is safe: any change of it changes the size.
    """
    return stat[: _SIZE.start] + bytes(4) + stat[_SIZE.stop :] if is_racy(stat, index_mtime_ns) else stat


def _pack_stat(status: os.stat_result, mode: int) -> bytes:
    ctime, ctime_ns = divmod(status.st_ctime_ns, _SECOND)
    mtime, mtime_ns = divmod(status.st_mtime_ns, _SECOND)
    size = 0 if mode == MODE_GITLINK else status.st_size
    # A size that is a multiple of 4 GiB would look like 0, which means "unknown"; git writes 2 GiB then.
    size = 0x80000000 if size and not size & _UINT32 else size & _UINT32
    return RAW_STAT.pack(
        ctime & _UINT32,
        ctime_ns,
        mtime & _UINT32,
        mtime_ns,
        status.st_dev & _UINT32,
        status.st_ino & _UINT32,
        mode,
        status.st_uid & _UINT32,
        status.st_gid & _UINT32,
        size,
    )
