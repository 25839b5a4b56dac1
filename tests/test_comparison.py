"""A run looked back at: ``git range-diff`` is the oracle for what differs between an old and a new commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from resync.history.patch_text import patch_text
from resync.model import Oid
from resync.repository import Repository
from tests import rewritten
from tests.conftest import World, needs_git
from tests.rewritten import LINES

pytestmark = needs_git


@pytest.fixture
def looked_back(world: World) -> World:
    """One commit whose surroundings upstream changed, one that stays the same, one that is parked; ``low``
    stands on the first."""
    rewritten.start(world)
    world.commit(
        "Near", {"numbers.txt": (world.clone / "numbers.txt").read_text().replace("line 5\n", "five\n")}
    )
    world.git("branch", "low")
    world.commit("Far", {"far.txt": "far\n"})
    world.commit("Clash", {"numbers.txt": LINES.replace("line 2\n", "line two, my way\n")})
    rewritten.rewrite(world)
    return world


def test_old_commits_stand_beside_new_ones(looked_back: World) -> None:
    world = looked_back
    run = world.resync("run", "--yes", "--json").json["run"]
    old, new = (
        world.git("rev-parse", f"refs/resync/{run}/{name}~{up}").strip()[:10]
        for name, up in (("work", 2), ("new", 1))
    )
    lines = world.resync("log", run).out.splitlines()
    start = lines.index("Old and new commits of main:")
    printed = lines[start + 1 : lines.index("", start)]
    assert printed[0] == f"  1:  {old} ! 1:  {new}  Near"
    marks = [line.split()[2] for line in printed if line[2:3].isdigit()]
    assert marks == ["!", "=", "<"]
    spans = (f"{old}^..{old}", f"{new}^..{new}")
    gits = world.git("range-diff", "--creation-factor=1000", *spans).splitlines()[1:]
    assert [line.strip() for line in printed if line.startswith("      ")] == [line.strip() for line in gits]
    graph = lines[lines.index("Where the branches were and are:") + 1 :]
    tips = {name: world.git("rev-parse", name)[:10] for name in ("main", "low", "origin/main")}
    assert any(f"`-- {tips['main']}  main  (+ 1 commit)" in line for line in graph), graph
    assert any(f"`-- {tips['low']}  low  (+ 1 commit)" in line for line in graph), graph
    assert any(f"{tips['origin/main']}  origin/main  (+ 3 commits)" in line for line in graph)
    assert any("low (before)  (+ 1 commit)" in line for line in graph)
    undo = world.resync("undo", "--yes", "--json").json["run"]
    looked = world.resync("log", undo, "--json").json
    assert (looked["range_diff"], looked["graph"]) == ([], [])


def test_a_run_whose_commits_are_gone_can_be_looked_at(looked_back: World) -> None:
    world = looked_back
    run = world.resync("run", "--yes", "--json").json["run"]
    world.git("checkout", "-q", "--detach", "origin/main")
    for ref in world.git("for-each-ref", "--format=%(refname)", "refs/resync", "refs/heads").split():
        world.git("update-ref", "-d", ref)
    world.git("reflog", "expire", "--expire=now", "--all")
    world.git("gc", "-q", "--prune=now")
    world.git("checkout", "-q", "-b", "main")
    looked = world.resync("log", run, "--json")
    assert looked.code == 0
    assert [each["mark"] for each in looked.json["range_diff"]] == ["?", "?", "<"]
    assert looked.json["graph"] == []


# --- the text of a commit ------------------------------------------------------------------------------


def texts(world: World, *revisions: str) -> list[list[bytes]]:
    with Repository.open(str(world.clone), world.env) as repository:
        oids = [Oid(world.git("rev-parse", each).encode()) for each in revisions]
        return [patch_text(repository.objects, oid) for oid in oids]


def test_every_kind_of_change_stands_under_its_name(world: World) -> None:
    world.git("init", "-q", "-b", "main", str(world.clone), at=world.base)
    world.write("code.c", "int f(void)\n{\n" + "\tx;\n" * 6 + "\ty;\n}\n")
    world.write("old name.txt", LINES)
    world.write("gone", "gone\n")
    world.write("run.sh", "true\n")
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "base")
    world.write("code.c", "int f(void)\n{\n" + "\tx;\n" * 6 + "\tz;\n}\n")
    world.git("mv", "old name.txt", "new name.txt")
    world.write("new name.txt", LINES.replace("line 7\n", "seven\n"))
    world.git("rm", "-q", "gone")
    (Path(world.clone) / "run.sh").chmod(0o755)
    world.write("bin", b"\0")
    world.git("add", "-A")
    world.git("commit", "-q", "-m", "Title\n\nWords.")
    [text] = texts(world, "main")
    headings = [line for line in text if line.startswith((b" ## ", b"@@", b" Binary"))]
    blob = world.git("rev-parse", "main:bin").encode()
    assert headings == [
        b" ## Metadata ##\n",
        b" ## Commit message ##\n",
        b" ## bin (new) ##\n",
        b" Binary files - and %s differ\n" % blob,
        b" ## code.c ##\n",
        b"@@ code.c: int f(void)\n",
        b" ## gone (deleted) ##\n",
        b"@@\n",
        b" ## old name.txt => new name.txt ##\n",
        b"@@ new name.txt: line 3\n",
        b" ## run.sh (mode change 100644 => 100755) ##\n",
    ]
