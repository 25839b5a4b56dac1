"""What git makes of a merge: ``git merge-tree`` on commits made for the purpose."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from resync.model import Oid, TreePath

from .states import State


class GitResult(NamedTuple):
    """A merge by git: the tree it leaves, and the index entries of what conflicts."""

    clean: bool
    tree: Oid
    stages: frozenset[tuple[TreePath, int, int, Oid]]
    messages: bytes


def version() -> tuple[int, ...]:
    """The version of the git at hand; (0,) where there is none."""
    if shutil.which("git") is None:
        return (0,)
    text = subprocess.run(["git", "version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(\.\d+)+", text)
    return tuple(int(part) for part in found.group().split(".")) if found else (0,)


class GitMerges:
    """Many merges in one bare repository; merge N is of the branches ``ours-N`` and ``theirs-N``."""

    def __init__(self, folder: Path, cases: Sequence[tuple[State, State, State]]) -> None:
        self.path = folder / "oracle.git"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        self._run("init", "--quiet", "--bare", str(self.path))
        stream = b"".join(
            _commit(f"{side}-{n}", 3 * n + at + 1, state, 3 * n + 1 if at else None)
            for n, case in enumerate(cases)
            for at, (side, state) in enumerate(zip(("base", "ours", "theirs"), case, strict=True))
        )
        self._run("-C", str(self.path), "fast-import", "--quiet", stdin=stream)

    def merge(self, n: int, *config: str) -> GitResult | None:
        """Git's answer to case ``n``, with configuration as ``name=value``; None where git itself fails.

        (2.39 does in some directory renames: ``Assertion `newinfo && !newinfo->merged.clean' failed``.)
        """
        settings = [part for setting in config for part in ("-c", setting)]
        command = ["merge-tree", "--write-tree", "-z", f"ours-{n}", f"theirs-{n}"]
        done = self._run("-C", str(self.path), *settings, *command, codes=(0, 1, -6))
        if done.returncode < 0:
            return None
        tree, *rest = done.stdout.split(b"\0")
        stages = set()
        while rest and rest[0]:
            fields, path = rest.pop(0).split(b"\t", 1)
            mode, oid, stage = fields.split(b" ")
            stages.add((TreePath(path), int(stage), int(mode, 8), Oid(oid)))
        return GitResult(done.returncode == 0, Oid(tree), frozenset(stages), b" ".join(rest))

    def base_label(self, n: int) -> bytes:
        """What git writes beside the base's lines in a conflict of case ``n``."""
        return self._run("-C", str(self.path), "rev-parse", "--short", f"base-{n}").stdout.strip()

    def state(self, tree: Oid) -> State:
        """The files of a tree."""
        listing = self._run("-C", str(self.path), "ls-tree", "-r", "-z", tree.decode()).stdout
        entries = [entry.split(b"\t", 1) for entry in listing.split(b"\0") if entry]
        wanted = b"".join(fields.split(b" ")[2] + b"\n" for fields, _ in entries)
        contents = self._run("-C", str(self.path), "cat-file", "--batch", stdin=wanted).stdout
        state: State = {}
        for fields, path in entries:
            header, _, contents = contents.partition(b"\n")
            size = int(header.split(b" ")[2])
            state[path] = int(fields.split(b" ")[0], 8), contents[:size]
            contents = contents[size + 1 :]
        return state

    def _run(
        self, *arguments: str, stdin: bytes = b"", codes: tuple[int, ...] = (0,)
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            ["git", *arguments], input=stdin, env=self._environment, capture_output=True, check=False
        )
        assert done.returncode in codes, done.stderr
        return done


def _commit(branch: str, mark: int, state: State, parent: int | None) -> bytes:
    parts = [b"commit refs/heads/%s\nmark :%d\ncommitter a <a> 1 +0000\ndata 0\n" % (branch.encode(), mark)]
    if parent is not None:
        parts.append(b"from :%d\ndeleteall\n" % parent)
    for path, (mode, data) in state.items():
        if mode == 0o160000:
            parts.append(b"M 160000 %s %s\n" % (data, path))
        else:
            parts.append(b"M %o inline %s\ndata %d\n%s\n" % (mode, path, len(data), data))
    return b"".join(parts) + b"\n"
