"""Notes that follow their commits when these are made anew, as with git's rebase.

The settings are those of git-config(1): ``notes.rewriteRef`` (nothing follows without it),
``notes.rewrite.rebase`` and ``notes.rewriteMode``, with ``GIT_NOTES_REWRITE_REF`` and
``GIT_NOTES_REWRITE_MODE`` before them. A notes ref names a commit whose tree has a blob for each annotated
object, at the object's id, or with slashes behind some of its first pairs of digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TypeAlias

from resync.backup import RUN_REFS
from resync.errors import UsageError
from resync.model import (
    MODE_FILE,
    MODE_TREE,
    Backup,
    MoveRefs,
    Note,
    Oid,
    Plan,
    RefName,
    RefUpdate,
    SetMessage,
    Step,
    Switch,
    TreeEntry,
    TreePath,
)
from resync.repository import Objects, Repository
from resync.rewrites import rewrites
from resync.worktree.settings import boolean

NOTES = b"refs/notes/"

_ENV_REFS = "GIT_NOTES_REWRITE_REF"
_ENV_MODE = "GIT_NOTES_REWRITE_MODE"

_Combine: TypeAlias = Callable[[Objects, Oid | None, Oid | None], Oid | None]
"""Of the note that is there and the one that comes, one of which may be missing: the blob that is to stand
there, None for no note."""


def with_notes(repository: Repository, plan: Plan, who: bytes) -> Plan:
    """The plan with the notes refs among the refs that it moves, and pinned by its backup.

    ``who`` is ``Name <mail> SECONDS ZONE``. What an earlier call gave the plan is made anew, because its
    commits may have got other ids since. Raises ``UsageError("bad-config")``.
    """
    objects, pairs = repository.objects, rewrites(repository.objects, plan)
    names, left_out = _names(repository) if pairs else ((), ())
    combine = _MODES[_mode(repository)] if names else _concatenated
    updates = []
    for name in names:
        old = repository.ref(name)
        if old is None or not objects.is_commit(old):
            continue
        before = objects.commit(old).tree
        after = objects.edit_tree(before, _changes(objects, before, pairs, combine))
        if after != before:
            new = _commit(objects, after, old, who)
            updates.append(
                RefUpdate(name=name, old=old, new=new, message="resync: notes follow their commits")
            )
    known = {each.text for each in plan.notes}
    return replace(
        plan,
        steps=tuple(_step(step, updates, plan.id) for step in plan.steps),
        notes=(*plan.notes, *(Note(None, text) for text in left_out if text not in known)),
    )


def _step(step: Step, updates: Sequence[RefUpdate], run: str) -> Step:
    """A step with the notes refs of an earlier call replaced by these."""
    match step:
        case Backup():
            pins = b"%s%s/notes/" % (RUN_REFS, run.encode())
            kept = [each for each in step.refs if not each.name.startswith(pins)]
            kept += (
                RefUpdate(
                    name=RefName(pins + each.name.removeprefix(NOTES)),
                    old=None,
                    new=each.new,
                    message="resync: backup",
                )
                for each in updates
            )
            return replace(step, refs=tuple(kept))
        case MoveRefs():
            others = (each for each in step.updates if not each.name.startswith(NOTES))
            return replace(step, updates=(*others, *updates))
        case Switch() | SetMessage():
            return step


# --- which refs, and how -------------------------------------------------------------------------------


def _names(repository: Repository) -> tuple[tuple[RefName, ...], tuple[str, ...]]:
    """The notes refs whose notes follow, and a sentence on each setting that names none."""
    if not boolean(repository.config, (b"notes", b"rewrite"), "rebase", True):
        return (), ()
    env = repository.environment.get(_ENV_REFS)
    patterns = repository.config_all("notes", "rewriteRef") if env is None else env.split(":")
    here = repository.refs(NOTES) if patterns else {}
    found: list[RefName] = []
    left_out: list[str] = []
    for pattern in filter(None, patterns):
        if not pattern.startswith(NOTES.decode()):
            # git does not either, where a setting says so: any other ref holds no notes.
            left_out.append(f"notes do not follow in {pattern}, which is not below refs/notes/")
            continue
        found += (
            name
            for name in sorted(here)
            if fnmatchcase(name.decode("utf-8", "surrogateescape"), pattern)
            and not repository.is_symbolic(name)
        )
    return tuple(dict.fromkeys(found)), tuple(left_out)


def _mode(repository: Repository) -> str:
    """How a note is combined with one that its new commit has already."""
    env = repository.environment.get(_ENV_MODE)
    mode = env or repository.config_text("notes", "rewriteMode") or "concatenate"
    if mode.lower() not in _MODES:
        where = _ENV_MODE if env else "notes.rewriteMode"
        raise UsageError(
            "bad-config",
            f"{where} is {mode!r}, which git does not know. Nothing was changed.",
            f"one of {', '.join(_MODES)}",
        )
    return mode.lower()


# --- the trees of notes refs ---------------------------------------------------------------------------


def _changes(
    objects: Objects, tree: Oid, pairs: Sequence[tuple[Oid, Oid]], combine: _Combine
) -> dict[TreePath, TreeEntry | None]:
    """The paths of a notes tree that change where each new commit gets the notes of the old one."""
    changed: dict[TreePath, TreeEntry | None] = {}

    def find(oid: Oid) -> tuple[TreePath, Oid] | None:
        for path in _paths(objects, tree, oid):
            entry = changed[path] if path in changed else objects.entry(tree, path)
            if entry is not None and entry.mode != MODE_TREE:
                return path, entry.oid
        return None

    for old, new in pairs:
        note, there = find(old), find(new)
        if note is None and there is None:
            continue
        if there is not None:
            path, now = there
        else:
            assert note is not None
            path, now = _beside(note[0], new), None
        if note is not None and note[1] == now:
            continue
        oid = combine(objects, now, note[1] if note is not None else None)
        changed[path] = TreeEntry(MODE_FILE, oid) if oid is not None else None
    return changed


def _paths(objects: Objects, tree: Oid, oid: Oid) -> Iterator[TreePath]:
    """Where the note of an object may stand: below as many folders as the tree has for it, or fewer."""
    folder, rest = b"", bytes(oid)
    while True:
        yield TreePath(folder + rest)
        below = objects.tree(tree).get(rest[:2])
        if len(rest) <= 2 or below is None or below.mode != MODE_TREE:
            return
        folder, rest, tree = folder + rest[:2] + b"/", rest[2:], below.oid


def _beside(path: TreePath, oid: Oid) -> TreePath:
    """The path of an object's note below as many folders as another note has; git reads them at any depth."""
    depth = path.count(b"/")
    return TreePath(b"/".join([*(oid[2 * at : 2 * at + 2] for at in range(depth)), oid[2 * depth :]]))


