"""Locks: git's own ``<file>.lock`` files, held so that they are provably ours, and the lock of a run.

git locks a file by creating ``<file>.lock`` and replaces it by renaming the lock over it. Ours are hard
links to one file in the run's folder: after a crash, the same inode in both places proves that the lock is
ours to take over. A lock that is not provably ours is never removed.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Iterable, Iterator
from types import TracebackType

from resync.errors import Busy, Refused
from resync.repository.durable import fsync, fsync_directory, make_folders, new_file


class Proof:
    """A file of ours whose other names are locks.

    It lists the files that may be locked with it, for whoever has to clear up after us. After a power cut too
    there is no lock of ours that nobody can prove: it is durable before the first of its locks is made, and
    stays when the last is gone, because that one may come back. For that it is the same file for ever, and
    its list only grows.
    """

    def __init__(self, path: str) -> None:
        self._folder = os.path.dirname(path)
        self.path = path
        self.abandoned = False

    @contextlib.contextmanager
    def written(self, files: Iterable[str]) -> Iterator[None]:
        """Have it on the disk, listing ``files``, for the locks that are taken in the block.

        One that is there goes on being the proof of the locks that are left of it.
        """
        # From there, because the repository may have moved by the time that somebody clears up.
        wanted = {os.fsencode(os.path.relpath(file, self._folder)) for file in files}
        missing = sorted(wanted - self._listed())
        if not os.path.exists(self.path):
            make_folders(self._folder)
            replace_durably(self.path, self.path, b"\0".join(missing))
        elif missing:
            with open(self.path, "ab") as proof:
                proof.write(b"".join(b"\0" + file for file in missing))
                proof.flush()
                fsync(proof.fileno())
        try:
            yield
        finally:
            if not self.abandoned:
                self.release_left()

    def abandon(self) -> None:
        """Leave all its locks where they are: the run is half-way, and nobody else may touch the files."""
        self.abandoned = True

    def proves(self, lock: str) -> bool:
        """Whether the lock is ours."""
        try:
            return os.path.samefile(self.path, lock)
        except (OSError, ValueError):
            return False

    def release_left(self) -> None:
        """Remove the locks that are left of it. Call it where no live process holds them."""
        for lock in self._locks():
            if self.proves(lock):
                _remove(lock)

    def settle(self) -> None:
        """Remove the locks that are left of it so that none comes back: the proof may go then."""
        self.release_left()
        for folder in {os.path.dirname(lock) for lock in self._locks()}:
            # A disk that cannot sync is no reason to keep the record of what was not done.
            with contextlib.suppress(OSError):
                fsync_directory(folder)

    def _locks(self) -> list[str]:
        return [os.path.join(self._folder, os.fsdecode(file)) + ".lock" for file in self._listed()]

    def _listed(self) -> frozenset[bytes]:
        try:
            with open(self.path, "rb") as file:
                return frozenset(file.read().split(b"\0"))
        except FileNotFoundError:
            return frozenset()


class LockFile:
    """``<path>.lock``, held between ``acquire`` and ``commit`` or ``release``.

    The lock never becomes the file: new content is written beside the proof and renamed over the locked
    file from there, so that no live file shares its bytes with a lock.
    """

    def __init__(self, path: str, proof: Proof) -> None:
        """``path`` is the file that is locked; ``proof`` lists it, and is written when the lock is taken."""
        self.path = path
        self._lock = path + ".lock"
        self._proof = proof
        self._held = False

    def acquire(self) -> None:
        """Take the lock, or take it over where an earlier part of the same run left it.

        Raises ``Busy("locked")`` where somebody else holds it.
        """
        make_folders(os.path.dirname(self._lock))
        try:
            try:
                os.link(self._proof.path, self._lock)
            except FileExistsError:
                raise
            except OSError:
                # A file system without hard links: the lock is as exclusive, only not provable.
                os.close(os.open(self._lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            if not self._proof.proves(self._lock):
                raise self._taken() from None
        self._held = True

    def commit(self, data: bytes) -> None:
        """Put ``data`` in place of the locked file, durably, and give the lock up.

        The new file has the permission bits of the old one, if there is one.
        """
        replace_durably(self.path, self._proof.path, data)
        self.release()

    def release(self) -> None:
        """Give the lock up with the locked file as it was."""
        if self._held and not self._proof.abandoned:
            _remove(self._lock)
            self._held = False  # not before: where the system did not let it go, it is tried once more

    def check(self) -> None:
        """Raise what ``acquire`` would if somebody else held the lock now."""
        if os.path.lexists(self._lock) and not self._proof.proves(self._lock):
            raise self._taken()

    def _taken(self) -> Busy:
        try:
            age = f", {max(0, int(time.time() - os.lstat(self._lock).st_mtime))} seconds old"
        except OSError:
            age = ""
        return Busy(
            "locked",
            f"Somebody else holds {self._lock}{age}: another git, an editor, or one that crashed."
            " Nothing was changed.",
            "wait for it to end, and try again",
            f"rm {shlex.quote(self._lock)}    # if you are sure that none of them runs any more",
        )


def replace_durably(path: str, beside: str, data: bytes) -> None:
    """Put ``data`` in place of a file, durably, under the permissions of the old one if there is one.

    It is written next to ``beside``, on the same file system, and renamed.
    """
    fresh = beside + ".new"
    with open(new_file(fresh), "wb") as file:
        file.write(data)
        file.flush()
        with contextlib.suppress(FileNotFoundError):
            os.chmod(fresh, os.stat(path).st_mode & 0o777)
        fsync(file.fileno())
    os.replace(fresh, path)
    fsync_directory(os.path.dirname(path))


class RunLock:
    """At most one run at a time in a repository: a lock that the system drops when its holder dies."""

    def __init__(self, folder: str, patience: float = 2.0) -> None:
        """``folder`` is resync's folder in the common git directory; ``patience`` is in seconds."""
        self._path = os.path.join(folder, "lock")
        self._patience = patience
        self._descriptor: int | None = None

    def __enter__(self) -> RunLock:
        make_folders(os.path.dirname(self._path))
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
