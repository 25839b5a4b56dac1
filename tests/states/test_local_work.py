"""What stands uncommitted in a clone (numbers 1 to 34 of the list of bad states): nothing of it is lost."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import struct
import time
from contextlib import suppress

import pytest

from tests.conftest import World, needs_git
from tests.rewritten import CONFIG, publish, work
from tests.states.play import (
    LATER,
    RUN,
    pinned,
    refused,
    rescue,
    rewrite,
    run,
    saved,
    state,
    undone,
    verdicts,
)

pytestmark = needs_git

# Upstream's rewrite makes these edits of the same line conflict with it.
THEIRS = CONFIG.replace("setting_5 = 5", "setting_5 = theirs")
MINE = CONFIG.replace("setting_5 = 5", "setting_5 = mine")
STAGED = CONFIG.replace("setting_5 = 5", "setting_5 = staged")


# --- the index ---------------------------------------------------------------------------------------


@pytest.mark.state(1)
def test_staged_and_edited_again(clone: World) -> None:
    clone.write("etc/tool.conf", STAGED)
    clone.git("add", "etc/tool.conf")
    clone.write("etc/tool.conf", MINE)
    rewrite(clone, {"etc/tool.conf": THEIRS})
    before = state(clone)
    done = run(clone, code=3)
    assert saved(clone, done, "etc/tool.conf", "^2") == STAGED.encode()
    assert saved(clone, done, "etc/tool.conf") == MINE.encode()
    assert (clone.clone / "etc/tool.conf").read_text() == THEIRS
    undone(clone, before)


@pytest.mark.state(2)
def test_staged_and_deleted(clone: World) -> None:
    clone.write("etc/tool.conf", STAGED)
    clone.git("add", "etc/tool.conf")
    (clone.clone / "etc/tool.conf").unlink()
    rewrite(clone, {"etc/tool.conf": THEIRS})
    before = state(clone)
    done = run(clone, code=3)
    assert saved(clone, done, "etc/tool.conf", "^2") == STAGED.encode()
    assert clone.git("ls-tree", "--name-only", rescue(done), "etc/tool.conf") == ""
    undone(clone, before)


@pytest.mark.state(3)
@pytest.mark.parametrize("upstream_has_it", [False, True])
def test_intent_to_add(clone: World, upstream_has_it: bool) -> None:
    clone.write("planned.txt", "planned\n")
    clone.git("add", "--intent-to-add", "planned.txt")
    rewrite(clone, {"planned.txt": "theirs\n"} if upstream_has_it else {})
    before = state(clone)
    done = run(clone, code=3 if upstream_has_it else 0)
    assert saved(clone, done, "planned.txt") == b"planned\n"
    if not upstream_has_it:
        assert (clone.clone / "planned.txt").read_text() == "planned\n"
    undone(clone, before)


@pytest.mark.state(5)
@pytest.mark.state(6)
@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
@pytest.mark.parametrize("conflict", [True, False])
def test_an_edit_that_git_is_told_not_to_see(clone: World, flag: str, conflict: bool) -> None:
    clone.git("update-index", flag, "etc/tool.conf")
    clone.write("etc/tool.conf", MINE)
    assert clone.git("status", "--porcelain") == ""
    rewrite(clone, {"etc/tool.conf": THEIRS if conflict else CONFIG.replace("setting_1 = 1\n", "")})
    before = state(clone)
    done = run(clone, code=3 if conflict else 0)
    assert saved(clone, done, "etc/tool.conf") == MINE.encode()
    assert verdicts(done) == {("etc/tool.conf", "unstaged"): "parked" if conflict else "restored"}
    assert ("mine" in (clone.clone / "etc/tool.conf").read_text()) is not conflict
    undone(clone, before)


# --- what git does not have, in the way of what comes ----------------------------------------------------


@pytest.mark.state(7)
def test_an_ignored_file_that_upstream_adds(clone: World) -> None:
    clone.write(".git/info/exclude", "secret.key\n")
    clone.write("secret.key", "my secret\n")
    rewrite(clone, {"secret.key": "theirs\n"})
    before = state(clone)
    done = run(clone, code=3)
    assert verdicts(done) == {("secret.key", "ignored"): "parked"}
    assert pinned(clone, done, "secret.key") == b"my secret\n"
    assert "my secret" not in clone.git("log", "--all", "-p", "-m", "--exclude=refs/resync/*", "--branches")
    undone(clone, before)


@pytest.mark.state(8)
@pytest.mark.parametrize("same", [True, False])
def test_an_untracked_file_that_upstream_adds(clone: World, same: bool) -> None:
    clone.write("notes.txt", "notes\n")
    rewrite(clone, {"notes.txt": "notes\n" if same else "theirs\n"})
    before = state(clone)
    done = run(clone, code=0 if same else 3)
    assert verdicts(done) == {("notes.txt", "untracked"): "adopted" if same else "parked"}
    assert saved(clone, done, "notes.txt", "^3") == b"notes\n"
    undone(clone, before)


@pytest.mark.state(9)
@pytest.mark.state(10)
@pytest.mark.parametrize(
    ("setting", "tracked", "twin"),
    [
        ("core.ignoreCase", "dir/one.txt", "dir/One.txt"),
        ("core.precomposeUnicode", "caf\u00e9.txt", "cafe\u0301.txt"),
    ],
)
def test_an_untracked_twin_of_a_tracked_file(clone: World, setting: str, tracked: str, twin: str) -> None:
    """On this disk they are two files, whatever the configuration says that came from another one."""
    clone.write(twin, "untracked\n")
    if (clone.clone / tracked).read_text() == "untracked\n":
        pytest.skip("this disk takes the two names for one")
    clone.git("config", setting, "true")
    rewrite(clone, {tracked: None, twin: "theirs\n"})
    before = state(clone)
    done = run(clone, code=3)
    assert verdicts(done) == {(twin, "untracked"): "parked"}
    assert saved(clone, done, twin, "^3") == b"untracked\n"
    undone(clone, before)


@pytest.mark.state(11)
def test_an_untracked_file_where_upstream_has_a_directory(clone: World) -> None:
    clone.write("lib", "mine\n")
    rewrite(clone, {"lib/a.txt": "a\n", "lib/deep/b.txt": "b\n"})
    before = state(clone)
    done = run(clone, code=3)
    assert saved(clone, done, "lib", "^3") == b"mine\n"
    assert (clone.clone / "lib/deep/b.txt").read_text() == "b\n"
    undone(clone, before)


@pytest.mark.state(12)
def test_an_untracked_directory_where_upstream_has_a_file(clone: World) -> None:
    clone.write("lib/a.txt", "a\n")
    clone.write("lib/deep/b.txt", "b\n")
    (clone.clone / "lib/deep/c.link").symlink_to("nowhere")
    rewrite(clone, {"lib": "theirs\n"})
    before = state(clone)
    done = run(clone, code=3)
    assert (clone.clone / "lib").read_text() == "theirs\n"
    assert saved(clone, done, "lib/a.txt", "^3") == b"a\n"
    assert saved(clone, done, "lib/deep/b.txt", "^3") == b"b\n"
    assert saved(clone, done, "lib/deep/c.link", "^3") == b"nowhere\n"
    undone(clone, before)


@pytest.mark.state(13)
def test_a_tracked_directory_that_is_a_link_now(clone: World) -> None:
    outside = clone.base / "outside"
    outside.mkdir()
    (outside / "one.txt").write_text("outside\n")
    shutil.rmtree(clone.clone / "dir")
    (clone.clone / "dir").symlink_to("../outside")
    rewrite(clone, {"dir/one.txt": "theirs\n", "dir/new.txt": "new\n"})
    before = state(clone)
    done = run(clone, code=3)
    assert saved(clone, done, "dir", "^3") == b"../outside\n"
    assert [each.name for each in outside.iterdir()] == ["one.txt"]
    assert (outside / "one.txt").read_text() == "outside\n"
    undone(clone, before)


@pytest.mark.state(14)
def test_an_untracked_link_to_a_directory_in_the_way(clone: World) -> None:
    outside = clone.base / "outside"
    outside.mkdir()
    (outside / "a.txt").write_text("outside\n")
    (clone.clone / "lib").symlink_to("../outside")
    rewrite(clone, {"lib/a.txt": "theirs\n"})
    before = state(clone)
    done = run(clone, code=3)
    assert saved(clone, done, "lib", "^3") == b"../outside\n"
    assert (outside / "a.txt").read_text() == "outside\n"
    assert (clone.clone / "lib/a.txt").read_text() == "theirs\n"
    undone(clone, before)


@pytest.mark.state(15)
@pytest.mark.parametrize("place", ["lib", "lib/inside", "lib/a.txt"])
def test_a_nested_repository_in_the_way(clone: World, place: str) -> None:
    nested = clone.clone / place
    clone.git("init", "-q", str(nested))
    clone.commit("Nested", {"file": "bytes\n"}, at=nested)
    rewrite(clone, {"lib": "theirs\n"} if place != "lib/a.txt" else {"lib/a.txt": "theirs\n"})
    refused(clone, "repository-in-the-way")


@pytest.mark.state(16)
def test_a_submodule_with_unpushed_work_in_the_way(clone: World) -> None:
    at = work(clone)
    library = clone.base / "library"
    clone.git("init", "-q", "-b", "main", str(library), at=clone.base)
    clone.commit("Lib", {"lib.txt": "1\n"}, at=library)
    allow = ("-c", "protocol.file.allow=always")
    clone.git(*allow, "submodule", "add", "-q", str(library), "lib", at=at)
    clone.git("commit", "-q", "-m", "With a library", at=at)
    clone.git("push", "-q", "origin", "main", at=at)
    clone.git("pull", "-q", "--rebase")
    clone.git(*allow, "submodule", "update", "-q", "--init")
    clone.commit("Unpushed", {"lib.txt": "2\n"}, at=clone.clone / "lib")
    clone.git("reset", "-q", "--hard", "main~1", at=at)
    shutil.rmtree(at / "lib", ignore_errors=True)
    rewrite(clone, {"lib": "theirs\n"})
    refused(clone, "repository-in-the-way")


@pytest.mark.state(26)
@pytest.mark.state(27)
@pytest.mark.parametrize(
    ("kind", "place"), [("fifo", "lib"), ("fifo", "lib/pipe"), ("socket", "lib/pipe"), ("device", "lib")]
)
def test_a_special_file_in_the_way(clone: World, kind: str, place: str) -> None:
    """It is never opened: reading a FIFO would wait for ever."""
    path = clone.clone / place
    path.parent.mkdir(exist_ok=True)
    if kind == "fifo":
        os.mkfifo(path, 0o640)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(os.path.relpath(path))
    elif os.geteuid() != 0:
        pytest.skip("only root makes devices")
    else:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    rewrite(clone, {"lib": "theirs\n"})
    before = state(clone)
    inode = path.lstat().st_ino
    done = run(clone, code=3)
    assert verdicts(done) == {(place, "special"): "parked"}
    assert (clone.clone / "lib").read_text() == "theirs\n"
    (waiting,) = clone.resync("status", "--json").json["waiting"]
    (aside,) = waiting["moved_aside"]
    assert (aside["path"], os.lstat(aside["to"]).st_ino) == (place, inode)
    undone(clone, before)
    assert path.lstat().st_ino == inode, "it is the very same, with whoever holds it open"


# --- what stat data may hide ---------------------------------------------------------------------------


@pytest.mark.state(17)
@pytest.mark.state(18)
@pytest.mark.parametrize("put_back", [False, True])
def test_an_edit_of_the_same_size(clone: World, put_back: bool) -> None:
    path = clone.clone / "etc/tool.conf"
    same_size = CONFIG.replace("setting_5 = 5", "setting_5 = 6")
    if put_back:
        status = path.stat()
        time.sleep(1.05)  # git compares whole seconds
        path.write_text(same_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        clone.git("add", "etc/tool.conf")
        path.write_text(same_size)
    rewrite(clone, {"etc/tool.conf": THEIRS})
    before = state(clone)
    done = run(clone, code=3)
    assert saved(clone, done, "etc/tool.conf") == same_size.encode()
    undone(clone, before)


@pytest.mark.state(19)
@pytest.mark.parametrize("attribute", ["text", "text=auto", "-text", "eol=crlf"])
def test_mixed_line_ends(clone: World, attribute: str) -> None:
    mixed = b"one\r\ntwo\nthree\rfour\r\n"
    clone.write(".git/info/attributes", f"*.conf {attribute}\n")
    clone.write("etc/tool.conf", mixed)
    rewrite(clone, {"etc/tool.conf": THEIRS})
    before = state(clone)
    done = run(clone, code=3)
    kept = clone.git("cat-file", "blob", f"{rescue(done)}:etc/tool.conf")
    assert os.fsencode(kept) + b"\n" == mixed
    undone(clone, before)


# --- more than bytes -----------------------------------------------------------------------------------


@pytest.mark.state(22)
@pytest.mark.parametrize("upstream", ["leaves it", "edits it", "makes it executable", "removes it"])
def test_the_executable_bit_only(clone: World, upstream: str) -> None:
    (clone.clone / "etc/tool.conf").chmod(0o755)
    at = work(clone)
    if upstream == "makes it executable":
        (at / "etc/tool.conf").chmod(0o755)
        clone.git("commit", "-q", "-a", "--amend", "--no-edit", at=at)
        clone.git("checkout", "-q", "--detach", at=at)
        clone.git("reset", "-q", "--hard", "main~1", at=at)
        (at / "etc/tool.conf").chmod(0o755)
        clone.git("commit", "-q", "-a", "-m", "Executable", at=at)
        clone.git("checkout", "-q", "-B", "main", at=at)
        clone.commit("New way", {"numbers.txt": "new\n"}, at=at)
        clone.git("push", "-q", "--force", "origin", "main", at=at)
    else:
        edit: dict[str, dict[str, str | bytes | None]] = {
            "leaves it": {},
            "edits it": {"etc/tool.conf": THEIRS},
            "removes it": {"etc/tool.conf": None},
        }
        rewrite(clone, edit[upstream])
    before = state(clone)
    done = run(clone, code=3 if upstream == "removes it" else 0)
    assert clone.git("ls-tree", rescue(done), "etc/tool.conf").startswith("100755")
    if upstream != "removes it":
        assert (clone.clone / "etc/tool.conf").stat().st_mode & 0o777 == 0o755
    undone(clone, before)


@pytest.mark.state(22)
@pytest.mark.state(23)
@pytest.mark.parametrize("upstream", ["edits it", "removes it", "has it too"])
def test_permissions_and_owner(clone: World, upstream: str) -> None:
    """What only some may read is not opened to others, neither by the run nor by its undo."""
    name = "secret.key" if upstream == "has it too" else "etc/tool.conf"
    path = clone.write(name, CONFIG)
    if os.geteuid() == 0:
        os.chown(path, 65534, 12345)
    path.chmod(0o2640)
    clone.git("add", "-u")
    rewrite(clone, {name: None if upstream == "removes it" else THEIRS})
    before = state(clone)
    run(clone, code=3 if upstream == "has it too" else 0)
    if upstream != "removes it":
        assert path.stat().st_mode & 0o7777 == 0o2640
        assert path.stat().st_gid == before["files"][os.fsencode(name)][2]
    undone(clone, before)


@pytest.mark.state(23)
def test_a_folder_that_hands_on_its_group_and_its_list(clone: World) -> None:
    """A new file is what git, which makes it in the folder itself, would have made of it."""
    others = [1234] if os.geteuid() == 0 else [each for each in os.getgroups() if each != os.getegid()]
    if not others:
        pytest.skip("this user is in one group only, so no folder can hand on another one")
    for folder in (clone.clone, clone.clone / "etc"):
        os.chown(folder, -1, others[0])
        folder.chmod(0o2775)
    if hasattr(os, "setxattr"):
        with suppress(OSError):  # this file system has no lists
            os.setxattr(clone.clone / "etc", "system.posix_acl_default", ACL)
    rewrite(clone, {"top.txt": "new\n", "etc/sub/new": "new\n", "etc/new": "new\n"})
    at = work(clone)
    (at / "link").symlink_to("top.txt")
    (at / "etc/tool.sh").write_text("new\n")
    (at / "etc/tool.sh").chmod(0o755)
    clone.git("add", "-A", at=at)
    clone.git("commit", "-q", "--amend", "--no-edit", at=at)
    tip = publish(clone)
    new = ("top.txt", "link", "etc/new", "etc/tool.sh", "etc/sub", "etc/sub/new")

    def access() -> list[tuple[int, int, list[tuple[str, bytes]]]]:
        found = []
        for path in (clone.clone / name for name in new):
            names = os.listxattr(path, follow_symlinks=False) if hasattr(os, "listxattr") else []
            lists = [(name, os.getxattr(path, name)) for name in names if "acl" in name]
            found.append((path.lstat().st_mode, path.lstat().st_gid, lists))
        return found

    run(clone)
    ours = access()
    assert {group for _, group, _ in ours} == {others[0]}
    clone.git("reset", "-q", "--hard", "main@{1}")
    clone.git("reset", "-q", "--hard", tip)
    assert ours == access()


@pytest.mark.state(22)
@pytest.mark.parametrize("kept", [True, False])
def test_permissions_come_back_with_the_very_file_or_without_it(clone: World, kept: bool) -> None:
    """From the run's record, where somebody has cleared away what the run moved aside."""
    path = clone.clone / "etc/tool.conf"
    path.chmod(0o640)
    rewrite(clone, {"etc/tool.conf": None})
    before, inode = state(clone), path.stat().st_ino
    done = run(clone)
    assert not path.exists()
    if not kept:
        shutil.rmtree(clone.clone / ".git/resync/runs" / done.json["run"] / "quarantine")
    undone(clone, before)
    assert (path.stat().st_ino == inode) is kept


