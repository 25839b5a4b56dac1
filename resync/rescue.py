"""Rescue branches: which there are, what each keeps, and getting single files out of them."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from resync.backup import RUN_REFS
from resync.errors import Refused, UsageError
from resync.history import tree_changes
from resync.journal import Entry, Journals
from resync.model import (
    MODE_GITLINK,
    LocalFile,
    Oid,
    PathKind,
    RefName,
    TreeEntry,
    TreePath,
)
from resync.repository import Repository
from resync.repository.repo import BRANCHES
from resync.worktree.names import check_paths
from resync.worktree.place import place
from resync.worktree.snapshot import is_snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class RescueBranch:
    """A rescue branch. ``tip`` is the branch's tip as it was backed up; the trees are what was not
    committed: working tree, index, untracked files in the way, ignored files in the way (None: none).

    ``raw`` has files of the working tree as they were before a filter cleaned them. ``ignored`` has
    untracked files that go through a filter as well: neither is on the branch itself. ``when`` it was made is
    in seconds since 1970; it and ``run`` are None for a branch that no run here is known to have made."""

    name: RefName
    oid: Oid
    run: str | None
    tip: Oid
    when: int | None = None
    unstaged: Oid | None = None
    staged: Oid | None = None
    untracked: Oid | None = None
    ignored: Oid | None = None
    raw: Oid | None = None

    @property
    def short_name(self) -> bytes:
        """The branch as people say it."""
        return self.name.removeprefix(BRANCHES)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """One file that a rescue branch keeps; ``entry`` None: it was deleted."""

    path: TreePath
    state: PathKind
    entry: TreeEntry | None


def branches(repository: Repository, journals: Journals) -> tuple[RescueBranch, ...]:
    """Every rescue branch, the newest run's first; branches of that kind without a record come last."""
    recorded: dict[RefName, Entry] = {}
    for entry in reversed(journals.everywhere()):
        rescue = journals.load(entry.run, steps=False).plan.rescue
        if rescue is not None:
            recorded[rescue.name] = entry
    refs = repository.refs(BRANCHES)
    named = [name for name in recorded if name in refs]
    others = [name for name in refs if name.startswith(BRANCHES + b"rescue/") and name not in recorded]
    found = [
        replace(read(repository, name, refs[name], recorded[name].run), when=recorded[name].when)
        for name in named
    ]
    return (*found, *(read(repository, name, refs[name], None) for name in others))


def read(repository: Repository, name: RefName, oid: Oid, run: str | None) -> RescueBranch:
    """What the rescue branch ``name`` of the run ``run`` keeps, by its shape."""
    objects = repository.objects
    pins = RUN_REFS + run.encode() if run is not None else None
    private = repository.ref(RefName(pins + b"/private")) if pins is not None else None
    raw = repository.ref(RefName(pins + b"/raw")) if pins is not None else None
    commit = objects.commit(oid)
    if not is_snapshot(commit):
        return RescueBranch(name=name, oid=oid, run=run, tip=oid, ignored=private)
    untracked = objects.commit(commit.parents[2]).tree if len(commit.parents) > 2 else None
    return RescueBranch(
        name=name,
        oid=oid,
        run=run,
        tip=commit.parents[0],
        unstaged=commit.tree,
        staged=objects.commit(commit.parents[1]).tree,
        untracked=untracked,
        ignored=private,
        raw=raw,
    )


def choose(rescues: tuple[RescueBranch, ...], wanted: str | None) -> RescueBranch:
    """The rescue branch that is meant: by its name or its run's, else the newest.

    Raises ``Refused("no-rescue")``, ``UsageError("unknown-rescue")``.
    """
    if not rescues:
        raise Refused("no-rescue", "There is no rescue branch here. Nothing was changed.")
    if wanted is None:
        return rescues[0]
    name = os.fsencode(wanted)
    for each in rescues:
        if name in (each.name, each.short_name) or wanted == each.run:
            return each
    raise UsageError(
        "unknown-rescue", f"There is no rescue branch {wanted}. Nothing was changed.", "resync rescue list"
    )


def files(
    repository: Repository, rescue: RescueBranch, planned: Iterable[LocalFile] = ()
) -> Iterator[KeptFile]:
    """Every uncommitted file that the rescue branch keeps; ``planned`` are those of its run's plan.

    Files that are pinned and on no branch were ignored, or are untracked ones that a filter would clean: only
    the plan tells which.
    """
    untracked = {each.path for each in planned if each.state == "untracked"}
    objects = repository.objects
    tip = objects.commit(rescue.tip).tree
    raw = {path: entry for path, _, entry in tree_changes(objects, None, rescue.raw)} if rescue.raw else {}
    if rescue.staged is not None and rescue.unstaged is not None:
        staged = {path: entry for path, _, entry in tree_changes(objects, tip, rescue.staged)}
        unstaged = {
            path: raw.get(path, entry)
            for path, _, entry in tree_changes(objects, rescue.staged, rescue.unstaged)
        }
        # One that no filter could clean is not on the branch at all.
        unstaged.update((path, entry) for path, entry in raw.items() if path not in staged)
        for path, entry in staged.items():
            yield KeptFile(path=path, state="staged", entry=entry)
        for path, entry in sorted(unstaged.items()):
            yield KeptFile(path=path, state="unstaged", entry=entry)
    if rescue.untracked is not None:
        for path, _, entry in tree_changes(objects, None, rescue.untracked):
            yield KeptFile(path=path, state="untracked", entry=entry)
    if rescue.ignored is not None:
        for path, _, entry in tree_changes(objects, None, rescue.ignored):
            yield KeptFile(path=path, state="untracked" if path in untracked else "ignored", entry=entry)


def version(repository: Repository, rescue: RescueBranch, path: TreePath) -> TreeEntry | None:
    """The file as it stood in the working tree when it was backed up, or None where it did not."""
    objects = repository.objects
    for tree in (
        rescue.raw,
        rescue.ignored,
        rescue.untracked,
        rescue.unstaged,
        objects.commit(rescue.tip).tree,
    ):
        entry = objects.entry(tree, path) if tree is not None else None
        if entry is not None:
            return entry
    return None


def restore(
    repository: Repository, rescue: RescueBranch, path: TreePath, folder: str | None
) -> tuple[str, int]:
    """Write a file that the rescue branch keeps; return where it is now, and its size in bytes.

    It goes to its own place, or to the same path below ``folder`` (an absolute path). Nothing is ever
    overwritten: raises ``Refused("file-exists")`` where another file is there, ``not-in-rescue`` where the
    branch does not keep the path, ``hostile-path`` for a path that could lead elsewhere.
    """
    entry = version(repository, rescue, path)
    if entry is None or entry.mode == MODE_GITLINK or stat.S_ISDIR(entry.mode):
        raise Refused(
            "not-in-rescue",
            f"{os.fsdecode(rescue.short_name)} keeps no file {os.fsdecode(path)!r}. Nothing was changed.",
            f"resync rescue show {shlex.quote(os.fsdecode(rescue.short_name))}",
        )
    root = folder if folder is not None else repository.root
    check_paths(root, [(path, entry.mode)])
    target = os.path.join(root, os.fsdecode(path))
    if not place(root, path, entry, repository.objects):
        what, branch = shlex.quote(os.fsdecode(path)), shlex.quote(os.fsdecode(rescue.short_name))
        raise Refused(
            "file-exists",
            f"{target} is there already, with other bytes. Nothing was changed.",
            f"resync rescue restore {what} --from {branch} --to ../rescued    # then compare the two",
        )
    return target, repository.objects.size(entry.oid)
