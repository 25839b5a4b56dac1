"""Small trees as dictionaries, and random histories of them that reach every corner of a merge."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TypeAlias

from dulwich.object_store import MemoryObjectStore
from hypothesis import settings

from resync.merge import MergeOptions, merge_trees
from resync.model import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_GITLINK,
    MODE_SYMLINK,
    MODE_TREE,
    MergeResult,
    Oid,
    TreeEntry,
)
from resync.repository.objects import Objects

File: TypeAlias = tuple[int, bytes]
"""A mode, and the content (the commit's id in hex for a submodule)."""

State: TypeAlias = dict[bytes, File]
"""Path to file; no path is a directory of another."""


law = settings(deadline=None)
"""For properties: how long an example takes says nothing on a machine that is busy."""


def memory() -> Objects:
    """An object store that holds nothing yet and is on no disk."""
    return Objects(MemoryObjectStore())  # type: ignore[arg-type]  # reads like one on disk


def put(objects: Objects, state: Mapping[bytes, File]) -> Oid:
    """Add a state to an object store; the id of its tree."""
    below: dict[bytes, dict[bytes, File]] = {}
    entries: dict[bytes, TreeEntry] = {}
    for path, file in state.items():
        name, _, rest = path.partition(b"/")
        if rest:
            below.setdefault(name, {})[rest] = file
        else:
            mode, data = file
            entries[name] = TreeEntry(mode, Oid(data) if mode == MODE_GITLINK else objects.add_blob(data))
    for name, files in below.items():
        entries[name] = TreeEntry(MODE_TREE, put(objects, files))
    return objects.add_tree(entries)


def get(objects: Objects, tree: Oid) -> State:
    """The state that a tree holds."""
    state: State = {}
    waiting = [(b"", tree)]
    while waiting:
        prefix, oid = waiting.pop()
        for name, entry in objects.tree(oid).items():
            if entry.mode == MODE_TREE:
                waiting.append((prefix + name + b"/", entry.oid))
            else:
                data = entry.oid if entry.mode == MODE_GITLINK else objects.blob(entry.oid)
                state[prefix + name] = (entry.mode, data)
    return state


def merged(
    base: State, ours: State, theirs: State, options: MergeOptions | None = None
) -> tuple[MergeResult, State]:
    """The merge of three states, and the state that its tree holds."""
    objects = memory()
    trees = (put(objects, base), put(objects, ours), put(objects, theirs))
    result = merge_trees(objects, *trees, options or MergeOptions())
    return result, get(objects, result.tree)


def text(*lines: str, mode: int = MODE_FILE) -> File:
    """A file of these lines."""
    return mode, b"".join(line.encode() + b"\n" for line in lines)


_DIRECTORIES = [b"", b"d/", b"d/e/", b"lib/", b"lib/d/", b"new/"]
_NAMES = [b"a.py", b"b.py", b"c", b"d", b"README"]


def random_path(source: random.Random) -> bytes:
    """A path of few, so that they meet."""
    return source.choice(_DIRECTORIES) + source.choice(_NAMES)


def random_text(source: random.Random) -> bytes:
    """Lines that are mostly unlike those of other texts, with some that recur."""
    lines = [
        source.choice([b"", b"}", b"    return"])
        if source.random() < 0.3
        else b"line %d" % source.randrange(400)
        for _ in range(source.randrange(12))
    ]
    end = b"\r\n" if source.random() < 0.1 else b"\n"
    return b"".join(line + end for line in lines)


def random_file(source: random.Random) -> File:
    """A file, now and then executable, binary, a link or a submodule."""
    kind = source.random()
    if kind < 0.08:
        return MODE_SYMLINK, source.choice([b"a.py", b"lib/c", b"../x"])
    if kind < 0.12:
        return MODE_GITLINK, b"%040x" % source.randrange(1, 4)
    if kind < 0.17:
        return MODE_FILE, b"\0bin %d" % source.randrange(6)
    return source.choice([MODE_FILE, MODE_FILE, MODE_FILE, MODE_EXECUTABLE]), random_text(source)


def place(state: State, path: bytes, file: File) -> None:
    """Put a file at a path; what is in its way as a directory or a file above goes."""
    for other in list(state):
        if other.startswith(path + b"/") or path.startswith(other + b"/"):
            del state[other]
    state[path] = file


def random_state(source: random.Random) -> State:
    """Some files."""
    state: State = {}
    for _ in range(source.randrange(1, 9)):
        place(state, random_path(source), random_file(source))
    if source.random() < 0.4:  # files with much in common, which compete in renames
        text = random_text(source)
        for _ in range(source.randrange(4)):
            place(state, random_path(source), (MODE_FILE, text + b"line %d\n" % source.randrange(400)))
    return state


def edited(source: random.Random, data: bytes) -> bytes:
    """A text with a few lines changed, added or removed."""
    lines = data.splitlines(keepends=True)
    for _ in range(source.randrange(1, 3)):
        at = source.randrange(len(lines) + 1)
        lines[at : at + source.randrange(3)] = [
            b"edit %d\n" % source.randrange(6) for _ in range(source.randrange(3))
        ]
    return b"".join(lines)


def changed(source: random.Random, state: State) -> State:
    """What one side makes of a state."""
    after = dict(state)
    for _ in range(source.randrange(4)):
        path = source.choice(sorted(after)) if after else None
        deed = source.random()
        if path is None or deed < 0.15:
            place(after, random_path(source), random_file(source))
            continue
        mode, data = after[path]
        if deed < 0.45:
            if mode == MODE_SYMLINK:
                after[path] = mode, source.choice([b"a.py", b"lib/c", b"../x", b"y"])
            elif mode == MODE_GITLINK:
                after[path] = mode, b"%040x" % source.randrange(1, 6)
            else:
                after[path] = mode, edited(source, data)
        elif deed < 0.55:
            del after[path]
        elif deed < 0.62 and mode in (MODE_FILE, MODE_EXECUTABLE):
            after[path] = MODE_FILE + MODE_EXECUTABLE - mode, data
        elif deed < 0.67:
            after[path] = random_file(source)
        elif deed < 0.85:
            del after[path]
            if source.random() < 0.5 and mode in (MODE_FILE, MODE_EXECUTABLE):
                data = edited(source, data)
            place(after, random_path(source), (mode, data))
        else:
            _rename_directory(source, after)
    return after


def _rename_directory(source: random.Random, state: State) -> None:
    directory = source.choice([name for name in _DIRECTORIES if name])
    target = source.choice(_DIRECTORIES)
    inside = {path: state.pop(path) for path in list(state) if path.startswith(directory)}
    for path, file in inside.items():
        place(state, target + path[len(directory) :], file)


def random_history(source: random.Random) -> tuple[State, State, State]:
    """A state, and what two sides make of it; now and then they meet at a path, which is rare by chance."""
    base = random_state(source)
    ours, theirs = changed(source, base), changed(source, base)
    deed = source.random()
    if deed < 0.15:
        _put_both(source, ours, theirs)
    elif deed < 0.25:
        _move_and_put(source, base, ours, theirs)
    elif deed < 0.35:
        _move_and_put(source, base, theirs, ours)
    return base, ours, theirs


def _put_both(source: random.Random, ours: State, theirs: State) -> None:
    """Put files of one type at the same path of both sides."""
    path, text = random_path(source), random_text(source)
    files: list[tuple[File, File]] = [
        ((MODE_SYMLINK, b"a.py"), (MODE_SYMLINK, b"../x")),
        ((MODE_GITLINK, b"%040x" % 7), (MODE_GITLINK, b"%040x" % 8)),
        ((MODE_FILE, text), (MODE_EXECUTABLE, text)),
    ]
    mine, other = source.choice(files)
    place(ours, path, mine)
    place(theirs, path, other)


def _move_and_put(source: random.Random, base: State, mover: State, other: State) -> None:
    """Move a file on one side; the other edits it, and puts another one where it went."""
    path, target = source.choice(sorted(base)), random_path(source)
    if path in mover and path in other and base[path][0] in (MODE_FILE, MODE_EXECUTABLE):
        place(mover, target, mover.pop(path))
        other[path] = base[path][0], edited(source, base[path][1])
        place(other, target, (MODE_FILE, random_text(source)))