@pytest.mark.state(22)
@pytest.mark.state(23)
def test_permissions_and_owner_of_folders(clone: World) -> None:
    """A folder that goes with its files has them when it comes back; one that gets other files stays the very
    folder that it is."""
    rewrite(
        clone,
        {"dir/one.txt": None, "dir/two.txt": None, "etc/tool.conf": None, "etc/x": "x\n", "new/y": "y\n"},
    )
    modes = {"dir": 0o3770, "etc": 0o711, "new": 0o2700}

    def change(name: str) -> None:
        if os.geteuid() == 0:
            os.chown(clone.clone / name, -1, 12345)
        (clone.clone / name).chmod(modes[name])

    change("dir")
    change("etc")
    before, inode = state(clone), (clone.clone / "etc").stat().st_ino
    run(clone)
    assert not (clone.clone / "dir").exists()
    change("new")
    after = state(clone)
    for expected, gone in ((before, "new"), (after, "dir"), (before, "new")):
        undone(clone, expected)
        assert not (clone.clone / gone).exists()
        assert (clone.clone / "etc").stat().st_ino == inode


ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, bits, who)
    for tag, bits, who in (
        (1, 6, 0xFFFFFFFF),  # the owner reads and writes,
        (2, 4, 12345),  # this user reads,
        (4, 0, 0xFFFFFFFF),  # the group does neither,
        (16, 4, 0xFFFFFFFF),  # and nobody but the owner more than read
        (32, 0, 0xFFFFFFFF),
    )
)
"""An access control list as Linux keeps it (linux/posix_acl_xattr.h)."""


