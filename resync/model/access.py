"""Who may do what with a file or a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from resync.model.names import TreePath


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
