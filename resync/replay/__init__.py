"""Local commits made anew in memory: nothing here moves a ref or touches the disk.

``series`` replays whole branches and parks what conflicts; ``picking`` goes commit by commit up to the first
conflict, and shows that to a person; ``sides`` is what else a parked merge brought in. Below these,
``options`` says how commits are picked, ``commits`` makes the bytes of the new ones, and ``verdicts`` tells
what became of them.
"""

from resync.replay.commits import rewritten
from resync.replay.options import PickOptions
from resync.replay.series import Beside, Replay, Series, beside, replay

__all__ = ["Beside", "PickOptions", "Replay", "Series", "beside", "replay", "rewritten"]
