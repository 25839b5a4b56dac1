"""A commit and what git's cherry-pick makes of it are known for the same work."""

from __future__ import annotations

import pytest

from resync.history import authorship
from resync.model import Oid
from resync.repository.objects import parse_commit
from tests.conftest import World, needs_git

RAW = (
    "author J{u}rgen <j@example.org> {when}\ncommitter J{u}rgen <j@example.org> {when}{more}\n\nF{u}r alle\n"
)


@needs_git
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("zone", ["-0000", "+0200", "+1400"])
def test_a_pick_is_known_again(world: World, encoding: str, zone: str) -> None:
    world.git("init", "-q", str(world.clone), at=world.base)
    world.commit("Base", {"a": "a\n"})
    parent = world.git("rev-parse", "HEAD")
    world.commit("Change", {"a": "b\n"})
    tree = world.git("rev-parse", "HEAD^{tree}")
    more = "" if encoding == "utf-8" else "\nencoding ISO-8859-1"
    text = f"tree {tree}\nparent {parent}\n" + RAW.format(u="ü", when=f"1455000000 {zone}", more=more)
    data = text.encode(encoding)
    made = world.git("hash-object", "-w", "-t", "commit", "--stdin", stdin=data)
    world.git("reset", "-q", "--hard", parent)
    world.git("cherry-pick", made)
    picked = world.git("cat-file", "commit", "HEAD").encode("utf-8", "surrogateescape") + b"\n"
    found = [authorship(parse_commit(Oid(b"0" * 40), raw)) for raw in (data, picked)]
    assert found == [("Jürgen <j@example.org> 1455000000".encode(), "Für alle".encode())] * 2


@pytest.mark.parametrize("encoding", ["no-such-codec", "zlib", "utf-16", "idna", "", "\ufffd"])
def test_an_encoding_that_is_none_leaves_the_text(encoding: str) -> None:
    text = "tree \n" + RAW.format(u="u", when="1 +0000", more=f"\nencoding {encoding}")
    author, _ = authorship(parse_commit(Oid(b"0" * 40), text.encode()))
    if encoding != "utf-16":
        assert author == b"Jurgen <j@example.org> 1"
    long = text.replace("F", "F" * 2000)
    assert authorship(parse_commit(Oid(b"0" * 40), long.encode()))[1] == b"F" * 2000 + b"ur alle"
