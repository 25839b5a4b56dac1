"""Objects in memory and on the disk: trees edited as git edits them, packs that read back."""

from __future__ import annotations

import os
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resync.errors import LargeBlob, Refused
from resync.model import MODE_EXECUTABLE, MODE_FILE, MODE_SYMLINK, Oid, TreeEntry, TreePath
from resync.repository import Objects, Repository
from resync.repository.objects import BLOB, COMMIT, TREE
from tests.conftest import World, environment, needs_git

pytestmark = needs_git


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository without objects, for what only needs git's arithmetic."""
    root = tmp_path_factory.mktemp("objects")
    subprocess.run(["git", "init", "-q", str(root)], check=True, env=environment(root))
    return root


@pytest.fixture
def objects(empty: Path) -> Iterator[Objects]:
    with Repository.open(str(empty), {}) as repository:
        yield repository.objects


NAMES = st.sampled_from([b"a", b"b", b"a.c", b"a0", b"a-", b"\xe9"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)
ENTRIES = st.builds(
    lambda mode, text: (mode, text),
    st.sampled_from([MODE_FILE, MODE_EXECUTABLE, MODE_SYMLINK]),
    st.sampled_from([b"one", b"two", b"three"]),
)


def consistent(files: Mapping[bytes, object]) -> bool:
    """Whether no file stands where another one's folder is."""
    return not any(other.startswith(path + b"/") for path in files for other in files)


def tree_by_git(root: Path, files: Mapping[bytes, TreeEntry]) -> bytes:
    """The tree that git makes of the files, by way of an index of its own."""
    env = {**environment(root), "GIT_INDEX_FILE": str(root / "scratch-index")}
    lines = b"".join(b"%o %s\t%s\0" % (entry.mode, entry.oid, path) for path, entry in files.items())
    (root / "scratch-index").unlink(missing_ok=True)
    subprocess.run(["git", "update-index", "-z", "--index-info"], input=lines, cwd=root, env=env, check=True)
    done = subprocess.run(
        ["git", "write-tree", "--missing-ok"], cwd=root, env=env, check=True, capture_output=True
    )
    return done.stdout.strip()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.dictionaries(PATHS, ENTRIES, max_size=8).filter(consistent),
    changes=st.dictionaries(PATHS, st.one_of(st.none(), ENTRIES), max_size=8).filter(consistent),
)
def test_edited_trees_are_those_that_git_makes(
    empty: Path,
    objects: Objects,
    before: dict[bytes, tuple[int, bytes]],
    changes: dict[bytes, tuple[int, bytes] | None],
) -> None:
    def entry(value: tuple[int, bytes]) -> TreeEntry:
        return TreeEntry(value[0], objects.add_blob(value[1]))

    files = {path: entry(value) for path, value in before.items()}
    edits = {path: entry(value) if value is not None else None for path, value in changes.items()}
    start = objects.edit_tree(None, {TreePath(path): each for path, each in files.items()})
    assert start == tree_by_git(empty, files)
    edited = objects.edit_tree(start, {TreePath(path): each for path, each in edits.items()})
    for path, each in edits.items():
        # What is put somewhere, or removed, is so with the whole folder there; a file on the way gives way.
        for other in list(files):
            below = other == path or other.startswith(path + b"/")
            if below or (each is not None and path.startswith(other + b"/")):
                del files[other]
        if each is not None:
            files[path] = each
    assert edited == tree_by_git(empty, files)
    for path, each in files.items():
        assert objects.entry(edited, TreePath(path)) == each


@given(kind=st.sampled_from([(BLOB, "blob")]), data=st.binary(max_size=200))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ids_are_gits(objects: Objects, empty: Path, kind: tuple[int, str], data: bytes) -> None:
    done = subprocess.run(
        ["git", "hash-object", "-t", kind[1], "--stdin"],
        input=data,
        capture_output=True,
        cwd=empty,
        check=True,
    )
    assert objects.hash(kind[0], data) == done.stdout.strip()


def made(objects: Objects) -> tuple[Oid, Oid, Oid]:
    """A commit, its tree and its blob, in memory."""
    blob = objects.add_blob(b"bytes\r\n\0")
    tree = objects.edit_tree(None, {TreePath(b"folder/file"): TreeEntry(MODE_FILE, blob)})
    who = b"A U Thor <author@example.com> 1461092552 +0000"
    commit = objects.add_commit(b"tree %s\nauthor %s\ncommitter %s\n\nTitle\n" % (tree, who, who))
    return commit, tree, blob


def test_nothing_reaches_the_disk_unasked(rewritten_world: World) -> None:
    folder = rewritten_world.clone / ".git" / "objects"
    before = sorted(folder.rglob("*"))
    with Repository.open(str(rewritten_world.clone), {}) as repository:
        commit, _, _ = made(repository.objects)
        assert repository.objects.is_commit(commit)
    assert sorted(folder.rglob("*")) == before
    with Repository.open(str(rewritten_world.clone), {}) as repository:
        assert commit not in repository.objects
        with pytest.raises(Refused) as caught:
            repository.objects.commit(commit)
        assert caught.value.kind == "missing-object"


