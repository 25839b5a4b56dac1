"""Recorded resolutions on the disk, as git's rerere keeps them.

A folder ``rr-cache`` has one folder for each conflict id, and in it ``preimage`` and ``postimage``; where one
id needed several resolutions the others are variants ``preimage.1``, ``postimage.1`` and so on
(git-rerere(1), gitrepository-layout(5)). A preimage alone is a conflict that nobody has resolved yet.
``MERGE_RR`` in the git directory of a working tree names the conflicts that stand in it now: for each a
record ``<conflict id>[.<variant>]``, a tab, the path, and a NUL. git changes it under ``MERGE_RR.lock``.

What lies there is looked at and not believed: links are not followed, nothing but regular files of a modest
size is read, and what cannot be read is not there. What is written here is synced, which git's is not.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Literal, NamedTuple, TypeAlias

from resync.model import TreePath
from resync.repository.durable import fsync, fsync_directory, make_folders

LARGEST = 32 * 1024 * 1024
"""Larger images (bytes) are not read: no text that a person resolves is."""

_MOST_NAMES = 1000
_MOST_VARIANTS = 64

_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_IMAGE = re.compile(r"(preimage|postimage)(?:\.([0-9]{1,9}))?")


Added: TypeAlias = Literal["new", "known", "replaced", "refused"]
"""What became of a resolution: it is new, was there, takes the place of another, or does not fit in."""


class RrCache:
    """One such folder, whether it exists or not."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @property
    def exists(self) -> bool:
        """Whether the folder is there (a link to one counts: people share theirs so)."""
        return os.path.isdir(self.folder)

    def resolutions(self, conflict: str) -> Iterator[tuple[bytes, bytes]]:
        """The preimage and postimage of each variant that has both, the lowest number first."""
        variants = self._variants(conflict)
        both = sorted(number for number, has in variants.items() if has == {"preimage", "postimage"})
        for number in both[:_MOST_VARIANTS]:
            images = [_read(self._path(conflict, name, number)) for name in ("preimage", "postimage")]
            if images[0] is not None and images[1] is not None:
                yield images[0], images[1]

    def add_preimage(self, conflict: str, image: bytes) -> int | None:
        """Record a conflict that nobody has resolved; returns its variant, None where there are too many, or
        something else than a folder is in its place. Raises ``OSError``."""
        variants = self._variants(conflict)
        for number, has in variants.items():
            if has == {"preimage"} and _read(self._path(conflict, "preimage", number)) == image:
                return number
        number = next(each for each in range(len(variants) + 1) if each not in variants)
        if number >= _MOST_VARIANTS or not self._make(conflict):
            return None
        self._write(self._path(conflict, "preimage", number), image)
        return number

    def add_postimage(self, conflict: str, number: int, image: bytes) -> bool:
        """Record how a conflict was resolved; whether there is one of that number. Raises ``OSError``."""
        if "preimage" not in self._variants(conflict).get(number, ()):
            return False
        self._write(self._path(conflict, "postimage", number), image)
        return True

    def add(self, conflict: str, preimage: bytes, postimage: bytes) -> Added:
        """Record a conflict with its resolution; another one of the very same text is replaced. Raises
        ``OSError``."""
        for number, has in sorted(self._variants(conflict).items()):
            if "preimage" in has and _read(self._path(conflict, "preimage", number)) == preimage:
                path = self._path(conflict, "postimage", number)
                before = _read(path) if "postimage" in has else None
                if before != postimage:
                    self._write(path, postimage)
                return "known" if before == postimage else "new" if before is None else "replaced"
        variant = self.add_preimage(conflict, preimage)
        if variant is None or not self.add_postimage(conflict, variant, postimage):
            return "refused"
        return "new"

    def forget_unresolved(self, conflict: str, number: int) -> None:
        """Remove a preimage without a postimage, as ``git rerere clear`` does. Raises ``OSError``."""
        if self._variants(conflict).get(number) == {"preimage"}:
            os.unlink(self._path(conflict, "preimage", number))
            with suppress(OSError):  # another variant is in it
                os.rmdir(os.path.join(self.folder, conflict))

    def _make(self, conflict: str) -> bool:
        """Make the folder of a conflict; False where something else is in its place."""
        folder = os.path.join(self.folder, conflict)
        if not _ID.fullmatch(conflict):
            return False
        if not os.path.lexists(folder):
            make_folders(folder)
        return stat.S_ISDIR(os.lstat(folder).st_mode)

    def _write(self, path: str, data: bytes) -> None:
        """Write a file whole, in place of whatever has its name."""
        partial = f"{path}-{os.urandom(4).hex()}"
        _write_new(partial, data)
        os.replace(partial, path)
        fsync_directory(os.path.dirname(path))

    def _variants(self, conflict: str) -> dict[int, set[str]]:
        """Which images there are, by the number of the variant (0 is the one without a number)."""
        found: dict[int, set[str]] = {}
        folder = os.path.join(self.folder, conflict)
        if not _ID.fullmatch(conflict):
            return found
        with suppress(OSError):
            if not stat.S_ISDIR(os.lstat(folder).st_mode):
                return found
            with os.scandir(folder) as names:
                for entry in islice(names, _MOST_NAMES):
                    image = _IMAGE.fullmatch(entry.name)
                    if image is not None:
                        found.setdefault(int(image[2] or 0), set()).add(image[1])
        return found

    def _path(self, conflict: str, image: str, number: int) -> str:
        return os.path.join(self.folder, conflict, image + (f".{number}" if number else ""))


