"""What is brought over: no more than is needed, tags along with it, all of what a partial clone left out."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from resync.errors import Busy, Refused
from resync.model import Oid, RefName
from resync.remote import room
from resync.remote.haves import Haves
from resync.repository import Repository
from tests import rewritten
from tests.conftest import World, needs_git
from tests.servers import (
    Count,
    ask,
    counted,
    over_dulwich,
    over_file,
    over_git,
    over_http,
    over_http_with_a_password,
    over_ssh,
    packs,
)

pytestmark = needs_git


def grow(world: World, commits: int) -> None:
    """Give upstream a long history and a clone of it that is up to date."""
    stream = []
    for number in range(commits):
        text = "".join(f"line {number} {each}\n" for each in range(20))
        stream.append(
            f"commit refs/heads/main\ncommitter C <c@example.com> {1_400_000_000 + number} +0000\n"
            f"data 2\nc\nM 100644 inline f{number % 50}\ndata {len(text)}\n{text}\n"
        )
    world.git("fast-import", "--quiet", at=world.upstream, stdin="".join(stream).encode())
    world.git("clone", "-q", "--no-local", str(world.upstream), str(world.clone), at=world.base)


def add(world: World, on: str = "main", name: str = "new") -> str:
    """One commit more on a branch of upstream's."""
    blob = world.git("hash-object", "-w", "--stdin", at=world.upstream, stdin=f"{name}\n".encode())
    tree = world.git("ls-tree", on, at=world.upstream) + f"\n100644 blob {blob}\tz{name}\n"
    made = world.git("mktree", at=world.upstream, stdin=tree.encode())
    commit = world.git("commit-tree", "-p", on, "-m", name, made, at=world.upstream)
    world.git("update-ref", "refs/heads/main", commit, at=world.upstream)
    return commit


def test_a_small_update_is_a_small_transfer(world: World) -> None:
    """Bytes both ways beside git's, over every server: one commit more, and a rewrite of a branch on which
    much stands."""
    grow(world, 600)
    clones = world.base / "git", world.base / "resync"
    ways = [over_git, over_http, over_http_with_a_password, over_dulwich, over_ssh]
    for way in ways:
        for clone in clones:
            shutil.rmtree(clone, ignore_errors=True)
            shutil.copytree(world.clone, clone)
        with way(world) as url:
            for step in ("advance", "rewrite"):
                add(world, "main" if step == "advance" else "main~20", f"{way.__name__} {step}")
                its, ours = (moved(world, url, clone) for clone in clones)
                assert 0 < ours <= 2 * its, (way.__name__, step, ours, its)
        world.git("update-ref", "refs/heads/main", "refs/heads/main~2", at=world.upstream)


def moved(world: World, url: str, clone: Path) -> int:
    """The bytes that a fetch moves, by git or by resync, as the clone is called; the new tip is here then."""
    place = urlsplit(url)
    assert place.port is not None
    with counted(place.port) as count:
        user = (
            "me:sec%3aret%2f%40@"
            if place.scheme == "http"
            else f"{place.username}@" * (place.scheme == "ssh")
        )
        near = f"{place.scheme}://{user}127.0.0.1:{count.port}{place.path}"
        world.git("config", "remote.origin.url", near, at=clone)
        if clone.name == "git":
            world.git("fetch", "-q", "origin", "main", at=clone)
        else:
            ask(replace(world, clone=clone))
        world.git("rev-list", "--objects", world.git("rev-parse", "main", at=world.upstream), at=clone)
        return settled(count)


@pytest.mark.state(75)
@pytest.mark.parametrize("way", [over_git, over_dulwich, over_ssh])
def test_a_network_that_stalls_in_the_middle_of_a_pack(
    rewritten_world: World, way: Callable[[World], AbstractContextManager[str]]
) -> None:
    """As over HTTP (tests/remote/test_http.py): given up, with nothing left of what came."""
    world = rewritten_world
    # Nothing that a zlib could make small.
    noise = random.Random(7).randbytes(1 << 20)
    at = rewritten.work(world)
    world.commit("Large", {"large.bin": noise}, at=at)
    world.git("push", "-q", "origin", "HEAD:main", at=at)
    world.git("config", "resync.networkTimeout", "2")
    with way(world) as url:
        place = urlsplit(url)
        assert place.port is not None
        with counted(place.port, most=1 << 19) as count:
            world.git("config", "remote.origin.url", url.replace(f":{place.port}/", f":{count.port}/"))
            before = sorted((world.clone / ".git").rglob("*"))
            with pytest.raises(Busy) as busy:
                ask(world)
    assert count.bytes > 1 << 19
    assert (busy.value.kind, busy.value.exit_code) == ("upstream-unreachable", 75)
    assert sorted((world.clone / ".git").rglob("*")) == before


