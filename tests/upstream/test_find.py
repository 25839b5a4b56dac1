"""Which branch is upstream: configuration, the option, local chains, .gitreview, and git's refspecs."""

from __future__ import annotations

import pytest

from resync.errors import Refused, UsageError
from resync.repository import Repository
from resync.upstream.find import UpstreamBranch, find, tracking_ref
from tests.conftest import World, needs_git
from tests.inside import inside

pytestmark = needs_git


def found(world: World, wanted: str | None = None) -> UpstreamBranch:
    with Repository.open(str(world.clone), {}) as repository:
        return find(repository, repository.head(), wanted)


def test_configured(rewritten_world: World) -> None:
    upstream = found(rewritten_world)
    assert (upstream.remote, upstream.url) == ("origin", "../up.git")
    assert (upstream.branch, upstream.tracking) == (b"refs/heads/main", b"refs/remotes/origin/main")
    assert upstream.source == "branch.main.merge"


def test_the_option_goes_before_the_configuration(rewritten_world: World) -> None:
    upstream = found(rewritten_world, "origin/stable/liberty")
    assert upstream.branch == b"refs/heads/stable/liberty"
    assert upstream.tracking == b"refs/remotes/origin/stable/liberty"
    assert upstream.source == "--upstream"


def test_the_longest_name_of_a_remote_is_meant(rewritten_world: World) -> None:
    rewritten_world.git("remote", "add", "origin/team", "../team.git")
    assert found(rewritten_world, "origin/team/main").url == "../team.git"
    assert found(rewritten_world, "origin/teams").branch == b"refs/heads/teams"


@pytest.mark.parametrize("wanted", ["origin", "origin/", "/main", "elsewhere/main", ""])
def test_no_remote_of_that_name(rewritten_world: World, wanted: str) -> None:
    with pytest.raises(UsageError) as caught:
        found(rewritten_world, wanted)
    assert caught.value.kind == "unknown-upstream"


def test_local_branches_are_followed(rewritten_world: World) -> None:
    rewritten_world.git("checkout", "-q", "-b", "topic", "--track", "main")
    rewritten_world.git("checkout", "-q", "-b", "on-topic", "--track", "topic")
    upstream = found(rewritten_world)
    assert (upstream.remote, upstream.branch) == ("origin", b"refs/heads/main")


@pytest.mark.parametrize("loop", [["main"], ["main", "topic"]])
def test_local_branches_in_a_circle(rewritten_world: World, loop: list[str]) -> None:
    for name, merge in zip(loop, [*loop[1:], loop[0]], strict=True):
        rewritten_world.git("config", f"branch.{name}.remote", ".")
        rewritten_world.git("config", f"branch.{name}.merge", f"refs/heads/{merge}")
    with pytest.raises(Refused) as caught:
        found(rewritten_world)
    assert caught.value.kind == "no-upstream"


@pytest.mark.parametrize("missing", ["remote", "merge"])
def test_half_a_configuration_is_none(rewritten_world: World, missing: str) -> None:
    rewritten_world.git("config", "--unset", f"branch.main.{missing}")
    with pytest.raises(Refused) as caught:
        found(rewritten_world)
    assert caught.value.kind == "no-upstream"


@pytest.mark.parametrize("short", ["main", "heads/main"])
def test_a_short_name_is_a_branch(rewritten_world: World, short: str) -> None:
    """As ``git pull`` has it."""
    rewritten_world.git("config", "branch.main.merge", short)
    rewritten_world.git("fetch", "-q")
    fetched = (rewritten_world.clone / ".git" / "FETCH_HEAD").read_text()
    assert "not-for-merge" not in fetched
    assert "branch 'main'" in fetched
    assert found(rewritten_world).branch == b"refs/heads/main"


def test_an_address_is_on_record_as_well(rewritten_world: World) -> None:
    rewritten_world.git("config", "branch.main.remote", "../up.git")
    kind = inside(rewritten_world, "check", "--json").json["upstream"]["kind"]
    assert kind == "rewritten"
    refs = rewritten_world.git("for-each-ref", "--format=%(refname)", "refs/resync").splitlines()
    assert refs[-1] == "refs/resync/upstream/%2E%2E%2Fup%2Egit/main.tips"


def test_a_remote_that_is_an_address(rewritten_world: World) -> None:
    rewritten_world.git("config", "branch.main.remote", "https://example.com/up.git")
    upstream = found(rewritten_world)
    assert (upstream.url, upstream.tracking) == ("https://example.com/up.git", None)


