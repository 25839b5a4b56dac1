"""The steps of one run, over all of its working trees: each changes nothing where its after-state holds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from resync.errors import Refused
from resync.journal import Journal
from resync.model import Backup, MoveRefs, Oid, PathIn, RefUpdate, SetMessage, Switch
from resync.repository import Repository
from resync.repository.locks import Proof
from resync.repository.merge_message import put_message, read_message
from resync.repository.refs import RefTransaction
from resync.repository.trees import other_checkouts
from resync.request import Caller
from resync.sequencer.trees import other_trees, own_tree
from resync.worktree.settings import WorktreeSettings


class Run:
    """One run: its working trees, its refs, and git's message for the next commit."""

    def __init__(
        self,
        repository: Repository,
        journal: Journal,
        caller: Caller,
        settings: WorktreeSettings,
        *,
        gone: bool = False,
    ) -> None:
        """``gone`` says that the working tree is no longer there in which the run was made: others are."""
        plan = journal.plan
        self._repository = repository
        self._plan = plan
        self._who = caller.signed(repository.identity())
        self._backups = [update for step in plan.steps if isinstance(step, Backup) for update in step.refs]
        self._updates = [
            update for step in plan.steps if isinstance(step, MoveRefs) for update in step.updates
        ]
        self._messages = [step for step in plan.steps if isinstance(step, SetMessage)]
        self._proof = Proof(journal.proof)
        trees = [*other_trees(repository, journal, self._proof, caller, settings)]
        others = [tree.repository for tree in trees]
        if gone:
            # HEAD and its kin were its own.
            self._updates = [update for update in self._updates if update.name.startswith(b"refs/")]
            self._messages = []
        else:
            trees.insert(0, own_tree(repository, journal, self._proof, caller, settings))
        self._trees = tuple(trees)
        self._refs = RefTransaction(repository, self._updates, self._proof, others)
        self._backup_refs = RefTransaction(repository, self._backups, self._proof)
        self.moved_refs = False

    @property
    def locked(self) -> tuple[str, ...]:
        """The files that it may lock."""
        trees = (path for tree in self._trees for path in tree.locked)
        return (*trees, *self._refs.files, *self._backup_refs.files)

    @property
    def moved(self) -> tuple[RefUpdate, ...]:
        """The updates of refs that somebody else has moved since; they are known with a lenient ``lock``."""
        return self._refs.left

    def lock(self, stack: ExitStack, *, lenient: bool = False) -> None:
        """Take the locks of index and HEAD of every tree, and of the refs, until the stack is left."""
        self._refs.lenient = lenient
        stack.enter_context(self._proof.written(self.locked))
        for tree in self._trees:
            tree.lock(stack)
        stack.enter_context(self._refs)
        for tree in self._trees:
            tree.check_head()

    def way_back(self) -> str:
        """The commands that have checked out again, in each tree where it is not, what was."""
        return " && ".join(tree.way_back(self._plan.head.tip) for tree in self._trees if tree.strayed)

    def check(self) -> None:
        """Refuse where a checkout is no longer as it was planned with; prepare the new files."""
        for message in self._messages:
            if self._message() != message.before:
                raise Refused(
                    "changed-meanwhile",
                    "The message in MERGE_MSG was changed by somebody else while resync was planning."
                    " Nothing was changed.",
                    "resync continue",
                )
        along = {tree.git_dir for _, tree in self._plan.others}
        for update in self._updates:
            trees = other_checkouts(self._repository, update.name) if update.old is not None else ()
            for tree in trees:
                if tree.git_dir not in along:
                    name = update.name.removeprefix(b"refs/heads/").decode("utf-8", "replace")
                    raise Refused(
                        "ref-moved",
                        f"{name} was checked out in {tree.root} while resync was planning."
                        " Nothing was changed.",
                        "resync",
                    )
        for each in self._trees:
            each.check()

    def _message(self) -> Oid | None:
        data = read_message(self._repository)
        return self._repository.objects.hash_blob(data) if data is not None else None

    def _put_message(self, old: Oid | None, new: Oid | None) -> None:
        """Replace the message where nobody has written another one in between."""
        if self._message() == old != new:
            data = self._repository.objects.blob(new) if new is not None else None
            put_message(self._repository, data, self._proof.path)

    def back_up(self) -> None:
        """Make the backup durable and read it back: objects, then the refs that keep them."""
        objects = self._repository.objects
        objects.sync()
        switches = [step for step in self._plan.steps if isinstance(step, Switch)]
        roots = [update.new for update in (*self._backups, *self._updates) if update.new is not None]
        roots += [change.after.oid for step in switches for change in step.files if change.after]
        objects.write_pack(objects.new_from(roots))
        with self._backup_refs as refs:
            refs.commit(self._who)
        self._check_backup()

    def _check_backup(self) -> None:
        for update in self._backups:
            if self._repository.ref(update.name) != update.new:
                raise Refused(
                    "backup-unreadable",
                    f"The backup {update.name.decode('utf-8', 'replace')} does not read back as it was"
                    " written.",
                    "git fsck",
                )

    @property
    def bared(self) -> tuple[PathIn, ...]:
        """The files whose extended attributes the system did not let the new ones have."""
        return tuple(path for tree in self._trees for path in tree.bared)

    def change_files(self) -> tuple[PathIn, ...]:
        """Every file of every tree to its final bytes; returns the paths that are somebody else's by now."""
        return tuple(path for tree in self._trees for path in tree.change_files())

    def publish(self, left: Sequence[PathIn]) -> tuple[PathIn, ...]:
        """Refs, then the indexes; returns ``left`` with what an index could not follow."""
        self._check_backup()
        self.moved_refs = True
        self._refs.commit(self._who)
        for message in self._messages:
            self._put_message(message.before, message.after)
        indexed = [path for tree in self._trees for path in tree.write_index()]
        return tuple(dict.fromkeys((*left, *indexed)))

    def revert(self) -> tuple[PathIn, ...]:
        """Everything back as it was before the run; the backup stays."""
        left = [path for tree in self._trees for path in tree.take_files_back()]
        for message in self._messages:
            self._put_message(message.after, message.before)
        ours = [update for update in self._updates if update not in self.moved]
        if any(self._repository.ref(update.name) != update.old for update in ours):
            self._refs.take_back(self._who, "resync: aborted")
        left += (path for tree in self._trees for path in tree.take_index_back())
        return tuple(dict.fromkeys(left))

    def abandon(self) -> None:
        """Leave the locks on the disk, so that nobody works on a half-switched checkout."""
        self._proof.abandon()
