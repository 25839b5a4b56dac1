"""The words of resync as frozen data. No I/O here; read this file first.

Git's vocabulary is used wherever git has a word. Ours are few: a *rescue branch* keeps what was
backed up, work is *parked* when it stays there because it could not be carried over, *evidence* is
why a commit is believed to have been upstream's once, and a *verdict* is what becomes of one commit
or file. Everything that git keeps as bytes (ids, ref names, paths, messages) is bytes here too; text
is made of it only where it is shown.

From the ground up: ``names`` is what git names things by, ``objects`` are commits and trees, ``merging`` is
what a merge comes to, ``worktree`` what is not committed, ``upstream`` what became of the branch. A plan
consists of ``steps``, ``sitting`` is how a person's work on conflicts stands, and ``plan`` has all of it.
"""

from resync.model.merging import Conflict, ConflictKind, MergeResult, Note
from resync.model.names import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_GITLINK,
    MODE_SYMLINK,
    MODE_TREE,
    NO_CONTENT,
    Oid,
    RefName,
    TreeEntry,
    TreePath,
)
from resync.model.objects import Commit, ObjectStore, Tree
from resync.model.plan import (
    BranchMove,
    CommitVerdict,
    FileVerdict,
    LocalCommit,
    LocalFile,
    PathKind,
    Plan,
    SignatureKind,
)
from resync.model.sitting import ParkedEdits, Side, Sitting, Taken
from resync.model.steps import (
    Access,
    Backup,
    FileChange,
    FolderAccess,
    IndexChange,
    IndexRecord,
    MoveRefs,
    OtherTree,
    PathIn,
    RefUpdate,
    SetMessage,
    Step,
    Switch,
)
from resync.model.upstream import Evidence, EvidenceKind, Successor, Upstream, UpstreamKind
from resync.model.worktree import Head, InTheWay, PathState

__all__ = [
    "MODE_EXECUTABLE",
    "MODE_FILE",
    "MODE_GITLINK",
    "MODE_SYMLINK",
    "MODE_TREE",
    "NO_CONTENT",
    "Access",
    "Backup",
    "BranchMove",
    "Commit",
    "CommitVerdict",
    "Conflict",
    "ConflictKind",
    "Evidence",
    "EvidenceKind",
    "FileChange",
    "FileVerdict",
    "FolderAccess",
    "Head",
    "InTheWay",
    "IndexChange",
    "IndexRecord",
    "LocalCommit",
    "LocalFile",
    "MergeResult",
    "MoveRefs",
    "Note",
    "ObjectStore",
    "Oid",
    "OtherTree",
    "ParkedEdits",
    "PathIn",
    "PathKind",
    "PathState",
    "Plan",
    "RefName",
    "RefUpdate",
    "SetMessage",
    "Side",
    "SignatureKind",
    "Sitting",
    "Step",
    "Successor",
    "Switch",
    "Taken",
    "Tree",
    "TreeEntry",
    "TreePath",
    "Upstream",
    "UpstreamKind",
]
