"""The 145 commits that left with the founding event, as one series: replayed here, and rebased by git.

That every skip is right is shown by a third way, the texts that ``git log -p`` prints.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from resync.history import change_id, open_history
from resync.history.patch_text import patch_text
from resync.merge import MergeOptions, merge_trees
from resync.model import Oid, RefName
from resync.replay import PickOptions, Replay, Series, replay, rewritten
from resync.repository import Objects, Repository
from tests.conftest import EVENT, World, environment, needs_git

pytestmark = [
    needs_git,
    pytest.mark.skipif(not EVENT.exists(), reason=f"the event's data is not at {EVENT}"),
]
OLD, NEW = "refs/resync/old", "refs/resync/new"


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A clone that has both sides of the event."""
    base = tmp_path_factory.mktemp("series")
    made = World(base=base, upstream=base / "none", clone=base / "clone", env=environment(base))
    made.git("init", "-q", str(made.clone), at=base)
    made.git("fetch", "-q", str(EVENT / "kolla-event.bundle"), "refs/*:refs/*")
    return made


@pytest.fixture(scope="module")
def replayed(event: World) -> Replay:
    """The series by resync, its objects written so that git can look at them."""
    with Repository.open(str(event.clone), {}) as repository:
        old, new = (repository.ref(RefName(name.encode())) for name in (OLD, NEW))
        assert old is not None
        assert new is not None
        history = open_history(repository)
        series = [
            oid
            for oid in history.topological(history.reachable([old], [new]))
            if not merges(history.parents(oid))
        ]
        (done,) = replay(
            repository.objects,
            history,
            [Series(tip=old, commits=series, upstream=history.reachable([new], [old]))],
            PickOptions(merging=MergeOptions(), committer=b"C <c@example.com> 1461092552 +0000"),
            onto=new,
        )
        repository.objects.write_pack(repository.objects.new_from([done.tip]))
    return done


def merges(parents: tuple[Oid, ...]) -> bool:
    return len(parents) > 1


class Rebased(NamedTuple):
    """What git made of the series: the tree, the commits in their order, and the verdict on each old one."""

    tree: str
    made: list[str]
    verdicts: Mapping[str, str]


@pytest.fixture(scope="module")
def rebased(event: World) -> Rebased:
    """The series by ``git rebase``, with ``--skip`` at every stop; each stop is for a conflict."""
    state = event.clone / ".git" / "rebase-merge"
    series = event.git("rev-list", "--reverse", "--topo-order", "--no-merges", f"{NEW}..{OLD}").split()
    verdicts = dict.fromkeys(series, "reapplied")
    event.git("checkout", "-q", "--detach", OLD)
    told = started(event, "rebase", "--no-update-refs", NEW)
    for short in re.findall(r"skipped previously applied commit (\w+)", told):
        verdicts[event.git("rev-parse", short)] = "already-upstream"
    while True:
        for oid in re.findall(r"dropping (\w+) .* -- patch contents already upstream", told):
            verdicts[oid] = "became-empty"
        if not state.exists():
            break
        assert event.git("diff", "--name-only", "--diff-filter=U")
        verdicts[event.git("rev-parse", "REBASE_HEAD")] = "parked"
        told = started(event, "rebase", "--skip")
    return Rebased(event.git("rev-parse", "HEAD^{tree}"), described(event, "HEAD"), verdicts)