def test_a_tag_that_is_here_stays(rewritten_world: World) -> None:
    """Upstream moved it, and has another of a local one's name: neither is touched, whatever tagOpt says."""
    world = rewritten_world
    at = rewritten.work(world)
    for name, place in (("moved", "main~1"), ("mine", "main")):
        world.git("tag", name, place)
        world.git("tag", "-a", "-m", "theirs", name, "main", at=at)
    world.git("tag", "-a", "-m", "new", "new", "main", at=at)
    world.git("push", "-q", "--tags", "origin", at=at)
    before = [world.git("rev-parse", name) for name in ("moved", "mine")]
    for option in ("", "--tags"):
        world.git("config", "remote.origin.tagOpt", option)
        done = world.resync("run", "--yes", "--dirty", "park", "--json")
        assert done.code == 3, done
        assert [world.git("rev-parse", name) for name in ("moved", "mine")] == before
    assert world.git("rev-parse", "new") == world.git("rev-parse", "new", at=at)


def settled(count: Count) -> int:
    """What was counted, once nothing more comes."""
    before = -1
    while before != count.bytes:
        before = count.bytes
        time.sleep(0.1)
    return before


def told(world: World, refs: dict[bytes, bytes]) -> list[str]:
    with Repository.open(str(world.clone), world.env) as repository:
        haves = Haves(repository)
        haves.named(refs)
        return [oid.decode() for oid in iter(lambda: next(haves), None)]


def test_what_is_told(world: World) -> None:
    """What the other side named, and what is here alone at growing distances; nothing below what it named."""
    grow(world, 300)
    line = world.git("rev-list", "main").splitlines()
    everything = told(world, {})
    places = [line.index(each) for each in everything]
    assert places == sorted(places)
    assert len(places) < 25
    assert max(places) > 150
    gaps = [b - a for a, b in itertools.pairwise(places)]
    assert gaps == sorted(gaps)
    mine = [world.commit(f"Mine {number}", {"mine": f"{number}\n"}) for number in range(3)]
    assert told(world, {b"refs/heads/main": line[0].encode()}) == [mine[2], mine[1], line[0]]
    assert told(world, {b"refs/heads/main": b"1" * 40})[0] == mine[2]


def test_tags_come_along(rewritten_world: World) -> None:
    """Those on what comes and on what is here, annotated or not; not those on other lines. None where the
    remote is configured with --no-tags, all with --tags."""
    world = rewritten_world
    up = world.upstream
    for name, place in (("new", "main"), ("old", "main~2")):
        world.git("tag", "-a", "-m", name, name, place, at=up)
        world.git("tag", f"{name}-light", place, at=up)
    root = world.git("commit-tree", "-m", "Other", world.git("rev-parse", "main^{tree}", at=up), at=up)
    world.git("tag", "-a", "-m", "other", "other", root, at=up)
    ids = {world.git("rev-parse", name, at=up): name for name in ("new", "old", "other")}
    pristine = world.base / "pristine"
    with over_http(world) as http, over_git(world) as git:
        shutil.copytree(world.clone, pristine)
        for url, option, expected in (
            (http, "", {"new", "old"}),
            (str(up), "", {"new", "old"}),
            (str(up), "--no-tags", set()),
            (http, "--no-tags", set()),
            (git, "--tags", {"new", "old", "other"}),
        ):
            shutil.rmtree(world.clone)
            shutil.copytree(pristine, world.clone)
            world.git("config", "remote.origin.url", url)
            world.git("config", "remote.origin.tagOpt", option)
            ask(world)
            here = world.git("cat-file", "--batch-check", stdin="\n".join(ids).encode()).splitlines()
            found = {ids[line.split()[0]] for line in here if not line.endswith("missing")}
            assert (url, option, found) == (url, option, expected)
        done = world.resync("run", "--yes", "--dirty", "park", "--json")
    assert done.code == 3, done
    assert set(world.git("tag").splitlines()) == {"new", "new-light", "old", "old-light", "other"}
    assert world.git("fsck", "--no-dangling") == ""