@pytest.mark.parametrize("mirror", ["+refs/*:refs/*", "+refs/heads/*:refs/heads/up/*"])
def test_a_branch_of_ones_own_tells_nothing_of_upstream(rewritten_world: World, mirror: str) -> None:
    """``git clone --mirror`` tracks upstream's branches in those that people commit on."""
    world = rewritten_world
    world.git("config", "--replace-all", "remote.origin.fetch", mirror)
    assert found(world).tracking is None
    checked = inside(world, "check", "--json").json
    old = world.git("rev-parse", "main~3")  # which was cloned, as two reflogs have it
    assert [each["oid"] for each in checked["upstream"]["evidence"]] == [
        old,
        old,
    ]  # the clone, in two reflogs


GITREVIEW = "[gerrit]\nhost=review.example.com\nproject=openstack/kolla.git\ndefaultbranch=stable/liberty\n"


@pytest.mark.parametrize(
    ("text", "remotes", "expected"),
    [
        (GITREVIEW, [], "origin"),
        (GITREVIEW, ["gerrit"], "gerrit"),
        (GITREVIEW + "defaultremote=review\n", ["gerrit", "review"], "review"),
        (GITREVIEW + "defaultbranch=stable/liberty\n", [], "origin"),
        (GITREVIEW.replace("\n", "\r\n"), [], "origin"),
    ],
)
@pytest.mark.parametrize("detached", [False, True])
def test_gitreview(
    rewritten_world: World, text: str, remotes: list[str], expected: str, detached: bool
) -> None:
    rewritten_world.git("branch", "--unset-upstream")
    for remote in remotes:
        rewritten_world.git("remote", "add", remote, f"../{remote}.git")
    if detached:
        rewritten_world.git("checkout", "-q", "--detach")
    rewritten_world.write(".gitreview", text)
    upstream = found(rewritten_world)
    assert (upstream.remote, upstream.branch) == (expected, b"refs/heads/stable/liberty")
    assert upstream.source == ".gitreview"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no section\n",
        "[gerrit]\nhost=review.example.com\n",
        "[gerrit\n",
        "\0\xff",
        "[gerrit]\ndefaultbranch=\n",
    ],
)
def test_gitreview_that_says_nothing(rewritten_world: World, text: str) -> None:
    rewritten_world.git("branch", "--unset-upstream")
    rewritten_world.write(".gitreview", text)
    with pytest.raises(Refused) as caught:
        found(rewritten_world)
    assert caught.value.kind == "no-upstream"


@pytest.mark.parametrize(
    ("refspecs", "expected"),
    [
        (["+refs/heads/*:refs/remotes/origin/*"], b"refs/remotes/origin/stable/x"),
        (["refs/heads/stable/*:refs/remotes/s/*"], b"refs/remotes/s/x"),
        (["+refs/heads/*/x:refs/remotes/*/y"], b"refs/remotes/stable/y"),
        (["+refs/heads/stable/x:refs/remotes/origin/stable/x"], b"refs/remotes/origin/stable/x"),
        (["+refs/heads/main:refs/remotes/origin/main"], None),
        (["refs/heads/*"], None),
        (["refs/heads/stable/x:"], None),
        (["refs/tags/*:refs/tags/*"], None),
        (["+refs/heads/*:refs/remotes/origin/*", "^refs/heads/stable/*"], None),
        (["^refs/heads/stable/x", "+refs/heads/*:refs/remotes/origin/*"], None),
        (["+refs/heads/*:refs/remotes/o/*", "^refs/heads/other"], b"refs/remotes/o/stable/x"),
        (["refs/heads/stable/x*x:refs/remotes/o/*"], None),
        ([], None),
    ],
)
def test_refspecs(rewritten_world: World, refspecs: list[str], expected: bytes | None) -> None:
    assert tracking_ref(refspecs, b"refs/heads/stable/x") == expected  # type: ignore[arg-type]
    # git agrees: fetch with these refspecs makes this ref or none.
    world = rewritten_world
    world.git("branch", "stable/x", "main", at=world.upstream)
    world.git("config", "--unset-all", "remote.origin.fetch")
    for refspec in refspecs:
        world.git("config", "--add", "remote.origin.fetch", refspec)
    before = set(world.git("for-each-ref", "--format=%(refname)").splitlines())
    world.git("fetch", "-q", "--no-tags", "origin", check=False)
    made = set(world.git("for-each-ref", "--format=%(refname)").splitlines()) - before
    tip = world.git("rev-parse", "main", at=world.upstream)
    if expected is None:
        assert not any("x" in name.rpartition("/")[2] for name in made)
    else:
        assert expected.decode() in made
        assert world.git("rev-parse", expected.decode()) == tip


def test_a_branch_that_was_never_there(rewritten_world: World) -> None:
    """One that was deleted is told from one that was mistyped."""
    done = rewritten_world.resync("check", "--upstream", "origin/typo", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "no-such-branch")
    rewritten_world.git("update-ref", "-d", "refs/heads/main", at=rewritten_world.upstream)
    rewritten_world.git("fetch", "-q", "--prune")
    done = rewritten_world.resync("check", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "upstream-deleted")
