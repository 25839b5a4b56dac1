"""Several runs that are taken back together, as if they had been one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from resync.journal import Journal, Journals
from resync.model import (
    FileChange,
    FolderAccess,
    IndexChange,
    MoveRefs,
    Plan,
    RefName,
    RefUpdate,
    SetMessage,
    Step,
    Switch,
    TreePath,
)


def whole(journals: Journals, run: str) -> Journal:
    """A finished run, or all runs of the sitting that it is a part of, under the name of the first."""
    parts = journals.parts(run)
    first, last = parts[0], parts[-1]
    if first is last:
        return first
    plans = [part.plan for part in parts]
    together = replace(
        first.plan,
        new_tip=last.plan.new_tip,
        commits=tuple(commit for plan in plans for commit in plan.commits),
        steps=tuple(_together(plans)),
        sitting=last.plan.sitting,
    )
    return replace(first, plan=together)


def _together(plans: Sequence[Plan]) -> Iterator[Step]:
    """One step for each kind of them: what was before the first and after the last, for each path and ref."""
    files: dict[TreePath, FileChange] = {}
    index: dict[tuple[TreePath, int], IndexChange] = {}
    others: list[Switch] = []
    folders: dict[TreePath, FolderAccess] = {}
    refs: dict[RefName, RefUpdate] = {}
    message: SetMessage | None = None
    for step in (step for plan in plans for step in plan.steps):
        if isinstance(step, Switch) and step.tree is not None:
            others.append(step)  # only the first run of a sitting has to do with other branches
        elif isinstance(step, Switch):
            for change in step.files:
                known = files.get(change.path, change)
                files[change.path] = replace(change, before=known.before, access_before=known.access_before)
            for folder in step.folders:
                folders.setdefault(folder.path, folder)
            for entry in step.index:
                place = entry.path, entry.stage
                index[place] = replace(entry, before=index.get(place, entry).before)
        elif isinstance(step, MoveRefs):
            for update in step.updates:
                refs[update.name] = replace(update, old=refs.get(update.name, update).old)
        elif isinstance(step, SetMessage):
            message = replace(step, before=(message or step).before)
    yield Switch(
        files=tuple(files.values()),
        index=tuple(index.values()),
        index_file=None,
        folders=tuple(folders.values()),
    )
    yield from others
    yield MoveRefs(updates=tuple(refs.values()))
    if message is not None:
        yield message
