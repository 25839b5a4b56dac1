"""What earlier runs parked and nobody has dealt with yet.

Parked work waits as long as its run is not undone and its rescue branch stands. A commit has been dealt
with when the branch has one with the same author, author date and subject (a cherry-pick keeps them,
whatever its conflicts were resolved to); a file when the disk has its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from resync import rescue as rescues
from resync.history import open_history
from resync.journal import Journal, Journals
from resync.model import LocalCommit, LocalFile, RefName
from resync.repository import Repository
from resync.rescue import RescueBranch
from resync.worktree.files import Files, git_mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The parked work of one run that still waits, and the rescue branch that keeps it."""

    run: str
    rescue: RescueBranch
    commits: tuple[LocalCommit, ...]
    files: tuple[LocalFile, ...]


def waiting(repository: Repository, journals: Journals) -> tuple[Waiting, ...]:
    """The parked work that waits, of the newest run first."""
    found = []
    for entry, stands in journals.finished():
        if not stands or not entry.waits:
            continue
        journal = journals.load(entry.run)
        update = journal.plan.rescue
        oid = repository.ref(update.name) if update is not None else None
        if update is None or oid is None:
            continue
        rescue = rescues.read(repository, update.name, oid, journal.plan.id)
        commits = tuple(_commits(repository, journal))
        files = tuple(_files(repository, journal, rescue))
        if commits or files:
            found.append(Waiting(run=journal.plan.id, rescue=rescue, commits=commits, files=files))
    return tuple(found)


def _commits(repository: Repository, journal: Journal) -> Iterator[LocalCommit]:
    plan = journal.plan
    parked = [each for each in plan.commits if each.verdict in ("parked", "dropped-by-upstream")]
    tip = repository.ref(plan.head.branch or RefName(b"HEAD"))
    if not parked or tip is None:
        yield from parked
        return
    objects = repository.objects
    history = open_history(repository)
    upstream = plan.upstream.new_tip if plan.upstream is not None else None
    since = history.reachable([tip], [upstream or plan.new_tip], ignore_cut=True)
    present = {(commit.author, commit.subject) for commit in map(objects.commit, since)}
    for each in parked:
        if (each.author, each.subject) not in present:
            yield each


def _files(repository: Repository, journal: Journal, rescue: RescueBranch) -> Iterator[LocalFile]:
    on_disk = Files(repository.root)
    for each in journal.plan.files:
        if each.verdict != "parked":
            continue
        status = on_disk.lstat(each.path)
        regular = status is not None and git_mode(status.st_mode) is not None
        now = repository.objects.hash_blob(on_disk.read(each.path)) if regular else None
        kept = rescues.version(repository, rescue, each.path)
        if now != (kept.oid if kept is not None else None):
            yield each
