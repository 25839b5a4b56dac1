"""Plans as lines for people: what becomes of each commit, branch and file, and where all is after a run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from resync.dates import shown_date
from resync.model import BranchMove, CommitVerdict, FileVerdict, LocalCommit, LocalFile, Plan
from resync.report.text import Paint, Tone, note_lines
from resync.report.words import count, short, shown

_COMMIT_TONES: dict[CommitVerdict, Tone] = {
    "reapplied": "good",
    "already-upstream": "quiet",
    "became-empty": "quiet",
    "parked": "warning",
    "dropped-by-upstream": "warning",
}
_FILE_TONES: dict[FileVerdict, Tone] = {
    "restored": "good",
    "kept": "good",
    "adopted": "quiet",
    "parked": "warning",
    "set-aside": "quiet",
}
_VERDICT_WIDTH = 16
_WHEN = re.compile(rb"> (?P<seconds>-?[0-9]{1,18}) (?P<sign>[-+])(?P<hours>[0-9]{2})(?P<minutes>[0-9]{2})$")


def plan_lines(plan: Plan, paint: Paint) -> Iterator[str]:
    """What becomes of each commit and file."""
    yield from work_lines(plan, paint)
    yield ""
    name = shown(plan.head.name)
    stays = plan.new_tip == plan.head.tip
    if stays and not plan.file_changes:
        yield f"{name} stays at {short(plan.new_tip)}, and so does every file."
    else:
        goes = f"moves from {short(plan.head.tip)} to" if not stays else "stays at"
        yield f"{name} {goes} {short(plan.new_tip)}; {changed(plan)} will change."
    if plan.rescue is not None:
        yield f"Before anything changes, everything that you have is saved on the branch {rescue_name(plan)}."


def done_lines(plan: Plan, paint: Paint) -> Iterator[str]:
    """Where everything is after a run."""
    name = shown(plan.head.name)
    halted = plan.halted
    how = "Stopped at the first conflict." if halted else "Done."
    tone: Tone = "warning" if halted else "good"
    yield paint(f"{how} {name} is at {short(plan.new_tip)}; {changed(plan)} changed.", tone)
    if plan.rescue is not None:
        yield f"Everything that you had is on the branch {rescue_name(plan)}."


def changed(plan: Plan) -> str:
    """How many files of the working tree a plan changes."""
    return f"{count(len(plan.file_changes), 'file')} of the working tree"


def rescue_name(plan: Plan) -> str:
    """The rescue branch of a plan as people say it; empty where it has none."""
    return shown(plan.rescue.name.removeprefix(b"refs/heads/")) if plan.rescue is not None else ""


def work_lines(plan: Plan, paint: Paint) -> Iterator[str]:
    """What becomes of the user's work: commits, other branches, uncommitted files, and what is to be said."""
    name = shown(plan.head.name)
    if plan.commits:
        yield ""
        yield f"Your {count(len(plan.commits), 'commit')} on {name}, oldest first:"
        yield from commits_lines(plan.commits, paint)
    elif plan.undoes is None and plan.new_tip != plan.head.tip:
        yield ""
        yield f"You have no commits of your own on {name}."
    yield from branch_lines(plan, paint)
    if plan.files:
        yield ""
        yield "Your uncommitted files:"
        width = max(len(file.state) for file in plan.files)
        for file in plan.files:
            yield from file_lines(file, width, paint)
        if "set-aside" in _verdicts(plan):
            yield "(set aside: they are merged back when the conflicts are resolved)"
    if plan.signs is not None:
        yield ""
        yield f"What is reapplied is signed anew ({plan.signs}), so it gets other ids than a plan has."
    if plan.notes:
        yield ""
        yield from note_lines(plan.notes, paint)
    if plan.waiting:
        yield ""
        if "dropped-by-upstream" in _verdicts(plan):
            yield (
                "(dropped by upstream: it had your commit once, so it is not brought back unasked; it is"
                " safe on the rescue branch, and --keep-dropped reapplies it)"
            )
        if "parked" in _verdicts(plan):
            yield "(parked: it could not be carried over; it waits for you, safe on the rescue branch)"


