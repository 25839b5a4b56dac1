"""What is checked out, and what of it is not committed."""

from __future__ import annotations

from dataclasses import dataclass

from resync.model.names import NO_CONTENT, Oid, RefName, TreeEntry, TreePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is checked out: a branch, or a commit with ``branch`` None (detached)."""

    branch: RefName | None
    tip: Oid

    @property
    def name(self) -> bytes:
        """The branch as people say it, or ``HEAD``."""
        return self.branch.removeprefix(b"refs/heads/") if self.branch else b"HEAD"


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
