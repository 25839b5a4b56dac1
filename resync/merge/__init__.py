"""The merge engine: object ids in, a tree or typed conflicts out, and no I/O but reading objects.

From the ground up: ``myers`` and ``histogram`` compare, ``lines`` merges texts and ``files`` one path;
``walk`` finds the paths, ``similarity``, ``renames`` and ``directories`` pair them, ``trees`` decides, and
``build`` makes the tree.
"""

from resync.merge.files import FileMerge, is_binary, merge_entries
from resync.merge.lines import Labels, TextMerge, diff, merge_text, split_lines
from resync.merge.options import (
    Driven,
    Driver,
    DriverCall,
    DriverFailed,
    MergeAttributes,
    MergeOptions,
    RenameOptions,
)
from resync.merge.trees import merge_trees, surely_conflicts

__all__ = [
    "Driven",
    "Driver",
    "DriverCall",
    "DriverFailed",
    "FileMerge",
    "Labels",
    "MergeAttributes",
    "MergeOptions",
    "RenameOptions",
    "TextMerge",
    "diff",
    "is_binary",
    "merge_entries",
    "merge_text",
    "merge_trees",
    "split_lines",
    "surely_conflicts",
]
