"""Git's index: reading versions 2, 3 and 4; ``reindex`` makes the bytes of a new one.

The format is git's, from Documentation/gitformat-index. Only bytes go in here (``index_bytes`` and
``load_index`` open the file for those who have a path).

Reading 50,000 entries is something that every command does, and to look into each of them is not: what
stands before a path in the file is kept as it is, compared as it is (``stat_rule``), and goes as it is into
the next index. An ``IndexEntry`` is made of it for those who ask.
"""

from __future__ import annotations

import hashlib
import os
import struct
from binascii import hexlify, unhexlify
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from operator import lt
from typing import NamedTuple, cast

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
_ANEW = "mv .git/index .git/index.broken && git reset    # git builds it anew; what was staged is unstaged"
RAW_ID = 40
"""Where the id begins in what stands before a path: behind the stat data."""
_WIDTHS = {RAW_ID + width + words: width for width in (20, 32) for words in (2, 4)}  # of the id, by the size
_EXTENDED_SIZES = frozenset({RAW_ID + 20 + 4, RAW_ID + 32 + 4})
RAW_STAT = struct.Struct(">10I")
"""Stat data: ten numbers of 32 bits (gitformat-index): ctime and mtime, each as seconds and nanoseconds,
device, inode, mode, user, group, and size in bytes."""
INDEX_HEADER = struct.Struct(">4sII")
"""How an index file begins: ``DIRC``, its version, and how many entries it has."""

_WORD = struct.Struct(">H")
NO_STAT = bytes(RAW_STAT.size)
"""Stat data that matches no file: git looks at the content then."""

RAW_MODE = slice(24, 28)
"""Where the mode stands in the stat data."""
RAW_MODES = {
    mode.to_bytes(4, "big"): mode for mode in (MODE_FILE, MODE_EXECUTABLE, MODE_SYMLINK, MODE_GITLINK)
}
"""The modes that an entry may have, by the bytes that the file has for them."""


class IndexEntry(NamedTuple):
    """One path at one stage. ``stat`` is forty bytes as they stand in the file (``RAW_STAT``), but that
    the mode in it need not be right."""

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
    def raw(self) -> bytes:
        """What stands before the path in the file (``Entries.raw``)."""
        path, mode, oid, stage, flags, stat = self
        extended = flags & ~ASSUME_VALID
        word = (flags & ASSUME_VALID) | (stage << _STAGE_SHIFT) | min(len(path), _NAME_MASK)
        words = _WORD.pack(word | _EXTENDED) + _WORD.pack(extended) if extended else _WORD.pack(word)
        return (
            stat[: RAW_MODE.start] + mode.to_bytes(4, "big") + stat[RAW_MODE.stop :] + unhexlify(oid) + words
        )


