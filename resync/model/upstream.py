"""What upstream's branch was and is, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from resync.model.names import Oid, RefName

EvidenceKind: TypeAlias = Literal["given", "commit-map", "record", "tracking", "reflog", "announcement-tag"]
UpstreamKind: TypeAlias = Literal[
    "up-to-date", "advanced", "rewritten", "rewound", "unrelated", "deleted", "unknown"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why the commit ``oid`` is believed to have been upstream's tip once, and where that is written."""

    kind: EvidenceKind
    source: bytes
    oid: Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """A ref of the remote at which a branch that is gone may live on.

    It holds, by id or by content, ``held`` ``of`` the old branch's newest commits.
    """

    ref: RefName
    oid: Oid
    held: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """What upstream's branch was, what it is now, and how that is known.

    ``old_tip`` is the tip that decided, and ``old_tips`` are all that are known; ``evidence`` says why, the
    deciding first, of those that the new tip left behind. ``tracking`` is None where nothing here tracks the
    branch. ``left`` and ``arrived`` count commits that went and came with a rewrite, merges left out; they
    are None where a shallow clone cannot tell.
    ``successors`` are where a branch that is gone may live on, the likeliest first. With a ``release``, the
    tag of one, ``new_tip`` is its commit and not where the branch stands.
    """

    remote: str
    branch: RefName
    tracking: RefName | None
    kind: UpstreamKind
    new_tip: Oid | None
    old_tip: Oid | None
    old_tips: tuple[Oid, ...]
    evidence: tuple[Evidence, ...]
    left: int | None = 0
    arrived: int | None = 0
    successors: tuple[Successor, ...] = ()
    release: RefName | None = None

    @property
    def name(self) -> str:
        """The branch as people say it: ``origin/stable/liberty``."""
        branch = self.branch.removeprefix(b"refs/heads/").decode("utf-8", "surrogateescape")
        return f"{self.remote}/{branch}"
