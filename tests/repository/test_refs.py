"""Moving refs by compare-and-swap, with git's reflogs, as git reads them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resync.errors import Busy, Refused
from resync.model import Oid, RefName, RefUpdate
from resync.repository import Repository
from resync.repository.locks import Proof
from resync.repository.refs import RefTransaction, write_now
from tests.conftest import World, needs_git

pytestmark = needs_git

WHO = b"C O Mitter <committer@example.com> 1461092552 +0530"
MAIN = RefName(b"refs/heads/main")


@pytest.fixture
def repository(rewritten_world: World) -> Iterator[Repository]:
    with Repository.open(str(rewritten_world.clone), {}) as opened:
        yield opened


def oid(world: World, revision: str) -> Oid:
    return Oid(world.git("rev-parse", revision).encode())


def update(name: bytes, old: Oid | None, new: Oid | None, message: str = "resync: test") -> RefUpdate:
    return RefUpdate(name=RefName(name), old=old, new=new, message=message)


@contextmanager
def locked(world: World, repository: Repository, updates: list[RefUpdate]) -> Iterator[RefTransaction]:
    proof = Proof(str(world.clone / ".git" / "resync" / "test"))
    transaction = RefTransaction(repository, updates, proof)
    with proof.written(transaction.files), transaction:
        yield transaction


def locks(world: World) -> list[Path]:
    return list((world.clone / ".git").rglob("*.lock"))


def test_a_branch_moves_with_its_reflog_and_heads(rewritten_world: World, repository: Repository) -> None:
    world = rewritten_world
    old, new = oid(world, "main"), oid(world, "main~1")
    write_now(repository, [update(MAIN, old, new, "resync: one\nline")], WHO)
    assert oid(world, "main") == new
    for name in ("main", "HEAD"):
        last = world.git("log", "-g", "-1", "--format=%H %gn <%ge> %gs", "--date=raw", name)
        assert last == f"{new.decode()} C O Mitter <committer@example.com> resync: one line"
        assert oid(world, f"{name}@{{1}}") == old
    assert "1461092552 +0530" in (world.clone / ".git" / "logs" / "HEAD").read_text().splitlines()[-1]
    assert locks(world) == []


def test_names_in_the_way_are_looked_for_once(
    rewritten_world: World, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many refs are made: there may be thousands here."""
    new, listed = oid(rewritten_world, "main"), []
    monkeypatch.setattr(repository, "ref_names", lambda: listed.append(1) or {MAIN})
    write_now(repository, [update(b"refs/heads/new-%d" % number, None, new) for number in range(5)], WHO)
    assert len(listed) == 1
    with pytest.raises(Refused) as refused:
        write_now(repository, [update(b"refs/heads/main/below", None, new)], WHO)
    assert refused.value.kind == "ref-name-taken"


def test_another_branch_leaves_the_reflog_of_head_alone(
    rewritten_world: World, repository: Repository
) -> None:
    world = rewritten_world
    world.git("branch", "other")
    before = (world.clone / ".git" / "logs" / "HEAD").read_bytes()
    write_now(repository, [update(b"refs/heads/other", oid(world, "main"), oid(world, "main~1"))], WHO)
    assert (world.clone / ".git" / "logs" / "HEAD").read_bytes() == before
    assert oid(world, "other@{1}") == oid(world, "main")


def test_a_detached_head_moves_itself(rewritten_world: World, repository: Repository) -> None:
    world = rewritten_world
    world.git("checkout", "-q", "--detach")
    old, new = oid(world, "HEAD"), oid(world, "HEAD~1")
    write_now(repository, [update(b"HEAD", old, new)], WHO)
    assert (world.clone / ".git" / "HEAD").read_bytes() == new + b"\n"
    assert (oid(world, "main"), oid(world, "HEAD@{1}")) == (old, old)


def test_a_ref_that_moved_meanwhile_stops_all(rewritten_world: World, repository: Repository) -> None:
    world = rewritten_world
    main, tracking = oid(world, "main"), oid(world, "origin/main")
    before = world.state()
    updates = [
        update(b"refs/heads/new", None, main),
        update(b"refs/remotes/origin/main", tracking, main),
        update(MAIN, oid(world, "main~2"), oid(world, "main~1")),
    ]
    with pytest.raises(Refused) as caught:
        write_now(repository, updates, WHO)
    assert caught.value.kind == "ref-moved"
    assert world.state() == before
    assert locks(world) == []


