"""Plans and outcomes as lines for people: what upstream did, what becomes of each commit and file, and
what is left to do. ``data`` has the same for programs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from resync.dates import shown_date
from resync.errors import ResyncError
from resync.model import (
    BranchMove,
    Commit,
    CommitVerdict,
    Evidence,
    FileVerdict,
    Head,
    LocalCommit,
    LocalFile,
    Note,
    PathIn,
    Plan,
    RefUpdate,
    Sitting,
    Upstream,
)
from resync.report.words import count, hint_lines, short, shown

if TYPE_CHECKING:
    from resync.holdings import LostFile
    from resync.journal import Journal
    from resync.rescue import KeptFile, RescueBranch
    from resync.upstream.candidates import Candidate
    from resync.upstream.ownership import Ownership
    from resync.waiting import Waiting

Tone: TypeAlias = Literal["good", "warning", "bad", "quiet", "strong"]
Paint: TypeAlias = Callable[[str, Tone], str]

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
_EVIDENCE = {
    "given": "you named it with {source}",
    "commit-map": "the commit map of {source} has it",
    "record": "an earlier resync saw it",
    "tracking": "{source} stood there before this fetch",
    "reflog": "the reflog of {source} has it",
    "announcement-tag": "tag {source} announces it",
}
_VERDICT_WIDTH = 16
_WHEN = re.compile(rb"> (?P<seconds>-?[0-9]{1,18}) (?P<sign>[-+])(?P<hours>[0-9]{2})(?P<minutes>[0-9]{2})$")
_WHOSE = {
    "yours": "yours: nothing says that upstream ever had it",
    "upstream": "upstream's",
    "published": "somebody's: a merge brought it in, and another branch of the remote has it",
    "still-upstream": "upstream's, and it still has it",
}
_PREFIXES = (b"refs/tags/", b"refs/remotes/", b"refs/heads/")


def upstream_lines(upstream: Upstream, paint: Paint, *, verbose: bool = False) -> Iterator[str]:
    """What upstream did, and how that is known."""
    yield paint(_headline(upstream), "strong")
    if upstream.kind in ("rewritten", "rewound", "unrelated", "deleted") and upstream.evidence:
        yield f"  old tip {short(upstream.old_tip)}: {_reasons(upstream, verbose)}"
        if upstream.new_tip is not None and upstream.release is None:
            yield f"  new tip {short(upstream.new_tip)}"
    if upstream.release is not None:
        yield f"  newest release {shown(_plain(upstream.release))}: {short(upstream.new_tip)}"
    for likely in upstream.successors:
        yield (
            f"  it may live on as {shown(_plain(likely.ref))} ({short(likely.oid)}), which has {likely.held}"
            f" of its newest {count(likely.of, 'commit')}"
        )
    if verbose:
        for each in upstream.evidence:
            yield paint(f"  evidence: {short(each.oid)} {_reason(each)}", "quiet")


def _headline(upstream: Upstream) -> str:
    name = shown(upstream.name)
    went = "how many commits went and came, this shallow clone cannot tell"
    if upstream.left is not None and upstream.arrived is not None:
        went = f"{count(upstream.left, 'commit')} gone, {upstream.arrived:,} new"
    back = f"{name} went back by {count(upstream.left or 0, 'commit')}."
    if upstream.arrived != 0:
        back = f"{name} went back to what it was before it was rewritten: {went}."
    return {
        "up-to-date": f"{name} has nothing that your branch does not have.",
        "advanced": f"{name} has new commits; it was not rewritten.",
        "rewritten": f"{name} was rewritten: {went}.",
        "rewound": back,
        "unrelated": f"{name} was replaced by an unrelated history: {went}.",
        "deleted": f"{name} is gone: the remote has no such branch now.",
        "unknown": f"{name}: nothing tells what it was before.",
    }[upstream.kind]


def _reasons(upstream: Upstream, verbose: bool) -> str:
    """Why the old tip is believed to be one: the strongest reason, and the announcement if there is one."""
    agreeing = [each for each in upstream.evidence if each.oid == upstream.old_tip]
    if verbose:
        chosen = agreeing
    else:
        chosen = [each for each in agreeing if each is agreeing[0] or each.kind == "announcement-tag"][:2]
    return ", ".join(dict.fromkeys(map(_reason, chosen)))


def _reason(evidence: Evidence) -> str:
    return _EVIDENCE[evidence.kind].format(source=shown(_plain(evidence.source)))


def elsewhere_lines(elsewhere: Sequence[Upstream], head: Head, hint: str, paint: Paint) -> Iterator[str]:
    """What became of branches of the upstream's name at other remotes; ``hint`` looks at the first."""
    for each in elsewhere:
        yield from upstream_lines(each, paint)
        yield f"  {shown(head.name)} stands on what it was, and does not follow it."
    if elsewhere:
        yield f"To see what would become of your work there: {hint}"


