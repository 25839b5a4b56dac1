"""Recorded resolutions: where they are kept, and which of them count.

git's own are in ``rr-cache`` in the common git directory. They are shared with git, where git's rules have
rerere enabled (git-config(1): ``rerere.enabled``, or that the folder is there) or ``resync.rerere`` is true;
where that is false they are left alone. What ``rescue import`` brought is in ``resync/rr-cache``, and counts
always: whoever imported it wants it used.

A resolution is recorded when a person makes one, as by git: ``update`` is called when conflicts have been put
into the working tree, and again when they have been committed. ``git rerere`` may be typed in between.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from resync.errors import Refused
from resync.merge.recordings import Recording, Recordings
from resync.merge.rerere import Normalised, normalise
from resync.model import TreePath
from resync.repository import Repository
from resync.repository.config import boolean
from resync.repository.rr_cache import LARGEST, Conflicts, MergeRr, RrCache, Standing
from resync.worktree.attributes import Attributes
from resync.worktree.convert import to_git, to_worktree
from resync.worktree.files import Files
from resync.worktree.settings import WorktreeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The paths whose conflicts are recorded now, and those whose resolutions are."""

    conflicts: tuple[TreePath, ...] = ()
    resolutions: tuple[TreePath, ...] = ()


class Resolutions:
    """The recorded resolutions of one repository."""

    def __init__(self, repository: Repository) -> None:
        """Raises ``UsageError("bad-config")`` for a setting that git would not accept either."""
        config = repository.config
        self._files = Files(repository.root)
        self._standing = MergeRr(repository.git_dir)
        self._git = RrCache(os.path.join(repository.common_dir, "rr-cache"))
        self.imported = RrCache(os.path.join(repository.common_dir, "resync", "rr-cache"))
        enabled = boolean(config, (b"rerere",), "enabled", self._git.exists)
        self.shared = boolean(config, (b"resync",), "rerere", enabled)
        self.autoupdate = boolean(config, (b"rerere",), "autoupdate", False)
        self.digits = len(repository.objects.hash_blob(b""))

    def recordings(self, attributes: Attributes, settings: WorktreeSettings) -> Recordings | None:
        """What to ask for recordings; None: there are none.

        ``attributes`` say what becomes of line ends on disk. What a filter makes of a file is not known
        without running it, so git's recordings of such files are not found.
        """
        caches = [cache for cache in self._caches() if cache.exists]
        if not caches:
            return None

        def find(conflict: str) -> Sequence[Recording]:
            return [Recording(*images) for cache in caches for images in cache.resolutions(conflict)]

        def on_disk(path: TreePath, data: bytes) -> bytes:
            return to_worktree(data, attributes.of(path), settings)

        def stored(path: TreePath, data: bytes) -> bytes:
            return to_git(data, attributes.of(path), settings, lambda: False)

        return Recordings(find=find, on_disk=on_disk, stored=stored, stages=self.autoupdate)

    def _caches(self) -> Sequence[RrCache]:
        return (self._git, self.imported) if self.shared else (self.imported,)

    # --- recording ---

    def update(self, unmerged: Collection[TreePath], marker_size: Callable[[TreePath], int]) -> Recorded:
        """Record what stands in the working tree, as ``git rerere`` does: the conflicts at ``unmerged`` paths
        that are not recorded yet, and how recorded ones were resolved whose files have no markers any more.

        ``unmerged`` are paths with a regular file on both sides, ``marker_size`` tells the size of a path's
        markers. Nothing is recorded where rerere is not wanted, where git is at it just now, or the system
        does not let it be: that is a convenience, and the work itself is not held up by it.
        """
        made: list[Recorded] = []

        def updated(standing: Conflicts) -> Conflicts:
            conflicts, resolved, now = [], [], dict(standing)
            for path in sorted({*unmerged, *standing}):
                known, text = self._look(path, marker_size(path))
                if known is None:
                    if path not in unmerged:
                        now.pop(path, None)  # gone, or no text: nothing of it will ever be recorded
                elif path in standing and not known.sides:
                    if self._git.add_postimage(*standing[path], text):
                        resolved.append(path)
                    del now[path]
                elif path not in standing and known.sides:
                    conflict = known.conflict_id(self.digits)
                    variant = self._git.add_preimage(conflict, known.image)
                    if variant is not None:
                        now[path] = Standing(conflict, variant)
                        conflicts.append(path)
            made.append(Recorded(conflicts=tuple(conflicts), resolutions=tuple(resolved)))
            return now

        with suppress(OSError):
            if self.shared and self._standing.change(updated):
                return made[-1]
        return Recorded()

    def clear(self) -> None:
        """Forget the conflicts that stand in the working tree, as ``git rerere clear`` does: they are taken
        away without having been resolved, and what is there then is nobody's resolution."""

        def cleared(standing: Conflicts) -> Conflicts:
            for each in standing.values():
                self._git.forget_unresolved(*each)
            return {}

        with suppress(OSError):
            if self.shared:
                self._standing.change(cleared)

    def _look(self, path: TreePath, marker_size: int) -> tuple[Normalised | None, bytes]:
        """What stands at a path, normalised, and as it is; None where it is no text that can be recorded."""
        with suppress(Refused):
            status = self._files.lstat(path)
            if status is not None and stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
                text = self._files.read(path)
                return normalise(text, marker_size), text
        return None, b""
