"""Trees as dictionaries, and random changes to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple, TypeAlias

from resync.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_SYMLINK


class Entry(NamedTuple):
    """A mode, and a file's bytes, a link's target, or a submodule's commit (empty: not initialised)."""

    mode: int
    data: bytes


Tree: TypeAlias = Mapping[bytes, Entry]
MODULE_COMMITS = (b"5" * 40, b"6" * 40)  # replaced by real ones where a module stands on the disk

_NAMES = [b"a", b"b", b"c.txt", b"d", b"e f", "ä".encode(), b"caf\xe9", b"x.o", b"sub"]
_IGNORE_FILES = [b"*.o\n", b"a\n", b"/d/\n", b"*.txt\n!c.txt\n", b"sub\n"]


class Changes:
    """Random changes. ``aims`` is a tree whose paths are chosen with preference, so that things meet."""

    def __init__(self, chance: Random, aims: Tree | None = None) -> None:
        self._chance = chance
        self._aims = aims or {}
        self._ways: list[Callable[[dict[bytes, Entry]], None]] = [
            self._edit, self._edit, self._edit, self._rewrite, self._delete, self._mode, self._link,
            self._to_folder, self._to_file, self._rename, self._add, self._add, self._meet, self._meet,
            self._module,
        ]  # fmt: skip

    def of(self, tree: Tree, count: int) -> dict[bytes, Entry]:
        """``tree`` after so many changes."""
        changed = dict(tree)
        for _ in range(count):
            self._chance.choice(self._ways)(changed)
        return changed

    def new_tree(self, count: int) -> dict[bytes, Entry]:
        """A tree of up to so many files."""
        tree: dict[bytes, Entry] = {}
        for _ in range(count):
            self._add(tree)
        return tree

    # --- ways ---

    def _edit(self, tree: dict[bytes, Entry]) -> None:
        path = self._some(tree, MODE_FILE, MODE_EXECUTABLE)
        if path is not None:
            lines = tree[path].data.splitlines(keepends=True) or [b""]
            lines[self._chance.randrange(len(lines))] = self._line()
            tree[path] = Entry(tree[path].mode, b"".join(lines))

    def _rewrite(self, tree: dict[bytes, Entry]) -> None:
        path = self._some(tree, MODE_FILE, MODE_EXECUTABLE)
        if path is not None:
            data = self._chance.choice([b"", b"\0" + self._line(), self._line(), b"no newline at the end"])
            tree[path] = Entry(tree[path].mode, data)

    def _delete(self, tree: dict[bytes, Entry]) -> None:
        path = self._some(tree)
        if path is not None:
            del tree[path]

    def _mode(self, tree: dict[bytes, Entry]) -> None:
        path = self._some(tree, MODE_FILE, MODE_EXECUTABLE)
        if path is not None:
            tree[path] = Entry(MODE_FILE + MODE_EXECUTABLE - tree[path].mode, tree[path].data)

    def _link(self, tree: dict[bytes, Entry]) -> None:
        path = self._some(tree)
        if path is not None:
            tree[path] = Entry(MODE_SYMLINK, self._chance.choice([b"a", b"nowhere", b"../d", b"sub"]))

    def _to_folder(self, tree: dict[bytes, Entry]) -> None:
        path = self._some(tree)
        if path is not None:
            entry = tree.pop(path)
            tree[path + b"/" + self._chance.choice(_NAMES)] = entry

    def _to_file(self, tree: dict[bytes, Entry]) -> None:
        path = self._some(tree)
        if path is not None and b"/" in path:
            entry = tree[path]
            put(tree, path[: path.rfind(b"/")], entry)

    def _rename(self, tree: dict[bytes, Entry]) -> None:
        path = self._some(tree)
        if path is not None:
            entry = tree.pop(path)
            put(tree, self._path(), entry)

    def _add(self, tree: dict[bytes, Entry]) -> None:
        path = self._path()
        if path.endswith(b".gitignore"):
            entry = Entry(MODE_FILE, self._chance.choice(_IGNORE_FILES))
        else:
            lines = [b"line %d of %s\n" % (number, path) for number in range(self._chance.randint(1, 9))]
            entry = Entry(self._chance.choice([MODE_FILE, MODE_FILE, MODE_EXECUTABLE]), b"".join(lines))
        put(tree, path, entry)

    def _meet(self, tree: dict[bytes, Entry]) -> None:
        """Something at a path of the other tree: what that has there, or something else."""
        path = self._some(self._aims)
        if path is not None:
            entry = self._aims[path]
            if self._chance.random() < 0.6:
                entry = Entry(MODE_FILE, self._line())
            put(tree, path, entry)

    def _module(self, tree: dict[bytes, Entry]) -> None:
        if self._chance.random() < 0.5:
            put(tree, self._path(), Entry(MODE_GITLINK, self._chance.choice(MODULE_COMMITS)))

    # --- choices ---

    def _some(self, tree: Tree, *modes: int) -> bytes | None:
        paths = [path for path in sorted(tree) if not modes or tree[path].mode in modes]
        return self._chance.choice(paths) if paths else None

    def _path(self) -> bytes:
        depth = self._chance.choice([1, 1, 2, 2, 3])
        names = [self._chance.choice(_NAMES) for _ in range(depth)]
        if self._chance.random() < 0.06:
            names[-1] = b".gitignore"
        return b"/".join(names)

    def _line(self) -> bytes:
        return b"%016x\n" % self._chance.getrandbits(64)


def put(tree: dict[bytes, Entry], path: bytes, entry: Entry) -> None:
    """Set a path; a file above it, and whatever is below it, gives way."""
    for other in [each for each in tree if path.startswith(each + b"/") or each.startswith(path + b"/")]:
        del tree[other]
    tree[path] = entry


def fits(tree: Tree, path: bytes) -> bool:
    """Whether a path can be set without anything giving way."""
    return not any(path.startswith(each + b"/") or each.startswith(path + b"/") for each in tree)
