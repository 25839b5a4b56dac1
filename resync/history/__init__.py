"""What the commit graph, patches and messages say of how commits are related."""

from resync.history.authorship import authorship
from resync.history.changes import tree_changes
from resync.history.commit_graph import CommitGraph, read_commit_graph
from resync.history.graph import History, HistoryCut
from resync.history.mentions import MentionIndex
from resync.history.message import change_id, cherry_picked_from, trailers, with_change_id
from resync.history.numbered import Commits
from resync.history.opened import open_history
from resync.history.patches import PatchIndex, patch_id

__all__ = [
    "CommitGraph",
    "Commits",
    "History",
    "HistoryCut",
    "MentionIndex",
    "PatchIndex",
    "authorship",
    "change_id",
    "cherry_picked_from",
    "open_history",
    "patch_id",
    "read_commit_graph",
    "trailers",
    "tree_changes",
    "with_change_id",
]
