"""Recorded resolutions: where they are kept, and which of them count.

git's own are in ``rr-cache`` in the common git directory. They are shared with git, where git's rules have
rerere enabled (git-config(1): ``rerere.enabled``, or that the folder is there) or ``resync.rerere`` is true;
where that is false they are left alone. What ``rescue import`` brought is in ``resync/rr-cache``, and counts
always: whoever imported it wants it used.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from resync.merge.rerere import Recording, Recordings
from resync.repository import Repository
from resync.repository.rr_cache import RrCache
from resync.worktree.settings import boolean


class Resolutions:
    """The recorded resolutions of one repository."""

    def __init__(self, repository: Repository) -> None:
        """Raises ``UsageError("bad-config")`` for a setting that git would not accept either."""
        config = repository.config
        self._git = RrCache(os.path.join(repository.common_dir, "rr-cache"))
        self.imported = RrCache(os.path.join(repository.common_dir, "resync", "rr-cache"))
        enabled = boolean(config, (b"rerere",), "enabled", self._git.exists)
        self.shared = boolean(config, (b"resync",), "rerere", enabled)

    @property
    def recordings(self) -> Recordings | None:
        """What to ask for the recordings of a conflict id, the user's own first; None: there are none."""
        caches = [cache for cache in self._caches() if cache.exists]
        if not caches:
            return None

        def find(conflict: str) -> Sequence[Recording]:
            return [Recording(*images) for cache in caches for images in cache.resolutions(conflict)]

        return find

    def _caches(self) -> Sequence[RrCache]:
        return (self._git, self.imported) if self.shared else (self.imported,)
