"""The one JSON object of every command. Names are stable; more may be added (see DESIGN.md, section 5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from resync.errors import ExitCode, ResyncError
from resync.model import (
    BranchMove,
    Commit,
    Evidence,
    LocalCommit,
    LocalFile,
    Note,
    Oid,
    PathIn,
    Plan,
    RefUpdate,
    Sitting,
    Successor,
    TreePath,
    Upstream,
)

if TYPE_CHECKING:
    from resync.comparison import Compared, Place
    from resync.exchange import Export
    from resync.holdings import LostFile
    from resync.journal import Journal
    from resync.repository.rr_cache import Added
    from resync.rescue import KeptFile, RescueBranch
    from resync.resolution_file import ResolutionFile
    from resync.sequencer import Result
    from resync.upstream.ownership import Ownership
    from resync.waiting import Waiting

SCHEMA_VERSION = 1


def document(
    command: str,
    exit_code: ExitCode,
    *,
    checkout: str | None = None,
    branch: bytes | None = None,
    upstream: Upstream | None = None,
    elsewhere: Sequence[Upstream] = (),
    notes: Sequence[Note] = (),
    plan: Plan | None = None,
    done: bool = False,
    result: Result | None = None,
    error: ResyncError | None = None,
    hint: str = "",
    **more: Any,
) -> dict[str, Any]:
    """The object for one checkout. ``done`` says that the plan was carried out, ``result`` what the run met;
    ``more`` are further fields of one command."""
    if plan is not None:
        upstream, elsewhere, notes = plan.upstream or upstream, plan.elsewhere, plan.notes
    branch = plan.head.name if plan is not None else branch
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "exit_code": int(exit_code),
        "checkout": plan.checkout if plan is not None else checkout,
        "branch": _text(branch),
        "upstream": _upstream(upstream) if upstream is not None else None,
        "elsewhere": [_upstream(each) for each in elsewhere],
        "branches": _branches(plan, done) if plan is not None else [],
        "commits": list(_commits(plan)) if plan is not None else [],
        "files": [_file(each) for each in plan.files] if plan is not None else [],
        "left_alone": [_path_in(each) for each in result.left] if result is not None else [],
        "attributes_lost": [_path_in(each) for each in result.bared] if result is not None else [],
        "notes": [_note(each) for each in notes],
        "rescue": _rescue(plan.rescue) if plan is not None and plan.rescue is not None else None,
        **({"signs": plan.signs} if plan is not None and plan.signs is not None else {}),
        "run": plan.id if plan is not None and plan.recorded else None,
        **more,
        "error": {"kind": error.kind, "message": error.message} if error is not None else None,
        "hint": error.hint if error is not None else hint,
    }


def _upstream(upstream: Upstream) -> dict[str, Any]:
    return {
        "remote": upstream.remote,
        "ref": _text(upstream.branch),
        "kind": upstream.kind,
        "old_tip": _oid(upstream.old_tip),
        "new_tip": _oid(upstream.new_tip),
        "left": upstream.left,
        "arrived": upstream.arrived,
        "evidence": [_evidence(each) for each in upstream.evidence],
        "successors": [_successor(each) for each in upstream.successors],
        **({"release": _text(upstream.release)} if upstream.release is not None else {}),
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {"kind": evidence.kind, "source": _text(evidence.source), "oid": _oid(evidence.oid)}


def _successor(successor: Successor) -> dict[str, Any]:
    return {
        "ref": _text(successor.ref),
        "oid": _oid(successor.oid),
        "held": successor.held,
        "of": successor.of,
    }


def _branches(plan: Plan, done: bool) -> list[dict[str, Any]]:
    """The current branch, then the others."""
    current = {
        "name": _text(plan.head.name),
        "old_tip": _oid(plan.head.tip),
        "new_tip": _oid(plan.new_tip),
        "moved": done and plan.new_tip != plan.head.tip,
        "worktree": None,
    }
    return [current, *(_branch(each, done) for each in plan.branches)]


def _branch(branch: BranchMove, done: bool) -> dict[str, Any]:
    return {
        "name": _text(branch.short_name),
        "old_tip": _oid(branch.old_tip),
        "new_tip": _oid(branch.new_tip),
        "moved": done and branch.moves,
        "worktree": branch.worktree,
        "waits": branch.waits,
        "reason": branch.reason,
        "rescue": _rescue(branch.rescue) if branch.rescue is not None else None,
    }


def _commits(plan: Plan) -> Iterator[dict[str, Any]]:
    """Every commit once, with the first branch that has it."""
    for commit in plan.commits:
        yield _commit(commit, plan.head.name)
    for branch in plan.branches:
        for commit in branch.commits:
            yield _commit(commit, branch.short_name)


def _commit(commit: LocalCommit, branch: bytes) -> dict[str, Any]:
    return {
        "oid": _oid(commit.oid),
        "branch": _text(branch),
        **_named("subject", commit.subject),
        "author": _text(commit.author.rpartition(b"> ")[0] + b">"),
        "authored": _text(commit.author.rpartition(b"> ")[2]),
        "verdict": commit.verdict,
        "new_oid": _oid(commit.new_oid),
        "reason": commit.reason,
        **_named_all("conflicts", commit.conflicts),
        **_named_all("resolved", commit.resolved),
        **_change_ids(commit),
    }


def _change_ids(commit: LocalCommit) -> dict[str, Any]:
    if commit.change_id is None:
        return {}
    return {"change_id": _text(commit.change_id), "new_change_id": _text(commit.new_change_id)}


def _file(file: LocalFile) -> dict[str, Any]:
    return {
        **_named("path", file.path),
        "state": file.state,
        "verdict": file.verdict,
        "reason": file.reason,
    }


def _path_in(each: PathIn) -> dict[str, Any]:
    return {**_named("path", each.path), **({"worktree": each.root} if each.root is not None else {})}


def _note(note: Note) -> dict[str, Any]:
    return {**(_named("path", note.path) if note.path is not None else {"path": None}), "text": note.text}


def _rescue(update: RefUpdate) -> dict[str, Any]:
    return {"branch": _text(update.name.removeprefix(b"refs/heads/")), "oid": _oid(update.new)}


def _named(field: str, value: bytes) -> dict[str, str]:
    """A field with text that may not be UTF-8: then its bytes stand beside it in hex."""
    text = _text(value)
    assert text is not None
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return {field: text, field + "_hex": value.hex()}
    return {field: text}


def _named_all(field: str, values: Sequence[bytes]) -> dict[str, list[str | None]]:
    """The same of a list: where one of them is not UTF-8, all stand beside it in hex."""
    texts = [_text(value) for value in values]
    if all(text is not None and text.encode() == value for text, value in zip(texts, values, strict=True)):
        return {field: texts}
    return {field: texts, field + "_hex": [value.hex() for value in values]}


def _text(value: bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if value is not None else None


def _oid(oid: Oid | None) -> str | None:
    return oid.decode() if oid is not None else None


# --- fields of single commands ---


def hold(held: Plan) -> dict[str, Any]:
    """The tip of upstream that an undo turned away from, for ``status``."""
    return {"run": held.id, "oid": _oid(held.holds)}


def waiting(each: Waiting) -> dict[str, Any]:
    """Parked work of one run, for ``status``."""
    return {
        "run": each.run,
        "rescue": _text(each.rescue.short_name),
        "commits": [
            {"oid": _oid(commit.oid), "branch": _text(branch), **_named("subject", commit.subject)}
            for branch, commit in (
                *((None, commit) for commit in each.commits),
                *((other.short_name, commit) for other, commit in each.others),
            )
        ],
        "files": [_file(file) for file in each.files],
        "branches": [_branch(branch, done=True) for branch in each.branches],
        "left_alone": [_path_in(path) for path in each.left],
        "moved_aside": [{**_named("path", path), "to": place} for path, place in each.aside],
    }


def sitting(each: Sitting, commit: Commit | None, unmerged: Collection[TreePath]) -> dict[str, Any]:
    """Where a person's work on conflicts stands; ``commit`` is that which was taken."""
    conflicts = each.taken.conflicts if each.taken is not None else ()
    return {
        "commit": _oid(commit.oid) if commit is not None else None,
        **(_named("subject", commit.subject) if commit is not None else {"subject": None}),
        **_named_all("conflicts", conflicts),
        **_named_all("unmerged", [path for path in conflicts if path in unmerged]),
        **_named_all("blocked", each.blocked),
        "commits_left": [_oid(oid) for oid in each.commits],
        **_named_all("edits_left", [path for edits in each.edits for path in edits.paths]),
        "edits_set_aside": each.aside is not None and not each.returned,
    }