def _commit(objects: Objects, tree: Oid, parent: Oid, who: bytes) -> Oid:
    lines = (b"tree " + tree, b"parent " + parent, b"author " + who, b"committer " + who)
    return objects.add_commit(b"\n".join(lines) + b"\n\nNotes follow their commits: resync\n")


# --- how notes are combined ----------------------------------------------------------------------------


def _overwritten(objects: Objects, now: Oid | None, new: Oid | None) -> Oid | None:
    return new


def _ignored(objects: Objects, now: Oid | None, new: Oid | None) -> Oid | None:
    return now if now is not None else new


def _concatenated(objects: Objects, now: Oid | None, new: Oid | None) -> Oid | None:
    """One below the other, with an empty line between them."""
    if now is None or new is None:
        return now or new
    above, below = objects.blob(now), objects.blob(new)
    if not above or not below:
        return now if not below else new
    return objects.add_blob(above.removesuffix(b"\n") + b"\n\n" + below)


def _sorted(objects: Objects, now: Oid | None, new: Oid | None) -> Oid | None:
    """The lines of both, each once and in order."""
    if now is None or new is None:
        return now or new
    lines = {line for oid in (now, new) for line in objects.blob(oid).split(b"\n") if line}
    return objects.add_blob(b"".join(line + b"\n" for line in sorted(lines)))


_MODES: dict[str, _Combine] = {
    "concatenate": _concatenated,
    "overwrite": _overwritten,
    "ignore": _ignored,
    "cat_sort_uniq": _sorted,
}
