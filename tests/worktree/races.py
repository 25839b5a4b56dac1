"""Somebody who works on a file at the very moment in which it is switched.

``Meddler`` acts at a chosen call to the system, so that every gap between two calls of ours is hit once;
``Editor`` is a process of its own that saves whenever it happens to, and hits the gaps that time makes.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import BuiltinFunctionType, FrameType, TracebackType
from typing import Any

from resync.model import MODE_FILE, FileChange, TreeEntry, TreePath
from resync.repository import Objects
from resync.worktree.settings import WorktreeSettings
from resync.worktree.switch import FileSwitch
from tests.history.commits import new_objects

_SYSTEM = ("posix", "nt", "io", "_io")


class Meddler:
    """Does ``acts``, each before the call to the system with its number, while it is entered; at the end
    those whose number was not reached.

    What reads and writes files counts as well as what renames them; calls made by the acts do not.
    """

    def __init__(self, acts: Mapping[int, Callable[[], None]]) -> None:
        self.calls = 0
        self._acts = dict(acts)

    def __enter__(self) -> Meddler:
        sys.setprofile(self._profile)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.setprofile(None)
        if kind is None:
            for act in self._acts.values():
                act()

    def _profile(self, _frame: FrameType, event: str, called: Any) -> None:
        # The interpreter does not profile what is called from here.
        if event == "c_call" and _reaches_the_system(called):
            act = self._acts.pop(self.calls, None)
            self.calls += 1
            if act is not None:
                act()


def _reaches_the_system(called: BuiltinFunctionType) -> bool:
    owner = getattr(called, "__module__", None) or type(called.__self__).__module__
    return owner in _SYSTEM and called.__name__ not in ("fspath", "fsencode")


# --- what somebody may do to a path ------------------------------------------------------------------


class Somebody:
    """One who works on ``path``; ``last`` is what they have saved and not themselves thrown away."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last: bytes | None = None
        self._open = path.open("ab", buffering=0) if path.is_file() and not path.is_symlink() else None
        self._opened = path.read_bytes() if self._open is not None else b""
        self._torn: Any = None

    def close(self) -> None:
        for file in (self._open, self._torn):
            if file is not None:
                file.close()

    def try_to(self, act: Callable[[Somebody], None]) -> None:
        """Do ``act`` if what stands there at this moment lets them."""
        with contextlib.suppress(OSError):
            act(self)

    def _clear(self) -> None:
        if self.path.is_dir() and not self.path.is_symlink():
            with contextlib.suppress(OSError):
                self.path.rmdir()
        else:
            self.path.unlink(missing_ok=True)

    def save(self) -> None:
        """In place, as ``echo > file`` does."""
        if self.path.is_symlink() or self.path.is_dir():
            self._clear()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"saved")
        self.last = b"saved"

    def begin_saving(self) -> None:
        """Open and empty the file; the bytes come with ``end_saving``."""
        if self.path.is_file() and not self.path.is_symlink():
            self._torn = self.path.open("wb", buffering=0)

    def end_saving(self) -> None:
        if self._torn is not None:
            self._torn.write(b"saved in two steps")
            self.last = b"saved in two steps"

    def rename_over(self) -> None:
        """A new file, renamed over the old one."""
        if self.path.is_dir() and not self.path.is_symlink():
            self._clear()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name("beside")
        beside.write_bytes(b"renamed")
        beside.replace(self.path)
        self.last = b"renamed"

    def append(self) -> None:
        """To the file that was open all the time, wherever it is by now."""
        if self._open is not None:
            self._open.write(b", appended")
            self.last = self._opened + b", appended"

    def link(self) -> None:
        self._clear()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.symlink("their target", self.path)
        self.last = b"their target"

    def folder(self) -> None:
        self._clear()
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "inside").write_bytes(b"in a folder")
        self.last = b"in a folder"

    def fifo(self) -> None:
        self._clear()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(self.path)

    def remove(self) -> None:
        self._clear()

    def move_folder(self) -> None:
        self.path.parent.rename(self.path.parent.with_name("moved"))

    def file_for_folder(self) -> None:
        self.move_folder()
        self.path.parent.write_bytes(b"no folder")
        self.last = b"no folder"


def kept(*folders: Path) -> list[bytes]:
    """The bytes of every file and the target of every link below the folders."""
    found = []
    for top in folders:
        for folder, below, names in os.walk(top):
            for name in [*names, *below]:
                full = Path(folder) / name
                if full.is_symlink():
                    found.append(os.fsencode(os.readlink(full)))
                elif full.is_file():
                    found.append(full.read_bytes())
    return found


# --- a race against the clock ------------------------------------------------------------------------

_EDITOR = """
import os, sys, time
for line in sys.stdin:
    how, path, delay, version = line.split()
    end = time.perf_counter() + float(delay)
    while time.perf_counter() < end:
        pass
    if how == "renames":
        with open(path + "~", "w") as file:
            file.write(version)
        os.rename(path + "~", path)
    else:
        with open(path, "w") as file:
            file.write(version)
    print(version, flush=True)
"""
_WAYS = ("saves", "renames")


class Editor:
    """A process that saves a file after a delay in seconds, in place or by renaming over it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _EDITOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, how: str, path: Path, delay: float, version: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{how} {path} {delay:.7f} {version}\n")
        self._process.stdin.flush()

    def wait(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the editor failed"

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def race(base: Path, rounds: int, seed: int) -> Counter[str]:
    """Switch one path ``rounds`` times while an editor saves it; count where its version was afterwards.

    ``AssertionError`` where it is nowhere, or neither in place nor listed.
    """
    chance = random.Random(seed)
    objects: Objects = new_objects()
    old, new = (TreeEntry(MODE_FILE, objects.add_blob(data)) for data in (b"old", b"new"))
    change = FileChange(path=TreePath(b"file"), before=old, after=new)
    outcomes: Counter[str] = Counter()
    editor = Editor()
    pace = 0.001
    try:
        for number in range(rounds):
            root, folder = base / str(number) / "work", base / str(number) / "run"
            root.mkdir(parents=True)
            folder.mkdir()
            (root / "file").write_bytes(b"old")
            switch = FileSwitch(str(root), str(folder), objects, [change], WorktreeSettings())
            switch.check()
            switch.stage()
            how, version = chance.choice(_WAYS), f"version-{number}"
            editor.start(how, root / "file", chance.uniform(0, 1.5 * pace), version)
            started = time.perf_counter()
            left = switch.apply()
            # The delays follow what a switch takes on this machine, so that most saves fall into it.
            pace = min(0.9 * pace + 0.1 * (time.perf_counter() - started), 0.01)
            editor.wait()
            left += switch.disturbed()
            outcomes[f"{how}: {_judge(root, folder, left, version.encode())}"] += 1
            _remove(base / str(number))
    finally:
        editor.close()
    return outcomes


def _judge(root: Path, folder: Path, left: tuple[TreePath, ...], version: bytes) -> str:
    if (root / "file").read_bytes() == version:
        return "in place and listed" if left else "in place, after the switch"
    assert version in kept(folder / "quarantine"), (
        f"{version!r} is lost: {kept(root)} in place, {kept(folder)} beside"
    )
    assert left, f"{version!r} is in quarantine and not listed"
    return "in quarantine and listed"


def _remove(folder: Path) -> None:
    for each in sorted(folder.rglob("*"), reverse=True):
        each.rmdir() if each.is_dir() else each.unlink()
    folder.rmdir()
