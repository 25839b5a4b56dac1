"""Commits in memory, written as what they contain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from resync.model import MODE_FILE, MODE_TREE, Oid, TreeEntry
from resync.repository.objects import Objects

Files = Mapping[str, bytes | TreeEntry]
"""Path to the bytes of an ordinary file, or to an entry as it is."""


_AnyObjects = TypeVar("_AnyObjects", bound=Objects)


def new_objects(kind: type[_AnyObjects] = Objects) -> _AnyObjects:
    """A repository that exists in memory only."""
    from dulwich.object_store import MemoryObjectStore

    return kind(MemoryObjectStore())


def add_files(objects: Objects, files: Files) -> Oid:
    """The tree that holds these files."""
    here: dict[bytes, TreeEntry] = {}
    below: dict[str, dict[str, bytes | TreeEntry]] = {}
    for path, content in files.items():
        name, slash, rest = path.partition("/")
        if slash:
            below.setdefault(name, {})[rest] = content
        elif isinstance(content, bytes):
            here[name.encode()] = TreeEntry(MODE_FILE, objects.add_blob(content))
        else:
            here[name.encode()] = content
    for name, rest_of_it in below.items():
        here[name.encode()] = TreeEntry(MODE_TREE, add_files(objects, rest_of_it))
    return objects.add_tree(here)


def add_commit(
    objects: Objects, tree: Oid, *parents: Oid, message: bytes = b"a commit\n", second: int = 1
) -> Oid:
    """A commit of a tree, made in that second of 1970."""
    lines = [b"tree " + tree, *(b"parent " + parent for parent in parents)]
    lines += [who + b" T <t@example.org> %d +0000" % second for who in (b"author", b"committer")]
    return objects.add_commit(b"\n".join(lines) + b"\n\n" + message)


def add_change(objects: Objects, before: Files, after: Files, second: int = 1) -> Oid:
    """A commit that makes ``after`` of ``before``."""
    parent = add_commit(objects, add_files(objects, before))
    return add_commit(objects, add_files(objects, after), parent, second=second)