def journal(each: Journal) -> dict[str, Any]:
    """One run, for ``log``."""
    return {
        "run": each.plan.id,
        "state": each.state,
        "branch": _text(each.plan.head.name),
        "old_tip": _oid(each.plan.head.tip),
        "new_tip": _oid(each.plan.new_tip),
        "undoes": each.plan.undoes,
        "rescue": _rescue(each.plan.rescue) if each.plan.rescue is not None else None,
    }


def compared(each: Compared) -> dict[str, Any]:
    """One old commit beside its new one, for ``log RUN``; the difference is null where they are equal."""
    return {
        "branch": _text(each.branch),
        "mark": each.mark,
        "oid": _oid(each.commit.oid),
        "new_oid": _oid(each.commit.new_oid),
        **_named("subject", each.commit.subject),
        "difference": _text(b"".join(each.difference)) if each.difference else None,
    }


def place(each: Place) -> dict[str, Any]:
    """Where branches stood before a run or after it, for ``log RUN``."""
    return {"oid": _oid(each.oid), "labels": [*each.labels], "on": each.on, "commits": each.commits}


def rescue_branch(each: RescueBranch) -> dict[str, Any]:
    """One rescue branch, for ``rescue list`` and ``show``."""
    return {
        "branch": _text(each.short_name),
        "oid": _oid(each.oid),
        "tip": _oid(each.tip),
        "run": each.run,
        "saved_at": each.when,
    }


