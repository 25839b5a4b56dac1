"""Commits and trees as they are read, and what the merge engine needs of whatever keeps objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from resync.model.names import Oid, TreeEntry

Tree: TypeAlias = Mapping[bytes, TreeEntry]
"""One tree object, parsed: name (no slash) to entry."""


class ObjectStore(Protocol):
    """Reading objects, and adding new ones to memory; what the merge engine needs of a repository.

    Readers raise ``Refused("missing-object")`` for an object that is not there or not of that type, and
    ``blob`` raises ``LargeBlob`` for one that is not to be held in memory.
    Mappings that are returned are shared: never change them.
    """

    def tree(self, oid: Oid) -> Tree:
        """The tree ``oid``, parsed and cached."""

    def blob(self, oid: Oid) -> bytes:
        """The bytes of the blob ``oid``."""

    def size(self, oid: Oid) -> int:
        """The size of the blob ``oid`` in bytes, found without reading it."""

    def add_tree(self, entries: Tree) -> Oid:
        """Add a tree to memory (nothing reaches the disk) and return its id."""

    def add_blob(self, data: bytes) -> Oid:
        """Add a blob to memory (nothing reaches the disk) and return its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit, parsed from its raw bytes. ``author`` and ``committer`` are the header values whole."""

    oid: Oid
    tree: Oid
    parents: tuple[Oid, ...]
    author: bytes
    committer: bytes
    message: bytes
    raw: bytes = field(repr=False)

    @property
    def subject(self) -> bytes:
        """The first paragraph of the message on one line, as ``git log --format=%s`` has it."""
        paragraph = self.message.lstrip(b"\n").split(b"\n\n", 1)[0]
        return b" ".join(line.strip() for line in paragraph.splitlines()).strip()
