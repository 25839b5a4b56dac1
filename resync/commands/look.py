"""``check``: was upstream rewritten, and whose are the commits? Nothing of the user's changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resync.commands.session import Session, elsewhere_hint, still_waiting, stopped, waiting_lines
from resync.errors import ExitCode, ResyncError, UsageError
from resync.journal import Journals
from resync.model import Plan
from resync.report import data, text
from resync.report.words import count, shown
from resync.repository import Repository
from resync.request import Request

if TYPE_CHECKING:
    from resync.model import Commit
    from resync.observe import Observation
    from resync.upstream.ownership import Ownership


def check(session: Session, request: Request, *, commit: str | None = None) -> ExitCode:
    """Was upstream rewritten? Writes objects and resync's own record only.

    With ``--verbose`` it says of every commit whose it is and why, with ``commit`` (a revision) of that one.
    """
    from resync.observe import observe
    from resync.refusals import unusable

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        unfinished = stopped(journals)
        seen = observe(repository, request, session.caller)
        upstream = seen.upstream
        left_over = still_waiting(repository, journals)
        refusal = unusable(seen)
        error: ResyncError | None = unfinished if unfinished is not None else refusal
        code = _status(seen, error, waits=bool(left_over))
        hint = session.again("plan") if code == ExitCode.DUE else "resync status" if left_over else ""
        if seen.elsewhere.rewritten:
            hint = elsewhere_hint(session, seen.elsewhere.rewritten)
        if refusal is None or session.verbose or upstream.successors:
            console.lines(text.upstream_lines(upstream, console.paint, verbose=session.verbose))
        console.important(text.elsewhere_lines(seen.elsewhere.rewritten, seen.head, hint, console.paint))
        notes = (*seen.notes, *seen.elsewhere.unknown)
        console.lines(text.note_lines(notes, console.paint))
        owned = _ownership(repository, seen, commit) if session.verbose or commit is not None else None
        if owned is not None:
            console.lines(text.ownership_lines(owned, console.paint))
        if code == ExitCode.DUE and not seen.elsewhere.rewritten:
            console.lines(_due_lines(journals, seen, hint))
        if error is None or error.kind != "stopped-at-conflict":
            console.important(waiting_lines(left_over, session))
        if error is not None:
            console.error(text.error_lines(error, console.paint))
        more: dict[str, Any] = (
            {"ownership": [data.ownership(*each) for each in owned]} if owned is not None else {}
        )
        console.document(
            data.document(
                "check",
                code,
                checkout=repository.root,
                branch=seen.head.name,
                upstream=upstream,
                elsewhere=seen.elsewhere.rewritten,
                notes=notes,
                error=error,
                hint=hint,
                **more,
            )
        )
        return code


def _status(seen: Observation, error: ResyncError | None, *, waits: bool) -> ExitCode:
    """The status: of what stands in the way, of what upstream did, or of what ``waits`` from earlier runs."""
    if error is not None:
        return error.exit_code
    if seen.upstream.kind not in ("up-to-date", "advanced") or seen.elsewhere.rewritten:
        return ExitCode.DUE
    return ExitCode.WAITING if waits else ExitCode.OK


def _due_lines(journals: Journals, seen: Observation, hint: str) -> list[str]:
    """What a run would be about, and what to type to see more of it."""
    yours = count(len(seen.local), "commit") if seen.local else "no commits"
    lines = [f"  You have {yours} of your own on {shown(seen.head.name)}."]
    held = _held(journals, seen)
    if held is not None:
        return [*lines, *text.hold_lines(held)]
    return [*lines, f"To see what would become of your work: {hint}"]


def _held(journals: Journals, seen: Observation) -> Plan | None:
    """The undo that turned away from where upstream is now, if that is the last run of the branch."""
    from resync.holds import holding

    held = holding(journals, seen.head.branch)
    return held if held is not None and held.holds == seen.upstream.new_tip else None


def _ownership(
    repository: Repository, seen: Observation, commit: str | None
) -> list[tuple[Ownership, Commit]]:
    """Whose the branch's commits are that the new tip does not have, or whose that one is."""
    from resync.upstream.ownership import Ownership, ownership, with_content
    from resync.upstream.revision import resolve

    owned = ownership(
        seen.history, seen.evidence, seen.merged, head=seen.head.tip, new_tip=seen.upstream.new_tip
    )
    if commit is not None:
        oid = resolve(repository, commit, "--commit")
        new_tip = seen.upstream.new_tip
        owned = tuple(each for each in owned if each.oid == oid)
        if not owned and new_tip is not None and seen.history.is_ancestor(oid, new_tip):
            owned = (Ownership(oid=oid, whose="still-upstream"),)
        if not owned:
            raise UsageError(
                "not-on-this-branch",
                f"--commit {commit} is not on {shown(seen.head.name)}. Nothing was changed.",
                f"git branch --contains {oid[:10].decode()}",
            )
    owned = with_content(
        repository.objects, seen.history, owned, head=seen.head.tip, new_tip=seen.upstream.new_tip
    )
    return [(each, repository.objects.commit(each.oid)) for each in owned]
