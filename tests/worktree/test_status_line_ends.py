"""Random line ends, attributes and settings: git and we must agree on what is modified, and into what."""

from __future__ import annotations

import os
import random

from resync.model import TreePath
from resync.worktree.status import read_status

from .conftest import Sandbox

CONTENTS = [
    b"one\ntwo\n", b"one\r\ntwo\r\n", b"one\r\ntwo\n", b"one\rtwo\r\n", b"one\0\r\n", b"", b"\r\n", b"x",
    b"one\ntwo\r\nthree\r\n", b"caf\xe9\r\n",
]  # fmt: skip
ATTRIBUTES = ["text", "-text", "text=auto", "eol=lf", "eol=crlf", "text=auto eol=crlf", "binary", "!text"]
FILES = [f"{folder}f{number}.{kind}" for folder in ("", "d/") for number in range(4) for kind in ("a", "b")]


def attributes_file(chance: random.Random) -> bytes:
    patterns = chance.choices(["*.a", "*.b", "f1.*", "d/*", "*"], k=chance.randint(0, 4))
    return "".join(f"{pattern} {chance.choice(ATTRIBUTES)}\n" for pattern in patterns).encode()


def test_random_line_ends(sandbox: Sandbox) -> None:
    chance = random.Random(11)
    modified = converted = 0
    for number in range(50):
        if sandbox.index_file.exists():
            sandbox.index_file.unlink()
        for name in FILES:
            sandbox.write(name, chance.choice(CONTENTS))
        sandbox.write(".gitattributes", attributes_file(chance))
        configure(sandbox, chance)
        sandbox.git("add", "-A")
        sandbox.git("commit", "-q", "--allow-empty", "-m", "x")
        for name in chance.sample(FILES, 6):
            sandbox.write(name, chance.choice(CONTENTS))
        if chance.random() < 0.5:
            configure(sandbox, chance)
            sandbox.write(".gitattributes", attributes_file(chance))
            for name in FILES:  # so that nobody trusts what was right under the old rules
                os.utime(sandbox.root / name, (number, number))
        index, index_mtime = sandbox.index()
        with sandbox.open() as opened:
            states = read_status(
                opened.objects,
                str(sandbox.root),
                index,
                index_mtime,
                opened.head_tree(),
                opened.settings(),
                opened.filters(),
            )
        out = sandbox.git("--no-optional-locks", "status", "--porcelain=v2", "-z")
        listed = [record.split(b" ", 8)[8] for record in out.split(b"\0")[:-1]]
        sandbox.git("add", "-A")
        stored = {path: entry.oid for path, entry in sandbox.index()[0].entries.items()}
        # A file of another size is "modified" for git status without a look at what would be stored.
        expected = {path for path in listed if stored[path] != index.entries[TreePath(path)].oid}
        assert {state.path for state in states} == expected, number
        for state in states:
            assert state.worktree is not None
            assert state.worktree.oid == stored[state.path], (number, state.path)
            converted += state.raw != state.worktree.oid
        modified += len(states)
    assert modified > 120
    assert converted > 20


def configure(sandbox: Sandbox, chance: random.Random) -> None:
    auto_crlf, eol = chance.choice(["false", "true", "input"]), chance.choice(["lf", "crlf", "native"])
    config = f"[core]\nrepositoryformatversion=0\nsafecrlf=false\nautocrlf={auto_crlf}\neol={eol}\n"
    sandbox.write(".git/config", config.encode())