def test_a_pack_reads_back(rewritten_world: World) -> None:
    world = rewritten_world
    with Repository.open(str(world.clone), {}) as repository:
        objects = repository.objects
        commit, tree, blob = made(objects)
        stray = objects.add_blob(b"nobody needs it")
        reached = list(objects.new_from([commit, commit]))
        assert len(reached) == len(set(reached)) == 4
        assert {commit, tree, blob} < set(reached)
        assert objects.write_pack(objects.new_from([commit])) == 4
        assert objects.write_pack([]) == 0
    with Repository.open(str(world.clone), {}) as repository:
        assert repository.objects.blob(blob) == b"bytes\r\n\0"
        assert repository.objects.commit(commit).tree == tree
        assert stray not in repository.objects
    assert world.git("cat-file", "-p", commit.decode()).endswith("Title")
    assert world.git("fsck", "--strict", "--no-dangling") == ""


def loose(world: World, oid: Oid) -> Path:
    name = oid.decode()
    return world.clone / ".git" / "objects" / name[:2] / name[2:]


def test_a_pack_of_the_same_objects_does_not_replace_one_in_use(rewritten_world: World) -> None:
    """As undone and run again: the ids are the same, their order and so the bytes are not."""
    with Repository.open(str(rewritten_world.clone), {}) as repository:
        objects = repository.objects
        folder = rewritten_world.clone / ".git" / "objects" / "pack"
        before = set(folder.iterdir())
        oids = [objects.add(BLOB, data) for data in (b"one", b"two")]
        objects.write_pack(oids)
        objects.let_go()
        first = {path: path.read_bytes() for path in set(folder.iterdir()) - before}
        assert objects._from_disk(oids[0]) == (BLOB, b"one")
        objects.write_pack(reversed(oids))
        assert objects._from_disk(oids[0]) == (BLOB, b"one")
    assert {path: path.read_bytes() for path in first} == first
    assert len(set(folder.glob("*.pack")) - before) == 2
    assert rewritten_world.git("fsck", "--strict", "--no-dangling") == ""


def test_damage_that_can_be_unpacked_is_noticed(rewritten_world: World) -> None:
    """zlib's own checksum is the last thing in the file, and nobody reads so far."""
    world = rewritten_world
    oid = Oid(world.git("hash-object", "-w", "--stdin", stdin=b"as it was staged").encode())
    loose(world, oid).chmod(0o644)
    loose(world, oid).write_bytes(zlib.compress(b"blob 16\0as it was stagef"))
    with Repository.open(str(world.clone), {}) as repository:
        with pytest.raises(Refused) as refused:
            repository.objects.blob(oid)
        assert refused.value.kind == "damaged-object"


@pytest.mark.parametrize("damage", [b"", b"x\x9c"])
def test_a_damaged_object_of_the_same_id_is_noticed(rewritten_world: World, damage: bytes) -> None:
    """A power cut leaves an empty file; whoever takes it for the object keeps nothing."""
    world = rewritten_world
    with Repository.open(str(world.clone), {}) as repository:
        objects = repository.objects
        blob = objects.add_blob(b"precious")
        loose(world, blob).parent.mkdir(exist_ok=True)
        loose(world, blob).write_bytes(damage)
        objects.write_pack([blob])
    assert world.git("cat-file", "blob", blob.decode()) == "precious"
    with Repository.open(str(world.clone), {}) as repository:
        assert repository.objects.blob(blob) == b"precious"


@pytest.mark.parametrize(
    "raw",
    [
        b"100644 a\0" + b"\1" * 20 + b"100644 a\0" + b"\1" * 20,
        b"100644 a/b\0" + b"\1" * 20,
        b"100644 \0" + b"\1" * 20,
    ],
)
def test_trees_that_no_tree_may_be(objects: Objects, raw: bytes) -> None:
    with pytest.raises(Refused) as caught:
        objects.tree(objects.add(TREE, raw))
    assert caught.value.kind == "hostile-tree"


@pytest.mark.parametrize("raw", [b"100644", b"100644 a", b"100644 a\0short", b"rubbish a\0" + b"\1" * 20])
def test_trees_that_are_cut_off(objects: Objects, raw: bytes) -> None:
    with pytest.raises(Refused):
        objects.tree(objects.add(TREE, raw))


def test_an_object_of_another_type(objects: Objects) -> None:
    commit, tree, blob = made(objects)
    for read, oid in ((objects.tree, blob), (objects.blob, tree), (objects.commit, tree)):
        with pytest.raises(Refused) as caught:
            read(oid)
        assert caught.value.kind == "missing-object"
    assert not objects.is_commit(tree)
    assert objects.is_commit(commit)


