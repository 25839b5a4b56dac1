"""Moving refs: all of them locked before the first is moved, each by compare-and-swap, with reflogs.

dulwich's ``set_if_equals`` takes and drops its lock within one call. A run has to hold the locks from
before the first file moves until after the last, so that nobody commits onto a half-switched checkout;
that is why refs are written here. The format is git's (gitrepository-layout: refs, logs).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from types import TracebackType

from resync.errors import Refused
from resync.model import Oid, RefName, RefUpdate
from resync.repository.durable import fsync, fsync_directory, make_folders
from resync.repository.locks import LockFile, Proof, RunLock
from resync.repository.ref_files import PSEUDO
from resync.repository.repo import BRANCHES, REMOTES, Repository


class RefTransaction:
    """The locks of a run's refs: ``with RefTransaction(...) as refs: ...; refs.commit(who)``.

    Entering takes every lock and compares every old value; leaving without ``commit`` moves nothing.
    An update whose new value already stands is no update (an interrupted run is taken up again so).
    """

    def __init__(
        self,
        repository: Repository,
        updates: Sequence[RefUpdate],
        proof: Proof,
        others: Sequence[Repository] = (),
    ) -> None:
        """``proof`` is written with ``files`` among what it lists before the block is entered.

        ``others`` are other working trees of the repository: what is checked out there and moves is a line in
        the reflog of HEAD there. Raises ``Refused("bad-ref-name")``.
        """
        self._repository = repository
        self._trees = (repository, *others)
        self.lenient = False
        """Whether a ref that somebody else has moved stays where it is and is ``left``."""
        self.left: tuple[RefUpdate, ...] = ()
        self._updates = tuple(updates)
        self._packed = LockFile(os.path.join(repository.common_dir, "packed-refs"), proof)
        self._locks: dict[RefName, LockFile] = {}
        for update in self._updates:
            _check_name(update.name)
            self._locks[update.name] = LockFile(repository.ref_path(update.name), proof)

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it may lock."""
        return (self._packed.path, *(lock.path for lock in self._locks.values()))

    def __enter__(self) -> RefTransaction:
        """Raises ``Busy("locked")``, and ``Refused("ref-moved")`` where a ref has another value by now."""
        self.left = ()
        try:
            taken = self._repository.ref_names()
            for update in self._updates:
                self._make_room(update, taken)
                self._locks[update.name].acquire()
                current = self._repository.ref(update.name)
                if current not in (update.old, update.new):
                    if not self.lenient:
                        raise _moved(update)
                    self.left += (update,)
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    def commit(self, who: bytes) -> None:
        """Move every ref and write its reflog; ``who`` is ``Name <mail> SECONDS ZONE``."""
        self._move(self._updates, who)

    def take_back(self, who: bytes, message: str) -> None:
        """Move every ref back to its old value, with ``message`` in the reflogs."""
        ours = [update for update in reversed(self._updates) if update not in self.left]
        self._move([update.inverse(message) for update in ours], who)

    def _move(self, updates: Sequence[RefUpdate], who: bytes) -> None:
        heads = [(tree.checked_out(), tree) for tree in self._trees]
        for update in updates:
            lock = self._locks[update.name]
            if self._repository.ref(update.name) == update.new:
                lock.release()
                continue
            if update.new is None:
                self._remove(update.name)
                lock.release()
                continue
            # The reflog first: a value that a reflog does not name is worse than a line too many.
            self._log(self._repository, update.name, update, who)
            for checked_out, tree in heads:
                if checked_out == update.name:
                    self._log(tree, RefName(b"HEAD"), update, who)
            lock.commit(update.new + b"\n")
        self._repository.objects.let_go()

    def _remove(self, name: RefName) -> None:
        """Remove a ref that is locked: from the packed refs, then its file. Its reflog stays.

        dulwich would take locks of its own, which nobody could tell from another's after a crash.
        """
        if _without(self._packed.path, name) is not None:
            self._packed.acquire()
            left = _without(self._packed.path, name)
            if left is None:
                self._packed.release()
            else:
                self._packed.commit(left)
        path = self._repository.ref_path(name)
        with suppress(FileNotFoundError):
            os.unlink(path)
            fsync_directory(os.path.dirname(path))

    def _release(self) -> None:
        for lock in (self._packed, *self._locks.values()):
            lock.release()

    def _make_room(self, update: RefUpdate, taken: Collection[RefName]) -> None:
        """Refuse a name that another ref's name runs through (``taken`` are all); drop empty folders in the
        way."""
        if update.new is None or update.old is not None:
            return
        path = self._repository.ref_path(update.name)
        for other in taken:
            if other.startswith(update.name + b"/") or update.name.startswith(other + b"/"):
                raise Refused(
                    "ref-name-taken",
                    f"Ref {_text(update.name)} cannot stand beside {_text(other)}. Nothing was changed.",
                    _room_for(other),
                )
        if os.path.isdir(path):
            for folder, _, _ in os.walk(path, topdown=False):
                os.rmdir(folder)

    def _log(self, tree: Repository, name: RefName, update: RefUpdate, who: bytes) -> None:
        path = tree.ref_path(name, "logs")
        if not os.path.exists(path):
            if not self._wants_reflog(name):
                return
            make_folders(os.path.dirname(path))
        zero = Oid(b"0" * len(update.new or update.old or b""))
        message = update.message.replace("\n", " ").encode("utf-8", "surrogateescape")
        line = b"%s %s %s\t%s\n" % (update.old or zero, update.new or zero, who, message)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, line)
            fsync(descriptor)
        finally:
            os.close(descriptor)
        fsync_directory(os.path.dirname(path))

    def _wants_reflog(self, name: RefName) -> bool:
        setting = (self._repository.config_text("core", "logallrefupdates") or "true").lower()
        if setting == "always":
            return True
        if setting in ("false", "no", "off", "0"):
            return False
        return name == b"HEAD" or name.startswith((BRANCHES, REMOTES, b"refs/notes/"))


