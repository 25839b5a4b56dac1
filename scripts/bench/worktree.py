#!/usr/bin/env python3
"""Time of a status and of a switch of files beside git's, in one run: bench/worktree.py [FILES].

Status: a clean checkout, one of which 500 files are edited, and one whose index has no cached trees (as
after a run of resync). Ours is index and status.

Switch: the founding event (502 to 785 files) and 500 files in FILES, beside ``git reset --hard``. Ours is
all that a run does between the backup and the refs, for clean files: the difference of the trees, the looks
before, every file written, moved and linked, the looks after, one ``syncfs``, and the new index. git's is
the same without the looks; it makes nothing durable but the ref (``core.fsync`` has neither the index nor
files of the working tree), so a power failure may leave empty files behind it. What the ``syncfs`` takes
depends on what else the disk has to do, and is shown apart.

Every file that a switch replaces keeps another name until the end: ext4 without a journal passes over the
inodes that were freed in the last minutes one by one, and the rounds before would be measured as well.

Times are wall-clock, the best of seven, git and ours in turn, without the start of our process and of
dulwich, which is measured by bench/startup.py.
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dulwich.config import StackedConfig
from dulwich.repo import Repo

from resync.history import tree_changes
from resync.model import FileChange, IndexChange, IndexRecord, Oid, TreeEntry
from resync.programs import Programs
from resync.repository.objects import Objects
from resync.worktree.filters import Filters
from resync.worktree.index import load_index
from resync.worktree.reindex import reindexed, serialise_index
from resync.worktree.settings import read_settings
from resync.worktree.status import read_status
from resync.worktree.switch import FileSwitch

ROUNDS = 7
EVENT = Path(__file__).resolve().parents[3] / "shared" / "kolla-event" / "kolla-event.bundle"
ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{role}_NAME": "x" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "x@example.com" for role in ("AUTHOR", "COMMITTER")},
}


def main() -> None:
    gc.set_threshold(100_000, 20, 20)  # as the command line has it
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "many"
        root.mkdir()
        build(root, count)
        print(f"status{'':24} ours: index + status = total      git status   ratio")
        compare("clean", root)
        edit(root, count)
        compare("500 edited", root)
        git(root, "commit", "-q", "-a", "-m", "500 edited")
        git(root, "reset", "-q", "--hard", "HEAD^")
        index, _ = load_index(str(root / ".git/index"), hex_length=40)
        time.sleep(1.1)  # git counts seconds: or else it would read every file that is as young as the index
        (root / ".git/index").write_bytes(serialise_index(index, hex_length=40))
        compare("no cached trees", root)

        print(f"\nswitch{'':24} ours: change + syncfs = total  git reset --hard   ratio")
        compare_switch(f"500 of {count} files", root, "HEAD", "HEAD@{1}")
        if EVENT.exists():
            root = Path(name) / "event"
            root.mkdir()
            git(root, "init", "-q")
            git(root, "fetch", "-q", str(EVENT), "refs/*:refs/*")
            compare_switch("the event, 502 to 785 files", root, "refs/resync/old", "refs/resync/new")


def edit(root: Path, count: int) -> None:
    for number in range(0, count, max(count // 500, 1)):
        file_at(root, number).write_text(f"edited {number}\n")


def compare_switch(name: str, root: Path, old: str, new: str) -> None:
    old, new = (
        subprocess.check_output(["git", "rev-parse", each], cwd=root, env=ENV, text=True).strip()
        for each in (old, new)
    )
    changing, syncing, theirs = [], [], []
    for _ in range(ROUNDS):
        settle(root, old, new)
        theirs.append(timed(lambda: git(root, "reset", "-q", "--hard", new)))
        settle(root, old, new)
        changed, synced = switch(root, Oid(old.encode()), Oid(new.encode()))
        changing.append(changed)
        syncing.append(synced)
        git(root, "reset", "-q", new)
        assert not subprocess.check_output(["git", "status", "--porcelain"], cwd=root, env=ENV)
    ours = min(map(sum, zip(changing, syncing, strict=True)))
    git_time = min(theirs)
    parts = f"{min(changing) * 1000:5.0f} + {min(syncing) * 1000:4.0f} = {ours * 1000:4.0f} ms"
    print(f"  {name:28}{parts:>24}{git_time * 1000:14.0f} ms{ours / git_time:7.1f}x")


def settle(root: Path, old: str, new: str) -> None:
    """The files of ``old``, all of them on the disk, none as young as the index, and no inode to be freed."""
    keep_inodes(root, old, new)
    git(root, "reset", "-q", "--hard", old)
    keep_inodes(root, old, new)
    os.sync()
    time.sleep(1.1)
    git(root, "update-index", "--refresh", "--force-write-index")


def keep_inodes(root: Path, old: str, new: str) -> None:
    """Give another name, outside, to every file there is that differs between two commits."""
    graveyard = Path(tempfile.mkdtemp(dir=root.parent))
    command = ["git", "diff", "--name-only", "--no-renames", "-z", old, new]
    names = subprocess.check_output(command, cwd=root, env=ENV).split(b"\0")
    for number, name in enumerate(filter(None, names)):
        with contextlib.suppress(FileNotFoundError):
            os.link(os.path.join(os.fsencode(root), name), graveyard / str(number), follow_symlinks=False)


def switch(root: Path, old: Oid, new: Oid) -> tuple[float, float]:
    """Switch from one commit's files to the other's; seconds for all but the syncfs, and for that."""
    folder = root / ".git" / "resync" / str(time.monotonic_ns())
    folder.mkdir(parents=True)
    with Repo(str(root)) as repository:
        objects = Objects(repository.object_store)
        settings = read_settings(
            StackedConfig([repository.get_config()]),
            common_dir=repository.commondir(),
            user_dir="/nonexistent",
        )
        objects.commit(old)  # packs are open in a run that has come this far
        started = time.perf_counter()
        index, modified = load_index(str(root / ".git/index"), hex_length=40)
        trees = (objects.commit(commit).tree for commit in (old, new))
        different = list(tree_changes(objects, *trees))
        files = FileSwitch(
            str(root),
            str(folder),
            objects,
            [FileChange(path=path, before=before, after=after) for path, before, after in different],
            settings,
        )
        files.check()
        files.stage()
        left = files.apply() + files.disturbed()
        changed = time.perf_counter()
        files.sync()
        synced = time.perf_counter()
        changes = [
            IndexChange(path=path, before=_record(before), after=_record(after))
            for path, before, after in different
        ]
        data, left_in_index = reindexed(index, modified, changes, str(root), files.written, hex_length=40)
        (root / ".git/index.new").write_bytes(data)
        os.replace(root / ".git/index.new", root / ".git/index")
        ended = time.perf_counter()
    assert not left, left
    assert not left_in_index, left_in_index
    return changed - started + ended - synced, synced - changed


def _record(entry: TreeEntry | None) -> IndexRecord | None:
    return IndexRecord(mode=entry.mode, oid=entry.oid, in_file=True) if entry is not None else None


def file_at(root: Path, number: int) -> Path:
    return root / f"d{number // 1000:02}" / f"s{number // 50 % 20:02}" / f"file{number:05}.txt"


def build(root: Path, count: int) -> None:
    git(root, "init", "-q")
    git(root, "config", "gc.auto", "0")  # or else a commit starts one behind our back
    for number in range(count):
        path = file_at(root, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number}\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")
    git(root, "gc", "-q")
    time.sleep(1.1)
    git(root, "update-index", "--refresh", "--force-write-index")


def compare(name: str, root: Path) -> None:
    reading, looking, theirs = [], [], []
    for _ in range(ROUNDS):
        theirs.append(timed(lambda: git(root, "--no-optional-locks", "status", "--porcelain")))
        with Repo(str(root)) as repository:
            objects = Objects(repository.object_store)
            settings = read_settings(
                StackedConfig([repository.get_config()]),
                common_dir=repository.commondir(),
                user_dir="/nonexistent",
            )
            filters = Filters(settings, Programs(folder=str(root), env=ENV, timeout=1))
            head = objects.commit(Oid(repository.head())).tree
            started = time.perf_counter()
            index, modified = load_index(str(root / ".git/index"), hex_length=40)
            read = time.perf_counter()
            read_status(objects, str(root), index, modified, head, settings, filters)
            reading.append(read - started)
            looking.append(time.perf_counter() - read)
    ours = min(map(sum, zip(reading, looking, strict=True)))
    git_time = min(theirs)
    parts = f"{min(reading) * 1000:5.0f} + {min(looking) * 1000:4.0f} = {ours * 1000:4.0f} ms"
    print(f"  {name:28}{parts:>24}{git_time * 1000:14.0f} ms{ours / git_time:7.1f}x")


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, env=ENV, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