def started(event: World, *arguments: str) -> str:
    """Everything that git says, on both channels, whether it stops or not."""
    told = subprocess.run(
        ["git", *arguments],
        cwd=event.clone,
        env={**event.env, "GIT_EDITOR": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return told.stdout.decode("utf-8", "replace")


def described(event: World, tip: str) -> list[str]:
    """The commits above the new base as author, date, tree and message, oldest first."""
    return event.git("log", "-z", "--reverse", "--format=%an <%ae> %ad %T%n%B", f"{NEW}..{tip}").split("\0")


def test_git_rebase_comes_to_the_same(event: World, replayed: Replay, rebased: Rebased) -> None:
    verdicts = {each.oid.decode(): each.verdict for each in replayed.commits}
    assert len(verdicts) == 145
    assert verdicts == rebased.verdicts
    tip = replayed.tip.decode()
    assert event.git("rev-parse", f"{tip}^{{tree}}") == rebased.tree
    assert described(event, tip) == rebased.made
    assert Counter(verdicts.values()) == {
        "already-upstream": 109,
        "parked": 33,
        "became-empty": 2,
        "reapplied": 1,
    }


# --- what is skipped -------------------------------------------------------------------------------------


def patches(event: World, span: str) -> dict[str, str]:
    """The patches of a range as text, without the line numbers and ids in which twins differ."""
    form = ("--no-merges", "--no-renames", "--binary", "--full-index", "--format=%x01%H")
    printed = event.git("log", "-p", *form, span)
    records = (record.partition("\n") for record in printed.split("\1")[1:])
    return {oid: unplaced(patch) for oid, _, patch in records}


def unplaced(patch: str) -> str:
    lines = [line for line in patch.strip("\n").split("\n") if not line.startswith("index ")]
    return "\n".join("@@" if line.startswith("@@ ") else line for line in lines)


def test_what_is_skipped_is_upstream_and_nothing_else_is(event: World, replayed: Replay) -> None:
    """109 commits have a twin whose patch reads the same, the one that is named; of the others none has."""
    old, new = patches(event, f"{NEW}..{OLD}"), patches(event, f"{OLD}..{NEW}")
    assert (len(old), len(new)) == (145, 1001)
    skipped = 0
    for each in replayed.commits:
        patch = old[each.oid.decode()]
        twins = [oid for oid, other in new.items() if other == patch]
        named = re.search(r"upstream has the same patch as (\w{10})", each.reason)
        assert (each.verdict == "already-upstream") == bool(twins) == bool(named)
        if named is not None:
            assert any(oid.startswith(named[1]) for oid in twins)
            skipped += 1
    assert skipped == 109


def test_a_new_commit_is_called_equal_where_git_range_diff_calls_it_so(event: World) -> None:
    """Some of the picks that are clean, and some old commits beside upstream's under the same Change-Id."""
    lines = (EVENT / "merge-cases.tsv").read_bytes().splitlines()
    cases = [line.split(b"\t") for line in lines if line.count(b"\tclean\t")]
    pairs: list[tuple[Oid, Oid]] = []
    with Repository.open(str(event.clone), {}) as repository:
        objects, history = repository.objects, open_history(repository)
        for base, ours, theirs, _, _ in cases[::30]:
            commit, onto = objects.commit(Oid(theirs)), objects.commit(Oid(ours))
            if commit.parents == (base,):
                merged = merge_trees(objects, objects.commit(Oid(base)).tree, onto.tree, commit.tree)
                raw = rewritten(commit, tree=merged.tree, parents=[onto.oid], committer=commit.committer)
                pairs.append((commit.oid, objects.add_commit(raw)))
        objects.write_pack(objects.new_from(made for _, made in pairs))
        old, new = (repository.ref(RefName(name.encode())) for name in (OLD, NEW))
        assert old is not None
        assert new is not None
        twins = {change_id(objects.commit(oid).message): oid for oid in history.reachable([new], [old])}
        for oid in sorted(history.reachable([old], [new]))[::16]:
            twin = twins.get(change_id(objects.commit(oid).message))
            if twin is not None and not merges(history.parents(oid)) and not merges(history.parents(twin)):
                pairs.append((oid, twin))
        found = {pair: "=" if same_text(objects, *pair) else "!" for pair in pairs}
    assert found == {pair: range_diff(event, *pair) for pair in pairs}
    marks = Counter(found.values())
    assert min(marks["="], marks["!"]) > 4, marks


def same_text(objects: Objects, one: Oid, other: Oid) -> bool:
    return patch_text(objects, one) == patch_text(objects, other)


def range_diff(event: World, one: Oid, other: Oid) -> str:
    """git's mark of a pair; the factor is such that it takes any two for a pair."""
    spans = [f"{oid.decode()}^..{oid.decode()}" for oid in (one, other)]
    printed = event.git("range-diff", "--no-patch", "--no-color", "--creation-factor=10000", *spans)
    match = re.fullmatch(r"1:  \w+ ([=!]) 1:  \w+ .*", printed)
    assert match is not None, printed
    return match[1]
