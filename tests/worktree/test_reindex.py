"""The index after a switch: git takes it as its own, and no edit hides behind it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import pytest

from resync.model import MODE_EXECUTABLE, MODE_FILE, IndexChange, IndexRecord, Oid, TreePath
from resync.worktree.index import Index, read_index
from resync.worktree.reindex import entry_from_stat, reindexed
from tests.conftest import needs_git
from tests.worktree.conftest import Sandbox, stat_data

pytestmark = needs_git


@pytest.fixture
def start(sandbox: Sandbox) -> Sandbox:
    for name in ("a", "b", "c/d"):
        sandbox.write(name, b"old\n")
    sandbox.commit_all()
    return sandbox


def blob(sandbox: Sandbox, data: bytes) -> Oid:
    return Oid(sandbox.git("hash-object", "-w", "--stdin", stdin=data).strip())


def record(oid: Oid, mode: int = MODE_FILE, *, in_file: bool = True, **flags: bool) -> IndexRecord:
    return IndexRecord(mode=mode, oid=oid, in_file=in_file, **flags)


def change(path: str, before: IndexRecord | None, after: IndexRecord | None) -> IndexChange:
    return IndexChange(path=TreePath(path.encode()), before=before, after=after)


def switch(sandbox: Sandbox, path: str, data: bytes) -> tuple[int, int]:
    """Write a file as a switch does, by a rename, and return what it knows of it."""
    beside = sandbox.write("beside", data)
    target = sandbox.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    beside.replace(target)
    status = target.lstat()
    return status.st_size, status.st_mtime_ns


def reindex(
    sandbox: Sandbox, changes: Sequence[IndexChange], written: Mapping[TreePath, tuple[int, int]]
) -> tuple[Index, tuple[TreePath, ...]]:
    """Put the new index in place, in one rename."""
    index, modified = sandbox.index()
    data, left = reindexed(index, modified, changes, str(sandbox.root), written, hex_length=40)
    fresh = sandbox.index_file.with_name("index.new")
    fresh.write_bytes(data)
    fresh.replace(sandbox.index_file)
    return read_index(data, hex_length=40), left


def old(sandbox: Sandbox) -> IndexRecord:
    return record(blob(sandbox, b"old\n"), in_file=False)


def test_changed_added_and_removed(start: Sandbox) -> None:
    new = blob(start, b"new!\n")
    written = {
        TreePath(b"a"): switch(start, "a", b"new!\n"),
        TreePath(b"e/f"): switch(start, "e/f", b"new!\n"),
    }
    (start.root / "b").unlink()
    index, left = reindex(
        start,
        [
            change("a", old(start), record(new)),
            change("b", old(start), None),
            change("e/f", None, record(new)),
        ],
        written,
    )
    assert left == ()
    assert list(index.entries) == [b"a", b"c/d", b"e/f"]
    assert start.git("status", "--porcelain") == b"M  a\nD  b\nA  e/f\n"
    assert start.git("diff-files") == b"", "the stat data is of the files that were written"
    assert start.git("fsck", "--strict", "--no-dangling") == b""


def test_a_file_that_somebody_saved_since_is_looked_at(start: Sandbox) -> None:
    """Same size, same second: only entries without stat data keep git from believing in them."""
    new = blob(start, b"new!\n")
    known = switch(start, "a", b"new!\n")
    (start.root / "a").write_bytes(b"mine\n")
    os.utime(start.root / "a", ns=(known[1], known[1] + 1))
    index, left = reindex(start, [change("a", old(start), record(new))], {TreePath(b"a"): known})
    assert left == ()
    assert stat_data(index.entries[TreePath(b"a")]).mtime == 0
    assert start.git("status", "--porcelain") == b"MM a\n"


def test_an_edit_right_after_the_index_was_written_is_seen(start: Sandbox) -> None:
    """git's racy rule, for an entry that is only passed on to a younger index."""
    status = (start.root / "b").lstat()
    os.utime(start.index_file, ns=(status.st_mtime_ns, status.st_mtime_ns))
    (start.root / "b").write_bytes(b"OLD\n")
    os.utime(start.root / "b", ns=(status.st_mtime_ns, status.st_mtime_ns))
    reindex(start, [], {})
    assert start.git("status", "--porcelain") == b" M b\n"


