"""Attributes against ``git check-attr``, on written cases and on random files and paths."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from resync.model import TreePath
from resync.patterns import Pattern
from resync.worktree.attributes import Attributes, tree_attributes, worktree_attributes
from resync.worktree.files import Files
from resync.worktree.settings import WorktreeSettings

from .conftest import Sandbox

NAMES = [
    "text",
    "crlf",
    "eol",
    "filter",
    "ident",
    "working-tree-encoding",
    "diff",
    "merge",
    "conflict-marker-size",
]
SPELLED = {b"set": True, b"unset": False, b"unspecified": None}

FILES = {
    ".gitattributes": (
        b"\xef\xbb\xbf*.txt text eol=lf\r\n"
        b"  # a comment\n"
        b"[attr]mine diff=mine merge -text\n"
        b"[attr]binary merge=mine\n"
        b"[attr]loop loop text\n"
        b"*.loop loop\n"
        b"*.png binary\n"
        b"*.m mine !merge\n"
        b"*.n !diff mine\n"
        b"/top.c text=auto\n"
        b"doc/*.md merge=union conflict-marker-size=32\n"
        b"doc/** ident\n"
        b"**/deep filter=lfs\n"
        b"a/**/z -text\n"
        b'"with space.txt" -text\n'
        b'"oct\\303\\251" text\n'
        b"broken] text -bad- =x\n"
        b"!neg text\n"
        b"dir/ text\n"
        b"[a-c]?[!x] eol=crlf\n"
        b"[[:digit:]]* crlf=input\n"
        b"un\\*star text\n"
        b"*.dat filter=x=y -filter=z\n"
    ),
    "doc/.gitattributes": b"*.md !merge\n[attr]never text\n/x text\nsub/*.t text\n",
    "doc/sub/.gitattributes": b"x -text\n* diff=sub\n",
    ".git/info/attributes": b"special merge=info !ident\n[attr]late -diff\nlast late\n",
}
PATHS = [
    "x.txt", "doc/x.txt", "p.png", "f.loop", "f.m", "f.n", "top.c", "doc/top.c", "doc/a.md", "doc/sub/a.md",
    "deep", "q/deep", "q/r/deep", "a/z", "a/b/z", "a/b/c/z", "x/a/z", "with space.txt", "oct\u00e9",
    "broken]",
    "!neg", "neg", "dir", "dir/x", "bby", "abx", "a]c", "9", "9x", "x9", "un*star", "unXstar", "f.dat",
    "doc/x", "doc/sub/x", "doc/sub/a.t", "special", "doc/special", "last", "doc/never", ".gitattributes",
    "doc/sub/x.txt", "doc/.hidden",
]  # fmt: skip


def git_attributes(sandbox: Sandbox, paths: list[bytes], *options: str) -> dict[bytes, dict[str, object]]:
    out = sandbox.git("check-attr", *options, "-z", "--stdin", *NAMES, stdin=b"\0".join(paths))
    words = out.split(b"\0")[:-1]
    found: dict[bytes, dict[str, object]] = {path: {} for path in paths}
    for path, name, value in zip(words[::3], words[1::3], words[2::3], strict=True):
        found[path][name.decode().replace("-", "_")] = SPELLED.get(value, value)
    return found


def ours(attributes: Attributes, path: bytes) -> dict[str, object]:
    found = attributes.of(TreePath(path))
    return {name: getattr(found, name) for name in found.__slots__}


def settings_of(sandbox: Sandbox) -> WorktreeSettings:
    return WorktreeSettings(info_attributes=str(sandbox.root / ".git/info/attributes"))


def test_as_check_attr_says(sandbox: Sandbox) -> None:
    for name, data in FILES.items():
        sandbox.write(name, data)
    paths = [path.encode() for path in PATHS]
    expected = git_attributes(sandbox, paths)
    index, _ = sandbox.index()
    with sandbox.open() as opened:
        attributes = worktree_attributes(
            Files(str(sandbox.root)), opened.objects, index, settings_of(sandbox)
        )
        assert {path: ours(attributes, path) for path in paths} == expected


def test_a_tree_has_its_own(sandbox: Sandbox) -> None:
    for name, data in FILES.items():
        sandbox.write(name, data)
    sandbox.commit_all()
    paths = [path.encode() for path in PATHS]
    expected = git_attributes(sandbox, paths, "--cached")
    for name in FILES:
        (sandbox.root / name).unlink() if ".git/" not in name else None
    with sandbox.open() as opened:
        attributes = tree_attributes(opened.objects, opened.head_tree(), settings_of(sandbox))
        assert {path: ours(attributes, path) for path in paths} == expected
        from_index = worktree_attributes(
            Files(str(sandbox.root)), opened.objects, sandbox.index()[0], settings_of(sandbox)
        )
        assert {path: ours(from_index, path) for path in paths} == expected


def test_a_link_is_not_read(sandbox: Sandbox) -> None:
    sandbox.write("elsewhere", b"* text\n")
    (sandbox.root / ".gitattributes").symlink_to("elsewhere")
    with sandbox.open() as opened:
        attributes = worktree_attributes(
            Files(str(sandbox.root)), opened.objects, sandbox.index()[0], WorktreeSettings()
        )
        assert attributes.of(TreePath(b"x")).text is None


def test_the_users_file_counts_least(sandbox: Sandbox, tmp_path: Path) -> None:
    user = tmp_path / "user-attributes"
    user.write_bytes(b"*.a text\n*.b text\n")
    sandbox.write(".gitattributes", b"*.b -text\n")
    settings = WorktreeSettings(attribute_files=(str(tmp_path / "missing"), str(user)))
    with sandbox.open() as opened:
        attributes = worktree_attributes(
            Files(str(sandbox.root)), opened.objects, sandbox.index()[0], settings
        )
    assert attributes.of(TreePath(b"d/x.a")).text is True
    assert attributes.of(TreePath(b"d/x.b")).text is False


PIECES = [
    "a", "b", "*", "**", "/", "?", "[ab]", "[!a]", "[^b-]", "[]a]", "\\a", "\\*", "**/", "/**", "***", "[a",
    "-",
    "[[:alpha:]]", "[[:nope:]]", "[a-b]", "A", "\\", "[a-", "[[:a", "[\\]a]", "[+--]",
]  # fmt: skip
LETTERS = ["a", "b", "c", "/", "/", "*", "-", "]", "A", "aa"]


@pytest.mark.parametrize("ignore_case", [False, True])
def test_random_patterns(sandbox: Sandbox, ignore_case: bool) -> None:
    """Some 3,500 patterns against 60 paths each, all asked in a few calls of git."""
    chance = random.Random(7 + ignore_case)
    sandbox.git("config", "core.ignoreCase", str(ignore_case).lower())
    matched = 0
    for _ in range(25):
        paths = sorted({make_path(chance) for _ in range(60)})
        patterns = ["".join(chance.choices(PIECES, k=chance.randint(1, 6))) for _ in range(150)]
        patterns = [each for each in patterns if not each.endswith("/") and each[0] not in "#!"]
        lines = "".join(f"{pattern} a{number}\n" for number, pattern in enumerate(patterns))
        sandbox.write(".gitattributes", lines.encode())
        names = [f"a{number}" for number in range(len(patterns))]
        out = sandbox.git("check-attr", "-z", "--stdin", *names, stdin=b"\0".join(paths)).split(b"\0")
        theirs = {
            (path, int(name[1:])): value == b"set"
            for path, name, value in zip(out[:-1:3], out[1::3], out[2::3], strict=True)
        }
        for number, pattern in enumerate(patterns):
            compiled = Pattern(pattern.removeprefix("/").encode(), ignore_case=ignore_case)
            for path in paths:
                subject = path if "/" in pattern else path.rpartition(b"/")[2]
                assert compiled.matches(subject) == theirs[path, number], (pattern, path)
                matched += theirs[path, number]
    assert matched > 5000


def make_path(chance: random.Random) -> bytes:
    while True:
        names = "".join(chance.choices(LETTERS, k=chance.randint(1, 7))).split("/")
        if all(names):
            return "/".join(names).encode()


def test_a_slow_pattern_is_not_slow() -> None:
    pattern = Pattern(b"a*" * 25 + b"/" + b"**/" * 300 + b"*a" * 400 + b"b")
    path = b"a" * 200 + b"/a" * 1500
    started = time.process_time()
    assert not pattern.matches(path)
    assert time.process_time() - started < 5
