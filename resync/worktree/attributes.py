"""Which attributes a path has: gitattributes(5), with macros, for a working tree or for a tree object.

The files are asked in git's order, the one that counts least first: the system's, the user's
(``core.attributesFile``), ``.gitattributes`` of each directory from the top down to the path's own, and
``info/attributes``. The later line wins.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from resync.model import MODE_EXECUTABLE, MODE_FILE, Oid, TreePath
from resync.patterns import Pattern
from resync.repository.objects import Objects
from resync.worktree.files import Files
from resync.worktree.index import Index
from resync.worktree.settings import WorktreeSettings

Value: TypeAlias = bytes | bool | None
"""True is set, False is unset (``-name``), None is unspecified, bytes are a value."""

_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"  # skipped at the head of a file, but not of a blob: so does git
_NAME = re.compile(rb"(?!-)[-._0-9A-Za-z]+")
_MACRO = b"[attr]"
_MAX_LINE = 2048
_MAX_FILE = 100 * 1024 * 1024
_QUOTED = re.compile(rb'"((?:[^"\\]|\\(?:[abfnrtv"\\]|[0-3][0-7]{2}))*)"')
_ESCAPE = re.compile(rb'\\([abfnrtv"\\]|[0-3][0-7]{2})')
_ESCAPES = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAttributes:
    """The attributes of one path that resync acts on, by git's names."""

    text: Value = None
    crlf: Value = None
    eol: Value = None
    filter: Value = None
    ident: Value = None
    working_tree_encoding: Value = None
    diff: Value = None
    merge: Value = None
    conflict_marker_size: Value = None


NONE = PathAttributes()
_FIELDS = {name.replace("_", "-").encode(): name for name in PathAttributes.__slots__}


class _Rule(NamedTuple):
    """One line: for paths that match (below ``base``, by name alone or by path), these attributes."""

    base: bytes
    pattern: Pattern
    by_name: bool
    settings: tuple[tuple[bytes, Value], ...]


Reader: TypeAlias = Callable[[TreePath], bytes | None]
"""Gives the bytes of a file such as ``b"doc/.gitattributes"``, None where there is none."""


class Attributes:
    """Looks attributes up; the files are read when the first path below them is asked for, and kept."""

    def __init__(self, read: Reader, settings: WorktreeSettings) -> None:
        self._read = read
        self._ignore_case = settings.ignore_case
        self._macros: dict[bytes, tuple[tuple[bytes, Value], ...]] = {
            b"binary": ((b"diff", False), (b"merge", False), (b"text", False))
        }
        general = [self._parse(_read_file(path), b"", macros=True) for path in settings.attribute_files]
        self._stacks: dict[bytes, tuple[Sequence[_Rule], ...]] = {}
        self._general = tuple(rules for rules in general if rules)
        self._top = self._directory(b"")
        # Last, because macros of this file count more than those of all the others.
        self._info = self._parse(_read_file(settings.info_attributes), b"", macros=True)

    def of(self, path: TreePath) -> PathAttributes:
        """The attributes of a file at ``path``, which need not exist."""
        stack = self._stack(path[: max(path.rfind(b"/"), 0)])
        if not stack and not self._info:
            return NONE
        found: dict[bytes, Value] = {}
        for rules in (self._info, *reversed(stack)):
            for rule in reversed(rules):
                if _matches(rule, path):
                    self._fill(found, rule.settings)
        return PathAttributes(**{_FIELDS[name]: value for name, value in found.items() if name in _FIELDS})

    def _fill(self, found: dict[bytes, Value], settings: tuple[tuple[bytes, Value], ...]) -> None:
        """Take what a line says; what a stronger line has said already stays, "unspecified" too."""
        for name, value in reversed(settings):
            if name not in found:
                found[name] = value
                if value is True and name in self._macros:
                    self._fill(found, self._macros[name])

    def _stack(self, directory: bytes) -> tuple[Sequence[_Rule], ...]:
        """What the files down to a directory say, the weakest first; without a recursion over its depth."""
        missing: list[bytes] = []
        while directory and directory not in self._stacks:
            missing.append(directory)
            directory = directory[: max(directory.rfind(b"/"), 0)]
        stack = self._stacks[directory] if directory else (*self._general, *self._top)
        for each in reversed(missing):
            stack = self._stacks[each] = (*stack, *self._directory(each))
        return stack

    def _directory(self, directory: bytes) -> tuple[Sequence[_Rule], ...]:
        prefix = directory + b"/" if directory else b""
        rules = self._parse(self._read(TreePath(prefix + b".gitattributes")), prefix, macros=not directory)
        return (rules,) if rules else ()

    def _parse(self, data: bytes | None, base: bytes, *, macros: bool) -> list[_Rule]:
        """The rules of one file. A line that git would not accept is left out, as git does with a warning."""
        if data is None or len(data) > _MAX_FILE:
            return []
        rules: list[_Rule] = []
        for line in data.split(b"\n"):
            line = line.strip(_BLANK)
            if not line or line.startswith(b"#") or len(line) > _MAX_LINE:
                continue
            pattern, rest = _split_pattern(line)
            settings = _parse_settings(rest)
            if settings is None:
                continue
            if pattern.startswith(_MACRO) and pattern != _MACRO:
                name = pattern[len(_MACRO) :]
                if macros and _NAME.fullmatch(name):
                    self._macros[name] = settings
            elif not pattern.startswith(b"!") and not pattern.endswith(b"/"):
                by_name = b"/" not in pattern
                compiled = Pattern(pattern.removeprefix(b"/"), ignore_case=self._ignore_case)
                rules.append(_Rule(base, compiled, by_name, settings))
        return rules