def _without(packed: str, name: RefName) -> bytes | None:
    """The file of packed refs without one of them; None where that is not in it."""
    try:
        with open(packed, "rb") as file:
            lines = file.read().splitlines(keepends=True)
    except FileNotFoundError:
        return None
    left: list[bytes] = []
    dropping = False
    for line in lines:
        # A line that begins with ^ says what the tag above it finally names.
        dropping = line.rstrip(b"\n").endswith(b" " + name) or (dropping and line.startswith(b"^"))
        if not dropping:
            left.append(line)
    return b"".join(left) if len(left) < len(lines) else None


def _check_name(name: RefName) -> None:
    """A name is a path of a file: whatever git would not take for a ref's must not become one."""
    from dulwich.refs import check_ref_format

    if name not in PSEUDO and not check_ref_format(name):  # type: ignore[arg-type]
        raise Refused("bad-ref-name", f"{_text(name)!r} is no name for a ref. Nothing was changed.")


def write_now(
    repository: Repository,
    updates: Sequence[RefUpdate],
    who: bytes,
    before: Callable[[], None] | None = None,
) -> None:
    """Write what the refs reach and is only in memory, then move them in this order: for refs that need no
    journal. ``before`` is called when all are locked and stand where they should, and none is moved yet.
    """
    objects = repository.objects
    objects.write_pack(objects.new_from(update.new for update in updates if update.new is not None))
    # One at a time, so that a lock that an earlier call left when it was killed is nobody's by now.
    with RunLock(_plain_folder(repository)):
        proof = _plain_proof(repository)
        transaction = RefTransaction(repository, updates, proof)
        with proof.written(transaction.files), transaction as refs:
            if before is not None:
                before()
            refs.commit(who)


def clear_locks(repository: Repository) -> None:
    """Remove the locks that a killed ``write_now`` left."""
    with RunLock(_plain_folder(repository)):
        _plain_proof(repository).release_left()


def _plain_folder(repository: Repository) -> str:
    return os.path.join(repository.common_dir, "resync", "refs")


def _plain_proof(repository: Repository) -> Proof:
    return Proof(os.path.join(_plain_folder(repository), "proof"))


def _moved(update: RefUpdate) -> Refused:
    return Refused(
        "ref-moved",
        f"{_text(update.name)} was moved by somebody else while resync was planning. Nothing was changed.",
        "resync",
    )


def _room_for(other: RefName) -> str:
    """How a name becomes free that another ref's name runs through."""
    if other.startswith(REMOTES):
        return "to drop what the remote has no longer: git fetch --prune"
    if other.startswith(BRANCHES):
        return f"git branch -m {shlex.quote(_text(RefName(other.removeprefix(BRANCHES))))} NAME"
    return f"if nobody needs it: git update-ref -d {shlex.quote(_text(other))}"


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
