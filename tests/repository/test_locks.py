"""Locks that are provably ours, and the lock of a run."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from resync.errors import Busy
from resync.repository.locks import LockFile, RunLock, release_left


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "index"
    path.write_bytes(b"old")
    return path


def lock_of(file: Path, proof: str = "proof") -> LockFile:
    return LockFile(str(file), str(file.parent / "run" / proof))


def lock_path(file: Path) -> Path:
    return file.with_name(file.name + ".lock")


def test_the_new_bytes_replace_the_old_and_nothing_is_left(file: Path) -> None:
    file.chmod(0o640)
    lock = lock_of(file)
    lock.acquire()
    assert lock_path(file).exists()
    lock.commit(b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in file.parent.rglob("*") if path.is_file()] == ["index"]


def test_a_file_that_was_not_there(tmp_path: Path) -> None:
    lock = lock_of(tmp_path / "refs" / "new")
    lock.acquire()
    lock.commit(b"bytes")
    assert (tmp_path / "refs" / "new").read_bytes() == b"bytes"


def test_release_leaves_the_file_alone(file: Path) -> None:
    lock = lock_of(file)
    lock.acquire()
    lock.release()
    lock.release()
    assert file.read_bytes() == b"old"
    assert not lock_path(file).exists()


def test_the_lock_never_shares_its_bytes_with_the_file(file: Path) -> None:
    lock = lock_of(file)
    lock.acquire()
    lock.commit(b"new")
    again = lock_of(file)
    again.acquire()
    # Whoever is careless enough to write into a lock must not reach the live file.
    lock_path(file).write_bytes(b"garbage")
    assert file.read_bytes() == b"new"
    again.release()
    assert file.read_bytes() == b"new"


@pytest.mark.parametrize("content", [b"", b"content of somebody else's"])
def test_a_lock_of_somebody_else_is_never_removed(file: Path, content: bytes) -> None:
    lock_path(file).write_bytes(content)
    lock = lock_of(file)
    for attempt in (lock.acquire, lock.check):
        with pytest.raises(Busy) as caught:
            attempt()
        assert caught.value.kind == "locked"
        assert str(lock_path(file)) in caught.value.message
    lock.release()
    release_left(str(file.parent / "run"))
    assert lock_path(file).read_bytes() == content
    assert file.read_bytes() == b"old"


def test_two_runs_do_not_take_each_others_lock(file: Path) -> None:
    first, second = lock_of(file, "first"), lock_of(file, "second")
    first.acquire()
    with pytest.raises(Busy):
        second.acquire()
    second.release()
    assert lock_path(file).exists()
    first.release()
    second.acquire()
    second.release()


def test_the_same_run_takes_its_lock_over_after_a_crash(file: Path) -> None:
    crashed = lock_of(file)
    crashed.acquire()
    crashed.abandon()
    crashed.release()
    assert lock_path(file).exists()
    resumed = lock_of(file)
    resumed.check()
    resumed.acquire()
    resumed.commit(b"new")
    assert file.read_bytes() == b"new"
    assert not lock_path(file).exists()


def test_what_a_dead_run_left_is_cleared_away(file: Path) -> None:
    crashed = lock_of(file)
    crashed.acquire()
    crashed.abandon()
    release_left(str(file.parent / "run"))
    assert not lock_path(file).exists()
    assert file.read_bytes() == b"old"


def test_what_a_dead_run_left_is_found_where_the_repository_was_moved(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    path = tmp_path / "before" / "index"
    path.write_bytes(b"old")
    crashed = lock_of(path)
    crashed.acquire()
    crashed.abandon()
    (tmp_path / "before").rename(tmp_path / "after")
    release_left(str(tmp_path / "after" / "run"))
    assert not (tmp_path / "after" / "index.lock").exists()


def test_without_hard_links_the_lock_is_as_exclusive(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*arguments: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    first, second = lock_of(file, "first"), lock_of(file, "second")
    first.acquire()
    with pytest.raises(Busy):
        second.acquire()
    assert lock_path(file).exists()
    first.commit(b"new")
    assert (file.read_bytes(), lock_path(file).exists()) == (b"new", False)


def test_one_run_at_a_time(tmp_path: Path) -> None:
    folder = str(tmp_path / "resync")
    with RunLock(folder):
        with pytest.raises(Busy) as caught, RunLock(folder, patience=0.1):
            pytest.fail("two runs at once")
        assert caught.value.kind == "run-in-progress"
    with RunLock(folder, patience=0):
        pass


def test_the_lock_of_a_run_is_given_up_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunLock(str(tmp_path)):
        _ = 1 / 0
    with RunLock(str(tmp_path), patience=0):
        pass
