"""Unsure means refuse: why a run does not follow what upstream did, and what a person can type instead."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from resync.errors import Refused, listed
from resync.history import HistoryCut
from resync.journal import Journals
from resync.model import LocalFile, Note, Oid, Plan, Upstream
from resync.observe import Observation
from resync.repository import Repository
from resync.repository.repo import BRANCHES, TAGS
from resync.request import Request

if TYPE_CHECKING:
    from resync.upstream.trust import Announcement
    from resync.worktree.settings import WorktreeSettings

# Evidence that the very branch was there once, and not only its commits.
_SEEN_HERE = ("record", "tracking", "given", "commit-map")


class Doubt(Refused):
    """Nothing tells upstream's commits from the user's own: only a person can."""


def unusable(seen: Observation) -> Refused | None:
    """Why nothing can be carried over to what upstream is now; None where it can."""
    upstream = seen.upstream
    if upstream.kind == "deleted" and not _was_there(seen):
        branch = upstream.branch.removeprefix(BRANCHES).decode("utf-8", "replace")
        return Refused(
            "no-such-branch",
            f"{upstream.remote} has no branch {branch}, and never had as far as resync knows."
            " Nothing was changed.",
            f"git ls-remote --heads {upstream.remote}",
        )
    if upstream.kind == "deleted":
        tag = _ended_by(seen)
        announced = f", as its tag {tag} announces" if tag else ": the remote has no such branch now"
        wait = "wait, in case upstream makes it anew" if tag else "wait for it to come back"
        return Refused(
            "upstream-deleted",
            f"{upstream.name} is gone{announced}. Nothing was changed.",
            wait,
            f"resync run --upstream {_likeliest(upstream)}    # goes there instead",
        )
    if upstream.kind == "unknown":
        return Doubt(
            "no-evidence",
            f"Nothing tells which of your branch's commits were once those of {upstream.name}."
            " Nothing was changed.",
            "resync run --old-tip REV    # REV is the last commit of upstream below your work",
        )
    return None


def _was_there(seen: Observation) -> bool:
    """Whether the very branch is known to have been there once, and not only commits of upstream's."""
    kinds = {each.kind for each in seen.upstream.evidence}
    # A prune takes all traces of the branch but two: what was cloned, and that it was made the upstream.
    return not kinds.isdisjoint(_SEEN_HERE) or (seen.branch.configured and "reflog" in kinds)


def _ended_by(seen: Observation) -> str | None:
    """The tag of the remote that announces the end of a branch that is gone: one that holds its old tip."""
    old_tip = next((each.oid for each in seen.evidence if each.kind != "announcement-tag"), None)
    for each in seen.evidence:
        if each.kind == "announcement-tag" and old_tip is not None:
            with suppress(HistoryCut):
                if seen.history.is_ancestor(old_tip, each.oid):
                    return each.source.removeprefix(TAGS).decode("utf-8", "backslashreplace")
    return None


def _likeliest(upstream: Upstream) -> str:
    """The branch that a deleted one most likely lives on in, as the command line takes it."""
    for each in upstream.successors:
        if each.ref.startswith(BRANCHES):
            return f"{upstream.remote}/{each.ref.removeprefix(BRANCHES).decode('utf-8', 'replace')}"
    return "REMOTE/BRANCH"


# --- surprises -----------------------------------------------------------------------------------------


