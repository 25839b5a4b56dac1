"""The collection, built and installed as its script does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ansible.fleet import PLAYBOOK, install


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of collections with ours in it."""
    if not PLAYBOOK.exists():
        pytest.skip("there is no Ansible in .venv/ansible: scripts/build-collection installs it")
    return install(tmp_path_factory.mktemp("collections"))
