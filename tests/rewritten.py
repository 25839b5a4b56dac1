"""A small upstream that was rewritten, and a clone of it with work of every kind; the same ids every time."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import World

LINES = "".join(f"line {number}\n" for number in range(1, 13))
CONFIG = "".join(f"setting_{number} = {number}\n" for number in range(1, 11))


def work(world: World) -> Path:
    """A checkout of somebody else's, in which upstream is made."""
    path = world.base / "work"
    if not path.exists():
        world.git("init", "-q", "-b", "main", str(path), at=world.base)
        world.git("remote", "add", "origin", str(world.upstream), at=path)
    return path


def publish(world: World) -> str:
    """Push what the other checkout has, by force, and return its id."""
    at = work(world)
    world.git("push", "-q", "--force", "origin", "main", at=at)
    return world.git("rev-parse", "main", at=at)


def start(world: World, url: str | None = None) -> str:
    """Upstream's old line, and the clone of it without any work yet; returns the old tip."""
    at = work(world)
    world.commit("Start", {"numbers.txt": LINES, "etc/tool.conf": CONFIG, "README": "A tool.\n"}, at=at)
    world.commit("Old way", {"numbers.txt": LINES.replace("line 2\n", "line two, the old way\n")}, at=at)
    old = publish(world)
    world.git("clone", "-q", url or str(world.upstream), str(world.clone), at=world.base)
    return old


def local_commits(world: World) -> list[str]:
    """Three commits in the clone: one that reapplies, one that conflicts, one that upstream gets as well."""
    world.commit("Ship a plugin", {"plugin.txt": "my plugin\n"})
    at_two = (world.clone / "numbers.txt").read_text().replace("two, the old way", "two, my way")
    world.commit("Count my way", {"numbers.txt": at_two})
    world.commit("Fix the README", {"README": "A fine tool.\n"})
    return world.git("rev-list", "--reverse", "origin/main..HEAD").splitlines()


def edits(world: World) -> None:
    """A staged edit, an unstaged one, and an untracked file where upstream will have one."""
    numbers = (world.clone / "numbers.txt").read_text()
    world.write("numbers.txt", numbers.replace("line 12\n", "line twelve\n"))
    world.git("add", "numbers.txt")
    world.write("etc/tool.conf", CONFIG.replace("setting_9 = 9", "setting_9 = 99"))
    world.write("notes.txt", "my notes\n")


def rewrite(world: World) -> str:
    """Upstream goes back to its first commit and takes another way; returns the new tip."""
    at = work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    world.commit("New way", {"numbers.txt": LINES.replace("line 2\n", "line two, the new way\n")}, at=at)
    world.commit("Fix the README", {"README": "A fine tool.\n"}, at=at)
    world.commit(
        "Notes", {"notes.txt": "notes\n", "etc/tool.conf": CONFIG.replace("setting_1 = 1\n", "")}, at=at
    )
    return publish(world)


def rewritten(world: World) -> tuple[str, str]:
    """All of it: the old tip and the new one."""
    old = start(world)
    local_commits(world)
    edits(world)
    return old, rewrite(world)
