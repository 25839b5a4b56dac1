"""What earlier runs parked and nobody has dealt with yet.

Parked work waits as long as its run is not undone and its rescue branch stands. A commit has been dealt
with when the branch has one with the same author, author date and subject (a cherry-pick keeps them,
whatever its conflicts were resolved to) or a person resolved it in a sitting; a file when the disk has its
bytes, or a sitting dealt with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from resync import rescue as rescues
from resync.errors import ResyncError
from resync.history import authorship, open_history
from resync.journal import Entry, Journal, Journals
from resync.model import (
    BranchMove,
    Head,
    LocalCommit,
    LocalFile,
    Oid,
    ParkedEdits,
    PathIn,
    Plan,
    RefName,
    TreePath,
)
from resync.repository import Repository
from resync.repository.trees import is_gone, opened, other_checkout
from resync.rescue import RescueBranch
from resync.worktree.files import Files, git_mode
from resync.worktree.moves import look
from resync.worktree.switch import quarantined


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The parked work of one run that still waits, and the rescue branch that keeps it.

    ``commits`` belong on the ``branch`` of the run (None: it was made with HEAD detached), ``others`` each on
    another one, which stands beside it. ``branches`` are others that were left where they stood; the working
    tree of each is that which has it checked out now. ``left`` are paths that somebody changed during
    the run and that are not committed as they are now; ``aside`` are FIFOs, sockets and devices, and where
    the run moved them; ``edits`` says that uncommitted edits were put back, which git may want away.
    ``plan`` is the run's.
    """

    run: str
    branch: RefName | None
    rescue: RescueBranch
    commits: tuple[LocalCommit, ...]
    others: tuple[tuple[BranchMove, LocalCommit], ...]
    files: tuple[LocalFile, ...]
    branches: tuple[BranchMove, ...]
    left: tuple[PathIn, ...]
    aside: tuple[tuple[TreePath, str], ...]
    edits: bool
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """What waits for what is checked out: ``commits`` in the order in which they are to be taken, and
    ``edits`` of files that git knows.

    ``renew`` are those of the commits that get new Change-Ids, as what their run reapplied, ``apart`` those
    that conflict with nothing; ``plans`` are those of the runs that parked them, oldest first.
    """

    commits: tuple[Oid, ...]
    renew: tuple[Oid, ...]
    apart: frozenset[Oid]
    edits: tuple[ParkedEdits, ...]
    plans: tuple[Plan, ...]


def waiting(repository: Repository, journals: Journals) -> tuple[Waiting, ...]:
    """The parked work that waits, of the newest run first."""
    found = []
    finished = list(journals.finished())
    settled = _Settled(journals, [entry for entry, stands in finished if stands and entry.sitting])
    for entry, stands in finished:
        if not stands or not entry.waits:
            continue
        journal = journals.load(entry.run, steps=False)
        plan = journal.plan
        # What a sitting set aside, and could not bring back, is on the rescue branch of its first run.
        first = plan if plan.sitting is None else journals.load(plan.sitting.id, steps=False).plan
        rescue = _standing(repository, first)
        if rescue is None:
            continue
        upstream = plan.upstream.new_tip if plan.upstream is not None else None
        head = plan.head.branch or RefName(b"HEAD")
        missing = _missing(repository, head, upstream or plan.new_tip, plan.commits)
        commits = tuple(each for each in missing if not settled.has(each, entry))
        elsewhere = [replace(each, worktree=other_checkout(repository, each.name)) for each in plan.branches]
        others = tuple(
            (each, commit)
            for each in elsewhere
            if each.moves
            for commit in _missing(repository, each.name, upstream or each.new_tip, each.commits)
            if not settled.has(commit, entry)
        )
        branches = tuple(
            each
            for each in elsewhere
            if each.waits and not each.moves and repository.ref(each.name) == each.old_tip
        )
        files = tuple(
            each for each in _files(repository, journal, rescue) if (first.id, each.path) not in settled.edits
        )
        left = tuple(_still_left(repository, entry, journals))
        aside = tuple(_aside(journals, journal))
        if commits or others or files or branches or left or aside:
            edits = any(each.verdict in ("restored", "kept") for each in journal.plan.files)
            found.append(
                Waiting(
                    run=entry.run,
                    branch=plan.head.branch,
                    rescue=rescue,
                    commits=commits,
                    others=others,
                    files=files,
                    branches=branches,
                    left=left,
                    aside=aside,
                    edits=edits,
                    plan=plan,
                )
            )
    return tuple(found)