def note_lines(notes: Sequence[Note], paint: Paint) -> Iterator[str]:
    """What there is to be said besides."""
    for note in notes:
        yield paint(f"Note: {shown(str(note))}.", "warning")


def ownership_lines(owned: Sequence[tuple[Ownership, Commit]], paint: Paint) -> Iterator[str]:
    """Whose commits these are, and why."""
    if owned:
        yield "Whose the commits are, newest first:"
    for each, commit in owned:
        words = _WHOSE[each.whose]
        if each.evidence is not None:
            words += f": {_reason(each.evidence)}"
        if each.content:
            words = f"yours: nothing says that upstream ever had this very commit, but {each.content}"
        tone: Tone = "strong" if each.whose == "yours" else "quiet"
        yield f"  {short(each.oid)}  {shown(commit.subject)}"
        yield paint(f"              {words}", tone)


def candidate_lines(
    upstream: Upstream, likely: Sequence[tuple[Candidate, Commit]], paint: Paint
) -> Iterator[str]:
    """What to ask a person about who alone can tell upstream's commits from their own."""
    yield paint(
        f"Nothing tells for certain which of your branch's commits were {shown(upstream.name)}'s.", "warning"
    )
    if likely:
        yield "Everything above the last of upstream's is taken for yours. It may be:"
    for number, (each, commit) in enumerate(likely, start=1):
        yield f"  {number}  {short(each.oid)}  {shown(commit.subject)}"
        yield paint(f"                 {each.why}", "quiet")


def _plain(ref: bytes) -> bytes:
    """A ref's name as people say it."""
    for prefix in _PREFIXES:
        ref = ref.removeprefix(prefix)
    return ref


def plan_lines(plan: Plan, paint: Paint) -> Iterator[str]:
    """What becomes of each commit and file."""
    yield from _work_lines(plan, paint)
    yield ""
    name = shown(plan.head.name)
    if plan.new_tip == plan.head.tip and not plan.file_changes:
        yield f"{name} stays at {short(plan.new_tip)}, and so does every file."
    else:
        moves = f"{name} moves from {short(plan.head.tip)} to {short(plan.new_tip)}"
        yield f"{moves}; {changed(plan)} will change."
    if plan.rescue is not None:
        yield f"Before anything changes, everything that you have is saved on the branch {_rescue(plan)}."


def done_lines(plan: Plan, paint: Paint) -> Iterator[str]:
    """Where everything is after a run."""
    name = shown(plan.head.name)
    halted = plan.halted
    how = "Stopped at the first conflict." if halted else "Done."
    tone: Tone = "warning" if halted else "good"
    yield paint(f"{how} {name} is at {short(plan.new_tip)}; {changed(plan)} changed.", tone)
    if plan.rescue is not None:
        yield f"Everything that you had is on the branch {_rescue(plan)}."


def changed(plan: Plan) -> str:
    """How many files of the working tree a plan changes."""
    return f"{count(len(plan.file_changes), 'file')} of the working tree"


def _rescue(plan: Plan) -> str:
    return shown(plan.rescue.name.removeprefix(b"refs/heads/")) if plan.rescue is not None else ""


