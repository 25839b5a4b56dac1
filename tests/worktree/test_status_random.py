"""Random states of a checkout, in which ``git status`` and ours must say the same.

A sample of what scripts/state-sweep compares.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worktree.status_states import KINDS, check_states


@pytest.mark.parametrize("seed", range(4))
def test_random_states(tmp_path: Path, seed: int) -> None:
    kinds = check_states(tmp_path, seed, 80)
    assert not KINDS - kinds.keys(), "the generator never made these"
    assert min(kinds.values()) >= 2, kinds
