"""Git's index: reading versions 2, 3 and 4, and making the bytes of a new one.

The format is git's, from Documentation/gitformat-index. Only bytes go in and out here (``index_bytes``
and ``load_index`` open the file for those who have a path); a new index reaches the disk under the lock
that the whole run holds, which is another module's job.

An entry keeps the stat data as the forty bytes that stand in the file, because reading 50,000 entries
is something that every command does and unpacking ten numbers of each is not. ``worktree.status``
unpacks them when it compares.
"""

from __future__ import annotations

import hashlib
import os
import struct
from binascii import hexlify, unhexlify
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter, lt
from typing import NamedTuple

from resync.errors import Refused
from resync.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK, MODE_TREE, Oid, TreePath
from resync.worktree.names import find_hostile

ASSUME_VALID = 0x8000
SKIP_WORKTREE = 0x4000
INTENT_TO_ADD = 0x2000
"""``IndexEntry.flags``: the bits that a person sets, wherever the file keeps them."""

_EXTENDED = 0x4000  # in the first flag word: a second one follows (version 3 and later)
_STAGE_SHIFT, _STAGE_MASK = 12, 0x3000
_NAME_MASK = 0x0FFF
_FILLING = tuple(bytes(8 - used) for used in range(8))  # after an entry: one NUL or more, to a multiple of 8
_STAT = struct.Struct(">10I")
_HEADER = struct.Struct(">4sII")
_MODIFIED = struct.Struct(">II")
_WORD = struct.Struct(">H")
_UINT32 = 0xFFFFFFFF
NO_STAT = bytes(_STAT.size)
"""Stat data that matches no file: git looks at the content then."""

_path_of, _mode_of, _place_of = attrgetter("path"), attrgetter("mode"), attrgetter("path", "stage")
_KNOWN_MODES = frozenset({MODE_FILE, MODE_EXECUTABLE, MODE_SYMLINK, MODE_GITLINK})


class StatData(NamedTuple):
    """What the index remembers of ``lstat``: each number cut to 32 bits, times as seconds and nanoseconds."""

    ctime: int
    ctime_ns: int
    mtime: int
    mtime_ns: int
    dev: int
    ino: int
    uid: int
    gid: int
    size: int


