"""Many checkouts in one command: each upstream is asked once, no failure is another's, the worst counts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resync.errors import ExitCode
from resync.fleet.find import below
from resync.fleet.meant import options_for_each
from resync.fleet.tour import WORST_FIRST
from resync.registry import forget, registered, remember
from tests.conftest import Done, World, environment, needs_git
from tests.counted import Counted, counted
from tests.inside import inside

NAMES = ("a", "b")


@dataclass
class Fleet:
    """Checkouts ``a1`` to ``a4`` and ``b1`` to ``b4`` of two upstreams, both of which were rewritten."""

    world: World
    server: Counted
    folder: Path

    def checkout(self, name: str) -> Path:
        return self.folder / name

    def resync(self, *arguments: str) -> Done:
        """In this folder; by one process, unless it is said otherwise (each takes its time to start)."""
        self.server.asked.clear()
        jobs = () if "--jobs" in arguments or arguments[0] == "forget" else ("--jobs", "1")
        return inside(self.world, *arguments, *jobs, at=self.folder)

    def lines(self, done: Done) -> dict[str, Any]:
        """The JSON objects, by the name of the checkout."""
        found = [json.loads(line) for line in done.out.splitlines()]
        return {os.path.basename(each["checkout"]): each for each in found}


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("fleet")
    world = World(base=base, upstream=base, clone=base / "work", env=environment(base))
    for name in NAMES:
        up, work = base / "served" / f"{name}.git", base / "work"
        world.git("init", "-q", "--bare", "-b", "main", str(up), at=base)
        world.git("init", "-q", "-b", "main", str(work), at=base)
        world.git("remote", "add", "origin", str(up))
        world.commit("Start", {f"{name}.txt": "start\n", "tool.conf": "one\ntwo\nthree\nfour\nfive\nsix\n"})
        world.commit("Old way", {"way.txt": "old\n"})
        world.git("push", "-q", "origin", "main", "main:side")
        first = base / "checkouts" / f"{name}1"
        world.git("clone", "-q", str(up), str(first), at=base)
        world.commit("Mine", {"mine.txt": "mine\n"}, at=first)
        world.git("reset", "-q", "--hard", "main~1")
        world.commit("New way", {"way.txt": "new\n", "tool.conf": "one\ntwo\nthree\nfour\nfive\nSIX\n"})
        world.git("tag", "new-way")
        world.git("push", "-q", "--force", "--tags", "origin", "main")
        world.commit("On the side", {"side.txt": "side\n"})
        world.git("push", "-q", "--force", "origin", "main:side")
        shutil.rmtree(work)
    for name in NAMES:
        for number in (2, 3, 4):
            shutil.copytree(base / f"checkouts/{name}1", base / f"checkouts/{name}{number}")
    return base


@pytest.fixture
def fleet(_made: Path, tmp_path: Path, hermetic: Path) -> Iterator[Fleet]:
    base = tmp_path / "fleet"
    shutil.copytree(_made, base, symlinks=True)
    world = World(base=base, upstream=base, clone=base / "checkouts/a1", env=environment(hermetic))
    with counted(base / "served", world.env) as server:
        for folder in (base / "checkouts").iterdir():
            config = folder / ".git" / "config"
            text = config.read_text()
            config.write_text(text.replace(f"{_made}/served", server.url))
        yield Fleet(world, server, base / "checkouts")


pytestmark = needs_git


def test_each_upstream_is_asked_once_and_no_failure_stops_another(fleet: Fleet) -> None:
    """With everything else that a single run would have made of it."""
    alone = fleet.world.base / "alone"
    shutil.copytree(fleet.checkout("a2"), alone)
    single = inside(fleet.world, "run", "--yes", "--json", at=alone)
    assert single.code == 0, single
    # One is edited, one amid a rebase, one on another branch, and one no repository.
    (fleet.checkout("a1") / "tool.conf").write_text("ONE\ntwo\nthree\nfour\nfive\nsix\n")
    (fleet.checkout("a3") / ".git" / "rebase-merge").mkdir()
    fleet.world.git("checkout", "-q", "-b", "side", "-t", "origin/side", at=fleet.checkout("b2"))
    shutil.rmtree(fleet.checkout("b4") / ".git" / "refs")
    shutil.rmtree(fleet.checkout("b4") / ".git" / "objects")

    checked = fleet.resync("check", "--all", ".", "--json", "--jobs", "2")
    assert fleet.server.asked == {"a.git": 1, "b.git": 1}
    assert {name: each["exit_code"] for name, each in fleet.lines(checked).items()} == {
        **dict.fromkeys(("a1", "a2", "a3", "a4", "b1", "b2", "b3"), 5),
        "b4": 1,
    }
    for folder in (fleet.checkout(name) for name in ("a1", "b1")):
        assert fleet.world.git("rev-parse", "origin/main", at=folder) != single.json["upstream"]["new_tip"]

    done = fleet.resync("run", "--yes", "--all", ".", "--json", "--jobs", "3")
    assert fleet.server.asked == {"a.git": 1, "b.git": 1}
    lines = fleet.lines(done)
    assert {name: each["exit_code"] for name, each in lines.items()} == {
        **dict.fromkeys(("a1", "a2", "a4", "b1", "b2", "b3"), 0),
        "a3": 1,
        "b4": 1,
    }
    assert done.code == 1
    assert lines["a3"]["error"]["kind"] == "operation-in-progress"
    assert (fleet.checkout("a1") / "tool.conf").read_text() == "ONE\ntwo\nthree\nfour\nfive\nSIX\n"
    for name in ("a2", "a4"):
        folder = fleet.checkout(name)
        ours = {key: lines[name][key] for key in ("branches", "commits", "files", "notes")}
        assert ours == {key: single.json[key] for key in ours}
        assert {**lines[name]["upstream"], "evidence": []} == {**single.json["upstream"], "evidence": []}
        for ref in (
            "HEAD",
            "refs/remotes/origin/main",
            "refs/tags/new-way",
            "refs/resync/upstream/origin/main.tips",
        ):
            assert fleet.world.git("rev-parse", ref, at=folder) == fleet.world.git("rev-parse", ref, at=alone)
        assert fleet.world.git("status", "--porcelain", at=folder) == ""
        assert fleet.world.git("fsck", "--strict", "--no-dangling", at=folder) == ""
    assert fleet.world.git("log", "-1", "--format=%s", at=fleet.checkout("b2")) == "On the side"


def test_people_get_a_line_for_each_and_a_table(fleet: Fleet) -> None:
    shutil.rmtree(fleet.checkout("b1"))
    paths = [str(fleet.checkout(name)) for name in ("a1", "b1", "b2")]
    (fleet.checkout("a1") / "deep").mkdir()
    fleet.world.git("config", "resync.dirty", "maybe", at=fleet.checkout("b2"))
    done = fleet.resync("plan", *paths, paths[0] + "/deep", "--jobs", "1")
    head, _, table = done.out.partition("\n\n")
    assert done.code == 2
    assert head.splitlines()[0] == f"[1/3]   5  {paths[0]}  rewritten, 1 reapplied"
    assert f"[2/3]   2  {paths[1]}  There is no such folder. Nothing was changed." in head
    rows = [line.split() for line in table.splitlines()]
    assert rows[0] == ["status", "checkouts", "meaning"]
    assert ["2", "2", "wrong", "usage", "or", "configuration"] in rows
    assert ["try:", "resync", "forget", paths[1]] in rows
    assert ["try:", "git", "-C", paths[2], "config", "resync.dirty", "restore"] in rows
    assert ["5", "1", "a", "run", "is", "due"] in rows
    fleet.world.git("config", "--unset", "resync.dirty", at=fleet.checkout("b2"))
    assert fleet.resync("check", *paths[::2], "--quiet").out.count("rewritten") == 2


def test_those_that_were_seen_are_visited_until_they_are_forgotten(fleet: Fleet) -> None:
    assert fleet.resync("check", "--registered").code == 1
    for name in ("a1", "b1"):
        assert inside(fleet.world, "plan", at=fleet.checkout(name)).code == 5
    assert sorted(fleet.lines(fleet.resync("check", "--registered", "--json"))) == ["a1", "b1"]
    gone = fleet.checkout("b1")
    shutil.rmtree(gone)
    assert fleet.resync("check", "--registered").code == 2
    assert fleet.resync("forget", str(gone)).code == 0
    assert fleet.resync("forget", str(gone)).code == 1
    assert sorted(fleet.lines(fleet.resync("check", "--registered", "--json"))) == ["a1"]


def test_an_upstream_that_is_away_is_waited_for_once(fleet: Fleet) -> None:
    shutil.move(fleet.world.base / "served/a.git", fleet.world.base / "away.git")
    done = fleet.resync("run", "--yes", "--all", ".", "--json")
    assert fleet.server.asked == {"a.git": 1, "b.git": 1}
    assert {name: each["exit_code"] for name, each in fleet.lines(done).items()} == {
        **dict.fromkeys(("a1", "a2", "a3", "a4"), 75),
        **dict.fromkeys(("b1", "b2", "b3", "b4"), 0),
    }
    assert done.code == 75


def test_what_is_not_equal_is_not_shared(fleet: Fleet) -> None:
    """Other settings of the remote, a shallow clone, and a first one whose objects are gone by then."""
    fleet.world.git("config", "remote.origin.proxy", "http://127.0.0.1:9", at=fleet.checkout("a2"))
    fleet.world.git("config", "extensions.partialClone", "origin", at=fleet.checkout("a3"))
    (fleet.checkout("a4") / ".git" / "shallow").write_text("")
    tip = fleet.world.git("rev-parse", "HEAD~2", at=fleet.checkout("a4"))
    (fleet.checkout("a4") / ".git" / "shallow").write_text(tip + "\n")
    paths = [str(fleet.checkout(f"a{number}")) for number in (1, 2, 4)]
    assert fleet.resync("check", *paths, "--json").code == 5
    assert fleet.server.asked == {"a.git": 3}
    fleet.world.git("config", "resync.preSwitch", "rm -rf .git/objects/pack", at=fleet.checkout("b1"))
    done = fleet.resync("run", "--yes", *[str(fleet.checkout(f"b{number}")) for number in (1, 2)], "--json")
    lines = fleet.lines(done)
    assert lines["b1"]["exit_code"] != 0
    assert lines["b2"]["exit_code"] == 0
    assert fleet.server.asked == {"b.git": 2}


def test_a_damaged_checkout_is_not_taken_for_the_one_around_it(fleet: Fleet) -> None:
    """That is not below the folder which was named, and nobody asked for it."""
    around = fleet.checkout("a1")
    tip = fleet.world.git("rev-parse", "HEAD", at=around)
    shutil.move(fleet.checkout("a2"), around / "within" / "a2")
    shutil.rmtree(around / "within" / "a2" / ".git" / "objects")
    done = fleet.resync("run", "--yes", "--all", str(around / "within"), "--json")
    (line,) = fleet.lines(done).values()
    assert (done.code, line["error"]["kind"]) == (1, "not-a-repository")
    assert "/within/a2/.git is not a git repository, or is damaged" in line["error"]["message"]
    assert fleet.world.git("rev-parse", "HEAD", at=around) == tip
    assert fleet.server.asked == {}


def test_working_trees_of_one_repository_go_one_after_the_other(fleet: Fleet) -> None:
    first = fleet.checkout("a1")
    for number in (1, 2):
        name, folder = f"topic{number}", str(fleet.folder / f"linked{number}")
        fleet.world.git("worktree", "add", "-q", "-b", name, folder, "HEAD", at=first)
        fleet.world.git("branch", "-q", "--set-upstream-to=origin/main", name, at=first)
    paths = [str(first), str(fleet.folder / "linked1"), str(fleet.folder / "linked2")]
    done = fleet.resync("run", "--yes", "--only-current", *paths, "--json", "--jobs", "3")
    assert {each["exit_code"] for each in fleet.lines(done).values()} == {0}, done


def test_a_process_that_dies_takes_no_other_with_it(fleet: Fleet) -> None:
    fleet.world.git("config", "resync.preSwitch", "kill -9 $PPID", at=fleet.checkout("a1"))
    done = fleet.resync("run", "--yes", *[str(fleet.checkout(f"a{number}")) for number in (1, 2)], "--json")
    lines = fleet.lines(done)
    assert (lines["a1"]["exit_code"], lines["a1"]["error"]["kind"]) == (70, "worker-died")
    assert "was killed by signal 9" in lines["a1"]["error"]["message"]
    assert (lines["a2"]["exit_code"], done.code) == (0, 70)


def test_an_interrupt_unwinds_what_is_at_work(fleet: Fleet) -> None:
    """And begins nothing more."""
    hold = "touch ../../at-work; exec sleep 60"
    for name in ("a1", "a2"):
        fleet.world.git("config", "resync.preSwitch", hold, at=fleet.checkout(name))
    before = fleet.world.git("rev-parse", "HEAD", at=fleet.checkout("a1"))
    process = subprocess.Popen(
        [sys.executable, "-m", "resync", "run", "--yes", "--json", "--jobs", "1", "--all", str(fleet.folder)],
        env=fleet.world.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not (fleet.world.base / "at-work").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    (first, last) = map(json.loads, out.decode().splitlines())
    assert (os.path.basename(first["checkout"]), first["exit_code"]) == ("a1", 130)
    assert (last["error"]["kind"], last["checkout"]) == ("cancelled", None)
    assert b"7 checkouts of 8 were not begun" in err
    assert fleet.world.git("rev-parse", "HEAD", at=fleet.checkout("a1")) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "a1", "a2"),
        ("run", "--yes", "--repo", "a1", "a2", "a3"),
        ("run", "--yes", "--all", "nowhere"),
        ("check", "--jobs", "0", "a1", "a2"),
        ("check", "--jobs=-1", "a1", "a2"),
    ],
)
def test_wrong_usage(fleet: Fleet, arguments: tuple[str, ...]) -> None:
    assert fleet.resync(*arguments).code == 2
    assert fleet.server.asked == {}
    fleet.world.env["GIT_DIR"] = str(fleet.checkout("a1") / ".git")
    assert fleet.resync("check", "a1", "a2").code == 2


def test_a_process_is_replaced_after_so_many(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what libraries keep does not grow with the number of checkouts."""
    monkeypatch.setattr("resync.fleet.crew._MOST_JOBS", 2)
    paths = [str(fleet.checkout(name)) for name in ("b2", "a3", "b4", "a1")]
    for path in paths:
        fleet.world.git("config", "resync.preSwitch", "echo $PPID >> ../../workers; exit 1", at=Path(path))
    assert fleet.resync("run", "--yes", *paths, "--json").code == 1
    workers = (fleet.world.base / "workers").read_text().split()
    assert len(workers) == 4
    assert workers[0] == workers[1] != workers[2] == workers[3]