def parked_on(repository: Repository, journals: Journals, head: Head) -> Parked:
    """The parked commits and edits that wait for what is checked out."""
    commits: dict[Oid, LocalCommit] = {}
    renew: dict[Oid, None] = {}
    edits: list[ParkedEdits] = []
    plans: list[Plan] = []
    for each in reversed(waiting(repository, journals)):
        here: list[LocalCommit] = []
        if each.branch == head.branch:
            here += (commit for commit in each.commits if commit.verdict == "parked")
            known = [file.path for file in each.files if file.state in ("staged", "unstaged")]
            if known:
                edits.append(ParkedEdits(run=each.rescue.run or each.run, paths=tuple(dict.fromkeys(known))))
        here += (commit for other, commit in each.others if other.name == head.branch)
        commits.update((commit.oid, commit) for commit in here)
        if here:
            plans.append(each.plan)
            renew.update((commit.oid, None) for commit in here if each.plan.renews)
    return Parked(
        commits=tuple(commits),
        renew=tuple(renew),
        apart=frozenset(oid for oid, commit in commits.items() if not commit.conflicts),
        edits=tuple(edits),
        plans=tuple(plans),
    )


class _Settled:
    """What people have dealt with in sittings, whose finished runs are ``entries``: commits, and edits each
    with the run that parked it."""

    def __init__(self, journals: Journals, entries: list[Entry]) -> None:
        self._commits: dict[Oid, int] = {}
        self.edits: set[tuple[str, TreePath]] = set()
        for entry in sorted(entries, key=lambda entry: entry.number):
            plan = journals.load(entry.run, steps=False).plan
            done = [each.oid for each in plan.commits if each.verdict in ("reapplied", "became-empty")]
            self._commits.update(dict.fromkeys(done, entry.number))
            settled = plan.sitting.settled if plan.sitting is not None else ()
            self.edits.update((edits.run, path) for edits in settled for path in edits.paths)

    def has(self, commit: LocalCommit, parked_by: Entry) -> bool:
        """Whether a commit was dealt with after that run had parked it."""
        return self._commits.get(commit.oid, 0) > parked_by.number


def _standing(repository: Repository, plan: Plan) -> RescueBranch | None:
    """The first rescue branch of the run that stands; one that moved only other branches has only theirs."""
    for update in (plan.rescue, *(each.rescue for each in plan.branches)):
        oid = repository.ref(update.name) if update is not None else None
        if update is not None and oid is not None:
            return rescues.read(repository, update.name, oid, plan.id)
    return None


def _missing(
    repository: Repository, name: RefName, new_base: Oid, commits: tuple[LocalCommit, ...]
) -> Iterator[LocalCommit]:
    """The parked of a branch's ``commits`` that it still does not have above its new base."""
    parked = [each for each in commits if each.verdict in ("parked", "dropped-by-upstream")]
    tip = repository.ref(name)
    if not parked or tip is None:
        yield from parked
        return
    objects = repository.objects
    history = open_history(repository)
    since = history.reachable([tip], [new_base], ignore_cut=True)
    present = set(map(authorship, map(objects.commit, since)))
    for each in parked:
        if each.oid not in objects or authorship(objects.commit(each.oid)) not in present:
            yield each


def _files(repository: Repository, journal: Journal, rescue: RescueBranch) -> Iterator[LocalFile]:
    on_disk = Files(repository.root)
    for each in journal.plan.files:
        if each.verdict != "parked" or each.state == "special":
            continue
        kept = rescues.version(repository, rescue, each.path)
        if _on_disk(repository, on_disk, each.path) != (kept.oid if kept is not None else None):
            yield each


def _aside(journals: Journals, journal: Journal) -> Iterator[tuple[TreePath, str]]:
    """The special files that are still where the run moved them."""
    special = [each.path for each in journal.plan.files if each.state == "special"]
    if not special:
        return
    places = quarantined(journal.folder, journals.load(journal.plan.id).plan.file_changes)
    for path in special:
        if path in places and os.path.lexists(places[path]):
            yield path, os.fsdecode(places[path])


def _still_left(repository: Repository, entry: Entry, journals: Journals) -> Iterator[PathIn]:
    """What people had changed during the run and is not committed as it is now."""
    yield from (PathIn(path) for path in entry.left if not _as_in_head(repository, path))
    if not entry.left_in:
        return
    for _, tree in journals.load(entry.run).plan.others:
        if is_gone(repository, tree):
            continue
        there = None
        with suppress(ResyncError):  # where nobody can look now, all of it may well wait
            there = opened(repository, tree)
        roots = (tree.root, there.root) if there is not None else (tree.root,)
        for each in entry.left_in:
            if each.root in roots and (there is None or not _as_in_head(there, each.path)):
                yield PathIn(each.path, roots[-1])


def _as_in_head(repository: Repository, path: TreePath) -> bool:
    entry = repository.objects.entry(repository.objects.commit(repository.head().tip).tree, path)
    now = _on_disk(repository, Files(repository.root), path)
    return now == (entry.oid if entry is not None else None)


def _on_disk(repository: Repository, on_disk: Files, path: TreePath) -> Oid | None:
    status = on_disk.lstat(path)
    if status is None or git_mode(status.st_mode) is None:
        return None
    found = look(on_disk.full(path), repository.objects)
    return found.oid if found is not None else None
