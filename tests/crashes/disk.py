"""A model of a disk that forgets what was not synced: recorded calls are carried out on it, one by one.

What the power cut leaves is the worst that POSIX allows (ALICE, Pillai et al., OSDI 2014): the bytes of a
file as they were at its last fsync, the names in a folder as they were at that folder's. A name that was made
is nowhere until its folder is synced, one that was moved may be in both places or in none.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeAlias

from tests.crashes.trace import Call

Forgets: TypeAlias = Literal["nothing", "data", "names", "both"]


@dataclass(eq=False)
class Node:
    """A file, link (its target is its data) or folder, as it is and as it would be after the power cut.

    ``durable`` None: nothing of the file was ever synced, and it would be empty.
    """

    mode: int
    data: bytes = b""
    durable: bytes | None = None
    names: dict[bytes, Node] = field(default_factory=dict)
    durable_names: dict[bytes, Node] = field(default_factory=dict)

    def sync(self) -> None:
        self.durable = self.data
        self.durable_names = dict(self.names)

    def left(self, forgets: Forgets) -> bytes:
        """The bytes after the power cut; a link's target comes with its name."""
        if forgets in ("nothing", "names") or stat.S_ISLNK(self.mode):
            return self.data
        return self.durable or b""

    def named(self, forgets: Forgets) -> dict[bytes, Node]:
        """What is in the folder after the power cut."""
        return self.names if forgets in ("nothing", "data") else self.durable_names


