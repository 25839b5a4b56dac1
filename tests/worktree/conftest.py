"""A repository made with git itself, which is the oracle of everything in this folder."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from dulwich.config import StackedConfig
from dulwich.repo import Repo

from resync.model import Oid
from resync.programs import Programs
from resync.repository.objects import Objects
from resync.worktree.filters import Filters
from resync.worktree.index import Index, IndexEntry, load_index
from resync.worktree.settings import WorktreeSettings, read_settings


class Sandbox:
    """One repository in a temporary folder, and git with an environment of its own."""

    def __init__(self, base: Path, *init_options: str) -> None:
        self.root = base / "work"
        self.home = base / "home"
        self.root.mkdir()
        self.home.mkdir()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TEMPLATE_DIR": "",
            "GIT_AUTHOR_NAME": "A U Thor",
            "GIT_AUTHOR_EMAIL": "author@example.com",
            "GIT_AUTHOR_DATE": "1461092552 +0000",
            "GIT_COMMITTER_NAME": "C O Mitter",
            "GIT_COMMITTER_EMAIL": "committer@example.com",
            "GIT_COMMITTER_DATE": "1461092552 +0000",
            "LC_ALL": "C",
        }
        self.git("init", "-q", "-b", "main", *init_options)

    def git(self, *arguments: str | bytes, stdin: bytes = b"", check: bool = True, **env: str) -> bytes:
        """Run git at the top of the repository and return what it prints."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0 or not check, (arguments, done.stderr)
        return done.stdout

    def write(self, path: str | bytes, data: bytes = b"") -> Path:
        """Write a file, with its directories."""
        full = self.root / os.fsdecode(path)
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(data)
        return full

    def commit_all(self, message: str = "x") -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    @property
    def index_file(self) -> Path:
        return self.root / ".git" / "index"

    def index(self) -> tuple[Index, int]:
        return load_index(str(self.index_file), hex_length=40)

    def open(self) -> Opened:
        return Opened(self)


class Opened:
    """The repository as resync's own modules take it; close it after use."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.repo = Repo(str(sandbox.root))
        self.objects = Objects(self.repo.object_store)

    def settings(self) -> WorktreeSettings:
        config = StackedConfig([self.repo.get_config()])
        return read_settings(config, common_dir=self.repo.commondir(), user_dir="/nonexistent")

    def programs(self) -> Programs:
        return Programs(folder=str(self._sandbox.root), env=self._sandbox.env, timeout=30)

    def filters(self, *, lenient: bool = False) -> Filters:
        return Filters(self.settings(), self.programs(), lenient=lenient)

    def head_tree(self) -> Oid | None:
        try:
            return self.objects.commit(Oid(self.repo.head())).tree
        except KeyError:
            return None

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.repo.close()


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


class StatData(NamedTuple):
    """What the index remembers of ``lstat``: each number cut to 32 bits, times as seconds and nanoseconds."""

    ctime: int
    ctime_ns: int
    mtime: int
    mtime_ns: int
    dev: int
    ino: int
    uid: int
    gid: int
    size: int


def stat_data(entry: IndexEntry) -> StatData:
    """The stat data of an index entry as numbers."""
    fields = struct.unpack(">10I", entry.stat)
    return StatData(*fields[:6], *fields[7:])
