"""Untracked files: those in a new tree's way, and all of them as ``git status -uall`` lists them."""

from __future__ import annotations

import os
import random
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from resync.errors import Refused
from resync.model import NO_CONTENT, InTheWay, TreeEntry, TreePath
from resync.worktree.files import Files
from resync.worktree.ignore import Ignores
from resync.worktree.settings import WorktreeSettings
from resync.worktree.untracked import find_untracked, untracked_in_the_way

from .conftest import Sandbox


def in_the_way(
    sandbox: Sandbox, *targets: bytes, settings: WorktreeSettings | None = None
) -> tuple[InTheWay, ...]:
    index, _ = sandbox.index()
    with sandbox.open() as opened:
        found = untracked_in_the_way(
            opened.objects,
            str(sandbox.root),
            index,
            [TreePath(target) for target in targets],
            settings or opened.settings(),
        )
        for each in found:
            if each.special:
                continue
            full = os.path.join(os.fsencode(sandbox.root), each.path)
            data = os.readlink(full) if os.path.islink(full) else Path(os.fsdecode(full)).read_bytes()
            assert opened.objects.blob(each.entry.oid) == data
        return found


def shown(found: tuple[InTheWay, ...]) -> list[tuple[bytes, str, bool]]:
    return [(each.path, f"{each.entry.mode:o}", each.ignored) for each in found]


def test_a_file_at_the_very_path(sandbox: Sandbox) -> None:
    sandbox.write(".gitignore", b"*.log\n")
    sandbox.write("tracked", b"x")
    sandbox.commit_all()
    sandbox.write("new", b"mine")
    sandbox.write("d/x.log", b"secret")
    os.chmod(sandbox.write("tool", b"#!"), 0o755)
    found = in_the_way(sandbox, b"new", b"d/x.log", b"tool", b"tracked", b"nothing", b"no/thing")
    assert shown(found) == [
        (b"d/x.log", "100644", True),
        (b"new", "100644", False),
        (b"tool", "100755", False),
    ]


def test_a_file_where_a_directory_is_needed(sandbox: Sandbox) -> None:
    sandbox.write("tracked", b"x")
    sandbox.commit_all()
    sandbox.write("a", b"a file")
    found = in_the_way(sandbox, b"a/b/c", b"a/d", b"tracked/x")
    assert shown(found) == [(b"a", "100644", False)]


def test_a_directory_where_a_file_is_needed(sandbox: Sandbox) -> None:
    sandbox.write(".gitignore", b"/a/b\n")
    sandbox.write("a/tracked", b"x")
    sandbox.commit_all()
    sandbox.write("a/one", b"1")
    sandbox.write("a/b/two", b"2")
    sandbox.write("a/c/d/three", b"3")
    (sandbox.root / "a/empty").mkdir()
    found = in_the_way(sandbox, b"a")
    assert shown(found) == [
        (b"a/b/two", "100644", True),
        (b"a/c/d/three", "100644", False),
        (b"a/one", "100644", False),
    ]


def test_links_are_kept_and_not_followed(sandbox: Sandbox) -> None:
    sandbox.commit_all()
    (sandbox.home / "outside").mkdir()
    (sandbox.home / "outside/file").write_bytes(b"not ours")
    (sandbox.root / "link").symlink_to(sandbox.home / "outside")
    assert shown(in_the_way(sandbox, b"link")) == [(b"link", "120000", False)]
    assert shown(in_the_way(sandbox, b"link/file", b"link/deep/er")) == [(b"link", "120000", False)]


def test_a_tracked_directory_replaced_by_a_link(sandbox: Sandbox) -> None:
    sandbox.write("d/file", b"x")
    sandbox.commit_all()
    shutil.move(sandbox.root / "d", sandbox.home / "d")
    (sandbox.root / "d").symlink_to(sandbox.home / "d")
    assert shown(in_the_way(sandbox, b"d/new")) == [(b"d", "120000", False)]


