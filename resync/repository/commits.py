"""Commits out of their raw bytes (gitformat-commit)."""

from __future__ import annotations

from resync.model import Commit, Oid


def parse_commit(oid: Oid, raw: bytes) -> Commit:
    """Parse the raw bytes of a commit; only the headers that resync needs are looked at."""
    headers, _, message = raw.partition(b"\n\n")
    tree = author = committer = b""
    parents: list[Oid] = []
    for line in headers.split(b"\n"):
        key, _, value = line.partition(b" ")
        if key == b"parent":
            parents.append(Oid(value))
        elif key == b"tree":
            tree = value
        elif key == b"author":
            author = value
        elif key == b"committer":
            committer = value
    return Commit(
        oid=oid,
        tree=Oid(tree),
        parents=tuple(parents),
        author=author,
        committer=committer,
        message=message,
        raw=raw,
    )
