"""Who may do what with a file: a new one gets it from the one that it replaces, and undo puts it back.

git keeps of all this the executable bit only. A configuration file that only its service may read must not
become readable by an update, and one with an access control list must not lose it: its group bits are the
list's mask (acl(5)), which would let the whole group in where the list is gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from resync.model import Access, FileChange, FolderAccess, TreePath
from resync.worktree.files import Files

# The system's own labels: it gives a new file its own, and nobody else may say what they are.
_SYSTEMS_OWN = ("security.selinux", "security.ima", "security.evm")
_ACCESS, _DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_SET_ID = stat.S_ISUID | stat.S_ISGID


def with_access(root: str, changes: Iterable[FileChange]) -> tuple[FileChange, ...]:
    """The changes with ``access_before`` of the files that stand below ``root`` now."""
    files = Files(root)
    return tuple(_with_access(files, change) for change in changes)


def _with_access(files: Files, change: FileChange) -> FileChange:
    status = files.lstat(change.path) if change.before is not None else None
    if status is None or stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode):
        return change
    return replace(change, access_before=_access(status))


def folders_of(
    root: str, changes: Iterable[FileChange], before: Mapping[TreePath, Access] | None = None
) -> tuple[FolderAccess, ...]:
    """The folders below ``root`` that may go with the files that go, as they are now; and those that are not
    there now and may come, as they were ``before``."""
    files, found = Files(root), dict(before or {})
    looked_at: set[bytes] = set()
    for change in changes:
        folder = os.path.dirname(change.path)
        while change.after is None and folder and folder not in looked_at:
            looked_at.add(folder)
            status = files.lstat(TreePath(folder))
            if status is not None and stat.S_ISDIR(status.st_mode):
                found[TreePath(folder)] = _access(status)
            folder = os.path.dirname(folder)
    return tuple(FolderAccess(path=path, access=access) for path, access in sorted(found.items()))


class Surroundings(NamedTuple):
    """What a folder hands on to what is made in it: what ``lstat`` says of it, and its default access control
    list, if it has one."""

    status: os.stat_result
    access_list: bytes | None


def surroundings(full: bytes) -> Surroundings:
    """Those of the folder in which a path is, or, where that has yet to be made, of the next one above."""
    folder = os.path.dirname(full)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    access_list = None
    if hasattr(os, "getxattr"):
        with contextlib.suppress(OSError):  # most folders have none, and some file systems no such thing
            access_list = os.getxattr(folder, _DEFAULT)
    return Surroundings(os.lstat(folder), access_list)


def take_access(
    path: bytes, status: os.stat_result, replaced: bytes, around: Surroundings, executable: bool | None
) -> bool:
    """Give a new file, which has ``status`` now, the owner, permissions and attributes of the regular file
    that it replaces, if any, else what a file that is made ``around`` it gets (``inherit``).

    ``executable`` None leaves that as it was as well: where git is told not to look at it (core.fileMode).
    Returns whether everything came along that the system keeps with a file.
    """
    try:
        old = os.lstat(replaced)
    except OSError:
        old = None
    if old is None or not stat.S_ISREG(old.st_mode):
        inherit(path, status, around)
        return True
    access = _access(old)
    if executable is not None:
        readers = (access.permissions & 0o444) >> 2
        bits = access.permissions | readers if executable else access.permissions & ~0o111
        access = access._replace(permissions=bits)
    return give_access(path, status, access, attributes_of=replaced)


def take_owner(path: bytes, folder: os.stat_result) -> bool:
    """Where root makes something in somebody's folder, it becomes theirs; the group goes with the owner.
    Returns whether it did."""
    if folder.st_uid == 0 or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    os.chown(path, folder.st_uid, folder.st_gid, follow_symlinks=False)
    return True


def inherit(path: bytes, status: os.stat_result, around: Surroundings) -> None:
    """Give a new file, link or folder, which has ``status`` now, what the system would have given it, had it
    been made there.

    That is the group of a folder that hands its group on (inode(7), the set-group-ID bit), and for a file
    the folder's default access control list (acl(5)), which takes the place of the umask.
    """
    above = around.status
    if above.st_mode & stat.S_ISGID and status.st_gid != above.st_gid and hasattr(os, "lchown"):
        # The system lets nobody but root and the group's own members do afterwards what it does by itself.
        with contextlib.suppress(PermissionError):
            os.lchown(path, -1, above.st_gid)
    if stat.S_ISREG(status.st_mode) and around.access_list is not None:
        with contextlib.suppress(OSError):
            os.setxattr(path, _ACCESS, around.access_list)
            executable = status.st_mode & stat.S_IXUSR
            os.chmod(path, os.lstat(path).st_mode & (0o777 if executable else 0o666))


def give_access(
    path: bytes, status: os.stat_result, access: Access, *, attributes_of: bytes | None = None
) -> bool:
    """Give a file or folder, which has ``status`` now, an owner and permissions, and another's extended
    attributes; return as ``take_access``.

    The order matters: a change of the owner clears the set-id bits, and an access control list brings bits
    of its own. Set-id bits that would serve somebody else than they did are not given.
    """
    permissions, complete, changed = access.permissions, True, False
    if hasattr(os, "chown") and (status.st_uid, status.st_gid) != (access.owner, access.group):
        changed = True
        if not _give_owner(path, access):
            permissions &= ~_SET_ID
    names = _attributes(attributes_of) if attributes_of is not None else []
    if names is None:
        complete = False
    elif names and attributes_of is not None:
        changed = True
        complete = _copy_attributes(names, attributes_of, path)
    if changed or stat.S_IMODE(status.st_mode) != permissions:
        os.chmod(path, permissions)
    return complete


def _access(status: os.stat_result) -> Access:
    return Access(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def _give_owner(path: bytes, access: Access) -> bool:
    """Whether the file belongs to that owner and group now; only root can give files away."""
    for owner in (access.owner, -1):
        with contextlib.suppress(PermissionError):
            os.chown(path, owner, access.group)
            break
    now = os.lstat(path)
    return (now.st_uid, now.st_gid) == (access.owner, access.group)


def _attributes(path: bytes) -> list[str] | None:
    """The names of a file's extended attributes, access control lists among them, where Python can tell
    (Linux); None where the system does not say."""
    if not hasattr(os, "listxattr"):
        return []
    try:
        return [name for name in os.listxattr(path) if name not in _SYSTEMS_OWN]
    except OSError as error:
        return [] if error.errno in (errno.ENOTSUP, errno.ENOSYS) else None


def _copy_attributes(names: Iterable[str], source: bytes, target: bytes) -> bool:
    complete = True
    for name in names:
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError:
            complete = False
    return complete
