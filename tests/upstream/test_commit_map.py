"""A commit map of a tool that rewrote history is evidence like a tip that a person names."""

from __future__ import annotations

import pytest

from resync.errors import UsageError
from resync.upstream.commit_map import read_map
from tests import rewritten
from tests.conftest import World

A, B, GONE = "a" * 40, "b" * 40, "0" * 40


def test_both_tools_forms_are_read(world: World) -> None:
    filter_repo = world.write(
        "filter-repo", f"old                                      new\n{A} {B}\n{B} {GONE}\n", at=world.base
    )
    bfg = world.write("bfg", f"{A} {B}\n", at=world.base)
    assert read_map(str(filter_repo)) == {A.encode(), B.encode()}
    assert read_map(str(bfg)) == {A.encode()}


@pytest.mark.parametrize("text", ["nonsense\n", f"{A}\n", f"{A} {B} {A}\n", "\0\xff\n"])
def test_anything_else_is_refused(world: World, text: str) -> None:
    path = world.write("map", text.encode("latin-1"), at=world.base)
    with pytest.raises(UsageError, match="is no commit map"):
        read_map(str(path))
    with pytest.raises(UsageError, match="is no commit map"):
        read_map(str(path) + ".missing")


def test_a_map_tells_what_was_upstreams_where_nothing_else_does(world: World) -> None:
    old = rewritten.start(world)
    rewritten.local_commits(world)
    older = world.git("rev-list", old).splitlines()
    new = rewritten.rewrite(world)
    world.git("fetch", "-q", "origin")
    for place in ("logs/HEAD", "logs/refs/heads/main", "logs/refs/remotes/origin/main"):
        (world.clone / ".git" / place).unlink()
    assert world.resync("check", "--json").json["error"]["kind"] == "no-evidence"
    path = world.write("map", "".join(f"{oid} {new}\n" for oid in older), at=world.base)
    done = world.resync("plan", "--commit-map", str(path), "--json")
    assert done.json["upstream"]["kind"] == "rewritten"
    assert done.json["upstream"]["evidence"][0] == {
        "kind": "commit-map",
        "source": "--commit-map",
        "oid": old,
    }
    assert [each["subject"] for each in done.json["commits"]] == [
        "Ship a plugin",
        "Count my way",
        "Fix the README",
    ]
