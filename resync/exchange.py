"""Resolutions of parked commits, handed on: one person resolves, and other checkouts follow.

What goes into a file is made from the commits themselves, whether or not rerere was at work: the parked
commit is merged once more onto the parent of the commit that took its place, which gives the conflict, and
that commit has what became of it. Where none took its place, what is recorded here is taken.
"""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from resync.checkout import merge_options_at
from resync.errors import Refused
from resync.history import History, authorship, change_id, open_history, patch_id, tree_changes
from resync.journal import Journals
from resync.merge import MergeOptions, merge_trees
from resync.merge.recordings import Recording
from resync.merge.rerere import conflicted_texts, normalise, resolutions
from resync.model import Commit, Conflict, LocalCommit, MergeResult, Oid, Plan, RefName, TreePath
from resync.repository import Repository
from resync.repository.repo import BRANCHES, REMOTES
from resync.repository.rr_cache import Added
from resync.rescue import RescueBranch
from resync.resolution_file import Resolution, ResolutionFile, ResolvedCommit
from resync.resolutions import Resolutions
from resync.worktree.settings import WorktreeSettings

_MOST_COMMITS = 200
"""So many of the newest local commits are compared by patch with those that a file names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """One commit of a run that met conflicts: the paths whose resolutions are handed on, and those that are
    not, each with the reason."""

    commit: LocalCommit
    resolved: tuple[TreePath, ...] = ()
    left: tuple[tuple[TreePath, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What a file is to hold, and what became of each commit."""

    content: ResolutionFile
    commits: tuple[Passed, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing was left."""
        return not any(each.left for each in self.commits)


# --- out ---------------------------------------------------------------------------------------------


def collect(
    repository: Repository, journals: Journals, rescue: RescueBranch, settings: WorktreeSettings
) -> Export:
    """The resolutions of what the run that made ``rescue`` parked, or resolved as it was recorded.

    Raises ``Refused``: ``nothing-parked`` where there is no such commit, ``nothing-resolved`` where no
    conflict has been resolved yet, ``missing-object``.
    """
    plan = _plan_of(journals, rescue)
    wanted = [] if plan is None else [each for each in _commits(plan) if _met_conflicts(each)]
    if plan is None or not wanted:
        raise Refused(
            "nothing-parked",
            f"{_shown(rescue)} keeps no commit that conflicted. Nothing was written.",
            "resync rescue list",
        )
    collector = _Collector(repository, journals, plan, settings)
    found: dict[Resolution, int] = {}
    passed, commits = [], []
    for each in wanted:
        resolved, left = collector.resolutions(each)
        passed.append(Passed(commit=each, resolved=tuple(resolved), left=tuple(left.items())))
        if resolved:
            places = tuple(found.setdefault(resolution, len(found)) for resolution in resolved.values())
            commit = repository.objects.commit(each.oid)
            commits.append(
                ResolvedCommit(
                    subject=commit.subject,
                    patch_id=patch_id(repository.objects, each.oid),
                    change_id=change_id(commit.message),
                    resolutions=places,
                )
            )
    if not found:
        raise Refused(
            "nothing-resolved",
            f"Nothing that {_shown(rescue)} keeps has been resolved yet. Nothing was written.",
            "resync continue    # takes what waits to your files, to be resolved there and exported then",
        )
    content = ResolutionFile(commits=tuple(commits), resolutions=tuple(found))
    return Export(content=content, commits=tuple(passed))


def _plan_of(journals: Journals, rescue: RescueBranch) -> Plan | None:
    """The run that made a rescue branch, for the branch checked out then or for another one."""
    for entry in reversed(journals.everywhere()):
        plan = journals.load(entry.run, steps=False).plan
        made = [each for each in (plan.rescue, *(each.rescue for each in plan.branches)) if each is not None]
        if rescue.name in (each.name for each in made):
            return plan
    return None


def _commits(plan: Plan) -> Iterator[LocalCommit]:
    """Every commit of a run once, parents first."""
    known: set[Oid] = set()
    for commits in (plan.commits, *(each.commits for each in plan.branches)):
        for each in commits:
            if each.oid not in known:
                known.add(each.oid)
                yield each


def _met_conflicts(commit: LocalCommit) -> bool:
    return bool(commit.resolved or (commit.verdict == "parked" and commit.conflicts))


class _Collector:
    """Finds how the conflicts of one run's commits were resolved."""

    def __init__(
        self, repository: Repository, journals: Journals, plan: Plan, settings: WorktreeSettings
    ) -> None:
        self._repository = repository
        self._objects = repository.objects
        self._settings = settings
        base = plan.upstream.new_tip if plan.upstream is not None else None
        self._base = base or plan.new_tip
        self._standing = _standing(repository, plan, self._base)
        self._settled = _settled(repository, journals)
        self._made = _made_since(repository, plan, self._base)

    def resolutions(self, parked: LocalCommit) -> tuple[dict[TreePath, Resolution], dict[TreePath, str]]:
        """The resolutions of a commit's conflicts by path, and why others are not handed on."""
        if parked.merge:
            return {}, dict.fromkeys(parked.conflicts, "it is a merge, which is resolved in other ways")
        commit = self._objects.commit(parked.oid)
        made = parked.new_oid or self._settled.get(commit.oid) or self._made.get(authorship(commit))
        if made is not None:
            new = self._objects.commit(made)
            merged, options = self._merge(commit, new.parents[0] if new.parents else self._base)
            if not merged.clean:
                found, left = self._each(merged, options, lambda conflict: self._as_made(new, conflict))
                left.update(self._beyond(merged, new))
                return found, left
        merged, options = self._merge(commit, self._standing.get(commit.oid, self._base))
        return self._each(merged, options, lambda conflict: self._as_recorded(conflict, options))

    def _merge(self, commit: Commit, onto: Oid) -> tuple[MergeResult, MergeOptions]:
        ours = self._objects.commit(onto).tree
        options = merge_options_at(self._repository, ours, self._settings)
        base = self._objects.commit(commit.parents[0]).tree if commit.parents else None
        return merge_trees(self._objects, base, ours, commit.tree, options), options

    def _each(
        self,
        merged: MergeResult,
        options: MergeOptions,
        resolved: Callable[[Conflict], bytes | str],
    ) -> tuple[dict[TreePath, Resolution], dict[TreePath, str]]:
        """The resolution of each conflict of a merge; ``resolved`` gives the text, or why there is none."""
        found: dict[TreePath, Resolution] = {}
        left: dict[TreePath, str] = {}
        for conflict in merged.conflicts:
            texts = conflicted_texts(self._objects, conflict, options)
            answer = (
                resolved(conflict) if texts else f"a conflict of this kind ({conflict.kind}) is a person's"
            )
            if isinstance(answer, str):
                left[conflict.path] = answer
                continue
            text, size = texts[0]
            known = normalise(text, size)
            image = known.image if known is not None else b""
            resolution = Resolution(recording=Recording(image, answer), marker_size=size)
            if resolution.known is None:
                left[conflict.path] = "what it was resolved to cannot be told from a conflict, or is cut off"
            else:
                found[conflict.path] = resolution
        return found, left

    def _as_made(self, new: Commit, conflict: Conflict) -> bytes | str:
        entry = self._objects.entry(new.tree, conflict.path)
        if entry is None or not stat.S_ISREG(entry.mode):
            return "it is no file any more where it was resolved"
        return self._objects.blob(entry.oid)

    def _as_recorded(self, conflict: Conflict, options: MergeOptions) -> bytes | str:
        blobs = resolutions(self._objects, conflict, options)
        if len(blobs) > 1:
            return "it was resolved in several ways"
        return self._objects.blob(blobs[0]) if blobs else "nobody has resolved it yet"

    def _beyond(self, merged: MergeResult, new: Commit) -> dict[TreePath, str]:
        """What the person changed besides the conflicts: no resolution has that."""
        conflicts = {conflict.path for conflict in merged.conflicts}
        return {
            path: "it was changed besides, which no resolution tells"
            for path, _, _ in tree_changes(self._objects, merged.tree, new.tree)
            if path not in conflicts
        }


def _standing(repository: Repository, plan: Plan, base: Oid) -> dict[Oid, Oid]:
    """For each commit of a run the new commit that it was picked on."""
    stands_for: dict[Oid, Oid] = {}
    picked_on: dict[Oid, Oid] = {}
    for each in _commits(plan):
        parents = repository.objects.commit(each.oid).parents
        on = stands_for.get(parents[0], base) if parents else base
        picked_on[each.oid] = on
        stands_for[each.oid] = each.new_oid or on
    return picked_on


def _settled(repository: Repository, journals: Journals) -> Mapping[Oid, Oid]:
    """What people made of parked commits in sittings, whatever message they gave it, by the parked one."""
    sittings = [entry.run for entry, stands in journals.finished() if stands and entry.sitting is not None]
    return {
        commit.oid: commit.new_oid
        for run in reversed(sittings)
        for commit in journals.load(run, steps=False).plan.commits
        if commit.new_oid is not None and commit.new_oid in repository.objects
    }


def _made_since(repository: Repository, plan: Plan, base: Oid) -> Mapping[tuple[bytes, bytes], Oid]:
    """The commits on the run's branches above its new base, by what a pick keeps of a commit, whatever its
    conflicts were resolved to."""
    names = [plan.head.branch or RefName(b"HEAD"), *(each.name for each in plan.branches)]
    tips = [tip for tip in map(repository.ref, names) if tip is not None]
    history = open_history(repository)
    since = history.topological(history.reachable(tips, [base], ignore_cut=True))
    known = {each.new_oid for each in _commits(plan)} | {each.oid for each in _commits(plan)}
    found: dict[tuple[bytes, bytes], list[Oid]] = {}
    for commit in map(repository.objects.commit, since):
        if commit.oid not in known and len(commit.parents) == 1:
            found.setdefault(authorship(commit), []).append(commit.oid)
    # Of several, as a script may make them, nobody can say which it is.
    return {key: oids[0] for key, oids in found.items() if len(oids) == 1}


# --- in ----------------------------------------------------------------------------------------------


def take_in(repository: Repository, content: ResolutionFile) -> Mapping[Added, int]:
    """Record what a file holds, beside git's own; how many resolutions were new, known, took the place of
    another, or did not fit in. Raises ``OSError``."""
    kept = Resolutions(repository)
    counts: Counter[Added] = Counter()
    for each in content.resolutions:
        known = each.known
        assert known is not None  # it has been read
        counts[kept.imported.add(known.conflict_id(kept.digits), *each.recording)] += 1
    return counts


def here(repository: Repository, content: ResolutionFile) -> Sequence[Oid | None]:
    """For each commit of a file the one on a local branch here that makes the same change, or has its
    Change-Id."""
    refs = repository.refs()
    mine = [repository.objects.peel(oid) for name, oid in refs.items() if name.startswith(BRANCHES)]
    theirs = [repository.objects.peel(oid) for name, oid in refs.items() if name.startswith(REMOTES)]
    tips = [repository.head().tip, *filter(repository.objects.is_commit, mine)]
    history: History = open_history(repository)
    gone = list(filter(repository.objects.is_commit, theirs))
    local = history.topological(history.reachable(tips, gone, ignore_cut=True))
    known: dict[bytes, Oid] = {}
    for oid in local[-_MOST_COMMITS:]:
        for key in (change_id(repository.objects.commit(oid).message), patch_id(repository.objects, oid)):
            if key is not None:
                known[key] = oid
    return [known.get(each.patch_id or b"") or known.get(each.change_id or b"") for each in content.commits]


def _shown(rescue: RescueBranch) -> str:
    return rescue.short_name.decode("utf-8", "backslashreplace")
