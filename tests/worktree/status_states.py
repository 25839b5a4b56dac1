"""Random states of a checkout, in which ``git status`` and ours must say the same."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import socket
import stat
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from resync.model import PathState
from resync.worktree.status import read_status
from resync.worktree.untracked import find_untracked
from tests.worktree.conftest import Sandbox

FILES = [
    b"a.txt",
    b"b.txt",
    b"dir/c.txt",
    b"dir/d.txt",
    b"dir/sub/e.txt",
    b"dir.txt",
    b"dir-x/f",
    b"tool.sh",
    b"link",
    b"dir/link",
    b"empty",
    b"caf\xe9 \xff",
    b"new\nline",
    b"deep/1/2/3/g",
    b"deep/1/h",
    b"mod",
    b"mod2",
]
LINKS = {b"link", b"dir/link"}
MODULES = {b"mod", b"mod2"}


class Maker:
    """Makes one random state after another in a single repository, counting the kinds it made."""

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        self.sandbox = sandbox
        self.random = random.Random(seed)
        self.kinds: Counter[str] = Counter()
        self.index_lines: list[bytes] = []
        self.marks: dict[str, list[bytes]] = {}
        self.made: dict[bytes, str] = {}
        self.base()

    def base(self) -> None:
        for path in FILES:
            full = self.full(path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            if path in LINKS:
                os.symlink(b"a.txt", full)
            elif path in MODULES:
                self.sandbox.git("init", "-q", os.fsdecode(path))
                for message in ("one", "two"):
                    self.sandbox.git("-C", os.fsdecode(path), "commit", "-q", "--allow-empty", "-m", message)
            else:
                Path(os.fsdecode(full)).write_bytes(b"" if path == b"empty" else b"content of " + path)
        os.chmod(self.full(b"tool.sh"), 0o755)
        self.sandbox.git("-c", "advice.addEmbeddedRepo=false", "add", "-A")
        self.sandbox.git("commit", "-q", "-m", "base")
        info = self.sandbox.root / ".git" / "info"
        info.mkdir(exist_ok=True)
        (info / "exclude").write_bytes(b"ignored\n")
        shutil.copytree(self.sandbox.root / "mod", self.sandbox.home / "mod")

    def full(self, path: bytes) -> bytes:
        return os.path.join(os.fsencode(self.sandbox.root), path)

    def clear(self, path: bytes) -> None:
        full = self.full(path)
        if os.path.isdir(full) and not os.path.islink(full):
            shutil.rmtree(full)
        elif os.path.lexists(full):
            os.unlink(full)

    def reset(self) -> None:
        for name in os.listdir(os.fsencode(self.sandbox.root)):
            if name != b".git":
                self.clear(name)
        self.sandbox.index_file.unlink()
        self.sandbox.git("reset", "-q", "--hard")
        for path in MODULES:
            self.clear(path)
            shutil.copytree(self.sandbox.home / "mod", os.fsdecode(self.full(path)))
        self.index_lines, self.marks, self.made = [], {}, {}

    def stage(self, path: bytes, data: bytes, mode: bytes = b"100644", stage: int = 0) -> None:
        whole = b"blob %d\0" % len(data) + data
        oid = hashlib.sha1(whole).hexdigest()
        loose = self.sandbox.root / ".git/objects" / oid[:2] / oid[2:]
        if not loose.exists():
            loose.parent.mkdir(exist_ok=True)
            loose.write_bytes(zlib.compress(whole))
        self.index_lines.append(b"%s %s %d\t%s\0" % (mode, oid.encode(), stage, path))

    def unstage(self, path: bytes) -> None:
        self.index_lines.append(b"0 %s\t%s\0" % (b"0" * 40, path))

    def mark(self, option: str, path: bytes) -> None:
        self.marks.setdefault(option, []).append(path)

    def next_state(self) -> None:
        """Change some paths, each in one way; what goes to the index goes there in few calls of git."""
        self.reset()
        for path in self.random.sample(FILES, self.random.randint(1, 7)):
            kinds = MODULE_KINDS if path in MODULES else FILE_KINDS
            kind = self.random.choice(sorted(kinds))
            if not os.path.lexists(self.full(path)):
                continue  # its directory has been replaced
            self.make(kinds, kind, path)
        if self.random.random() < 0.5:
            name = self.random.choice([b"new", b"dir/new", b"other/new", b"ignored/new", b"other/ignored"])
            kind = self.random.choice(sorted(NEW_KINDS))
            if self.parents_are_real(name):
                self.make(NEW_KINDS, kind, name)
        if self.index_lines:
            self.sandbox.git("update-index", "-z", "--index-info", stdin=b"".join(self.index_lines))
        for option, paths in self.marks.items():
            if option == "add-n":
                paths = [path for path in paths if self.parents_are_real(path)]
            if option == "add-n" and paths:
                self.sandbox.git("-c", "core.safecrlf=false", "add", "-f", "-N", "--", *paths)
            elif paths:
                self.sandbox.git("update-index", "-z", option, "--stdin", stdin=b"\0".join(paths))

    def make(self, kinds: dict[str, Kind], kind: str, path: bytes) -> None:
        kinds[kind](self, path)
        self.kinds[kind] += 1
        self.kinds["ignored"] += kinds is NEW_KINDS and b"ignored" in path
        self.made[path] = kind

    def parents_are_real(self, path: bytes) -> bool:
        parent = os.path.dirname(self.full(path))
        return not os.path.islink(parent) and (os.path.isdir(parent) or not os.path.lexists(parent))

    def write(self, path: bytes, data: bytes) -> None:
        full = self.full(path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        Path(os.fsdecode(full)).write_bytes(data)


def edit(maker: Maker, path: bytes) -> None:
    maker.clear(path)
    maker.write(path, b"edited " + path * maker.random.randint(1, 3))


def edit_same_size(maker: Maker, path: bytes) -> None:
    full = Path(os.fsdecode(maker.full(path)))
    data = full.read_bytes() if not full.is_symlink() else b"a.txt"
    maker.clear(path)
    maker.write(path, data[::-1])


def chmod(maker: Maker, path: bytes) -> None:
    if path not in LINKS:
        os.chmod(maker.full(path), 0o755 if path != b"tool.sh" else 0o600)


def touch(maker: Maker, path: bytes) -> None:
    os.utime(maker.full(path), (1, 1), follow_symlinks=False)


def delete(maker: Maker, path: bytes) -> None:
    maker.clear(path)


def to_link(maker: Maker, path: bytes) -> None:
    maker.clear(path)
    os.symlink(b"nowhere", maker.full(path))


def to_directory(maker: Maker, path: bytes) -> None:
    maker.clear(path)
    maker.write(path + b"/inside", b"untracked")


def to_empty_directory(maker: Maker, path: bytes) -> None:
    maker.clear(path)
    os.mkdir(maker.full(path))


def to_fifo(maker: Maker, path: bytes) -> None:
    maker.clear(path)
    os.mkfifo(maker.full(path))


def to_socket(maker: Maker, path: bytes) -> None:
    maker.clear(path)
    here = os.getcwd()
    os.chdir(os.path.dirname(maker.full(path)))  # the path of a socket is short by law
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.basename(path))
    finally:
        os.chdir(here)


def to_repository(maker: Maker, path: bytes) -> None:
    maker.clear(path)
    shutil.copytree(maker.sandbox.home / "mod", os.fsdecode(maker.full(path)))


def parent_to_link(maker: Maker, path: bytes) -> None:
    parent = os.path.dirname(path)
    if not parent:
        return
    moved = maker.sandbox.home / f"moved-{maker.random.getrandbits(60)}"
    os.rename(maker.full(parent), moved)
    os.symlink(os.fsencode(maker.sandbox.home), maker.full(parent))


def parent_to_file(maker: Maker, path: bytes) -> None:
    parent = os.path.dirname(path)
    if parent:
        maker.clear(parent)
        maker.write(parent, b"a file")


def stage_only(maker: Maker, path: bytes) -> None:
    maker.stage(path, b"staged " + path)


def stage_and_same_file(maker: Maker, path: bytes) -> None:
    maker.stage(path, b"staged " + path)
    maker.clear(path)
    maker.write(path, b"staged " + path)


def stage_and_edit(maker: Maker, path: bytes) -> None:
    maker.stage(path, b"staged " + path)
    edit(maker, path)


def stage_and_delete(maker: Maker, path: bytes) -> None:
    maker.stage(path, b"staged " + path)
    maker.clear(path)


def stage_mode(maker: Maker, path: bytes) -> None:
    maker.stage(path, b"content of " + path, b"100755")


def stage_link(maker: Maker, path: bytes) -> None:
    maker.stage(path, b"elsewhere", b"120000")


def stage_deletion(maker: Maker, path: bytes) -> None:
    maker.unstage(path)
    maker.clear(path)


def stage_deletion_keep_file(maker: Maker, path: bytes) -> None:
    maker.unstage(path)


def stage_deletion_new_file(maker: Maker, path: bytes) -> None:
    maker.unstage(path)
    edit(maker, path)


def unmerged(maker: Maker, path: bytes) -> None:
    maker.unstage(path)
    for stage in maker.random.choice([(1, 2, 3), (2, 3), (1, 3), (1, 2)]):
        maker.stage(path, b"stage %d" % stage, stage=stage)
    maker.write(path, b"<<<<<<<\n") if path not in LINKS else None


def assume_unchanged_edit(maker: Maker, path: bytes) -> None:
    maker.mark("--assume-unchanged", path)
    edit(maker, path)


def skip_worktree_edit(maker: Maker, path: bytes) -> None:
    maker.mark("--skip-worktree", path)
    edit(maker, path)


def skip_worktree_missing(maker: Maker, path: bytes) -> None:
    maker.mark("--skip-worktree", path)
    maker.clear(path)


def intent_after_removal(maker: Maker, path: bytes) -> None:
    maker.unstage(path)
    edit(maker, path)
    maker.mark("add-n", path)


def module_moved(maker: Maker, path: bytes) -> None:
    maker.sandbox.git("-C", os.fsdecode(path), "reset", "-q", "--soft", "HEAD^")


def module_not_initialised(maker: Maker, path: bytes) -> None:
    to_empty_directory(maker, path)


def module_removed(maker: Maker, path: bytes) -> None:
    maker.clear(path)


def module_to_file(maker: Maker, path: bytes) -> None:
    maker.clear(path)
    maker.write(path, b"a file")


def module_unborn(maker: Maker, path: bytes) -> None:
    maker.clear(path)
    maker.sandbox.git("init", "-q", os.fsdecode(path))


def module_packed_refs(maker: Maker, path: bytes) -> None:
    maker.sandbox.git("-C", os.fsdecode(path), "commit", "-q", "--allow-empty", "-m", "three")
    maker.sandbox.git("-C", os.fsdecode(path), "pack-refs", "--all")


def new_staged(maker: Maker, path: bytes) -> None:
    maker.stage(path, b"new")
    maker.write(path, b"new")


def new_staged_edited(maker: Maker, path: bytes) -> None:
    maker.stage(path, b"new")
    maker.write(path, b"new and edited")


def new_staged_missing(maker: Maker, path: bytes) -> None:
    maker.stage(path, b"new")


def new_intended(maker: Maker, path: bytes) -> None:
    maker.write(path, b"intended")
    maker.mark("add-n", path)


def new_untracked(maker: Maker, path: bytes) -> None:
    maker.write(path, b"untracked")


def new_repository(maker: Maker, path: bytes) -> None:
    os.makedirs(os.path.dirname(maker.full(path)), exist_ok=True)
    shutil.copytree(maker.sandbox.home / "mod", os.fsdecode(maker.full(path)))


Kind = Callable[[Maker, bytes], None]
FILE_KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        edit, edit_same_size, chmod, touch, delete, to_link, to_directory, to_empty_directory, to_fifo,
        to_socket, to_repository, parent_to_link, parent_to_file, stage_only, stage_and_same_file,
        stage_and_edit,
        stage_and_delete, stage_mode, stage_link, stage_deletion, stage_deletion_keep_file,
        stage_deletion_new_file, unmerged, assume_unchanged_edit, skip_worktree_edit,
        skip_worktree_missing, intent_after_removal,
    )
}  # fmt: skip
MODULE_KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        module_moved, module_not_initialised, module_removed, module_to_file, module_unborn,
        module_packed_refs,
    )
}  # fmt: skip
NEW_KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        new_staged, new_staged_edited, new_staged_missing, new_intended, new_untracked, new_repository,
    )
}  # fmt: skip
KINDS = frozenset({*FILE_KINDS, *MODULE_KINDS, *NEW_KINDS, "ignored"})


def is_special(full: bytes) -> bool:
    return os.path.lexists(full) and stat.S_IFMT(os.lstat(full).st_mode) in (stat.S_IFIFO, stat.S_IFSOCK)


def git_says(maker: Maker) -> tuple[dict[bytes, tuple[bytes, ...]], set[bytes]]:
    """Path to (mode and id in HEAD, mode and id in the index, mode of the file), for paths that differ, and
    the untracked files. Repositories among those are left out: their files are nobody else's.

    The assume-unchanged bit, and the skip-worktree bit of files that exist, are taken away in a copy of
    the index: ours says of such a path what git says without them.
    """
    sandbox = maker.sandbox
    copy = str(sandbox.home / "index")
    shutil.copy2(sandbox.index_file, copy)  # with its time, which the racy rule needs
    if "--assume-unchanged" in maker.marks or "--skip-worktree" in maker.marks:
        hidden = [
            path for path in maker.marks.get("--skip-worktree", []) if os.path.lexists(maker.full(path))
        ]
        for option, paths in (
            ("--no-assume-unchanged", maker.marks.get("--assume-unchanged", [])),
            ("--no-skip-worktree", hidden),
        ):
            if paths:
                sandbox.git(
                    "update-index", "-z", option, "--stdin", stdin=b"\0".join(paths), GIT_INDEX_FILE=copy
                )
    out = sandbox.git(
        "--no-optional-locks", "status", "--porcelain=v2", "-z", "--no-renames", "--untracked-files=all",
        "--ignore-submodules=dirty", GIT_INDEX_FILE=copy,
    )  # fmt: skip
    said: dict[bytes, tuple[bytes, ...]] = {}
    untracked: set[bytes] = set()
    for line in out.split(b"\0")[:-1]:
        if line.startswith(b"? "):
            untracked.add(line[2:])
        elif line.startswith(b"1 "):
            _, _xy, _sub, m_head, m_index, m_file, head, index, path = line.split(b" ", 8)
            if is_special(maker.full(path)):
                m_file = b"000000"  # git calls a FIFO a changed file; for us there is nothing to keep
            said[path] = (m_head, head, m_index, index, m_file)
        else:
            assert line.startswith(b"u "), line
            *_, m_file, _h1, _h2, _h3, path = line.split(b" ", 10)
            said[path] = (b"unmerged", m_file)
    return said, {path for path in untracked if not path.endswith(b"/")}


def we_say(states: tuple[PathState, ...], unmerged_paths: set[bytes]) -> dict[bytes, tuple[bytes, ...]]:
    def pair(entry: tuple[int, bytes] | None) -> tuple[bytes, bytes]:
        return (b"%06o" % entry[0], entry[1]) if entry else (b"000000", b"0" * 40)

    said: dict[bytes, tuple[bytes, ...]] = {}
    for state in states:
        if state.path in unmerged_paths:
            said[state.path] = (b"unmerged", pair(state.worktree)[0])
        else:
            tracked = state.index is not None or state.intent_to_add
            file_mode = pair(state.worktree)[0] if tracked else b"000000"  # else git lists it as untracked
            said[state.path] = (*pair(state.head), *pair(state.index), file_mode)
    return said


def check_states(base: Path, seed: int, count: int) -> Counter[str]:
    """Make so many states and compare; return what was made of each kind."""
    sandbox = Sandbox(base)
    maker = Maker(sandbox, seed)
    for number in range(count):
        maker.next_state()
        index, index_mtime = sandbox.index()
        with sandbox.open() as opened:
            root, settings = str(sandbox.root), opened.settings()
            states = read_status(
                opened.objects, root, index, index_mtime, opened.head_tree(), settings, opened.filters()
            )
            assert [state.path for state in states] == sorted(state.path for state in states)
            untracked = {each.path for each in find_untracked(opened.objects, root, index, settings)}
            expected, expected_untracked = git_says(maker)
            ours = we_say(states, set(index.unmerged))
            differing = {
                path: (ours.get(path), expected.get(path))
                for path in ours.keys() | expected.keys()
                if ours.get(path) != expected.get(path)
            }
            made = {path: maker.made[path] for path in differing if path in maker.made}
            where = f"seed {seed}, state {number}"
            assert not differing, f"{where}: ours, git's {differing}; {made}"
            assert untracked == expected_untracked, f"{where}: {untracked ^ expected_untracked}"
            for state in states:
                check_content(maker, state, opened.objects)
    return maker.kinds


def check_content(maker: Maker, state: PathState, objects: object) -> None:
    """Every file that differs is in memory byte for byte."""
    full = maker.full(state.path)
    if state.raw is None:
        return
    status = os.lstat(full)
    data = os.readlink(full) if stat.S_ISLNK(status.st_mode) else Path(os.fsdecode(full)).read_bytes()
    assert state.raw == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest().encode()
    assert state.raw in objects  # type: ignore[operator]
