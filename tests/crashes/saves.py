"""States of a folder, kept in memory and brought back: a sweep does that thousands of times.

What still is as it was stays as it is, by its inode and the time of its last change. Files of a working tree
are made anew each time, so that none of them is ever known by its stat data: a run makes the same calls then.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

_Seen: TypeAlias = tuple[int, ...]
_TICK = 20_000_000
"""Two changes of a file that are so far apart, in nanoseconds, have different times on any file system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, link (its target is its data) or folder; ``names`` are all its names where it has several."""

    mode: int
    data: bytes = b""
    when: int = 0
    names: tuple[str, ...] = ()

    @property
    def folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


class Saves:
    """Saved states of the folder ``top``."""

    def __init__(self, top: Path) -> None:
        self._top = str(top)
        self._saved: dict[str, Mapping[str, Entry]] = {}
        # What a file is known to hold, and how it looked then: another look, and it is read again.
        self._known: dict[str, tuple[_Seen, Entry]] = {}

    def save(self, name: str) -> None:
        """Keep how everything stands now."""
        found: dict[str, Entry] = {}
        names: dict[int, list[str]] = {}
        seen: dict[str, _Seen] = {}
        for path, status in _walk(self._top):
            seen[path] = _look(status)
            found[path] = self._known_entry(path, status) or _read(os.path.join(self._top, path), status)
            if status.st_nlink > 1 and not found[path].folder:
                names.setdefault(status.st_ino, []).append(path)
        for paths in names.values():
            for path in paths:
                # Two names of one file in two repositories are two files: so they are, when they come back.
                here = tuple(each for each in paths if _repository(each) == _repository(path))
                found[path] = replace(found[path], names=here if len(here) > 1 else ())
                if len(here) < len(paths):
                    del seen[path]
        self._known = {}
        self._learn({path: (seen[path], found[path]) for path in seen})
        self._saved[name] = found

    def restore(self, name: str) -> None:
        """Have everything as it was saved; what stood here is gone."""
        wanted = self._saved[name]
        os.makedirs(self._top, exist_ok=True)
        kept = set()
        folders = []
        for path, status in _walk(self._top):
            full, entry = os.path.join(self._top, path), wanted.get(path)
            if stat.S_ISDIR(status.st_mode):
                if entry is None or not entry.folder:
                    folders.append(full)
                    continue
                if entry.mode != status.st_mode:
                    os.chmod(full, stat.S_IMODE(entry.mode))
            elif not (entry is not None and _stays(path, entry) and self._known_entry(path, status) == entry):
                os.unlink(full)
                continue
            kept.add(path)
        for full in reversed(folders):
            os.rmdir(full)
        self._known = {path: known for path, known in self._known.items() if path in kept}
        missing = {path: entry for path, entry in wanted.items() if path not in kept}
        _write(self._top, missing)
        looks = ((path, os.lstat(os.path.join(self._top, path))) for path in missing)
        self._learn({path: (_look(status), missing[path]) for path, status in looks})

    def write(self, name: str, top: Path) -> None:
        """Write a saved state into another folder, which is empty."""
        _write(str(top), self._saved[name])

    def _known_entry(self, path: str, status: os.stat_result) -> Entry | None:
        known = self._known.get(path)
        return known[1] if known is not None and known[0] == _look(status) else None

    def _learn(self, looks: Mapping[str, tuple[_Seen, Entry]]) -> None:
        """Remember files, but those that may change once more in the same tick: that would not be seen."""
        settled = time.time_ns() - _TICK
        self._known.update({path: look for path, look in looks.items() if look[0][0] < settled})


def _walk(top: str) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below a folder, by its path from there, folders before what is in them."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.path.join(top, folder)) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            path = os.path.join(folder, entry.name)
            status = entry.stat(follow_symlinks=False)
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                waiting.append(path)


def _look(status: os.stat_result) -> _Seen:
    return (status.st_ctime_ns, status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_nlink)


def _read(full: str, status: os.stat_result) -> Entry:
    if stat.S_ISDIR(status.st_mode):
        return Entry(mode=status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return Entry(mode=status.st_mode, data=os.fsencode(os.readlink(full)))
    assert stat.S_ISREG(status.st_mode), full
    return Entry(mode=status.st_mode, data=Path(full).read_bytes(), when=status.st_mtime_ns)


def _write(top: str, entries: Mapping[str, Entry]) -> None:
    made: set[str] = set()
    for path, entry in entries.items():
        full = os.path.join(top, path)
        other = next((each for each in entry.names if each in made), None)
        if entry.folder:
            os.mkdir(full)
        elif other is not None:
            os.link(os.path.join(top, other), full, follow_symlinks=False)
        elif stat.S_ISLNK(entry.mode):
            os.symlink(entry.data, os.fsencode(full))
        else:
            with open(full, "xb", buffering=0) as file:
                file.write(entry.data)
            os.utime(full, ns=(entry.when, entry.when))
        if not stat.S_ISLNK(entry.mode):
            os.chmod(full, stat.S_IMODE(entry.mode))
        made.add(path)


def _repository(path: str) -> str:
    return path.partition(os.sep)[0]


def _stays(path: str, entry: Entry) -> bool:
    """Whether a file may stay that is as it was: those of a working tree may not."""
    return all(map(_of_git, entry.names or (path,)))


def _of_git(path: str) -> bool:
    parts = path.split(os.sep)
    return (".git" in parts and parts[-1] not in (".git", "index")) or parts[0].endswith(".git")
