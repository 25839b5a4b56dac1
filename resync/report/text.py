"""What every command has to say to people: what upstream did, what is left for them to do, and refusals.

``plan`` says what becomes of their work; ``data`` has all of it for programs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from resync.errors import ResyncError
from resync.model import (
    BranchMove,
    Commit,
    Evidence,
    Head,
    LocalCommit,
    Note,
    PathIn,
    Plan,
    RefUpdate,
    Upstream,
)
from resync.report.words import count, hint_lines, short, shown

if TYPE_CHECKING:
    from resync.upstream.candidates import Candidate
    from resync.upstream.ownership import Ownership
    from resync.waiting import Waiting

Tone: TypeAlias = Literal["good", "warning", "bad", "quiet", "strong"]
Paint: TypeAlias = Callable[[str, Tone], str]

_EVIDENCE = {
    "given": "you named it with {source}",
    "commit-map": "the commit map of {source} has it",
    "record": "an earlier resync saw it",
    "tracking": "{source} stood there before this fetch",
    "reflog": "the reflog of {source} has it",
    "announcement-tag": "tag {source} announces it",
}
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


def left_lines(left: Sequence[PathIn], paint: Paint) -> Iterator[str]:
    """The paths that somebody else changed while the run was at work."""
    said = "Somebody changed these while resync was at work; they were left as they are:"
    yield from _warned_of(left, said, paint)


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
    said = "The system did not let resync put all extended attributes on the new files:"
    yield from _warned_of(bared, said, paint)


def _warned_of(paths: Sequence[PathIn], said: str, paint: Paint) -> Iterator[str]:
    if paths:
        yield ""
        yield paint(said, "warning")
        for each in paths:
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
        yield f"  {_left_behind(left, undone=waiting.plan.undoes is not None)}"
    for name in dict.fromkeys(shown(file.path) for file in waiting.files):
        yield f"  resync rescue restore {quoted(name)} --from {quoted(rescue)} --to ../rescued"
    yield f"  resync rescue drop {quoted(rescue)}    # when you need none of it any more"


def _left_behind(branch: BranchMove, *, undone: bool) -> str:
    """What to type for a branch that a run, or an undo, had to leave where it stood."""
    name = shown(branch.short_name)
    goes = f"resync run --branch {quoted(name)}"
    if branch.worktree is not None:
        goes = f"cd {quoted(shown(branch.worktree))} && resync run"
    if not undone:
        return f"{goes}    # {name} still stands on what upstream left"
    place = f" in {quoted(shown(branch.worktree))}" if branch.worktree is not None else ""
    return f"look at {name}{place}    # it did not go back to {short(branch.new_tip)}: {shown(branch.reason)}"


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


def error_lines(error: ResyncError, paint: Paint) -> Iterator[str]:
    """A refusal: the sentence, and what helps."""
    yield paint("resync: ", "bad") + shown(error.message)
    yield from (f"  {line}" for line in hint_lines(error.hint))
