"""A plan: what was found, what becomes of each commit, branch and file, and the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from resync.model.merging import Note
from resync.model.names import Oid, RefName, TreePath
from resync.model.sitting import Sitting
from resync.model.steps import Access, Backup, FileChange, OtherTree, RefUpdate, Step, Switch
from resync.model.upstream import Upstream
from resync.model.worktree import Head

CommitVerdict: TypeAlias = Literal[
    "reapplied", "already-upstream", "became-empty", "parked", "dropped-by-upstream"
]
FileVerdict: TypeAlias = Literal["restored", "kept", "adopted", "parked", "set-aside"]
PathKind: TypeAlias = Literal["staged", "unstaged", "untracked", "ignored", "special"]
SignatureKind: TypeAlias = Literal["openpgp", "ssh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCommit:
    """One commit of the user's and what becomes of it; ``reason`` is for people.

    ``merge`` says that it has several parents: git needs to be told which side of it to pick. ``resolved``
    are the paths whose conflicts were resolved as a person had resolved them before. ``by_hand`` says that a
    person made the new commit with git. ``change_id`` is Gerrit's, None where it has none, and
    ``new_change_id`` the one that it gets if it does not keep it.
    """

    oid: Oid
    subject: bytes
    author: bytes
    verdict: CommitVerdict
    reason: str = ""
    new_oid: Oid | None = None
    conflicts: tuple[TreePath, ...] = ()
    merge: bool = False
    change_id: bytes | None = None
    new_change_id: bytes | None = None
    resolved: tuple[TreePath, ...] = ()
    by_hand: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchMove:
    """Another branch than the current one, and what becomes of it.

    ``new_tip`` is where it would stand; ``moves`` says whether it does, ``reason`` why, for people. ``waits``
    says that work of it is left for a person. ``commits`` are its own, those left out that the current
    branch or one named before has too. ``rescue`` keeps it as it was, where something of it is parked.
    ``worktree`` is the top of another working tree that has it checked out, and moves with it if it does.
    """

    name: RefName
    old_tip: Oid
    new_tip: Oid
    moves: bool
    reason: str
    waits: bool
    commits: tuple[LocalCommit, ...]
    rescue: RefUpdate | None = None
    worktree: str | None = None

    @property
    def short_name(self) -> bytes:
        """The branch as people say it."""
        return self.name.removeprefix(b"refs/heads/")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """One uncommitted edit (or file in the way) and what becomes of it; ``reason`` is for people."""

    path: TreePath
    state: PathKind
    verdict: FileVerdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run, complete before its first step: what was found, what becomes of it, and the steps.

    ``undoes`` names the run that this one takes back, and ``holds`` the tip of upstream that was turned away
    from with that: no run goes there unasked. ``rescue`` is the rescue branch, None where there
    is nothing to rescue or the backup is only pinned. ``new_tip`` is where the branch will stand.
    ``notes`` are what the report says besides, ``branches`` the other branches that it has to do with;
    ``elsewhere`` are branches of the upstream's name that were rewritten at other remotes. ``sitting`` is how
    a person's work on conflicts stands after a run that is a part of it. ``signs`` says what the reapplied
    commits are signed with (None: they are not), ``renews`` whether Change-Ids are made anew: what is parked
    gets its own when a person resolves it.
    """

    id: str
    checkout: str
    head: Head
    new_tip: Oid
    upstream: Upstream | None
    commits: tuple[LocalCommit, ...]
    files: tuple[LocalFile, ...]
    rescue: RefUpdate | None
    steps: tuple[Step, ...]
    undoes: str | None = None
    holds: Oid | None = None
    notes: tuple[Note, ...] = ()
    branches: tuple[BranchMove, ...] = ()
    elsewhere: tuple[Upstream, ...] = ()
    sitting: Sitting | None = None
    signs: SignatureKind | None = None
    renews: bool = False

    @property
    def recorded(self) -> bool:
        """Whether it does more than a fetch does: it is backed up, on record, and can be undone."""
        return any(isinstance(step, Backup) for step in self.steps)

    @property
    def file_changes(self) -> tuple[FileChange, ...]:
        """Every file that it changes where it is made; in the run's folder each is known by its number."""
        return tuple(change for step in self.switches for change in step.files)

    @property
    def switches(self) -> tuple[Switch, ...]:
        """The switch of the working tree in which it is made; none where nothing changes there."""
        return tuple(step for step in self.steps if isinstance(step, Switch) and step.tree is None)

    @property
    def others(self) -> tuple[tuple[Switch, OtherTree], ...]:
        """The switches of other working trees, each with its tree. The number of each, from 1 on, is that of
        its folder in the run's and of its pins."""
        switches = (step for step in self.steps if isinstance(step, Switch))
        return tuple((step, step.tree) for step in switches if step.tree is not None)

    @property
    def folders(self) -> Mapping[TreePath, Access]:
        """The access of each folder that may be made again where it is made."""
        return {path: access for step in self.switches for path, access in step.access.items()}

    @property
    def halted(self) -> bool:
        """Whether a person is in the middle of resolving conflicts when it is done."""
        return self.sitting is not None and self.sitting.open

    @property
    def resolves(self) -> bool:
        """Whether it is no more than a step of a person's work on conflicts, and does not follow upstream."""
        return self.sitting is not None and self.upstream is None

    @property
    def waiting(self) -> bool:
        """Whether a person is needed afterwards."""
        return (
            any(c.verdict in ("parked", "dropped-by-upstream") for c in self.commits)
            or any(f.verdict == "parked" for f in self.files)
            or any(b.waits for b in self.branches)
        )
