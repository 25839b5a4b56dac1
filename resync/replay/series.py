"""Picks the commits of whole branches onto a new base: each becomes a new commit or a verdict with a reason.

Oldest first, each commit is merged three ways: its parent as the base, the commit as theirs, what stands
on the new base so far as ours. One that conflicts is parked and the next is tried. A conflict that
a person resolved before is resolved so again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from resync.history import History, MentionIndex, PatchIndex
from resync.merge import merge_trees, surely_conflicts
from resync.model import Commit, LocalCommit, MergeResult, Oid, Side, TreePath
from resync.replay.commits import changed_id, renewed, rewritten
from resync.replay.options import PickOptions, as_recorded
from resync.replay.verdicts import reached, verdict_on
from resync.repository import Objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The ``commits`` of one branch that are to be replayed, parents first, and the branch's ``tip``.

    ``upstream`` are the commits to look for the same patch in.
    """

    tip: Oid
    commits: Sequence[Oid]
    upstream: Collection[Oid]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Where a branch will stand, and what became of each of its commits, oldest first."""

    tip: Oid
    commits: tuple[LocalCommit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The ``parents`` that a merge gets, and what became of the ``commits`` beside its first parent."""

    parents: tuple[Oid, ...]
    commits: tuple[LocalCommit, ...] = ()


def beside(
    objects: Objects,
    history: History,
    merge: Commit,
    tip: Oid,
    side: Side,
    options: PickOptions,
    *,
    renew: bool = False,
) -> Beside:
    """Make a merge's ``side`` anew, the merge itself being made on ``tip``.

    New objects are added to memory. Raises ``Refused`` where an object is missing.
    """
    picker = _Picker(objects, history, tip, options, renew=renew)
    nowhere, commits = _Upstream(objects, ()), []
    # What stands in the place of a commit may be one of the side, which has to be made first.
    later = {old: new for old, new in side.stands if new in side.commits}
    picker.stand({old: new for old, new in side.stands if old not in later})
    for commit in (*map(objects.commit, side.commits), merge):
        picker.stand({each: picker.standing(later[each]) for each in commit.parents if each in later})
        if commit is not merge:
            commits.append(picker.pick(commit, nowhere))
    picker.stand({merge.parents[0]: tip})
    return Beside(parents=picker.new_parents(merge), commits=tuple(commits))


def replay(
    objects: Objects,
    history: History,
    branches: Sequence[Series],
    options: PickOptions,
    *,
    onto: Oid,
    merged: Collection[Oid] = (),
    once_upstream: Collection[Oid] = (),
    dropped: Callable[[Oid], str] = lambda oid: "",
    renew: bool = False,
) -> tuple[Replay, ...]:
    """Replay the commits of some branches on the commit ``onto``; the answer has them in the same order.

    What several branches share is replayed once, with the first of them, so that stacks keep their shape.
    What came in through merges of other people's branches, ``merged``, stays as it is, and so does what was
    merged in and has no history in common with upstream (a library, as ``git subtree add`` does it).
    ``dropped`` says why a commit counts as dropped by upstream, which then is not replayed; of commits that
    upstream itself ``once_upstream`` had, only those count that the new base does not have in any form. Where
    a commit conflicts, the recordings of ``options`` are asked: it is reapplied if they resolve all of that,
    else parked. With ``renew`` each new commit that has a Change-Id of Gerrit's gets another one. New objects
    are added to the memory of ``objects``. Raises ``Refused`` where an object is missing.
    """
    roots = frozenset(filter(None, (_own_root(objects, series) for series in branches)))
    picker = _Picker(
        objects,
        history,
        onto,
        options,
        merged=merged,
        roots=roots,
        dropped=dropped,
        renew=renew,
    )
    settled = ("already-upstream", "became-empty")
    picks: dict[Oid, LocalCommit] = {}
    searched: dict[frozenset[Oid], _Upstream] = {}
    for series in branches:
        known = frozenset(series.upstream)
        upstream = searched.setdefault(known, _Upstream(objects, known))
        for oid in series.commits:
            if oid not in picks:
                picks[oid] = picker.pick(objects.commit(oid), upstream)
    done: list[Replay] = []
    for series in branches:
        mine = [
            picks[oid]
            for oid in series.commits
            if oid not in once_upstream or picks[oid].verdict not in settled
        ]
        end = picker.standing(series.tip)
        done.append(Replay(tip=end, commits=tuple(reached(objects, mine, end))))
    return tuple(done)


