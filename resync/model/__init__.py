"""The words of resync as frozen data. No I/O here; read this file first.

Git's vocabulary is used wherever git has a word. Ours are few: a *rescue branch* keeps what was
backed up, work is *parked* when it stays there because it could not be carried over, *evidence* is
why a commit is believed to have been upstream's once, and a *verdict* is what becomes of one commit
or file. Everything that git keeps as bytes (ids, ref names, paths, messages) is bytes here too; text
is made of it only where it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeAlias

from resync.model.names import MODE_EXECUTABLE as MODE_EXECUTABLE
from resync.model.names import MODE_FILE as MODE_FILE
from resync.model.names import MODE_GITLINK as MODE_GITLINK
from resync.model.names import MODE_SYMLINK as MODE_SYMLINK
from resync.model.names import MODE_TREE as MODE_TREE
from resync.model.names import NO_CONTENT as NO_CONTENT
from resync.model.names import Oid as Oid
from resync.model.names import RefName as RefName
from resync.model.names import TreeEntry as TreeEntry
from resync.model.names import TreePath as TreePath
from resync.model.sitting import ParkedEdits as ParkedEdits
from resync.model.sitting import Side as Side
from resync.model.sitting import Sitting as Sitting
from resync.model.sitting import Taken as Taken
from resync.model.steps import Access as Access
from resync.model.steps import Backup as Backup
from resync.model.steps import FileChange as FileChange
from resync.model.steps import FolderAccess as FolderAccess
from resync.model.steps import IndexChange as IndexChange
from resync.model.steps import IndexRecord as IndexRecord
from resync.model.steps import MoveRefs as MoveRefs
from resync.model.steps import OtherTree as OtherTree
from resync.model.steps import PathIn as PathIn
from resync.model.steps import RefUpdate as RefUpdate
from resync.model.steps import SetMessage as SetMessage
from resync.model.steps import Step as Step
from resync.model.steps import Switch as Switch
from resync.model.upstream import Evidence as Evidence
from resync.model.upstream import EvidenceKind as EvidenceKind
from resync.model.upstream import Successor as Successor
from resync.model.upstream import Upstream as Upstream
from resync.model.upstream import UpstreamKind as UpstreamKind

Tree: TypeAlias = Mapping[bytes, TreeEntry]
"""One tree object, parsed: name (no slash) to entry."""


class ObjectStore(Protocol):
    """Reading objects, and adding new ones to memory; what the merge engine needs of a repository.

    Readers raise ``Refused("missing-object")`` for an object that is not there or not of that type, and
    ``blob`` raises ``LargeBlob`` for one that is not to be held in memory.
    Mappings that are returned are shared: never change them.
    """

    def tree(self, oid: Oid) -> Tree:
        """The tree ``oid``, parsed and cached."""

    def blob(self, oid: Oid) -> bytes:
        """The bytes of the blob ``oid``."""

    def size(self, oid: Oid) -> int:
        """The size of the blob ``oid`` in bytes, found without reading it."""

    def add_tree(self, entries: Tree) -> Oid:
        """Add a tree to memory (nothing reaches the disk) and return its id."""

    def add_blob(self, data: bytes) -> Oid:
        """Add a blob to memory (nothing reaches the disk) and return its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit, parsed from its raw bytes. ``author`` and ``committer`` are the header values whole."""

    oid: Oid
    tree: Oid
    parents: tuple[Oid, ...]
    author: bytes
    committer: bytes
    message: bytes
    raw: bytes = field(repr=False)

    @property
    def subject(self) -> bytes:
        """The first paragraph of the message on one line, as ``git log --format=%s`` has it."""
        paragraph = self.message.lstrip(b"\n").split(b"\n\n", 1)[0]
        return b" ".join(line.strip() for line in paragraph.splitlines()).strip()


# --- merging ---------------------------------------------------------------------------------------

ConflictKind: TypeAlias = Literal[
    "content",
    "binary",
    "add/add",
    "modify/delete",
    "rename/delete",
    "rename/rename",
    "rename/add",
    "file/directory",
    "directory-rename",
    "mode",
    "symlink",
    "distinct-types",
    "submodule",
    "driver",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One path that a merge could not decide.

    ``stages`` are base, ours and theirs as the index would hold them (stages 1, 2, 3), each None where
    that side has nothing at the path. ``merged`` is the blob with conflict markers where there is one.
    ``others`` are further paths of the same conflict (the other names of a rename).
    """

    kind: ConflictKind
    path: TreePath
    stages: tuple[TreeEntry | None, TreeEntry | None, TreeEntry | None]
    merged: Oid | None = None
    others: tuple[TreePath, ...] = ()


class Note(NamedTuple):
    """Something that the report should say, about one path or (None) a merge as a whole."""

    path: TreePath | None
    text: str

    def __str__(self) -> str:
        if self.path is None:
            return self.text
        return f"{self.path.decode('utf-8', 'backslashreplace')}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """What a three-way merge of trees came to.

    ``tree`` is the merged tree; with conflicts, conflicted paths hold what git would leave in the
    working tree (text with markers, or one side). ``notes`` are for the report, such as a merge driver
    that is named but not configured.
    """

    tree: Oid
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether the merge decided everything."""
        return not self.conflicts


# --- the working tree ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PathState:
    """A tracked path (or an intended addition) at which HEAD, index and working tree are not all equal.

    ``worktree`` is the file as git would store it, after filters and end-of-line conversion; ``raw`` is the
    blob id of its bytes exactly as they are on disk (the link's target for a symlink), the same id where
    nothing converts. All are None where there is nothing. Both blobs are in the object store's memory.
    ``private`` says that a filter keeps the raw bytes away from git: they may be secrets.
    """

    path: TreePath
    head: TreeEntry | None
    index: TreeEntry | None
    worktree: TreeEntry | None
    raw: Oid | None
    intent_to_add: bool = False
    private: bool = False

    @property
    def staged(self) -> bool:
        """Whether the index differs from HEAD here."""
        return self.index != self.head

    @property
    def unstaged(self) -> bool:
        """Whether the file differs from the index here."""
        return self.worktree != self.index


@dataclass(frozen=True, slots=True, kw_only=True)
class InTheWay:
    """An untracked or ignored file that stands where the new tree wants to put something.

    ``entry`` is its mode and the blob id of its bytes on disk; for a FIFO, socket or device the file type
    (``S_IFIFO``, …) and ``NO_CONTENT``. ``filtered`` says that a filter would keep them away from git.
    """

    path: TreePath
    entry: TreeEntry
    ignored: bool
    filtered: bool = False

    @property
    def private(self) -> bool:
        """Whether its bytes may be secrets, and so belong on no branch that somebody might push."""
        return self.ignored or self.filtered

    @property
    def special(self) -> bool:
        """Whether it is a FIFO, socket or device."""
        return self.entry.oid == NO_CONTENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is checked out: a branch, or a commit with ``branch`` None (detached)."""

    branch: RefName | None
    tip: Oid

    @property
    def name(self) -> bytes:
        """The branch as people say it, or ``HEAD``."""
        return self.branch.removeprefix(b"refs/heads/") if self.branch else b"HEAD"


# --- the plan --------------------------------------------------------------------------------------

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