def test_tags_are_followed_to_the_end(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("tag", "-a", "-m", "one", "one", "main")
    world.git("tag", "-a", "-m", "two", "two", "one")
    with Repository.open(str(world.clone), {}) as repository:
        two = Oid(world.git("rev-parse", "two").encode())
        assert repository.objects.raw(two)[0] not in (COMMIT, TREE, BLOB)
        assert repository.objects.peel(two) == world.git("rev-parse", "main").encode()


def test_a_sha256_repository(tmp_path: Path) -> None:
    env = environment(tmp_path)
    subprocess.run(["git", "init", "-q", "--object-format=sha256", str(tmp_path / "r")], check=True, env=env)
    with Repository.open(str(tmp_path / "r"), {}) as repository:
        blob = repository.objects.add_blob(b"bytes")
        assert len(blob) == repository.objects.hex_length == 64
        repository.objects.write_pack([blob])
    done = subprocess.run(
        ["git", "cat-file", "blob", blob.decode()],
        cwd=tmp_path / "r",
        capture_output=True,
        check=True,
        env=env,
    )
    assert done.stdout == b"bytes"
    assert os.listdir(tmp_path / "r" / ".git" / "objects" / "pack")


@pytest.mark.parametrize(
    ("stored", "sha"),
    [
        *(
            (stored, sha)
            for stored in ("loose", "packed", "delta", "in memory")
            for sha in ("sha1", "sha256")
        ),
        ("alternate", "sha1"),  # dulwich 1.2.21 takes every alternate for one of SHA-1
    ],
)
def test_a_large_blob_comes_in_pieces(tmp_path: Path, stored: str, sha: str) -> None:
    env = environment(tmp_path)

    def git(*arguments: str, data: bytes = b"") -> bytes:
        command = ["git", "-C", str(tmp_path / "r"), *arguments]
        return subprocess.run(command, input=data, env=env, check=True, capture_output=True).stdout.strip()

    subprocess.run(["git", "init", "-q", f"--object-format={sha}", str(tmp_path / "r")], check=True, env=env)
    data = b"".join(b"line %d\n" % number for number in range(400_000))
    oid = Oid(git("hash-object", "-w", "--stdin", data=data))
    if stored in ("packed", "delta", "alternate"):
        git("update-ref", "refs/tags/blob", oid.decode())
        other = git("hash-object", "-w", "--stdin", data=data + b"one more\n")
        git("update-ref", "refs/tags/other", other.decode())
        git("repack", "-q", "-a", "-d", f"--depth={50 if stored == 'delta' else 0}", "--window=10")
    root = tmp_path / "r"
    if stored == "alternate":
        root = tmp_path / "borrower"
        clone = ["git", "clone", "-q", "--shared", "--no-checkout", str(tmp_path / "r"), str(root)]
        subprocess.run(clone, check=True, env=env)
    with Repository.open(str(root), {}) as repository:
        objects = repository.objects
        if stored == "in memory":
            oid = objects.add_blob(data + b"mine")
            data += b"mine"
        assert list(objects.pieces(oid)) == [data], "whole, because it is below the threshold"
        objects.largest = 1 << 20
        assert objects.size(oid) == len(data)
        pieces = list(objects.pieces(oid))
        assert b"".join(pieces) == data
        if stored in ("loose", "packed", "alternate"):
            assert max(map(len, pieces)) <= 1 << 20
        if stored != "in memory":
            with pytest.raises(LargeBlob):
                objects.blob(oid)


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_large_blob_that_is_damaged(tmp_path: Path, damage: str) -> None:
    env = environment(tmp_path)
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True, env=env)
    data = os.urandom(300_000)
    oid = Oid(subprocess.check_output([*git, "hash-object", "-w", "--stdin"], input=data, env=env).strip())
    path = tmp_path / ".git" / "objects" / oid[:2].decode() / oid[2:].decode()
    path.chmod(0o644)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000] if damage == "cut" else whole[:1000] + b"x" * 1000 + whole[2000:])
    with Repository.open(str(tmp_path), {}) as repository:
        repository.objects.largest = 1000
        with pytest.raises(Refused) as refused:
            list(repository.objects.pieces(oid))
        assert refused.value.kind == "damaged-object"


def test_numbers_of_the_configuration_are_gits(tmp_path: Path) -> None:
    """dulwich takes them for plain ones when it opens a repository."""
    env = environment(tmp_path)
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True, env=env)
    for name in ("core.bigFileThreshold", "core.packedGitLimit", "pack.windowMemory", "pack.deltaCacheSize"):
        subprocess.run([*git, "config", name, "2m"], check=True, env=env)
    with Repository.open(str(tmp_path), {}) as repository:
        assert repository.objects.largest == 2 << 20
