"""The backup of a run: the rescue branch, and the pins for what does not belong on a branch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from resync.journal import TREES
from resync.model import (
    MODE_FILE,
    MODE_GITLINK,
    NO_CONTENT,
    Backup,
    BranchMove,
    Head,
    IndexRecord,
    InTheWay,
    MoveRefs,
    Oid,
    PathState,
    Plan,
    RefName,
    RefUpdate,
    SetMessage,
    Switch,
    TreeEntry,
    TreePath,
)
from resync.repository import Objects, Repository
from resync.repository.merge_message import read_message
from resync.repository.refs import write_now
from resync.repository.repo import BRANCHES, REMOTES, TAGS
from resync.request import Caller
from resync.worktree.snapshot import snapshot

RUN_REFS = b"refs/resync/"
"""Below it each run keeps what it pins: ``refs/resync/<run>/``."""

_LONGEST_NAME = 200
"""In bytes. A file name may have 255; a rescue branch's has a time and a number too, its lock ``.lock``."""

ORIG_HEAD = RefName(b"ORIG_HEAD")
CHERRY_PICK_HEAD = RefName(b"CHERRY_PICK_HEAD")


def with_backup(
    repository: Repository,
    plan: Plan,
    changes: Sequence[PathState],
    in_the_way: Sequence[InTheWay],
    who: bytes,
    *,
    visible: bool,
) -> Plan:
    """The plan with a backup of everything that it touches as its first step.

    ``changes`` and ``in_the_way`` are what is not committed, ``who`` is ``Name <mail> SECONDS ZONE``.
    With ``visible`` there is a rescue branch; without, the same is only pinned.
    """
    saved = snapshot(repository.objects, plan.head, changes, in_the_way, who)
    rescue = _rescue_branch(repository, plan, plan.head.name, saved.rescue) if visible else None
    sitting = plan.sitting
    kept = {
        "work": saved.rescue,
        "private": saved.private,
        "raw": saved.raw,
        "files": _files_and_index(repository.objects, plan.switches, _messages(plan)),
        "index": next((step.index_file for step in plan.switches), None),
        "upstream": _old_tracked(plan),
        "new": plan.new_tip,
        "aside": sitting.aside if sitting is not None else None,
        "under": sitting.taken.under if sitting is not None and sitting.taken is not None else None,
    }
    branches = tuple(_with_rescue(repository, plan, each) for each in plan.branches)
    pins = [(name.encode(), oid) for name, oid in kept.items() if oid is not None]
    pins += _ends(plan, frozenset(oid for _, oid in pins))
    for each in branches:
        if each.moves:
            pins += [(b"old/" + each.short_name, each.old_tip), (b"moved/" + each.short_name, each.new_tip)]
    named = [(pins_of(plan.id) + name, oid) for name, oid in pins]
    for number, (switch, _) in enumerate(plan.others, start=1):
        sides = (b"files", _files_and_index(repository.objects, [switch], ())), (b"index", switch.index_file)
        named += [(pins_of(plan.id, number) + name, oid) for name, oid in sides if oid is not None]
    refs = [RefUpdate(name=RefName(name), old=None, new=oid, message="resync: backup") for name, oid in named]
    rescues = [each for each in (rescue, *(branch.rescue for branch in branches)) if each is not None]
    backup = Backup(refs=(*rescues, *refs))
    return replace(plan, rescue=rescue, branches=branches, steps=(backup, *plan.steps))


def pins_of(run: str, tree: int | None = None) -> bytes:
    """What the names of a run's refs begin with; with ``tree`` those of another working tree, by number."""
    prefix = b"%s%s/" % (RUN_REFS, run.encode())
    return prefix if tree is None else b"%s%s/%d/" % (prefix, TREES.encode(), tree)


def _with_rescue(repository: Repository, plan: Plan, branch: BranchMove) -> BranchMove:
    """The branch with a rescue branch of its own, where it moves and leaves something behind."""
    if not (branch.moves and branch.waits):
        return branch
    return replace(branch, rescue=_rescue_branch(repository, plan, branch.short_name, branch.old_tip))


def pin_autostash(repository: Repository, caller: Caller) -> None:
    """Pin what a rebase or merge that is under way put aside: only a file names it, which no gc looks at."""
    for name in ("rebase-merge/autostash", "rebase-apply/autostash", "MERGE_AUTOSTASH"):
        with suppress(OSError), open(os.path.join(repository.git_dir, name), "rb") as file:
            oid = Oid(file.read(_LONGEST_NAME).strip())
            ref = RefName(RUN_REFS + b"autostash/" + oid)
            whole = len(oid) == repository.objects.hex_length
            if whole and oid in repository.objects and repository.ref(ref) is None:
                update = RefUpdate(name=ref, old=None, new=oid, message="resync: autostash")
                write_now(repository, [update], caller.signed(repository.identity()))


