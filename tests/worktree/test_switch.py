"""The switch of files: there and back, stopped anywhere and taken up again, and with somebody in between."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resync.errors import Refused
from resync.model import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_GITLINK,
    MODE_SYMLINK,
    Access,
    FileChange,
    Oid,
    TreeEntry,
    TreePath,
)
from resync.repository.objects import Objects
from resync.worktree.settings import WorktreeSettings
from resync.worktree.switch import FileSwitch
from tests.history.commits import new_objects

State = Mapping[str, tuple[int, bytes]]
"""Every file by its path: its mode as git has it, and its bytes (a link's target)."""


class Place:
    """A working tree and a run's folder beside it, with a plan to go from one state to another."""

    def __init__(self, base: Path, before: State, after: State) -> None:
        self.root = base / "work"
        self.folder = base / "run"
        self.root.mkdir(parents=True)
        self.folder.mkdir()
        self.before, self.after = before, after
        self.objects = new_objects()
        self.changes = tuple(changes(self.objects, before, after))
        put(self.root, before)

    def switch(self, **options: Any) -> FileSwitch:
        """A new process's view of the run."""
        return FileSwitch(
            str(self.root), str(self.folder), self.objects, self.changes, WorktreeSettings(), **options
        )

    def found(self) -> dict[str, tuple[int, bytes]]:
        return look(self.root)


def changes(objects: Objects, before: State, after: State) -> Iterator[FileChange]:
    def entry(state: State, path: str) -> TreeEntry | None:
        mode, data = state.get(path, (0, b""))
        return TreeEntry(mode, objects.add_blob(data)) if mode else None

    for path in sorted({*before, *after}):
        old, new = entry(before, path), entry(after, path)
        if old != new:
            yield FileChange(path=TreePath(os.fsencode(path)), before=old, after=new)


def put(root: Path, state: State) -> None:
    for path, (mode, data) in state.items():
        full = root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        if mode == MODE_SYMLINK:
            os.symlink(data, full)
        else:
            full.write_bytes(data)
            full.chmod(0o755 if mode == MODE_EXECUTABLE else 0o644)


def look(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below ``root``, and every empty folder as one with mode 0."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in [*names, *(each for each in folders if os.path.islink(os.path.join(folder, each)))]:
            full = os.path.join(folder, name)
            status = os.lstat(full)
            if stat.S_ISLNK(status.st_mode):
                kind, data = MODE_SYMLINK, os.fsencode(os.readlink(full))
            else:
                kind = MODE_EXECUTABLE if status.st_mode & 0o100 else MODE_FILE
                data = Path(full).read_bytes()
            found[os.path.relpath(full, root)] = (kind, data)
        if not names and not folders and folder != str(root):
            found[os.path.relpath(folder, root)] = (0, b"")
    return found


# --- folders ---

FOLDER = TreePath(b"a/b")


def folder_mode(place: Place) -> int:
    return stat.S_IMODE(os.stat(os.path.join(os.fsencode(place.root), FOLDER)).st_mode)


@pytest.mark.parametrize("mode", [0o700, 0o2755, 0o1777])
def test_a_folder_comes_back_as_it_was(tmp_path: Path, mode: int) -> None:
    place = Place(tmp_path, {"a/b/c": (MODE_FILE, b"1")}, {})
    access = {FOLDER: Access(mode, os.geteuid(), os.getegid())}
    switch = place.switch(folders=access)
    switch.check()
    switch.stage()
    assert switch.apply() == ()
    assert place.found() == {}
    assert switch.revert() == ()
    assert place.found() == place.before
    assert folder_mode(place) == mode


def test_a_folder_that_would_shut_us_out(tmp_path: Path) -> None:
    """It was another's, who let us in through the group: ours now, it has to let us in as its owner."""
    place = Place(tmp_path, {}, {"a/b/c": (MODE_FILE, b"1")})
    switch = place.switch(folders={FOLDER: Access(0o070, os.geteuid(), os.getegid())})
    switch.check()
    switch.stage()
    assert switch.apply() == ()
    assert place.found() == place.after
    assert folder_mode(place) == (0o070 if os.geteuid() == 0 else 0o370)


@pytest.mark.parametrize("what", ["folder", "full folder", "file", "link"])
def test_somebody_is_faster_with_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """What they put there is left as it is, and nobody's permissions are changed through it."""
    place = Place(tmp_path, {}, {"a/b/c": (MODE_FILE, b"1")})
    outside = tmp_path / "outside"
    outside.mkdir(0o755)
    switch = place.switch(folders={FOLDER: Access(0o700, os.geteuid(), os.getegid())})
    switch.check()
    switch.stage()
    rename = os.rename

    def faster(source: bytes, target: bytes) -> None:
        if target.endswith(FOLDER):
            theirs = Path(os.fsdecode(target))
            if what == "file":
                theirs.write_text("theirs\n")
            elif what == "link":
                theirs.symlink_to(outside)
            else:
                theirs.mkdir(0o755)
            if what == "full folder":
                (theirs / "theirs").write_text("theirs\n")
        rename(source, target)

    monkeypatch.setattr(os, "rename", faster)
    made = switch.apply() == ()
    assert made is (what in ("folder", "full folder"))
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755
    assert list(outside.iterdir()) == []
    assert not (place.folder / "staging" / "folder").exists()
    if what == "full folder":
        assert folder_mode(place) == 0o755
        assert (place.root / "a/b/theirs").read_text() == "theirs\n"


# --- there and back ----------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "d e", "a.b", "ä"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
CONTENT = st.tuples(
    st.sampled_from([MODE_FILE, MODE_EXECUTABLE, MODE_SYMLINK]), st.sampled_from([b"1", b"2", b"3\r\n", b"a"])
)


@st.composite
def states(draw: st.DrawFn) -> State:
    """A working tree in which no file stands where another needs a folder."""
    state: dict[str, tuple[int, bytes]] = {}
    for path, content in draw(st.lists(st.tuples(PATHS, CONTENT), max_size=8)):
        parts = path.split("/")
        above = {"/".join(parts[:length]) for length in range(1, len(parts) + 1)}
        if not above & state.keys() and not any(each.startswith(path + "/") for each in state):
            state[path] = content
    return state


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
@given(before=states(), after=states())
def test_there_back_and_there_again(
    before: State, after: State, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = Place(tmp_path_factory.mktemp("switch"), before, after)
    first = place.switch()
    first.check()
    first.stage()
    assert place.found() == before, "check and stage change nothing"
    assert first.apply() == ()
    assert place.found() == after
    assert first.apply() == (), "what is done is done"
    assert place.found() == after
    assert first.disturbed() == ()
    assert place.switch().revert() == ()
    assert place.found() == before
    assert place.switch().revert() == ()
    again = place.switch()
    again.stage()
    assert again.apply() == ()
    assert place.found() == after


# --- stopped at every step ---------------------------------------------------------------------------

BEFORE: State = {
    "same": (MODE_FILE, b"same"),
    "edited": (MODE_FILE, b"old"),
    "script": (MODE_FILE, b"#!"),
    "link": (MODE_SYMLINK, b"edited"),
    "was-link": (MODE_SYMLINK, b"same"),
    "gone/deep/file": (MODE_FILE, b"gone"),
    "gone/link": (MODE_SYMLINK, b"nowhere"),
    "file-to-folder": (MODE_FILE, b"file"),
    "folder-to-file/a": (MODE_FILE, b"a"),
    "folder-to-file/b/c": (MODE_FILE, b"c"),
}
AFTER: State = {
    "same": (MODE_FILE, b"same"),
    "edited": (MODE_FILE, b"new"),
    "script": (MODE_EXECUTABLE, b"#!"),
    "link": (MODE_SYMLINK, b"same"),
    "was-link": (MODE_FILE, b"same"),
    "file-to-folder/inner": (MODE_FILE, b"inner"),
    "folder-to-file": (MODE_FILE, b"file"),
    "new/deep/file": (MODE_EXECUTABLE, b"new"),
    "new/link": (MODE_SYMLINK, b"deep"),
}
CALLS = ("rename", "link", "unlink", "mkdir", "rmdir", "symlink", "makedirs", "chmod", "open", "chown")


class Stopped(BaseException):
    """The process died here."""


class Stopper:
    """Counts the calls that change the disk, and dies at one of them: before it happens, or after."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, *, after: bool) -> None:
        self.count = 0
        self._at, self._after, self._inside = at, after, False
        for name in CALLS:
            patch.setattr(os, name, self._stopping(getattr(os, name)))

    def _stopping(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def stopping(*arguments: Any, **options: Any) -> Any:
            if self._inside:  # makedirs calls mkdir
                return call(*arguments, **options)
            self.count += 1
            if self.count == self._at and not self._after:
                raise Stopped
            self._inside = True
            try:
                return call(*arguments, **options)
            finally:
                self._inside = False
                if self.count == self._at:
                    raise Stopped

        return stopping


def stopped(place: Place, at: int, *, after: bool, reverting: bool = False) -> bool:
    """Switch, or go back, until the call with this number; whether there was one."""
    with pytest.MonkeyPatch.context() as patch:
        Stopper(patch, at, after=after)
        try:
            switch = place.switch()
            if reverting:
                switch.revert()
            else:
                switch.stage()
                switch.apply()
        except Stopped:
            return True
    return False


def ready(base: Path) -> Place:
    place = Place(base, BEFORE, AFTER)
    place.switch().check()
    return place


def finish(place: Place) -> None:
    switch = place.switch()
    switch.stage()
    assert switch.apply() == ()
    assert place.found() == AFTER


def revert(place: Place) -> None:
    assert place.switch().revert() == ()
    assert place.found() == BEFORE


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("then", [finish, revert])
def test_stopped_anywhere_it_is_finished_or_taken_back(
    tmp_path: Path, then: Callable[[Place], None], after: bool
) -> None:
    number = 1
    while True:
        place = ready(tmp_path / str(number))
        if not stopped(place, number, after=after):
            break
        then(place)
        number += 1
    assert number > 40, "the stopper saw the calls"


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("then", [finish, revert])
def test_stopped_on_the_way_back_too(tmp_path: Path, then: Callable[[Place], None], after: bool) -> None:
    number = 1
    while True:
        place = ready(tmp_path / str(number))
        finish(place)
        if not stopped(place, number, after=after, reverting=True):
            break
        then(place)
        number += 1
    assert number > 20, "the stopper saw the calls"


def test_what_a_power_failure_emptied_is_written_anew(tmp_path: Path) -> None:
    """The new files are written and not yet durable when the change begins."""
    place = Place(tmp_path, {"a": (MODE_FILE, b"1")}, {"a": (MODE_FILE, b"2"), "b": (MODE_FILE, b"3")})
    before_it = place.switch()
    before_it.check()
    before_it.stage()
    for path in (place.folder / "staging").iterdir():
        path.write_bytes(b"")
    after_it = place.switch()
    after_it.stage()
    assert after_it.apply() + after_it.disturbed() == ()
    assert place.found() == place.after


# --- somebody else -----------------------------------------------------------------------------------


def write_theirs(full: Path) -> None:
    full.parent.mkdir(parents=True, exist_ok=True)
    if full.is_symlink():
        full.unlink()
    full.write_bytes(b"theirs")


def replace_by_theirs(full: Path) -> None:
    """As an editor saves: a new file, renamed over the old one."""
    full.parent.mkdir(parents=True, exist_ok=True)
    beside = full.with_name("beside")
    beside.write_bytes(b"theirs")
    beside.replace(full)


@pytest.mark.parametrize("meddle", [write_theirs, replace_by_theirs])
@pytest.mark.parametrize(
    "path", ["edited", "script", "link", "was-link", "gone/deep/file", "new/deep/file", "new/link"]
)
def test_a_file_of_somebody_else_is_left_and_listed(
    tmp_path: Path, path: str, meddle: Callable[[Path], None]
) -> None:
    place = ready(tmp_path)
    switch = place.switch()
    switch.stage()
    meddle(place.root / path)
    assert switch.apply() == (TreePath(path.encode()),)
    assert (place.root / path).read_bytes() == b"theirs"
    others = {name: content for name, content in AFTER.items() if name != path}
    assert {name: content for name, content in place.found().items() if name != path} == others
    assert place.switch().revert() == (TreePath(path.encode()),)
    assert (place.root / path).read_bytes() == b"theirs"
    others = {name: content for name, content in BEFORE.items() if name != path}
    assert {name: content for name, content in place.found().items() if name != path} == others


def test_a_file_that_somebody_removed_stays_removed(tmp_path: Path) -> None:
    place = ready(tmp_path)
    switch = place.switch()
    switch.stage()
    (place.root / "edited").unlink()
    (place.root / "gone/deep/file").unlink()
    assert switch.apply() == (TreePath(b"edited"),)
    assert place.found() == {name: content for name, content in AFTER.items() if name != "edited"}


def test_a_folder_of_somebody_else_in_the_place_of_a_new_file(tmp_path: Path) -> None:
    place = Place(tmp_path, {}, {"new": (MODE_FILE, b"new")})
    switch = place.switch()
    switch.check()
    switch.stage()
    (place.root / "new").mkdir()
    (place.root / "new" / "theirs").write_bytes(b"theirs")
    assert switch.apply() == (TreePath(b"new"),)
    assert place.found() == {"new/theirs": (MODE_FILE, b"theirs")}


def test_a_link_of_somebody_else_in_the_place_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", {"d/f": (MODE_FILE, b"old")}, {"d/f": (MODE_FILE, b"new")})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "f").write_bytes(b"old")
    switch = place.switch()
    switch.check()
    switch.stage()
    (place.root / "d").rename(tmp_path / "moved")
    (place.root / "d").symlink_to(elsewhere)
    assert switch.apply() == (TreePath(b"d/f"),)
    assert (elsewhere / "f").read_bytes() == b"old"
    assert (tmp_path / "moved/f").read_bytes() == b"old"


def test_a_folder_that_is_moved_away_in_the_middle_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even by a link to the very folder in which files were changed a moment before."""
    old, new = (MODE_FILE, b"old"), (MODE_FILE, b"new")
    place = Place(tmp_path, {"d/e/a": old, "d/e/b": old}, {"d/e/a": new, "d/e/b": new, "d/e/c": new})
    switch = place.switch()
    switch.check()
    switch.stage()
    unlink = os.unlink

    def move_away(name: bytes) -> None:
        unlink(name)
        if not (tmp_path / "away").exists():
            (place.root / "d").rename(tmp_path / "away")
            (place.root / "d").symlink_to(tmp_path / "away")

    monkeypatch.setattr(os, "unlink", move_away)
    assert switch.apply() == (TreePath(b"d/e/b"), TreePath(b"d/e/c"))
    assert look(tmp_path / "away") == {"e/a": new, "e/b": old}


def test_what_an_editor_still_writes_is_found(tmp_path: Path) -> None:
    """A file that is open keeps being written to, in quarantine; nothing of it may be thrown away."""
    place = ready(tmp_path)
    switch = place.switch()
    switch.stage()
    with (place.root / "edited").open("ab") as editor:
        assert switch.apply() == ()
        assert switch.disturbed() == ()
        editor.write(b" and more")
    assert switch.disturbed() == (TreePath(b"edited"),)
    assert place.found() == AFTER
    kept = [path.read_bytes() for path in (place.folder / "quarantine").iterdir() if path.is_file()]
    assert b"old and more" in kept


@pytest.mark.parametrize("path", ["edited", "was-link", "gone/deep/file", "new/deep/file"])
def test_a_change_before_the_check_refuses_the_whole(tmp_path: Path, path: str) -> None:
    place = Place(tmp_path, BEFORE, AFTER)
    write_theirs(place.root / path)
    before = place.found()
    with pytest.raises(Refused) as refused:
        place.switch().check()
    assert refused.value.kind == "changed-meanwhile"
    assert place.found() == before


# --- permissions and folders -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "made", "permissions"),
    [
        (0o640, MODE_FILE, 0o640),
        (0o600, MODE_FILE, 0o600),
        (0o750, MODE_FILE, 0o640),
        (0o640, MODE_EXECUTABLE, 0o750),
        (0o755, MODE_EXECUTABLE, 0o755),
    ],
)
def test_a_file_keeps_the_permissions_of_the_one_it_replaces(
    tmp_path: Path, mode: int, made: int, permissions: int
) -> None:
    """Configuration that nobody else may read does not become readable by an update."""
    old = MODE_EXECUTABLE if mode & 0o100 else MODE_FILE
    place = Place(tmp_path, {"f": (old, b"old")}, {"f": (made, b"new")})
    (place.root / "f").chmod(mode)
    switch = place.switch()
    switch.check()
    switch.stage()
    switch.apply()
    assert stat.S_IMODE((place.root / "f").lstat().st_mode) == permissions
    place.switch().revert()
    assert stat.S_IMODE((place.root / "f").lstat().st_mode) == mode


def test_the_folder_in_which_the_caller_stands_stays(tmp_path: Path) -> None:
    place = Place(tmp_path, {"a/b/c/f": (MODE_FILE, b""), "x/y/f": (MODE_FILE, b"")}, {})
    switch = place.switch(keep=str(place.root / "a" / "b"))
    switch.check()
    switch.stage()
    assert switch.apply() == ()
    assert place.found() == {"a/b": (0, b"")}


def test_folders_that_were_empty_before_stay(tmp_path: Path) -> None:
    place = Place(tmp_path, {"d/f": (MODE_FILE, b"")}, {})
    (place.root / "empty").mkdir()
    (place.root / "d" / "beside").mkdir()
    switch = place.switch()
    switch.check()
    switch.stage()
    switch.apply()
    assert place.found() == {"empty": (0, b""), "d/beside": (0, b"")}


def test_an_empty_folder_makes_room_for_a_file(tmp_path: Path) -> None:
    place = Place(tmp_path, {}, {"d": (MODE_FILE, b"new")})
    (place.root / "d" / "e").mkdir(parents=True)
    switch = place.switch()
    switch.check()
    switch.stage()
    assert switch.apply() == ()
    assert place.found() == {"d": (MODE_FILE, b"new")}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_refuses_the_whole(tmp_path: Path) -> None:
    place = Place(tmp_path, BEFORE, AFTER)
    (place.root / "gone/deep").chmod(0o555)
    with pytest.raises(Refused) as refused:
        place.switch().check()
    (place.root / "gone/deep").chmod(0o755)
    assert refused.value.kind == "not-writable"


@pytest.mark.parametrize("path", [".git/config", "a/.GIT/x", "../out", "a/../../out", "git~1/config"])
def test_paths_that_lead_out_or_into_git_are_refused(tmp_path: Path, path: str) -> None:
    place = Place(tmp_path, {}, {"ok": (MODE_FILE, b"")})
    place.changes += (
        FileChange(path=TreePath(path.encode()), before=None, after=TreeEntry(MODE_FILE, Oid(b"e" * 40))),
    )
    with pytest.raises(Refused) as refused:
        place.switch().check()
    assert refused.value.kind == "hostile-path"
    assert place.found() == {}


def test_a_submodule_with_work_in_it_refuses_a_file_in_its_place(tmp_path: Path) -> None:
    place = Place(tmp_path, {}, {"sub": (MODE_FILE, b"file")})
    (change,) = place.changes
    place.changes = (
        FileChange(path=change.path, before=TreeEntry(MODE_GITLINK, Oid(b"1" * 40)), after=change.after),
    )
    (place.root / "sub").mkdir()
    (place.root / "sub" / "work").write_bytes(b"mine")
    with pytest.raises(Refused) as refused:
        place.switch().check()
    assert refused.value.kind == "submodule-in-the-way"
    (place.root / "sub" / "work").unlink()
    switch = place.switch()
    switch.check()
    switch.stage()
    assert switch.apply() == ()
    assert place.found() == {"sub": (MODE_FILE, b"file")}


def test_a_submodule_that_goes_keeps_its_empty_folders(tmp_path: Path) -> None:
    """Its repository may lie in it, and git knows one by folders such as ``refs``, empty or not."""
    place = Place(tmp_path, {}, {})
    place.changes = (
        FileChange(path=TreePath(b"sub"), before=TreeEntry(MODE_GITLINK, Oid(b"1" * 40)), after=None),
    )
    (place.root / "sub" / ".git" / "refs" / "heads").mkdir(parents=True)
    (place.root / "sub" / ".git" / "HEAD").write_bytes(b"ref: refs/heads/main\n")
    (place.root / "sub" / "logs").mkdir()
    switch = place.switch()
    switch.check()
    switch.stage()
    assert switch.apply() == ()
    assert (place.root / "sub" / ".git" / "refs" / "heads").is_dir()
    assert (place.root / "sub" / "logs").is_dir()
    (place.root / "sub" / ".git" / "HEAD").unlink()
    assert switch.apply() == ()
    assert not (place.root / "sub").exists()
