"""The calls to the system that a run makes, as strace(1) shows them.

A call is found again by its name and its number among those of its name, counted from ``BEGIN`` on.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WRITES = frozenset(
    {"write", "pwrite64", "writev", "ftruncate", "truncate", "fallocate", "copy_file_range", "sendfile"}
)
SYNCS = frozenset({"fsync", "fdatasync", "syncfs", "sync"})
NAMES = frozenset(
    {"rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "link", "linkat"}
)
MAKES = frozenset({"symlink", "symlinkat", "mknod", "mknodat"})
MODES = frozenset(
    {
        "chmod",
        "fchmod",
        "fchmodat",
        "chown",
        "fchown",
        "fchownat",
        "lchown",
        "setxattr",
        "fsetxattr",
        "utimensat",
    }
)
BEGIN = "/a run begins"
"""What a started process tries to remove, in vain, right before it becomes a run."""

OPENS = frozenset({"openat", "open", "creat"})
CALLS = WRITES | SYNCS | NAMES | MAKES | MODES | OPENS
SEEKS = frozenset({"lseek"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: ``nth`` among those of its name by its process (or thread, ``pid``) since ``BEGIN``.

    Strings in ``arguments`` are decoded. ``places`` are the absolute paths that it is about: of an open file
    the one that it had at that moment. ``main`` says that it is the run's own, and not a program's.
    """

    name: str
    nth: int
    pid: int
    arguments: tuple[str | bytes, ...]
    places: tuple[bytes, ...]
    result: int
    main: bool

    @property
    def syncs(self) -> bool:
        """Whether it only makes durable what is there."""
        return self.name in SYNCS

    @property
    def changes(self) -> bool:
        """Whether it changes what a folder or file holds, or who may do what with it."""
        if self.name in OPENS:
            words = (word for word in self.arguments if isinstance(word, str))
            return any("O_CREAT" in word or "O_TRUNC" in word for word in words)
        return self.name not in SYNCS | SEEKS

    def __str__(self) -> str:
        return f"{self.name} {self.nth} ({', '.join(os.fsdecode(place) for place in self.places)})"


class Tracer:
    """strace, attached to a process."""

    def __init__(self, pid: int, *options: str) -> None:
        self._process = subprocess.Popen(
            ["strace", "-f", "-p", str(pid), *options], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        assert self._process.stderr is not None
        first = self._process.stderr.readline()
        assert b"attached" in first, first

    def wait(self) -> None:
        """Wait until the process has ended, and strace with it."""
        self._process.communicate()


@functools.cache
def unusable() -> str:
    """Empty where strace can attach here, else why not."""
    if sys.platform != "linux" or shutil.which("strace") is None:
        return "strace is not here"
    done = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else f"strace may not trace here ({done.stderr.decode().strip()[-80:]})"


class Recording:
    """A file that strace writes; ``attach`` with it, and read ``calls`` when the process has ended."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="trace-")
        self._path = Path(self._folder.name) / "calls"

    def attach(self, pid: int) -> Tracer:
        """Record the process ``pid`` from now on."""
        what = ("-xx", "-y", "-s", "100000000", "-o", str(self._path))
        return Tracer(pid, *what, "-e", "signal=none", "-e", "trace=" + ",".join(sorted(CALLS | SEEKS)))

    def everything(self, below: Path) -> list[Call]:
        """All successful calls about something below a folder, those that only open or seek too."""
        prefix = os.fsencode(below) + b"/"
        calls = parse(self._path.read_text("ascii"))
        return [c for c in calls if c.result >= 0 and any(place.startswith(prefix) for place in c.places)]

    def calls(self, below: Path) -> list[Call]:
        """The successful calls by which the run itself, and no program that it started, changed something
        below a folder, or made it durable, in their order."""
        return [call for call in self.everything(below) if call.main and (call.changes or call.syncs)]


# --- what strace writes ------------------------------------------------------------------------------------

_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+|\?)")
_UNFINISHED = re.compile(r"(\d+) +(\w+\(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)$")
_FILE = re.compile(r"(?:AT_FDCWD|\d+)<((?:\\x..)+)>(\(deleted\))?")


def parse(text: str) -> Iterator[Call]:
    """The calls in what ``strace -f -xx -y`` wrote."""
    begun: dict[str, str] = {}
    seen: Counter[tuple[str, str]] = Counter()
    main = ""
    for line in text.splitlines():
        if cut := _UNFINISHED.match(line):
            begun[cut[1]] = cut[2]
            continue
        if rest := _RESUMED.match(line):
            line = f"{rest[1]} {begun.pop(rest[1])}{rest[2]}"
        found = _LINE.match(line)
        if found is None:
            continue
        pid, name, words, result = found.groups()
        arguments = tuple(map(_decoded, words.split(", ")))
        if name in ("rmdir", "unlinkat") and os.fsencode(BEGIN) in arguments:
            main = pid
            seen.clear()
            continue
        seen[pid, name] += 1
        yield Call(
            name=name,
            nth=seen[pid, name],
            pid=int(pid),
            arguments=arguments,
            places=tuple(_places(name, arguments)),
            result=int(result) if result != "?" else -1,
            main=pid == main,
        )


def _decoded(word: str) -> str | bytes:
    """A string as bytes; anything else as it is, with the path of an open file readable."""
    if word.startswith('"'):
        return _bytes(word.strip('"'))
    return _FILE.sub(lambda match: match[0].replace(match[1], os.fsdecode(_bytes(match[1]))), word)


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _places(name: str, arguments: tuple[str | bytes, ...]) -> Iterator[bytes]:
    """The paths among the arguments, each from the folder that stands before it."""
    if name in (WRITES - {"truncate"}) | SYNCS | SEEKS or name in ("fchmod", "fchown", "fsetxattr"):
        yield _opened(arguments[0])
        return
    # The first of a symlink's strings is its target, which is no place; an attribute's name is none either.
    strings = {"symlink": [1], "symlinkat": [2], "setxattr": [0]}.get(name)
    folder = b""
    for number, argument in enumerate(arguments):
        if isinstance(argument, str):
            folder = _opened(argument) or folder
        elif strings is None or number in strings:
            yield os.path.normpath(os.path.join(folder, argument))


def _opened(word: str | bytes) -> bytes:
    assert isinstance(word, str), word
    _, mark, path = word.partition("<")
    return os.fsencode(path.removesuffix("(deleted)").removesuffix(">")) if mark else b""
