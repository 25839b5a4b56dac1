"""Plays run, undo, and the undo's undo in a random state; git and the disk say whether anything was lost."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resync.cli import run_command
from tests.random_work.checkout import blob_id, git

_ASSUME_UNCHANGED, _INTENT_TO_ADD, _SKIP_WORKTREE = 0x8000, 0x20000000, 0x40000000
_FLAGS = _ASSUME_UNCHANGED | _INTENT_TO_ADD | _SKIP_WORKTREE
_ENTRY = re.compile(rb"^(\d{6} [0-9a-f]{40} \d\t.*)\n(?:  .*\n)*?  size: \d+\tflags: ([0-9a-f]+)$", re.M)
_STATUS = ("--no-optional-locks", "status", "--porcelain=v2", "-z", "-uall", "--ignored")
REFUSALS = frozenset({"repository-in-the-way", "submodule-in-the-way"})
"""The refusals that a random state may meet, with nothing changed."""


@dataclass(frozen=True)
class Recorded:
    """A checkout at one moment; ``entries`` are those of the index, with their flags, and ``folders`` has the
    mode of each that a file lies below."""

    refs: bytes
    entries: tuple[tuple[bytes, int], ...]
    status: bytes
    files: dict[bytes, tuple[int, bytes]]
    folders: dict[bytes, int]


def record(root: Path) -> Recorded:
    """What git and the disk say of a checkout."""
    listed = git(root, "-c", "core.quotePath=true", "ls-files", "--stage", "--debug")
    refs = git(root, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    ours = (b"refs/heads/rescue/", b"refs/resync/")
    files = dict(_files(os.fsencode(root)))
    return Recorded(
        refs=b"\n".join(line for line in refs if not line.startswith(ours)),
        entries=tuple((entry, int(flags, 16) & _FLAGS) for entry, flags in _ENTRY.findall(listed)),
        status=git(root, *_STATUS, check=False),  # it fails where a link stands above a submodule
        files=files,
        folders=dict(_folders(os.fsencode(root), files)),
    )


def _files(root: bytes) -> Iterator[tuple[bytes, tuple[int, bytes]]]:
    for folder, folders, names in os.walk(root):
        if folder == root:
            folders.remove(b".git")
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*names, *links):
            full = os.path.join(folder, name)
            status = os.lstat(full)
            if os.path.islink(full):
                data = os.readlink(full)
            else:
                with open(full, "rb") as file:
                    data = file.read()
            yield os.path.relpath(full, root), (status.st_mode, data)


def _folders(root: bytes, files: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    for folder in {path[:end] for path in files for end, byte in enumerate(path) if byte == ord("/")}:
        yield folder, os.lstat(os.path.join(root, folder)).st_mode


def resync(root: Path, *arguments: str) -> Any:
    """The JSON that a command answers with, run in this process."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        run_command([*arguments, "--json", "--repo", str(root)])
    return json.loads(out.getvalue())


@contextlib.contextmanager
def no_waiting_for_the_disk() -> Iterator[None]:
    """Nothing is made durable meanwhile: nobody pulls the plug here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        for module in ("worktree.switch", "repository.packs"):
            patch.setattr(f"resync.{module}.sync_file_system", lambda *_, **folders: None)
        yield


def run(root: Path) -> Any:
    """Carry over what can be, park the rest."""
    return resync(root, "run", "--no-fetch", "--old-tip", "old", "--yes", "--dirty", "park")


def there_and_back(root: Path) -> Counter[str]:
    """Run, undo, and undo that; count the verdicts. ``AssertionError`` where anything is lost."""
    before = record(root)
    done = run(root)
    if done["exit_code"] not in (0, 3):
        kind = done["error"]["kind"]
        assert kind in REFUSALS, done
        assert record(root) == before, "a refusal changes nothing"
        return Counter({f"refused: {kind}": 1})
    after = record(root)
    nothing_lost(root, before)
    assert not done.get("left_alone"), done
    back = resync(root, "undo", "--yes")
    assert back["exit_code"] in (0, 3), back
    same(record(root), before, "undo")
    nothing_lost(root, after)
    again = resync(root, "undo", "--yes")
    assert again["exit_code"] in (0, 3), again
    same(record(root), after, "the undo's undo")
    assert git(root, "fsck", "--strict", "--no-dangling") == b""
    verdicts = Counter(f"{each['state']} {each['verdict']}" for each in done["files"])
    return verdicts + Counter(f"commit {each['verdict']}" for each in done["commits"])


def clean_switch(root: Path) -> Counter[str]:
    """Run in a clean checkout, after which git must see a clean one."""
    done = run(root)
    if done["exit_code"] != 0:
        kind = done["error"]["kind"]
        assert kind in REFUSALS, done
        return Counter({f"refused: {kind}": 1})
    status = git(root, "status", "--porcelain", "-uall", "--ignored")
    assert status == b"", status
    assert git(root, "rev-parse", "HEAD") == git(root, "rev-parse", "origin/main")
    return Counter({"clean afterwards": 1})


def same(found: Recorded, expected: Recorded, what: str) -> None:
    """The two are equal, and if not, the assertion says where."""
    wrong = {
        path: (expected.files.get(path), found.files.get(path))
        for path in expected.files.keys() | found.files.keys()
        if expected.files.get(path) != found.files.get(path)
    }
    assert not wrong, f"{what}: files expected and found: {wrong}"
    wrong_entries = set(expected.entries) ^ set(found.entries)
    assert not wrong_entries, f"{what}: entries of one index only: {sorted(wrong_entries)}"
    wrong_folders = set(found.folders.items()) ^ set(expected.folders.items())
    assert not wrong_folders, f"{what}: modes of folders at one time only: {sorted(wrong_folders)}"
    assert found == expected, what


def nothing_lost(root: Path, before: Recorded) -> None:
    """Every file of before is in place, or its bytes are reachable from a ref of ours; staged bytes too."""
    now = dict(_files(os.fsencode(root)))
    wanted = {blob_id(data): path for path, (_, data) in before.files.items() if now.get(path) is None}
    wanted |= {
        blob_id(data): path
        for path, (mode, data) in before.files.items()
        if path in now and now[path] != (mode, data)
    }
    staged = {
        entry.split()[1]: entry
        for entry, flags in before.entries
        if not entry.startswith(b"160000") and not flags & _INTENT_TO_ADD
    }
    ours = ("--glob=refs/heads/rescue", "--glob=refs/resync")
    kept = set(git(root, "rev-list", "--objects", "--no-object-names", *ours).split())
    index = git(root, "ls-files", "--stage")
    lost = {path for oid, path in wanted.items() if oid not in kept}
    lost |= {entry for oid, entry in staged.items() if oid not in kept and oid not in index}
    assert not lost, f"neither in place nor kept: {lost}"
    oids = b"".join(oid + b"\n" for oid in (*wanted, *staged))
    assert b"missing" not in git(root, "cat-file", "--batch-check", stdin=oids)
