"""Refs as they are on the disk; what cannot be read is never taken for something else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resync.errors import Refused
from resync.model import RefName
from resync.repository.ref_files import RefFiles
from tests.conftest import World, needs_git

pytestmark = needs_git
MAIN = RefName(b"refs/heads/main")


@pytest.fixture
def refs(rewritten_world: World) -> RefFiles:
    """Those of a clone whose main branch has a packed value of long ago."""
    world = rewritten_world
    tip = world.git("rev-parse", "main")
    world.git("update-ref", "refs/heads/main", "main~1")
    world.git("pack-refs", "--all")
    world.git("update-ref", "refs/heads/main", tip)
    return files_of(world.clone)


def files_of(clone: Path) -> RefFiles:
    return RefFiles(str(clone / ".git"), str(clone / ".git"), 40)


def test_as_git_reads_them(rewritten_world: World, refs: RefFiles) -> None:
    world = rewritten_world
    world.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    world.git("tag", "-m", "a tag", "packed/one")
    world.git("pack-refs", "--all")
    world.git("tag", "-m", "another", "loose/one")
    shown = world.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    assert sorted(shown) == sorted(
        f"{name.decode()} {oid.decode()}" for name in refs.names() if (oid := refs.resolve(name)) is not None
    )
    assert refs.chain_end(RefName(b"HEAD")) == MAIN
    assert refs.resolve(RefName(b"refs/heads/alias")) == refs.resolve(MAIN)
    assert refs.resolve(RefName(b"refs/heads/../../HEAD")) is None


def test_what_another_process_packs_is_read_anew(rewritten_world: World, refs: RefFiles) -> None:
    world = rewritten_world
    assert refs.resolve(MAIN) == world.git("rev-parse", "main").encode()
    world.git("update-ref", "refs/heads/main", "main~1")
    world.git("pack-refs", "--all")
    assert refs.resolve(MAIN) == world.git("rev-parse", "main").encode()


@pytest.mark.parametrize("content", [b"", b"0123456789", b"\0" * 41, b"g" * 40 + b"\n"])
def test_a_damaged_ref_is_not_where_it_was_packed(
    rewritten_world: World, refs: RefFiles, content: bytes
) -> None:
    """dulwich says that a branch whose file a power cut emptied stands where it was packed, weeks ago."""
    (rewritten_world.clone / ".git" / "refs" / "heads" / "main").write_bytes(content)
    with pytest.raises(Refused) as refused:
        refs.resolve(MAIN)
    assert refused.value.kind == "damaged-ref"
    before = rewritten_world.git("ls-files", "-s")
    done = rewritten_world.resync("run", "--yes", "--dirty", "park", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "damaged-ref")
    assert (rewritten_world.clone / ".git" / "refs" / "heads" / "main").read_bytes() == content
    assert rewritten_world.git("ls-files", "-s") == before


def test_an_unreadable_ref_is_not_where_it_was_packed(
    refs: RefFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more_files(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("builtins.open", no_more_files)
    with pytest.raises(Refused) as refused:
        refs.resolve(MAIN)
    assert refused.value.kind == "unreadable-ref"


@pytest.mark.parametrize("line", [b"garbage\n", b"0" * 39 + b" refs/heads/x\n", b"1" * 40 + b"\n"])
def test_damaged_packed_refs(rewritten_world: World, line: bytes) -> None:
    packed = rewritten_world.clone / ".git" / "packed-refs"
    packed.write_bytes(line)
    done = rewritten_world.resync("check", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "damaged-ref")
    packed.unlink()
    (rewritten_world.upstream / "packed-refs").write_bytes(line)
    done = rewritten_world.resync("check", "--json")
    assert done.code in (1, 75), done
    assert done.json["error"]["kind"] != "bug"


def test_the_refs_of_a_linked_working_tree(rewritten_world: World) -> None:
    world = rewritten_world
    linked = world.base / "linked"
    world.git("worktree", "add", "-q", "-b", "topic", str(linked))
    world.git("update-ref", "refs/worktree/own", "HEAD", at=linked)
    git_dir = world.git("rev-parse", "--absolute-git-dir", at=linked)
    theirs = RefFiles(git_dir, str(world.clone / ".git"), 40)
    assert RefName(b"refs/worktree/own") in theirs.names()
    assert RefName(b"refs/worktree/own") not in files_of(world.clone).names()
    assert theirs.chain_end(RefName(b"HEAD")) == b"refs/heads/topic"
    assert os.path.samefile(theirs.path(MAIN), world.clone / ".git" / "refs" / "heads" / "main")
