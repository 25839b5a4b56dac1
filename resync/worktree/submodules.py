"""What a repository inside the working tree has checked out; nothing else of it is ever read."""

from __future__ import annotations

import os

from resync.errors import Refused
from resync.model import Oid, TreePath


def repository_head(full: bytes, path: TreePath) -> Oid | None:
    """The commit that HEAD names in the repository at ``full``, or None where there is none yet.

    ``path`` is its name for a message. Its configuration is not read and its objects are not opened. Raises
    ``Refused("unreadable-file")`` where its refs cannot be read.
    """
    from dulwich.refs import DiskRefsContainer

    try:
        git_dir = _git_dir(full)
        refs = DiskRefsContainer(_common_dir(git_dir), worktree_path=git_dir)
        return Oid(refs[b"HEAD"])  # type: ignore[index]  # dulwich's own NewType for names
    except (KeyError, ValueError):  # no commit yet, or nothing that git would take for a ref either
        return None
    except OSError as error:
        raise Refused(
            "unreadable-file",
            f"HEAD of the submodule {os.fsdecode(path)!r} cannot be read ({error.strerror})."
            " Nothing was changed.",
            "git submodule status",
        ) from None


def _git_dir(full: bytes) -> bytes:
    """The git directory: ``.git`` itself, or what a ``.git`` file names (gitrepository-layout(5))."""
    dot_git = os.path.join(full, b".git")
    if os.path.isdir(dot_git):
        return dot_git
    with open(dot_git, "rb") as file:
        prefix, found, path = file.read(8192).partition(b"gitdir: ")
    if prefix or not found:
        raise ValueError("not a gitfile")
    return os.path.join(full, path.rstrip(b"\r\n"))


def _common_dir(git_dir: bytes) -> bytes:
    """Where the refs are: for a linked worktree not its own git directory but the main one."""
    try:
        with open(os.path.join(git_dir, b"commondir"), "rb") as file:
            return os.path.join(git_dir, file.read(8192).rstrip(b"\r\n"))
    except FileNotFoundError:
        return git_dir
