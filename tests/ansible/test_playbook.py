"""The playbook on eight checkouts: foreseen, carried out, halted where somebody has to look, and done again.

``scripts/ansible-sweep`` plays more of it, with the zipapp, and over ssh as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.ansible import play
from tests.ansible.server import connection
from tests.conftest import World, needs_git

pytestmark = needs_git


def test_rollout(world: World, collections: Path) -> None:
    """With the installed resync, which starts quicker."""
    installed = Path(sys.executable).with_name("resync")
    with connection("local", world.base) as local:
        play.halted(
            world,
            collections,
            local,
            "-e",
            "checkout_copy_zipapp=false",
            "-e",
            f"checkout_executable={installed}",
        )