def test_an_entry_that_somebody_changed_is_left_and_listed(start: Sandbox) -> None:
    new = blob(start, b"new!\n")
    start.write("a", b"theirs\n")
    start.git("add", "a")
    start.git("rm", "-q", "--cached", "b")
    changes = [change("a", old(start), record(new)), change("b", old(start), record(new))]
    index, left = reindex(start, changes, {})
    assert left == (b"a", b"b")
    assert index.entries[TreePath(b"a")].oid == blob(start, b"theirs\n")
    assert b"b" not in index.entries


def test_what_is_done_is_done(start: Sandbox) -> None:
    """An interrupted run writes the index again."""
    new = blob(start, b"new!\n")
    known = {TreePath(b"a"): switch(start, "a", b"new!\n")}
    changes = [change("a", old(start), record(new)), change("b", old(start), None)]
    reindex(start, changes, known)
    first = start.git("ls-files", "-s")
    _, left = reindex(start, changes, {})
    assert (left, start.git("ls-files", "-s")) == ((), first)
    _, left = reindex(start, [each.inverse() for each in changes], {})
    assert left == ()
    assert start.git("diff", "--cached", "--name-only") == b""


@pytest.mark.parametrize("flag", ["assume_valid", "skip_worktree", "intent_to_add"])
def test_flags_are_written(start: Sandbox, flag: str) -> None:
    new = blob(start, b"new!\n")
    index, left = reindex(start, [change("a", old(start), record(new, in_file=False, **{flag: True}))], {})
    assert left == ()
    assert getattr(index.entries[TreePath(b"a")], flag)
    assert start.git("ls-files", "-s", "a").split()[1] == new


def test_flags_of_other_entries_stay(start: Sandbox) -> None:
    start.git("update-index", "--skip-worktree", "b")
    start.git("update-index", "--assume-unchanged", "c/d")
    before = start.git("ls-files", "-t", "-v")
    reindex(start, [], {})
    assert start.git("ls-files", "-t", "-v") == before


def test_an_entry_whose_flag_somebody_set_is_left(start: Sandbox) -> None:
    start.git("update-index", "--skip-worktree", "a")
    _, left = reindex(start, [change("a", old(start), None)], {})
    assert left == (b"a",)


def test_a_mode_alone(start: Sandbox) -> None:
    data = blob(start, b"old\n")
    (start.root / "a").chmod(0o755)
    status = (start.root / "a").lstat()
    known = {TreePath(b"a"): (status.st_size, status.st_mtime_ns)}
    reindex(start, [change("a", old(start), record(data, MODE_EXECUTABLE))], known)
    assert start.git("status", "--porcelain") == b"M  a\n"


def test_an_empty_index_and_none_at_all(start: Sandbox) -> None:
    changes = [change(name, old(start), None) for name in ("a", "b", "c/d")]
    index, _ = reindex(start, changes, {})
    assert not index.entries
    assert start.git("ls-files") == b""
    new = blob(start, b"new!\n")
    data, left = reindexed(Index(), 0, [change("x", None, record(new))], str(start.root), {}, hex_length=40)
    assert left == ()
    assert list(read_index(data, hex_length=40).entries) == [b"x"]


def test_the_file_on_disk_is_what_the_entry_says(start: Sandbox) -> None:
    """The stat data equals what git itself would write for the file."""
    new = blob(start, b"new!\n")
    known = switch(start, "a", b"new!\n")
    index, _ = reindex(start, [change("a", old(start), record(new))], {TreePath(b"a"): known})
    status = (start.root / "a").lstat()
    expected = entry_from_stat(TreePath(b"a"), MODE_FILE, new, status)
    assert index.entries[TreePath(b"a")] == expected
