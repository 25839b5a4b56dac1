"""The demo: what it prints, what it leaves behind, and that it needs nothing of the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from resync.console import Console
from resync.demo import demo
from resync.errors import Refused
from resync.model import FileVerdict
from tests.conftest import Done, World, needs_git, snapshot_files

EXPECTED = Path(__file__).with_name("demo.txt")


def run_demo(*arguments: str, home: Path) -> Done:
    """Run the demo without PATH, git configuration or home: nothing but Python is there."""
    done = subprocess.run(
        [sys.executable, "-m", "resync", "demo", *arguments],
        env={"PATH": "", "HOME": str(home / "nowhere"), "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return Done(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """The folder of one demo, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    return folder / "here", run_demo(str(folder / "here"), home=folder)


def test_the_whole_story(shown: tuple[Path, Done]) -> None:
    """Ids and dates are the story's own, so that only the folder differs from demo to demo.

    Where the words of a report change on purpose: ``python -m resync demo /tmp/d``, with another ``PATH``,
    read it as a stranger would, and put it into ``demo.txt`` with FOLDER and PYTHON for the two.
    """
    folder, done = shown
    assert (done.code, done.err) == (0, "")
    told = done.out.replace(str(folder), "FOLDER").replace(sys.executable, "PYTHON")
    assert told == EXPECTED.read_text(encoding="utf-8")


def test_nothing_is_written_beside_the_folder(shown: tuple[Path, Done]) -> None:
    folder, _ = shown
    assert sorted(os.listdir(folder.parent)) == ["here"]
    assert sorted(os.listdir(folder)) == ["clone", "mine", "upstream.git"]


def test_the_files_at_the_end(shown: tuple[Path, Done]) -> None:
    folder, _ = shown
    files = snapshot_files(folder / "clone")
    edits = {name: data.decode() for name, (_, data) in files.items()}
    assert '"192.0.2.10"' in edits["etc/kolla/globals.yml"]
    assert '"bond0"' in edits["etc/kolla/globals.yml"]
    assert 'openstack_release: "1.1.0"' in edits["etc/kolla/globals.yml"]
    assert '"correct horse"' in edits["etc/kolla/passwords.yml"]
    assert '"registry.example.org"' in edits["ansible/group_vars/all.yml"]
    assert files["tools/cleanup-containers"][0] & 0o111
    assert "docker rm" in edits["tools/cleanup-containers"]
    assert "docker stop" in (folder / "mine/tools/cleanup-containers").read_text()


@needs_git
def test_git_finds_nothing_wrong(shown: tuple[Path, Done], world: World) -> None:
    folder, _ = shown
    clone, upstream = folder / "clone", folder / "upstream.git"
    assert world.git("fsck", "--strict", "--full", "--no-dangling", at=clone) == ""
    assert world.git("fsck", "--strict", "--full", at=upstream) == ""
    status = world.git("status", "--porcelain=v2", "--branch", at=clone).splitlines()
    assert "# branch.head stable/liberty" in status
    assert "# branch.upstream origin/stable/liberty" in status
    assert "# branch.ab +2 -0" in status
    assert (
        world.git("status", "--porcelain", at=clone) == "MM etc/kolla/globals.yml\n M etc/kolla/passwords.yml"
    )
    assert world.git("for-each-ref", "--format=%(refname)", at=upstream).splitlines() == [
        "refs/heads/master",
        "refs/heads/stable/liberty",
        "refs/heads/stable/mitaka",
        "refs/tags/liberty-early-demise",
    ]


@needs_git
def test_the_clone_is_as_git_makes_one(shown: tuple[Path, Done], world: World) -> None:
    """Configuration, reflogs and remote-tracking branches, beside those of ``git clone``."""
    folder, _ = shown
    world.git(
        "clone", "-q", "-b", "stable/liberty", str(folder / "upstream.git"), str(world.clone), at=folder
    )
    settings = set(world.git("config", "--local", "--list").splitlines())
    assert settings <= set(world.git("config", "--local", "--list", at=folder / "clone").splitlines())
    remotes = ("for-each-ref", "--format=%(refname) %(symref)", "refs/remotes")
    assert world.git(*remotes, at=folder / "clone") == world.git(*remotes)
    for name in ("HEAD", "refs/heads/stable/liberty"):
        first = world.git("reflog", "show", "--format=%gs", name).splitlines()[-1]
        assert (
            world.git("reflog", "show", "--format=%gs", name, at=folder / "clone").splitlines()[-1] == first
        )


def test_json(tmp_path: Path) -> None:
    done = run_demo(str(tmp_path / "d"), "--json", home=tmp_path)
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    document = json.loads(done.out)
    assert (document["command"], document["folder"]) == ("demo", str(tmp_path / "d"))
    verdicts = {each["verdict"] for each in document["commits"]}
    assert verdicts == {"reapplied", "already-upstream", "became-empty", "parked"}
    assert {each["verdict"] for each in document["files"]} == {*get_args(FileVerdict)} - {"set-aside"}
    assert {each["state"] for each in document["files"]} == {"staged", "unstaged", "untracked"}
    assert [each["exit_code"] for each in document["steps"]] == [1, 5, 5, 1, 3, 0, 0, 3, 0]


def test_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without DIR; a git configuration that would change files or reach elsewhere does not matter."""
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    Path(os.environ["GIT_CONFIG_GLOBAL"]).write_text(
        "[core]\n\tautocrlf = true\n[init]\n\tdefaultBranch = odd\n[user]\n\tuseConfigOnly = true\n"
    )
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere.git"))
    console = Console(as_json=True, quiet=True, color="never", env={})
    assert demo(None, console) == 0
    (made,) = tmp_path.iterdir()
    assert b"\r" not in (made / "clone/etc/kolla/globals.yml").read_bytes()


@pytest.mark.parametrize("in_the_way", ["file", "folder"])
def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path, in_the_way: str) -> None:
    if in_the_way == "file":
        (tmp_path / "d").write_text("mine")
    else:
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "f").write_text("mine")
    before = snapshot_files(tmp_path)
    with pytest.raises(Refused) as refused:
        demo(str(tmp_path / "d"), Console(as_json=False, quiet=False, color="never", env={}))
    assert refused.value.kind == "folder-not-empty"
    assert snapshot_files(tmp_path) == before


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    done = run_demo("--json", str(tmp_path), home=tmp_path)
    assert done.code == 0
    assert (tmp_path / "clone" / ".git").is_dir()
