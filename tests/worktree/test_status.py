"""Status in the cases that the random states do not reach."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resync.errors import Refused
from resync.model import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_SYMLINK,
    Oid,
    PathState,
    TreeEntry,
    TreePath,
)
from resync.repository.objects import TREE, Objects
from resync.worktree.index import Entries, load_index
from resync.worktree.reindex import entry_from_stat, serialise_index
from resync.worktree.settings import WorktreeSettings
from resync.worktree.staged import staged_differences
from resync.worktree.status import read_status

from .conftest import Sandbox


def status(sandbox: Sandbox, settings: WorktreeSettings | None = None, **changed: object) -> list[PathState]:
    index, modified = sandbox.index()
    with sandbox.open() as opened:
        chosen = dataclasses.replace(settings or opened.settings(), **changed)  # type: ignore[arg-type]
        states = read_status(
            opened.objects, str(sandbox.root), index, modified, opened.head_tree(), chosen, opened.filters()
        )
        for state in states:  # the promise of PathState: both blobs can be read
            for oid in (state.raw, state.worktree and state.worktree.oid):
                assert oid is None or oid in opened.objects or state.worktree.mode == 0o160000  # type: ignore[union-attr]
        return list(states)


def paths(states: list[PathState]) -> list[bytes]:
    return [state.path for state in states]


def blob_id(sandbox: Sandbox, data: bytes) -> Oid:
    return Oid(sandbox.git("hash-object", "--stdin", stdin=data).strip())


def same_size_edit(sandbox: Sandbox, *, back_in_time: bool) -> Path:
    """A file that is edited without a change of size, and whose time may be put back."""
    path = sandbox.write("a", b"before")
    sandbox.commit_all()
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(b"after!")
    if back_in_time:
        os.utime(path, ns=times)
    return path


# --- what stat data proves ---


def test_an_edit_in_the_tick_of_the_index_is_noticed(sandbox: Sandbox) -> None:
    path = same_size_edit(sandbox, back_in_time=True)
    second = path.stat().st_mtime_ns // 10**9 * 10**9
    os.utime(path, ns=(second, second))
    status_of = os.lstat(path)
    entry = entry_from_stat(TreePath(b"a"), MODE_FILE, blob_id(sandbox, b"before"), status_of)
    sandbox.index_file.write_bytes(serialise_index([entry], hex_length=40))
    os.utime(sandbox.index_file, ns=(second, second))
    assert paths(status(sandbox)) == [b"a"]
    later = second + 10**9
    os.utime(sandbox.index_file, ns=(later, later))  # now stat data counts, and says that nothing changed
    assert status(sandbox) == []


def test_a_time_put_back_is_noticed_by_ctime(sandbox: Sandbox) -> None:
    same_size_edit(sandbox, back_in_time=True)
    later = sandbox.index_file.stat().st_mtime_ns + 5 * 10**9
    os.utime(sandbox.index_file, ns=(later, later))
    assert paths(status(sandbox)) == [b"a"]
    assert status(sandbox, trust_ctime=False) == []
    assert status(sandbox, check_stat=False) == []


def test_a_clean_file_is_not_opened(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    from resync.worktree.files import Files

    for name in ("a", "b", "d/c"):
        sandbox.write(name, name.encode())
    sandbox.commit_all()
    later = sandbox.index_file.stat().st_mtime_ns + 5 * 10**9
    os.utime(sandbox.index_file, ns=(later, later))
    sandbox.write("b", b"edited")
    opened: list[bytes] = []
    read = Files.read
    monkeypatch.setattr(Files, "read", lambda self, path: (opened.append(path), read(self, path))[1])
    assert paths(status(sandbox)) == [b"b"]
    assert opened == [b"b"]


def test_an_entry_without_nanoseconds(sandbox: Sandbox) -> None:
    """Then the whole second in which the index was written proves nothing; the seconds before it do."""
    path = same_size_edit(sandbox, back_in_time=False)
    second = path.stat().st_mtime_ns // 10**9 * 10**9
    os.utime(path, ns=(second + 500, second + 500))
    entry = entry_from_stat(TreePath(b"a"), MODE_FILE, blob_id(sandbox, b"before"), os.lstat(path))
    cut = entry.stat[:4] + bytes(4) + entry.stat[8:12] + bytes(4) + entry.stat[16:]
    sandbox.index_file.write_bytes(serialise_index([entry._replace(stat=cut)], hex_length=40))
    os.utime(sandbox.index_file, ns=(second + 900, second + 900))
    assert paths(status(sandbox)) == [b"a"]
    os.utime(sandbox.index_file, ns=(second + 10**9, second + 10**9))
    assert status(sandbox) == []


# --- what a file system or a setting cannot tell ---


def test_file_mode_and_symlinks_settings(sandbox: Sandbox) -> None:
    sandbox.write("plain", b"x")
    os.chmod(sandbox.write("tool", b"x"), 0o755)
    (sandbox.root / "link").symlink_to("target")
    sandbox.commit_all()
    os.chmod(sandbox.root / "plain", 0o755)
    os.chmod(sandbox.root / "tool", 0o644)
    (sandbox.root / "link").unlink()
    (sandbox.root / "link").write_bytes(b"target")
    states = {state.path: state for state in status(sandbox)}
    assert {path: state.worktree and state.worktree.mode for path, state in states.items()} == {
        b"link": MODE_FILE,
        b"plain": MODE_EXECUTABLE,
        b"tool": MODE_FILE,
    }
    assert paths(status(sandbox, file_mode=False)) == [b"link"]
    assert status(sandbox, file_mode=False, symlinks=False) == []
    (sandbox.root / "link").write_bytes(b"elsewhere")
    (sandbox.root / "tool").write_bytes(b"edited")
    link, tool = status(sandbox, file_mode=False, symlinks=False)
    assert link.worktree == TreeEntry(MODE_SYMLINK, blob_id(sandbox, b"elsewhere"))
    assert tool.worktree == TreeEntry(MODE_EXECUTABLE, blob_id(sandbox, b"edited"))


def test_line_ends_and_raw_bytes(sandbox: Sandbox) -> None:
    sandbox.write(".gitattributes", b"*.txt text\n*.bin filter=x\n")
    sandbox.write("a.txt", b"one\n")
    sandbox.write("same.txt", b"one\n")
    sandbox.write("auto", b"one\r\n")
    sandbox.commit_all()
    sandbox.write("a.txt", b"one\r\ntwo\n")
    sandbox.write("same.txt", b"one\r\n")  # as another line-end setting would have it: nothing is edited
    sandbox.write("auto", b"one\r\ntwo\r\n")
    auto, text = sorted(status(sandbox, auto_crlf="true"), key=lambda state: state.path, reverse=True)[:2]
    assert (auto.path, text.path) == (b"auto", b"a.txt")
    assert text.raw == blob_id(sandbox, b"one\r\ntwo\n")
    assert text.worktree == TreeEntry(MODE_FILE, blob_id(sandbox, b"one\ntwo\n"))
    assert auto.worktree == TreeEntry(MODE_FILE, blob_id(sandbox, b"one\r\ntwo\r\n"))
    assert auto.raw == auto.worktree.oid


# --- what is refused ---


def test_a_huge_file_is_hashed_where_it_is(sandbox: Sandbox) -> None:
    sandbox.write("big", b"x" * 5000)
    sandbox.commit_all()
    assert status(sandbox, big_file_threshold=4000) == []
    os.utime(sandbox.root / "big", (1, 1))
    assert status(sandbox, big_file_threshold=4000) == []
    sandbox.write("big", b"y" * 5000)
    (edited,) = status(sandbox, big_file_threshold=4000)
    assert edited.raw == blob_id(sandbox, b"y" * 5000)
    assert edited.worktree == TreeEntry(MODE_FILE, edited.raw)


@pytest.mark.parametrize(
    ("rule", "data", "refuses"),
    [
        ("text", b"a\r\n" * 2000, True),
        ("text", b"a\n" * 2000, False),
        ("text eol=crlf", b"a\n" * 2000, True),
        ("text=auto", b"a\r\n" * 2000, True),
        ("text=auto", b"a\r\n" * 2000 + b"\0", False),
        ("-text", b"a\r\n" * 2000, False),
        ("filter=none", b"a\r\n" * 2000, False),
    ],
)
def test_a_huge_file_that_git_converts_is_refused(
    sandbox: Sandbox, rule: str, data: bytes, refuses: bool
) -> None:
    sandbox.write(".gitattributes", f"big {rule}\n".encode())
    sandbox.write("big", b"x" * 5000)
    sandbox.commit_all()
    sandbox.write("big", data)
    if refuses:
        with pytest.raises(Refused, match=r"'big'.*line ends") as refused:
            status(sandbox, big_file_threshold=3000)
        assert refused.value.kind == "huge-file"
    else:
        (edited,) = status(sandbox, big_file_threshold=3000)
        assert edited.worktree == TreeEntry(MODE_FILE, Oid(sandbox.git("hash-object", "big").strip()))


_AS_NOBODY = """
import os, sys
from resync.errors import Refused
from resync.worktree.files import Files
os.setgroups([]); os.setgid(65534); os.setuid(65534)
files = Files(".")
for path in sys.argv[1:]:
    try:
        files.lstat(os.fsencode(path))
        files.read(os.fsencode(path))
    except Refused as refused:
        print(path, refused.kind, repr(path) in refused.message)
    else:
        print(path, "read")
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no permissions here")
def test_an_unreadable_file_is_named(sandbox: Sandbox) -> None:
    for name in ("secret", "closed/file", "open"):
        sandbox.write(name, b"x")
    sandbox.commit_all()
    os.chmod(sandbox.root / "secret", 0)
    os.chmod(sandbox.root / "closed", 0)
    try:
        if os.geteuid() == 0:  # root reads everything: ask as somebody else
            os.chmod(sandbox.root, 0o755)
            done = subprocess.run(
                [sys.executable, "-c", _AS_NOBODY, "secret", "closed/file", "open"],
                cwd=sandbox.root,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.stdout.splitlines() == [
                "secret unreadable-file True",
                "closed/file unreadable-file True",
                "open read",
            ], done.stderr
        else:
            with pytest.raises(Refused) as refused:
                status(sandbox)
            assert refused.value.kind == "unreadable-file"
            assert "'closed/file'" in refused.value.message
    finally:
        os.chmod(sandbox.root / "closed", 0o755)


def test_a_head_that_leads_out_is_refused(sandbox: Sandbox) -> None:
    sandbox.commit_all()
    with sandbox.open() as opened:
        blob = opened.objects.add_blob(b"x")
        below = opened.objects.add_tree({b"passwd": TreeEntry(MODE_FILE, blob)})
        tree = opened.objects.add_tree({b"..": TreeEntry(0o040000, below)})
        with pytest.raises(Refused) as refused:
            read_status(
                opened.objects,
                str(sandbox.root),
                sandbox.index()[0],
                0,
                tree,
                opened.settings(),
                opened.filters(),
            )
        assert refused.value.kind == "hostile-tree"


# --- HEAD against the index ---


def test_equal_trees_are_not_walked(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """With git's cached trees and without them, only what differs is read."""
    for folder in ("a", "a-b", "a/c", "b", "b/d/e"):
        sandbox.write(f"{folder}/file", folder.encode())
    sandbox.write("a.txt")
    sandbox.commit_all()
    walked: list[Oid] = []
    tree = Objects.tree
    monkeypatch.setattr(Objects, "tree", lambda self, oid: (walked.append(oid), tree(self, oid))[1])
    with_cache, _ = sandbox.index()
    assert with_cache.cache_tree
    for index in (with_cache, dataclasses.replace(with_cache, cache_tree={})):
        with sandbox.open() as opened:
            assert list(staged_differences(opened.objects, index, opened.head_tree())) == []
        assert walked == []
    sandbox.write("b/d/e/file", b"edited")
    sandbox.git("add", "-A")
    sandbox.git("rm", "-q", "--cached", "a/c/file")
    with_cache, _ = sandbox.index()
    for index in (with_cache, dataclasses.replace(with_cache, cache_tree={})):
        walked.clear()
        with sandbox.open() as opened:
            found = dict(staged_differences(opened.objects, index, opened.head_tree()))
        assert sorted(found) == [b"a/c/file", b"b/d/e/file"]
        assert len(walked) == 6  # the top, a, a/c, b, b/d, b/d/e


def test_stale_cached_trees_are_not_believed(sandbox: Sandbox) -> None:
    """A tool that adds an entry and leaves the TREE extension as it was does not hide it."""
    sandbox.write("a/b", b"x")
    sandbox.commit_all()
    index, modified = sandbox.index()
    added = index.entries[TreePath(b"a/b")]._replace(path=TreePath(b"a/new"))
    stale = dataclasses.replace(index, entries=Entries({**index.entries.raw, added.path: added.raw}))
    with sandbox.open() as opened:
        head = opened.head_tree()
        assert dict(staged_differences(opened.objects, stale, head)) == {b"a/new": None}
        states = read_status(
            opened.objects, str(sandbox.root), stale, modified, head, opened.settings(), opened.filters()
        )
    assert [(state.path, state.head, state.worktree) for state in states] == [(b"a/new", None, None)]


def test_no_commit_yet(sandbox: Sandbox) -> None:
    sandbox.write("a", b"x")
    sandbox.git("add", "a")
    (state,) = status(sandbox)
    assert (state.path, state.head, state.staged, state.unstaged) == (b"a", None, True, False)


def test_an_old_mode_in_a_tree_is_no_change(sandbox: Sandbox) -> None:
    sandbox.write("a", b"x")
    sandbox.commit_all()
    with sandbox.open() as opened:
        row = b"100664 a\0" + bytes.fromhex(blob_id(sandbox, b"x").decode())
        old = opened.objects.add(TREE, row)
        index, modified = sandbox.index()
        assert (
            read_status(
                opened.objects, str(sandbox.root), index, modified, old, opened.settings(), opened.filters()
            )
            == ()
        )


def test_a_linked_worktree(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.write("a", b"x")
    sandbox.commit_all()
    linked = tmp_path / "linked"
    sandbox.git("worktree", "add", "-q", str(linked))
    (linked / "a").write_bytes(b"edited there")
    index, modified = load_index(str(sandbox.root / ".git/worktrees/linked/index"), hex_length=40)
    with sandbox.open() as opened:
        (state,) = read_status(
            opened.objects,
            str(linked),
            index,
            modified,
            opened.head_tree(),
            opened.settings(),
            opened.filters(),
        )
    assert state.worktree == TreeEntry(MODE_FILE, blob_id(sandbox, b"edited there"))
    assert status(sandbox) == []


def test_sha256(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, "--object-format=sha256")
    for name in ("a", "d/b", "d/e/c"):
        sandbox.write(name, name.encode())
    sandbox.commit_all()
    sandbox.write("d/b", b"edited")
    index, modified = load_index(str(sandbox.index_file), hex_length=64)
    with sandbox.open() as opened:
        for each in (index, dataclasses.replace(index, cache_tree={})):
            (state,) = read_status(
                opened.objects,
                str(sandbox.root),
                each,
                modified,
                opened.head_tree(),
                opened.settings(),
                opened.filters(),
            )
            assert state.worktree == TreeEntry(MODE_FILE, blob_id(sandbox, b"edited"))


# --- submodules ---


def test_a_submodule_is_known_by_its_head_alone(sandbox: Sandbox) -> None:
    """As a folder with a ``.git`` file, in a linked worktree, packed, and with a broken configuration."""
    sandbox.git("init", "-q", str(sandbox.home / "origin"))
    for message in ("one", "two"):
        sandbox.git("-C", str(sandbox.home / "origin"), "commit", "-q", "--allow-empty", "-m", message)
    one, two = (
        Oid(sandbox.git("-C", str(sandbox.home / "origin"), "rev-parse", name).strip())
        for name in ("HEAD^", "HEAD")
    )
    origin = str(sandbox.home / "origin")
    sandbox.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", origin, "file")
    assert (sandbox.root / "file/.git").is_file()
    sandbox.git("-C", origin, "worktree", "add", "-q", "-b", "side", str(sandbox.root / "linked"))
    sandbox.git("clone", "-q", origin, "packed")
    sandbox.git("-c", "advice.addEmbeddedRepo=false", "add", "-A")
    sandbox.git("commit", "-q", "-m", "x")
    assert status(sandbox) == []
    for name in ("file", "linked", "packed"):
        sandbox.git("-C", name, "reset", "-q", "--hard", "HEAD^")
        sandbox.git("-C", name, "pack-refs", "--all")
    (sandbox.root / "packed/.git/config").write_bytes(b"[broken\n")
    states = status(sandbox)
    assert [(state.path, state.index, state.worktree, state.raw) for state in states] == [
        (name, TreeEntry(0o160000, two), TreeEntry(0o160000, one), None)
        for name in (b"file", b"linked", b"packed")
    ]
    (sandbox.root / "file/.git").write_bytes(b"nonsense\n")
    assert paths(status(sandbox)) == [b"linked", b"packed"]
