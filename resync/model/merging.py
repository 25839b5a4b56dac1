"""What a merge comes to: a tree, conflicts, and what is to be said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from resync.model.names import Oid, TreeEntry, TreePath

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
