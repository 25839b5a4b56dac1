"""Packs beside git's garbage collection."""

from __future__ import annotations

import os
import time

from resync.model import Oid, RefName, RefUpdate
from resync.repository import Repository
from resync.repository.refs import write_now
from tests.conftest import World, needs_git

pytestmark = needs_git
WHO = b"C O Mitter <committer@example.com> 1461092552 +0000"


def gc(world: World) -> None:
    world.git("gc", "-q", "--prune=now")


def known(world: World, oid: Oid) -> bool:
    return world.git("cat-file", "-t", oid.decode(), check=False) == "blob"


def keeps(world: World) -> list[str]:
    return [path.name for path in world.clone.glob(".git/objects/pack/*.keep")]


def test_what_no_ref_holds_yet_is_not_collected(rewritten_world: World) -> None:
    """A backup was: its pack is there a moment before its refs are."""
    world = rewritten_world
    with Repository.open(str(world.clone), {}) as repository:
        oid = repository.objects.add_blob(b"the only copy of an edit")
        repository.objects.write_pack([oid])
        gc(world)
        assert known(world, oid)
        update = RefUpdate(name=RefName(b"refs/resync/test/raw"), old=None, new=oid, message="")
        write_now(repository, [update], WHO)
        assert keeps(world) == []
        gc(world)
        assert known(world, oid)
        nobodys = repository.objects.add_blob(b"planned, and not done")
        repository.objects.write_pack([nobodys])
    assert keeps(world) == []
    gc(world)
    assert not known(world, nobodys)


def test_what_a_dead_process_kept_is_let_go(rewritten_world: World) -> None:
    world = rewritten_world
    packs = world.clone / ".git" / "objects" / "pack"
    with Repository.open(str(world.clone), {}) as repository:
        repository.objects.write_pack([repository.objects.add_blob(b"of a dead process")])
        (ours,) = keeps(world)
        content = (packs / ours).read_bytes()
    now = int(time.time())
    for name, data, age in ((ours, content, 100), ("pack-1.keep", content, 0), ("pack-2.keep", b"", 100)):
        (packs / name).write_bytes(data)
        os.utime(packs / name, (now - age, now - age))
    with Repository.open(str(world.clone), {}) as repository:
        repository.objects.clear_dead(now - 50)
    assert sorted(keeps(world)) == ["pack-1.keep", "pack-2.keep"]
