"""What a run does in one working tree: its index, HEAD and files, locked, checked, changed and taken back."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress

from resync.backup import pins_of
from resync.errors import Refused
from resync.journal import Journal, Journals
from resync.model import (
    IndexChange,
    Oid,
    OtherTree,
    PathIn,
    Plan,
    RefName,
    RefUpdate,
    Switch,
    TreeEntry,
    TreePath,
)
from resync.repository import Repository
from resync.repository.durable import fsync_directory, make_folders
from resync.repository.locks import LockFile, Proof
from resync.repository.refs import write_now
from resync.repository.repo import BRANCHES
from resync.repository.trees import is_known, opened
from resync.request import Caller
from resync.worktree.files import Files, git_mode
from resync.worktree.index import Index, index_bytes, load_index
from resync.worktree.reindex import reaches, reindexed
from resync.worktree.settings import WorktreeSettings
from resync.worktree.switch import FileSwitch, quarantined


class TreeSwitch:
    """One working tree in a run: that in which the run is made, or another one that moves along."""

    def __init__(
        self,
        repository: Repository,
        branch: RefName | None,
        switches: Sequence[Switch],
        *,
        folder: str,
        pins: bytes,
        proof: Proof,
        caller: Caller,
        settings: WorktreeSettings,
        root: str | None = None,
        originals: Mapping[TreePath, bytes] | None = None,
    ) -> None:
        """``repository`` is opened at the working tree, which has ``branch`` checked out (None: detached).

        ``folder`` is that for its files, and ``pins`` begins the names of its refs; ``root`` is how paths in
        it are told from others (``PathIn``).
        """
        self.repository = repository
        self._branch = branch
        self._folder = folder
        self._switches = tuple(switches)
        self._pins = pins
        self._who = caller.signed(repository.identity())
        self._root = root
        self._where = f" in {root}" if root is not None else ""
        self._index = [change for step in self._switches for change in step.index]
        self._files = FileSwitch(
            repository.root,
            folder,
            repository.objects,
            [change for step in self._switches for change in step.files],
            settings,
            keep=caller.folder,
            originals=originals,
            folders={path: access for step in self._switches for path, access in step.access.items()},
            where=self._where,
        )
        self._index_lock = LockFile(repository.index_path, proof)
        self._head_lock = LockFile(repository.ref_path(RefName(b"HEAD")), proof)

    @property
    def locked(self) -> tuple[str, ...]:
        """The files that it may lock."""
        return self._index_lock.path, self._head_lock.path

    @property
    def bared(self) -> tuple[PathIn, ...]:
        """The files whose extended attributes the system did not let the new ones have."""
        return self._named(self._files.bared)

    def lock(self, stack: ExitStack) -> None:
        """Take the locks of index and HEAD until the stack is left."""
        self._index_lock.acquire()
        stack.callback(self._index_lock.release)
        if self._branch is not None:
            # A detached HEAD is among the refs; else it has to go on naming the branch.
            self._head_lock.acquire()
            stack.callback(self._head_lock.release)

    def check_head(self) -> None:
        """Raise ``Refused("ref-moved")`` where something else is checked out than was planned with."""
        if self.strayed:
            raise Refused(
                "ref-moved",
                f"Something else was checked out{self._where} while resync was planning."
                " Nothing was changed.",
                "resync",
            )

    @property
    def strayed(self) -> bool:
        """Whether something else is checked out than was planned with."""
        return self.repository.checked_out() != self._branch

    def way_back(self, tip: Oid) -> str:
        """The command that has checked out again what was: the branch, or (detached) the commit ``tip``."""
        git = f"git -C {shlex.quote(self._root)}" if self._root is not None else "git"
        if self._branch is None:
            return f"{git} checkout --detach {tip.decode()}"
        return f"{git} checkout {self._branch.removeprefix(BRANCHES).decode('utf-8', 'replace')}"

    def check(self) -> None:
        """Refuse where index and files are no longer as they were planned with; prepare the new files."""
        data, _ = index_bytes(self.repository.index_path)
        found = self.repository.objects.hash_blob(data) if data is not None else None
        for step in self._switches:
            if found != step.index_file:
                raise Refused(
                    "changed-meanwhile",
                    f"The index{self._where} was changed by somebody else while resync was planning."
                    " Nothing was changed.",
                    "resync",
                )
        if self._root is not None:
            self.repository.refuse_operation()
        make_folders(self._folder)
        self._files.check()
        self._files.stage()
        fsync_directory(self._folder)

    def change_files(self) -> tuple[PathIn, ...]:
        """Every file to its final bytes; returns the paths that are somebody else's by now."""
        self._files.stage()
        left = self._save((*self._files.apply(), *self._files.disturbed()))
        self._files.sync()
        return left

    def take_files_back(self) -> tuple[PathIn, ...]:
        """Every file as it was before the run; returns the paths that are somebody else's by now."""
        left = self._save((*self._files.revert(), *self._files.disturbed()))
        self._files.sync()
        return left

    def _save(self, left: Sequence[TreePath]) -> tuple[PathIn, ...]:
        """Pin what people made of files since the backup, and leave it as it is; returns its paths."""
        objects, files = self.repository.objects, Files(self.repository.root)
        entries: dict[TreePath, TreeEntry] = {}
        for path in left:
            status = files.lstat(path)
            mode = git_mode(status.st_mode) if status is not None else None
            if mode is not None:
                with suppress(Refused):  # it is at work on it just now
                    entries[path] = TreeEntry(mode, objects.add_blob(files.read(path)))
        if entries:
            name = RefName(self._pins + b"left")
            old, new = self.repository.ref(name), objects.edit_tree(None, entries)
            update = RefUpdate(name=name, old=old, new=new, message="resync: left as they are")
            write_now(self.repository, [update], self._who)
        return self._named(left)

    def write_index(self) -> tuple[PathIn, ...]:
        """The index with its changes in place of the old one; the rename gives its lock up.

        Returns the paths whose entries are somebody else's by now.
        """
        return self._reindex(*self._load_index(), self._index)

    def take_index_back(self) -> tuple[PathIn, ...]:
        """The index as it was before the run, if it was written; returns what ``write_index`` does."""
        index, modified = self._load_index()
        if not reaches(index, self._index):
            return ()  # the very bytes that were there before
        return self._reindex(index, modified, [change.inverse() for change in self._index])

    def _load_index(self) -> tuple[Index, int]:
        return load_index(self.repository.index_path, hex_length=self.repository.objects.hex_length)

    def _reindex(self, index: Index, modified: int, changes: Sequence[IndexChange]) -> tuple[PathIn, ...]:
        root, width = self.repository.root, self.repository.objects.hex_length
        data, left = reindexed(index, modified, changes, root, self._files.written, hex_length=width)
        self._index_lock.commit(data)
        return self._named(left)

    def _named(self, paths: Sequence[TreePath]) -> tuple[PathIn, ...]:
        return tuple(PathIn(path, self._root) for path in dict.fromkeys(paths))


