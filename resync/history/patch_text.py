"""A commit as a text that can be compared with another commit's: git-range-diff(1)'s form of it.

Author and message come first, then each changed file under its name, with hunks that say in which file and
function they are but not at which lines: so the same patch at another place is the same text. The function
is the nearest line above that begins with a letter, ``_`` or ``$`` (git's rule where no attribute names
another).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from resync.errors import LargeBlob
from resync.history.changes import tree_changes
from resync.history.hunks import BINARY_PROBE, hunks
from resync.history.patches import CommitStore
from resync.model import MODE_GITLINK, Oid, TreeEntry, TreePath

MOST_FILES = 1_000
MOST_BYTES = 8_000_000
"""A commit that changes more files, or whose files are larger together, is not made a text of."""

_FUNCTION = re.compile(rb"[A-Za-z_$]")
_LONGEST_FUNCTION = 80


class TooLarge(Exception):
    """A commit changes too much to be compared as a text."""


def patch_text(objects: CommitStore, oid: Oid) -> list[bytes]:
    """The lines of a commit's text, each with its LF; a merge has no patch in it.

    Raises ``TooLarge``, and ``Refused`` where an object is missing.
    """
    commit = objects.commit(oid)
    author = commit.author.rpartition(b"> ")[0] + b">"
    lines = [b" ## Metadata ##\n", b"Author: " + author + b"\n", b"\n", b" ## Commit message ##\n"]
    lines += (b"    " + line + b"\n" if line else b"\n" for line in commit.message.strip(b"\n").split(b"\n"))
    if len(commit.parents) < 2:
        lines += _files(objects, oid)
    return lines


def _files(objects: CommitStore, oid: Oid) -> Iterator[bytes]:
    commit = objects.commit(oid)
    before = objects.commit(commit.parents[0]).tree if commit.parents else None
    changes: dict[TreePath, tuple[TreeEntry | None, TreeEntry | None]] = {}
    for path, old, new in tree_changes(objects, before, commit.tree):
        if len(changes) == MOST_FILES:
            raise TooLarge
        changes[path] = old, new
    sources = {new: old for old, new in _renames(objects, changes).items()}
    gone = set(sources.values())
    budget = MOST_BYTES
    for path in sorted(changes):
        if path in gone:
            continue
        source = sources.get(path, path)
        old, new = changes[source][0], changes[path][1]
        yield b"\n"
        yield b" ## %s ##\n" % _heading(source, path, old, new)
        if old is not None and new is not None and old.oid == new.oid:
            continue
        a, b = _content(objects, old), _content(objects, new)
        budget -= len(a) + len(b)
        if budget < 0:
            raise TooLarge
        if b"\0" in a[:BINARY_PROBE] or b"\0" in b[:BINARY_PROBE]:
            # git says no more than that they differ; two that differ in other ways are not the same.
            yield b" Binary files %s and %s differ\n" % (old.oid if old else b"-", new.oid if new else b"-")
        else:
            yield from _text_hunks(path, a, b)


def _renames(
    objects: CommitStore, changes: dict[TreePath, tuple[TreeEntry | None, TreeEntry | None]]
) -> dict[TreePath, TreePath]:
    from resync.merge.options import RenameOptions
    from resync.merge.renames import find_renames

    removed = {path: old for path, (old, new) in changes.items() if new is None and old is not None}
    added = {path: new for path, (old, new) in changes.items() if old is None and new is not None}
    if not removed or not added:
        return {}
    return find_renames(objects, removed, added, removed, RenameOptions(limit=400)).targets


def _heading(source: TreePath, path: TreePath, old: TreeEntry | None, new: TreeEntry | None) -> bytes:
    if old is None:
        return path + b" (new)"
    if new is None:
        return path + b" (deleted)"
    name = path if source == path else source + b" => " + path
    return name if old.mode == new.mode else b"%s (mode change %06o => %06o)" % (name, old.mode, new.mode)


def _content(objects: CommitStore, entry: TreeEntry | None) -> bytes:
    """The bytes of one side; a submodule is the commit that it names."""
    if entry is None:
        return b""
    if entry.mode == MODE_GITLINK:
        return b"Subproject commit " + entry.oid + b"\n"
    try:
        return objects.blob(entry.oid)
    except LargeBlob:
        raise TooLarge from None


def _text_hunks(path: TreePath, before: bytes, after: bytes) -> Iterator[bytes]:
    from resync.merge.lines import split_lines

    a, b = split_lines(before), split_lines(after)

    def heading(start: int) -> bytes:
        function = _function(a, start)
        return b"@@ %s: %s\n" % (path, function) if function else b"@@\n"

    yield from hunks(a, b, heading)


def _function(lines: Sequence[bytes], start: int) -> bytes:
    for number in range(start - 1, -1, -1):
        if _FUNCTION.match(lines[number]):
            return lines[number][:_LONGEST_FUNCTION].rstrip()
    return b""
