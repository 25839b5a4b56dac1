"""Recorded resolutions on the disk, as git's rerere keeps them.

A folder ``rr-cache`` has one folder for each conflict id, and in it ``preimage`` and ``postimage``; where one
id needed several resolutions the others are variants ``preimage.1``, ``postimage.1`` and so on
(git-rerere(1), ``gitrepository-layout(5)``). A preimage alone is a conflict that nobody has resolved yet.

What lies there is looked at and not believed: links are not followed, nothing but regular files of a modest
size is read, and what cannot be read is not there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

LARGEST = 32 * 1024 * 1024
"""Larger images (bytes) are not read: no text that a person resolves is."""

_MOST_NAMES = 1000
_MOST_VARIANTS = 64

_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_IMAGE = re.compile(r"(preimage|postimage)(?:\.([0-9]{1,9}))?")


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
