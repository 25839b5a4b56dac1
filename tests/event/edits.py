"""Random edits, aimed at one outcome each: apart from upstream's changes, in their midst, or the same.

Where an aim misses, nothing breaks: what has to become of an edit is what git makes of it.
"""

from __future__ import annotations

import difflib
import os
import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.conftest import World
from tests.event.upstream import Event


class Edit(NamedTuple):
    """The bytes that a file is to have."""

    path: str
    data: bytes


class Edits:
    """Chooses files of the clone and what to write in them; no file is chosen twice."""

    def __init__(self, world: World, event: Event, random: random.Random) -> None:
        self.random = random
        self.touched: set[str] = set()
        self._world = world
        self._old = event.old_files
        self._new = event.new_files
        self._blobs = event.blobs

    def untouched(self) -> Edit:
        """A new line in a file that upstream left alone."""
        path = self.pick(self.equal())
        lines = self.lines(path)
        lines.insert(self.random.randrange(len(lines) + 1), self.line())
        return Edit(path, b"".join(lines))

    def apart(self) -> Edit:
        """An edit well away from every place where upstream changed the file."""
        for path in self._shuffled(self.changed()):
            lines = self.lines(path)
            near = {n for _, start, end, _, _ in self._hunks(path) for n in range(start - 6, end + 6)}
            free = [n for n, line in enumerate(lines) if n not in near and lines.count(line) == 1]
            if free:
                self.touched.add(path)
                lines[self.random.choice(free)] = self.line()
                return Edit(path, b"".join(lines))
        raise AssertionError("no file has room for an edit apart")

    def clashing(self) -> Edit:
        """An edit of a line that upstream changed as well."""
        for path in self._shuffled(self.changed()):
            replaced = [start for kind, start, _, _, _ in self._hunks(path) if kind == "replace"]
            if replaced:
                self.touched.add(path)
                lines = self.lines(path)
                lines[self.random.choice(replaced)] = self.line()
                return Edit(path, b"".join(lines))
        raise AssertionError("no file has a line that upstream replaced")

    def upstreams(self) -> Edit:
        """The very bytes that upstream has now."""
        path = self.pick(self.changed())
        return Edit(path, self._blobs[self._new[path].oid])

    def anywhere(self, path: str) -> Edit:
        """Some line of ``path`` replaced."""
        lines = self.lines(path)
        lines[self.random.randrange(len(lines))] = self.line()
        return Edit(path, b"".join(lines))

    # --- which files: never a link, a binary file, or one with hardly a line ---

    def equal(self) -> Iterator[str]:
        """Those that are the same in the old and the new tree."""
        return (path for path, entry in self._old.items() if entry == self._new.get(path))

    def changed(self) -> Iterator[str]:
        """Those that both trees have, with other bytes and the same mode."""
        for path, (mode, oid) in self._old.items():
            if path in self._new and self._new[path].mode == mode and self._new[path].oid != oid:
                yield path

    def gone(self) -> Iterator[str]:
        """Those that only the old tree has."""
        return (path for path in self._old if path not in self._new)

    def arriving(self) -> Iterator[str]:
        """Those that only the new tree has, in folders that the old one has too."""
        folders = {os.path.dirname(path) for path in self._old}
        for path, entry in self._new.items():
            if path not in self._old and entry.mode == "100644" and os.path.dirname(path) in folders:
                yield path

    def pick(self, paths: Iterable[str]) -> str:
        """One of ``paths``, from now on touched."""
        path = self._shuffled(paths)[0]
        self.touched.add(path)
        return path

    def _shuffled(self, paths: Iterable[str]) -> list[str]:
        found = [path for path in paths if path not in self.touched and self._is_text(path)]
        self.random.shuffle(found)
        return found

    def _is_text(self, path: str) -> bool:
        mode, oid = self._old.get(path) or self._new[path]
        data = self._blobs[oid]
        return mode.startswith("100") and b"\0" not in data and data.count(b"\n") > 3

    # --- content ---

    def lines(self, path: str) -> list[bytes]:
        """The lines of a file as it stands in the clone."""
        return (self._world.clone / path).read_bytes().splitlines(keepends=True)

    def line(self) -> bytes:
        """A line that stands nowhere else."""
        return b"# local line %016x\n" % self.random.getrandbits(64)

    def text(self) -> bytes:
        """A few lines that stand nowhere else."""
        return b"".join(self.line() for _ in range(self.random.randint(1, 12)))

    def _hunks(self, path: str) -> list[tuple[str, int, int, int, int]]:
        """What upstream changed in a file, as difflib's opcodes have it."""
        before = self._blobs[self._old[path].oid].splitlines(keepends=True)
        after = self._blobs[self._new[path].oid].splitlines(keepends=True)
        codes = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        return [each for each in codes if each[0] != "equal"]