class IndexEntry(NamedTuple):
    """One path at one stage. ``stat`` is forty bytes as they stand in the file (see ``stat_data``)."""

    path: TreePath
    mode: int
    oid: Oid
    stage: int = 0
    flags: int = 0
    stat: bytes = NO_STAT

    @property
    def assume_valid(self) -> bool:
        """Whether ``git update-index --assume-unchanged`` was said of this path."""
        return bool(self.flags & ASSUME_VALID)

    @property
    def skip_worktree(self) -> bool:
        """Whether the path is outside a sparse checkout, or was marked with ``--skip-worktree``."""
        return bool(self.flags & SKIP_WORKTREE)

    @property
    def intent_to_add(self) -> bool:
        """Whether ``git add -N`` announced the path; its ``oid`` then says nothing."""
        return bool(self.flags & INTENT_TO_ADD)

    @property
    def stat_data(self) -> StatData:
        """The stat data as numbers."""
        fields = _STAT.unpack(self.stat)
        return StatData(*fields[:6], *fields[7:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index as it was read. Both mappings are in git's order, by the bytes of the path.

    ``unmerged`` holds the paths of a merge that is not finished, each with its entries by ascending
    stage. ``cache_tree`` says which tree object a directory (by its path, ``b""`` for the top) is known
    to equal and how many entries it has; directories that git holds for changed are not in it.
    """

    version: int = 2
    entries: Mapping[TreePath, IndexEntry] = field(default_factory=dict)
    unmerged: Mapping[TreePath, tuple[IndexEntry, ...]] = field(default_factory=dict)
    cache_tree: Mapping[TreePath, tuple[Oid, int]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[IndexEntry]:
        """Every entry of every stage, in no particular order."""
        yield from self.entries.values()
        for stages in self.unmerged.values():
            yield from stages


def load_index(path: str | bytes, *, hex_length: int) -> tuple[Index, int]:
    """Read the index file at ``path``: the index, and the file's modification time in nanoseconds.

    A file that is not there is an empty index, of time 0. Raises ``Refused`` as ``read_index`` and
    ``index_bytes`` do.
    """
    data, modified = index_bytes(path)
    return (read_index(data, hex_length=hex_length) if data is not None else Index()), modified


def index_bytes(path: str | bytes) -> tuple[bytes | None, int]:
    """The bytes of the index file at ``path`` and its modification time in nanoseconds.

    None and 0 where there is no file. Raises ``Refused("unreadable-file")`` where it may not be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(), os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None, 0
    except OSError as error:
        name = os.fsdecode(path)
        raise Refused(
            "unreadable-file",
            f"The index {name} cannot be read ({error.strerror}). Nothing was changed.",
            "give yourself access to it, or run resync as its owner",
        ) from None


def read_index(data: bytes, *, hex_length: int) -> Index:
    """Parse the bytes of an index file; ``hex_length`` is 40 in a SHA-1 repository and 64 in a SHA-256 one.

    Raises ``Refused``: ``split-index``, ``sparse-index`` and ``unknown-index-extension`` for what resync
    does not read, each with the command that turns it off; ``corrupt-index`` for everything that git
    would not have written. A checksum of zeros (``index.skipHash``) is not checked, as in git.
    """
    width = hex_length // 2
    end = len(data) - width
    if end < _HEADER.size:
        raise _corrupt("it is too short")
    signature, version, count = _HEADER.unpack_from(data)
    if signature != b"DIRC" or version not in (2, 3, 4):
        raise _corrupt("its header is not that of version 2, 3 or 4")
    checksum = data[end:]
    if checksum != bytes(width) and checksum != _hasher(hex_length, memoryview(data)[:end]):
        raise _corrupt("its checksum is wrong")
    body = data[:end]
    try:
        if version == 4:
            entries, position = _read_compressed(body, count, width)
        else:
            entries, position = _read_padded(body, count, width)
        cache_tree = _read_extensions(body, position, width)
    except (struct.error, ValueError, IndexError):
        raise _corrupt("it ends in the middle of an entry") from None
    return _build(version, entries, cache_tree)


def serialise_index(entries: Iterable[IndexEntry], *, hex_length: int) -> bytes:
    """The bytes of an index file with these entries, in any order: version 2, or 3 where a flag needs it.

    No extension is written: each of them describes an index that this one is not. Raises ``ValueError``
    where two entries have the same path and stage.
    """
    ordered = sorted(entries, key=_place_of)
    version = 3 if any(entry.flags & ~ASSUME_VALID for entry in ordered) else 2
    parts = [_HEADER.pack(b"DIRC", version, len(ordered))]
    pack = struct.Struct(f">24sI12s{hex_length // 2}sH").pack
    previous: tuple[bytes, int] | None = None
    for path, mode, oid, stage, flags, stat_bytes in ordered:
        if previous == (path, stage):
            raise ValueError(f"two index entries for {path!r} at stage {stage}")
        previous = (path, stage)
        extended = flags & ~ASSUME_VALID
        word = (flags & ASSUME_VALID) | (stage << _STAGE_SHIFT) | min(len(path), _NAME_MASK)
        second_word = b""
        if extended:
            word, second_word = word | _EXTENDED, _WORD.pack(extended)
        entry = pack(stat_bytes[:24], mode, stat_bytes[28:], unhexlify(oid), word) + second_word + path
        parts.append(entry + _FILLING[len(entry) & 7])
    body = b"".join(parts)
    return body + _hasher(hex_length, body)


def entry_from_stat(
    path: TreePath, mode: int, oid: Oid, status: os.stat_result, *, flags: int = 0
) -> IndexEntry:
    """The stage 0 entry for a file just written or just hashed, with what ``lstat`` said of it."""
    return IndexEntry(path, mode, oid, 0, flags, _pack_stat(status, mode))


def is_racy(entry: IndexEntry, index_mtime_ns: int) -> bool:
    """Whether the file may have changed in the very tick in which the index was written.

    Equal stat data proves nothing then, and the content has to be looked at (git's
    Documentation/technical/racy-git). An entry without nanoseconds is compared by the second.
    """
    seconds, nanoseconds = _MODIFIED.unpack_from(entry.stat, 8)
    if nanoseconds:
        return bool(seconds * 1_000_000_000 + nanoseconds >= index_mtime_ns)
    return bool(seconds >= index_mtime_ns // 1_000_000_000)


def smudge_racy(entry: IndexEntry, index_mtime_ns: int) -> IndexEntry:
    """The entry as it may go from an index of that time into a newer one.

    In the newer index it would no longer look racy; a recorded size of 0 makes every reader look at the
    content. A file that is really empty keeps its 0 and is safe: any change of it changes the size.
    """
    if is_racy(entry, index_mtime_ns):
        return entry._replace(stat=entry.stat[:36] + bytes(4))
    return entry


def _pack_stat(status: os.stat_result, mode: int) -> bytes:
    ctime, ctime_ns = divmod(status.st_ctime_ns, 1_000_000_000)
    mtime, mtime_ns = divmod(status.st_mtime_ns, 1_000_000_000)
    size = 0 if mode == MODE_GITLINK else status.st_size
    # A size that is a multiple of 4 GiB would look like 0, which means "unknown"; git writes 2 GiB then.
    size = 0x80000000 if size and not size & _UINT32 else size & _UINT32
    return _STAT.pack(
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


# --- reading ---------------------------------------------------------------------------------------


def _read_padded(data: bytes, count: int, width: int) -> tuple[list[IndexEntry], int]:
    """The entries of versions 2 and 3: names in full, each entry filled with NULs to a multiple of eight."""
    fixed = struct.Struct(f">24xI12x{width}sH")
    unpack, size, stat_size = fixed.unpack_from, fixed.size, _STAT.size
    make = tuple.__new__  # the constructor of a named tuple is Python, and takes as long as all the rest
    entries: list[IndexEntry] = []
    append = entries.append
    position = _HEADER.size
    for _ in range(count):
        mode, oid, length = unpack(data, position)
        name = position + size
        flags = stage = 0
        if length >= _NAME_MASK:
            flags, stage = length & ASSUME_VALID, (length & _STAGE_MASK) >> _STAGE_SHIFT
            if length & _EXTENDED:
                flags |= _WORD.unpack_from(data, name)[0]
                name += 2
            length &= _NAME_MASK
            if length == _NAME_MASK:
                length = data.index(b"\0", name + length) - name
        after = name + length
        if data[after]:
            raise ValueError
        stat = data[position : position + stat_size]
        append(make(IndexEntry, (data[name:after], mode, hexlify(oid), stage, flags, stat)))
        position += (after - position + 8) & ~7
    return entries, position


def _read_compressed(data: bytes, count: int, width: int) -> tuple[list[IndexEntry], int]:
    """The entries of version 4: of each name only what differs from the name before it."""
    fixed = struct.Struct(f">24xI12x{width}sH")
    entries: list[IndexEntry] = []
    position = _HEADER.size
    path = b""
    for _ in range(count):
        mode, oid, word = fixed.unpack_from(data, position)
        name = position + fixed.size
        flags, stage = word & ASSUME_VALID, (word & _STAGE_MASK) >> _STAGE_SHIFT
        if word & _EXTENDED:
            flags |= _WORD.unpack_from(data, name)[0]
            name += 2
        strip, name = _read_offset(data, name)
        if strip > len(path):
            raise ValueError
        after = data.index(b"\0", name)
        path = path[: len(path) - strip] + data[name:after]
        entry = (TreePath(path), mode, hexlify(oid), stage, flags, data[position : position + 40])
        entries.append(IndexEntry._make(entry))
        position = after + 1
    return entries, position


def _read_offset(data: bytes, position: int) -> tuple[int, int]:
    """A number in the encoding of pack offsets (gitformat-pack, "offset encoding"), and where it ends."""
    byte = data[position]
    position += 1
    value = byte & 0x7F
    while byte & 0x80:
        byte = data[position]
        position += 1
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, position


def _read_extensions(data: bytes, position: int, width: int) -> Mapping[TreePath, tuple[Oid, int]]:
    """Walk the extensions and keep the cached trees. One with a lower-case name must be understood."""
    cache_tree: Mapping[TreePath, tuple[Oid, int]] = {}
    while position < len(data):
        signature, size = struct.unpack_from(">4sI", data, position)
        start, position = position + 8, position + 8 + size
        if position > len(data):
            raise ValueError
        if signature == b"TREE":
            cache_tree = _read_cache_tree(data[start:position], width)
        elif signature == b"link":
            raise Refused(
                "split-index",
                "This repository keeps its index in two files (a split index), which resync does not read."
                " Nothing was changed.",
                "git update-index --no-split-index",
            )
        elif signature == b"sdir":
            raise _sparse_index()
        elif not signature[:1].isupper():
            name = signature.decode("ascii", "backslashreplace")
            raise Refused(
                "unknown-index-extension",
                f"The index needs the extension {name!r}, which resync does not know. Nothing was changed.",
                "rm .git/index && git reset   # git builds the index anew; what was staged is unstaged",
            )
    return cache_tree


def _read_cache_tree(data: bytes, width: int) -> Mapping[TreePath, tuple[Oid, int]]:
    """The valid nodes of the TREE extension, by directory. Its nodes stand in pre-order."""
    found: dict[TreePath, tuple[Oid, int]] = {}
    waiting: list[tuple[bytes, int]] = [(b"", 1)]  # a directory, and how many of its children are to come
    position = 0
    while waiting:
        parent, left = waiting.pop()
        if left > 1:
            waiting.append((parent, left - 1))
        nul = data.index(b"\0", position)
        newline = data.index(b"\n", nul)
        count, children = map(int, data[nul + 1 : newline].split(b" "))
        name = data[position:nul]
        path = parent + b"/" + name if parent else name
        position = newline + 1
        if count >= 0:
            oid = data[position : position + width]
            if len(oid) != width:
                raise ValueError
            found[TreePath(path)] = (Oid(hexlify(oid)), count)
            position += width
        if children > 0:
            waiting.append((path, children))
    if position != len(data) or data[:1] != b"\0":  # the top has no name
        raise ValueError
    return found


def _build(version: int, entries: list[IndexEntry], cache_tree: Mapping[TreePath, tuple[Oid, int]]) -> Index:
    modes = set(map(_mode_of, entries))
    if not modes <= _KNOWN_MODES:
        if MODE_TREE in modes:
            raise _sparse_index()
        raise _corrupt("it holds a mode that git does not know")
    _check_names(entries)
    stages: dict[TreePath, tuple[IndexEntry, ...]] = {}
    for entry in [entry for entry in entries if entry.stage]:
        stages[entry.path] = (*stages.get(entry.path, ()), entry)
    if stages:
        entries = [entry for entry in entries if not entry.stage]
    merged = dict(zip(map(_path_of, entries), entries, strict=True))
    return Index(version=version, entries=merged, unmerged=stages, cache_tree=cache_tree)


def _check_names(entries: list[IndexEntry]) -> None:
    """Refuse names that must not be in a working tree, and entries out of order."""
    paths = list(map(_path_of, entries))
    if find_hostile(paths) is not None:
        raise _corrupt("it holds a path that must not be in a working tree")
    if all(map(lt, paths, paths[1:])):
        return
    for one, following in pairwise(entries):
        if one.path >= following.path and (one.path != following.path or not 0 < one.stage < following.stage):
            raise _corrupt("its entries are out of order")


def _hasher(hex_length: int, data: bytes | memoryview) -> bytes:
    return (hashlib.sha1 if hex_length == 40 else hashlib.sha256)(data).digest()


def _corrupt(why: str) -> Refused:
    return Refused(
        "corrupt-index",
        f"The index cannot be read: {why}. Nothing was changed.",
        "mv .git/index .git/index.broken && git reset   # git builds it anew; what was staged is unstaged",
    )


def _sparse_index() -> Refused:
    return Refused(
        "sparse-index",
        "The index names whole directories (a sparse index), which resync does not read."
        " Nothing was changed.",
        "git sparse-checkout reapply --no-sparse-index",
    )
