"""How commits are picked: the labels are git's, and so is the way in which recorded resolutions are used."""

from __future__ import annotations

from dataclasses import dataclass, replace

from resync.merge import MergeOptions
from resync.merge.lines import Labels
from resync.merge.rerere import resolutions
from resync.model import Commit, MergeResult, Note, TreeEntry, TreePath
from resync.repository import Objects

_SHORT = 7  # how many digits of an id git shows in a repository of moderate size


@dataclass(frozen=True, slots=True, kw_only=True)
class PickOptions:
    """How commits are picked: how their trees are merged (``merging``), and who is the ``committer`` of the
    new ones, as the header has it (``Name <mail> SECONDS ZONE``)."""

    merging: MergeOptions
    committer: bytes

    def labelled(self, commit: Commit) -> MergeOptions:
        """How the trees are merged in a pick of ``commit``: with git's labels for the sides."""
        name = b"%s (%s)" % (commit.oid[:_SHORT], commit.message.lstrip(b"\n").partition(b"\n")[0])
        base = b"parent of " + name if commit.parents else b"(empty tree)"
        return replace(self.merging, labels=Labels(ours=b"HEAD", base=base, theirs=name))


def as_recorded(objects: Objects, merged: MergeResult, options: MergeOptions) -> MergeResult:
    """A merge with its conflicts resolved as they are recorded, if all of them are; else the same with notes
    on those that were resolved in several ways."""
    found = recorded(objects, merged, options)
    edits: dict[TreePath, TreeEntry | None] = {
        path: entries[0] for path, entries in found.items() if len(entries) == 1
    }
    if len(edits) < len(merged.conflicts):
        doubts = (Note(path, "it was resolved in several ways before") for path in found if path not in edits)
        return replace(merged, notes=(*merged.notes, *doubts))
    notes = (Note(path, "a recorded resolution was used") for path in edits)
    return MergeResult(tree=objects.edit_tree(merged.tree, edits), notes=(*merged.notes, *notes))


def recorded(
    objects: Objects, merged: MergeResult, options: MergeOptions
) -> dict[TreePath, tuple[TreeEntry, ...]]:
    """What recorded resolutions make of a merge's conflicts, by path; several where they differ."""
    found: dict[TreePath, tuple[TreeEntry, ...]] = {}
    for conflict in merged.conflicts if options.recordings is not None else ():
        entry = objects.entry(merged.tree, conflict.path)
        blobs = resolutions(objects, conflict, options)
        if entry is not None and blobs:
            found[conflict.path] = tuple(TreeEntry(entry.mode, blob) for blob in blobs)
    return found
