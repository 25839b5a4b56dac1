"""Which paths may stand in a working tree, and which are one and the same there. Trees come from strangers.

This is the one place that judges names, for the index, for HEAD's tree and for what is to be made. The
spellings of ``.git`` are those that any file system that git knows takes for it, on every system: the
repository may be copied to another. What they are is in git-config(1), ``core.protectHFS`` and
``core.protectNTFS``: HFS+ passes over some code points, NTFS over blanks and dots at the end and what
follows a colon, and has short names; both do so whatever the case. A backslash separates names on Windows.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from resync.errors import Refused
from resync.model import TreePath
from resync.worktree.settings import WorktreeSettings

_NAME_MAX = 255
_PATH_MAX = 4096

_IGNORED_BY_HFS = re.compile(rb"\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf")
_NTFS_END = rb"[. ]*(?::.*)?\Z"
_DOT_GIT = re.compile(rb"(?:\.git|git~1)" + _NTFS_END, re.IGNORECASE | re.DOTALL)
# The short names of .gitmodules: by its letters, and by their hash where those are taken.
_DOT_GITMODULES = re.compile(
    rb"(?:\.gitmodules|gitmod~[1-4]|gi7e?b?a?~[1-9][0-9]*)" + _NTFS_END, re.IGNORECASE | re.DOTALL
)

# What every name that must not be has in it, once all are one lower-case string: looking for these is much
# faster than looking at 50,000 names.
_SIGNS = (
    b"//",
    b"/./",
    b"/../",
    b"\0",
    b"/.git",
    b"/git~1",
    b"\\.git",
    b"\\git~1",
    b"\xe2\x80",
    b"\xe2\x81",
    b"\xef\xbb\xbf",
)


def find_hostile(paths: Sequence[bytes]) -> tuple[TreePath, str] | None:
    """A path that could lead out of a working tree or into ``.git``, and why; None where there is none."""
    joined = b"/" + b"/".join(paths) + b"/"
    if not paths or not any(_fault(name) for name in _suspects(joined.lower())):
        return None
    for path in paths:
        for name in path.split(b"/"):
            reason = _fault(name)
            if reason is not None:
                return TreePath(path), reason
    return None


def check_paths(root: str, entries: Iterable[tuple[TreePath, int]]) -> None:
    """Raise ``Refused("hostile-path")`` for a path, with its mode, that must not or cannot be made.

    That is one that could leave the tree or reach ``.git``, one that is too long, and a ``.gitmodules`` that
    is a link: git would follow it to read what to do.
    """
    entries = list(entries)
    hostile = find_hostile([path for path, _ in entries])
    if hostile is not None:
        raise _hostile(*hostile)
    longest = _PATH_MAX - len(os.fsencode(root)) - 2
    for path, mode in entries:
        if len(path) > longest:
            raise _hostile(path, "is longer than a path can be here")
        if len(path) > _NAME_MAX and max(map(len, path.split(b"/"))) > _NAME_MAX:
            raise _hostile(path, "has a name that is longer than a name can be here")
        if stat.S_ISLNK(mode) and _DOT_GITMODULES.match(_IGNORED_BY_HFS.sub(b"", path)):
            raise _hostile(path, "is a link in the place of git's list of submodules")


def _suspects(joined: bytes) -> Iterator[bytes]:
    for sign in _SIGNS:
        place = joined.find(sign) if sign[0] in joined else -1  # one byte is found much faster than two
        while place >= 0:
            start = joined.rfind(b"/", 0, place + 1) + 1
            yield joined[start : joined.find(b"/", start)]
            place = joined.find(sign, place + 1)


def _fault(name: bytes) -> str | None:
    if not name or b"\0" in name:
        return "has a name that is no name"
    if name in (b".", b".."):
        return _REACHES_OUT
    visible = _IGNORED_BY_HFS.sub(b"", name)
    if any(_DOT_GIT.match(part) for part in visible.split(b"\\")):
        return _REACHES_OUT
    return None


_REACHES_OUT = "would reach out of the working tree or into .git"


def _hostile(path: TreePath, reason: str) -> Refused:
    return Refused(
        "hostile-path",
        f"The new tree has the path {os.fsdecode(path)!r}, which {reason}. Nothing was changed.",
        "do not use this upstream before somebody has looked at it",
    )


# --- names that are one on this disk -------------------------------------------------------------------


def folds(settings: WorktreeSettings) -> bool:
    """Whether the disk takes some names for the same: ``core.ignoreCase``, ``core.precomposeUnicode``."""
    return settings.ignore_case or settings.precompose_unicode


def folded(path: bytes, settings: WorktreeSettings) -> bytes:
    """The path in a spelling that all paths share which the disk takes for the same."""
    text = path.decode("utf-8", "surrogateescape")
    if settings.precompose_unicode:
        text = unicodedata.normalize("NFC", text)
    if settings.ignore_case:
        text = text.casefold()
    return text.encode("utf-8", "surrogateescape")


def respelled(paths: Iterable[TreePath], settings: WorktreeSettings) -> frozenset[TreePath]:
    """Those of ``paths`` that the disk takes for the same as another of them, or whose folder it does: both
    names of a rename that changes no more than the case are among them."""
    if not folds(settings):
        return frozenset()
    spellings: dict[bytes, set[bytes]] = {}
    paths = tuple(paths)
    for path in paths:
        for each in (path, *_above(path)):
            spellings.setdefault(folded(each, settings), set()).add(each)
    several = {each for spelled in spellings.values() if len(spelled) > 1 for each in spelled}
    return frozenset(path for path in paths if not several.isdisjoint((path, *_above(path))))


def is_spelled(root: bytes, path: TreePath, settings: WorktreeSettings) -> bool:
    """Whether what stands at ``path`` below ``root`` is called so by its folder, and not in another case."""
    exact = replace(settings, ignore_case=False)
    folder = root
    for name in path.split(b"/"):
        try:
            names = os.listdir(folder)
        except OSError:
            return False
        if folded(name, exact) not in (folded(each, exact) for each in names):
            return False
        folder = os.path.join(folder, name)
    return True


def check_collisions(
    added: Iterable[TreePath], paths: Iterable[TreePath], settings: WorktreeSettings
) -> None:
    """Raise ``Refused("colliding-paths")`` where of all ``paths`` of the new tree two are the same on this
    disk, or one is and a folder that another lies in, and one of the two is ``added``."""
    new = set(added)
    files: dict[bytes, TreePath] = {}
    folders: dict[bytes, list[TreePath]] = {}
    for path in paths:
        key = folded(path, settings)
        other = files.setdefault(key, path)
        if other != path and (path in new or other in new):
            raise _colliding(other, path)
        folders.setdefault(key[: max(key.rfind(b"/"), 0)], []).append(path)
    for folder, inside in folders.items():
        for key in (folder, *_above(folder)):
            file = files.get(key)
            if file is not None and (file in new or not new.isdisjoint(inside)):
                raise _colliding(file, inside[0])


def _above(path: bytes) -> Iterator[bytes]:
    """The folders that a path lies in, the nearest first."""
    while (slash := path.rfind(b"/")) > 0:
        path = path[:slash]
        yield path


def _colliding(one: TreePath, other: TreePath) -> Refused:
    return Refused(
        "colliding-paths",
        f"The new tree has both {os.fsdecode(one)!r} and {os.fsdecode(other)!r}, which are one on this disk"
        " (core.ignoreCase, core.precomposeUnicode). Nothing was changed.",
        "use a clone on a file system that tells them apart",
    )
