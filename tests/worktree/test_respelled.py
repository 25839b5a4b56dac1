"""Renames in case only, on a disk that takes both names for one: there and back, stopped anywhere.

A Linux machine seldom has such a disk, so the system calls are taught to find a name in any case; files keep
the spelling in which they were made, as on such disks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resync.errors import Refused
from resync.model import MODE_FILE
from resync.worktree.settings import WorktreeSettings
from resync.worktree.switch import FileSwitch

from .test_switch import Place

FOLDING = WorktreeSettings(ignore_case=True)
CALLS = (
    "lstat",
    "stat",
    "open",
    "rename",
    "link",
    "unlink",
    "rmdir",
    "mkdir",
    "listdir",
    "scandir",
    "access",
    "readlink",
)


def old(text: bytes) -> tuple[int, bytes]:
    return MODE_FILE, text


RENAMES = {
    "a file": ({"Readme": old(b"old"), "x": old(b"x")}, {"README": old(b"new"), "x": old(b"x")}),
    "the same bytes": ({"Readme": old(b"one")}, {"README": old(b"one")}),
    "a folder": ({"Dir/a": old(b"a"), "Dir/b": old(b"b")}, {"dir/a": old(b"a"), "dir/b": old(b"2")}),
    "a folder and a file": ({"Dir/A": old(b"a")}, {"dir/a": old(b"a")}),
}


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on such a disk."""
    top = os.fsencode(tmp_path / "disk")
    os.mkdir(top)
    real_list = os.listdir

    def spelled(path: Any) -> Any:
        if not isinstance(path, (str, bytes, os.PathLike)) or not os.fsencode(path).startswith(top + b"/"):
            return path
        found = top
        for name in os.fsencode(path).removeprefix(top).strip(b"/").split(b"/"):
            try:
                names = real_list(found)
            except OSError:
                names = []
            same = [each for each in names if each.lower() == name.lower()]
            found = os.path.join(found, same[0] if same and name not in names else name)
        return os.fsdecode(found) if not isinstance(path, bytes) else found

    def folding(call: Callable[..., Any]) -> Callable[..., Any]:
        both = call.__name__ in ("rename", "link")
        return lambda *paths, **more: call(
            *(spelled(each) if number == 0 or both else each for number, each in enumerate(paths)), **more
        )

    for name in CALLS:
        monkeypatch.setattr(os, name, folding(getattr(os, name)))
    return Path(os.fsdecode(top))


def test_the_disk_is_one(disk: Path) -> None:
    (disk / "Readme").write_bytes(b"x")
    assert os.path.samefile(disk / "README", disk / "readme")
    with pytest.raises(FileExistsError):
        os.mkdir(disk / "readME")
    assert os.listdir(disk) == ["Readme"]


@pytest.mark.parametrize("what", RENAMES)
def test_there_and_back(disk: Path, what: str) -> None:
    before, after = RENAMES[what]
    place = Place(disk, before, after)
    switch = folding_switch(place)
    switch.check()
    switch.stage()
    assert switch.apply() == ()
    assert place.found() == after
    # What is done is done, also for whoever takes it up again; then all of it goes back.
    assert folding_switch(place).apply() == ()
    assert place.found() == after
    assert folding_switch(place).revert() == ()
    assert place.found() == before
    assert folding_switch(place).revert() == ()
    assert place.found() == before


@pytest.mark.parametrize("what", RENAMES)
def test_stopped_at_any_call(disk: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = RENAMES[what]
    ends = 0
    for way in ("apply", "revert"):
        for last in range(40):
            base = disk / f"{way}-{last}"
            base.mkdir()
            place = Place(base, before, after)
            switch = folding_switch(place)
            switch.check()
            switch.stage()
            if not stopped(switch, last, monkeypatch):
                break
            ends += 1
            again = folding_switch(place)
            if way == "apply":
                again.stage()
            assert getattr(again, way)() == ()
            assert place.found() == (after if way == "apply" else before)
    assert ends > 4


def stopped(switch: FileSwitch, last: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Apply until a call that changes something has been made so often; whether it came to that."""
    made = 0

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def made_or_dead(*arguments: Any, **more: Any) -> Any:
            nonlocal made
            if made == last:
                raise KeyboardInterrupt
            made += 1
            return call(*arguments, **more)

        return made_or_dead

    with monkeypatch.context() as patched:
        for name in ("rename", "link", "unlink", "mkdir", "rmdir"):
            patched.setattr(os, name, dying(getattr(os, name)))
        try:
            switch.apply()
        except KeyboardInterrupt:
            return True
    return False


def test_what_somebody_changed_is_still_noticed(disk: Path) -> None:
    before, after = RENAMES["a file"]
    place = Place(disk, before, after)
    (place.root / "Readme").write_bytes(b"theirs")
    with pytest.raises(Refused, match="changed by somebody else"):
        folding_switch(place).check()


def test_another_file_in_the_way_is_still_noticed(disk: Path) -> None:
    place = Place(disk, {"x": old(b"x")}, {"README": old(b"new")})
    (place.root / "Readme").write_bytes(b"theirs")
    with pytest.raises(Refused, match="changed by somebody else"):
        folding_switch(place).check()


def folding_switch(place: Place) -> FileSwitch:
    return FileSwitch(str(place.root), str(place.folder), place.objects, place.changes, FOLDING)
