"""The stage on which scenarios are acted out: everything that they share is made once."""

from __future__ import annotations

import pytest

from tests.conftest import environment
from tests.scenarios.play import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """One store of commits, and one world for each condition of a clone."""
    base = tmp_path_factory.mktemp("scenarios")
    (base / "home").mkdir()
    return Stage(folder=base / "stage", env=environment(base / "home"))