class Entries(Mapping[TreePath, IndexEntry]):
    """The merged entries of an index by path, in git's order, each made when it is asked for.

    ``raw`` has of each path what stands before it in an index file of version 2 or 3: stat data (the mode
    in it), the id from ``RAW_ID`` on, and one word of flags or two.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: Mapping[TreePath, bytes]) -> None:
        self.raw = raw

    def __getitem__(self, path: TreePath) -> IndexEntry:
        return _entry(path, self.raw[path])

    def __contains__(self, path: object) -> bool:
        return path in self.raw

    def __iter__(self) -> Iterator[TreePath]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def announced(self) -> frozenset[TreePath]:
        """The paths that ``git add -N`` announced."""
        flagged = [path for path, raw in self.raw.items() if len(raw) in _EXTENDED_SIZES]
        return frozenset(path for path in flagged if self[path].intent_to_add)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index as it was read. Both mappings are in git's order, by the bytes of the path.

    ``unmerged`` holds the paths of a merge that is not finished, each with its entries by ascending
    stage. ``cache_tree`` says which tree object a directory (by its path, ``b""`` for the top) is known
    to equal and how many entries it has; directories that git holds for changed are not in it.
    """

    version: int = 2
    entries: Entries = field(default_factory=lambda: Entries({}))
    unmerged: Mapping[TreePath, tuple[IndexEntry, ...]] = field(default_factory=dict)
    cache_tree: Mapping[TreePath, tuple[Oid, int]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[IndexEntry]:
        """Every entry of every stage, in no particular order."""
        yield from self.entries.values()
        for stages in self.unmerged.values():
            yield from stages

    def entry(self, path: TreePath, stage: int) -> IndexEntry | None:
        """The entry of a path at a stage, None where there is none."""
        if not stage:
            return self.entries.get(path)
        return next((each for each in self.unmerged.get(path, ()) if each.stage == stage), None)


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
    if end < INDEX_HEADER.size:
        raise _corrupt("it is too short")
    signature, version, count = INDEX_HEADER.unpack_from(data)
    if signature != b"DIRC" or version not in (2, 3, 4):
        raise _corrupt("its header is not that of version 2, 3 or 4")
    checksum = data[end:]
    if checksum != bytes(width) and checksum != index_hash(hex_length, memoryview(data)[:end]):
        raise _corrupt("its checksum is wrong")
    body = data[:end]
    found = _Found()
    try:
        read = _read_compressed if version == 4 else _read_padded
        cache_tree = _read_extensions(body, read(body, count, width, found), width)
    except (struct.error, ValueError, IndexError):
        raise _corrupt("it ends in the middle of an entry") from None
    found.check()
    entries = Entries(cast("Mapping[TreePath, bytes]", found.merged))
    return Index(version=version, entries=entries, unmerged=found.unmerged, cache_tree=cache_tree)


# --- entries as they stand in the file --------------------------------------------------------------


def _entry(path: TreePath, raw: bytes) -> IndexEntry:
    """The entry of a path and what stands before it in the file."""
    after_id = RAW_ID + _WIDTHS[len(raw)]
    (word,) = _WORD.unpack_from(raw, after_id)
    flags = word & ASSUME_VALID
    if word & _EXTENDED:
        flags |= _WORD.unpack_from(raw, after_id + 2)[0]
    mode, stage = int.from_bytes(raw[RAW_MODE], "big"), (word & _STAGE_MASK) >> _STAGE_SHIFT
    return IndexEntry(path, mode, Oid(hexlify(raw[RAW_ID:after_id])), stage, flags, raw[:RAW_ID])


# --- reading ---------------------------------------------------------------------------------------


class _Found:
    """The entries that are read: merged ones as they stand in the file, and the stages of the others."""

    def __init__(self) -> None:
        self.paths: list[bytes] = []
        self.merged: dict[bytes, bytes] = {}
        self.unmerged: dict[TreePath, tuple[IndexEntry, ...]] = {}

    def add(self, path: TreePath, raw: bytes) -> None:
        """Add one at any stage."""
        self.paths.append(path)
        entry = _entry(path, raw)
        if entry.stage:
            self.unmerged[path] = (*self.unmerged.get(path, ()), entry)
        else:
            self.merged[path] = raw

    def check(self) -> None:
        """Refuse modes that git does not know, names that must not be in a working tree, and disorder."""
        modes = {raw[RAW_MODE] for raw in self.merged.values()}
        modes |= {entry.stat[RAW_MODE] for stages in self.unmerged.values() for entry in stages}
        if not modes <= RAW_MODES.keys():
            if MODE_TREE.to_bytes(4, "big") in modes:
                raise _sparse_index()
            raise _corrupt("it holds a mode that git does not know")
        if find_hostile(self.paths) is not None:
            raise _corrupt("it holds a path that must not be in a working tree")
        if not all(map(lt, self.paths, self.paths[1:])) and not self._only_stages_repeat():
            raise _corrupt("its entries are out of order")

    def _only_stages_repeat(self) -> bool:
        stages = [[entry.stage for entry in entries] for entries in self.unmerged.values()]
        return (
            all(one <= two for one, two in pairwise(self.paths))
            and all(one < two for each in stages for one, two in pairwise(each))
            and len(self.paths) == len(self.merged) + sum(map(len, stages))
            and self.merged.keys().isdisjoint(self.unmerged)
        )


def _read_padded(data: bytes, count: int, width: int, found: _Found) -> int:
    """Read the entries of versions 2 and 3, each filled with NULs to a multiple of eight bytes; return where
    they end."""
    word_at, size = RAW_ID + width, RAW_ID + width + 2
    append, merged = found.paths.append, found.merged
    position = INDEX_HEADER.size
    for _ in range(count):
        length = data[position + word_at] << 8 | data[position + word_at + 1]
        name = position + size
        if plain := length < _NAME_MASK:  # no flag, no stage, and the length is that of the name
            after = name + length
        else:
            name += 2 if length & _EXTENDED else 0
            after = name + (length & _NAME_MASK)
            if length & _NAME_MASK == _NAME_MASK:
                after = data.index(b"\0", after)
        if data[after]:
            raise ValueError
        path = data[name:after]
        if plain:
            append(path)
            merged[path] = data[position:name]
        else:
            found.add(TreePath(path), data[position:name])
        position += (after - position + 8) & ~7
    return position


def _read_compressed(data: bytes, count: int, width: int, found: _Found) -> int:
    """Read the entries of version 4, which has of each name only what differs from the name before it; return
    where they end."""
    word_at, size = RAW_ID + width, RAW_ID + width + 2
    position = INDEX_HEADER.size
    path = b""
    for _ in range(count):
        before = position + size + (2 if data[position + word_at] << 8 & _EXTENDED else 0)
        strip, name = _read_offset(data, before)
        if strip > len(path):
            raise ValueError
        after = data.index(b"\0", name)
        path = path[: len(path) - strip] + data[name:after]
        found.add(TreePath(path), data[position:before])
        position = after + 1
    return position


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
                _ANEW,
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


def index_hash(hex_length: int, data: bytes | memoryview) -> bytes:
    """The hash that an index file ends with."""
    return (hashlib.sha1 if hex_length == 40 else hashlib.sha256)(data).digest()


def _corrupt(why: str) -> Refused:
    return Refused(
        "corrupt-index",
        f"The index cannot be read: {why}. Nothing was changed.",
        _ANEW,
    )


def _sparse_index() -> Refused:
    return Refused(
        "sparse-index",
        "The index names whole directories (a sparse index), which resync does not read."
        " Nothing was changed.",
        "git sparse-checkout reapply --no-sparse-index",
    )
