"""The real event: picks of Kolla's history and git's answers to them, where the data is at hand."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dulwich.repo import Repo

from resync.merge import Labels, MergeOptions, merge_trees
from resync.model import Oid
from resync.repository.objects import Objects

EVENT = Path(__file__).parents[3] / "shared" / "kolla-event"
EVERY = 13

pytestmark = [
    pytest.mark.skipif(not EVENT.is_dir(), reason="the event's data is not beside the project"),
    pytest.mark.skipif(shutil.which("git") is None, reason="git unpacks the event's bundle"),
]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Objects]:
    path = str(tmp_path_factory.mktemp("event") / "event.git")
    bundle = str(EVENT / "kolla-event.bundle")
    subprocess.run(["git", "init", "--quiet", "--bare", path], check=True)
    subprocess.run(["git", "-C", path, "fetch", "--quiet", bundle, "refs/*:refs/*"], check=True)
    with Repo(path) as repo:
        yield Objects(repo.object_store)


def test_picks_merge_as_in_git(objects: Objects) -> None:
    """Every so many of the picks; ``scripts/bench/merge_cases.py`` runs them all."""
    lines = (EVENT / "merge-cases.tsv").read_bytes().splitlines()
    cases = [line.split(b"\t") for line in lines if not line.startswith(b"#")]
    assert len(cases) > 3000
    for base, ours, theirs, verdict, answer in cases[::EVERY]:
        labels = Labels(base=base, ours=ours, theirs=theirs)
        trees = [objects.commit(Oid(oid)).tree for oid in (base, ours, theirs)]
        result = merge_trees(objects, *trees, MergeOptions(labels=labels))
        assert (theirs, result.clean) == (theirs, verdict == b"clean")
        if result.clean:
            assert (theirs, result.tree) == (theirs, answer)
        else:
            paths = {conflict.path for conflict in result.conflicts}
            assert (theirs, paths) == (theirs, set(answer.split(b" | ")))
