"""git's own answers: what becomes of each commit when it is picked, and of each edit when it is merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import World
from tests.event.dirt import Recorded, scratch
from tests.event.upstream import Event, listing


@dataclass(frozen=True, kw_only=True)
class Picked:
    """What git makes of one commit: the verdict, the tree after it, and the paths in conflict."""

    oid: str
    verdict: str
    tree: str
    conflicts: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What git makes of the edits: final trees, and the verdict on each path, staged and unstaged."""

    index: str
    worktree: str
    staged: Mapping[str, str]
    unstaged: Mapping[str, str]


class Oracle:
    """A clone of both sides in which git does by itself what a run has to do."""

    def __init__(self, world: World, event: Event) -> None:
        self._world = world
        self._event = event
        self.folder: Path = world.base / "oracle"
        world.git("init", "-q", str(self.folder), at=world.base)
        lent = [str(world.clone / ".git" / "objects"), str(world.upstream / "objects"), str(scratch(world))]
        (self.folder / ".git" / "objects" / "info" / "alternates").write_text("\n".join(lent) + "\n")

    def _git(self, *arguments: str, check: bool = True) -> str:
        return self._world.git(*arguments, at=self.folder, check=check)

    def pick(self, commits: Iterable[str], tip: str) -> list[Picked]:
        """Pick each commit on the new tip; skip what upstream has, what is empty then, what conflicts."""
        cherries = self._git("cherry", self._event.new, tip, self._event.old).splitlines()
        known = {line[2:] for line in cherries if line.startswith("- ")}
        self._git("checkout", "-q", "--detach", self._event.new)
        return [self._pick(oid, known) for oid in commits]

    def _pick(self, oid: str, known: set[str]) -> Picked:
        before = self._git("rev-parse", "HEAD")
        conflicts: frozenset[str] = frozenset()
        if oid in known:
            verdict = "already-upstream"
        else:
            self._git("cherry-pick", "--allow-empty", oid, check=False)
            conflicts = frozenset(self._git("diff", "--name-only", "--diff-filter=U", "-z").split("\0")[:-1])
            if conflicts:
                verdict = "parked"
            elif self._git("rev-parse", "HEAD") != before:
                verdict = "reapplied"
            else:
                verdict = "became-empty"
                assert self._git("rev-parse", "CHERRY_PICK_HEAD") == oid
                assert not self._git("status", "--porcelain")
        if verdict != "reapplied":
            self._git("reset", "-q", "--hard", before)
            self._git("clean", "-qfdx")
        return Picked(
            oid=oid, verdict=verdict, tree=self._git("rev-parse", "HEAD^{tree}"), conflicts=conflicts
        )

    def carry(self, before: Recorded, new_tree: str) -> Carried:
        """Merge the edits, staged ones and then unstaged ones on top, each path by itself first."""
        head = self._git("rev-parse", f"{before.tip}^{{tree}}")
        index, staged = self._merge_edits(head, new_tree, before.index, leave=frozenset())
        blocked = frozenset(path for path, verdict in staged.items() if verdict == "parked")
        worktree, unstaged = self._merge_edits(before.index, index, before.worktree, leave=blocked)
        return Carried(index=index, worktree=worktree, staged=staged, unstaged=unstaged)

    def _merge_edits(
        self, base: str, ours: str, theirs: str, leave: frozenset[str]
    ) -> tuple[str, dict[str, str]]:
        """Merge those paths of ``theirs`` that merge cleanly; ``leave`` are not even tried."""
        paths = self._git("diff-tree", "-r", "--no-renames", "--name-only", "-z", base, theirs)
        verdicts = {}
        clean = []
        here, mine = listing(self._world, ours, at=self.folder), listing(self._world, theirs, at=self.folder)
        for path in paths.split("\0")[:-1]:
            merged = None if path in leave else self._merge(base, ours, self._only(base, theirs, [path]))
            if merged is None:
                verdicts[path] = "parked"
                continue
            clean.append(path)
            final = listing(self._world, merged, at=self.folder).get(path)
            if final == here.get(path):
                verdicts[path] = "adopted"
            else:
                verdicts[path] = "kept" if final == mine.get(path) else "restored"
        together = self._merge(base, ours, self._only(base, theirs, clean))
        assert together is not None
        return together, verdicts

    def _only(self, base: str, edited: str, paths: Iterable[str]) -> str:
        """The tree ``base`` with ``paths`` as they are in ``edited``."""
        index = {"GIT_INDEX_FILE": str(self._world.base / "index-for-oracle")}
        git = self._world.git
        git("read-tree", base, at=self.folder, env=index)
        files = listing(self._world, edited, at=self.folder)
        zero = "0" * len(base)
        lines = [
            f"{files[path].mode} {files[path].oid}\t{path}" if path in files else f"0 {zero}\t{path}"
            for path in paths
        ]
        given = "".join(line + "\0" for line in lines).encode("utf-8", "surrogateescape")
        git("update-index", "-z", "--index-info", at=self.folder, env=index, stdin=given)
        return git("write-tree", at=self.folder, env=index)

    def _merge(self, base: str, ours: str, theirs: str) -> str | None:
        """The tree of a three-way merge; None where it conflicts."""
        root = self._commit(base)
        sides = [self._commit(tree, root) for tree in (ours, theirs)]
        printed = self._git("merge-tree", "--write-tree", *sides, check=False).splitlines()
        return printed[0] if len(printed) == 1 else None

    def _commit(self, tree: str, *parents: str) -> str:
        return self._git("commit-tree", tree, "-m", "-", *(f"-p{parent}" for parent in parents))
