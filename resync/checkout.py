"""What is checked out: index and working tree as they were found, and how merges into it are made."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace

from resync.errors import Refused
from resync.journal import Journals
from resync.merge import MergeOptions
from resync.model import Head, Oid, PathState, Sitting, TreePath
from resync.programs import Programs
from resync.repository import Repository
from resync.repository.durable import fsync
from resync.repository.trees import other_checkout
from resync.request import Caller
from resync.resolutions import Resolutions
from resync.worktree.attributes import tree_attributes
from resync.worktree.drivers import MergeDrivers
from resync.worktree.filters import Filters
from resync.worktree.form import DiskForm
from resync.worktree.index import Index, index_bytes, read_index
from resync.worktree.merging import merge_options
from resync.worktree.settings import WorktreeSettings, read_merge_settings
from resync.worktree.status import read_status


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """Index and working tree as they were found. ``index_file`` is the blob id of the index's bytes."""

    index: Index
    index_mtime_ns: int
    index_file: Oid | None
    changes: tuple[PathState, ...]


def programs_for(repository: Repository, settings: WorktreeSettings) -> Programs:
    """What starts the programs of the user's configuration for this checkout: at its top, as git does."""
    return Programs(folder=repository.root, env=repository.environment, timeout=settings.timeout)


def filters_for(
    repository: Repository, settings: WorktreeSettings, caller: Caller, *, lenient: bool = False
) -> Filters:
    """What runs the filters of this checkout, and tells the caller of it; see ``Filters``."""
    return Filters(settings, programs_for(repository, settings), lenient=lenient, progress=caller.progress)


def merge_options_at(repository: Repository, tree: Oid, settings: WorktreeSettings) -> MergeOptions:
    """How merges onto ``tree`` are made: by its attributes, the user's configuration, and how conflicts were
    resolved before."""
    merging = read_merge_settings(repository.config)
    drivers = MergeDrivers(merging.drivers, programs_for(repository, settings), Journals(repository).folder)
    attributes = tree_attributes(repository.objects, tree, settings)
    recordings = Resolutions(repository).recordings(attributes, settings)
    return replace(merge_options(attributes, merging, drivers.run), recordings=recordings)


def read_checkout(
    repository: Repository, head: Head, filters: Filters, *, sitting: Sitting | None = None
) -> Checkout:
    """Read index and working tree; the bytes of whatever is edited go to the object store's memory.

    While a person resolves conflicts (``sitting``), a cherry-pick may be under way and what was taken may be
    unmerged. Raises ``Refused``: ``operation-in-progress``, ``checked-out-elsewhere``, ``unmerged-paths``,
    and what index and status refuse.
    """
    repository.refuse_operation(but="cherry-pick" if sitting is not None else None)
    elsewhere = other_checkout(repository, head.branch) if head.branch is not None else None
    if elsewhere is not None:
        raise Refused(
            "checked-out-elsewhere",
            f"{os.fsdecode(head.name)} is checked out in {elsewhere} as well; moving it would leave the files"
            " there behind, as if somebody had edited them all. Nothing was changed.",
            f"git -C {shlex.quote(elsewhere)} checkout --detach",
        )
    objects = repository.objects
    # Read once: what is planned with, what is backed up and what is compared later are the same bytes.
    data, modified = index_bytes(repository.index_path)
    try:
        index = read_index(data, hex_length=objects.hex_length) if data is not None else Index()
    except Refused as error:
        if error.kind == "corrupt-index" and data is not None:
            error.hint += f"\na copy of it as it is: {_keep_copy(repository, data)}"
        raise
    if not index.unmerged.keys() <= _may_be_unmerged(sitting):
        raise Refused(
            "unmerged-paths",
            f"The index has unmerged paths ({len(index.unmerged)}) of a merge that nobody finished."
            " Nothing was changed.",
            "git status",
        )
    tree = objects.commit(head.tip).tree
    changes = read_status(objects, repository.root, index, modified, tree, filters.settings, filters)
    return Checkout(
        index=index,
        index_mtime_ns=modified,
        index_file=objects.add_blob(data) if data is not None else None,
        changes=changes,
    )


def disk_form(repository: Repository, checkout: Checkout, tree: Oid, filters: Filters) -> DiskForm:
    """What stands on disk, and will where ``tree`` is checked out in place of what is there."""
    return DiskForm(
        repository.objects,
        repository.root,
        checkout.index,
        checkout.index_mtime_ns,
        checkout.changes,
        tree,
        filters.settings,
        filters,
    )


def _may_be_unmerged(sitting: Sitting | None) -> frozenset[TreePath]:
    if sitting is None or sitting.taken is None:
        return frozenset()
    return frozenset({*sitting.taken.paths, *sitting.taken.conflicts})


def _keep_copy(repository: Repository, data: bytes) -> str:
    """Keep the bytes of an index that cannot be read: what helps against it makes a new one in its place."""
    name = f"index-{repository.objects.hash_blob(data)[:10].decode()}"
    path = os.path.join(repository.common_dir, "resync", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        fsync(file.fileno())
    return path
