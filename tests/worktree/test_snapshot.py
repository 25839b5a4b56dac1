"""What a checkout holds, as commits: a stash by its shape, so that git itself can take it out again."""

from __future__ import annotations

from collections.abc import Callable

from resync.model import MODE_FILE, Head, InTheWay, Oid, RefName, TreeEntry, TreePath
from resync.worktree.snapshot import Snapshot, is_snapshot, snapshot
from resync.worktree.status import read_status
from tests.conftest import needs_git
from tests.worktree.conftest import Opened, Sandbox

pytestmark = needs_git

WHO = b"C O Mitter <c@example.com> 1461092552 +0000"
LINES = b"".join(b"line %d\n" % number for number in range(9))
RESCUE = "refs/heads/rescue/main"


def committed(sandbox: Sandbox) -> None:
    for name in ("edited", "staged", "both", "removed", "deleted", "d/f", "mode"):
        sandbox.write(name, LINES)
    (sandbox.root / "link").symlink_to("edited")
    sandbox.commit_all()


def edits(sandbox: Sandbox) -> None:
    """One edit of every kind that a stash can hold."""
    sandbox.write("edited", LINES + b"unstaged\n")
    sandbox.write("staged", b"staged\n" + LINES)
    sandbox.write("both", b"staged\n" + LINES)
    sandbox.write("new", b"added\n")
    sandbox.git("add", "staged", "both", "new")
    sandbox.write("both", b"staged\n" + LINES + b"unstaged\n")
    sandbox.git("rm", "-q", "removed")
    (sandbox.root / "deleted").unlink()
    (sandbox.root / "mode").chmod(0o755)
    (sandbox.root / "link").unlink()
    (sandbox.root / "link").symlink_to("d/f")


def taken(
    sandbox: Sandbox, in_the_way: Callable[[Opened], list[InTheWay]] = lambda _: []
) -> tuple[Snapshot, Oid]:
    """The snapshot of the checkout, in its repository and on a rescue branch; and the branch's tip."""
    with sandbox.open() as opened:
        objects = opened.objects
        index, modified = sandbox.index()
        tip = Oid(opened.repo.head())
        tree = objects.commit(tip).tree
        changes = read_status(
            objects, str(sandbox.root), index, modified, tree, opened.settings(), opened.filters()
        )
        head = Head(branch=RefName(b"refs/heads/main"), tip=tip)
        made = snapshot(objects, head, changes, in_the_way(opened), WHO)
        store(opened, [made.rescue, *([made.private] if made.private else [])])
        assert is_snapshot(objects.commit(made.rescue)) == (made.rescue != tip)
    sandbox.git("update-ref", RESCUE, made.rescue.decode())
    return made, tip


def store(opened: Opened, tips: list[Oid]) -> None:
    from dulwich.objects import ShaFile

    for oid in opened.objects.new_from(tips):
        opened.repo.object_store.add_object(ShaFile.from_raw_string(*opened.objects.raw(oid)))


def state(sandbox: Sandbox) -> tuple[bytes, bytes, dict[str, tuple[int, bytes]]]:
    """What git says of the checkout: status, index entries, and every file with its mode."""
    files = {}
    for path in sorted(sandbox.root.rglob("*")):
        if ".git" in path.parts[len(sandbox.root.parts) :] or (path.is_dir() and not path.is_symlink()):
            continue
        data = bytes(path.readlink()) if path.is_symlink() else path.read_bytes()
        files[str(path.relative_to(sandbox.root))] = (path.lstat().st_mode & 0o100, data)
    return sandbox.git("status", "--porcelain", "-uall"), sandbox.git("ls-files", "-s"), files


def test_git_stash_apply_brings_everything_back(sandbox: Sandbox) -> None:
    committed(sandbox)
    edits(sandbox)
    before = state(sandbox)
    taken(sandbox)
    assert state(sandbox) == before, "a snapshot changes nothing"
    sandbox.git("reset", "-q", "--hard")
    sandbox.git("clean", "-qfd")
    sandbox.git("stash", "apply", "--index", "-q", RESCUE)
    assert state(sandbox) == before
    assert b"missing" not in sandbox.git("fsck", "--strict")


