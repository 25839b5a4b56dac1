"""One person resolves, and other checkouts with the same commits follow."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from resync.commands.session import Session
from resync.console import Console
from resync.errors import Refused
from resync.exchange import Export, collect
from resync.journal import Journals
from resync.repository import Repository
from resync.request import Caller
from resync.rescue import branches, choose
from tests import rewritten
from tests.conftest import CLOCK, World, needs_git
from tests.rewritten import LINES

pytestmark = needs_git

BOTH = LINES.replace("line 2\n", "line two, my way and the new way\n")


@pytest.fixture
def two(world: World) -> tuple[World, Path]:
    """A clone whose upstream was rewritten, and a second one with the same patches under other ids."""
    rewritten.start(world)
    rewritten.local_commits(world)
    second = world.base / "second"
    shutil.copytree(world.clone, second, symlinks=True)
    other = {"GIT_COMMITTER_DATE": f"{CLOCK + 999} +0000", "GIT_COMMITTER_NAME": "Another"}
    world.git("rebase", "-q", "--force-rebase", "origin/main", at=second, env=other)
    rewritten.rewrite(world)
    return world, second


def pick_parked(world: World, files: Mapping[str, str], *arguments: str) -> str:
    """Resolve what is parked as a person does who knows git; returns the id of the parked commit."""
    (rescue,) = world.git("for-each-ref", "--format=%(refname)", "refs/heads/rescue").splitlines()
    parked = world.git("rev-list", "--grep=Count my way", rescue)
    world.git("cherry-pick", parked, check=False)
    for name, text in files.items():
        world.write(name, text)
    world.git("add", ".")
    world.git("commit", "-q", "--no-edit", *arguments)
    return parked


def test_one_person_resolves_and_another_checkout_follows(two: tuple[World, Path]) -> None:
    world, second = two
    assert world.resync("run", "--yes", "--quiet").code == 3
    parked = pick_parked(world, {"numbers.txt": BOTH})
    done = world.resync("rescue", "export", "../resolved", "--json")
    assert done.code == 0
    exported = done.json["exported"]
    assert exported["resolutions"] == 1
    assert exported["commits"] == [
        {"oid": parked, "subject": "Count my way", "resolved": ["numbers.txt"], "left": []}
    ]
    assert not (world.clone / ".git" / "rr-cache").exists(), "no rerere was at work"

    mine = world.git("rev-list", "--grep=Count my way", "HEAD", at=second)
    assert mine != parked
    taken = world.resync("rescue", "import", "../resolved", "--json", at=second)
    assert taken.code == 0
    counted = {"resolutions": 1, "new": 1, "known": 0, "replaced": 0, "refused": 0}
    assert counted.items() <= taken.json["imported"].items()
    assert [each["oid"] for each in taken.json["imported"]["commits"]] == [mine]
    again = world.resync("rescue", "import", "../resolved", at=second)
    assert again.code == 0
    assert "1 known already" in again.out

    run = world.resync("run", "--yes", at=second)
    assert run.code == 0, run.out + run.err
    assert "numbers.txt: a recorded resolution was used" in run.out
    assert (second / "numbers.txt").read_text() == BOTH
    assert world.git("status", "--porcelain", at=second) == ""


# --- what goes into a file -----------------------------------------------------------------------------


def export(world: World, wanted: str | None = None) -> Export:
    caller = Caller(now=CLOCK, zone=0, run="x", folder=str(world.clone))
    console = Console(as_json=False, quiet=True, color="never", env=world.env)
    session = Session(path=str(world.clone), env=world.env, caller=caller, console=console, verbose=False)
    with session.open() as repository:
        journals = Journals(repository)
        rescue = choose(branches(repository, journals), wanted)
        return collect(repository, journals, rescue, session.settings(repository))


def left(world: World) -> dict[str, str]:
    (passed,) = export(world).commits
    return {path.decode(): why for path, why in passed.left}


def test_before_it_is_resolved_there_is_nothing_to_hand_on(two: tuple[World, Path]) -> None:
    world, _ = two
    world.resync("run", "--yes", "--quiet")
    with pytest.raises(Refused) as refused:
        export(world)
    assert refused.value.kind == "nothing-resolved"
    pick_parked(world, {"numbers.txt": BOTH})
    assert export(world).complete
    world.git("branch", "rescue/mine")
    world.git("commit", "-q", "--allow-empty", "-m", "Count my way")
    with pytest.raises(Refused) as refused:
        export(world)
    assert refused.value.kind == "nothing-resolved", "either of the two may be the one"
    with pytest.raises(Refused) as refused:
        export(world, "rescue/mine")
    assert refused.value.kind == "nothing-parked"


def test_a_recording_of_git_s_is_handed_on_too(two: tuple[World, Path]) -> None:
    """Where nothing on the branch took the place of the parked commit."""
    world, _ = two
    world.resync("run", "--yes", "--quiet")
    world.git("config", "rerere.enabled", "true")
    pick_parked(world, {"numbers.txt": BOTH})
    world.git("reset", "-q", "--hard", "HEAD~1")
    content = export(world).content
    assert [each.recording.postimage for each in content.resolutions] == [BOTH.encode()]


def test_what_was_changed_besides_the_conflict_is_said(two: tuple[World, Path]) -> None:
    world, _ = two
    world.resync("run", "--yes", "--quiet")
    pick_parked(world, {"numbers.txt": BOTH, "README": "Counts your way.\n"})
    assert left(world) == {"README": "it was changed besides, which no resolution tells"}
    done = world.resync("rescue", "export", "../resolved")
    assert done.code == 3
    assert "README is left out: it was changed besides" in done.out
    again = world.resync("rescue", "export", "../resolved")
    assert again.code == 3, "the very same is there"
    pick_again = (world.base / "resolved").read_bytes()
    (world.base / "resolved").write_bytes(pick_again + b"\n")
    refused = world.resync("rescue", "export", "../resolved")
    assert refused.code == 1
    assert (world.base / "resolved").read_bytes() == pick_again + b"\n"


def test_conflicts_of_other_kinds_are_left_to_people(world: World) -> None:
    rewritten.start(world)
    conf = (world.clone / "etc/tool.conf").read_text()
    mine = {"numbers.txt": LINES.replace("line 2\n", "line two, my way\n")}
    mine["etc/tool.conf"] = conf.replace("setting_9 = 9", "setting_9 = 99")
    world.commit("Count my way", mine)
    at = rewritten.work(world)
    rewritten.rewrite(world)
    world.git("rm", "-q", "etc/tool.conf", at=at)
    world.git("commit", "-q", "-m", "No tool", at=at)
    rewritten.publish(world)
    assert world.resync("run", "--yes", "--quiet").code == 3
    pick_parked(world, {"numbers.txt": BOTH, "etc/tool.conf": "mine\n"})
    done = export(world)
    assert [path for each in done.commits for path in each.resolved] == [b"numbers.txt"]
    why = "a conflict of this kind (modify/delete) is a person's"
    assert [each.left for each in done.commits] == [((b"etc/tool.conf", why),)]


# --- what is taken in ----------------------------------------------------------------------------------


def test_a_corrected_resolution_takes_the_place_of_the_first(tmp_path: Path) -> None:
    from resync.repository.rr_cache import RrCache

    cache, conflict = RrCache(str(tmp_path / "rr-cache")), "a" * 40
    assert cache.add(conflict, b"one\n", b"first\n") == "new"
    assert cache.add(conflict, b"one\n", b"first\n") == "known"
    assert cache.add(conflict, b"one\n", b"second\n") == "replaced"
    assert cache.add(conflict, b"other\n", b"third\n") == "new"
    assert list(cache.resolutions(conflict)) == [(b"one\n", b"second\n"), (b"other\n", b"third\n")]
    for number in range(62):
        assert cache.add(conflict, b"%d\n" % number, b"x\n") == "new"
    assert cache.add(conflict, b"one too many\n", b"x\n") == "refused"
    (tmp_path / "rr-cache" / ("b" * 40)).symlink_to(tmp_path)
    assert cache.add("b" * 40, b"one\n", b"x\n") == "refused", "a link is not followed"
    assert cache.add("../outside", b"one\n", b"x\n") == "refused"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rr-cache"]


def test_what_is_hostile_changes_nothing(two: tuple[World, Path]) -> None:
    world, _ = two
    (world.base / "bad").write_bytes(b"resync-resolutions 1\nsha256 00\n{}")
    done = world.resync("rescue", "import", "../bad", "--json")
    assert done.code == 1
    assert done.json["error"]["kind"] == "bad-resolutions"
    with Repository.open(str(world.clone), world.env) as repository:
        assert not (Path(repository.common_dir) / "resync" / "rr-cache").exists()
