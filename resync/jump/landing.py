"""The one jump of a run: from what stands on disk and in the index to what will, as a ``Switch``.

Trees say what is to be; here they are compared with the disk, names are judged before anything is looked for
there, and what git does not have and stands in the way is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from resync import plan as planning
from resync.carry import Carried
from resync.checkout import Checkout, disk_form
from resync.errors import LargeBlob, Refused
from resync.history import tree_changes
from resync.model import MODE_GITLINK, InTheWay, Switch, TreeEntry, TreePath
from resync.repository import Objects, Repository
from resync.worktree.access import folders_of, with_access
from resync.worktree.filters import Filters
from resync.worktree.form import DiskForm
from resync.worktree.names import check_collisions, check_paths, folds
from resync.worktree.settings import WorktreeSettings
from resync.worktree.untracked import untracked_in_the_way

_MOST_FILES = 1_000_000
"""As many files may change in one run: twice what the largest public repositories hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """The ``switch``, and the untracked and ignored files that give way in it. ``to_disk`` gives the form
    that an entry of the new tree takes in the working tree."""

    switch: Switch
    in_the_way: tuple[InTheWay, ...]
    to_disk: planning.ToDisk


def jump(repository: Repository, checkout: Checkout, carried: Carried, filters: Filters) -> Jump:
    """The jump from the trees that ``carried`` has of now to its new ones.

    Raises ``Refused``: ``hostile-path``, ``colliding-names``, ``too-many-files``, what the filters and
    converting raise, and ``changed-meanwhile``.
    """
    objects, settings = repository.objects, filters.settings
    form = disk_form(repository, checkout, carried.new_worktree, filters)
    on_disk, targets = _compare(objects, carried, form)
    _check_names(repository, carried, targets, settings)
    in_the_way = untracked_in_the_way(objects, repository.root, checkout.index, list(targets), settings)
    switch = planning.switch(objects, carried, in_the_way, on_disk, form.after, checkout)
    files = with_access(repository.root, switch.files)
    switch = replace(switch, files=files, folders=folders_of(repository.root, files))
    if objects.promised is not None:
        _bring_promised(objects, switch)
    return Jump(switch=switch, in_the_way=in_the_way, to_disk=form.after)


def _bring_promised(objects: Objects, switch: Switch) -> None:
    """Have everything here that a partial clone left out and that is to stand on disk, before files move."""
    for change in switch.files:
        if change.after is not None and change.after.mode != MODE_GITLINK and change.after.oid not in objects:
            with suppress(LargeBlob):
                objects.blob(change.after.oid)


def _check_names(
    repository: Repository, carried: Carried, targets: Mapping[TreePath, int], settings: WorktreeSettings
) -> None:
    """Refuse new paths that must not be, before anything is looked for there: they may lead elsewhere."""
    check_paths(repository.root, targets.items())
    if targets and folds(settings):
        everything = tree_changes(repository.objects, None, carried.new_worktree)
        check_collisions(targets, (path for path, _, _ in everything), settings)


def _compare(
    objects: Objects, carried: Carried, form: DiskForm
) -> tuple[dict[TreePath, TreeEntry | None], dict[TreePath, int]]:
    """What stands on disk at each tracked path that changes, and the paths (with their new modes) that have
    no file of ours on disk."""
    on_disk: dict[TreePath, TreeEntry | None] = {}
    targets: dict[TreePath, int] = {}
    for number, (path, old, new) in enumerate(tree_changes(objects, carried.worktree, carried.new_worktree)):
        if number >= _MOST_FILES:
            raise _too_many_files()
        was_submodule = old is not None and old.mode == MODE_GITLINK
        if new is not None and new.mode == MODE_GITLINK and (was_submodule or form.is_repository(path)):
            # Its folder is there; what it has checked out is its owner's to update, as with git.
            on_disk[path] = new
        elif old is not None:
            on_disk[path] = form.before(path)
        holds_more = was_submodule and new is not None and new.mode != MODE_GITLINK
        if new is not None and (on_disk.get(path) is None or holds_more):
            targets[path] = new.mode
    return on_disk, targets


def _too_many_files() -> Refused:
    return Refused(
        "too-many-files",
        f"More than {_MOST_FILES:,} files would change. A few small trees can describe more files than any"
        " disk holds. Nothing was changed.",
        "do not use this upstream before somebody has looked at it",
    )
