"""The index: what git wrote is read, what we write git accepts, and all else is refused in words."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resync.errors import Refused
from resync.model import Oid, TreePath
from resync.worktree.index import (
    ASSUME_VALID,
    INTENT_TO_ADD,
    NO_STAT,
    SKIP_WORKTREE,
    Index,
    IndexEntry,
    load_index,
    read_index,
)
from resync.worktree.reindex import entry_from_stat, is_racy, serialise_index, smudge_racy

from .conftest import Sandbox, stat_data

OID = Oid(b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")

# --- what git wrote ---

_DEBUG = re.compile(
    rb"(\d+) ([0-9a-f]+) (\d)\t(.*?)\0  ctime: (\d+):(\d+)\n  mtime: (\d+):(\d+)\n"
    rb"  dev: (\d+)\tino: (\d+)\n  uid: (\d+)\tgid: (\d+)\n  size: (\d+)\tflags: ([0-9a-f]+)\n",
    re.DOTALL,
)


def git_lists(sandbox: Sandbox) -> list[tuple[object, ...]]:
    """Every entry as ``git ls-files --debug`` shows it: path, mode, id, stage, stat data, flags."""
    out = sandbox.git("ls-files", "-s", "-z", "--debug")
    found: list[tuple[object, ...]] = []
    end = 0
    for match in _DEBUG.finditer(out):
        assert match.start() == end, out[end:]
        end = match.end()
        mode, oid, stage, path, *numbers, flags = match.groups()
        found.append(
            (path, int(mode, 8), oid, int(stage), tuple(map(int, numbers)), flags_of(int(flags, 16)))
        )
    assert end == len(out)
    return found


def flags_of(shown: int) -> int:
    """Git shows its own bits: the low word as in the file, the extended one above it."""
    return (shown & ASSUME_VALID) | (shown >> 16 & (SKIP_WORKTREE | INTENT_TO_ADD))


def we_list(index: Index) -> list[tuple[object, ...]]:
    return [
        (entry.path, entry.mode, entry.oid, entry.stage, tuple(stat_data(entry)), entry.flags)
        for entry in sorted(index, key=lambda entry: (entry.path, entry.stage))
    ]


def fill(sandbox: Sandbox, *, marks: bool, hex_length: int = 40, unmerged: bool = True) -> None:
    """An index with every kind of entry that git writes (a second flag word only if ``marks``)."""
    for path in (
        "a",
        "b.txt",
        "dir/sub/c",
        "dir/sub/d",
        "dir-x",
        "dir.y",
        "n" * 200 + "/" + "m" * 200,
        "caf\u00e9",
    ):
        sandbox.write(path, path.encode())
    sandbox.write("x/" + "y" * 250 + "/" + "z" * 250 + "/" + "w" * 250)
    sandbox.write(b"not\xff text\n")
    (sandbox.root / "link").symlink_to("a")
    os.chmod(sandbox.root / "b.txt", 0o755)
    sandbox.git(
        "init", "-q", "--object-format=sha256" if hex_length == 64 else "--object-format=sha1", "module"
    )
    sandbox.git("-C", "module", "commit", "-q", "--allow-empty", "-m", "x")
    sandbox.git("-c", "advice.addEmbeddedRepo=false", "add", "-A")
    sandbox.git("update-index", "--assume-unchanged", "dir/sub/c")
    too_long = [b"/".join([b"long" * 60] * 18) + b"/%d" % number for number in range(3)]  # for the flag word
    lines = b"".join(b"100644 %s\t%s\0" % (b"1" * hex_length, path) for path in too_long)
    sandbox.git("update-index", "-z", "--index-info", stdin=lines)
    if unmerged:
        lines = b"".join(b"100644 %s %d\tconflict\0" % (b"2" * hex_length, stage) for stage in (1, 2, 3))
        lines += b"100644 %s 2\tother\0" % (b"3" * hex_length)
        sandbox.git("update-index", "-z", "--index-info", stdin=lines)
    if marks:
        sandbox.git("update-index", "--skip-worktree", "a", "dir/sub/d")
        sandbox.write("intended")
        sandbox.git("add", "-N", "intended")


@pytest.mark.parametrize("version", [2, 3, 4])
def test_reads_what_git_wrote(sandbox: Sandbox, version: int) -> None:
    fill(sandbox, marks=version != 2)
    if version == 4:
        sandbox.git("update-index", "--index-version", "4")
    index, modified = sandbox.index()
    assert index.version == version
    assert we_list(index) == git_lists(sandbox)
    assert set(index.unmerged) == {b"conflict", b"other"}
    assert [entry.stage for entry in index.unmerged[TreePath(b"conflict")]] == [1, 2, 3]
    assert modified == sandbox.index_file.stat().st_mtime_ns
    assert index.entries[TreePath(b"dir/sub/c")].assume_valid
    if version != 2:
        assert index.entries[TreePath(b"a")].skip_worktree
        assert index.entries[TreePath(b"intended")].intent_to_add


def test_reads_the_cached_trees(sandbox: Sandbox) -> None:
    for path in ("top", "a/one", "a/b/two", "a/c/three", "z/four"):
        sandbox.write(path, path.encode())
    sandbox.commit_all()
    sandbox.git("read-tree", "HEAD")
    index, _ = sandbox.index()
    expected = {
        path.encode(): (sandbox.git("rev-parse", f"HEAD:{path}").strip(), count)
        for path, count in (("", 5), ("a", 3), ("a/b", 1), ("a/c", 1), ("z", 1))
    }
    assert dict(index.cache_tree) == expected
    sandbox.write("a/b/two", b"changed")
    sandbox.git("add", "a/b/two")
    index, _ = sandbox.index()
    assert dict(index.cache_tree) == {path: expected[path] for path in (b"a/c", b"z")}


def test_sha256(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, "--object-format=sha256")
    fill(sandbox, marks=True, hex_length=64)
    index, _ = load_index(str(sandbox.index_file), hex_length=64)
    assert we_list(index) == git_lists(sandbox)
    sandbox.index_file.write_bytes(serialise_index(index, hex_length=64))
    assert we_list(index) == git_lists(sandbox)


def test_extensions_of_git_are_read_over(sandbox: Sandbox) -> None:
    sandbox.git("config", "core.untrackedCache", "true")
    sandbox.git("config", "index.threads", "2")  # EOIE and IEOT
    for number in range(400):
        sandbox.write(f"d{number % 7}/f{number}")
    sandbox.commit_all()
    sandbox.git("status")
    data = sandbox.index_file.read_bytes()
    assert all(name in data for name in (b"TREE", b"UNTR", b"EOIE", b"IEOT"))
    assert we_list(sandbox.index()[0]) == git_lists(sandbox)


def test_a_missing_file_is_an_empty_index(sandbox: Sandbox) -> None:
    assert load_index(str(sandbox.root / "none"), hex_length=40) == (Index(), 0)


# --- what we write ---


@pytest.mark.parametrize("marks", [False, True])
def test_git_accepts_what_we_write(sandbox: Sandbox, marks: bool) -> None:
    fill(sandbox, marks=marks)
    before = git_lists(sandbox)
    index, _ = sandbox.index()
    sandbox.index_file.write_bytes(serialise_index(index, hex_length=40))
    assert git_lists(sandbox) == before
    assert sandbox.index()[0].version == (3 if marks else 2)
    sandbox.git("update-index", "--force-write-index")
    assert git_lists(sandbox) == before


def test_git_believes_our_stat_data(sandbox: Sandbox) -> None:
    """Of entries that we made from ``lstat``, git opens no file."""
    for path, mode in (("a", 0o644), ("d/b", 0o755), ("empty", 0o600)):
        os.chmod(sandbox.write(path, b"" if path == "empty" else path.encode()), mode)
    (sandbox.root / "link").symlink_to("a")
    sandbox.commit_all()
    time.sleep(1.1)  # past the tick of the racy rule, which git counts in seconds
    index, _ = sandbox.index()
    made = [
        entry_from_stat(entry.path, entry.mode, entry.oid, os.lstat(sandbox.root / os.fsdecode(entry.path)))
        for entry in index.entries.values()
    ]
    sandbox.index_file.write_bytes(serialise_index(made, hex_length=40))
    assert sandbox.git("diff-files") == b""  # a plumbing command, which compares stat data alone
    assert we_list(sandbox.index()[0]) == git_lists(sandbox)
    sandbox.git("update-index", "--refresh")
    assert sandbox.git("status", "--porcelain") == b""
    bare = [entry._replace(stat=NO_STAT) for entry in made]
    sandbox.index_file.write_bytes(serialise_index(bare, hex_length=40))
    assert sandbox.git("diff-files") != b""
    assert sandbox.git("status", "--porcelain") == b""


def test_a_size_of_4_gib_is_not_taken_for_unknown(tmp_path: Path) -> None:
    for size, recorded in ((4 << 30, 0x80000000), ((4 << 30) + 5, 5), (0, 0), (7, 7)):
        path = tmp_path / "file"
        with open(path, "wb") as file:
            file.truncate(size)
        entry = entry_from_stat(TreePath(b"file"), 0o100644, OID, os.lstat(path))
        assert stat_data(entry).size == recorded


def test_one_path_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="two index entries"):
        serialise_index([IndexEntry(TreePath(b"a"), 0o100644, OID)] * 2, hex_length=40)


NAMES = st.binary(min_size=1, max_size=9).filter(
    lambda name: not {0, ord("/")} & set(name) and name not in (b".", b"..") and b"git" not in name.lower()
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join) | st.integers(4000, 5000).map(
    lambda n: b"x" * n
)
HEX = st.binary(min_size=20, max_size=20).map(lambda raw: Oid(raw.hex().encode()))
STAT = st.lists(st.integers(0, 2**32 - 1), min_size=9, max_size=9)


@st.composite
def entry_lists(draw: st.DrawFn) -> list[IndexEntry]:
    entries = []
    for path in draw(st.lists(PATHS, max_size=12, unique=True)):
        stages = draw(st.sampled_from([(0,), (0,), (0,), (1, 2, 3), (2, 3), (1,)]))
        for stage in stages:
            mode = draw(st.sampled_from([0o100644, 0o100755, 0o120000, 0o160000]))
            flags = draw(
                st.sampled_from(
                    [0, 0, ASSUME_VALID, SKIP_WORKTREE, INTENT_TO_ADD, ASSUME_VALID | SKIP_WORKTREE]
                )
            )
            numbers = draw(STAT)
            packed = struct.pack(">10I", *numbers[:6], mode, *numbers[6:])
            entries.append(IndexEntry(TreePath(path), mode, draw(HEX), stage, flags, packed))
    return entries


@given(entry_lists())
@settings(max_examples=150, deadline=None)
def test_what_was_written_is_read(entries: list[IndexEntry]) -> None:
    index = read_index(serialise_index(entries, hex_length=40), hex_length=40)
    ordered = sorted(entries, key=lambda entry: (entry.path, entry.stage))
    assert sorted(index, key=lambda entry: (entry.path, entry.stage)) == ordered
    assert list(index.entries) == sorted(index.entries)
    assert all(tuple(entry.stage for entry in stages) for stages in index.unmerged.values())
    assert serialise_index(index, hex_length=40) == serialise_index(entries, hex_length=40)


@given(st.binary(max_size=200), st.integers(0, 3), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(body: bytes, version: int, count: int, small: bool) -> None:
    data = struct.pack(">4sII", b"DIRC", version + 2, count % 4 if small else count) + body
    data += hashlib.sha1(data).digest()
    with contextlib.suppress(Refused):
        read_index(data, hex_length=40)


@given(entry_lists(), st.data())
@settings(max_examples=100, deadline=None)
def test_a_cut_or_changed_file_is_refused(entries: list[IndexEntry], data: st.DataObject) -> None:
    written = serialise_index(entries, hex_length=40)
    cut = data.draw(st.integers(0, len(written) - 1))
    with pytest.raises(Refused) as refused:
        read_index(written[:cut], hex_length=40)
    assert refused.value.kind == "corrupt-index"
    place = data.draw(st.integers(0, len(written) - 1))
    changed = written[:place] + bytes([written[place] ^ 1]) + written[place + 1 :]
    with pytest.raises(Refused):
        read_index(changed, hex_length=40)


# --- what is refused ---


def refusal(sandbox: Sandbox) -> Refused:
    with pytest.raises(Refused) as refused:
        sandbox.index()
    assert "Nothing was changed." in refused.value.message
    return refused.value


def test_split_index_and_the_way_out(sandbox: Sandbox) -> None:
    sandbox.write("a")
    sandbox.commit_all()
    sandbox.git("update-index", "--split-index")
    refused = refusal(sandbox)
    assert refused.kind == "split-index"
    sandbox.git(*refused.hint.split()[1:])
    assert list(sandbox.index()[0].entries) == [b"a"]


def test_sparse_index_and_the_way_out(sandbox: Sandbox) -> None:
    for path in ("a/x", "b/y", "b/c/z"):
        sandbox.write(path)
    sandbox.commit_all()
    sandbox.git("sparse-checkout", "set", "--cone", "--sparse-index", "a")
    refused = refusal(sandbox)
    assert refused.kind == "sparse-index"
    sandbox.git(*refused.hint.split()[1:])
    index, _ = sandbox.index()
    assert [entry.skip_worktree for entry in index.entries.values()] == [False, True, True]


def with_extension(data: bytes, name: bytes, content: bytes = b"") -> bytes:
    body = data[:-20] + name + struct.pack(">I", len(content)) + content
    return body + hashlib.sha1(body).digest()


def test_unknown_extensions() -> None:
    data = serialise_index([IndexEntry(TreePath(b"a"), 0o100644, OID)], hex_length=40)
    assert list(read_index(with_extension(data, b"XTRA", b"ignored"), hex_length=40).entries) == [b"a"]
    with pytest.raises(Refused) as refused:
        read_index(with_extension(data, b"xtra", b"needed"), hex_length=40)
    assert refused.value.kind == "unknown-index-extension"
    assert "'xtra'" in refused.value.message


def test_a_checksum_of_zeros_is_not_checked() -> None:
    data = serialise_index([IndexEntry(TreePath(b"a"), 0o100644, OID)], hex_length=40)
    assert list(read_index(data[:-20] + bytes(20), hex_length=40).entries) == [b"a"]


@pytest.mark.parametrize(
    "path",
    [b"../out", b"a/../../out", b"/etc/passwd", b".git/config", b"a/.GIT/hooks/x", b"a//b", b"./a", b"a/"],
)
def test_paths_that_lead_out(path: bytes) -> None:
    data = serialise_index([IndexEntry(TreePath(path), 0o100644, OID)], hex_length=40)
    with pytest.raises(Refused) as refused:
        read_index(data, hex_length=40)
    assert refused.value.kind == "corrupt-index"


@pytest.mark.parametrize("content", [b"", b"\0-1", b"\0-1 x\n", b"\0" + b"1 1\n" + bytes(20), b"a\0-1 0\nb"])
def test_broken_cached_trees(content: bytes) -> None:
    data = serialise_index([], hex_length=40)
    with pytest.raises(Refused) as refused:
        read_index(with_extension(data, b"TREE", content), hex_length=40)
    assert refused.value.kind == "corrupt-index"


def test_entries_out_of_order() -> None:
    one, two = (
        serialise_index([IndexEntry(TreePath(path), 0o100644, OID)], hex_length=40)[12:-20]
        for path in (b"a", b"b")
    )
    for entries in ([two, one], [one, one]):
        body = struct.pack(">4sII", b"DIRC", 2, 2) + b"".join(entries)
        with pytest.raises(Refused) as refused:
            read_index(body + hashlib.sha1(body).digest(), hex_length=40)
        assert refused.value.kind == "corrupt-index"


# --- the racy rule ---


def test_racy_entries() -> None:
    def entry(seconds: int, nanoseconds: int, size: int = 9) -> bytes:
        return struct.pack(">10I", 0, 0, seconds, nanoseconds, 0, 0, 0, 0, 0, size)

    index_time = 100 * 10**9 + 500
    assert not is_racy(entry(100, 499), index_time)
    assert is_racy(entry(100, 500), index_time)
    assert is_racy(entry(101, 1), index_time)
    assert not is_racy(entry(99, 0), index_time)
    assert is_racy(entry(100, 0), index_time)  # no nanoseconds recorded
    assert smudge_racy(entry(99, 7), index_time) == entry(99, 7)
    assert smudge_racy(entry(100, 500), index_time) == entry(100, 500, size=0)
    assert smudge_racy(entry(100, 500) + b"more", index_time) == entry(100, 500, size=0) + b"more"


def test_git_looks_at_a_smudged_entry(sandbox: Sandbox) -> None:
    """A same-size edit with the time put back is seen by git, because the recorded size says "look"."""
    path = sandbox.write("a", b"before")
    sandbox.commit_all()
    index, modified = sandbox.index()
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(b"after!")
    os.utime(path, ns=times)
    sandbox.git("config", "core.trustctime", "false")
    smudged = [each._replace(stat=smudge_racy(each.stat, modified - 10**10)) for each in index]
    sandbox.index_file.write_bytes(serialise_index(smudged, hex_length=40))
    os.utime(sandbox.index_file, ns=(modified + 10**10, modified + 10**10))
    assert sandbox.git("status", "--porcelain") == b" M a\n"