def move_head(repository: Repository, head: Head, tip: Oid, message: str) -> tuple[RefUpdate, ...]:
    """The updates that put the branch (or a detached HEAD) elsewhere, and ORIG_HEAD where it was."""
    return (
        RefUpdate(name=ORIG_HEAD, old=repository.ref(ORIG_HEAD), new=head.tip, message="resync"),
        RefUpdate(name=head.branch or RefName(b"HEAD"), old=head.tip, new=tip, message=message),
    )


def move_pick(repository: Repository, commit: Oid | None) -> tuple[RefUpdate, ...]:
    """The update that makes git think of ``commit`` as the one that is being picked (None: of none)."""
    old = repository.ref(CHERRY_PICK_HEAD)
    if old == commit:
        return ()
    return (RefUpdate(name=CHERRY_PICK_HEAD, old=old, new=commit, message="resync"),)


def set_message(repository: Repository, message: bytes | None) -> tuple[SetMessage, ...]:
    """The step that puts a message for the commit to come into ``MERGE_MSG`` (None: takes it away)."""
    data, objects = read_message(repository), repository.objects
    if data == message:
        return ()
    before, after = (objects.add_blob(each) if each is not None else None for each in (data, message))
    return (SetMessage(before=before, after=after),)


def _rescue_branch(repository: Repository, plan: Plan, short_name: bytes, oid: Oid) -> RefUpdate:
    """The rescue branch of a branch, under a name that nobody has and that can stand beside all others."""
    taken = repository.refs(BRANCHES)
    branch, slash, last = short_name.rpartition(b"/")
    last = _shortened(last) + b"-" + plan.id.partition("-")[0].encode()
    folder = b"rescue/"
    while True:
        wanted = name = BRANCHES + folder + branch + slash + last
        number = 1
        while name in taken:
            number += 1
            name = wanted + b"-%d" % number
        if not any(name.startswith(other + b"/") or other.startswith(name + b"/") for other in taken):
            return RefUpdate(name=RefName(name), old=None, new=oid, message="resync: backup")
        # A branch is named as our folder is.
        folder = b"resync-" + folder


def _shortened(name: bytes) -> bytes:
    """A name that leaves room in a file name for a time, a number and git's ``.lock``."""
    return name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME].decode("utf-8", "ignore").encode()


def _files_and_index(
    objects: Objects, switches: Sequence[Switch], messages: Iterable[tuple[TreePath, TreeEntry | None]]
) -> Oid | None:
    """A tree of every file that changes, as it is on disk before and after and as it will be staged.

    Most of these bytes are in some commit as well. Those of ignored files, of files whose line ends are
    converted, and of a staged edit below an unstaged one are not, and an interrupted run needs them all.
    """
    sides: dict[bytes, Iterable[tuple[TreePath, TreeEntry | IndexRecord | None]]] = {
        b"before": ((change.path, change.before) for step in switches for change in step.files),
        b"after": ((change.path, change.after) for step in switches for change in step.files),
        b"staged": (
            (change.path, change.after)
            for step in switches
            for change in step.index
            if not change.stage and not (change.after is not None and change.after.intent_to_add)
        ),
        b"message": messages,
    }
    for stage in (1, 2, 3):
        # Sides of a conflict: what a person put there, and what a merge made, are nowhere else.
        changes = [change for step in switches for change in step.index if change.stage == stage]
        sides[b"was%d" % stage] = [(change.path, change.before) for change in changes]
        sides[b"side%d" % stage] = [(change.path, change.after) for change in changes]
    entries = {
        TreePath(side + b"/" + path): TreeEntry(kept.mode, kept.oid)
        for side, changes in sides.items()
        for path, kept in changes
        if kept is not None and kept.mode != MODE_GITLINK and kept.oid != NO_CONTENT
    }
    return objects.edit_tree(None, entries) if entries else None


def _messages(plan: Plan) -> Iterator[tuple[TreePath, TreeEntry | None]]:
    for step in plan.steps:
        if isinstance(step, SetMessage):
            for name, oid in ((b"before", step.before), (b"after", step.after)):
                yield TreePath(name), TreeEntry(MODE_FILE, oid) if oid is not None else None


def _ends(plan: Plan, kept: frozenset[Oid]) -> Iterator[tuple[bytes, Oid]]:
    """What tags and remote-tracking branches name before and after the run, but for what is ``kept`` already.

    An undo takes a tag away that the run fetched, and with it the last name of the tag's object, which the
    undo of that undo has to find.
    """
    for step in plan.steps:
        if isinstance(step, MoveRefs):
            for update in step.updates:
                if update.name.startswith((TAGS, REMOTES)):
                    name = update.name.removeprefix(b"refs/")
                    for side, oid in ((b"was/", update.old), (b"is/", update.new)):
                        if oid is not None and oid not in kept:
                            yield side + name, oid


def _old_tracked(plan: Plan) -> Oid | None:
    """Where the remote-tracking branch stood, if the plan moves it."""
    for step in plan.steps:
        if isinstance(step, MoveRefs):
            for update in step.updates:
                if update.name.startswith(REMOTES):
                    return update.old
    return None
