"""Makes random forests of local branches: stacks, merges, branches amid others, copies, a second worktree.

Every commit writes a file of its own, so that nothing conflicts, unless ``conflicts`` is asked for: then some
write what the new upstream writes too.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests import rewritten
from tests.conftest import World

SHARED = "shared.txt"


@dataclass
class Forest:
    """What was made: the heads of branches with work, those without, and how often each shape occurs.

    ``linked`` is the branch that a second working tree has checked out, if there is one, and ``edited`` says
    that somebody edits a file there.
    """

    old: str
    new: str
    heads: dict[str, str] = field(default_factory=dict)
    copies: list[str] = field(default_factory=list)
    conflicting: set[str] = field(default_factory=set)
    linked: str = ""
    edited: bool = False
    shapes: Counter[str] = field(default_factory=Counter)

    @property
    def names(self) -> list[str]:
        """The branches with work, in the order in which they were made."""
        return list(self.heads)


def grow(world: World, seed: int, most: int, *, conflicts: bool = False) -> Forest:
    """An upstream with some old-only commits, a clone with up to ``most`` branches, and the rewrite."""
    dice = random.Random(seed)
    at = rewritten.work(world)
    world.commit("Start", {SHARED: "start\n", "README": "r\n"}, at=at)
    left = dice.randint(1, 3)
    for number in range(left):
        world.commit(f"Old {number}", {f"old-{number}": "old\n"}, at=at)
    old = rewritten.publish(world)
    world.git("clone", "-q", str(world.upstream), str(world.clone), at=world.base)
    forest = Forest(old=old, new="")
    _plant(world, dice, forest, dice.randint(1, most), left, conflicts=conflicts)
    _link(world, random.Random(-1 - seed), forest)
    world.git("reset", "-q", "--hard", f"main~{left}", at=at)
    for number in range(dice.randint(1, 3)):
        world.commit(f"New {number}", {f"new-{number}": "new\n", SHARED: f"upstream {number}\n"}, at=at)
    forest.new = rewritten.publish(world)
    return forest


def _plant(
    world: World, dice: random.Random, forest: Forest, count: int, left: int, *, conflicts: bool
) -> None:
    commits: list[str] = []
    touched: dict[str, bool] = {}
    for number in range(count):
        name = dice.choice(["topic-{}", "feature/{}", "fix-{}-ü"]).format(number)
        start, shape = _start(dice, forest, commits, left)
        world.git("checkout", "-q", "--no-track", "-b", name, start)
        forest.shapes[shape] += 1
        if shape != "in the middle":
            for each in range(dice.randint(1, 3)):
                clash = conflicts and dice.random() < 0.3
                files = {f"{name}/{each}": f"{seedless(name, each)}\n"}
                if clash:
                    files[SHARED] = f"mine {number} {each}\n"
                commits.append(world.commit(f"{name} {each}", files))
        mergeable = [other for other in forest.names if not _reaches(world, other, name)]
        if shape != "in the middle" and mergeable and not conflicts and dice.random() < 0.5:
            other = dice.choice(mergeable)
            world.git("merge", "-q", "--no-ff", "-m", f"Merge {other}", other)
            forest.shapes["merge"] += 1
        forest.heads[name] = world.git("rev-parse", "HEAD")
        touched[name] = conflicts and SHARED in world.git("diff", "--name-only", f"{forest.old}", "HEAD")
    world.git("branch", "-q", "--set-upstream-to=origin/main")
    forest.conflicting = {name for name, clashes in touched.items() if clashes}
    if dice.random() < 0.5:
        world.git("branch", "--no-track", "copy", "origin/main")
        forest.copies.append("copy")
        forest.shapes["copy"] += 1


def _link(world: World, dice: random.Random, forest: Forest) -> None:
    """Sometimes a second working tree, with one of the branches that are not checked out here."""
    others = forest.names[:-1]
    if others and dice.random() < 0.4:
        forest.linked = dice.choice(others)
        world.git("worktree", "add", "-q", f"{world.clone}-linked", forest.linked)
        forest.edited = dice.random() < 0.25
        if forest.edited:
            world.write("README", "edited\n", at=Path(f"{world.clone}-linked"))
        forest.shapes["edited worktree" if forest.edited else "worktree"] += 1


def seedless(name: str, number: int) -> str:
    """Something to write that is nowhere else."""
    return f"{name} has {number}"


def _start(dice: random.Random, forest: Forest, commits: list[str], left: int) -> tuple[str, str]:
    """Where a new branch begins, and what that makes of it."""
    if forest.heads and dice.random() < 0.35:
        return dice.choice(forest.names), "stack"
    if len(commits) > 1 and dice.random() < 0.3:
        return dice.choice(commits), "in the middle"
    if left > 1 and dice.random() < 0.4:
        return "origin/main~1", "below the old tip"
    return "origin/main", "on the old tip"


def _reaches(world: World, commit: str, other: str) -> bool:
    """Whether ``other`` has ``commit`` already."""
    return world.git("merge-base", commit, other) == world.git("rev-parse", commit)


def rebased(world: World, forest: Forest, name: str) -> str:
    """What git makes of one branch: ``rebase --rebase-merges`` in a copy of the clone; the new tip."""
    folder = Path(f"{world.clone}-git")
    if not folder.exists():
        world.git("clone", "-q", "--no-checkout", str(world.clone), str(folder), at=world.base)
        world.git("fetch", "-q", str(world.upstream), "main:refs/new", at=folder)
    world.git("checkout", "-q", "--detach", forest.heads[name], at=folder)
    world.git(
        "rebase", "-q", "--rebase-merges=rebase-cousins", "--no-fork-point", "--onto", "refs/new", forest.old,
        at=folder,
    )  # fmt: skip
    return world.git("rev-parse", "HEAD", at=folder)