@pytest.mark.state(23)
@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="Python cannot set extended attributes here")
def test_extended_attributes_and_access_control_lists(clone: World) -> None:
    """Kept with a file that stays, and put on one that is replaced."""
    paths = [clone.clone / name for name in ("etc/tool.conf", "dir/one.txt", "dir/two.txt")]
    attributes = {"user.origin": b"here", "system.posix_acl_access": ACL}
    try:
        for path in paths:
            for name, value in attributes.items():
                os.setxattr(path, name, value)
    except OSError:
        pytest.skip("this file system has no such attributes")
    edited, _, kept = paths
    clone.write("etc/tool.conf", CONFIG.replace("setting_9 = 9", "setting_9 = 99"))
    rewrite(clone, {"etc/tool.conf": CONFIG.replace("setting_1 = 1\n", ""), "dir/one.txt": None})
    before = state(clone)
    done = run(clone)
    assert done.json["attributes_lost"] == []
    assert "setting_9 = 99" in edited.read_text()
    for path in (edited, kept):
        assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == attributes
    undone(clone, before)
    for path in paths:
        assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == attributes


@pytest.mark.state(23)
@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="Python cannot set extended attributes here")
def test_attributes_that_may_not_be_set_are_reported(clone: World) -> None:
    path = clone.clone / "etc/tool.conf"
    try:
        os.setxattr(path, "trusted.origin", b"here")
    except OSError:
        pytest.skip("only root may set this attribute, and not everywhere")
    rewrite(clone, {"etc/tool.conf": THEIRS})
    # Root without CAP_SYS_ADMIN (capabilities(7)) sees no trusted attributes; so the refusal is played.
    program = (
        "import errno, os, sys\n"
        "def denied(*arguments): raise OSError(errno.EPERM, 'Operation not permitted')\n"
        "os.setxattr = denied\n"
        "from resync.cli import run_command\n"
        "sys.exit(run_command(sys.argv[1:]))\n"
    )
    done = clone.python(program, "run", "--yes")
    assert done.code == 0, done
    assert "  etc/tool.conf\n" in done.out.partition("extended attributes")[2]
    assert clone.resync("undo", "--yes", env=LATER).code == 0
    assert os.getxattr(path, "trusted.origin") == b"here"


