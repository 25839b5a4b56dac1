"""The event's real conflicts, finished by a person in a terminal with git's commands in between."""

from __future__ import annotations

import pytest

from tests.conftest import EVENT, World, needs_git
from tests.shell import Shell

pytestmark = [
    needs_git,
    pytest.mark.skipif(not EVENT.exists(), reason=f"the event's data is not at {EVENT}"),
]
BRANCH = "refs/heads/stable/liberty"
OLD, MINE = "d9d17037d0", "6c8517d852ed22fe94ec88c7826f57b17a59b1c0"
"""Seven real commits of the old line, of which five conflict with the new one and two are there already."""

NOVA, AIO, ANSIBLE, OPENSTACK, TOX = (
    "docker/nova/nova-compute/Dockerfile.j2",
    "tests/deploy_aio.sh",
    "docker/kolla-ansible/Dockerfile.j2",
    "docker/openstack-base/Dockerfile.j2",
    "tox.ini",
)
COMMITS = {
    NOVA: "356d586569c4ad5e3f0a72592458dcc30345ea91",
    AIO: "dccda9f6d5ddf780dbf8cd12db07ff6543826d92",
    ANSIBLE: "93f047d225bd348873820ead9a97579866f32bce",
    OPENSTACK: "be7521b781fb9b15121a358d638a79f52128d71b",
    TOX: "28fd762ad8e82d9f033751286475453eb56494a6",
}


@pytest.fixture
def event(world: World) -> World:
    """A clone whose own commits are these, after upstream was recreated."""
    up = world.upstream
    world.git("fetch", "-q", "--no-tags", str(EVENT / "kolla-event.bundle"), "refs/*:refs/event/*", at=up)
    world.git("update-ref", BRANCH, world.git("rev-parse", OLD, at=up), at=up)
    world.git("symbolic-ref", "HEAD", BRANCH, at=up)
    world.git("clone", "-q", "--no-local", str(up), str(world.clone), at=world.base)
    world.git("fetch", "-q", "--no-tags", str(up), "refs/event/resync/old")
    world.git("reset", "-q", "--hard", MINE)
    world.git("update-ref", BRANCH, world.git("rev-parse", "refs/event/resync/new", at=up), at=up)
    union = 'git merge-file -p --union "$LOCAL" "$BASE" "$REMOTE" > "$MERGED"'
    world.git("config", "mergetool.mine.cmd", union)
    world.git("config", "mergetool.mine.trustExitCode", "true")
    world.git("config", "mergetool.keepBackup", "false")
    return world


def dirty(world: World) -> dict[str, str]:
    """Staged and unstaged edits to files that conflict and to others; what git's diffs say of them."""
    for path in (NOVA, OPENSTACK, "README.rst"):
        append(world, path, "# staged\n")
        world.git("add", path)
    world.write("mine.txt", "a new file\n")
    world.git("add", "mine.txt")
    for path in (NOVA, TOX, "setup.cfg"):
        text = (world.clone / path).read_text("utf-8", "surrogateescape")
        world.write(path, ("# unstaged\n" + text).encode("utf-8", "surrogateescape"))
    return edits(world)


def append(world: World, path: str, line: str) -> None:
    with open(world.clone / path, "ab") as file:
        file.write(line.encode())


def edits(world: World) -> dict[str, str]:
    """The lines that are edited, staged and unstaged, by path."""
    found = {}
    for state, option in (("staged", ["--cached"]), ("unstaged", [])):
        for path in world.git("diff", "--name-only", *option).splitlines():
            diff = world.git("diff", "-U0", *option, "--", path).splitlines()
            found[f"{state} {path}"] = "\n".join(
                line for line in diff if line[:1] in "+-" and line[:3] not in ("+++", "---")
            )
    return found


def test_in_a_terminal(event: World) -> None:
    world = event
    with Shell(world) as shell:
        assert "145 commits gone" not in shell.type("resync", code=3, answers=("y",))
        before = dirty(world)
        tip = world.git("rev-parse", "HEAD")
        assert sorted(before) == [
            *(f"staged {path}" for path in ("README.rst", NOVA, OPENSTACK, "mine.txt")),
            *(f"unstaged {path}" for path in (NOVA, "setup.cfg", TOX)),
        ]

        # A conflict in a text, by a merge tool and git commit.
        assert NOVA in shell.type("resync continue", code=4)
        assert f"You are currently cherry-picking commit {COMMITS[NOVA][:7]}" in shell.type("git status")
        assert shell.type("git diff --name-only --diff-filter=U").split() == [NOVA]
        assert "<<<<<<< HEAD" in shell.type("git diff")
        assert "Not resolved yet" in shell.type("resync continue", code=4)
        shell.type("git mergetool --tool=mine --no-prompt")
        assert shell.type("git diff --name-only --diff-filter=U") == ""
        assert "resolved in the index" in shell.type("resync status", code=4)
        shell.type("git commit -q")

        # A file that upstream removed: it stays away, and nothing is left of the commit.
        assert AIO in shell.type("resync continue", code=4)
        assert f"DU {AIO}" in shell.type("git status --short")
        assert "git add keeps it, git rm removes it" in shell.type("resync status", code=4)
        shell.type(f"git rm -q {AIO}")

        # Another one, which is kept, while something else is edited.
        out = shell.type("resync continue", code=4)
        assert "became empty" in out
        assert ANSIBLE in out
        shell.type(f"git add {ANSIBLE}; echo '# meanwhile' >> LICENSE")

        # By hand, and git's own way to go on.
        assert OPENSTACK in shell.type("resync continue", code=4)
        shell.type(f"sed -i.orig -e '/^[<=>]\\{{7\\}}/d' {OPENSTACK} && rm {OPENSTACK}.orig")
        shell.type(f"git add {OPENSTACK} && git cherry-pick --continue")

        # The last one is left parked, and the edits come back.
        assert TOX in shell.type("resync continue", code=4)
        out = shell.type("resync skip", code=3)
        assert "Your edits are back" in out
        assert f"git cherry-pick {COMMITS[TOX][:10]}" in out
        check_finished(world, tip, before)

        shell.type("resync undo", code=3, answers=("y",))
    assert world.git("rev-parse", "HEAD") == tip
    meanwhile = edits(world)
    assert meanwhile.pop("unstaged LICENSE") == "+# meanwhile"
    assert meanwhile == before
    assert world.git("fsck", "--strict", "--no-dangling") == ""


def check_finished(world: World, tip: str, before: dict[str, str]) -> None:
    """Three commits with their own changes, original author, date and message; the edits as before."""
    made = world.git("rev-list", "--reverse", f"{tip}..HEAD").splitlines()
    for path, oid in zip((NOVA, ANSIBLE, OPENSTACK), made, strict=True):
        changed = [world.git("diff", "--name-only", f"{each}~", each) for each in (oid, COMMITS[path])]
        assert changed[0] == changed[1]
        for form in ("%an <%ae> %ad", "%B"):
            wanted = world.git("log", "-1", f"--format={form}", COMMITS[path])
            assert world.git("log", "-1", f"--format={form}", oid) == wanted
    found = edits(world)
    assert found.pop("unstaged LICENSE") == "+# meanwhile"
    assert found == before
