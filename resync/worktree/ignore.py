"""Which untracked paths are ignored: gitignore(5).

The files are asked in git's order, the one that counts most first: ``.gitignore`` of the path's own
directory and then of each one above it, ``info/exclude``, ``core.excludesFile``. In a file the last line
that matches decides; what is in an ignored directory is ignored, whatever other lines say.
"""

from __future__ import annotations

import stat
from typing import NamedTuple

from resync.model import MODE_EXECUTABLE, MODE_FILE, TreePath
from resync.patterns import Pattern
from resync.repository.objects import Objects
from resync.worktree.files import Files
from resync.worktree.index import Index
from resync.worktree.settings import WorktreeSettings

_BOM = b"\xef\xbb\xbf"


class _Rule(NamedTuple):
    pattern: Pattern
    by_name: bool
    only_directories: bool
    ignores: bool


class Ignores:
    """Says of paths in one working tree whether they are ignored; each file is read once."""

    def __init__(self, files: Files, objects: Objects, index: Index, settings: WorktreeSettings) -> None:
        self._files = files
        self._objects = objects
        self._index = index
        self._ignore_case = settings.ignore_case
        self._general = [self._parse(_read_outside(path)) for path in reversed(settings.exclude_files)]
        self._rules: dict[bytes, list[_Rule]] = {}
        self._directories: dict[bytes, bool] = {b"": False}

    def ignored(self, path: TreePath, *, directory: bool = False) -> bool:
        """Whether an untracked file (or, if so said, directory) at the path is ignored."""
        if directory:
            return self._ignored_directory(path)
        parent = path[: max(path.rfind(b"/"), 0)]
        return self._ignored_directory(parent) or self._decide(path, directory=False)

    def _ignored_directory(self, directory: bytes) -> bool:
        missing: list[bytes] = []
        while directory not in self._directories:
            missing.append(directory)
            directory = directory[: max(directory.rfind(b"/"), 0)]
        found = self._directories[directory]
        for each in reversed(missing):
            found = self._directories[each] = found or self._decide(each, directory=True)
        return found

    def _decide(self, path: bytes, *, directory: bool) -> bool:
        """What the first file says that says anything; no directory above the path is ignored."""
        start = path.rfind(b"/") + 1
        name = path[start:]
        while True:
            base = path[: max(start - 1, 0)]
            rules = self._rules.get(base)
            if rules is None:
                rules = self._rules[base] = self._parse(self._read(base))
            verdict = _verdict(rules, name, path[start:], directory)
            if verdict is not None:
                return verdict
            if not start:
                break
            start = path.rfind(b"/", 0, start - 1) + 1
        for rules in self._general:
            verdict = _verdict(rules, name, path, directory)
            if verdict is not None:
                return verdict
        return False

    def _read(self, directory: bytes) -> bytes | None:
        """The ``.gitignore`` of a directory; the index's where a sparse checkout has left the file out."""
        path = TreePath(directory + b"/.gitignore" if directory else b".gitignore")
        status = self._files.lstat(path)
        if status is not None:
            return self._files.read(path) if stat.S_ISREG(status.st_mode) else None
        entry = self._index.entries.get(path)
        if entry is not None and entry.skip_worktree and entry.mode in (MODE_FILE, MODE_EXECUTABLE):
            return self._objects.blob(entry.oid)
        return None

    def _parse(self, data: bytes | None) -> list[_Rule]:
        """The lines of one file, the one that counts most first."""
        rules: list[_Rule] = []
        for line in (data or b"").removeprefix(_BOM).split(b"\n"):
            line = line.removesuffix(b"\r")
            if line.startswith(b"#"):
                continue
            text = _trimmed(line)
            ignores = not text.startswith(b"!")
            text = text.removeprefix(b"!")
            only_directories = text.endswith(b"/")
            text = text.removesuffix(b"/")
            if text:
                compiled = Pattern(text.removeprefix(b"/"), ignore_case=self._ignore_case)
                rules.append(_Rule(compiled, b"/" not in text, only_directories, ignores))
        rules.reverse()
        return rules


def _trimmed(line: bytes) -> bytes:
    """The line without the spaces at its end; a space behind a backslash stays."""
    text = line.rstrip(b" ")
    backslashes = len(text) - len(text.rstrip(b"\\"))
    return text + b" " if backslashes % 2 and text != line else text


def _verdict(rules: list[_Rule], name: bytes, path: bytes, directory: bool) -> bool | None:
    for rule in rules:
        if rule.only_directories and not directory:
            continue
        if rule.pattern.matches(name if rule.by_name else path):
            return rule.ignores
    return None


def _read_outside(path: str) -> bytes | None:
    """A file of the user's or of the git directory; one that cannot be read counts for nothing, as in git."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
