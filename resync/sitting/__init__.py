"""A sitting: a person's work on what was parked, from the first conflict that is taken to the working tree
until the edits that were set aside are back.

Every step of it is an ordinary run with its own backup, carried out through the journal; how the sitting
stands after that is written in the run's plan (``Plan.sitting``), so that it is finished and taken back with
it and there is nothing else that could disagree. What the person did in between, with git or by hand, is read
off HEAD, ``CHERRY_PICK_HEAD`` and the index.

``flow`` says what a step is, ``resolving`` what the person made of the one before; ``merges`` sees to it that
these stay some, ``edits`` to what was not committed, and ``table`` is what they all have before them.
"""

from resync.sitting.flow import begin, check_place, go_on
from resync.sitting.resolving import marked, staged_entry

__all__ = ["begin", "check_place", "go_on", "marked", "staged_entry"]