@pytest.mark.state(70)
@pytest.mark.parametrize("way", [over_http, over_file])
def test_no_room_on_the_disk(
    rewritten_world: World,
    way: Callable[[World], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is seen before the disk is full, and what came so far is taken away."""
    world = rewritten_world
    monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: SimpleNamespace(free=room.RESERVE))
    with way(world) as url:
        world.git("config", "remote.origin.url", url)
        before = sorted((world.clone / ".git" / "objects").rglob("*"))
        with pytest.raises(Refused) as refused:
            ask(world)
    assert refused.value.kind == "no-room"
    assert sorted((world.clone / ".git" / "objects").rglob("*")) == before


def partial(world: World, url: str, *options: str) -> None:
    world.git("config", "uploadpack.allowFilter", "true", at=world.upstream)
    shutil.rmtree(world.clone)
    world.git("clone", "-q", *options, url, str(world.clone), at=world.base)


def absent(world: World, *revisions: str) -> set[str]:
    printed = world.git("rev-list", "--objects", "--missing=print", *revisions)
    return {line[1:] for line in printed.splitlines() if line.startswith("?")}


@pytest.mark.state(49)
def test_a_fetch_keeps_the_filter(rewritten_world: World) -> None:
    world = rewritten_world
    with over_http(world) as url:
        partial(world, url, "--filter=blob:none", "--no-checkout")
        at = rewritten.work(world)
        new = world.commit("New", {"brand-new.txt": "new\n" * 100}, at=at)
        world.git("push", "-q", "origin", "HEAD:main", at=at)
        before = packs(world)
        assert ask(world).tip == new.encode()
        assert packs(world) == before + 1
        assert len(list((world.clone / ".git" / "objects" / "pack").glob("*.promisor"))) == before + 1
        assert world.git("rev-parse", f"{new}:brand-new.txt") in absent(world, new)
    subprocess.run(["git", "gc", "-q"], cwd=world.clone, env=world.env, check=True)
    assert world.git("fsck", "--no-dangling") == ""


@pytest.mark.parametrize("way", [over_http, over_file])
def test_an_upstream_that_is_cut_itself(
    rewritten_world: World, way: Callable[[World], AbstractContextManager[str]]
) -> None:
    """Its history would end here where it ends there, and nothing here would say so."""
    world = rewritten_world
    cut = world.git("rev-parse", "main", at=world.upstream)
    (world.upstream / "shallow").write_text(cut + "\n")
    with way(world) as url:
        world.git("config", "remote.origin.url", url)
        with pytest.raises(Refused) as refused:
            ask(world)
    assert refused.value.kind == "shallow-upstream"
    assert packs(world) == 0


def test_ids_of_another_kind(rewritten_world: World) -> None:
    world = rewritten_world
    shutil.rmtree(world.upstream)
    up = str(world.upstream)
    world.git("init", "-q", "--bare", "-b", "main", "--object-format=sha256", up, at=world.base)
    tree = world.git("mktree", at=world.upstream)
    commit = world.git("commit-tree", "-m", "x", tree, at=world.upstream)
    world.git("update-ref", "refs/heads/main", commit, at=world.upstream)
    with over_http(world) as url:
        for each in (url, up):
            world.git("config", "remote.origin.url", each)
            with pytest.raises(Refused) as refused:
                ask(world)
            assert refused.value.kind == "other-object-format"


@pytest.mark.state(75)
@pytest.mark.parametrize(
    "answer",
    [b"zzzz", b"000eversion 7\n", b"000eversion 2\n0000" + b"0009hello0000", b"\xff" * 100, b"0003"],
)
def test_who_does_not_speak_the_protocol(rewritten_world: World, answer: bytes) -> None:
    """It is an unreachable upstream, and no bug."""
    world = rewritten_world

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            connection.recv(4096)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        world.git("config", "remote.origin.url", f"git://127.0.0.1:{server.getsockname()[1]}/up.git")
        with pytest.raises(Busy):
            ask(world)
        thread.join()


@pytest.mark.parametrize("options", [["--depth", "1"], ["--single-branch"], ["--reference", "UP"]])
def test_clones_that_have_less(rewritten_world: World, options: list[str]) -> None:
    """Shallow, of one branch, with alternates: the new tip and all that git asks of it is here."""
    world = rewritten_world
    with over_http(world) as url:
        shutil.rmtree(world.clone)
        words = [word.replace("UP", str(world.upstream)) for word in options]
        world.git("clone", "-q", *words, url, str(world.clone), at=world.base)
        at = rewritten.work(world)
        new = world.commit("New", {"brand-new.txt": "new\n"}, at=at)
        world.git("push", "-q", "origin", "HEAD:main", at=at)
        found = ask(world)
    assert found.tip == new.encode()
    assert world.git("rev-parse", f"{new}^{{tree}}")
    world.git("rev-list", "--objects", new, "--not", "--all")
    assert world.git("fsck", "--no-dangling") == ""
    assert found.refs[RefName(b"refs/heads/main")] == Oid(new.encode())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize(
    "name", ["HEAD", "packed-refs", "config", "refs/heads/deep/other", "objects/info/alternates"]
)
def test_a_neighbours_repository_with_traps(rewritten_world: World, name: str) -> None:
    """To open a pipe waits for whoever writes there: for ever, if its maker likes."""
    world = rewritten_world
    place = world.upstream / name
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    os.chown(world.upstream, 12345, 12345)
    with pytest.raises(Refused) as refused:
        ask(world)
    assert refused.value.kind == "strange-repository"


def test_a_repository_of_a_format_that_nobody_knows(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("config", "core.repositoryFormatVersion", "1", at=world.upstream)
    world.git("config", "extensions.news", "true", at=world.upstream)
    with pytest.raises(Refused) as refused:
        ask(world)
    assert refused.value.kind == "unsupported-repository"