@pytest.mark.state(24)
def test_a_file_with_a_second_name(clone: World) -> None:
    """A hard link elsewhere (a backup tool's, a package cache's) keeps the old bytes."""
    other = clone.base / "other"
    os.link(clone.clone / "etc/tool.conf", other)
    rewrite(clone, {"etc/tool.conf": THEIRS})
    before = state(clone)
    run(clone)
    assert (clone.clone / "etc/tool.conf").read_text() == THEIRS
    assert other.read_text() == CONFIG
    undone(clone, before)
    assert other.read_text() == CONFIG


@pytest.mark.state(25)
@pytest.mark.parametrize("tracked", [False, True])
def test_a_sparse_file_above_the_threshold(clone: World, tracked: bool) -> None:
    """tests/test_large_files.py measures that none is held in memory."""
    clone.git("config", "core.bigFileThreshold", "64k")
    name = "etc/tool.conf" if tracked else "image.raw"
    os.truncate(clone.clone / name if tracked else clone.write(name, ""), 10 << 20)
    rewrite(clone, {"etc/tool.conf": THEIRS, "image.raw": "theirs\n"})
    before = state(clone)
    done = run(clone, code=3)
    assert (name, "parked") in {(file["path"], file["verdict"]) for file in done.json["files"]}
    undone(clone, before)