def _own_root(objects: Objects, series: Series) -> Oid | None:
    """The commit without parents that the branch itself began with, if there is one among its commits."""
    oid, commits = series.tip, frozenset(series.commits)
    while oid in commits:
        parents = objects.commit(oid).parents
        if not parents:
            return oid
        oid = parents[0]
    return None


class _Upstream:
    """Upstream's commits, to be searched for those that are like a given one."""

    def __init__(self, objects: Objects, commits: Iterable[Oid]) -> None:
        # Sorted, so that of several that could be named it is the same one in every run.
        ordered = sorted(commits)
        self.twins = PatchIndex(objects, ordered)
        self.mentions = MentionIndex(objects, ordered)


class _Picker:
    """The state of one replay: which new commit stands for each old one."""

    def __init__(
        self,
        objects: Objects,
        history: History,
        onto: Oid,
        options: PickOptions,
        *,
        renew: bool,
        merged: Collection[Oid] = (),
        roots: Collection[Oid] = (),
        dropped: Callable[[Oid], str] = lambda oid: "",
    ) -> None:
        """``roots`` are commits without parents that branches began with; the rest is as in ``replay``."""
        self._objects = objects
        self._history = history
        self._onto = onto
        self._options = options
        self._roots = roots
        self._dropped = dropped
        self._renew = renew
        self._stands_for: dict[Oid, Oid] = {oid: oid for oid in merged}

    def stand(self, known: Mapping[Oid, Oid]) -> None:
        """Let other commits take the place of some."""
        self._stands_for.update(known)

    def standing(self, oid: Oid) -> Oid:
        """The new commit in the place of ``oid``: whatever was upstream's is the new base."""
        return self._stands_for.get(oid, self._onto)

    def pick(self, commit: Commit, upstream: _Upstream) -> LocalCommit:
        """Decide one commit; its parents must have been decided before."""
        if len(commit.parents) > 1:
            verdict = self._pick_merge(commit)
        else:
            verdict = self._pick_plain(commit, upstream.twins)
        left_out = self._dropped(commit.oid) if verdict.verdict in ("reapplied", "parked") else ""
        if left_out:
            verdict = verdict_on(commit, "dropped-by-upstream", left_out)
        elif verdict.verdict != "already-upstream":
            # For people only: a word in a message decides nothing.
            said = upstream.mentions.said_of(commit)
            verdict = replace(verdict, reason="; ".join(filter(None, (verdict.reason, said))))
        if verdict.new_oid is not None:
            self._stands_for[commit.oid] = verdict.new_oid
        else:
            first = commit.parents[0] if commit.parents else None
            self._stands_for[commit.oid] = self._onto if first is None else self.standing(first)
        return verdict

    def _pick_plain(self, commit: Commit, twins: PatchIndex) -> LocalCommit:
        parent = commit.parents[0] if commit.parents else None
        if parent is None and commit.oid not in self._roots:
            return _standing(commit)
        base = self._objects.commit(parent).tree if parent is not None else None
        on = self.standing(parent) if parent is not None else self._onto
        ours = self._objects.commit(on).tree
        twin = twins.find(commit.oid)
        merging = self._options.labelled(commit)
        if twin is not None and surely_conflicts(self._objects, base, ours, commit.tree, merging):
            return verdict_on(commit, "already-upstream", _same_patch(twin))
        merged = merge_trees(self._objects, base, ours, commit.tree, merging)
        if twin is not None:
            gone = ", and its effect is no longer there" if merged.clean and merged.tree != ours else ""
            return verdict_on(commit, "already-upstream", _same_patch(twin) + gone)
        resolved: tuple[TreePath, ...] = ()
        if not merged.clean:
            conflicts = merged.conflicts
            merged = as_recorded(self._objects, merged, merging)
            if not merged.clean:
                return _parked(commit, merged)
            resolved = tuple(conflict.path for conflict in conflicts)
        if merged.tree == ours and commit.tree != base:
            why = (
                "nothing of it is left as it was resolved before"
                if resolved
                else "upstream has all of its changes"
            )
            return replace(verdict_on(commit, "became-empty", why), resolved=resolved)
        return replace(self._made(commit, merged, (on,)), resolved=resolved)

    def _pick_merge(self, commit: Commit) -> LocalCommit:
        """Replay a merge as what the person did in it: its difference from the automatic merge."""
        parents = self.new_parents(commit)
        automatic = self._automatic(commit.parents)
        ours = self._automatic(parents)
        if automatic is None or ours is None:
            return verdict_on(commit, "parked", "resync cannot make a merge of this shape again")
        unsettled = _unlike(self._objects, automatic, ours)
        if unsettled:
            reasons = ["merging its sides anew conflicts in other places", *map(str, ours.notes)]
            return verdict_on(commit, "parked", "; ".join(reasons), conflicts=unsettled)
        merged = merge_trees(
            self._objects, automatic.tree, ours.tree, commit.tree, self._options.labelled(commit)
        )
        if not merged.clean:
            return _parked(commit, merged)
        if len(parents) == 1 and merged.tree == ours.tree:
            return verdict_on(commit, "became-empty", "it merged upstream, which the new base already has")
        return self._made(commit, merged, parents)

    def new_parents(self, commit: Commit) -> tuple[Oid, ...]:
        """The parents in the new history. One that another has below it adds nothing and is left out, as the
        base where a merge took upstream in; but the first stays: there a topic was merged as such.
        """
        first, *others = dict.fromkeys(map(self.standing, commit.parents))
        needed = self._history.independent((first, *others))
        return (first, *(oid for oid in others if oid in needed))

    def _automatic(self, parents: Sequence[Oid]) -> MergeResult | None:
        """What merging the parents by machine gives; None where there is no one way to do it."""
        first = MergeResult(tree=self._objects.commit(parents[0]).tree)
        if len(parents) == 1:
            return first
        if len(parents) > 2:
            return None
        base = self._virtual_base(self._history.merge_bases(*parents))
        other = self._objects.commit(parents[1]).tree
        return merge_trees(self._objects, base, first.tree, other, self._options.merging)

    def _virtual_base(self, bases: Sequence[Oid]) -> Oid | None:
        """The tree of the merge base; of several, their merge, as git's recursive strategy makes it."""
        if not bases:
            return None
        merging = self._options.merging.for_bases()
        tree, so_far = self._objects.commit(bases[0]).tree, bases[0]
        for other in bases[1:]:
            inner = self._virtual_base(self._history.merge_bases(so_far, other))
            theirs = self._objects.commit(other).tree
            tree = merge_trees(self._objects, inner, tree, theirs, merging).tree
        return tree

    def _made(self, commit: Commit, merged: MergeResult, parents: Sequence[Oid]) -> LocalCommit:
        if (merged.tree, tuple(parents)) == (commit.tree, commit.parents):
            return _standing(commit)
        verdict = verdict_on(commit, "reapplied", "; ".join(map(str, merged.notes)))
        if self._renew:
            commit = renewed(self._objects, commit, merged.tree, self._onto, self._options.committer)
        raw = rewritten(commit, tree=merged.tree, parents=parents, committer=self._options.committer)
        new_id = changed_id(verdict.change_id, commit.message)
        return replace(verdict, new_oid=self._objects.add_commit(raw), new_change_id=new_id)


def _unlike(objects: Objects, old: MergeResult, new: MergeResult) -> tuple[TreePath, ...]:
    """The conflicts of the new automatic merge that the old one did not have in the same words."""
    return tuple(
        conflict.path
        for conflict in new.conflicts
        if objects.entry(old.tree, conflict.path) != objects.entry(new.tree, conflict.path)
        or conflict.path not in {each.path for each in old.conflicts}
    )


def _standing(commit: Commit) -> LocalCommit:
    return replace(verdict_on(commit, "reapplied", "it stands on nothing that moved"), new_oid=commit.oid)


def _parked(commit: Commit, merged: MergeResult) -> LocalCommit:
    paths = tuple(dict.fromkeys(conflict.path for conflict in merged.conflicts))
    kinds = ", ".join(dict.fromkeys(conflict.kind for conflict in merged.conflicts))
    reasons = [f"it conflicts with upstream ({kinds})", *map(str, merged.notes)]
    return verdict_on(commit, "parked", "; ".join(reasons), conflicts=paths)


def _same_patch(twin: Oid) -> str:
    return f"upstream has the same patch as {_short(twin)}"


def _short(oid: Oid) -> str:
    return oid[:10].decode()
