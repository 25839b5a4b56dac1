"""What the commit graph, patches and messages say of how commits are related."""

from resync.history.changes import tree_changes
from resync.history.graph import History, HistoryCut
from resync.history.message import change_id, cherry_picked_from, trailers
from resync.history.patches import PatchIndex, patch_id

__all__ = [
    "History",
    "HistoryCut",
    "PatchIndex",
    "change_id",
    "cherry_picked_from",
    "patch_id",
    "trailers",
    "tree_changes",
]