@pytest.mark.state(29)
@pytest.mark.parametrize("name", [b"caf\xe9.txt", b'two\nlines "\x07\x1b[31m'])
def test_odd_names(clone: World, name: bytes) -> None:
    at = os.fsencode(work(clone))
    clone.git("-C", "../work", "config", "core.quotePath", "true")
    with open(os.path.join(os.fsencode(clone.clone), name), "wb") as file:
        file.write(b"mine\n")
    clone.git("reset", "-q", "--hard", "main~1", at=work(clone))
    with open(os.path.join(at, name), "wb") as file:
        file.write(b"theirs\n")
    clone.git("add", "-A", at=work(clone))
    clone.commit("New way", {"numbers.txt": "new\n"}, at=work(clone))
    clone.git("push", "-q", "--force", "origin", "main", at=work(clone))
    before = state(clone)
    done = run(clone, code=3)
    (file_,) = done.json["files"]
    assert bytes.fromhex(file_.get("path_hex", file_["path"].encode().hex())) == name
    kept = clone.git("ls-tree", "-z", "--name-only", f"{rescue(done)}^3")
    assert os.fsencode(kept) == name + b"\0"
    shown = clone.resync("rescue", "show").out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    undone(clone, before)


@pytest.mark.state(30)
def test_empty_directories_are_left(clone: World) -> None:
    for name in ("empty", "dir/empty", "a/b/c"):
        (clone.clone / name).mkdir(parents=True)
    rewrite(clone, {"dir/one.txt": None, "dir/two.txt": None})
    before = state(clone)
    run(clone)
    assert all((clone.clone / name).is_dir() for name in ("empty", "dir/empty", "a/b/c"))
    undone(clone, before)


