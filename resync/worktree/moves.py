"""Moving one file where somebody else may be at work, at any moment and on the same file.

No call here replaces or removes bytes that have no other name. What a path holds is known only by looking,
and may be something else at the next call: so what was moved is looked at after it was moved.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time

from resync.model import MODE_GITLINK, MODE_SYMLINK, MODE_TREE, NO_CONTENT, TreeEntry
from resync.repository import Objects
from resync.repository.pieces import of_file
from resync.worktree.files import BECAME_ANOTHER, git_mode, open_regular
from resync.worktree.settings import WorktreeSettings

DIRECTORY = TreeEntry(MODE_TREE, NO_CONTENT)  # only for comparing
_CHANGING = TreeEntry(0, NO_CONTENT)

_PATIENCE = (0.05, 0.1, 0.2, 0.4, 0.8)
_HELD_OPEN = (5, 32, 33)  # ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION

FASTER = (FileExistsError, FileNotFoundError, NotADirectoryError)
"""What a call fails with where somebody has just put something in the place, or taken something away."""


def look(full: bytes, objects: Objects, status: os.stat_result | None = None) -> TreeEntry | None:
    """Mode and blob id of what stands at a path, links not followed, nothing but files opened.

    ``status`` is what ``lstat`` has just said of it. What becomes something else while it is looked at is in
    no state that anybody expects.
    """
    try:
        status = status or os.lstat(full)
    except FASTER:
        return None
    if stat.S_ISDIR(status.st_mode):
        return DIRECTORY
    mode = git_mode(status.st_mode)
    if mode is None:
        return TreeEntry(stat.S_IFMT(status.st_mode), NO_CONTENT)
    try:
        if mode == MODE_SYMLINK:
            return TreeEntry(mode, objects.hash_blob(os.readlink(full)))
        descriptor = open_regular(full)
        try:
            oid = objects.hash_pieces(status.st_size, of_file(descriptor, status.st_size))
        finally:
            os.close(descriptor)
        return TreeEntry(mode, oid)
    except ValueError:
        return _CHANGING
    except OSError as error:
        if error.errno in BECAME_ANOTHER:
            return _CHANGING
        raise


def same(found: TreeEntry | None, expected: TreeEntry | None, settings: WorktreeSettings) -> bool:
    """Whether what ``look`` found is what a plan says, as far as the file system can tell modes and links."""
    if found is None or expected is None:
        return found is expected
    if expected.mode == MODE_GITLINK:
        return found == DIRECTORY
    if expected.oid == NO_CONTENT:
        return found == expected
    if found.oid != expected.oid:
        return False
    if found.mode == expected.mode:
        return True
    if expected.mode == MODE_SYMLINK:
        return not settings.symlinks
    return not settings.file_mode and MODE_SYMLINK not in (found.mode, expected.mode)


def link(source: bytes, target: bytes) -> None:
    """Give a file a second name, failing where the name is taken; by a copy where links cannot be made."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FASTER:
        raise
    except (OSError, NotImplementedError):
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
            return
        with open(open_regular(source), "rb") as old, open(target, "xb") as new:
            while chunk := old.read(1 << 20):
                new.write(chunk)
        os.chmod(target, stat.S_IMODE(os.stat(source).st_mode))


def rename(source: bytes, target: bytes) -> None:
    """Rename a file. On Windows one that is open somewhere cannot be: that is waited for, 1.5 seconds.

    Raises ``OSError``, that of the last attempt.
    """
    for seconds in _PATIENCE:
        try:
            os.rename(source, target)
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _HELD_OPEN:
                raise
            time.sleep(seconds)
    os.rename(source, target)


def put_back(moved: bytes, full: bytes) -> None:
    """Bring back what was moved away and is somebody's, if the place is free; else it stays where it is."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.lstat(moved).st_mode):
            rename(moved, full)  # it never replaces anything but an empty folder
        else:
            link(moved, full)
            free(moved, full)


def free(name: bytes, full: bytes) -> None:
    """Make sure that nothing has ``name``, if anything has it, and that nothing is lost by that.

    What stands at ``full`` too loses its second name only; anything else gets another one, because
    somebody who has it open may still write to it.
    """
    try:
        status = os.lstat(name)
    except FileNotFoundError:
        return
    try:
        again = os.path.samestat(status, os.lstat(full))
    except OSError:  # nothing there, or a link in the place of a folder that leads nowhere
        again = False
    if again:
        os.unlink(name)
        return
    number = 1
    while os.path.lexists(aside := name + b".%d" % number):
        number += 1
    rename(name, aside)
