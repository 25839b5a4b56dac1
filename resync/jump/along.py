"""Other working trees, which move along with the branch that they have checked out.

Only one that is clean does, in which nobody is at work: there is nothing to be carried over then, and nothing
to be parked. Any other stays, and its branch with it, for a reason that is said.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from resync.carry import Carried
from resync.checkout import Checkout, programs_for, read_checkout
from resync.errors import Refused, ResyncError, as_reason, listed
from resync.journal import Journals
from resync.jump.landing import jump
from resync.model import MODE_GITLINK, FileChange, Oid, OtherTree, RefName, Switch, TreePath
from resync.repository import Repository
from resync.repository.config import truth, value_of
from resync.repository.locks import LockFile, Proof
from resync.repository.trees import opened, other_checkouts
from resync.worktree.access import folders_of
from resync.worktree.filters import Filters
from resync.worktree.folders import check_folders
from resync.worktree.index import INTENT_TO_ADD, Index
from resync.worktree.settings import WorktreeSettings, read_settings


class Along:
    """The ``switches`` of other working trees, found branch by branch."""

    def __init__(self, repository: Repository, settings: WorktreeSettings) -> None:
        self._repository = repository
        self._settings = settings
        self.switches: list[Switch] = []

    def take(self, branch: RefName, old: Oid, new: Oid) -> str:
        """Have the working tree that has ``branch`` checked out move along from ``old`` to ``new``.

        Why it cannot, as a sentence for people; empty where it does, or none has the branch.
        """
        trees = other_checkouts(self._repository, branch)
        if not trees:
            return ""
        try:
            self.switches.append(self._switch(trees, old, new))
        except (ResyncError, OSError) as why:
            return because(trees[0], why)
        return ""

    def take_back(self, undone: Switch, tree: OtherTree, old: Oid, new: Oid) -> str:
        """Have a working tree go back from where a run's switch has left it (``old``), if it has its branch
        checked out; why it cannot, as ``take`` says it.

        Files get the very bytes and access that they had, and not what git would make of them today.
        """
        trees = other_checkouts(self._repository, tree.branch)
        if not trees:
            return ""
        try:
            if [each.git_dir for each in trees] != [tree.git_dir]:
                raise Refused("other-worktree", "it was not there in the run")
            switch = self._switch(trees, old, new)
        except (ResyncError, OSError) as why:
            return because(trees[0], why)
        known = {change.path: change for change in undone.files}
        files = tuple(_as_before(each, known.get(each.path)) for each in switch.files)
        folders = folders_of(opened(self._repository, tree).root, files, undone.access)
        self.switches.append(replace(switch, files=files, folders=folders))
        return ""

    def _switch(self, trees: Sequence[OtherTree], old: Oid, new: Oid) -> Switch:
        """The switch of the one working tree; raises ``ResyncError`` where it cannot move along."""
        tree, *more = trees
        if more:
            raise Refused("several", f"{more[0].root} has it checked out as well")
        there = opened(self._repository, tree)
        self._refuse_work(there)
        self._refuse_settings(there)
        head = there.head()
        if head.tip != old:
            raise Refused("moved", "it has moved just now")
        with Filters(self._settings, programs_for(there, self._settings)) as filters:
            checkout = read_checkout(there, head, filters)
            _refuse_edits(checkout)
            before, after = (there.objects.commit(each).tree for each in (old, new))
            carried = Carried(index=before, worktree=before, new_index=after, new_worktree=after)
            landing = jump(there, checkout, carried, filters)
            if filters.notes:
                raise Refused("filter-failed", str(filters.notes[0]))
        in_the_way = [each.path for each in landing.in_the_way]
        if in_the_way:
            raise Refused("in-the-way", f"files that git does not have are in the way: {listed(in_the_way)}")
        _refuse_submodules(landing.switch)
        device = os.stat(self._repository.common_dir).st_dev
        check_folders(there.root, (each.path for each in landing.switch.files), device)
        return replace(landing.switch, tree=replace(tree, root=there.root))

    def _refuse_work(self, there: Repository) -> None:
        """Refuse where somebody is at work: git, or a run or a sitting of resync's."""
        there.refuse_operation()
        nobody = Proof(os.path.join(there.git_dir, "resync-proof"))
        for path in (there.index_path, there.ref_path(RefName(b"HEAD"))):
            LockFile(path, nobody).check()
        journals = Journals(there)
        if journals.unfinished() or journals.moved_from_elsewhere() or journals.sitting():
            raise Refused("sitting", "a run of resync's is unfinished there")

    def _refuse_settings(self, there: Repository) -> None:
        """Refuse where git's configuration says other things there than here."""
        here = self._repository
        mine, theirs = (
            read_settings(each.config, common_dir=here.common_dir, user_dir=os.devnull)
            for each in (here, there)
        )
        own = [os.path.join(each.git_dir, "config.worktree") for each in (here, there)]
        apart = truth(value_of(here.config, (b"extensions",), "worktreeConfig") or b"false")
        if mine != theirs or (apart and any(os.path.exists(path) for path in own)):
            raise Refused("settings", "git has settings of its own there (config.worktree, or includeIf)")


def because(tree: OtherTree, why: ResyncError | OSError) -> str:
    """Why a branch stays with its working tree, as one sentence."""
    return f"it is checked out in {tree.root} and stays with it: {as_reason(why)}; run resync there"


def _refuse_edits(checkout: Checkout) -> None:
    """Refuse whatever is not as HEAD has it, and what is not meant to be (sparse checkouts)."""
    edited = {each.path for each in checkout.changes} | _unusual(checkout.index)
    if edited:
        raise Refused("dirty", f"it is not clean there ({listed(sorted(edited))})")


def _unusual(index: Index) -> set[TreePath]:
    return {
        path
        for path, entry in index.entries.items()
        if entry.skip_worktree or entry.assume_valid or entry.flags & INTENT_TO_ADD
    }


def _refuse_submodules(switch: Switch) -> None:
    sides = (side for change in switch.index for side in (change.before, change.after))
    if any(side is not None and side.mode == MODE_GITLINK for side in sides):
        raise Refused("submodule", "a submodule changes there")


def _as_before(change: FileChange, known: FileChange | None) -> FileChange:
    if known is None or change.after is None:
        return change
    return replace(change, after=known.before, access_after=known.access_before)
