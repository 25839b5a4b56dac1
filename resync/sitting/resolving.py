"""What a person made of what was taken to the working tree: resolved, committed, or given back."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from resync.commit_message import cleaned, message_rules, proposed
from resync.errors import LargeBlob, Unfinished, listed
from resync.history import authorship, open_history
from resync.merge import MergeOptions
from resync.model import LocalCommit, Oid, Sitting, Taken, TreeEntry, TreePath
from resync.replay.commits import as_renewed, made
from resync.replay.verdicts import known_as, verdict_on
from resync.repository import Objects, Repository
from resync.repository.merge_message import read_message
from resync.sitting.table import Ground, Table
from resync.worktree.index import Index
from resync.worktree.snapshot import is_snapshot


def refuse_unresolved(table: Table, taken: Taken) -> None:
    """Raise ``Unfinished("unresolved")`` where paths are unmerged in the index, or have conflict markers."""
    left = sorted({*table.checkout.index.unmerged, *_marked(table, taken)})
    if left:
        raise Unfinished(
            "unresolved",
            f"Not resolved yet: {listed(left)}. Nothing was changed.",
            "edit what conflicts, tell git with git add (or git rm), and then: resync continue",
        )


def _marked(table: Table, taken: Taken) -> Iterator[TreePath]:
    index = table.checkout.index
    changed = {each.path: each.worktree for each in table.checkout.changes}

    def now(path: TreePath) -> Iterable[TreeEntry | None]:
        return (changed.get(path), staged_entry(index, path))

    return marked(table.objects, taken, table.options, now)


def staged_entry(index: Index, path: TreePath) -> TreeEntry | None:
    """What the index has at a path that is merged."""
    indexed = index.entries.get(path)
    return TreeEntry(indexed.mode, indexed.oid) if indexed is not None else None


def marked(
    objects: Objects,
    taken: Taken,
    options: MergeOptions,
    now: Callable[[TreePath], Iterable[TreeEntry | None]],
) -> Iterator[TreePath]:
    """The paths that conflicted and have lines that look like conflict markers, of the size that
    ``.gitattributes`` give, and that neither side of the conflict has; ``now`` says what stands at a path."""
    sides = [objects.commit(oid).tree for oid in (taken.under, *filter(None, [taken.commit]))]
    for path in taken.conflicts:
        size = options.attributes_of(path).marker_size
        marker = re.compile(rb"([<|>])\1{%d}(?: .*)?\r?" % (size - 1))
        known = {line for tree in sides for line in _lines(objects, objects.entry(tree, path))}
        lines = (line for entry in now(path) for line in _lines(objects, entry))
        if any(marker.fullmatch(line) and line not in known for line in lines):
            yield path


def _lines(objects: Objects, entry: TreeEntry | None) -> Iterator[bytes]:
    """The lines of a regular file, of which there are none in anything else."""
    if entry is not None and entry.mode & 0o170000 == 0o100000:
        try:
            yield from objects.blob(entry.oid).split(b"\n")
        except LargeBlob:
            return


def committed(table: Table, sitting: Sitting, taken: Taken) -> LocalCommit | None:
    """The commit that was taken, if the person has committed it with git since the sitting's last step: what
    concludes a pick keeps its author and date."""
    if taken.commit is None or table.head.tip == sitting.tip:
        return None
    wanted = table.objects.commit(taken.commit)
    author, _ = authorship(wanted)
    history = open_history(table.repository)
    for oid in sorted(history.reachable([table.head.tip], [sitting.tip], ignore_cut=True)):
        if authorship(table.objects.commit(oid))[0] == author:
            mine = known_as(table.objects, verdict_on(wanted, "reapplied", "you committed it"), oid)
            return replace(mine, by_hand=True)
    return None


def resolved(table: Table, sitting: Sitting, oid: Oid, taken: Taken) -> tuple[LocalCommit, ...]:
    """Commit what the index holds. This is where a person's resolution of a commit is known.

    What a merge brings along comes before it. Raises ``Unfinished("empty-message")``.
    """
    commit = table.objects.commit(oid)
    joined = table.beside(sitting)(commit, table.head.tip)
    if table.index == table.tree and len(joined.parents) == 1:
        return (verdict_on(commit, "became-empty", "nothing of it is left, as you resolved it"),)
    fresh = as_renewed(commit, taken.change_id)
    given = proposed(fresh, taken.conflicts, message_rules(table.repository))
    message = _edited_message(table.repository, given)
    new = made(table.objects, fresh, table.index, joined.parents, table.who, message)
    verdict = verdict_on(commit, "reapplied", "as you resolved it")
    return (*joined.commits, known_as(table.objects, verdict, new))


def _edited_message(repository: Repository, given: bytes) -> bytes | None:
    """What the person made of the message that was ``given``; None where they left it as it was."""
    found = read_message(repository)
    if found is None:
        return None
    how = message_rules(repository)
    message = cleaned(found, how)
    if message == cleaned(given, how):
        return None
    if not message:
        raise Unfinished(
            "empty-message",
            "The message in MERGE_MSG is empty, so nothing is committed. Nothing was changed.",
            f"write one into {os.path.join(repository.git_dir, 'MERGE_MSG')}, and then: resync continue",
            "resync skip    # leaves the commit parked",
        )
    return message


def taken_away(table: Table, taken: Taken) -> Ground:
    """What was taken goes back to the rescue branch: its paths are as they were before."""
    objects, under = table.objects, table.objects.commit(taken.under)
    index = objects.commit(under.parents[1]).tree if is_snapshot(under) else under.tree
    return Ground(
        tip=table.head.tip,
        index=table.taking(table.index, index, taken.paths),
        worktree=table.taking(table.worktree, under.tree, taken.paths),
    )


def accepted(table: Table, sitting: Sitting, taken: Taken) -> tuple[Sitting, Ground]:
    """Take parked edits as they were resolved; what was not staged before is not staged now."""
    assert taken.edits is not None
    index = table.taking(table.index, table.tree, taken.unstaged)
    ground = Ground(tip=table.head.tip, index=index, worktree=table.worktree)
    return replace(sitting, settled=(*sitting.settled, taken.edits)), ground
