"""What a checkout holds, as commits: the rescue branch in a stash's shape, and what must stay private.

A stash is a commit of the working tree whose parents are HEAD, a commit of the index, and a commit of
untracked files (git-stash(1)); so ``git stash apply --index`` works on a rescue branch. Files are
kept with their raw bytes, unless a filter keeps these away from git. A rescue branch may be pushed, and
ignored files and what a filter hides may be secrets: they go into trees of their own, for refs that no push
publishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resync.model import Commit, Head, InTheWay, Oid, PathState, TreeEntry
from resync.repository import Objects

_SUBJECT = b"resync: uncommitted work on "


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """``rescue`` is what the rescue branch points at (the tip itself where nothing is uncommitted).

    ``private`` is a tree of files in the way that are ignored or go through a filter, ``raw`` one of edited
    files before a filter cleaned them; each None where there are none.
    """

    rescue: Oid
    private: Oid | None
    raw: Oid | None


def snapshot(
    objects: Objects,
    head: Head,
    changes: Sequence[PathState],
    in_the_way: Sequence[InTheWay],
    who: bytes,
) -> Snapshot:
    """Make the commits that keep everything uncommitted; new objects go to memory.

    ``who`` is ``Name <mail> SECONDS ZONE`` for author and committer.
    """
    files = [each for each in in_the_way if not each.special]
    untracked = {each.path: each.entry for each in files if not each.private}
    hidden = {each.path: each.entry for each in files if each.private}
    dirty = {each.path: _on_disk(each) for each in changes if each.private}
    private = objects.edit_tree(None, hidden) if hidden else None
    raw = objects.edit_tree(None, dirty) if dirty else None
    if not changes and not untracked:
        return Snapshot(rescue=head.tip, private=private, raw=raw)
    tree = objects.commit(head.tip).tree
    index = objects.edit_tree(tree, {each.path: each.index for each in changes if each.staged})
    worktree = objects.edit_tree(index, {each.path: _on_branch(each) for each in changes if each.unstaged})
    others = objects.edit_tree(None, untracked) if untracked else None
    rescue = stash(objects, head, index, worktree, who, untracked=others)
    return Snapshot(rescue=rescue, private=private, raw=raw)


def stash(
    objects: Objects, head: Head, index: Oid, worktree: Oid, who: bytes, *, untracked: Oid | None = None
) -> Oid:
    """A commit of these trees on ``head``, in a stash's shape."""
    name = head.name

    def commit(tree: Oid, parents: Sequence[Oid], subject: bytes) -> Oid:
        lines = [b"tree " + tree, *(b"parent " + oid for oid in parents)]
        lines += [b"author " + who, b"committer " + who, b"", subject, b""]
        return objects.add_commit(b"\n".join(lines))

    parents = [head.tip, commit(index, [head.tip], b"resync: index on " + name)]
    if untracked is not None:
        parents.append(commit(untracked, [], b"resync: untracked files on " + name))
    return commit(worktree, parents, _SUBJECT + name)


def is_snapshot(commit: Commit) -> bool:
    """Whether a commit is one that ``snapshot`` makes, and not just the tip of a branch."""
    return commit.message.startswith(_SUBJECT) and len(commit.parents) in (2, 3)


def _on_branch(state: PathState) -> TreeEntry | None:
    """What the rescue branch has of an edited file. Where its filter failed there is only the secret."""
    if not state.private:
        return _on_disk(state)
    failed = state.worktree is not None and state.worktree.oid == state.raw
    return state.index if failed else state.worktree


def _on_disk(state: PathState) -> TreeEntry | None:
    if state.worktree is None or state.raw is None:
        return state.worktree
    return TreeEntry(state.worktree.mode, state.raw)
