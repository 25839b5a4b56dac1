"""What every test stands in: a home, a configuration and a clock of its own, and git as the oracle.

``world`` is the fixture for whole runs: an upstream and a clone, made with git, and resync called as a
process (``world.resync``) or as a function. git never runs outside of tests.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import forked

# A busy machine is no failure; and what lands is judged by the same examples every time.
settings.register_profile(
    "resync",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("resync")

REAL_HOME = Path(os.path.expanduser("~"))
EVENT = Path(__file__).resolve().parents[2] / "shared" / "kolla-event"
CLOCK = 1_461_092_552
STAMP = "20160419T190232Z"

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git, the oracle, is not installed")


def environment(home: Path) -> dict[str, str]:
    """The whole environment of a process under test: nothing of the machine's own gets in but PATH."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_STATE_HOME": str(home / ".state"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_AUTHOR_NAME": "A U Thor",
        "GIT_AUTHOR_EMAIL": "author@example.com",
        "GIT_AUTHOR_DATE": f"{CLOCK} +0000",
        "GIT_COMMITTER_NAME": "C O Mitter",
        "GIT_COMMITTER_EMAIL": "committer@example.com",
        "GIT_COMMITTER_DATE": f"{CLOCK} +0000",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }


@pytest.fixture(autouse=True)
def hermetic(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own for every test; one that touches the real home's files fails."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("GIT_", "XDG_")) or name in ("NO_COLOR", "EMAIL"):
            monkeypatch.delenv(name)
    for name, value in environment(home).items():
        monkeypatch.setenv(name, value)
    before = _home_files()
    yield home
    for log in (home / ".state" / "resync" / "log").glob("*"):
        print(log.read_text("utf-8", "replace"))  # pytest shows it beside a test that failed
    assert _home_files() == before, "the test touched the real home"


def _home_files() -> dict[str, int]:
    """What resync or git could write in the real home, and when it was last changed."""
    found = {}
    for name in (".gitconfig", ".config/git/config", ".local/state/resync", ".cache/resync"):
        path = REAL_HOME / name
        if path.exists():
            found[name] = path.stat().st_mtime_ns
    return found


@dataclass
class Done:
    """A process that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class World:
    """A bare ``upstream``, a ``clone`` of it, and the ways to act on both."""

    base: Path
    upstream: Path
    clone: Path
    env: dict[str, str] = field(default_factory=dict)

    def git(
        self,
        *arguments: str | bytes,
        at: Path | None = None,
        stdin: bytes = b"",
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Run git in the clone (or ``at``) and return what it prints, without the last line end."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=at or self.clone,
            env={**self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0 or not check, (arguments, done.stdout, done.stderr)
        return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

    def resync(self, *arguments: str, at: Path | None = None, env: Mapping[str, str] | None = None) -> Done:
        """Run resync in the clone (or ``at``) as a process without a terminal."""
        return self.python(None, *arguments, at=at, env=env)

    def python(
        self,
        program: str | None,
        *arguments: str,
        at: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a program for Python (None: resync) in the same way, with these arguments."""
        where, environ = at or self.clone, {**self.env, **(env or {})}
        code, out, err = forked.run(arguments, at=where, env=environ, program=program)
        return Done(
            code=code,
            out=out.decode("utf-8", "surrogateescape"),
            err=err.decode("utf-8", "surrogateescape"),
        )

    def terminal(self, *arguments: str, answer: str = "", at: Path | None = None) -> Done:
        """Run resync on a terminal of its own and type ``answer``; all that it prints is in ``out``."""
        ours, its = pty.openpty()
        process = forked.start(
            arguments, at=at or self.clone, env={**self.env, "TERM": "xterm"}, files=(its, its, its)
        )
        os.close(its)
        os.write(ours, answer.encode())
        printed = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:
                break
            if not chunk:
                break
            printed += chunk
        os.close(ours)
        return Done(code=process.wait(), out=printed.decode("utf-8", "replace").replace("\r\n", "\n"), err="")

    def write(self, path: str, data: str | bytes, at: Path | None = None) -> Path:
        """Write a file in the clone (or ``at``), with its folders."""
        full = (at or self.clone) / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(data.encode() if isinstance(data, str) else data)
        return full

    def commit(self, message: str, files: Mapping[str, str | bytes | None], at: Path | None = None) -> str:
        """Commit files (None: removed) in the clone (or ``at``) and return the commit's id."""
        for path, data in files.items():
            if data is None:
                self.git("rm", "-q", path, at=at)
            else:
                self.write(path, data, at)
                self.git("add", path, at=at)
        self.git("commit", "-q", "--allow-empty", "-m", message, at=at)
        return self.git("rev-parse", "HEAD", at=at)

    def state(self) -> dict[str, Any]:
        """Everything that a refusal must leave alone: refs, index entries, and files with their modes."""
        return {
            "refs": [
                line
                for line in self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
                if not line.startswith("refs/resync/upstream/")
            ],
            "head": (self.clone / ".git" / "HEAD").read_text(),
            "index": self.git("ls-files", "-s", "-t", "-f"),
            "files": snapshot_files(self.clone),
        }


def snapshot_files(root: Path, skip: Sequence[str] = (".git",)) -> dict[str, tuple[int, bytes]]:
    """Every file and link below ``root``: its mode and its bytes (a link's target)."""
    found = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in skip]
        for name in [*names, *(each for each in folders if (Path(folder) / each).is_symlink())]:
            path = Path(folder) / name
            status = path.lstat()
            data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            found[str(path.relative_to(root))] = (status.st_mode, data)
    return found


@pytest.fixture
def world(tmp_path: Path, hermetic: Path) -> World:
    """An empty bare upstream with a clone; the tests fill them."""
    made = World(
        base=tmp_path, upstream=tmp_path / "up.git", clone=tmp_path / "clone", env=environment(hermetic)
    )
    made.git("init", "-q", "--bare", "-b", "main", str(made.upstream), at=tmp_path)
    return made


@pytest.fixture(scope="session")
def _rewritten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world of ``tests/rewritten.py``, made once; ``rewritten_world`` hands out copies."""
    from tests.rewritten import rewritten

    base = tmp_path_factory.mktemp("rewritten")
    home = base / "home"
    home.mkdir()
    made = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(home))
    made.git("init", "-q", "--bare", "-b", "main", str(made.upstream), at=base)
    rewritten(made)
    # Relative, so that a copy has its own upstream.
    made.git("config", "remote.origin.url", "../up.git")
    made.git("config", "remote.origin.url", "../up.git", at=base / "work")
    return base


@pytest.fixture
def rewritten_world(_rewritten: Path, tmp_path: Path, hermetic: Path) -> World:
    """A clone with work of every kind whose upstream was rewritten (see ``tests/rewritten.py``)."""
    base = tmp_path / "world"
    shutil.copytree(_rewritten, base, symlinks=True)
    return World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(hermetic))


@pytest.fixture(scope="session")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zipapp of this tree."""
    from tests.zipapp import build

    return build(tmp_path_factory.mktemp("zipapp") / "resync.pyz")
