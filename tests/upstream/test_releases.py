"""Detached HEADs: which branch they stand on, which tags are releases, and going from release to release."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from packaging.version import Version

from resync.errors import UsageError
from resync.model import RefName
from resync.upstream.releases import choice, release_of
from tests import rewritten
from tests.conftest import EVENT, World, environment, needs_git
from tests.event import upstream as event_upstream
from tests.inside import inside

RUN = ("run", "--yes", "--json")


@pytest.mark.parametrize(
    ("tag", "product", "version"),
    [
        ("1.2", "", "1.2"),
        ("v1.2", "", "1.2"),
        ("release-1.2", "", "1.2"),
        ("release/v1.2", "", "1.2"),
        ("Rel-2", "", "2"),
        ("1.0.0rc1", "", "1.0.0rc1"),
        ("v1.2-beta.3", "", "1.2b3"),
        ("kolla-1.0.0", "kolla", "1.0.0"),
        ("my-tool-1.0", "my-tool", "1.0"),
    ],
)
def test_tags_that_are_releases(tag: str, product: str, version: str) -> None:
    found = release_of(RefName(b"refs/tags/" + tag.encode()))
    assert found is not None
    assert (found.product, found.version, found.name) == (product, Version(version), tag)


@pytest.mark.parametrize(
    "tag",
    ["liberty-early-demise", "latest", "2016-04-19", "v", "1.2-gdeadbee", "foo/bar/1.0", "1." + "9" * 5000],
)
def test_tags_that_are_none(tag: str) -> None:
    assert release_of(RefName(b"refs/tags/" + tag.encode())) is None


def test_branches_are_no_releases() -> None:
    assert release_of(RefName(b"refs/heads/1.2")) is None


@pytest.mark.parametrize(
    ("constraint", "pre", "admitted"),
    [
        (None, False, ["1.0", "1.10", "2.0"]),
        (None, True, ["1.0", "1.10", "2.0", "2.1rc1", "3.dev1"]),
        (">=1.1,<2", False, ["1.10"]),
        (">=2", True, ["2.0", "2.1rc1", "3.dev1"]),
        (">=2", False, ["2.0"]),
        (">=2.1rc1", False, []),
    ],
)
def test_which_are_wanted(constraint: str | None, pre: bool, admitted: list[str]) -> None:
    wanted = choice(constraint, pre=pre)
    names = ["1.0", "1.10", "2.0", "2.1rc1", "3.dev1", "tip"]
    assert [name for name in names if wanted.wants(RefName(b"refs/tags/" + name.encode()))] == admitted


def test_a_constraint_that_is_none() -> None:
    with pytest.raises(UsageError, match="no version specifier"):
        choice("newest", pre=False)


# --- whole runs ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def _pinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("pinned")
    world = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(base))
    world.git("init", "-q", "--bare", "-b", "main", str(world.upstream), at=base)
    rewritten.start(world)
    at = rewritten.work(world)
    world.git("tag", "1.0", at=at)
    world.commit("After it", {"after.txt": "after\n"}, at=at)
    world.git("push", "-q", "origin", "main", "1.0", at=at)
    world.git("fetch", "-q", "--tags")
    world.git("checkout", "-q", "--detach", "1.0")
    world.git("reset", "-q", "--hard", "main~2", at=at)
    world.commit("New way", {"new.txt": "new\n"}, at=at)
    world.git("tag", "-a", "-m", "1.1", "v1.1", at=at)
    world.commit("Newer", {"newer.txt": "newer\n"}, at=at)
    world.git("tag", "1.2rc1", at=at)
    world.git("tag", "nightly", at=at)
    world.commit("Newest", {"newest.txt": "newest\n"}, at=at)
    world.git("tag", "-a", "-m", "1.3", "release-1.3", at=at)
    world.commit("Tip", {"tip.txt": "tip\n"}, at=at)
    world.git("checkout", "-q", "-b", "other", at=at)
    world.commit("Elsewhere", {"else.txt": "else\n"}, at=at)
    world.git("tag", "-a", "-m", "9", "9.0", at=at)
    world.git("checkout", "-q", "main", at=at)
    world.git("push", "-q", "--force", "--tags", "origin", "main", "other", at=at)
    for folder in (world.clone, at):
        world.git("config", "remote.origin.url", "../up.git", at=folder)
    return base


@pytest.fixture
def pinned(_pinned: Path, tmp_path: Path, hermetic: Path) -> World:
    """A clone at release 1.0 of a line that upstream rewrites; the new line has 1.1, 1.2rc1 and 1.3, and
    another branch has 9.0."""
    base = tmp_path / "world"
    shutil.copytree(_pinned, base, symlinks=True)
    return World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(hermetic))


def at(world: World) -> str:
    assert world.git("rev-parse", "--abbrev-ref", "HEAD") == "HEAD", "it stays detached"
    return world.git("log", "-1", "--format=%s")


@needs_git
def test_to_the_newest_release(pinned: World) -> None:
    world = pinned
    mine = world.commit("Mine", {"mine.txt": "mine\n"})
    # A tag that stands only here is no release of upstream's.
    world.git("tag", "8.0", "origin/main")
    seen = inside(world, "check", "--json", "--to", "release")
    assert (seen.code, seen.json["upstream"]["kind"]) == (5, "rewritten")
    assert seen.json["notes"][0]["text"] == "HEAD is detached at release 1.0; it stands on origin/main"
    before = world.state()
    refused = inside(world, *RUN)
    assert (refused.code, refused.json["error"]["kind"]) == (1, "pinned-release")
    assert world.state() == before

    done = inside(world, *RUN, "--to", "release")
    assert (done.code, done.json["upstream"]["release"]) == (0, "refs/tags/release-1.3"), done
    assert [each["verdict"] for each in done.json["commits"]] == ["reapplied"]
    assert at(world) == "Mine"
    assert world.git("log", "-1", "--format=%s", "HEAD~1") == "Newest"
    assert world.git("status", "--porcelain") == ""
    # Tags that came along are here, and that of another line is only where git would have it as well.
    assert world.git("rev-parse", "release-1.3^{commit}") == world.git("rev-parse", "HEAD~1")
    again = inside(world, *RUN, "--to", "release", "--advance")
    assert (again.code, again.json["run"], again.json["upstream"]["kind"]) == (0, None, "up-to-date")

    assert inside(world, "undo", "--yes").code == 0
    assert world.git("rev-parse", "HEAD") == mine
    assert inside(world, *RUN, "--to", "release").json["error"]["kind"] == "held"


@needs_git
@pytest.mark.parametrize(
    ("options", "subject"),
    [
        (("--to", "tip"), "Tip"),
        (("--constraint", "<1.2"), "New way"),
        (("--pre", "--constraint", "<1.3"), "Newer"),
    ],
)
def test_elsewhere(pinned: World, options: tuple[str, ...], subject: str) -> None:
    assert inside(pinned, *RUN, *options).code == 0
    assert at(pinned) == subject


@needs_git
@pytest.mark.parametrize(
    ("options", "code", "kind"),
    [
        (("--constraint", "==7"), 1, "no-release"),
        (("--constraint", "newest"), 2, "bad-constraint"),
        (("--to", "tip", "--pre"), 2, "bad-arguments"),
        (("--to", "release", "--no-fetch"), 2, "bad-arguments"),
    ],
)
def test_refusals(pinned: World, options: tuple[str, ...], code: int, kind: str) -> None:
    before = pinned.state()
    refused = inside(pinned, *RUN, *options)
    assert (refused.code, refused.json["error"]["kind"]) == (code, kind), refused
    assert pinned.state() == before


@needs_git
def test_a_deployment_goes_from_release_to_release(pinned: World) -> None:
    world = pinned
    world.git("config", "resync.deploy", "true")
    assert inside(world, *RUN).code == 0
    assert at(world) == "Newest"
    work = rewritten.work(world)
    world.commit("Fixed", {"fixed.txt": "fixed\n"}, at=work)
    rewritten.publish(world)
    done = inside(world, *RUN)
    assert (done.code, done.json["run"], done.json["upstream"]["kind"]) == (0, None, "up-to-date")
    world.git("tag", "v1.3.1", at=work)
    world.git("push", "-q", "origin", "v1.3.1", at=work)
    assert inside(world, *RUN).code == 0
    assert at(world) == "Fixed"
    # A step back is none that a timer takes.
    world.git("reset", "-q", "--hard", "v1.1", at=work)
    world.commit("Yet another way", {"way.txt": "way\n"}, at=work)
    rewritten.publish(world)
    refused = inside(world, *RUN)
    assert (refused.code, refused.json["error"]["kind"]) == (1, "no-newer-release"), refused
    world.git("tag", "1.2.9", at=work)
    world.git("push", "-q", "origin", "1.2.9", at=work)
    refused = inside(world, *RUN)
    assert (refused.code, refused.json["error"]["kind"]) == (1, "older-release"), refused
    assert inside(world, *RUN, "--constraint", "<1.3").code == 0
    assert at(world) == "Yet another way"


# --- which branch it stands on -----------------------------------------------------------------------------


@needs_git
def test_the_branch_is_known_by_what_its_tips_have_been(pinned: World) -> None:
    """Also when somebody has fetched by now, and the old line is only in the reflog; or pruned, and it is
    only in resync's own record."""
    world = pinned
    world.git("symbolic-ref", "--delete", "refs/remotes/origin/HEAD")
    world.git("branch", "-q", "-D", "main")
    (world.clone / ".git/logs/HEAD").unlink()
    world.git("fetch", "-q")
    first = inside(world, "check", "--json")
    assert (first.code, first.json["upstream"]["ref"]) == (5, "refs/heads/main"), first.json
    (world.clone / ".git/logs/refs/remotes/origin/main").unlink()
    second = inside(world, "check", "--json")
    assert (second.code, second.json["upstream"]["ref"]) == (5, "refs/heads/main"), second