def worktree_attributes(
    files: Files, objects: Objects, index: Index, settings: WorktreeSettings
) -> Attributes:
    """What holds for files that are on their way into git: the working tree's attribute files.

    Where one is not in the working tree, the index's is taken, as git does in a sparse checkout.
    """

    def read(path: TreePath) -> bytes | None:
        status = files.lstat(path)
        if status is not None and stat.S_ISREG(status.st_mode):
            return files.read(path).removeprefix(_BOM)
        entry = index.entries.get(path)
        if status is None and entry is not None and entry.mode in (MODE_FILE, MODE_EXECUTABLE):
            return None if entry.intent_to_add else objects.blob(entry.oid)
        return None

    return Attributes(read, settings)


def tree_attributes(objects: Objects, tree: Oid | None, settings: WorktreeSettings) -> Attributes:
    """What holds for files that are on their way out of a tree: that tree's own attribute files."""

    def read(path: TreePath) -> bytes | None:
        *directories, name = path.split(b"/")
        here = tree
        for each in directories:
            below = objects.tree(here).get(each) if here is not None else None
            here = below.oid if below is not None and stat.S_ISDIR(below.mode) else None
        found = objects.tree(here).get(name) if here is not None else None
        return objects.blob(found.oid) if found is not None and stat.S_ISREG(found.mode) else None

    return Attributes(read, settings)


def _matches(rule: _Rule, path: bytes) -> bool:
    return rule.pattern.matches(path[path.rfind(b"/") + 1 if rule.by_name else len(rule.base) :])


def _split_pattern(line: bytes) -> tuple[bytes, bytes]:
    """The pattern at the head of a line, which may stand in quotes as C has them, and what follows."""
    quoted = _QUOTED.match(line)
    if quoted:
        return _ESCAPE.sub(_unescape, quoted[1]), line[quoted.end() :]
    pattern, *rest = line.split(None, 1)
    return pattern, rest[0] if rest else b""


def _unescape(escape: re.Match[bytes]) -> bytes:
    letter = escape[1]
    return bytes([int(letter, 8)]) if letter.isdigit() else _ESCAPES.get(letter, letter)


def _parse_settings(words: bytes) -> tuple[tuple[bytes, Value], ...] | None:
    """What a line says, in its order; None where a name is not one that an attribute may have."""
    settings: list[tuple[bytes, Value]] = []
    for word in words.split():
        name, equals, text = word.partition(b"=")
        value: Value = text if equals else True
        if name[:1] in (b"-", b"!"):
            name, value = name[1:], False if name.startswith(b"-") else None
        if not _NAME.fullmatch(name):
            return None
        settings.append((name, value))
    return tuple(settings)


def _read_file(path: str | None) -> bytes | None:
    """A file outside the working tree; one that cannot be read counts for nothing, as in git."""
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_FILE + 1).removeprefix(_BOM)
    except OSError:
        return None
