"""Notes that follow their commits; ``git notes copy --for-rewrite`` and ``git rebase`` are the oracle."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from resync.errors import UsageError
from resync.model import Backup, Head, LocalCommit, MoveRefs, Oid, Plan, RefName
from resync.notes import with_notes
from resync.repository import Repository
from resync.repository.refs import write_now
from resync.rewrites import rewrite_lines, rewrites
from tests import rewritten
from tests.conftest import World, needs_git

pytestmark = needs_git

WHO = b"C O Mitter <committer@example.com> 1461092552 +0000"


@dataclass(frozen=True, kw_only=True)
class Rebased:
    """A clone in which git has rebased three commits, and what its hook was told of them."""

    world: World
    lines: str

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(line.split()[0], line.split()[1]) for line in self.lines.splitlines()]

    def plan(self) -> Plan:
        commits = tuple(
            LocalCommit(
                oid=Oid(old.encode()),
                subject=b"",
                author=b"",
                verdict="reapplied",
                new_oid=Oid(new.encode()),
            )
            for old, new in self.pairs
        )
        tip = commits[-1].new_oid
        assert tip is not None
        return Plan(
            id="20160419T190232Z-test",
            checkout=str(self.world.clone),
            head=Head(branch=RefName(b"refs/heads/main"), tip=commits[-1].oid),
            new_tip=tip,
            upstream=None,
            commits=commits,
            files=(),
            rescue=None,
            steps=(Backup(refs=()), MoveRefs(updates=())),
        )


@pytest.fixture
def rebased(world: World) -> Rebased:
    rewritten.start(world)
    for name in ("one", "two", "three"):
        world.commit(name, {f"{name}.txt": name})
    hook(world, f"cat > {world.base}/told")
    rewritten.rewrite(world)
    world.git("fetch", "-q")
    world.git("rebase", "-q", "--onto", "origin/main", "main~3")
    return Rebased(world=world, lines=(world.base / "told").read_text())


def hook(world: World, script: str, folder: str = ".git/hooks") -> Path:
    path = world.write(f"{folder}/post-rewrite", f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def notes(world: World, ref: str) -> dict[str, str]:
    """What git reads there: the text of each note by the id of its object."""
    listed = world.git("notes", "--ref", ref, "list").splitlines()
    return {each.split()[1]: world.git("cat-file", "blob", each.split()[0]) for each in listed}


def ours(rebased: Rebased, env: Mapping[str, str]) -> None:
    """What a run does of a plan, as far as it is about notes."""
    with Repository.open(str(rebased.world.clone), {**rebased.world.env, **env}) as repository:
        plan = with_notes(repository, rebased.plan(), WHO)
        assert with_notes(repository, plan, WHO) == plan
        write_now(
            repository,
            [each for step in plan.steps if isinstance(step, MoveRefs) for each in step.updates],
            WHO,
        )


def gits(rebased: Rebased, env: Mapping[str, str]) -> None:
    rebased.world.git("notes", "copy", "--for-rewrite=rebase", stdin=rebased.lines.encode(), env=env)


def annotate(world: World, ref: str, notes: Mapping[str, str]) -> None:
    for oid, text in notes.items():
        world.git("notes", "--ref", ref, "add", "-f", "--allow-empty", "-F", "-", oid, stdin=text.encode())


# --- how notes are combined ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["", "concatenate", "overwrite", "ignore", "cat_sort_uniq"])
def test_notes_are_combined_as_by_git(rebased: Rebased, mode: str) -> None:
    """A note that only the old commit has, one that both have, one that only the new one has."""
    world = rebased.world
    (one, new_one), (two, new_two), (_, new_three) = rebased.pairs
    annotate(world, "review", {one: "alone\n", two: "b\n\na\nc\n", new_two: "c\nb\n", new_three: "new\n"})
    annotate(world, "same", {one: "same\n", new_one: "same\n", two: "", new_two: "words\n"})
    world.git("config", "notes.rewriteRef", "refs/notes/*")
    env = {"GIT_NOTES_REWRITE_MODE": mode} if mode else {}
    before = world.git("for-each-ref", "refs/notes")
    gits(rebased, env)
    wanted = notes(world, "review"), notes(world, "same")
    for line in before.splitlines():
        oid, _, ref = line.split()
        world.git("update-ref", ref, oid)
    ours(rebased, env)
    assert (notes(world, "review"), notes(world, "same")) == wanted
    world.git("fsck", "--no-dangling")


def test_notes_in_a_tree_with_folders_are_found_and_read(rebased: Rebased) -> None:
    world = rebased.world
    (one, new_one), (two, new_two), _ = rebased.pairs
    annotate(world, "commits", {one: "of one\n", two: "of two\n"})
    many = [hashlib.sha1(b"%d" % number).hexdigest() for number in range(600)]
    world.git("notes", "copy", "--stdin", stdin="".join(f"{one} {each}\n" for each in many).encode())
    assert "/" in world.git("ls-tree", "-r", "--name-only", "refs/notes/commits").split()[0]
    world.git("config", "notes.rewriteRef", "refs/notes/commits")
    ours(rebased, {})
    found = notes(world, "commits")
    assert (found[new_one], found[new_two], len(found)) == ("of one", "of two", 604)


@pytest.mark.parametrize(
    ("settings", "env"),
    [
        ({}, {}),
        ({"notes.rewriteRef": "refs/notes/b*"}, {}),
        ({"notes.rewriteRef": "refs/notes/*", "notes.rewrite.rebase": "false"}, {}),
        ({"notes.rewriteRef": "refs/notes/*", "notes.rewrite.amend": "false"}, {}),
        ({"notes.rewriteRef": "refs/notes/a"}, {"GIT_NOTES_REWRITE_REF": "refs/notes/b/c:refs/notes/none"}),
        ({"notes.rewriteRef": "refs/notes/a"}, {"GIT_NOTES_REWRITE_REF": ""}),
        ({"notes.rewriteMode": "ignore"}, {"GIT_NOTES_REWRITE_REF": "refs/notes/*"}),
    ],
)
def test_the_refs_are_those_that_git_takes(
    rebased: Rebased, settings: Mapping[str, str], env: Mapping[str, str]
) -> None:
    world, oid = rebased.world, rebased.pairs[0][0]
    for ref in ("a", "b", "b/c", "sub/d"):
        if ref != "b":
            annotate(world, ref, {oid: f"in {ref}\n"})
    for name, value in settings.items():
        world.git("config", name, value)
    before = world.git("for-each-ref", "refs/notes")
    gits(rebased, env)
    wanted = [notes(world, ref) for ref in ("a", "b/c", "sub/d")]
    for line in before.splitlines():
        world.git("update-ref", line.split()[2], line.split()[0])
    ours(rebased, env)
    assert [notes(world, ref) for ref in ("a", "b/c", "sub/d")] == wanted


def test_what_is_no_mode_and_what_is_no_notes_ref(rebased: Rebased) -> None:
    world = rebased.world
    world.git("config", "notes.rewriteRef", "refs/heads/main")
    with Repository.open(str(world.clone), world.env) as repository:
        plan = with_notes(repository, rebased.plan(), WHO)
        assert "not below refs/notes/" in plan.notes[0].text
        assert plan.steps == rebased.plan().steps
    annotate(world, "commits", {rebased.pairs[0][0]: "note\n"})
    env = {"GIT_NOTES_REWRITE_REF": "refs/notes/commits", "GIT_NOTES_REWRITE_MODE": "add"}
    with (
        Repository.open(str(world.clone), {**world.env, **env}) as repository,
        pytest.raises(UsageError, match="GIT_NOTES_REWRITE_MODE is 'add'"),
    ):
        with_notes(repository, rebased.plan(), WHO)


# --- whole runs ----------------------------------------------------------------------------------------


def test_a_run_moves_notes_and_tells_the_hook_as_a_rebase_does_and_undo_takes_them_back(world: World) -> None:
    rewritten.start(world)
    for name in ("one", "two", "three"):
        oid = world.commit(name, {f"{name}.txt": name})
        annotate(world, "commits", {oid: f"note of {name}\n"})
    world.git("config", "notes.rewriteRef", "refs/notes/commits")
    world.git("config", "core.hooksPath", ".hooks")
    world.write(".git/info/exclude", ".hooks\ntold\n")
    hook(world, 'echo "$@" >> told; pwd >> told; cat >> told; echo loud; exit 3', ".hooks")
    rewritten.rewrite(world)
    twin = world.base / "twin"
    shutil.copytree(world.clone, twin, symlinks=True)
    world.git("fetch", "-q", at=twin)
    world.git("rebase", "-q", "--onto", "origin/main", "main~3", at=twin)
    before = world.state()
    assert world.resync("plan").code == 5
    assert world.state() == before
    done = world.resync("run", "--yes", "--json")
    assert (done.code, "The hook post-rewrite failed with status 3" in done.err) == (0, True)
    wanted = (twin / "told").read_text()
    told = (world.clone / "told").read_text()
    assert told == wanted.replace(str(twin), str(world.clone))
    listed = ("notes", "list")
    assert world.git(*listed) == world.git(*listed, at=twin)
    assert world.git("rev-parse", f"refs/resync/{done.json['run']}/notes/commits") == world.git(
        "rev-parse", "refs/notes/commits"
    )
    after = world.git("rev-parse", "refs/notes/commits")
    assert world.resync("undo", "--yes").code == 0
    assert world.git("rev-parse", "refs/notes/commits") in str(before["refs"])
    assert (world.clone / "told").read_text() == told, "an undo makes nothing anew"
    assert world.resync("undo", "--yes").code == 0
    assert world.git("rev-parse", "refs/notes/commits") == after


def test_the_lines_are_of_what_moves_only(rebased: Rebased) -> None:
    with Repository.open(str(rebased.world.clone), rebased.world.env) as repository:
        found = rewrites(repository.objects, rebased.plan())
        assert rewrite_lines(found).decode() == rebased.lines