def _read(path: str) -> bytes | None:
    """The bytes of a regular file that is not too large; None for anything else."""
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None
    with suppress(OSError), open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
            return file.read(LARGEST)
    return None


def _write_new(path: str, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        fsync(file.fileno())


# --- MERGE_RR ----------------------------------------------------------------------------------------


class Standing(NamedTuple):
    """A recorded conflict that stands in the working tree: its id, and which variant."""

    conflict: str
    variant: int


Conflicts: TypeAlias = Mapping[TreePath, Standing]

_RECORD = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})(?:\.([0-9]{1,9}))?\t([^\0]+)")


class MergeRr:
    """The list of the recorded conflicts that stand in one working tree."""

    def __init__(self, git_dir: str) -> None:
        self._path = os.path.join(git_dir, "MERGE_RR")

    def change(self, what: Callable[[Conflicts], Conflicts]) -> bool:
        """Replace the list by what ``what`` makes of it; False, and nothing is changed, where git is at it
        just now or the list cannot be read. Raises ``OSError``, and whatever ``what`` raises.

        ``what`` is asked again where the list has changed in between: the lock, which git would wait for in
        vain if it stayed, is held for two calls to the system only.
        """
        lock, fresh = self._path + ".lock", f"{self._path}-{os.urandom(4).hex()}"
        for _ in range(3):
            before = self._bytes()
            listed = _parsed(before)
            if listed is None or os.path.lexists(lock):
                return False
            wanted = _written(what(listed))
            if wanted == before:
                return True
            _write_new(fresh, wanted)
            try:
                os.link(fresh, lock)
                if self._bytes() == before:
                    os.replace(lock, self._path)
                    return True
                os.unlink(lock)
            except FileExistsError:
                return False
            finally:
                os.unlink(fresh)
        return False

    def _bytes(self) -> bytes | None:
        if not os.path.lexists(self._path):
            return b""
        return _read(self._path)


def _parsed(data: bytes | None) -> dict[TreePath, Standing] | None:
    """The records of a list; None where it is none."""
    found: dict[TreePath, Standing] = {}
    records = (data if data is not None else b"?").split(b"\0")
    for each in records[:-1]:
        record = _RECORD.fullmatch(each)
        if record is None or b".." in record[3].split(b"/") or record[3].startswith(b"/"):
            return None
        found[TreePath(record[3])] = Standing(record[1].decode(), int(record[2] or 0))
    return found if records[-1] == b"" else None


def _written(conflicts: Conflicts) -> bytes:
    return b"".join(
        conflict.encode() + (b".%d" % variant if variant else b"") + b"\t" + path + b"\0"
        for path, (conflict, variant) in sorted(conflicts.items())
    )