def rescued_commits(commits: Iterable[LocalCommit], rescue: RescueBranch) -> list[dict[str, Any]]:
    """The user's commits that a rescue branch keeps."""
    return [_commit(each, rescue.short_name) for each in commits]


def dropped(rescue: RescueBranch, commits: Iterable[Commit], files: Iterable[LostFile]) -> dict[str, Any]:
    """A rescue branch that was dropped, and what is gone for good with it."""
    return {
        **rescue_branch(rescue),
        "commits": [{"oid": _oid(each.oid), **_named("subject", each.subject)} for each in commits],
        "files": [{**_named("path", each.path), "size": each.size} for each in files],
    }


def exported(export: Export, rescue: RescueBranch, path: str) -> dict[str, Any]:
    """The resolutions that were written to a file, for ``rescue export``."""
    return {
        "file": path,
        "rescue": _text(rescue.short_name),
        "resolutions": len(export.content.resolutions),
        "commits": [
            {
                "oid": _oid(each.commit.oid),
                **_named("subject", each.commit.subject),
                **_named_all("resolved", each.resolved),
                "left": [{**_named("path", name), "reason": reason} for name, reason in each.left],
            }
            for each in export.commits
        ],
    }


def imported(
    content: ResolutionFile, here: Sequence[Oid | None], counts: Mapping[Added, int], path: str
) -> dict[str, Any]:
    """The resolutions that were taken in from a file, for ``rescue import``."""
    return {
        "file": path,
        "resolutions": len(content.resolutions),
        "new": counts.get("new", 0),
        "known": counts.get("known", 0),
        "replaced": counts.get("replaced", 0),
        "refused": counts.get("refused", 0),
        "commits": [
            {
                "oid": _oid(oid),
                **_named("subject", commit.subject),
                "patch_id": commit.patch_id.hex() if commit.patch_id is not None else None,
                "change_id": _text(commit.change_id),
                "resolutions": len(commit.resolutions),
            }
            for commit, oid in zip(content.commits, here, strict=True)
        ],
    }


def kept_file(file: KeptFile, size: int | None) -> dict[str, Any]:
    """One file that a rescue branch keeps; ``size`` in bytes, None where it is deleted."""
    mode = f"{file.entry.mode:06o}" if file.entry is not None else None
    return {**_named("path", file.path), "state": file.state, "mode": mode, "size": size}


def ownership(owned: Ownership, commit: Commit) -> dict[str, Any]:
    """Whose one commit is, for ``check --verbose``."""
    return {
        "oid": _oid(owned.oid),
        **_named("subject", commit.subject),
        "whose": owned.whose,
        "evidence": _evidence(owned.evidence) if owned.evidence is not None else None,
        "content": owned.content or None,
    }
