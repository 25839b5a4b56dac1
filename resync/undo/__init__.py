"""Undo: the inverse of an earlier run, planned as a run of its own with its own backup.

What has changed since is found and saved first; then branch, index and files go back to how they were.
``inverse`` makes the plan, by what has become of the branch since; ``back`` compares files, index and refs.
"""

from resync.undo.inverse import choose, rehearse_undo

__all__ = ["choose", "rehearse_undo"]
