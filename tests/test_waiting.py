"""What waits for a person after a run, and what ends the waiting."""

from __future__ import annotations

import json
from typing import Any

from tests import rewritten
from tests.conftest import World, needs_git

pytestmark = needs_git


def run(world: World) -> dict[str, Any]:
    done = world.resync("run", "--yes", "--dirty", "park", "--json")
    assert done.code == 3, done
    document: dict[str, Any] = done.json
    return document


def waiting(world: World) -> list[dict[str, Any]]:
    done = world.resync("status", "--json")
    found: list[dict[str, Any]] = done.json["waiting"]
    assert done.code == (3 if found else 0)
    return found


def test_a_commit_waits_until_the_branch_has_it(rewritten_world: World) -> None:
    world = rewritten_world
    parked = [each for each in run(world)["commits"] if each["verdict"] == "parked"]
    assert [each["oid"] for each in waiting(world)[0]["commits"]] == [each["oid"] for each in parked]
    world.git("stash", "-q")
    world.git("cherry-pick", "-X", "theirs", parked[0]["oid"])
    assert waiting(world)[0]["commits"] == []


def test_a_pick_that_git_wrote_in_its_own_way_ends_the_waiting(world: World) -> None:
    """git writes the time zone -0000 as +0000."""
    rewritten.start(world)
    at_two = (world.clone / "numbers.txt").read_text().replace("two, the old way", "two, my way")
    world.commit("Count my way", {"numbers.txt": at_two})
    raw = world.git("cat-file", "commit", "HEAD").encode() + b"\n"
    data = raw.replace(b" +0000\ncommitter", b" -0000\ncommitter")
    world.git("reset", "-q", world.git("hash-object", "-w", "-t", "commit", "--stdin", stdin=data))
    rewritten.rewrite(world)
    (parked,) = run(world)["commits"]
    world.git("cherry-pick", parked["oid"], check=False)
    world.git("checkout", "--theirs", "numbers.txt")
    world.git("commit", "-q", "-a", "--no-edit")
    assert "+0000" in world.git("cat-file", "commit", "HEAD").splitlines()[2]
    assert waiting(world) == []


def test_a_file_waits_until_the_disk_has_its_bytes(rewritten_world: World) -> None:
    world = rewritten_world
    run(world)
    (file,) = waiting(world)[0]["files"]
    assert file["path"] == "notes.txt"
    world.resync("rescue", "restore", "notes.txt", "--to", "../rescued")
    (world.clone / "notes.txt").write_bytes((world.base / "rescued" / "notes.txt").read_bytes())
    assert waiting(world)[0]["files"] == []


def test_nothing_waits_once_the_rescue_branch_is_gone(rewritten_world: World) -> None:
    world = rewritten_world
    rescue = run(world)["rescue"]["branch"]
    world.git("branch", "-q", "-D", rescue)
    assert waiting(world) == []


def test_a_path_that_somebody_changed_during_the_run(rewritten_world: World) -> None:
    """It waits until it is committed as it is, however often resync is asked."""
    world = rewritten_world
    state = world.clone / ".git" / "resync" / "runs" / run(world)["run"] / "state.json"
    entry = json.loads(state.read_text())
    del entry["sha256"]
    state.write_text(json.dumps({**entry, "left": ["README"], "waits": True}))
    world.write("README", "somebody else\n")
    assert waiting(world)[0]["left_alone"] == [{"path": "README"}]
    assert "look at README" in world.resync("status").out
    world.git("commit", "-q", "-m", "Taken over", "README")
    assert waiting(world)[0]["left_alone"] == []