@needs_git
def test_where_several_have_it(pinned: World) -> None:
    world = pinned
    up = ("update-ref", "refs/remotes/origin/topic", "refs/remotes/origin/main")
    world.git(*up)

    def named() -> str:
        return str(inside(world, "check", "--json").json["upstream"]["ref"])

    assert named() == "refs/heads/main", "HEAD was detached from it"
    (world.clone / ".git/logs/HEAD").unlink()
    assert named() == "refs/heads/main", "it is the default branch"
    world.git("symbolic-ref", "--delete", "refs/remotes/origin/HEAD")
    refused = inside(world, "check", "--json")
    assert (refused.code, refused.json["error"]["kind"]) == (1, "ambiguous-upstream")
    assert "origin/main, origin/topic" in refused.json["error"]["message"]
    # One that only merged it does not count beside one that stands on it.
    world.git("checkout", "-q", "origin/main~2")
    side = world.commit("Side", {"side.txt": "side\n"})
    merge = world.git(
        "commit-tree", "-p", side, "-p", "refs/remotes/origin/main", "-m", "M", f"{side}^{{tree}}"
    )
    world.git("update-ref", "refs/remotes/origin/topic", merge)
    (world.clone / ".git/logs/refs/remotes/origin/topic").unlink()
    world.git("checkout", "-q", "1.0")
    (world.clone / ".git/logs/HEAD").unlink()
    assert named() == "refs/heads/main"


