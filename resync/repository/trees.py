"""The other working trees of a repository (git-worktree(1)): which have a branch checked out; opening one.

A working tree is known by its git directory, relative to the common one (``.`` is the main one's): its folder
may be moved.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress

from resync.errors import Refused
from resync.model import OtherTree, RefName
from resync.repository.ref_files import RefFiles
from resync.repository.repo import BRANCHES, Repository

_HEAD = RefName(b"HEAD")
# Where git notes the branch that it has left for a while.
_COME_BACK = ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START")
# What says which repository and which working tree is meant says nothing of another one.
_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE")


def other_checkouts(repository: Repository, branch: RefName) -> tuple[OtherTree, ...]:
    """The other working trees that have ``branch`` checked out: with ``--force`` there may be several.

    As for git, one in which a rebase or bisect of the branch is under way has it, though HEAD is detached.
    One whose folder is gone has none, unless it is locked, as one on a disk that is not always there is.
    """
    found = []
    for git_dir in _git_dirs(repository.common_dir):
        full = os.path.join(repository.common_dir, git_dir)
        if _same(full, repository.git_dir):
            continue
        root = _place(repository.common_dir, git_dir)
        if root is None or _is_removed(root, full):
            continue
        if git_dir == "." and not os.path.exists(os.path.join(full, "index")):
            continue  # a bare repository has a HEAD as well
        files = RefFiles(full, repository.common_dir, repository.objects.hex_length)
        with suppress(Refused):
            if branch in (files.chain_end(_HEAD), *_at_work_on(full)):
                found.append(OtherTree(root=root, git_dir=git_dir, branch=branch))
    return tuple(found)


def _at_work_on(git_dir: str) -> Iterator[bytes]:
    """The branches to which a rebase or bisect that is under way will come back (git-worktree(1))."""
    for name in _COME_BACK:
        with suppress(OSError), open(os.path.join(git_dir, name), "rb") as file:
            found = file.read().strip()
            yield found if found.startswith(BRANCHES) else BRANCHES + found


def other_checkout(repository: Repository, branch: RefName) -> str | None:
    """The top of another working tree that has ``branch`` checked out, or None."""
    return next((each.root for each in other_checkouts(repository, branch)), None)


def is_known(repository: Repository, tree: OtherTree) -> bool:
    """Whether git still knows a working tree, wherever its folder is (git worktree list)."""
    return _place(repository.common_dir, tree.git_dir) is not None


def is_gone(repository: Repository, tree: OtherTree) -> bool:
    """Whether a working tree is no longer there: its folder was removed, or its git directory was.

    One that is locked is not gone where its folder is away.
    """
    root = _place(repository.common_dir, tree.git_dir)
    return root is None or _is_removed(root, os.path.join(repository.common_dir, tree.git_dir))


def _is_removed(root: str, git_dir: str) -> bool:
    return _is_missing(root) and not os.path.exists(os.path.join(git_dir, "locked"))


def _is_missing(folder: str) -> bool:
    """Whether a folder is not there: one that nobody may look into may well be."""
    try:
        os.stat(folder)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def opened(repository: Repository, tree: OtherTree) -> Repository:
    """A working tree as a repository, wherever its folder is now.

    It shares the objects of ``repository`` and is closed with it. Raises what ``Repository.open`` does, and
    ``Refused("other-worktree")`` where its folder is not there, or does not lead back to it.
    """
    if _same(os.path.join(repository.common_dir, tree.git_dir), repository.git_dir):
        return repository
    known = repository.opened_beside.get(tree.git_dir)
    if known is not None:
        return known
    root = _place(repository.common_dir, tree.git_dir) or tree.root
    if _is_missing(root):
        locked = os.path.exists(os.path.join(repository.common_dir, tree.git_dir, "locked"))
        prune = "git worktree prune    # if it was removed"
        raise Refused(
            "other-worktree",
            f"The working tree {root} is not there now. Nothing was changed.",
            "git worktree repair NEW-PLACE    # if it was moved",
            f"git worktree unlock {shlex.quote(root)} && {prune}" if locked else prune,
        )
    env = {name: value for name, value in repository.environment_given.items() if name not in _PLACES}
    other = Repository.open(root, env)
    wanted = (root, os.path.join(repository.common_dir, tree.git_dir), repository.common_dir)
    found = (other.root, other.git_dir, other.common_dir)
    if not all(map(_same, wanted, found)) or _same(root, repository.root):
        other.close()
        raise Refused(
            "other-worktree",
            f"{root} does not lead back to its repository. Nothing was changed.",
            f"git worktree repair {shlex.quote(root)}    # git worktree list tells which there are",
        )
    other.objects = repository.objects
    repository.opened_beside[tree.git_dir] = other
    return other


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _git_dirs(common_dir: str) -> Iterator[str]:
    yield "."
    linked = os.path.join(common_dir, "worktrees")
    for name in sorted(os.listdir(linked)) if os.path.isdir(linked) else ():
        yield os.path.join("worktrees", name)


def _place(common_dir: str, git_dir: str) -> str | None:
    """The folder of a working tree, whether it is there or not; None where nothing tells."""
    if git_dir == ".":
        return os.path.dirname(common_dir)
    full = os.path.join(common_dir, git_dir)
    with suppress(OSError), open(os.path.join(full, "gitdir"), "rb") as file:
        # Relative with worktree.useRelativePaths.
        return os.path.dirname(os.path.normpath(os.path.join(full, os.fsdecode(file.read().strip()))))
    return None
