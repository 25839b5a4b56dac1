"""Locks: git's own ``<file>.lock`` files, held so that they are provably ours, and the lock of a run.

git locks a file by creating ``<file>.lock`` and replaces it by renaming the lock over it. Ours is made
as a hard link to a file in the run's folder: after a crash, the same inode in both places proves that
the lock is ours to take over. A lock that is not provably ours is never removed.
"""

from __future__ import annotations

import contextlib
import os
import time
from types import TracebackType

from resync.errors import Busy, Refused
from resync.repository.packs import fsync_directory

_LONGEST_PATH = 65536


class LockFile:
    """``<path>.lock``, held between ``acquire`` and ``commit`` or ``release``.

    The lock never becomes the file: new content is written beside the proof and renamed over the locked
    file from there, so that no live file shares its bytes with a lock.
    """

    def __init__(self, path: str, proof: str) -> None:
        """``path`` is the file that is locked; ``proof`` is the path of the other link, used for no other."""
        self.path = path
        self._lock = path + ".lock"
        self._proof = proof
        self._held = False

    def acquire(self) -> None:
        """Take the lock, or take it over where an earlier part of the same run left it.

        Raises ``Busy("locked")`` where somebody else holds it.
        """
        os.makedirs(os.path.dirname(self._proof), exist_ok=True)
        os.makedirs(os.path.dirname(self._lock), exist_ok=True)
        with open(self._proof, "wb") as file:
            # Where the lock is, for whoever has to clear up after us; the repository may have moved by then.
            file.write(os.fsencode(os.path.relpath(self.path, os.path.dirname(self._proof))))
        try:
            try:
                os.link(self._proof, self._lock)
            except FileExistsError:
                raise
            except OSError:
                # A file system without hard links: the lock is as exclusive, only not provable.
                os.close(os.open(self._lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            if not self._is_ours():
                raise self._taken() from None
        self._held = True

    def commit(self, data: bytes) -> None:
        """Put ``data`` in place of the locked file, durably, and give the lock up.

        The new file has the permission bits of the old one, if there is one.
        """
        fresh = self._proof + ".new"
        with open(fresh, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(fresh, os.stat(self.path).st_mode & 0o777)
        os.replace(fresh, self.path)
        fsync_directory(os.path.dirname(self.path))
        self.release()

    def release(self) -> None:
        """Give the lock up with the locked file as it was."""
        if self._held:
            _remove(self._lock)
            self._held = False  # not before: where the system did not let it go, it is tried once more
            _remove(self._proof)

    def abandon(self) -> None:
        """Leave the lock where it is: the run is half-way, and nobody else may touch the file."""
        self._held = False

    def check(self) -> None:
        """Raise what ``acquire`` would if somebody else held the lock now."""
        if os.path.lexists(self._lock) and not self._is_ours():
            raise self._taken()

    def _is_ours(self) -> bool:
        try:
            return os.path.samefile(self._proof, self._lock)
        except (OSError, ValueError):
            return False

    def _taken(self) -> Busy:
        try:
            age = f", {max(0, int(time.time() - os.lstat(self._lock).st_mtime))} seconds old"
        except OSError:
            age = ""
        return Busy(
            "locked",
            f"Somebody else holds {self._lock}{age}: another git, an editor, or one that crashed."
            " Nothing was changed.",
            f"wait for it to end; if you are sure that none runs any more: rm {self._lock}",
        )


def release_left(proofs: str) -> None:
    """Remove the locks that a dead process left, with their proofs in the folder ``proofs``.

    Only locks that are provably of that process go. Call it where no live one can hold them.
    """
    try:
        names = os.listdir(proofs)
    except FileNotFoundError:
        return
    for name in names:
        proof = os.path.join(proofs, name)
        if not os.path.isfile(proof):
            continue
        with open(proof, "rb") as file:
            path = os.path.join(os.fsencode(proofs), file.read(_LONGEST_PATH))
        lock = LockFile(os.fsdecode(path), proof)
        if lock._is_ours():
            _remove(lock._lock)
            _remove(proof)


class RunLock:
    """At most one run at a time in a repository: a lock that the system drops when its holder dies."""

    def __init__(self, folder: str, patience: float = 2.0) -> None:
        """``folder`` is resync's folder in the common git directory; ``patience`` is in seconds."""
        self._path = os.path.join(folder, "lock")
        self._patience = patience
        self._descriptor: int | None = None

    def __enter__(self) -> RunLock:
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        deadline = time.monotonic() + self._patience
        while not _try_lock(self._descriptor):
            if time.monotonic() >= deadline:
                os.close(self._descriptor)
                self._descriptor = None
                raise Busy(
                    "run-in-progress",
                    "Another resync is at work in this repository. Nothing was changed.",
                    "wait for it to end and try again",
                )
            time.sleep(0.05)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _try_lock(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:
        return _try_lock_windows(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise Refused(
            "cannot-lock",
            f"This file system does not let resync lock its folder ({error.strerror}). Nothing was changed.",
        ) from None
    return True


def _try_lock_windows(descriptor: int) -> bool:
    import msvcrt

    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return True


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
