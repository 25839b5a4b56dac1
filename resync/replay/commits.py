"""The new commit in the place of an old one: its bytes, and the Change-Id that it may get."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from resync.history import change_id, with_change_id
from resync.model import Commit, Oid
from resync.repository import Objects
from resync.repository.objects import COMMIT

# Headers that a commit with another tree or other parents must not keep: they would no longer be true.
_REPLACED = (b"tree", b"parent", b"committer", b"gpgsig", b"gpgsig-sha256")

_CHANGE_ID_DIGITS = 40  # also where object ids have more


def made(
    objects: Objects,
    commit: Commit,
    tree: Oid,
    parents: tuple[Oid, ...],
    committer: bytes,
    message: bytes | None = None,
) -> Oid:
    """The commit that stands for ``commit`` on ``parents``: its author and date, and its message byte for
    byte, unless there is another ``message``, in UTF-8. Where the very same is there already, it is that."""
    if message is None and (tree, parents) == (commit.tree, commit.parents):
        return commit.oid
    raw = rewritten(commit, tree=tree, parents=parents, committer=committer)
    untrue = [b"mergetag"] if commit.parents[1:] != parents[1:] else []
    if message is not None:
        untrue.append(b"encoding")
    if untrue:
        raw = _without_headers(raw, untrue)
    return objects.add_commit(raw if message is None else raw.partition(b"\n\n")[0] + b"\n\n" + message)


def rewritten(commit: Commit, *, tree: Oid, parents: Sequence[Oid], committer: bytes) -> bytes:
    """The raw bytes of ``commit`` with another tree, parents and committer.

    Author, encoding and every other header stay byte for byte; signatures go, because they
    are of the old bytes. (Format: git's commit objects; a line that begins with a space goes on.)
    """
    headers, separator, said = commit.raw.partition(b"\n\n")
    kept: list[bytes] = [b"tree " + tree, *(b"parent " + oid for oid in parents)]
    keeping = False
    for line in headers.split(b"\n"):
        if not line.startswith(b" "):
            key = line.split(b" ", 1)[0]
            keeping = key not in _REPLACED
            if key == b"committer":
                kept.append(b"committer " + committer)
        if keeping:
            kept.append(line)
    return b"\n".join(kept) + separator + said


def _without_headers(raw: bytes, names: Collection[bytes]) -> bytes:
    headers, separator, message = raw.partition(b"\n\n")
    kept: list[bytes] = []
    keeping = True
    for line in headers.split(b"\n"):
        if not line.startswith(b" "):
            keeping = line.partition(b" ")[0] not in names
        if keeping:
            kept.append(line)
    return b"\n".join(kept) + separator + message


def renewed(objects: Objects, commit: Commit, tree: Oid, onto: Oid, committer: bytes) -> Commit:
    """The commit with a new Change-Id in its message, if it has one of Gerrit's; else the commit itself.

    It is made as Gerrit's commit-msg hook makes one, by hashing the commit to come. Only what a plan and its
    run have in common goes into it: its ``tree``, the ``committer`` without the time, and for the parents,
    whose ids depend on it, the commit that it was and the one that all goes ``onto``.
    """
    if change_id(commit.message) is None:
        return commit
    lines = (
        b"tree " + tree,
        b"parent " + onto,
        b"parent " + commit.oid,
        b"author " + commit.author,
        b"committer " + committer.rsplit(b" ", 2)[0],
    )
    made = objects.hash(COMMIT, b"\n".join(lines) + b"\n\n" + commit.message)
    return as_renewed(commit, b"I" + made[:_CHANGE_ID_DIGITS])


def as_renewed(commit: Commit, new: bytes | None) -> Commit:
    """The commit with ``new`` in the place of its Change-Id; itself where it has none, or that is None."""
    message = with_change_id(commit.message, new) if new is not None else None
    if message is None:
        return commit
    return replace(commit, message=message, raw=commit.raw.partition(b"\n\n")[0] + b"\n\n" + message)


def changed_id(old: bytes | None, message: bytes) -> bytes | None:
    """The Change-Id that a new ``message`` has in the place of the ``old`` one; None where it is the same, or
    one of the two has none."""
    new = change_id(message) if old is not None else None
    return new if new != old else None
