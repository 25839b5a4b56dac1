"""The object store: dulwich's on disk below, new objects in memory above.

A run is rehearsed entirely in memory: whatever it makes is hashed and kept here, and reaches the disk
only when a backup writes what its refs need as one pack. Parsed trees and commits are cached for the
whole run, which is what makes a replay cheap (the same trees are read again for every pick).
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

from resync.errors import LargeBlob, Refused
from resync.model import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_GITLINK,
    MODE_SYMLINK,
    MODE_TREE,
    Commit,
    Oid,
    Tree,
    TreeEntry,
    TreePath,
)
from resync.repository.commits import parse_commit
from resync.repository.config import BIG_FILE
from resync.repository.damage import damaged, missing, signs_of_damage
from resync.repository.packs import clear_dead, incoming, sync_loose, write_pack
from resync.repository.pieces import Stored, in_memory, in_pack, loose, packed_size

if TYPE_CHECKING:
    from dulwich.object_store import DiskObjectStore
    from dulwich.pack import Pack

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4
_MODES = {b"%o" % mode: mode for mode in (MODE_FILE, MODE_EXECUTABLE, MODE_SYMLINK, MODE_GITLINK, MODE_TREE)}
_OCTAL = re.compile(rb"[0-7]+")
_Row: TypeAlias = bytes  # of a tree: mode, a blank, the name, a NUL, the raw id
_MOST_RECENT = 10_000  # commits remembered: a walk reads one for its links, and what follows for its words
_MOST_ENTRIES = 100_000  # remembered, because versions of a tree have most rows in common
_TYPE_NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}


class Objects:
    """Reads every object of a repository and collects new ones in memory (see ``model.ObjectStore``)."""

    def __init__(self, store: DiskObjectStore, largest: int = BIG_FILE) -> None:
        """``largest`` is the size in bytes above which no blob is held in memory."""
        from dulwich.pack import PackFileDisappeared

        self._not_there = (KeyError, OSError, PackFileDisappeared)  # or repacked away meanwhile
        self._store = store
        self.largest = largest
        self._new: dict[Oid, tuple[int, bytes]] = {}
        self._new_large: dict[Oid, Stored] = {}
        self._recent: dict[Oid, tuple[int, bytes]] = {}
        self._trees: dict[Oid, Tree] = {}
        self._commits: dict[Oid, Commit] = {}
        self.hex_length = store.object_format.hex_length
        self._hash = hashlib.sha1 if self.hex_length == 40 else hashlib.sha256
        self.promised: Callable[[Oid], bool] | None = None
        """Brings a missing object from a remote that promised it (a partial clone's); whether it did."""
        self._packs: list[Pack] = []
        self._keeping: list[str] = []
        self._entries: dict[_Row, tuple[bytes, TreeEntry]] = {}
        self._tree_row = re.compile(rb"[^\0]+\0.{%d}" % (self.hex_length // 2), re.DOTALL)

    # --- reading ---

    def raw(self, oid: Oid, *, largest: int | None = None) -> tuple[int, bytes]:
        """Type number and content of the object ``oid``.

        Raises ``LargeBlob`` for one of more than ``largest`` bytes, before it is read, and ``Refused``:
        ``missing-object``, or ``damaged-object`` where its bytes are not those of one.
        """
        found = self._new.get(oid) or self._recent.get(oid)
        if found is not None:
            return found
        if oid in self._new_large:
            raise _large(oid, self._new_large[oid].size)
        try:
            with _reading(oid):
                found = self._from_disk(oid, largest)
        except Refused as refused:
            if refused.kind != "missing-object" or self.promised is None or not self.promised(oid):
                raise
            with _reading(oid):
                found = self._from_disk(oid, largest)
        if found[0] == COMMIT:
            if len(self._recent) >= _MOST_RECENT:
                self._recent.clear()
            self._recent[oid] = found
        return found

    def pieces(self, oid: Oid) -> Iterator[bytes]:
        """The bytes of a blob of any size, a piece at a time; raises as ``raw`` does."""
        try:
            yield self.blob(oid)
        except LargeBlob:
            with _reading(oid):
                yield from (self._new_large.get(oid) or self._stored(oid)).pieces()

    def size(self, oid: Oid) -> int:
        """The size of a blob in bytes, as its head has it; raises as ``raw`` does."""
        if oid in self._new:
            return len(self._new[oid][1])
        if oid in self._new_large:
            return self._new_large[oid].size
        with _reading(oid):
            name = bytes.fromhex(oid.decode("ascii"))
            for pack in self._packs:
                with suppress(*self._not_there):
                    return packed_size(pack, pack.index.object_offset(name))  # type: ignore[arg-type]
            return self._stored(oid).size

    def kind(self, oid: Oid) -> int:
        """The type number of an object on the disk, found without reading more than its head, where it is no
        delta; raises as ``raw`` does."""
        with _reading(oid):
            return self._stored(oid).kind

    def _stored(self, oid: Oid) -> Stored:
        """Where the disk has an object; raises ``KeyError``. The store would read a loose one to find it."""
        stores = (self._store, *self._store.alternates)
        for pack in (pack for store in stores for pack in store.packs):
            with suppress(*self._not_there):
                return in_pack(pack, bytes.fromhex(oid.decode()))
        for folder in filter(None, (getattr(store, "path", None) for store in stores)):
            with suppress(FileNotFoundError):
                return loose(os.path.join(os.fspath(folder), oid[:2].decode(), oid[2:].decode()))
        raise KeyError(oid)

    def _from_disk(self, oid: Oid, largest: int | None = None) -> tuple[int, bytes]:
        """Read an object; what is in a file of its own, and every blob, has to have the id that it goes by.

        dulwich does not look, and some damage can be unpacked: it would go into somebody's file.
        """
        found = self._from_pack(oid, largest)
        if found is None or found[0] == BLOB:
            found = found or self._from_store(oid, largest)
            if self.hash(*found) != oid:
                raise ValueError("its content is another than its id says")
        return found

    def _from_pack(self, oid: Oid, largest: int | None) -> tuple[int, bytes] | None:
        """The object out of the packs that are known. The store's own way stats the disk at every call."""
        try:
            name = bytes.fromhex(oid.decode("ascii"))
        except ValueError:
            raise KeyError(oid) from None
        for number, pack in enumerate(self._packs):
            try:
                if largest is not None:
                    size = packed_size(pack, pack.index.object_offset(name))  # type: ignore[arg-type]
                    if size > largest:
                        raise _large(oid, size)
                found = pack.get_raw(name)  # type: ignore[arg-type]
            except self._not_there:
                continue
            if number:
                # The next one is most likely there too; small packs of earlier runs may be many.
                self._packs.insert(0, self._packs.pop(number))
            return found
        return None

    def _from_store(self, oid: Oid, largest: int | None) -> tuple[int, bytes]:
        if largest is not None and hasattr(self._store, "path"):
            size = self._stored(oid).size
            if size > largest:
                raise _large(oid, size)
        found = self._store.get_raw(oid)  # type: ignore[arg-type]
        # What one object is looked up in serves the next: refreshed only where something was not in them.
        self._packs = [pack for store in (self._store, *self._store.alternates) for pack in store.packs]
        return found

    def __contains__(self, oid: Oid) -> bool:
        try:
            return oid in self._new or oid in self._new_large or oid in self._store  # type: ignore[operator]
        except signs_of_damage() as error:
            raise damaged(oid, error) from error

    def tree(self, oid: Oid) -> Tree:
        found = self._trees.get(oid)
        if found is None:
            found = self._trees[oid] = self.parse_tree(oid, self._typed(oid, TREE))
        return found

    def blob(self, oid: Oid) -> bytes:
        return self._typed(oid, BLOB, largest=self.largest)

    def commit(self, oid: Oid) -> Commit:
        """The commit ``oid``, parsed and cached."""
        found = self._commits.get(oid)
        if found is None:
            found = self._commits[oid] = parse_commit(oid, self._typed(oid, COMMIT))
        return found

    def peel(self, oid: Oid) -> Oid:
        """Follow annotated tags from ``oid`` to what they finally name."""
        while True:
            kind, data = self.raw(oid)
            if kind != TAG:
                return oid
            oid = Oid(data.split(b"\n", 1)[0].removeprefix(b"object "))

    def is_commit(self, oid: Oid) -> bool:
        """Whether ``oid`` is here and is a commit."""
        return oid in self and self.raw(oid)[0] == COMMIT

    def _typed(self, oid: Oid, kind: int, *, largest: int | None = None) -> bytes:
        found, data = self.raw(oid, largest=largest)
        if found != kind:
            raise Refused(
                "missing-object",
                f"Object {oid.decode()} is a {_TYPE_NAMES[found].decode()} where a"
                f" {_TYPE_NAMES[kind].decode()} belongs; the repository is damaged. Nothing was changed.",
                "git fsck",
            )
        return data

    def parse_tree(self, oid: Oid, data: bytes) -> Tree:
        """A tree out of its raw bytes; raises ``Refused("hostile-tree")``."""
        rows: list[_Row] = self._tree_row.findall(data)
        found = list(map(self._entries.get, rows))
        if None in found:
            found = [each or self._new_entry(row) for each, row in zip(found, rows, strict=True)]
        entries = dict(filter(None, found))
        if len(entries) != len(rows) or sum(map(len, rows)) != len(data):
            raise Refused(
                "hostile-tree",
                f"The tree {oid.decode()} has a name twice, or a name or mode that no tree may have, or is"
                " damaged. Nothing was changed.",
                "git fsck",
            )
        return entries

    def _new_entry(self, row: _Row) -> tuple[bytes, TreeEntry] | None:
        """The name and entry of a row of a tree, kept for the tree's other versions; None if it is none."""
        head, _, raw = row.partition(b"\0")
        mode, _, name = head.partition(b" ")
        if not name or b"/" in name or not _OCTAL.fullmatch(mode):
            return None
        if len(self._entries) >= _MOST_ENTRIES:
            self._entries.clear()
        number = _MODES.get(mode) or _canonical_mode(int(mode, 8))
        if number is None:
            return None
        entry = TreeEntry(number, Oid(raw.hex().encode()))
        self._entries[row] = name, entry
        return name, entry

    # --- adding, in memory ---

    def add(self, kind: int, data: bytes) -> Oid:
        """Add an object of type ``kind`` to memory and return its id."""
        oid = self.hash(kind, data)
        if oid not in self._new:
            self._new[oid] = (kind, data)
        return oid

    def hash(self, kind: int, data: bytes) -> Oid:
        """The id that an object of type ``kind`` with this content has."""
        digest = self._hash(b"%s %d\0" % (_TYPE_NAMES[kind], len(data)))
        digest.update(data)
        return Oid(digest.hexdigest().encode())

    def hash_blob(self, data: bytes) -> Oid:
        """The id that a blob with these bytes has."""
        return self.hash(BLOB, data)

    def hash_pieces(self, size: int, pieces: Iterable[bytes], kind: int = BLOB) -> Oid:
        """The id that an object of ``size`` bytes has, which come in pieces; ``ValueError`` where they are
        not so many."""
        digest = self._hash(b"%s %d\0" % (_TYPE_NAMES[kind], size))
        for piece in pieces:
            digest.update(piece)
            size -= len(piece)
        if size:
            raise ValueError(size)
        return Oid(digest.hexdigest().encode())

    def add_blob(self, data: bytes) -> Oid:
        return self.add(BLOB, data)

    def add_large(self, oid: Oid, size: int, pieces: Callable[[], Iterator[bytes]]) -> None:
        """Add a blob that stays where it is, to be read by ``pieces`` when its bytes are needed.

        Whoever reads it then gets ``Refused("changed-meanwhile")`` where they are no longer those of ``oid``.
        """

        def checked() -> Iterator[bytes]:
            digest = self._hash(b"blob %d\0" % size)
            for piece in pieces():
                digest.update(piece)
                yield piece
            if digest.hexdigest().encode() != oid:
                raise Refused(
                    "changed-meanwhile",
                    f"A file of {size} bytes was written to while resync read it. Nothing was changed.",
                    "close what is writing there and try again",
                )

        self._new_large[oid] = Stored(BLOB, size, checked)

    def add_tree(self, entries: Tree) -> Oid:
        data = b"".join(
            b"%o %s\0%s" % (entry.mode, name, bytes.fromhex(entry.oid.decode()))
            for name, entry in sorted(entries.items(), key=_tree_order)
        )
        oid = self.add(TREE, data)
        self._trees.setdefault(oid, dict(entries))
        return oid

    def add_commit(self, raw: bytes) -> Oid:
        """Add a commit given as its raw bytes."""
        return self.add(COMMIT, raw)

    def edit_tree(self, tree: Oid | None, changes: Mapping[TreePath, TreeEntry | None]) -> Oid:
        """The tree that ``tree`` (None: the empty one) becomes with ``changes``; None removes a path.

        Folders that become empty vanish. Where a file takes the place of a folder, or the reverse, the
        change wins. Only the trees on the way to a change are read and made anew.
        """
        pending: dict[int, dict[bytes, dict[bytes, TreeEntry | None]]] = {}
        for path, entry in changes.items():
            folder, _, name = path.rpartition(b"/")
            depth = folder.count(b"/") + 1 if folder else 0
            pending.setdefault(depth, {}).setdefault(folder, {})[name] = entry
        root = self.add_tree({}) if tree is None else tree
        for depth in range(max(pending, default=0), 0, -1):
            for folder, names in pending.pop(depth, {}).items():
                made = self._edit_one(self._subtree(root, folder), names)
                parent, _, name = folder.rpartition(b"/")
                siblings = pending.setdefault(depth - 1, {}).setdefault(parent, {})
                if made is not None:
                    siblings[name] = TreeEntry(MODE_TREE, made)
                elif self._entry_mode(root, parent, name) == MODE_TREE:
                    # An explicit change at this very name (a file where the folder was) stands.
                    siblings.setdefault(name, None)
        return self._edit_one(root, pending.pop(0, {}).get(b"", {})) or self.add_tree({})

    def _edit_one(self, tree: Oid | None, names: Mapping[bytes, TreeEntry | None]) -> Oid | None:
        entries = dict(self.tree(tree)) if tree is not None else {}
        for name, entry in names.items():
            if entry is None:
                entries.pop(name, None)
            else:
                entries[name] = entry
        return self.add_tree(entries) if entries else None

    def _subtree(self, root: Oid, folder: bytes) -> Oid | None:
        found = self.entry(root, TreePath(folder))
        return found.oid if found is not None and found.mode == MODE_TREE else None

    def _entry_mode(self, root: Oid, parent: bytes, name: bytes) -> int | None:
        found = self.entry(root, TreePath(parent + b"/" + name if parent else name))
        return found.mode if found is not None else None

    def entry(self, tree: Oid, path: TreePath) -> TreeEntry | None:
        """What stands at ``path`` below ``tree``, or None."""
        *folders, last = path.split(b"/")
        for name in folders:
            below = self.tree(tree).get(name)
            if below is None or below.mode != MODE_TREE:
                return None
            tree = below.oid
        return self.tree(tree).get(last)

    # --- to the disk ---

    def new_from(self, roots: Iterable[Oid]) -> Iterator[Oid]:
        """The objects in memory that the roots reach through objects in memory, each once."""
        seen: set[Oid] = set()
        waiting = list(roots)
        while waiting:
            oid = waiting.pop()
            if oid in seen or (oid not in self._new and oid not in self._new_large):
                continue
            seen.add(oid)
            yield oid
            if oid in self._new_large:
                continue
            kind, data = self._new[oid]
            if kind == COMMIT:
                commit = parse_commit(oid, data)
                waiting += (commit.tree, *commit.parents)
            elif kind == TREE:
                waiting += (entry.oid for entry in self.tree(oid).values() if entry.mode != MODE_GITLINK)

    def sync(self) -> None:
        """Have every object on the disk durable, whoever wrote it."""
        sync_loose(self._store)

    def write_pack(self, oids: Iterable[Oid]) -> int:
        """Write objects to the disk as one pack, fsynced with its directory; return how many.

        Objects that are on the disk already but only loose may be named too: they are copied into the
        pack, because nobody knows whether the loose file was ever fsynced. Afterwards every object is
        read back from the disk and hashed; one that cannot be read raises ``Refused``.
        """
        wanted = {oid: self._new_large.get(oid) or in_memory(*self.raw(oid)) for oid in oids}
        if not wanted:
            return 0
        write_pack(self._store, wanted, self._keeping)
        for oid in wanted:
            if not self._reads_back(oid):
                raise Refused(
                    "backup-unreadable",
                    f"Object {oid.decode()} was written and does not read back as it was."
                    " Nothing was changed.",
                    "git fsck",
                )
            self._new_large.pop(oid, None)
        return len(wanted)

    def _reads_back(self, oid: Oid) -> bool:
        try:
            return self.hash(*self._from_disk(oid, self.largest)) == oid
        except LargeBlob:
            stored = self._stored(oid)
            return self.hash_pieces(stored.size, stored.pieces(), stored.kind) == oid
        except KeyError:
            return False
        except signs_of_damage():
            return False

    @property
    def folder(self) -> str:
        """Where the objects are on the disk."""
        return os.fspath(self._store.path)

    def incoming(self, *, promised: bool = False) -> AbstractContextManager[DiskObjectStore]:
        """A store to fetch into; what it holds when the block ends is here then, durably.

        ``promised`` is for what a remote of a partial clone sent, which keeps what that refers to.
        """
        return incoming(self._store, self._keeping, promised=promised)

    def take_over(self, objects: Mapping[Oid, Stored], *, promised: bool = False) -> None:
        """Write objects of another repository to the disk as one pack, durably; see ``incoming``."""
        write_pack(self._store, objects, self._keeping, promised=promised)

    def let_go(self) -> None:
        """Let git's garbage collection have the packs that were written: by now refs hold what is wanted."""
        while self._keeping:
            with suppress(FileNotFoundError):
                os.unlink(self._keeping[-1])
            self._keeping.pop()

    def clear_dead(self, older_than: float) -> None:
        """Remove what processes left that died while they wrote a pack, before ``older_than`` (seconds)."""
        clear_dead(self._store, older_than)


def _canonical_mode(mode: int) -> int | None:
    """The mode as git reads it: old trees hold files with other permissions, such as 100664.

    None for what is neither file, link, directory nor submodule; git would take it for a submodule.
    """
    if stat.S_ISREG(mode):
        return MODE_EXECUTABLE if mode & stat.S_IXUSR else MODE_FILE
    kind = stat.S_IFMT(mode)
    return kind if kind in (MODE_SYMLINK, MODE_TREE, MODE_GITLINK) else None


@contextmanager
def _reading(oid: Oid) -> Iterator[None]:
    try:
        yield
    except KeyError:
        raise missing(oid) from None
    except signs_of_damage() as error:
        raise damaged(oid, error) from error


def _large(oid: Oid, size: int) -> LargeBlob:
    return LargeBlob(
        "huge-file",
        f"A file of {size >> 20} MiB (blob {oid.decode()}) would have to be held in memory."
        " Nothing was changed.",
        "git config core.bigFileThreshold 2g    # if there is memory for it",
    )


def _tree_order(item: tuple[bytes, TreeEntry]) -> bytes:
    name, entry = item
    return name + b"/" if entry.mode == MODE_TREE else name