class Disk:
    """What is below a folder, all of it durable at first but what is said not to be."""

    def __init__(self, top: Path, unsynced: Collection[Path] = ()) -> None:
        """``unsynced`` are files that somebody wrote a moment ago: the disk has nothing of them yet."""
        self._top = os.fsencode(top)
        self._root = _load(self._top)
        for path in unsynced:
            self._node(os.fsencode(path)).durable = None
        self._open: dict[tuple[int, int], Node] = {}
        self._at: dict[tuple[int, int], int] = {}

    # --- after the power cut ---

    def put(self, top: Path, forgets: Forgets) -> None:
        """Write what is left of everything into an empty folder; one file with two names stays one."""
        made: dict[Node, bytes] = {}
        for path, node in _walk(self._root, forgets):
            full = os.path.join(os.fsencode(top), path)
            if stat.S_ISDIR(node.mode):
                os.mkdir(full)
            elif node in made:
                os.link(made[node], full, follow_symlinks=False)
            elif stat.S_ISLNK(node.mode):
                os.symlink(node.left(forgets), full)
            else:
                Path(os.fsdecode(full)).write_bytes(node.left(forgets))
                os.chmod(full, stat.S_IMODE(node.mode))
            made[node] = full

    def print_of(self, forgets: Forgets) -> bytes:
        """Equal for equal leftovers."""
        digest = sha256()
        numbers: dict[Node, int] = {}
        for path, node in _walk(self._root, forgets):
            digest.update(b"%s\0%o\0%d\0" % (path, node.mode, numbers.setdefault(node, len(numbers))))
            if not stat.S_ISDIR(node.mode):
                digest.update(sha256(node.left(forgets)).digest())
        return digest.digest()

    # --- one call after the other ---

    def carry_out(self, call: Call) -> None:
        """Do what the call did. Raises ``KeyError`` for one that the model does not know."""
        name, places = call.name, call.places
        if name == "openat":
            self._opened(call)
        elif name == "write":
            self._write(call, call.arguments[1])
        elif name == "lseek":
            self._at[self._descriptor(call)] = call.result
        elif name in ("ftruncate", "truncate"):
            node = self._node(places[0]) if name == "truncate" else self._open[self._descriptor(call)]
            node.data = node.data[: int(str(call.arguments[1]))]
        elif name in ("fsync", "fdatasync"):
            found = self._open.get(self._descriptor(call)) or self._node(places[0])
            found.sync()
        elif name in ("syncfs", "sync"):
            self._sync_all()
        elif name in ("mkdir", "mkdirat"):
            self._add(places[0], Node(stat.S_IFDIR | 0o755))
        elif name in ("unlink", "rmdir", "unlinkat"):
            self._take(places[0])
        elif name in ("rename", "renameat", "renameat2"):
            self._rename(*places)
        elif name in ("link", "linkat"):
            self._add(places[1], self._node(places[0]))
        elif name in ("symlink", "symlinkat"):
            self._add(places[0], Node(stat.S_IFLNK | 0o777, data=_string(call.arguments[0])))
        elif name in ("chmod", "fchmod", "fchmodat"):
            mode = next(int(str(word), 8) for word in call.arguments if re.fullmatch("0[0-7]+", str(word)))
            node = self._node(places[0])
            node.mode = stat.S_IFMT(node.mode) | mode
        elif name not in ("chown", "fchown", "fchownat", "lchown", "utimensat"):
            raise KeyError(f"the model of a disk does not know {call}")

    def _opened(self, call: Call) -> None:
        flags = next(str(word) for word in call.arguments if str(word).startswith("O_"))
        path = call.places[-1]
        key = (call.pid, call.result)
        try:
            node = self._node(path)
        except KeyError:
            if "O_CREAT" not in flags:
                return
            mode = next(
                (int(str(word), 8) for word in call.arguments if re.fullmatch("0[0-7]+", str(word))), 0o666
            )
            node = Node(stat.S_IFREG | (mode & ~_UMASK))
            self._add(path, node)
        if "O_TRUNC" in flags:
            node.data = b""
        self._open[key] = node
        self._at[key] = -1 if "O_APPEND" in flags else 0

    def _write(self, call: Call, data: str | bytes) -> None:
        key = self._descriptor(call)
        node, written = self._open[key], _string(data)[: call.result]
        at = self._at[key] if self._at[key] >= 0 else len(node.data)
        node.data = node.data[:at].ljust(at, b"\0") + written + node.data[at + len(written) :]
        if self._at[key] >= 0:
            self._at[key] = at + len(written)

    def _descriptor(self, call: Call) -> tuple[int, int]:
        return call.pid, int(str(call.arguments[0]).partition("<")[0])

    def _sync_all(self) -> None:
        waiting, seen = [self._root, *self._open.values()], set[Node]()
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += [*node.names.values(), *node.durable_names.values()]
                node.sync()

    # --- names ---

    def _node(self, path: bytes) -> Node:
        node = self._root
        for name in self._parts(path):
            node = node.names[name]
        return node

    def _parts(self, path: bytes) -> Iterable[bytes]:
        below = os.path.relpath(path, self._top)
        return [] if below == b"." else below.split(b"/")

    def _folder(self, path: bytes) -> dict[bytes, Node]:
        return self._node(os.path.dirname(path)).names

    def _add(self, path: bytes, node: Node) -> None:
        self._folder(path)[os.path.basename(path)] = node

    def _take(self, path: bytes) -> Node:
        return self._folder(path).pop(os.path.basename(path))

    def _rename(self, old: bytes, new: bytes) -> None:
        if self._node(old) is not self._folder(new).get(os.path.basename(new)):
            self._add(new, self._take(old))


_UMASK = os.umask(0)
os.umask(_UMASK)


def _load(path: bytes) -> Node:
    loaded: dict[int, Node] = {}

    def load(path: bytes) -> Node:
        status = os.lstat(path)
        if status.st_ino not in loaded:
            node = loaded[status.st_ino] = Node(status.st_mode)
            if stat.S_ISDIR(status.st_mode):
                node.names = {name: load(os.path.join(path, name)) for name in os.listdir(path)}
            elif stat.S_ISLNK(status.st_mode):
                node.data = os.readlink(path)
            else:
                with open(path, "rb") as file:
                    node.data = file.read()
            node.sync()
        return loaded[status.st_ino]

    return load(path)


def _walk(node: Node, forgets: Forgets, above: bytes = b"") -> Iterator[tuple[bytes, Node]]:
    for name, found in sorted(node.named(forgets).items()):
        path = os.path.join(above, name)
        yield path, found
        if stat.S_ISDIR(found.mode):
            yield from _walk(found, forgets, path)


def _string(word: str | bytes) -> bytes:
    assert isinstance(word, bytes), word
    return word
