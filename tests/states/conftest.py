"""A clone whose upstream is about to be rewritten: each test says to what, and what stands in the clone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import World, environment
from tests.rewritten import CONFIG, LINES, publish, work

pytest.register_assert_rewrite("tests.states.play")


@pytest.fixture(scope="session")
def _before_the_rewrite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("before")
    home = base / "home"
    home.mkdir()
    made = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(home))
    made.git("init", "-q", "--bare", "-b", "main", str(made.upstream), at=base)
    at = work(made)
    files = {
        "numbers.txt": LINES,
        "etc/tool.conf": CONFIG,
        "dir/one.txt": "1\n",
        "dir/two.txt": "2\n",
        "caf\u00e9.txt": "c\n",
    }
    made.commit("Start", files, at=at)
    made.commit("Old way", {"numbers.txt": LINES.replace("line 2\n", "line two, the old way\n")}, at=at)
    publish(made)
    made.git("clone", "-q", str(made.upstream), str(made.clone), at=base)
    made.commit("Ship a plugin", {"plugin.txt": "my plugin\n"})
    made.git("config", "remote.origin.url", "../up.git")
    made.git("config", "remote.origin.url", "../up.git", at=at)
    return base


@pytest.fixture
def clone(_before_the_rewrite: Path, tmp_path: Path, hermetic: Path) -> World:
    """A clone with one commit of its own, on top of what upstream will take back (see ``play.rewrite``)."""
    base = tmp_path / "world"
    shutil.copytree(_before_the_rewrite, base, symlinks=True)
    made = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(hermetic))
    # The copied files have other stat data than the index has.
    made.git("update-index", "-q", "--refresh")
    return made
