"""Random work on random trees under a random rewrite: nothing is lost, and undo brings all of it back.

A sample of what scripts/state-sweep plays.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import needs_git
from tests.random_work.checkout import Template
from tests.random_work.judge import clean_switch, no_waiting_for_the_disk, there_and_back
from tests.random_work.states import KINDS, clean_state, kinds, random_state

pytestmark = needs_git

STATES = 60


@pytest.mark.parametrize("first", range(0, STATES, 20))
def test_nothing_is_lost_and_undo_brings_everything_back(tmp_path: Path, first: int) -> None:
    template = Template(tmp_path)
    reached: Counter[str] = Counter()
    with no_waiting_for_the_disk():
        for seed in range(first, first + 20):
            root = tmp_path / str(seed)
            template.make(root, random_state(random.Random(seed)))
            reached += there_and_back(root)
    for outcome in ("staged kept", "staged parked", "unstaged kept", "unstaged parked", "commit reapplied"):
        assert reached[outcome] > 0, reached


def test_the_states_are_of_every_kind() -> None:
    made: Counter[str] = Counter()
    for seed in range(STATES):
        made += kinds(random_state(random.Random(seed)))
    assert set(KINDS) == made.keys()


def test_after_a_switch_of_clean_files_git_sees_a_clean_tree(tmp_path: Path) -> None:
    template = Template(tmp_path)
    with no_waiting_for_the_disk():
        for seed in range(30):
            root = tmp_path / str(seed)
            template.make(root, clean_state(random.Random(seed)))
            assert clean_switch(root)["clean afterwards"] == 1