def _work_lines(plan: Plan, paint: Paint) -> Iterator[str]:
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
        yield from _commit_lines(commit, width, paint, f"{_date(commit.author)}  " if dated else "")


def _date(author: bytes) -> str:
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


def left_lines(left: Sequence[PathIn], paint: Paint) -> Iterator[str]:
    """The paths that somebody else changed while the run was at work."""
    if left:
        yield ""
        yield paint("Somebody changed these while resync was at work; they were left as they are:", "warning")
        for each in left:
            yield f"  {_place(each)}"


def _place(each: PathIn) -> str:
    """A path as people find it: where it is in another working tree, from the top of the file system."""
    if each.root is None:
        return shown(each.path)
    return shown(os.path.join(os.fsencode(each.root), each.path))


def moved_sentence(update: RefUpdate) -> str:
    """What is said of a ref that somebody else moved while a run stood half-way."""
    before = f"it stood at {short(update.old)}" if update.old is not None else "it was not there"
    return (
        f"{shown(update.name)} was moved by somebody else since the run was interrupted, and is left where it"
        f" is; before the run {before}."
    )


def bared_lines(bared: Sequence[PathIn], paint: Paint) -> Iterator[str]:
    """The files whose extended attributes are on the old file only."""
    if bared:
        yield ""
        yield paint("The system did not let resync put all extended attributes on the new files:", "warning")
        for each in bared:
            yield f"  {_place(each)}"


def waiting_lines(waiting: Waiting) -> Iterator[str]:
    """What to type for what waits of one run.

    The rescue branch is named, because a later run may have made a newer one by then.
    """
    rescue = shown(waiting.rescue.short_name)
    for path, place in waiting.aside:
        yield f"  look at {shown(path)}    # a FIFO, socket or device was there; it is now {shown(place)}"
    for each in waiting.left:
        yield f"  look at {_place(each)}    # somebody changed it while resync was at work"
    edits = [file for file in waiting.files if file.state in ("staged", "unstaged")]
    if edits or any(commit.verdict == "parked" for commit in waiting.commits):
        yield "  resync continue    # takes what was parked to your files, to be finished there one by one"
    for commit in waiting.commits:
        # One way or the other: after a commit was taken by hand, the first has nothing to do for it.
        by_hand = "or by hand: " if commit.verdict == "parked" else ""
        yield f"  {_pick(commit)}    # {by_hand}{_said(commit.subject)}"
    for other, commit in waiting.others:
        goes = f"git checkout {quoted(shown(other.short_name))}"
        if other.worktree is not None:
            goes = f"cd {quoted(shown(other.worktree))}"
        yield f"  {goes} && {_pick(commit)}    # {_said(commit.subject)}"
    if waiting.commits and waiting.edits:
        yield "  (git may want your own edits committed or stashed before it picks a commit)"
    for left in waiting.branches:
        goes = f"resync run --branch {quoted(shown(left.short_name))}"
        if left.worktree is not None:
            goes = f"cd {quoted(shown(left.worktree))} && resync run"
        yield f"  {goes}    # {shown(left.short_name)} still stands on what upstream left"
    for name in dict.fromkeys(shown(file.path) for file in waiting.files):
        yield f"  resync rescue restore {quoted(name)} --from {quoted(rescue)} --to ../rescued"
    yield f"  resync rescue drop {quoted(rescue)}    # when you need none of it any more"


def _pick(commit: LocalCommit) -> str:
    """What reapplies a commit by hand."""
    return f"git cherry-pick {'-m 1 ' if commit.merge else ''}{short(commit.oid)}"


def _said(subject: bytes) -> str:
    """A subject behind a command: quoted, because some shells (zsh) read on there when it is pasted."""
    return quoted(shown(subject))


def quoted(argument: str) -> str:
    """An argument as a shell takes it."""
    import shlex

    return shlex.quote(argument)


