"""Carries plans out: ``runs`` from beginning to end and after an interruption, ``steps`` of one run, and
``trees`` for what a run does in one working tree."""

from __future__ import annotations

from resync.sequencer.runs import Result as Result
from resync.sequencer.runs import Sequencer as Sequencer