# --- the parts ---------------------------------------------------------------------------------------------


def test_the_worst_status_is_the_design_s() -> None:
    order = [int(code) for code in WORST_FIRST]
    assert order == [130, 70, 4, 1, 2, 75, 3, 5, 0]
    assert set(WORST_FIRST) == set(ExitCode)


def test_checkouts_below_a_folder(tmp_path: Path) -> None:
    for name in ("one/.git", "two/.git/sub/.git", "two/vendor/.git", "no/deep/er/.git", "none/at/all"):
        (tmp_path / name).mkdir(parents=True)
    for name, text in (
        ("one/module", "../.git/modules/module"),
        ("one/linked", "/else/.git/worktrees/linked"),
        ("modules/apart", "/srv/modules/git/apart"),
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / ".git").write_text(f"gitdir: {text}\n")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    (tmp_path / "round").symlink_to(tmp_path)
    found = [os.path.relpath(path, tmp_path) for path in below(str(tmp_path), pytest.fail)]
    assert found == ["modules/apart", "no/deep/er", "one", "one/linked", "two", "two/vendor"]
    unreadable: list[str] = []
    assert list(below(str(tmp_path / "gone"), unreadable.append)) == []
    assert unreadable == [str(tmp_path / "gone")]


def test_the_options_that_each_gets() -> None:
    words = "run /a --yes --all /b --dirty=park --upstream o/m --json --jobs 3 --log-format text /c -v -- --x"
    kept = options_for_each(words.split(), ("--all", "--jobs", "--upstream", "--log-format", "--dirty"))
    assert kept == ["--yes", "--dirty=park", "--upstream", "o/m", "--log-format", "text", "-v"]


def test_the_registry(tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    assert registered(folder) == []
    for path in ("/srv/b", "/srv/a", "/srv/b", "/srv/\udcff"):
        remember(folder, path)
    (tmp_path / "state" / "junk.json").write_text("{")
    (tmp_path / "state" / "other.json").write_text('{"path": "/etc"}')
    assert registered(folder) == ["/srv/a", "/srv/b", "/srv/\udcff"]
    assert forget(folder, "/srv/b")
    assert not forget(folder, "/srv/b")
    assert registered(folder) == ["/srv/a", "/srv/\udcff"]
