"""What a step of a sitting has before it: the checkout as it stands, and how to merge and commit there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from resync.carry import trees
from resync.checkout import Checkout, disk_form, merge_options_at
from resync.history import open_history
from resync.model import MODE_TREE, Conflict, Head, LocalFile, Oid, Sitting, TreePath
from resync.replay import PickOptions
from resync.replay.sides import Sides
from resync.repository import Repository
from resync.request import Caller
from resync.worktree.filters import Filters
from resync.worktree.form import DiskForm


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What comes next goes onto this: a commit, and the person's own edits on it as trees."""

    tip: Oid
    index: Oid
    worktree: Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where a step ends: the sitting then, the trees of index and working tree, and what is left to say."""

    sitting: Sitting
    index: Oid
    worktree: Oid
    conflicts: tuple[Conflict, ...] = ()
    files: tuple[LocalFile, ...] = ()
    message: bytes | None = None


class Table:
    """The checkout at the beginning of a step; ``index`` and ``worktree`` are trees of what stands there."""

    def __init__(
        self,
        repository: Repository,
        head: Head,
        checkout: Checkout,
        caller: Caller,
        filters: Filters,
    ) -> None:
        self.repository = repository
        self.objects = repository.objects
        self.head = head
        self.checkout = checkout
        self.caller = caller
        self.filters = filters
        self.tree = self.objects.commit(head.tip).tree
        self.who = caller.signed(repository.identity())
        self.index, self.worktree = trees(self.objects, self.tree, checkout.changes)
        self.options = merge_options_at(repository, self.tree, filters.settings)
        self.picks = PickOptions(merging=self.options, committer=self.who)

    def beside(self, sitting: Sitting) -> Sides:
        """What makes the parents of merges in that sitting."""
        return Sides(
            self.objects,
            open_history(self.repository),
            sitting.sides,
            self.picks,
            renew=sitting.renew,
        )

    @property
    def ground(self) -> Ground:
        """What stands there, as it is."""
        return Ground(tip=self.head.tip, index=self.index, worktree=self.worktree)

    def taking(self, tree: Oid, source: Oid, paths: Iterable[TreePath]) -> Oid:
        """A tree with what another one has at some paths."""
        found = {path: self.objects.entry(source, path) for path in paths}
        files = {path: each for path, each in found.items() if each is None or each.mode != MODE_TREE}
        return self.objects.edit_tree(tree, files)

    def form(self, tree: Oid) -> DiskForm:
        """What stands on disk, and will where ``tree`` is checked out."""
        return disk_form(self.repository, self.checkout, tree, self.filters)
