"""From trees to the files and index entries that change: ``landing`` in one working tree, whatever stands
there, and ``along`` in others, where these are clean."""

from __future__ import annotations

from resync.jump.along import Along as Along
from resync.jump.landing import Jump as Jump
from resync.jump.landing import jump as jump
