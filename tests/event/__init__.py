"""Kolla's real event, played with random local work, and git's own answers to compare a run with."""

import pytest

# Before anything here is imported: then a check that fails says what it compared, as a test's own does.
pytest.register_assert_rewrite("tests.event.compare")