def hold_lines(held: Plan) -> Iterator[str]:
    """That an undo turned away from a tip of upstream, and how to go there all the same."""
    yield f"Run {held.id} took back the move to upstream's {short(held.holds)}, so no run goes there unasked."
    yield "To go there all the same: resync run --redo"


def undo_line(plan: Plan) -> Iterator[str]:
    """How to take the run back."""
    if plan.halted:
        return  # abort is the word then
    if plan.undoes is not None:
        yield "To take this undo back: resync undo"
    elif plan.recorded:
        before = " before you began" if plan.sitting is not None else ""
        yield f"To have everything back as it was{before}: resync undo"


# --- looking back --------------------------------------------------------------------------------------


def _step_headline(commits: Sequence[LocalCommit], sitting: Sitting) -> str:
    """A person's step with what was parked, in a few words."""
    if commits or sitting.taken is None:
        return f"{count(len(commits), 'commit')} finished, of what was parked"
    taken = sitting.taken.commit
    return f"took up parked {short(taken) if taken is not None else 'edits'}"


def journal_headline(journal: Journal, paint: Paint) -> str:
    """One run on one line."""
    plan = journal.plan
    what = (
        f"undid {plan.undoes}"
        if plan.undoes is not None
        else f"{count(len(plan.commits), 'commit')} of yours"
    )
    if plan.sitting is not None and plan.upstream is None:
        what = _step_headline(plan.commits, plan.sitting)
    moved = f"{short(plan.head.tip)} -> {short(plan.new_tip)}"
    state = "" if journal.state == "done" else paint(f"  ({journal.state})", "warning")
    return f"{plan.id}  {shown(plan.head.name)}  {moved}  {what}{state}"


def journal_lines(journal: Journal, paint: Paint) -> Iterator[str]:
    """One run in full."""
    plan = journal.plan
    yield paint(journal_headline(journal, paint), "strong")
    if plan.upstream is not None:
        yield from upstream_lines(plan.upstream, paint)
    yield from _work_lines(plan, paint)
    if plan.rescue is not None:
        yield ""
        yield f"What was there before is on the branch {_rescue(plan)}."


def rescue_lines(
    rescue: RescueBranch,
    commits: Sequence[LocalCommit],
    files: Sequence[tuple[KeptFile, int | None]],
    paint: Paint,
) -> Iterator[str]:
    """What one rescue branch keeps: commits and their verdicts, uncommitted files and their sizes (bytes)."""
    made = f", saved {shown_date(rescue.when)} UTC" if rescue.when is not None else ""
    yield paint(shown(rescue.short_name), "strong") + made
    yield f"  the branch as it was: {short(rescue.tip)}"
    yield from commits_lines(commits, paint, dated=True)
    width = max((len(file.state) for file, _ in files), default=0)
    for file, size in files:
        what = "deleted" if size is None else count(size, "byte")
        yield f"  {file.state:<{width}}  {shown(file.path)}  ({what})"
    if files:
        yield f"To get one back: resync rescue restore PATH --from {quoted(shown(rescue.short_name))}"


def drop_lines(
    rescue: RescueBranch, commits: Sequence[Commit], files: Sequence[LostFile], paint: Paint
) -> Iterator[str]:
    """What would be gone for good with a rescue branch."""
    name = shown(rescue.short_name)
    if not commits and not files:
        yield f"All that {name} keeps is kept elsewhere as well."
    else:
        yield paint(f"Nothing else keeps these, and they would be gone with {name}:", "warning")
    for commit in commits:
        yield f"  commit  {short(commit.oid)}  {_date(commit.author)}  {shown(commit.subject)}"
    for file in files:
        size = f"  ({count(file.size, 'byte')})" if file.size is not None else ""
        yield f"  file    {shown(file.path)}{size}"
    if rescue.run is not None:
        yield f"Run {rescue.run} can no longer be undone then."


def error_lines(error: ResyncError, paint: Paint) -> Iterator[str]:
    """A refusal: the sentence, and what helps."""
    yield paint("resync: ", "bad") + shown(error.message)
    yield from (f"  {line}" for line in hint_lines(error.hint))