# --- commits and stashes -------------------------------------------------------------------------------


@pytest.mark.state(31)
def test_stashes_are_untouched(clone: World) -> None:
    for number in range(3):
        clone.write("etc/tool.conf", CONFIG + f"# {number}\n")
        clone.git("stash", "-q")
    stashes = (
        clone.git("stash", "list", "--format=%H %gs"),
        (clone.clone / ".git/logs/refs/stash").read_bytes(),
    )
    rewrite(clone, {"etc/tool.conf": THEIRS})
    before = state(clone)
    run(clone)
    found = clone.git("stash", "list", "--format=%H %gs"), (clone.clone / ".git/logs/refs/stash").read_bytes()
    assert found == stashes
    undone(clone, before)
    assert clone.git("rev-parse", "stash@{2}^{tree}")


@pytest.mark.state(32)
def test_commits_on_a_detached_head(clone: World) -> None:
    clone.git("checkout", "-q", "--detach")
    mine = clone.commit("On no branch", {"mine.txt": "mine\n"})
    rewrite(clone)
    before = state(clone)
    done = clone.resync(*RUN, "--upstream", "origin/main")
    assert done.code == 0, done
    assert clone.git("log", "-3", "--format=%s").splitlines() == ["On no branch", "Ship a plugin", "New way"]
    assert clone.git("rev-parse", rescue(done)) == mine
    assert clone.git("symbolic-ref", "-q", "HEAD", check=False) == ""
    undone(clone, before)


@pytest.mark.state(34)
def test_every_kind_of_commit_is_saved_as_it_was(clone: World) -> None:
    clone.git("checkout", "-q", "-b", "side")
    clone.commit("On the side", {"side.txt": "side\n"})
    clone.git("checkout", "-q", "main")
    clone.git("commit", "-q", "--allow-empty", "-m", "Empty")
    clone.git("merge", "-q", "--no-ff", "-m", "Join", "side")
    clone.write("latin.txt", "x\n")
    clone.git("add", "latin.txt")
    clone.git("-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "-F", "-", stdin=b"Gr\xfc\xdfe\n")
    raw = clone.git("cat-file", "commit", "HEAD")
    signed = raw.replace("\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END-----\n\n", 1)
    oid = clone.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=os.fsencode(signed + "\n"))
    clone.git("reset", "-q", "--hard", oid)
    rewrite(clone)
    before = state(clone)
    done = clone.resync(*RUN)
    assert done.code == 0, done
    assert clone.git("rev-parse", rescue(done)) == oid
    subjects = clone.git("log", "--format=%s", "origin/main..").splitlines()
    assert set(subjects) == {"Grüße", "Join", "Empty", "On the side", "Ship a plugin"}
    undone(clone, before)