def branch_lines(plan: Plan, paint: Paint) -> Iterator[str]:
    """What becomes of the other branches, and of their own commits."""
    if plan.branches:
        yield ""
        yield "Your other branches that it concerns:"
    for each in plan.branches:
        changes = next((len(step.files) for step, tree in plan.others if tree.branch == each.name), None)
        yield from _branch_lines(each, changes, paint)


def _branch_lines(branch: BranchMove, changes: int | None, paint: Paint) -> Iterator[str]:
    """One branch; ``changes`` are the files of the working tree that moves along with it."""
    name = shown(branch.short_name)
    tone: Tone = "warning" if branch.waits else "good" if branch.moves else "quiet"
    if branch.moves:
        yield f"  {paint('moves', tone)}  {name}  from {short(branch.old_tip)} to {short(branch.new_tip)}"
    else:
        yield f"  {paint('stays', tone)}  {name}  at {short(branch.old_tip)}"
    if branch.reason:
        yield paint(f"         {shown(branch.reason)}", "quiet")
    if changes is not None and branch.worktree is not None:
        yield f"         with it {count(changes, 'file')} of its working tree {shown(branch.worktree)}"
    if branch.rescue is not None:
        yield f"         as it was: {shown(branch.rescue.name.removeprefix(b'refs/heads/'))}"
    for line in commits_lines(branch.commits, paint):
        yield f"       {line}"


def commits_lines(commits: Sequence[LocalCommit], paint: Paint, *, dated: bool = False) -> Iterator[str]:
    """Each commit, what becomes of it, and why."""
    width = max([_VERDICT_WIDTH, *(len(commit.verdict) for commit in commits)])
    for commit in commits:
        yield from _commit_lines(commit, width, paint, f"{made_at(commit.author)}  " if dated else "")


def made_at(author: bytes) -> str:
    """When an author (or committer) says that they made it, in their own time; a blank where they do not."""
    found = _WHEN.search(author)
    if found is None:
        return ""
    minutes = int(found["hours"]) * 60 + int(found["minutes"])
    return shown_date(int(found["seconds"]), -minutes if found["sign"] == b"-" else minutes)


def _verdicts(plan: Plan) -> set[str]:
    """The verdicts on what is left for a person somewhere: of a branch that stays, nothing is."""
    moved = [commit for each in plan.branches if each.moves for commit in each.commits]
    return {each.verdict for each in (*plan.commits, *moved)} | {each.verdict for each in plan.files}


def _commit_lines(commit: LocalCommit, width: int, paint: Paint, date: str) -> Iterator[str]:
    verdict = paint(f"{commit.verdict.replace('-', ' '):<{width}}", _COMMIT_TONES[commit.verdict])
    yield f"  {verdict}  {short(commit.oid)}  {date}{shown(commit.subject)}"
    if commit.reason:
        yield paint(f"{'':{width + 4}}{shown(commit.reason)}", "quiet")
    if commit.change_id is not None and commit.new_change_id is not None:
        ids = f"Change-Id {shown(commit.change_id)} -> {shown(commit.new_change_id)}"
        yield paint(f"{'':{width + 4}}{ids}", "quiet")
    for path in commit.conflicts:
        yield f"{'':{width + 4}}{shown(path)}"


def file_lines(file: LocalFile, width: int, paint: Paint) -> Iterator[str]:
    """One file and what becomes of it; ``width`` is that of the longest word for how it differs."""
    verdict = paint(f"{file.verdict.replace('-', ' '):<8}", _FILE_TONES[file.verdict])
    yield f"  {verdict}  {file.state:<{width}}  {shown(file.path)}"
    if file.reason:
        yield paint(f"{'':{14 + width}}{shown(file.reason)}", "quiet")


def undo_line(plan: Plan) -> Iterator[str]:
    """How to take the run back."""
    if plan.halted:
        return  # abort is the word then
    if plan.undoes is not None:
        yield "To take this undo back: resync undo"
    elif plan.recorded:
        before = " before you began" if plan.sitting is not None else ""
        yield f"To have everything back as it was{before}: resync undo"
