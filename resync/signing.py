"""Signs the commits that a run makes anew, where ``commit.gpgSign`` asks for it.

A signature is over the commit's bytes, its parents' ids among them, holds the time at which it was made, and
may cost a person a passphrase. So the rehearsal, and with it ``plan``, goes without; a run signs once it is
agreed on and before its first step, oldest commit first, and its plan gets the new ids in the place of the
old ones. Trees, messages and verdicts stay as they were shown. All of them are signed or, where the signer
fails, none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from resync.model import (
    Backup,
    LocalCommit,
    MoveRefs,
    Note,
    Oid,
    Plan,
    RefUpdate,
    SetMessage,
    Sitting,
    Step,
    Switch,
)
from resync.notes import with_notes
from resync.programs import Programs
from resync.replay.commits import rewritten
from resync.repository import Objects, Repository
from resync.repository.config import boolean
from resync.request import Caller
from resync.rewrites import moved_tips, parents_first, reapplied
from resync.signers import NotSigned, Signer, scheme

_HEADERS = (b"gpgsig", b"gpgsig-sha256")
"""In the order of their hashes: SHA-1, SHA-256 (git's gitformat-signature(5))."""

_LOST = "reapplied without its signature, which is of the old commit"


def promised(repository: Repository, plan: Plan) -> Plan:
    """The plan as it is rehearsed: whether its new commits will be signed, or what is lost with the old.

    Raises ``UsageError("bad-config")``.
    """
    made = {new for _, new in reapplied(plan)}
    if not made:
        return plan
    if made.isdisjoint(moved_tips(plan)) or not boolean(repository.config, (b"commit",), "gpgSign", False):
        return _unsigned(repository.objects, plan)
    kind = scheme(repository)
    if kind == "x509":
        note = "commit.gpgSign asks for signatures by X.509 (gpg.format), which resync cannot make"
        return _unsigned(repository.objects, plan, note)
    return replace(plan, signs=kind)


def signed(repository: Repository, plan: Plan, caller: Caller, programs: Programs) -> Plan:
    """The plan with its new commits signed, if that was ``promised``, and with their new ids.

    New objects are added to the memory of the object store. Where the signer fails the commits stay
    unsigned, and the plan says so.
    """
    if plan.signs is None:
        return plan
    signer = Signer(
        repository=repository, programs=programs, scheme=plan.signs, committer=repository.identity()
    )
    made = {new for _, new in reapplied(plan)}
    try:
        renamed = _renamed(plan, _signed_ids(repository.objects, moved_tips(plan), made, signer))
    except NotSigned as failure:
        note = f"the reapplied commits are not signed, because {failure}"
        if failure.hint:
            note += f" (try: {failure.hint})"
        return _unsigned(repository.objects, replace(plan, signs=None), note)
    # Notes name commits by their ids.
    return with_notes(repository, renamed, caller.signed(repository.identity()))


def signed_commit(raw: bytes, signer: Signer, *, sha256: bool) -> bytes:
    """The bytes of a commit with a signature over all of them; raises ``NotSigned``."""
    signature = signer.sign(raw).rstrip(b"\n").replace(b"\n", b"\n ")
    headers, separator, message = raw.partition(b"\n\n")
    return b"%s\n%s %s%s%s" % (headers, _HEADERS[sha256], signature, separator, message)


def is_signed(raw: bytes) -> bool:
    """Whether a commit, given as its raw bytes, has a signature."""
    headers = raw.partition(b"\n\n")[0]
    return any(line.split(b" ", 1)[0] in _HEADERS for line in headers.split(b"\n"))


def _signed_ids(
    objects: Objects, tips: Iterable[Oid], made: Collection[Oid], signer: Signer
) -> dict[Oid, Oid]:
    """The ids of the signed commits by those of the unsigned, for all of ``made`` that the tips reach."""
    ids: dict[Oid, Oid] = {}
    for oid in parents_first(objects, tips, made):
        commit = objects.commit(oid)
        parents = [ids.get(parent, parent) for parent in commit.parents]
        raw = rewritten(commit, tree=commit.tree, parents=parents, committer=commit.committer)
        ids[oid] = objects.add_commit(signed_commit(raw, signer, sha256=objects.hex_length > 40))
    return ids


def _renamed(plan: Plan, ids: Mapping[Oid, Oid]) -> Plan:
    """The plan with other ids for its new commits."""
    return replace(
        plan,
        new_tip=ids.get(plan.new_tip, plan.new_tip),
        commits=_renamed_commits(plan.commits, ids),
        branches=tuple(
            replace(
                each,
                new_tip=ids.get(each.new_tip, each.new_tip),
                commits=_renamed_commits(each.commits, ids),
            )
            for each in plan.branches
        ),
        steps=tuple(_renamed_step(step, ids) for step in plan.steps),
        sitting=_renamed_sitting(plan.sitting, ids) if plan.sitting is not None else None,
    )


def _renamed_sitting(sitting: Sitting, ids: Mapping[Oid, Oid]) -> Sitting:
    taken = sitting.taken
    if taken is not None:
        taken = replace(taken, under=ids.get(taken.under, taken.under))
    sides = tuple(
        replace(side, stands=tuple((old, ids.get(new, new)) for old, new in side.stands))
        for side in sitting.sides
    )
    return replace(sitting, tip=ids.get(sitting.tip, sitting.tip), taken=taken, sides=sides)


def _renamed_commits(commits: Sequence[LocalCommit], ids: Mapping[Oid, Oid]) -> tuple[LocalCommit, ...]:
    return tuple(
        replace(each, new_oid=ids.get(each.new_oid, each.new_oid)) if each.new_oid is not None else each
        for each in commits
    )


def _renamed_step(step: Step, ids: Mapping[Oid, Oid]) -> Step:
    match step:
        case Backup():
            return replace(step, refs=_renamed_updates(step.refs, ids))
        case MoveRefs():
            return replace(step, updates=_renamed_updates(step.updates, ids))
        case Switch() | SetMessage():
            return step


def _renamed_updates(updates: Sequence[RefUpdate], ids: Mapping[Oid, Oid]) -> tuple[RefUpdate, ...]:
    return tuple(
        replace(each, new=ids.get(each.new, each.new)) if each.new is not None else each for each in updates
    )


def _unsigned(objects: Objects, plan: Plan, note: str = "") -> Plan:
    """The plan with a word on each commit whose signature is lost, and a ``note`` on them all."""
    return replace(
        plan,
        commits=_lost(objects, plan.commits),
        branches=tuple(replace(each, commits=_lost(objects, each.commits)) for each in plan.branches),
        notes=(*plan.notes, *([Note(None, note)] if note else [])),
    )


def _lost(objects: Objects, commits: Sequence[LocalCommit]) -> tuple[LocalCommit, ...]:
    return tuple(
        replace(each, reason="; ".join(filter(None, (each.reason, _LOST))))
        if each.new_oid not in (None, each.oid) and is_signed(objects.commit(each.oid).raw)
        else each
        for each in commits
    )
