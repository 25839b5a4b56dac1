"""How a person's work on conflicts stands: what was taken, what is left, and what was set aside."""

from __future__ import annotations

from dataclasses import dataclass

from resync.model.names import Oid, TreePath


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedEdits:
    """Uncommitted edits that the run ``run`` parked, by path."""

    run: str
    paths: tuple[TreePath, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was taken to the working tree for a person to resolve: a ``commit``, or parked ``edits``.

    ``paths`` are all that the taking changed, ``conflicts`` those of them that conflict. ``under`` is a
    commit of what stood there before: the branch's tip, or one in a stash's shape. ``unstaged`` are edits
    that were not staged, and are not to be when they are resolved. ``change_id`` is the new Change-Id that
    the commit's message was given.
    """

    commit: Oid | None
    edits: ParkedEdits | None = None
    under: Oid
    paths: tuple[TreePath, ...]
    conflicts: tuple[TreePath, ...]
    unstaged: tuple[TreePath, ...] = ()
    change_id: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What else than its first parent a parked ``merge`` brought in.

    ``commits`` were parked along with it, parents first, and are made anew with it, unless another branch has
    them (``settled``); ``stands`` says what takes the place of each commit that these, or the merge itself,
    stand on: another commit, or one of these.
    """

    merge: Oid
    commits: tuple[Oid, ...]
    settled: tuple[Oid, ...]
    stands: tuple[tuple[Oid, Oid], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """Where a person's work on parked commits stands after one of its runs; ``id`` is the first of these.

    ``tip`` is where the branch stood then. ``taken`` is what is to be resolved; where it is None the sitting
    is over, unless something (``blocked``) is in the way of what comes next. ``commits`` are still to
    be taken, the next one first, and so are the ``edits``. ``aside`` is a commit of the edits that were set
    aside, on the old tip and with the index as second parent (files as git stores them); ``announced`` are
    those that ``git add -N`` had announced, and ``returned`` says that all are back. ``settled`` are parked
    edits that were dealt with. ``renew`` are the commits that get new Change-Ids, and ``sides`` those of the
    merges among the commits.
    """

    id: str
    tip: Oid
    taken: Taken | None = None
    blocked: tuple[TreePath, ...] = ()
    commits: tuple[Oid, ...] = ()
    edits: tuple[ParkedEdits, ...] = ()
    aside: Oid | None = None
    announced: tuple[TreePath, ...] = ()
    returned: bool = False
    settled: tuple[ParkedEdits, ...] = ()
    renew: tuple[Oid, ...] = ()
    sides: tuple[Side, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it goes on."""
        return self.taken is not None or bool(self.blocked)
