"""What a run left behind beside what stands there now: the changes that bring files, index and refs back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from resync import plan as planning
from resync.backup import CHERRY_PICK_HEAD, ORIG_HEAD, RUN_REFS, move_head
from resync.checkout import Checkout, disk_form
from resync.errors import Refused
from resync.history import tree_changes
from resync.model import (
    MODE_GITLINK,
    FileChange,
    Head,
    IndexChange,
    IndexRecord,
    InTheWay,
    LocalFile,
    Plan,
    RefName,
    RefUpdate,
    TreeEntry,
    TreePath,
)
from resync.repository import Repository
from resync.rescue import read
from resync.worktree.filters import Filters
from resync.worktree.untracked import untracked_in_the_way


def backed_up(run: Plan) -> RefName:
    """The pin of what a run backed up."""
    return RefName(RUN_REFS + run.id.encode() + b"/work")


def missing_backup(undone: Plan) -> Refused:
    """The refusal to undo a run whose backup somebody has removed."""
    return Refused(
        "backup-missing",
        f"The backup of run {undone.id} was dropped (refs/resync/{undone.id} is gone), so the run cannot be"
        " undone. Nothing was changed.",
        "resync log    # tells which there are, for resync undo RUN",
    )


class Back:
    """Compares what a run left behind with what stands there now."""

    def __init__(self, repository: Repository, checkout: Checkout, head: Head, filters: Filters) -> None:
        self._repository = repository
        self._checkout = checkout
        self._head = head
        self._settings = filters.settings
        self._form = disk_form(repository, checkout, repository.objects.commit(head.tip).tree, filters)
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
        name = backed_up(undone)
        oid = self._repository.ref(name)
        if oid is None:
            raise missing_backup(undone)
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
