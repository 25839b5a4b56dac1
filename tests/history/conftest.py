"""The real event as a repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..conftest import EVENT
from .graphs import git


@pytest.fixture(scope="session")
def event(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository with all refs of the event."""
    bundle = EVENT / "kolla-event.bundle"
    if not bundle.exists():
        pytest.skip(f"the event's history is not at {bundle}")
    directory = tmp_path_factory.mktemp("event")
    git(directory, "init", "-q", "--bare", ".")
    git(directory, "fetch", "-q", str(bundle), "refs/*:refs/*")
    return directory