def test_untracked_files_come_back_too(sandbox: Sandbox) -> None:
    committed(sandbox)
    edits(sandbox)
    sandbox.write("d/untracked", b"mine\n")
    before = state(sandbox)

    def untracked(opened: Opened) -> list[InTheWay]:
        entry = TreeEntry(MODE_FILE, opened.objects.add_blob(b"mine\n"))
        return [InTheWay(path=TreePath(b"d/untracked"), entry=entry, ignored=False)]

    made, _ = taken(sandbox, untracked)
    assert made.private is None
    sandbox.git("reset", "-q", "--hard")
    sandbox.git("clean", "-qfd")
    sandbox.git("stash", "apply", "--index", "-q", RESCUE)
    assert state(sandbox) == before


def test_only_untracked_files(sandbox: Sandbox) -> None:
    committed(sandbox)
    sandbox.write("untracked", b"mine\n")

    def untracked(opened: Opened) -> list[InTheWay]:
        entry = TreeEntry(MODE_FILE, opened.objects.add_blob(b"mine\n"))
        return [InTheWay(path=TreePath(b"untracked"), entry=entry, ignored=False)]

    before = state(sandbox)
    taken(sandbox, untracked)
    (sandbox.root / "untracked").unlink()
    sandbox.git("stash", "apply", "--index", "-q", RESCUE)
    assert state(sandbox) == before


def test_ignored_files_are_on_no_branch(sandbox: Sandbox) -> None:
    """They may be secrets, and a branch may be pushed."""
    committed(sandbox)
    sandbox.write("edited", b"edit\n")

    def ignored(opened: Opened) -> list[InTheWay]:
        entry = TreeEntry(MODE_FILE, opened.objects.add_blob(b"secret\n"))
        return [InTheWay(path=TreePath(b"d/key"), entry=entry, ignored=True)]

    made, _ = taken(sandbox, ignored)
    assert made.private is not None
    assert sandbox.git("cat-file", "-p", made.private.decode() + ":d/key") == b"secret\n"
    reachable = sandbox.git("rev-list", "--objects", RESCUE)
    assert sandbox.git("hash-object", "d/../edited").strip() in reachable
    assert sandbox.git("rev-parse", made.private.decode() + ":d/key").strip() not in reachable


def test_with_nothing_uncommitted_it_is_the_tip_itself(sandbox: Sandbox) -> None:
    committed(sandbox)
    made, tip = taken(sandbox)
    assert made == Snapshot(rescue=tip, private=None, raw=None)


def test_files_are_kept_with_their_raw_bytes(sandbox: Sandbox) -> None:
    """What git would convert on the way in is kept as it is on disk; clean files keep their blob."""
    sandbox.git("config", "core.autocrlf", "true")
    committed(sandbox)
    crlf = LINES.replace(b"\n", b"\r\n")
    sandbox.write("edited", crlf + b"more\r\n")
    taken(sandbox)
    assert sandbox.git("cat-file", "-p", RESCUE + ":edited") == crlf + b"more\r\n"
    assert sandbox.git("rev-parse", RESCUE + ":staged") == sandbox.git("rev-parse", "HEAD:staged")


def test_a_detached_head_has_a_name_too(sandbox: Sandbox) -> None:
    committed(sandbox)
    with sandbox.open() as opened:
        objects, tip = opened.objects, Oid(opened.repo.head())
        entry = TreeEntry(MODE_FILE, objects.add_blob(b""))
        way = [InTheWay(path=TreePath(b"x"), entry=entry, ignored=False)]
        made = objects.commit(snapshot(objects, Head(branch=None, tip=tip), [], way, WHO).rescue)
    assert made.subject == b"resync: uncommitted work on HEAD"
    assert made.author == made.committer == WHO
    assert len(made.parents) == 3