def refuse_surprises(
    repository: Repository, seen: Observation, request: Request, settings: WorktreeSettings, *, moves: bool
) -> tuple[Note, ...]:
    """Refuse whatever is unsure about what upstream did; what the report should say of what is sure.

    ``moves`` says that the branch is to move. Raises ``Refused``: as ``unusable`` says, ``unexpected-tip``,
    ``pinned-release``, ``unrelated-upstream``, ``rewound-upstream``, ``held``, and as ``announcement`` does.
    """
    from resync.holds import holding

    upstream = seen.upstream
    refusal = unusable(seen)
    if refusal is not None:
        raise refusal
    if request.expect is not None and not _expected(request.expect, upstream.new_tip):
        found = upstream.new_tip.decode() if upstream.new_tip else "nothing"
        raise Refused(
            "unexpected-tip",
            f"{upstream.name} is at {found}, not at {request.expect} as expected. Nothing was changed.",
            "resync check    # tells what upstream did",
        )
    if seen.pinned is not None and request.to is None and upstream.release is None and moves:
        raise Refused(
            "pinned-release",
            f"HEAD is detached at release {seen.pinned.name}, and whether it is to follow {upstream.name} or"
            " to go to its newest release, nobody said. Nothing was changed.",
            "resync run --to release",
            "resync run --to tip",
        )
    surprise = upstream.kind == "unrelated" or (upstream.kind == "rewound" and request.unattended)
    unsure = surprise and request.onto is None and not _whole(request.expect, upstream.new_tip)
    announced = _announced(repository, seen, request, settings, unsure=unsure)
    if unsure and announced is None:
        how = {
            "unrelated": "has no history in common with what it was",
            "rewound": "went back to an earlier commit of its own, as a lagging mirror would",
        }[upstream.kind]
        raise Refused(
            f"{upstream.kind}-upstream",
            f"{upstream.name} {how}. Nothing was changed.",
            _if_meant(upstream),
        )
    held = holding(Journals(repository), seen.head.branch)
    if held is not None and held.holds == upstream.new_tip and not request.redo and moves:
        raise Refused(
            "held",
            f"You took back the move to this state of {upstream.name}, so resync does not repeat it unasked."
            " Nothing was changed.",
            "resync run --redo",
        )
    if announced is None or announced.signer is None:
        return ()
    tag = announced.tag.removeprefix(TAGS).decode("utf-8", "backslashreplace")
    return (Note(None, f"tag {tag}, which announces it, is signed by the trusted key {announced.signer}"),)


def _if_meant(upstream: Upstream) -> str:
    assert upstream.new_tip is not None
    return f"resync run --expect {upstream.new_tip.decode()}    # if that is meant"


def _announced(
    repository: Repository, seen: Observation, request: Request, settings: WorktreeSettings, *, unsure: bool
) -> Announcement | None:
    """The announcement of what upstream did, None where there is none; refuses to follow a surprise, where a
    rewrite has to be announced. ``unsure`` says that nothing else settles what upstream did."""
    if seen.upstream.kind not in ("rewritten", "rewound", "unrelated"):
        return None
    wanted = request.require_announcement
    if not wanted and not unsure:
        return None
    from resync.checkout import programs_for
    from resync.upstream.trust import announcement

    tags = seen.fetched.announcements if seen.fetched is not None else {}
    try:
        return announcement(repository, seen.upstream, tags, programs_for(repository, settings))
    except Refused as refusal:
        if wanted:
            raise
        if refusal.kind == "untrusted-announcement":
            refusal.hint = _if_meant(seen.upstream)
            raise
        return None


def _expected(expected: str, tip: Oid | None) -> bool:
    return tip is not None and len(expected) >= 7 and tip.startswith(expected.lower().encode())


def _whole(expected: str | None, tip: Oid | None) -> bool:
    """Whether the whole id is expected: of seven digits somebody can make another commit."""
    return expected is not None and tip is not None and expected.lower().encode() == tip


def refuse_edits(plan: Plan, request: Request) -> None:
    """Refuse by the policy for uncommitted edits: a service must not restart on upstream's defaults.

    Raises ``Refused``: ``dirty``, ``would-park``.
    """
    edits = [each for each in plan.files if each.state in ("staged", "unstaged")]
    if request.dirty == "refuse" and edits:
        raise Refused(
            "dirty",
            f"{_count(edits)} edited and not committed ({_list(edits)}). Nothing was changed.",
            "git commit -a    # commits them, then try again",
            "resync run --dirty restore    # carries them over",
        )
    parked = [each for each in plan.files if each.verdict in ("parked", "set-aside")]
    if request.dirty != "park" and request.unattended and parked:
        raise Refused(
            "would-park",
            f"{_count(parked)} in the way of upstream's changes and would be moved to the rescue branch"
            f" ({_list(parked)}). Nothing was changed.",
            "resync plan    # shows what would become of each",
            "resync run --yes --dirty park    # allows it",
        )


def _count(files: Sequence[LocalFile]) -> str:
    return "1 file is" if len(files) == 1 else f"{len(files)} files are"


def _list(files: Sequence[LocalFile]) -> str:
    return listed([each.path for each in files])
