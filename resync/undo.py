"""Undo: the inverse of an earlier run, planned as a run of its own with its own backup.

What has changed since is found and saved first; then branch, index and files go back to how they were.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from resync import plan as planning
from resync.backup import CHERRY_PICK_HEAD, ORIG_HEAD, RUN_REFS, move_head, with_backup
from resync.checkout import Checkout, programs_for, read_checkout
from resync.errors import Refused
from resync.history import open_history, tree_changes
from resync.holds import done_on, turned_away
from resync.journal import Journal, Journals
from resync.jump import Along
from resync.model import (
    MODE_GITLINK,
    BranchMove,
    FileChange,
    Head,
    IndexChange,
    IndexRecord,
    InTheWay,
    LocalCommit,
    LocalFile,
    MoveRefs,
    Note,
    Oid,
    Plan,
    RefName,
    RefUpdate,
    SetMessage,
    Switch,
    TreeEntry,
    TreePath,
)
from resync.repository import Repository
from resync.repository.merge_message import read_message
from resync.repository.repo import BRANCHES
from resync.repository.trees import other_checkout
from resync.request import Caller, Progress
from resync.rescue import read
from resync.whole import whole
from resync.worktree.access import folders_of, with_access
from resync.worktree.filters import Filters
from resync.worktree.form import DiskForm
from resync.worktree.settings import WorktreeSettings
from resync.worktree.untracked import untracked_in_the_way


def choose(journals: Journals, run: str | None) -> Journal:
    """The run to undo: the named one, else the last that changed something. A sitting counts as one run,
    which has the name of its first.

    Raises ``Refused``: ``nothing-to-undo``, ``other-worktree``, ``unknown-run``, ``already-undone``.
    """
    if run is None:
        for entry, _ in journals.finished():
            return whole(journals, entry.run)
        along = journals.last_along()
        if along is not None:
            place = along.plan.checkout
            raise Refused(
                "other-worktree",
                f"Run {along.plan.id} of another working tree, {place}, has moved this one along; it can only"
                " be undone there. Nothing was changed.",
                f"cd {shlex.quote(place)} && resync undo {along.plan.id}",
            )
        raise Refused(
            "nothing-to-undo", "No run has changed anything here. Nothing was changed.", "resync log"
        )
    journal = journals.load(run)
    if journal.state != "done":
        raise Refused("nothing-to-undo", f"Run {run} changed nothing. Nothing was changed.", "resync log")
    if run not in [entry.run for entry in journals.entries()]:
        raise Refused(
            "other-worktree",
            f"Run {run} was made in another working tree, {journal.plan.checkout}. Nothing was changed.",
            f"cd {shlex.quote(journal.plan.checkout)} && resync undo {run}",
        )
    journal = whole(journals, run)
    for later, stands in journals.finished():
        if stands and later.undoes == journal.plan.id:
            raise Refused(
                "already-undone",
                f"Run {run} was undone by run {later.run}. Nothing was changed.",
                f"resync undo {later.run}    # takes that back",
            )
    return journal


def rehearse_undo(
    repository: Repository,
    journal: Journal,
    caller: Caller,
    settings: WorktreeSettings,
    progress: Progress,
    *,
    discard_newer: bool,
) -> Plan:
    """The plan that brings branch, index and files back to how they were before the run.

    Raises ``Refused``: ``backup-missing``, ``other-branch`` where something else is checked out by now,
    ``newer-commits`` where commits were made since, or the branch was moved, and ``discard_newer`` was not
    said (they are on the rescue branch either way), and whatever reading the checkout refuses.
    """
    undone, head = journal.plan, repository.head()
    sitting = undone.sitting if undone.halted else None
    if repository.ref(_work(undone)) is None:
        raise _missing_backup(undone)
    if head.branch != undone.head.branch:
        name = undone.head.name.decode("utf-8", "replace")
        raise Refused(
            "other-branch",
            f"Run {undone.id} was made on {name}, which is not what is checked out. Nothing was changed.",
            f"git checkout {name} && resync {'abort' if sitting is not None else 'undo ' + undone.id}",
        )
    since = _Since(repository, Journals(repository), undone, head)
    if since.somebody_moved and not discard_newer:
        raise Refused(
            "newer-commits",
            f"{head.name.decode('utf-8', 'replace')} has moved since run {undone.id}; undoing that run would"
            " take the newer commits off it. Nothing was changed.",
            f"resync undo {undone.id}    # shows them, and asks",
            f"resync undo {undone.id} --yes --discard-newer    # keeps them on a rescue branch only",
        )
    # Files go back to the bytes that they had: a filter that is gone by now must not stand in the way.
    programs = programs_for(repository, settings)
    with Filters(settings, programs, lenient=True, progress=progress) as filters:
        checkout = read_checkout(repository, head, settings, filters, sitting=sitting)
        return _plan_back(repository, undone, since, checkout, caller, settings, filters)


def _plan_back(
    repository: Repository,
    undone: Plan,
    since: _Since,
    checkout: Checkout,
    caller: Caller,
    settings: WorktreeSettings,
    filters: Filters,
) -> Plan:
    head = since.head
    who = caller.signed(repository.identity())
    back = _Back(repository, checkout, head, settings, filters)
    changes = list(undone.file_changes)
    records = [change for step in undone.switches for change in step.index]
    updates = [update for step in undone.steps if isinstance(step, MoveRefs) for update in step.updates]
    along = Along(repository, settings)
    staying = _staying(repository, undone, updates, along)
    updates = [update for update in updates if update.name not in staying]
    files, entries = back.newer(undone, changes, records)
    changes += files
    records += entries
    in_the_way = back.in_the_way(changes)
    final = with_access(repository.root, back.files(changes, in_the_way))
    switch = Switch(
        files=final,
        index=tuple(back.index(records, final)),
        index_file=checkout.index_file,
        folders=folders_of(repository.root, final, undone.folders),
    )
    plan = Plan(
        id=caller.run,
        checkout=repository.root,
        head=head,
        new_tip=undone.head.tip,
        upstream=None,
        commits=since.commits,
        files=back.edits(changes, records, final, in_the_way),
        rescue=None,
        steps=(
            switch,
            *along.switches,
            MoveRefs(updates=tuple(back.refs(updates, undone))),
            *_message_back(repository, undone),
        ),
        undoes=undone.id,
        # Who gives up in the middle has not turned away from where upstream is.
        holds=None if undone.halted else turned_away(Journals(repository), undone),
        notes=(*filters.notes, *(_stays(name, why) for name, why in staying.items())),
        branches=tuple(_gone_back(updates, along)),
    )
    return with_backup(repository, plan, checkout.changes, in_the_way, who, visible=True)


def _message_back(repository: Repository, undone: Plan) -> Iterator[SetMessage]:
    """The step that puts git's message for the next commit back, where the run left one that still stands or
    took one away."""
    data = read_message(repository)
    now = repository.objects.add_blob(data) if data is not None else None
    for step in undone.steps:
        if isinstance(step, SetMessage) and step.before != now:
            yield SetMessage(before=now, after=step.before)


def _staying(
    repository: Repository, undone: Plan, updates: Sequence[RefUpdate], along: Along
) -> dict[RefName, str]:
    """The branches that would move back and that another working tree has checked out, and why they stay:
    moved under it, its files would all look edited there, and the next commit would undo what upstream did.

    A tree that moved along in the run goes back ``along`` with its branch, if it is as the run has left it.
    """
    moved = {tree.branch: (switch, tree) for switch, tree in undone.others}
    staying = {}
    for update in updates:
        now, reason = repository.ref(update.name), ""
        if update.name in moved and now not in (update.new, update.old, None):
            reason = "it has moved since"
        elif not update.name.startswith(BRANCHES) or now != update.new:
            continue
        elif update.name in moved and update.new is not None and update.old is not None:
            reason = along.take_back(*moved[update.name], update.new, update.old)
        elif where := other_checkout(repository, update.name):
            reason = f"it is checked out in {where}"
        if reason:
            staying[update.name] = reason
    return staying


def _stays(name: RefName, reason: str) -> Note:
    branch = name.removeprefix(BRANCHES).decode("utf-8", "backslashreplace")
    return Note(None, f"branch {branch} stays where it is, because {reason}")


def _gone_back(updates: Sequence[RefUpdate], along: Along) -> Iterator[BranchMove]:
    """The branches that go back with another working tree."""
    trees = {step.tree.branch: step.tree for step in along.switches if step.tree is not None}
    for update in updates:
        if update.name in trees and update.old is not None and update.new is not None:
            yield BranchMove(
                name=update.name,
                old_tip=update.new,
                new_tip=update.old,
                moves=True,
                reason="",
                waits=False,
                commits=(),
                worktree=trees[update.name].root,
            )


def _work(run: Plan) -> RefName:
    """The pin of what a run backed up."""
    return RefName(RUN_REFS + run.id.encode() + b"/work")


def _missing_backup(undone: Plan) -> Refused:
    """The refusal to undo a run whose backup somebody has removed."""
    return Refused(
        "backup-missing",
        f"The backup of run {undone.id} was dropped (refs/resync/{undone.id} is gone), so the run cannot be"
        " undone. Nothing was changed.",
        "resync log    # tells which there are, for resync undo RUN",
    )


class _Since:
    """What has become of the branch since a run: later runs moved it on, people made commits.

    ``head`` is what is checked out now, ``commits`` are those of people's that go off the branch with the
    run, oldest first: neither upstream's nor the copies that later runs made of what was there before.
    """

    def __init__(self, repository: Repository, journals: Journals, undone: Plan, head: Head) -> None:
        self.head = head
        self.commits: tuple[LocalCommit, ...] = ()
        self.somebody_moved = False
        if head.tip == undone.new_tip:
            return
        runs = list(done_on(journals, head.branch))
        self.commits = tuple(self._newer(repository, runs, undone.new_tip))
        left_by_runs = {tip for plan in runs for tip in (plan.head.tip, plan.new_tip)}
        self.somebody_moved = bool(self.commits) or head.tip not in left_by_runs

    def _newer(self, repository: Repository, runs: Sequence[Plan], base: Oid) -> Iterator[LocalCommit]:
        upstreams = [plan.upstream for plan in runs if plan.upstream is not None]
        theirs = {upstream.new_tip for upstream in upstreams}
        theirs |= {repository.ref(each.tracking) for each in upstreams if each.tracking is not None}
        history = open_history(repository)
        known = [oid for oid in theirs if oid is not None and repository.objects.is_commit(oid)]
        moved = [plan.commits for plan in runs] + [each.commits for plan in runs for each in plan.branches]
        copied = {each.new_oid: each.oid for commits in moved for each in commits}
        for oid in history.topological(history.reachable([self.head.tip], [base, *known])):
            if any(history.is_ancestor(each, base) for each in _copied_from(oid, copied)):
                continue
            commit = repository.objects.commit(oid)
            yield LocalCommit(
                oid=oid,
                subject=commit.subject,
                author=commit.author,
                verdict="parked",
                reason="it was made since the run",
                merge=len(commit.parents) > 1,
            )


def _copied_from(oid: Oid, copied: Mapping[Oid | None, Oid]) -> Iterator[Oid]:
    """The commits that one was made of by run after run, ``copied`` saying which became which."""
    met = {oid}
    while (origin := copied.get(oid)) is not None and origin not in met:
        met.add(origin)
        yield origin
        oid = origin


class _Back:
    """Compares what a run left behind with what stands there now."""

    def __init__(
        self,
        repository: Repository,
        checkout: Checkout,
        head: Head,
        settings: WorktreeSettings,
        filters: Filters,
    ) -> None:
        self._repository = repository
        self._checkout = checkout
        self._head = head
        self._settings = settings
        self._form = DiskForm(
            repository.objects,
            repository.root,
            checkout.index,
            checkout.index_mtime_ns,
            checkout.changes,
            repository.objects.commit(head.tip).tree,
            settings,
            filters,
        )
        self._tracked = checkout.index.entries.keys() | {each.path for each in checkout.changes}

    def in_the_way(self, changes: Sequence[FileChange]) -> tuple[InTheWay, ...]:
        """What git does not have and stands where files come back."""
        return untracked_in_the_way(
            self._repository.objects,
            self._repository.root,
            self._checkout.index,
            [
                change.path
                for change in changes
                if change.path not in self._tracked and not self._has_its_folder(change)
            ],
            self._settings,
        )

    def files(self, changes: Sequence[FileChange], in_the_way: Sequence[InTheWay]) -> tuple[FileChange, ...]:
        """The changes from what stands on disk now to what stood there before the run."""
        back: dict[TreePath, FileChange] = {
            each.path: FileChange(path=each.path, before=each.entry, after=None) for each in in_the_way
        }
        for change in changes:
            untracked = back.get(change.path)
            now = untracked.before if untracked is not None else self._now(change)
            if now == change.before:
                back.pop(change.path, None)
            else:
                back[change.path] = FileChange(
                    path=change.path, before=now, after=change.before, access_after=change.access_before
                )
        return tuple(back[path] for path in sorted(back))

    def _has_its_folder(self, change: FileChange) -> bool:
        """Whether a submodule comes back that has a folder, with whatever is in it."""
        submodule = change.before is not None and change.before.mode == MODE_GITLINK
        return submodule and self._form.is_folder(change.path)

    def edits(
        self,
        changes: Sequence[FileChange],
        records: Sequence[IndexChange],
        back: Sequence[FileChange],
        in_the_way: Sequence[InTheWay],
    ) -> tuple[LocalFile, ...]:
        """What was edited since the run and gives way: it is on the rescue branch only.

        ``back`` are the changes that ``files`` made of ``changes``.
        """
        going = {change.path: change.before for change in back}
        left = {change.path: change.after for change in changes}
        indexed = {record.path: record.after for record in records if not record.stage}
        found: list[LocalFile] = []
        for state in self._checkout.changes:
            path = state.path
            if state.unstaged and path in going and going[path] != left.get(path):
                found.append(LocalFile(path=path, state="unstaged", verdict="parked"))
            if state.staged and path in indexed and not _same_content(state.index, indexed[path]):
                found.append(LocalFile(path=path, state="staged", verdict="parked"))
        for each in in_the_way:
            if each.path in going and each.entry != left.get(each.path):
                found.append(LocalFile(path=each.path, state=planning.kind_of(each), verdict="parked"))
        return tuple(sorted(found, key=lambda each: (each.path, each.state)))

    def newer(
        self, undone: Plan, changes: Sequence[FileChange], records: Sequence[IndexChange]
    ) -> tuple[list[FileChange], list[IndexChange]]:
        """What people have changed since at paths that the run did not touch, as changes from how those paths
        were before the run: its backup has them. That is what newer commits have, and in a sitting what was
        committed or staged between its steps."""
        objects = self._repository.objects
        name = _work(undone)
        oid = self._repository.ref(name)
        if oid is None:
            raise _missing_backup(undone)
        kept = read(self._repository, name, oid, undone.id)
        tip = objects.commit(kept.tip).tree
        staged, unstaged = kept.staged or tip, kept.unstaged or tip
        since = undone.new_tip if undone.sitting is None else undone.head.tip
        then, now = (objects.commit(each).tree for each in (since, self._head.tip))
        newer = [path for path, _, _ in tree_changes(objects, then, now)]
        touched = {change.path for change in changes}
        files = []
        for path in newer:
            if path in touched:
                continue
            entry = objects.entry(unstaged, path)
            raw = objects.entry(kept.raw, path) if kept.raw is not None else None
            if raw is not None:
                entry = raw
            elif entry is not None and entry == objects.entry(tip, path):
                entry = self._form.after(path, entry)
            files.append(FileChange(path=path, before=entry, after=None))
        indexed = {record.path for record in records if not record.stage}
        if undone.sitting is None:
            indexed |= touched
        entries = []
        # What conflicted and was not in the index may have been added to it as it was resolved.
        for path in dict.fromkeys((*newer, *(record.path for record in records if record.stage))):
            if path not in indexed:
                had = objects.entry(staged, path)
                before = IndexRecord(mode=had.mode, oid=had.oid) if had is not None else None
                entries.append(IndexChange(path=path, before=before, after=None))
        return files, entries

    def _now(self, change: FileChange) -> TreeEntry | None:
        if change.after is not None and change.after.mode == MODE_GITLINK:
            return change.after
        return self._form.before(change.path) if change.path in self._tracked else None

    def index(self, records: Sequence[IndexChange], back: Sequence[FileChange]) -> Iterator[IndexChange]:
        """The index entries as they are now and as they were before the run.

        Where a file comes ``back`` that is what its entry says, byte for byte, the entry may say so.
        """
        index = self._checkout.index
        files = {change.path: change.after for change in back}
        unmerged = {(each.path, each.stage): each for stages in index.unmerged.values() for each in stages}
        for change in records:
            entry = index.entries.get(change.path)
            after = change.before
            if change.stage:
                entry = unmerged.pop((change.path, change.stage), None)
            elif after is not None and files.get(change.path) == (after.mode, after.oid):
                after = replace(after, in_file=True)
            yield IndexChange(
                path=change.path, stage=change.stage, before=planning.record(entry), after=after
            )
        for (path, stage), entry in unmerged.items():
            yield IndexChange(path=path, stage=stage, before=planning.record(entry), after=None)

    def refs(self, updates: Sequence[RefUpdate], undone: Plan) -> Iterator[RefUpdate]:
        """The branch back in any case, other refs where nobody has moved them since."""
        message = f"resync: undo of {undone.id}"
        if self._head.tip != undone.head.tip:
            yield from move_head(self._repository, self._head, undone.head.tip, message)
        for update in updates:
            now = self._repository.ref(update.name)
            if update.name == CHERRY_PICK_HEAD and now != update.old:
                yield RefUpdate(name=update.name, old=now, new=update.old, message=message)
            mine = update.name in (CHERRY_PICK_HEAD, ORIG_HEAD, self._head.branch, b"HEAD")
            if not mine and self._repository.ref(update.name) == update.new:
                yield update.inverse(message)


def _same_content(entry: TreeEntry | None, record: IndexRecord | None) -> bool:
    if entry is None or record is None:
        return entry is None and record is None
    return (entry.mode, entry.oid) == (record.mode, record.oid)
