"""One path: its entries on the three sides become one entry, or a conflict.

Mode and content merge apart from each other, as in git: a side that only sets the executable bit does
not get in the way of one that edits. Links, submodules and binary files are never merged line by line.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from resync.errors import LargeBlob
from resync.merge.lines import Labels, merge_text
from resync.merge.options import DriverCall, DriverFailed, MergeOptions
from resync.model import (
    MODE_GITLINK,
    MODE_SYMLINK,
    ConflictKind,
    Note,
    ObjectStore,
    Oid,
    TreeEntry,
    TreePath,
)

Stages: TypeAlias = tuple[TreeEntry | None, TreeEntry | None, TreeEntry | None]
"""Base, ours and theirs at one path."""

Names: TypeAlias = tuple[TreePath, TreePath, TreePath]
"""What the file is called on each side; they differ where it was renamed."""

BASE, OURS, THEIRS = 0, 1, 2

_LOOKED_AT = 8000
"""A NUL in so many first bytes makes a file binary (git's value)."""

_LONGEST_TEXT = 1023 * 1024 * 1024
"""Longer files are not merged as text (git's value)."""


class FileMerge(NamedTuple):
    """One merged file; ``merged`` is the blob with conflict markers, where there is one."""

    entry: TreeEntry
    conflict: ConflictKind | None = None
    merged: Oid | None = None
    notes: tuple[Note, ...] = ()


def is_binary(data: bytes) -> bool:
    """Whether git takes these bytes for binary: a NUL among the first 8,000."""
    return b"\0" in data[:_LOOKED_AT]


def file_type(mode: int) -> int:
    """The type bits of a mode: what ``S_IFMT`` leaves, so that both kinds of regular file are equal."""
    return mode & 0o170000


def merge_entries(
    objects: ObjectStore,
    path: TreePath,
    stages: Stages,
    options: MergeOptions,
    names: Names | None = None,
    nested: int = 0,
) -> FileMerge:
    """Merge a path that both sides have, as entries of one type; the base's may be another or absent.

    ``names`` label the sides in conflict markers where a rename makes them differ, ``nested`` is by how much
    the markers are longer because the result may be merged again. Raises ``Refused`` for a missing object.
    """
    base, ours, theirs = stages
    assert ours is not None
    assert theirs is not None
    mode_conflict = False
    if ours.mode == theirs.mode or (base is not None and base.mode == ours.mode):
        mode = theirs.mode
    else:
        mode = ours.mode
        mode_conflict = base is None or base.mode != theirs.mode
    known: ConflictKind | None = "mode" if mode_conflict else None

    base_oid = None if base is None else base.oid
    if ours.oid in (theirs.oid, base_oid):
        return FileMerge(TreeEntry(mode, theirs.oid), known)
    if theirs.oid == base_oid:
        return FileMerge(TreeEntry(mode, ours.oid), known)
    if mode == MODE_GITLINK:
        return FileMerge(TreeEntry(mode, ours.oid), "submodule")
    if mode == MODE_SYMLINK:
        return FileMerge(TreeEntry(mode, ours.oid), "symlink")
    if base is not None and file_type(base.mode) != file_type(ours.mode):
        base = None
    content = _merge_content(objects, path, (base, ours, theirs), options, names, nested)
    return content._replace(
        entry=TreeEntry(mode, content.entry.oid), conflict=content.conflict or known, merged=content.merged
    )


def _merge_content(
    objects: ObjectStore,
    path: TreePath,
    stages: Stages,
    options: MergeOptions,
    names: Names | None,
    nested: int,
) -> FileMerge:
    unmerged = stages[OURS]
    assert unmerged is not None
    try:
        base, ours, theirs = (b"" if entry is None else objects.blob(entry.oid) for entry in stages)
    except LargeBlob:
        return FileMerge(unmerged, "binary", notes=(Note(path, "too large to be merged"),))
    attributes = options.attributes_of(path)
    size = attributes.marker_size + nested
    labels = _named(options.labels, names)
    notes: tuple[Note, ...] = ()

    if attributes.driver is not None:
        call = DriverCall(
            name=attributes.driver,
            path=path,
            base=base,
            ours=ours,
            theirs=theirs,
            marker_size=size,
            labels=labels,
        )
        driven = _by_driver(objects, unmerged, call, options)
        if driven is not None:
            return driven
        name = attributes.driver.decode("utf-8", "replace")
        notes = (Note(path, f"merged as text, because no merge driver {name!r} is configured"),)

    texts = (base, ours, theirs)
    if attributes.treatment == "binary" or any(
        is_binary(data) or len(data) > _LONGEST_TEXT for data in texts
    ):
        return FileMerge(unmerged, "binary", notes=notes)
    merged = merge_text(
        base,
        ours,
        theirs,
        style=options.style,
        union=attributes.treatment == "union",
        marker_size=size,
        labels=labels,
    )
    oid = objects.add_blob(merged.data)
    entry = TreeEntry(unmerged.mode, oid)
    if not merged.conflicts:
        return FileMerge(entry, notes=notes)
    return FileMerge(entry, "add/add" if stages[BASE] is None else "content", oid, notes)


def _by_driver(
    objects: ObjectStore, unmerged: TreeEntry, call: DriverCall, options: MergeOptions
) -> FileMerge | None:
    """What the user's merge driver makes of a file; None where none of that name is configured."""
    try:
        driven = None if options.driver is None else options.driver(call)
    except DriverFailed as failure:
        return FileMerge(unmerged, "driver", notes=(Note(call.path, str(failure)),))
    if driven is None:
        return None
    oid = objects.add_blob(driven.data)
    entry = TreeEntry(unmerged.mode, oid)
    if driven.clean:
        return FileMerge(entry)
    said = f": {driven.said}" if driven.said else ""
    name = call.name.decode("utf-8", "replace")
    return FileMerge(entry, "driver", oid, (Note(call.path, f"merge driver {name!r} left conflicts{said}"),))


def _named(labels: Labels, names: Names | None) -> Labels:
    """The labels with the sides' own names of the file, where they are not all the same."""
    if names is None or names[BASE] == names[OURS] == names[THEIRS]:
        return labels
    return Labels(
        base=labels.base + b":" + names[BASE],
        ours=labels.ours + b":" + names[OURS],
        theirs=labels.theirs + b":" + names[THEIRS],
    )
