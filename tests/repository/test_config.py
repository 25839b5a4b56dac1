"""Settings as git reads them: out of exactly the section that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from resync.errors import UsageError
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


def test_conditional_includes(rewritten_world: World, hermetic: Path) -> None:
    """git includes the same, by conditions in the user's file and the repository's own."""
    world, linked = rewritten_world, rewritten_world.base / "home work"
    world.git("worktree", "add", "-q", "-b", "topic/deep", str(linked))
    (world.base / "to").symlink_to(world.base)
    base = world.base
    conditions = [
        *(f"gitdir:{base}/", f"gitdir:{base}/clone/", f"gitdir:{base}/clone/.git", f"gitdir:{base}/clone"),
        *("gitdir:clone/", "gitdir:clon", "gitdir:lone/", "gitdir:**/clone/**", "gitdir:.git", "gitdir:git"),
        *(f"gitdir:{base}/to/clone/", f"gitdir/i:{base}/CLONE/", f"gitdir:{base}/CLONE/", "gitdir:cl?n[e]/"),
        *(
            "gitdir:worktrees/",
            f"gitdir:{base}/clone/.git/worktrees/*",
            "gitdir:./",
            "gitdir:../",
            "gitdir:~/",
        ),
        *(
            "onbranch:main",
            "onbranch:topic/",
            "onbranch:topic",
            "onbranch:*",
            "onbranch:**",
            "onbranch:[!m]*",
        ),
        *(
            "hasconfig:remote.*.url:../*",
            "hasconfig:remote.*.url:../up*/**",
            "hasconfig:remote.*.url:https://**",
        ),
        *("hasconfig:remote.origin.url:../up.git", "nonsense:x", "gitdir"),
    ]
    files = (Path(world.env["HOME"]) / ".gitconfig", world.clone / ".git" / "config")
    for number, file in enumerate(files):
        with file.open("a") as opened:
            for each, condition in enumerate(conditions):
                (base / f"{number}-{each}").write_text(f"[met]\n\tthis = {number} {condition}\n")
                opened.write(f'[includeIf "{condition}"]\n\tpath = {base / f"{number}-{each}"}\n')
    met = set()
    for top in (world.clone, linked):
        expected = world.git("config", "--get-all", "met.this", at=top).splitlines()
        with Repository.open(str(top), world.env) as repository:
            assert sorted(repository.config_all("met", "this")) == sorted(expected)
            assert repository.config_text("met", "this") == expected[-1]
        met |= {(top, each) for each in expected}
    assert 20 < len(met) < 80


def test_what_counts_before_what(rewritten_world: World, hermetic: Path) -> None:
    """``git -c``, ``GIT_CONFIG_COUNT``, the working tree's own, the repository's, the user's."""
    world, linked = rewritten_world, rewritten_world.base / "linked"
    world.git("worktree", "add", "-q", "--detach", str(linked))
    names = ["here.a", "here.b", "here.c", "here.d", "here.e", "here.Sub.Deep=1.f", "here.g", "here.yes"]
    for place, known in (("--global", 5), ("--local", 4)):
        for name in names[:known]:
            world.git("config", place, name, f"{place} {name}")
    world.git("config", "extensions.worktreeConfig", "true")
    for top in (world.clone, linked):
        for name in names[:3]:
            world.git("config", "--worktree", name, f"{top} {name}", at=top)
    env = {**world.env, "GIT_CONFIG_COUNT": "2"}
    for number, name in enumerate(names[:2]):
        env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": f"counted {name}"}
    typed = ["here.a=it's typed!", "here.Sub.Deep=1.f=x = y", "here.g=", "here.yes"]
    told = world.git(
        *(word for each in typed for word in ("-c", each)),
        *("-c", 'alias.told=!printf %s "$GIT_CONFIG_PARAMETERS"', "told"),
    )
    old_form = r"'here.a=it'\''s typed'\!'' 'here.yes'"
    for top in (world.clone, linked):
        for parameters in (told, old_form, ""):
            env["GIT_CONFIG_PARAMETERS"] = parameters
            with Repository.open(str(top), env) as repository:
                for name in names:
                    section, _, rest = name.partition(".")
                    key = (section, *rest.rsplit(".", 1))
                    expected = world.git("config", "--get", name, at=top, env=env, check=False)
                    if name == "here.yes" and parameters:
                        expected = world.git("config", "--bool", name, at=top, env=env)
                    assert (repository.config_text(*key) or "") == expected, (top, parameters, name)
    for wrong in (
        {"GIT_CONFIG_PARAMETERS": "here.a=1"},
        {"GIT_CONFIG_COUNT": "1"},
        {"GIT_CONFIG_COUNT": "x"},
    ):
        with pytest.raises(UsageError) as refused, Repository.open(str(world.clone), {**world.env, **wrong}):
            pass
        assert refused.value.kind == "bad-config"
