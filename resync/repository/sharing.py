"""Whose the files are that we make in the git directory, and who may use them (``core.sharedRepository``).

git gives each file its bits as it makes it (git-config(1), git-init(1) ``--shared``). Ours are made in many
places, by dulwich too, so they are given theirs at the end of a command, all at once; what a command leaves
that dies is seen to by the next.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from resync.repository.repo import Repository

_WORDS = {
    **dict.fromkeys(("group", "true", "1"), 0o660),
    **dict.fromkeys(("all", "world", "everybody", "2"), 0o664),
}
# Files of the working tree lie here, some under two names: they keep the bits that they have.
_NOT_OURS = ("quarantine", "staging")


def share(repository: Repository, *, follow_owner: Callable[[Repository], bool]) -> None:
    """Give what is ours in the git directory the bits that ``core.sharedRepository`` asks for, if it does.

    What root made belongs to the owner of the git directory, if ``follow_owner`` says so, which is asked only
    where they are not the same.
    """
    theirs = os.stat(repository.common_dir)
    if hasattr(os, "geteuid") and os.geteuid() == 0 != theirs.st_uid and follow_owner(repository):
        for path in _made(repository):
            if os.lstat(path).st_uid == 0:
                os.chown(path, theirs.st_uid, theirs.st_gid, follow_symlinks=False)
    wanted = (repository.config_text("core", "sharedrepository") or "umask").lower()
    exact = len(wanted) == 4 and wanted.startswith("0") and wanted.isdigit()
    bits = int(wanted, 8) if exact else _WORDS.get(wanted, 0)
    if not bits or not hasattr(os, "getuid"):
        return
    mine = os.getuid()
    for path in _made(repository):
        status = os.lstat(path)
        if status.st_uid != mine or stat.S_ISLNK(status.st_mode):
            continue
        mode = stat.S_IMODE(status.st_mode)
        if exact:
            mode &= ~0o777
        shared = mode | _adjusted(bits, status.st_mode)
        if shared != stat.S_IMODE(status.st_mode):
            os.chmod(path, shared)


def _adjusted(bits: int, mode: int) -> int:
    """The bits for a file or folder: none may write to what its owner may not write to."""
    if not mode & stat.S_IWUSR:
        bits &= ~0o222
    if mode & stat.S_IXUSR:
        bits |= (bits & 0o444) >> 2
    return bits | stat.S_ISGID if stat.S_ISDIR(mode) else bits


def _made(repository: Repository) -> Iterator[str]:
    """Where files of ours may be."""
    common = repository.common_dir
    for name in ("resync", "refs", "logs", "rr-cache"):
        for folder, folders, names in os.walk(os.path.join(common, name)):
            yield folder
            yield from (os.path.join(folder, each) for each in folders if each in _NOT_OURS)
            folders[:] = [each for each in folders if each not in _NOT_OURS]
            yield from (os.path.join(folder, each) for each in names)
    packs = os.path.join(common, "objects", "pack")
    yield from (os.path.join(packs, each) for each in os.listdir(packs))
    for tree in (repository, *repository.opened_beside.values()):
        named = (
            os.path.join(tree.git_dir, *name) for name in (("ORIG_HEAD",), ("MERGE_RR",), ("logs", "HEAD"))
        )
        for path in (tree.index_path, *named):
            if os.path.exists(path):
                yield path