@pytest.mark.parametrize("old", [None, Oid(b"1" * 40)])
def test_creating_what_is_there_is_no_creation(
    rewritten_world: World, repository: Repository, old: Oid | None
) -> None:
    before = rewritten_world.state()
    with pytest.raises(Refused) as caught:
        write_now(repository, [update(MAIN, old, oid(rewritten_world, "main~1"))], WHO)
    assert caught.value.kind == "ref-moved"
    assert rewritten_world.state() == before


def test_what_stands_already_is_done(rewritten_world: World, repository: Repository) -> None:
    world = rewritten_world
    before = (world.clone / ".git" / "logs" / "refs" / "heads" / "main").read_bytes()
    write_now(repository, [update(MAIN, oid(world, "main~1"), oid(world, "main"))], WHO)
    assert (world.clone / ".git" / "logs" / "refs" / "heads" / "main").read_bytes() == before


def test_somebody_elses_lock_stays(rewritten_world: World, repository: Repository) -> None:
    world = rewritten_world
    lock = world.clone / ".git" / "refs" / "heads" / "main.lock"
    lock.write_bytes(b"theirs")
    before = world.state()
    updates = [
        update(b"refs/heads/new", None, oid(world, "main")),
        update(MAIN, oid(world, "main"), oid(world, "main~1")),
    ]
    with pytest.raises(Busy) as caught:
        write_now(repository, updates, WHO)
    assert caught.value.kind == "locked"
    assert (lock.read_bytes(), world.state(), locks(world)) == (b"theirs", before, [lock])


def test_git_cannot_move_what_is_locked(rewritten_world: World, repository: Repository) -> None:
    world = rewritten_world
    old, new = oid(world, "main"), oid(world, "main~1")
    with locked(world, repository, [update(MAIN, old, new)]):
        world.git("update-ref", "refs/heads/main", new.decode(), check=False)
        assert oid(world, "main") == old
    assert oid(world, "main") == old
    world.git("update-ref", "refs/heads/main", new.decode())
    assert locks(world) == []


@pytest.mark.parametrize(("there", "wanted"), [("a", b"a/b"), ("a/b", b"a"), ("a/b/c", b"a/b")])
@pytest.mark.parametrize("packed", [False, True])
def test_names_that_run_through_each_other(
    rewritten_world: World, repository: Repository, there: str, wanted: bytes, packed: bool
) -> None:
    world = rewritten_world
    world.git("branch", there)
    if packed:
        world.git("pack-refs", "--all")
    before = world.state()
    with pytest.raises(Refused) as caught:
        write_now(repository, [update(b"refs/heads/" + wanted, None, oid(world, "main"))], WHO)
    assert caught.value.kind == "ref-name-taken"
    assert world.state() == before
    assert locks(world) == []


def test_empty_folders_make_room(rewritten_world: World, repository: Repository) -> None:
    world = rewritten_world
    (world.clone / ".git" / "refs" / "heads" / "a" / "b").mkdir(parents=True)
    write_now(repository, [update(b"refs/heads/a", None, oid(world, "main"))], WHO)
    assert oid(world, "refs/heads/a") == oid(world, "main")


def test_packed_refs(rewritten_world: World, repository: Repository) -> None:
    world = rewritten_world
    world.git("branch", "other")
    old, new = oid(world, "main"), oid(world, "main~1")
    world.git("pack-refs", "--all")
    updates = [update(MAIN, old, new), update(b"refs/heads/other", old, None)]
    write_now(repository, updates, WHO)
    assert oid(world, "main") == new
    assert world.git("rev-parse", "--verify", "-q", "refs/heads/other", check=False) == ""
    assert locks(world) == []


def test_a_packed_tag_goes_with_what_it_names(rewritten_world: World, repository: Repository) -> None:
    world = rewritten_world
    for name in ("a", "b", "c"):
        world.git("tag", "-m", "a tag", name)
    world.git("pack-refs", "--all")
    write_now(repository, [update(b"refs/tags/b", oid(world, "refs/tags/b"), None)], WHO)
    assert world.git("tag").split() == ["a", "c"]
    assert oid(world, "a^{commit}") == oid(world, "c^{commit}") == oid(world, "main")
    assert "^" in world.git("show-ref", "--dereference")
    assert locks(world) == []