@pytest.mark.parametrize("target", [b"r", b"r/x", b"r/sub/x", b"top", b"top/r/x"])
def test_a_repository_is_refused(sandbox: Sandbox, target: bytes) -> None:
    sandbox.commit_all()
    for path in ("r", "top/r"):
        sandbox.git("init", "-q", path)
    with pytest.raises(Refused) as refused:
        in_the_way(sandbox, target)
    assert refused.value.kind == "repository-in-the-way"


def test_a_fifo_is_named_and_not_opened(sandbox: Sandbox) -> None:
    """Also where a file was tracked: that one is gone, and the FIFO is nobody's."""
    sandbox.write("tracked", b"bytes")
    sandbox.commit_all()
    os.unlink(sandbox.root / "tracked")
    for name in ("pipe", "tracked"):
        os.mkfifo(sandbox.root / name)
        for below in ("", "/x"):
            (found,) = in_the_way(sandbox, (name + below).encode())
            assert (found.path, found.entry, found.special) == (
                name.encode(),
                TreeEntry(stat.S_IFIFO, NO_CONTENT),
                True,
            )


def test_a_huge_file_stays_where_it_is(sandbox: Sandbox) -> None:
    sandbox.commit_all()
    data = b"x" * 5000
    sandbox.write("big", data)
    with sandbox.open() as opened:
        settings = replace(opened.settings(), big_file_threshold=4000)
        index, _ = sandbox.index()
        root = str(sandbox.root)
        (found,) = untracked_in_the_way(opened.objects, root, index, [TreePath(b"big")], settings)
        assert b"".join(opened.objects.pieces(found.entry.oid)) == data
        sandbox.write("big", b"y" * 5000)
        with pytest.raises(Refused, match="written to while resync read it") as refused:
            opened.objects.write_pack([found.entry.oid])
        assert refused.value.kind == "changed-meanwhile"


def test_case_and_normal_form(sandbox: Sandbox) -> None:
    sandbox.write("Tracked", b"x")
    sandbox.write("caf\u00e9", b"x")
    sandbox.commit_all()
    sandbox.write("tracked", b"another file where case counts, whatever the configuration says")
    sandbox.write("cafe\u0301", b"another file but on a Mac")
    twins = b"tracked", "cafe\u0301".encode()
    folding = WorktreeSettings(ignore_case=True, precompose_unicode=True)
    for settings in (None, folding):
        assert len(in_the_way(sandbox, *twins, settings=settings)) == 2
    # One file under two names, as such a disk has it.
    for name, twin in (("Tracked", "tracked"), ("caf\u00e9", "cafe\u0301")):
        os.unlink(sandbox.root / twin)
        os.link(sandbox.root / name, sandbox.root / twin)
    assert len(in_the_way(sandbox, *twins)) == 2
    assert in_the_way(sandbox, *twins, settings=folding) == ()


def test_names_that_are_not_text(sandbox: Sandbox) -> None:
    sandbox.commit_all()
    names = [b"caf\xe9", b"new\nline", b"d\xff/x"]
    for name in names:
        sandbox.write(name, b"x")
    assert [each.path for each in in_the_way(sandbox, *names)] == sorted(names)


