"""The steps of a plan, and what each of them changes: refs, files, the index, the message to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from resync.model.names import Oid, RefName, TreeEntry, TreePath


@dataclass(frozen=True, slots=True, kw_only=True)
class RefUpdate:
    """A ref going from ``old`` to ``new`` (None: it does not exist), and the words for its reflog."""

    name: RefName
    old: Oid | None
    new: Oid | None
    message: str

    def inverse(self, message: str) -> RefUpdate:
        """The update that takes this one back."""
        return RefUpdate(name=self.name, old=self.new, new=self.old, message=message)


class Access(NamedTuple):
    """Who may do what with a file: the permission bits (``0o7777``), and the ids of owner and group."""

    permissions: int
    owner: int
    group: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderAccess:
    """A folder that may come and go with the files in it, and the access that it has whenever it is there."""

    path: TreePath
    access: Access


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A path in the working tree going from one state to another.

    ``before`` and ``after`` are mode and blob id of the bytes *on disk* (``NO_CONTENT`` for a FIFO, socket or
    device); None: nothing is there. ``access_before`` is that of the file which is there before, and
    ``access_after`` what the new one gets; None: that of the file which it replaces.
    """

    path: TreePath
    before: TreeEntry | None
    after: TreeEntry | None
    access_before: Access | None = None
    access_after: Access | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRecord:
    """An index entry without its stat data. ``in_file`` says that the file on disk has this content."""

    mode: int
    oid: Oid
    assume_valid: bool = False
    skip_worktree: bool = False
    intent_to_add: bool = False
    in_file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexChange:
    """A path in the index going from one record to another (None: not in the index).

    ``stage`` is 0 for what is merged, and 1, 2 or 3 (base, ours, theirs) for a side of a conflict.
    """

    path: TreePath
    before: IndexRecord | None
    after: IndexRecord | None
    stage: int = 0

    def inverse(self) -> IndexChange:
        """The change that takes this one back."""
        return IndexChange(path=self.path, before=self.after, after=self.before, stage=self.stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """Write everything that the refs reach, then the refs: the rescue branch and the pins."""

    refs: tuple[RefUpdate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherTree:
    """Another working tree of the repository: its top, and the ``branch`` that it has checked out.

    ``git_dir`` is its git directory, relative to the common one (``.`` for the main working tree), by which
    it is known again when its folder was moved.
    """

    root: str
    git_dir: str
    branch: RefName


class PathIn(NamedTuple):
    """A path in a working tree: in the one at ``root``, or (None) in that in which the run was made."""

    path: TreePath
    root: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Change files and index from the old state to the final one.

    ``index_file`` is the blob id of the index file's bytes as they were planned with (None: no index).
    ``folders`` are those whose access is known, wherever they are made again: on the way back, or by an undo.
    ``tree`` is another working tree that moves along; None: the one in which the run is made.
    """

    files: tuple[FileChange, ...]
    index: tuple[IndexChange, ...]
    index_file: Oid | None
    folders: tuple[FolderAccess, ...] = ()
    tree: OtherTree | None = None

    @property
    def access(self) -> Mapping[TreePath, Access]:
        """The access of each of ``folders``."""
        return {folder.path: folder.access for folder in self.folders}


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRefs:
    """Move the branch, HEAD and the remote-tracking branch."""

    updates: tuple[RefUpdate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMessage:
    """Put another text into ``MERGE_MSG``, git's message for the commit to come: the ids of two blobs (None:
    no such file)."""

    before: Oid | None
    after: Oid | None


Step: TypeAlias = Backup | Switch | MoveRefs | SetMessage
