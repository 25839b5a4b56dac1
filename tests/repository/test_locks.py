"""Locks that are provably ours, and the lock of a run."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resync.errors import Busy
from resync.repository.locks import LockFile, Proof, RunLock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "index"
    path.write_bytes(b"old")
    return path


@contextmanager
def proof_of(*files: Path, name: str = "proof") -> Iterator[Proof]:
    """The proof of one run's locks of the files; a run that crashes in the block abandons it."""
    proof = Proof(str(files[0].parent / "run" / name))
    with proof.written(map(str, files)):
        yield proof


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def lock_path(file: Path) -> Path:
    return file.with_name(file.name + ".lock")


def crash(*files: Path) -> Proof:
    """Take the locks of the files and die."""
    with proof_of(*files) as proof:
        for file in files:
            LockFile(str(file), proof).acquire()
        proof.abandon()
    return Proof(proof.path)


def test_the_new_bytes_replace_the_old(file: Path) -> None:
    file.chmod(0o640)
    with proof_of(file) as proof:
        lock = LockFile(str(file), proof)
        lock.acquire()
        assert lock_path(file).exists()
        lock.commit(b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert files_in(file.parent) == ["index", "proof"]


def test_a_file_that_was_not_there(tmp_path: Path) -> None:
    path = tmp_path / "refs" / "new"
    with proof_of(path) as proof:
        lock = LockFile(str(path), proof)
        lock.acquire()
        lock.commit(b"bytes")
    assert path.read_bytes() == b"bytes"


def test_release_leaves_the_file_alone(file: Path) -> None:
    with proof_of(file) as proof:
        lock = LockFile(str(file), proof)
        lock.acquire()
        lock.release()
        lock.release()
        assert not lock_path(file).exists()
    assert file.read_bytes() == b"old"


def test_the_lock_never_shares_its_bytes_with_the_file(file: Path) -> None:
    with proof_of(file) as proof:
        lock = LockFile(str(file), proof)
        lock.acquire()
        lock.commit(b"new")
        lock.acquire()
        # Whoever is careless enough to write into a lock must not reach the live file.
        lock_path(file).write_bytes(b"garbage")
        assert file.read_bytes() == b"new"
        lock.release()
    assert file.read_bytes() == b"new"


def test_what_a_power_cut_left_two_names_is_not_written_to(tmp_path: Path, file: Path) -> None:
    """The new content of one file was renamed over it, and the disk has both names: it is that file now."""
    other = tmp_path / "other"
    with proof_of(file, other) as proof:
        os.link(file, proof.path + ".new")
        lock = LockFile(str(other), proof)
        lock.acquire()
        lock.commit(b"other")
    assert (file.read_bytes(), other.read_bytes()) == (b"old", b"other")


@pytest.mark.parametrize("content", [b"", b"content of somebody else's"])
def test_a_lock_of_somebody_else_is_never_removed(file: Path, content: bytes) -> None:
    lock_path(file).write_bytes(content)
    with proof_of(file) as proof:
        lock = LockFile(str(file), proof)
        for attempt in (lock.acquire, lock.check):
            with pytest.raises(Busy) as caught:
                attempt()
            assert caught.value.kind == "locked"
            assert str(lock_path(file)) in caught.value.message
        lock.release()
    assert lock_path(file).read_bytes() == content
    assert file.read_bytes() == b"old"


def test_two_runs_do_not_take_each_others_lock(file: Path) -> None:
    with proof_of(file, name="first") as one, proof_of(file, name="second") as other:
        first, second = LockFile(str(file), one), LockFile(str(file), other)
        first.acquire()
        with pytest.raises(Busy):
            second.acquire()
        second.release()
        assert lock_path(file).exists()
        first.release()
        second.acquire()
        second.release()


def test_the_same_run_takes_its_lock_over_after_a_crash(file: Path) -> None:
    crash(file)
    assert lock_path(file).exists()
    with proof_of(file) as proof:
        resumed = LockFile(str(file), proof)
        resumed.check()
        resumed.acquire()
        resumed.commit(b"new")
    assert file.read_bytes() == b"new"
    assert not lock_path(file).exists()


def test_what_a_dead_run_left_is_cleared_away(file: Path) -> None:
    other = file.with_name("other\nfile")
    proof = crash(file, other)
    assert lock_path(other).exists()
    proof.release_left()
    proof.release_left()
    assert files_in(file.parent) == ["index", "proof"]
    assert file.read_bytes() == b"old"


def test_what_a_dead_run_left_is_found_where_the_repository_was_moved(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    path = tmp_path / "before" / "index"
    path.write_bytes(b"old")
    crash(path)
    (tmp_path / "before").rename(tmp_path / "after")
    Proof(str(tmp_path / "after" / "run" / "proof")).release_left()
    assert not (tmp_path / "after" / "index.lock").exists()


def test_a_lock_that_could_not_be_removed_goes_with_the_rest(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system refuses once: the lock, and with it what proves whose it is, used to stay for good."""
    remove = os.unlink

    def refuse_once(path: str) -> None:
        monkeypatch.setattr(os, "unlink", remove)
        raise PermissionError(13, "Permission denied", path)

    with proof_of(file) as proof:
        lock = LockFile(str(file), proof)
        lock.acquire()
        monkeypatch.setattr(os, "unlink", refuse_once)
        with pytest.raises(PermissionError):
            lock.commit(b"new")
        assert lock_path(file).exists()
    assert files_in(file.parent) == ["index", "proof"]


def test_a_proof_that_has_to_list_more_leaves_no_lock_behind(file: Path) -> None:
    """The lock of a call that died stays provable, whatever is locked later."""
    other = file.with_name("other")
    crash(file)
    with proof_of(other) as proof:
        LockFile(str(other), proof).acquire()
        proof.abandon()
    assert lock_path(file).exists()
    assert lock_path(other).exists()
    Proof(proof.path).settle()
    assert files_in(file.parent) == ["index", "proof"]


def test_without_hard_links_the_lock_is_as_exclusive(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*arguments: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with proof_of(file, name="first") as one, proof_of(file, name="second") as other:
        first, second = LockFile(str(file), one), LockFile(str(file), other)
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
