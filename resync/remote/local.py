"""A repository on this machine: what is wanted of it is read there and written here, as one pack.

dulwich makes a pack there first, with deltas that it looks for, and indexes it here; that takes some three
times as long.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from resync.errors import LargeBlob, Refused
from resync.model import MODE_GITLINK, MODE_TREE, Oid, RefName, Tree
from resync.remote.room import Room
from resync.remote.way import Wants, shallow_over_there
from resync.repository import Objects, Repository
from resync.repository.numbers import repo_class
from resync.repository.objects import BLOB, COMMIT, TAG, TREE
from resync.repository.pieces import Stored, in_memory
from resync.repository.trust import refuse_reftable, refuse_traps
from resync.request import Progress

if TYPE_CHECKING:
    from dulwich.objects import ObjectID
    from dulwich.refs import Ref
    from dulwich.repo import Repo

_MOST_HELD = 64 << 20  # bytes of trees, between the walk and the writing
_AT_A_TIME = 4096  # commits, after which what was parsed of them is forgotten


class Local:
    """A way to a repository at a path."""

    def __init__(
        self,
        repository: Repository,
        path: str,
        *,
        tags: bool = True,
        promised: bool = False,
        advertised: Mapping[RefName, Oid] | None = None,
    ) -> None:
        """``tags`` says that annotated tags come along, and ``promised`` that the other side keeps what a
        partial clone left out. What is fetched from a path is not filtered, as there is no way to save.
        ``advertised`` are the refs to go by in place of those over there, where it stands in for a remote."""
        self._repository = repository
        self._path = path
        self._tags = tags
        self._advertised = advertised
        self._promised = promised

    def fetch(self, wants: Wants, progress: Progress) -> Mapping[bytes, bytes | None]:
        """What ``Way.fetch`` promises."""
        with closing(self._open()) as there:
            found: Mapping[RefName, Oid] | Mapping[Ref, ObjectID] = (
                self._advertised if self._advertised is not None else there.get_refs()
            )
            refs: dict[bytes, bytes | None] = dict(found.items())
            peeled = self._peeled(Objects(there.object_store), refs) if self._tags else {}
            missing = wants(refs, peeled)
            if missing:
                needed = self._needed(there, missing)
                # Tags come with what they name, as a server sends them along.
                needed.add_tags(
                    [Oid(refs[tag] or b"") for tag, oid in peeled.items() if Oid(oid) in needed.ids]
                )
                progress(f"Copying {len(needed)} objects")
                self._repository.objects.take_over(needed, promised=self._promised)
            return refs

    def bring(self, oids: Sequence[Oid], progress: Progress) -> None:
        """What ``Way.bring`` promises."""
        with closing(self._open()) as there:
            self._repository.objects.take_over(self._needed(there, list(oids)), promised=self._promised)

    def _open(self) -> Repo:
        """What is over there; raises ``Refused``: ``unsupported-repository``, ``strange-repository``."""
        from dulwich.repo import UnsupportedExtension, UnsupportedVersion

        refuse_traps(self._path)
        # To be opened by dulwich would change it.
        refuse_reftable(self._path, {})
        try:
            return repo_class()(self._path)
        except (UnsupportedExtension, UnsupportedVersion) as error:
            raise Refused(
                "unsupported-repository",
                f"The repository at {self._path} uses a format that resync cannot read ({error})."
                " Nothing was changed.",
                "git fetch && resync run --no-fetch",
            ) from None

    def _peeled(self, there: Objects, refs: Mapping[bytes, bytes | None]) -> dict[bytes, bytes]:
        """What the annotated tags over there that are not here finally name."""
        found: dict[bytes, bytes] = {}
        for name, oid in refs.items():
            if (
                name.startswith(b"refs/tags/")
                and oid is not None
                and Oid(oid) not in self._repository.objects
            ):
                with suppress(Refused):  # one that is broken over there is nobody's
                    target = there.peel(Oid(oid))
                    if target != oid:
                        found[name] = target
        return found

    def _needed(self, there: Repo, wants: list[Oid]) -> _Needed:
        cut = frozenset[bytes](there.get_shallow())
        return _Needed(self._repository.objects, lambda: Objects(there.object_store), wants, cut)

    def close(self) -> None:
        """Nothing is open."""


class _Needed(Mapping[Oid, Stored]):
    """The objects that ``wants`` reach over there and that are not here, read when they are asked for.

    A commit that is here has all below it here, too, as git has it for everything that a ref reaches. What a
    commit has in common with its parents comes with them.
    """

    def __init__(
        self, here: Objects, opened: Callable[[], Objects], wants: list[Oid], cut: frozenset[bytes]
    ) -> None:
        """``cut`` are the commits over there whose parents are not there."""
        self._here = here
        self._cut = cut
        self._opened = opened
        self._there = opened()
        self._room = Room(here.folder)
        self._ids: dict[Oid, None] = {}
        self._trees: dict[Oid, Tree] = {}
        self._held: dict[Oid, bytes] = {}
        self._held_bytes = 0
        commits: list[Oid] = []
        for oid in wants:
            commits += self._peeled(oid)
        self._add_trees(self._add_commits(commits))

    @property
    def ids(self) -> Collection[bytes]:
        """What is needed, by id."""
        return self._ids.keys()

    def add_tags(self, tags: Iterable[bytes | None]) -> None:
        """Tags of what is needed are, too."""
        for oid in tags:
            if oid is not None:
                self._peeled(Oid(oid))

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Oid]:
        return iter(self._ids)

    def __getitem__(self, oid: Oid) -> Stored:
        held = self._held.pop(oid, None)
        if held is not None:
            return self._counted(oid, TREE, held)
        try:
            kind, data = self._there.raw(oid, largest=self._there.largest)
        except LargeBlob:
            if self._there.kind(oid) != BLOB:
                return self._counted(oid, *self._there.raw(oid))
            self._room.need(self._there.size(oid))
            return Stored(BLOB, self._there.size(oid), lambda: self._checked(oid))
        return self._counted(oid, kind, data)

    def _counted(self, oid: Oid, kind: int, data: bytes) -> Stored:
        # Of a blob it was seen when it was read.
        if kind != BLOB and self._there.hash(kind, data) != oid:
            raise KeyError(oid)
        self._room.need(len(data))
        return in_memory(kind, data)

    def _checked(self, oid: Oid) -> Iterator[bytes]:
        digest = (hashlib.sha1 if len(oid) == 40 else hashlib.sha256)(b"blob %d\0" % self._there.size(oid))
        for piece in self._there.pieces(oid):
            digest.update(piece)
            yield piece
        if digest.hexdigest().encode() != oid:
            raise KeyError(oid)

    def _peeled(self, oid: Oid) -> list[Oid]:
        """The commit that a tag finally names; the tags on the way are needed, and a tree or blob, too."""
        while oid not in self._here:
            kind, data = self._there.raw(oid)
            if kind == COMMIT:
                return [oid]
            self._ids[oid] = None
            if kind == TREE:
                self._add_tree(oid, [])
            if kind != TAG:
                return []
            oid = Oid(data.split(b"\n", 1)[0].removeprefix(b"object "))
        return []

    def _add_commits(self, waiting: list[Oid]) -> list[tuple[Oid, list[Oid]]]:
        """The commits that are needed; of each its tree and those of its parents."""
        found: list[tuple[Oid, tuple[Oid, ...]]] = []
        trees: dict[Oid, Oid] = {}
        while waiting:
            oid = waiting.pop()
            if oid in trees:
                continue
            if oid in self._here:
                trees[oid] = self._here.commit(oid).tree
                continue
            if oid in self._cut:
                raise shallow_over_there()
            commit = self._there.commit(oid)
            trees[oid] = commit.tree
            self._ids[oid] = None
            found.append((commit.tree, commit.parents))
            waiting += commit.parents
        return [(tree, [trees[each] for each in parents]) for tree, parents in found]

    def _add_trees(self, trees: list[tuple[Oid, list[Oid]]]) -> None:
        for number, (tree, parents) in enumerate(trees):
            if number % _AT_A_TIME == _AT_A_TIME - 1:
                self._there = self._opened()
                self._trees.clear()
            if tree not in parents:
                self._add_tree(tree, parents)

    def _add_tree(self, oid: Oid, others: list[Oid]) -> None:
        """What is in the tree and not at the same place in one of the others."""
        waiting = [(oid, others)]
        while waiting:
            oid, others = waiting.pop()
            if oid in self._ids:
                continue
            self._ids[oid] = None
            known = [self._tree(each) for each in others]
            for name, entry in self._tree(oid).items():
                beside = [tree[name] for tree in known if name in tree]
                if entry.mode == MODE_GITLINK or any(entry.oid == each.oid for each in beside):
                    continue
                if entry.mode == MODE_TREE:
                    waiting.append((entry.oid, [each.oid for each in beside if each.mode == MODE_TREE]))
                else:
                    self._ids[entry.oid] = None

    def _tree(self, oid: Oid) -> Tree:
        """A tree from either side: that of a parent may be here only."""
        found = self._trees.get(oid)
        if found is None:
            try:
                kind, data = self._there.raw(oid)
            except Refused:
                return self._here.tree(oid)
            if kind != TREE:
                raise KeyError(oid)
            found = self._trees[oid] = self._there.parse_tree(oid, data)
            # It is needed again when it is written, most likely.
            if self._held_bytes < _MOST_HELD:
                self._held_bytes += len(data)
                self._held[oid] = data
        return found
