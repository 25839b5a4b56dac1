"""Picks commits one after the other onto what is checked out, up to the first that conflicts.

``series`` makes whole branches anew and parks what conflicts; here a conflict is where it ends, because a
person is to resolve it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from resync.carry import concerned
from resync.commit_message import MessageRules, proposed
from resync.history import change_id, tree_changes
from resync.merge import MergeOptions, merge_trees
from resync.model import MODE_TREE, Commit, Conflict, LocalCommit, MergeResult, Oid, Taken, TreePath
from resync.replay.commits import changed_id, made, renewed
from resync.replay.options import PickOptions, as_recorded, recorded
from resync.replay.series import Beside, Replay
from resync.replay.verdicts import known_as, reached, verdict_on
from resync.repository import Objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicted:
    """The pick of a ``commit`` that conflicts, its message as it is proposed.

    ``paths`` are all that it would change, and ``staged`` those of its conflicts that are resolved in the
    index as well, as they were before.
    """

    commit: Commit
    merged: MergeResult
    paths: tuple[TreePath, ...]
    staged: frozenset[TreePath] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """How far it went: ``tip`` is the last commit made, ``commits`` what became of those before the end,
    ``left`` those that are still to be taken. What ended it is a commit that conflicts, or one that would
    change paths of which there are edits (``blocked``), which then is the first of those left."""

    tip: Oid
    commits: tuple[LocalCommit, ...]
    left: tuple[Oid, ...] = ()
    conflicted: Conflicted | None = None
    blocked: tuple[TreePath, ...] = ()


Join: TypeAlias = Callable[[Commit, Oid, Sequence[LocalCommit]], Beside]
"""What parents a commit gets on a tip, given what was made before (see ``sides``)."""


def pick(
    objects: Objects,
    tip: Oid,
    commits: Sequence[Oid],
    options: PickOptions,
    *,
    beside: Join,
    edited: Collection[TreePath] = (),
    renew: Collection[Oid] = (),
) -> Picked:
    """Pick ``commits`` onto ``tip``; ``edited`` are paths that must not change, ``renew`` those of the
    commits that get new Change-Ids, ``beside`` says what parents a commit gets.

    A merge is picked as what it changed in its first parent. Where one conflicts, the recordings of
    ``options`` are asked: what is recorded for all of its conflicts is committed, what is for some of them is
    in the files that the person finds. New objects are added to memory. Raises ``Refused`` where an object is
    missing.
    """
    done: list[LocalCommit] = []
    for number, oid in enumerate(commits):
        commit = objects.commit(oid)
        ours = objects.commit(tip).tree
        base = objects.commit(commit.parents[0]).tree if commit.parents else None
        labelled = options.labelled(commit)
        first = merge_trees(objects, base, ours, commit.tree, labelled)
        merged = first if first.clean else as_recorded(objects, first, labelled)
        staged: frozenset[TreePath] = frozenset()
        if not merged.clean:
            known = recorded(objects, first, labelled)
            edits = {path: entries[0] for path, entries in known.items() if len(entries) == 1}
            merged = replace(merged, tree=objects.edit_tree(merged.tree, edits))
            staged = _staged(edits, first.conflicts, labelled)
        paths = touched(objects, ours, merged)
        blocked = tuple(sorted(path for path in edited if concerned(path, paths)))
        if blocked:
            return Picked(tip=tip, commits=tuple(done), left=tuple(commits[number:]), blocked=blocked)
        fresh = renewed(objects, commit, merged.tree, tip, options.committer) if oid in renew else commit
        if not merged.clean:
            conflicted = Conflicted(commit=fresh, merged=merged, paths=paths, staged=staged)
            left = tuple(commits[number + 1 :])
            return Picked(tip=tip, commits=tuple(done), left=left, conflicted=conflicted)
        resolved = tuple(each.path for each in first.conflicts)
        joined = beside(commit, tip, done)
        if merged.tree == ours and commit.tree != base and len(joined.parents) == 1:
            empty = verdict_on(commit, "became-empty", "the branch has all of its changes")
            done.append(replace(empty, resolved=resolved))
            continue
        tip = made(objects, fresh, merged.tree, joined.parents, options.committer)
        done += joined.commits
        reason = "; ".join(map(str, merged.notes))
        verdict = known_as(objects, verdict_on(commit, "reapplied", reason), tip)
        done.append(replace(verdict, resolved=resolved))
    return Picked(tip=tip, commits=tuple(done))


def _staged(
    resolved: Collection[TreePath], conflicts: Sequence[Conflict], options: MergeOptions
) -> frozenset[TreePath]:
    """The ``resolved`` paths that go into the index, too: if that is wanted, those in no other conflict."""
    if options.recordings is None or not options.recordings.stages:
        return frozenset()
    named = Counter(path for each in conflicts for path in {each.path, *each.others})
    return frozenset(path for path in resolved if named[path] == 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Where a replay stops: ``tip`` is what stands before its first conflict, ``commits`` are all, ``left``
    those that are still to be picked."""

    tip: Oid
    commits: tuple[LocalCommit, ...]
    left: tuple[Oid, ...]