def test_where_head_stood_is_taken_back(rewritten_world: World, repository: Repository) -> None:
    """dulwich reads no ``ORIG_HEAD``: a run that was aborted used to leave its own."""
    world = rewritten_world
    one, other = oid(world, "main"), oid(world, "main~1")
    made = [update(b"ORIG_HEAD", None, one)]
    for old in (None, other):
        if old is not None:
            world.git("update-ref", "ORIG_HEAD", old.decode())
        updates = [update(b"ORIG_HEAD", old, one)]
        with locked(world, repository, updates) as refs:
            refs.commit(WHO)
        assert oid(world, "ORIG_HEAD") == one
        with locked(world, repository, updates) as refs:
            refs.take_back(WHO, "resync: aborted")
        assert world.git("rev-parse", "-q", "--verify", "ORIG_HEAD", check=False) == (old or b"").decode()
    world.git("update-ref", "ORIG_HEAD", other.decode())
    with pytest.raises(Refused):
        write_now(repository, made, WHO)


def test_taken_back(rewritten_world: World, repository: Repository) -> None:
    world = rewritten_world
    before = world.state()
    old, new = oid(world, "main"), oid(world, "main~1")
    updates = [update(MAIN, old, new), update(b"refs/heads/made", None, new)]
    with locked(world, repository, updates) as refs:
        refs.commit(WHO)
    assert oid(world, "made") == new
    with locked(world, repository, updates) as refs:
        refs.take_back(WHO, "resync: aborted")
    assert world.state() == before
    assert world.git("log", "-g", "--format=%gs", "-2", "main") == "resync: aborted\nresync: test"


@pytest.mark.parametrize(
    ("setting", "name", "logged"),
    [
        ("true", b"refs/heads/new", True),
        ("true", b"refs/remotes/origin/new", True),
        ("true", b"refs/resync/new", False),
        ("always", b"refs/resync/new", True),
        ("false", b"refs/heads/new", False),
    ],
)
def test_reflogs_are_made_where_git_makes_them(
    rewritten_world: World, setting: str, name: bytes, logged: bool
) -> None:
    world = rewritten_world
    world.git("config", "core.logAllRefUpdates", setting)
    with Repository.open(str(world.clone), {}) as repository:
        write_now(repository, [update(name, None, oid(world, "main"))], WHO)
    assert (world.clone / ".git" / "logs" / name.decode()).exists() == logged
    world.git("update-ref", "-m", "git's", name.decode() + "-by-git", "main")
    assert (world.clone / ".git" / "logs" / (name.decode() + "-by-git")).exists() == logged


def test_a_branch_that_is_a_symbolic_ref(rewritten_world: World) -> None:
    """git moves the ref at the end of the chain, and so do we."""
    world = rewritten_world
    world.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    world.git("symbolic-ref", "HEAD", "refs/heads/alias")
    done = world.resync("run", "--yes", "--dirty", "park", "--json")
    assert done.code == 3, done
    assert done.json["branch"] == "main"
    assert world.git("symbolic-ref", "refs/heads/alias") == "refs/heads/main"
    assert world.git("rev-parse", "main") == done.json["branches"][0]["new_tip"]
    assert "resync: carried over" in world.git("reflog", "-1", "HEAD")


@pytest.mark.parametrize(
    "name", [b"refs/tags/../../../x", b"refs/heads/a..b", b"refs/heads/x.lock", b"config"]
)
def test_a_name_that_git_would_refuse_is_no_file(
    rewritten_world: World, repository: Repository, name: bytes
) -> None:
    """Whoever the name came from: a remote, ``.gitreview``, a record of an earlier run."""
    before = {path: path.read_bytes() for path in rewritten_world.clone.rglob("*") if path.is_file()}
    with pytest.raises(Refused) as refused:
        write_now(repository, [update(name, None, oid(rewritten_world, "main"))], WHO)
    assert refused.value.kind == "bad-ref-name"
    after = {path: path.read_bytes() for path in rewritten_world.clone.rglob("*") if path.is_file()}
    assert {path for path in after if path not in before or after[path] != before[path]} <= {
        rewritten_world.clone / ".git" / "resync" / "refs" / "lock"
    }
