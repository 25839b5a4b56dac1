"""Gerrit's changes: what a plan and a run say of Change-Ids, and of where changes go from now on."""

from __future__ import annotations

import pytest

from resync.model import Oid, RefName, Upstream
from resync.upstream.gitreview import MOST_BYTES, gitreview_notes
from tests import rewritten
from tests.conftest import World, needs_git
from tests.history.commits import add_commit, add_files, new_objects
from tests.inside import inside

pytestmark = needs_git

CHANGE = "I" + "1" * 40


def test_a_plan_and_its_run_map_old_change_ids_to_the_same_new_ones(world: World) -> None:
    rewritten.start(world)
    world.commit(f"Mine\n\nChange-Id: {CHANGE}", {"mine.txt": "mine\n"})
    world.commit("No change", {"other.txt": "other\n"})
    rewritten.rewrite(world)
    world.commit("Gerrit", {".gitreview": "[gerrit]\nproject=p\n"}, at=rewritten.work(world))
    rewritten.publish(world)
    plan = world.resync("plan", "--json", "--change-id", "new").json["commits"]
    world.git("config", "resync.changeId", "new")
    later = {"GIT_COMMITTER_DATE": "1461099999 +0000"}
    told = world.resync("run", "--yes", "--json", env=later).json
    done = told["commits"]
    assert told["notes"][0]["text"] == "upstream changed where changes go: project (none) -> p"
    assert plan[0]["change_id"] == CHANGE
    assert plan[0]["new_change_id"] == done[0]["new_change_id"]
    assert "change_id" not in done[1]
    assert world.git("log", "-1", "--format=%B", "main~1").splitlines() == [
        "Mine",
        "",
        f"Change-Id: {done[0]['new_change_id']}",
    ]
    run = world.resync("log").out.split()[0]
    assert f"Change-Id {CHANGE} -> {done[0]['new_change_id']}" in world.resync("log", run).out


@pytest.mark.parametrize("how", ["park", "stop"])
def test_what_is_resolved_later_gets_new_change_ids_too(world: World, how: str) -> None:
    """By ``continue``, by git's own commit, with an edited message, and where nothing conflicts any more:
    what the run was told counts, whatever is configured by then."""
    rewritten.start(world)
    names = ("numbers.txt", "README", "etc/tool.conf")
    old = {name: "I" + str(number) * 40 for number, name in enumerate((*names, "plugin.txt"), 1)}
    for name, change in old.items():
        world.commit(f"Mine in {name}\n\nChange-Id: {change}", {name: f"mine in {name}\n"})
    at = rewritten.work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    world.commit("Theirs", dict.fromkeys(names, "theirs\n"), at=at)
    rewritten.publish(world)
    world.git("config", "resync.changeId", "new")
    done = inside(world, "run", "--yes", "--json", "--on-conflict", how)
    world.git("config", "--unset", "resync.changeId")
    new = {each["change_id"]: each["new_change_id"] for each in done.json["commits"]}
    assert [each["verdict"] for each in done.json["commits"][:3]] == ["parked"] * 3
    if how == "park":
        assert inside(world, "continue").code == 4
    for number, name in enumerate(names):
        message = (world.clone / ".git" / "MERGE_MSG").read_text()
        assert old[name] not in message
        world.git("add", name)
        world.write(name, f"both in {name}\n")
        world.git("add", name)
        match number:
            case 1:
                world.git("commit", "-q", "--no-edit")
            case 2:
                world.write(".git/MERGE_MSG", message.replace("Mine in", "Mine and theirs in"))
        done = inside(world, "continue", "--json")
        assert done.code == (4 if name != names[-1] else 0), done
        new |= {each["change_id"]: each["new_change_id"] for each in done.json["commits"]}
        assert f"\nChange-Id: {new[old[name]]}\n" in message
    assert sorted(new) == sorted(old.values())
    log = world.git("log", "--format=%(trailers:key=Change-Id,valueonly)", "origin/main..").split()
    assert sorted(log) == sorted(new.values())
    assert not {*log} & {*old.values()}
    run = inside(world, "log").out.split()[0]
    assert f"Change-Id {old[names[2]]} -> {new[old[names[2]]]}" in inside(world, "log", run).out


def test_a_policy_that_is_none_is_refused(world: World) -> None:
    rewritten.start(world)
    world.commit("Mine", {"mine.txt": "mine\n"})
    rewritten.rewrite(world)
    world.git("config", "resync.changeId", "always")
    done = world.resync("plan", "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "bad-config")


OLD = (
    b"[gerrit]\nhost=review.openstack.org\nport=29418\nproject=openstack/kolla.git\n"
    b"defaultbranch=stable/liberty\n"
)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (OLD, OLD, None),
        (OLD, OLD + b"track=1\n", None),
        (OLD, None, "upstream has it no more"),
        (
            OLD,
            OLD.replace(b"review.openstack.org", b"review.opendev.org").replace(b"liberty", b"mitaka"),
            "upstream changed where changes go: host review.openstack.org -> review.opendev.org,"
            " defaultbranch stable/liberty -> stable/mitaka",
        ),
        (None, b"[gerrit]\nproject=p\n", "upstream changed where changes go: project (none) -> p"),
        (OLD.replace(b"project=openstack/kolla.git\n", b""), b"no ini file", "host"),
        (OLD, b"[gerrit]\n" + b"#" * MOST_BYTES, "host review.openstack.org -> (none)"),
    ],
)
def test_a_gitreview_that_upstream_changed_is_mentioned(
    old: bytes | None, new: bytes | None, said: str | None
) -> None:
    objects = new_objects()

    def tip(data: bytes | None) -> Oid:
        return add_commit(objects, add_files(objects, {"f": b"", **({".gitreview": data} if data else {})}))

    upstream = Upstream(
        remote="origin",
        branch=RefName(b"refs/heads/main"),
        tracking=None,
        kind="rewritten",
        new_tip=tip(new),
        old_tip=tip(old),
        old_tips=(),
        evidence=(),
    )
    found = [note.text for note in gitreview_notes(objects, upstream)]
    assert (said is None and not found) or (said is not None and said in found[0])