def halt(objects: Objects, replayed: Replay, onto: Oid) -> Halt | None:
    """Where a replay on ``onto`` stops if it does at the first commit that conflicts; None if none does.

    The commits from that one on are parked for the time being, and so are those before it that only a later
    merge leads to; left are these but for such as upstream has or dropped.
    """
    first = next((n for n, each in enumerate(replayed.commits) if each.verdict == "parked"), None)
    if first is None:
        return None
    made_of = {each.oid: each.new_oid for each in replayed.commits[:first]}
    tip = replayed.commits[first].oid
    while True:
        parents = objects.commit(tip).parents
        tip = parents[0] if parents else onto
        if tip not in made_of:
            tip = onto
            break
        if (new := made_of[tip]) is not None:
            tip = new
            break
    before = tuple(reached(objects, replayed.commits[:first], tip))
    apart = {new.oid for old, new in zip(replayed.commits, before, strict=False) if new != old}
    left: list[Oid] = []
    commits: list[LocalCommit] = []
    for each in (*before, *replayed.commits[first:]):
        waits = each.oid in apart or each.oid not in made_of
        if waits and each.verdict in ("parked", "reapplied", "became-empty"):
            left.append(each.oid)
            why = "" if each.oid in apart else each.reason
            each = replace(
                each,
                verdict="parked",
                new_oid=None,
                new_change_id=None,
                reason=why or "the run stops before it",
            )
        commits.append(each)
    return Halt(tip=tip, commits=tuple(commits), left=tuple(left))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A conflict as a person is to find it: the trees of index (nothing at what conflicts) and working tree,
    the sides for the index, and git's message for the commit to come."""

    taken: Taken
    index: Oid
    worktree: Oid
    conflicts: tuple[Conflict, ...]
    message: bytes


def show(objects: Objects, conflicted: Conflicted, tip: Oid, rules: MessageRules) -> Shown:
    """Take a commit that conflicts on ``tip`` to the working tree: here a person is shown a conflict."""
    paths = tuple(dict.fromkeys(each.path for each in conflicted.merged.conflicts))
    conflicts = tuple(each for each in conflicted.merged.conflicts if each.path not in conflicted.staged)
    old = change_id(objects.commit(conflicted.commit.oid).message)
    return Shown(
        taken=Taken(
            commit=conflicted.commit.oid,
            under=tip,
            paths=conflicted.paths,
            conflicts=paths,
            change_id=changed_id(old, conflicted.commit.message),
        ),
        index=without_conflicts(objects, conflicted.merged.tree, conflicts),
        worktree=conflicted.merged.tree,
        conflicts=conflicts,
        message=proposed(conflicted.commit, paths, rules),
    )


def touched(objects: Objects, ours: Oid, merged: MergeResult) -> tuple[TreePath, ...]:
    """Every path that a merge into ``ours`` changes or could not decide."""
    paths = {path for path, _, _ in tree_changes(objects, ours, merged.tree)}
    for conflict in merged.conflicts:
        paths |= {conflict.path, *conflict.others}
    return tuple(sorted(paths))


def without_conflicts(objects: Objects, tree: Oid, conflicts: Sequence[Conflict]) -> Oid:
    """A merged tree as the index has it: nothing at the paths that are unmerged."""
    found = {conflict.path: objects.entry(tree, conflict.path) for conflict in conflicts}
    gone = [path for path, entry in found.items() if entry is not None and entry.mode != MODE_TREE]
    return objects.edit_tree(tree, dict.fromkeys(gone))
