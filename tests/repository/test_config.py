"""Settings as git reads them: out of exactly the section that is asked for."""

from __future__ import annotations

from pathlib import Path

from resync.repository import Repository
from tests.conftest import World, needs_git

pytestmark = needs_git

MINE = """
[branch]
	remote = of-no-branch
	merge = refs/heads/of-no-branch
[remote]
	fetch = +refs/heads/*:refs/remotes/nowhere/*
[BRANCH "Main"]
	Remote = first
	remote = second
[remote "x"]
	fetch = +refs/heads/a:refs/remotes/x/a
	FETCH = +refs/heads/b:refs/remotes/x/b
[branch "caf\N{LATIN SMALL LETTER E WITH ACUTE}"]
	remote = y
"""


def asked_of_git(world: World, *name: str) -> list[str]:
    return world.git("config", "--get-all", ".".join(name), check=False).splitlines()


def test_a_setting_is_looked_for_in_its_own_section_only(rewritten_world: World, hermetic: Path) -> None:
    world = rewritten_world
    (Path(world.env["HOME"]) / ".gitconfig").write_text('[branch "Main"]\n\tmerge = of-the-user\n')
    (world.clone / ".git" / "config").write_text("[core]\n\tbare = false\n" + MINE, encoding="utf-8")
    asked = [
        ("branch", "Main", "remote"),
        ("branch", "Main", "merge"),
        ("branch", "main", "remote"),
        ("branch", "remote"),
        ("branch", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "remote"),
        ("branch", "gone", "remote"),
        ("remote", "x", "fetch"),
        ("remote", "y", "fetch"),
        ("remote", "fetch"),
        ("gone", "remote"),
    ]
    found = 0
    with Repository.open(str(world.clone), world.env) as repository:
        for name in asked:
            expected = asked_of_git(world, *name)
            assert repository.config_all(*name) == expected, name
            assert repository.config_text(*name) == (expected[-1] if expected else None), name
            found += bool(expected)
    assert found == 6