def own_tree(
    repository: Repository, journal: Journal, proof: Proof, caller: Caller, settings: WorktreeSettings
) -> TreeSwitch:
    """The working tree in which a run is made: that at which ``repository`` is opened."""
    plan = journal.plan
    undone = _undone(repository, plan)
    return TreeSwitch(
        repository,
        plan.head.branch,
        plan.switches,
        folder=journal.folder,
        pins=pins_of(plan.id),
        proof=proof,
        caller=caller,
        settings=settings,
        originals=quarantined(undone.folder, undone.plan.file_changes) if undone is not None else None,
    )


def other_trees(
    repository: Repository, journal: Journal, proof: Proof, caller: Caller, settings: WorktreeSettings
) -> Iterator[TreeSwitch]:
    """The working trees that move along in a run.

    One that git no longer knows is left out: there is nothing left to be changed. Raises what ``opened`` does
    where its folder is not there: it may have been moved, and must not stay half-way.
    """
    plan = journal.plan
    undone = _undone(repository, plan) if plan.others else None
    for number, (switch, tree) in enumerate(plan.others, start=1):
        if is_known(repository, tree):
            there = opened(repository, tree)
            yield TreeSwitch(
                there,
                tree.branch,
                [switch],
                folder=journal.tree_folder(number),
                pins=pins_of(plan.id, number),
                proof=proof,
                caller=caller,
                settings=settings,
                root=there.root,
                originals=_originals(undone, tree),
            )


def _undone(repository: Repository, plan: Plan) -> Journal | None:
    """The run that a plan takes back, if its record is there: else the backup has the bytes."""
    if plan.undoes is not None:
        with suppress(Refused):
            return Journals(repository).load(plan.undoes)
    return None


def _originals(undone: Journal | None, tree: OtherTree) -> Mapping[TreePath, bytes]:
    """Where the run that is taken back keeps the files that it moved out of the way in this tree."""
    for number, (switch, other) in enumerate(undone.plan.others if undone is not None else (), start=1):
        if undone is not None and other.git_dir == tree.git_dir:
            return quarantined(undone.tree_folder(number), switch.files)
    return {}