@needs_git
@pytest.mark.skipif(not EVENT.exists(), reason=f"the event's data is not at {EVENT}")
def test_the_event(world: World) -> None:
    """A deployment at release 1.0.0, with a fix of its own and edited configuration, goes to 1.1.0."""
    event = event_upstream.begin(world)
    world.git("checkout", "-q", "1.0.0")
    world.commit("A fix of our own", {"etc/kolla/local.conf": "ours\n"})
    event_upstream.rewrite(world, event)
    world.git("update-ref", "refs/tags/1.1.0", "refs/event/tags/1.1.0", at=world.upstream)
    world.git("update-ref", "refs/tags/2.0.0.0b1", "refs/event/heads/stable/mitaka", at=world.upstream)
    done = inside(world, *RUN, "--to", "release")
    assert done.code == 0, done
    upstream = done.json["upstream"]
    assert (upstream["kind"], upstream["ref"]) == ("rewritten", f"refs/heads/{event_upstream.BRANCH}")
    assert (upstream["release"], upstream["new_tip"]) == ("refs/tags/1.1.0", event.new)
    assert (upstream["left"], upstream["arrived"]) == (145, 1001)
    assert world.git("rev-parse", "HEAD~1") == event.new
    assert at(world) == "A fix of our own"
    assert inside(world, "status").code == 0
