"""Where files are: in which working tree, and who may do what with them there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from resync.model.names import RefName, TreePath


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