def test_nothing_else_is_looked_at(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.commit_all()
    sandbox.write("a/x", b"1")
    sandbox.write("b/deep/y", b"2")
    listed: list[bytes] = []
    original = Files.list
    monkeypatch.setattr(
        Files, "list", lambda self, directory: (listed.append(directory), original(self, directory))[1]
    )
    assert shown(in_the_way(sandbox, b"a")) == [(b"a/x", "100644", False)]
    assert listed == [b"a"]


# --- all of them ---

PIECES = ["a", "b", "c", "*", "**", "?", "[ab]", "[!a]", "a*", "*b", "d", "\\a", "a\\ ", "x "]
NAMES = ["a", "b", "c", "d", "ab", "ba", "abc", "a ", "x", "A"]


def random_ignore_file(chance: random.Random) -> bytes:
    lines = []
    for _ in range(chance.randint(1, 6)):
        parts = "/".join(
            "".join(chance.choices(PIECES, k=chance.randint(1, 2))) for _ in range(chance.randint(1, 3))
        )
        prefix = chance.choice(["", "", "!", "/", "!/", "**/", "#"])
        suffix = chance.choice(["", "", "/", "/*", "/**", " ", "\r", "\\ ", "  "])
        lines.append(prefix + parts + suffix)
    bom = "\ufeff" if chance.random() < 0.2 else ""
    return (bom + "\n".join(lines) + chance.choice(["", "\n"])).encode()


def random_checkout(sandbox: Sandbox, chance: random.Random) -> None:
    for name in os.listdir(sandbox.root):
        if name != ".git":
            full = sandbox.root / name
            shutil.rmtree(full) if full.is_dir() and not full.is_symlink() else full.unlink()
    for _ in range(chance.randint(5, 25)):
        path = "/".join(chance.choices(NAMES, k=chance.randint(1, 4)))
        full = sandbox.root / path
        if os.path.lexists(full):
            continue
        try:
            full.parent.mkdir(parents=True, exist_ok=True)
            if chance.random() < 0.1:
                full.symlink_to("a")
            elif chance.random() < 0.05:
                os.mkfifo(full)
            elif chance.random() < 0.05:
                shutil.copytree(sandbox.home / "repository", full)
            else:
                full.write_bytes(b"x")
        except OSError:
            continue  # there is something of another kind already
    folders = [path for path in sandbox.root.rglob("*") if path.is_dir() and ".git" not in path.parts]
    for folder in chance.sample(folders, min(len(folders), 2)):
        (folder / ".gitignore").write_bytes(random_ignore_file(chance))
    (sandbox.root / ".gitignore").write_bytes(random_ignore_file(chance))
    sandbox.write(".git/info/exclude", random_ignore_file(chance))


def test_random_ignore_rules(sandbox: Sandbox) -> None:
    chance = random.Random(4)
    listed = hidden = 0
    shutil.copytree(sandbox.root, sandbox.home / "repository")
    sandbox.git("-C", str(sandbox.home / "repository"), "commit", "-q", "--allow-empty", "-m", "x")
    for number in range(80):
        random_checkout(sandbox, chance)
        sandbox.index_file.unlink(missing_ok=True)
        candidates = [
            os.fsencode(path.relative_to(sandbox.root))
            for path in sandbox.root.rglob("*")
            if path.is_file() and ".git" not in path.parts and not path.is_symlink()
        ]
        tracked = chance.sample(candidates, min(3, len(candidates)))
        oid = b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        lines = b"".join(b"100644 %s\t%s\0" % (oid, path) for path in tracked)
        sandbox.git("update-index", "-z", "--index-info", stdin=lines)
        out = sandbox.git("status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--no-renames")
        records = out.split(b"\0")[:-1]
        untracked = [each[3:] for each in records if each.startswith(b"?? ")]
        expected = sorted(path for path in untracked if not path.endswith(b"/"))  # "/": a repository
        index, _ = sandbox.index()
        with sandbox.open() as opened:
            settings = opened.settings()
            found = find_untracked(opened.objects, str(sandbox.root), index, settings)
            assert [each.path for each in found] == expected, number
            assert not any(each.ignored for each in found)
            ignores = Ignores(Files(str(sandbox.root)), opened.objects, index, settings)
            for record in records:
                if record.startswith(b"!! ") and not record.endswith(b"/"):
                    assert ignores.ignored(TreePath(record[3:])), (number, record)
                    hidden += 1
        listed += len(found)
    assert listed > 300
    assert hidden > 100


def test_the_users_ignore_file(sandbox: Sandbox, tmp_path: Path) -> None:
    user = tmp_path / "user-ignore"
    user.write_bytes(b"*.swp\n*.bak\n")
    sandbox.write(".gitignore", b"!keep.bak\n")
    sandbox.commit_all()
    for name in ("a.swp", "a.bak", "keep.bak"):
        sandbox.write(name, b"")
    settings = WorktreeSettings(exclude_files=(str(tmp_path / "missing"), str(user)))
    index, _ = sandbox.index()
    with sandbox.open() as opened:
        found = find_untracked(opened.objects, str(sandbox.root), index, settings)
    assert [each.path for each in found] == [b"keep.bak"]
