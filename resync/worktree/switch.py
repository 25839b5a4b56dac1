"""The switch: every file goes once, from the bytes that were backed up to the final ones.

A file is never overwritten. The old one is moved to the run's quarantine (an editor that has it open
goes on writing to a file that survives), and the new one, written beforehand, comes in by a hard link,
which fails where somebody was faster. What is found in neither the old nor the new state belongs to
somebody who came in between: it is left as it is and listed.

One rule makes every run resumable: a change whose after-state holds is done, one whose before-state
holds is carried out. ``apply`` and ``revert`` are that rule in the two directions.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from resync.errors import Refused
from resync.model import MODE_GITLINK, Access, FileChange, TreeEntry, TreePath
from resync.repository import Objects
from resync.repository.durable import sync_file_system
from resync.worktree.access import take_owner
from resync.worktree.files import Files
from resync.worktree.folders import check_folders
from resync.worktree.moves import DIRECTORY, FASTER, free, link, look, put_back, rename, same
from resync.worktree.names import check_paths, is_spelled, respelled
from resync.worktree.settings import WorktreeSettings
from resync.worktree.staging import Staging

_Signature: TypeAlias = tuple[int, ...]


def _signature(status: os.stat_result) -> _Signature:
    """What tells a file from another, and from what it was before somebody wrote to it."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_mode,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _numbered(folder: bytes) -> frozenset[int]:
    """The changes of which a folder has a file by their number."""
    return frozenset(int(name) for name in os.listdir(folder) if name.isdigit())


def quarantined(folder: str, changes: Sequence[FileChange]) -> Mapping[TreePath, bytes]:
    """Where a run with this folder and these changes keeps the files that it moved out of the way."""
    return {
        change.path: os.path.join(os.fsencode(folder), b"quarantine", b"%d" % number)
        for number, change in enumerate(changes)
        if change.before is not None
    }


class FileSwitch:
    """The files of one run, from one state to the other and back."""

    def __init__(
        self,
        root: str,
        folder: str,
        objects: Objects,
        changes: Sequence[FileChange],
        settings: WorktreeSettings,
        *,
        keep: str = "",
        originals: Mapping[TreePath, bytes] | None = None,
        folders: Mapping[TreePath, Access] | None = None,
        where: str = "",
    ) -> None:
        """``root`` is the top of the working tree, ``folder`` the run's own, on the same file system.

        ``keep`` is a directory that stays though it becomes empty: somebody stands in it. ``originals`` are
        files that an earlier run moved away: what has its old bytes comes back as the very same file.
        ``folders`` is the access of those that may be made again. ``where`` follows the names of files in
        what is said, where it is another tree than people expect.
        """
        self._root = os.path.join(os.fsencode(root), b"")
        self._files = Files(self._root)
        self._quarantine = os.path.join(os.fsencode(folder), b"quarantine", b"")
        self._staging = Staging(self._root, os.fsencode(folder), objects, settings, originals or {})
        self._objects = objects
        self._settings = settings
        self._keep = os.fsencode(keep)
        self._access = folders or {}
        self._where = where
        self._seen: dict[TreePath, _Signature] = {}
        # Removals go first and from the deepest, so that a folder can make room for a file.
        numbered = list(enumerate(changes))
        removals = [each for each in numbered if each[1].after is None]
        installs = [each for each in numbered if each[1].after is not None]
        removals.sort(key=lambda each: each[1].path, reverse=True)
        installs.sort(key=lambda each: each[1].path)
        self._ordered = tuple(removals + installs)
        self._respelled = respelled((each.path for each in changes), settings)

    @property
    def written(self) -> Mapping[TreePath, tuple[int, int]]:
        """Size and modification time (nanoseconds) of each file that ``stage`` wrote."""
        return self._staging.written

    @property
    def bared(self) -> Sequence[TreePath]:
        """Files whose extended attributes the system did not let the new one have."""
        return self._staging.bared

    # --- before anything is changed ---

    def check(self) -> None:
        """Refuse whatever could fail half-way: hostile names, other file systems, folders without access,
        and files that are no longer as they were backed up.

        Raises ``Refused``: ``hostile-path``, ``other-file-system``, ``not-writable``, ``changed-meanwhile``.
        """
        new = ((each.path, each.after.mode) for _, each in self._ordered if each.after)
        check_paths(os.fsdecode(self._root), new)
        device = self._staging.open()
        os.makedirs(self._quarantine, exist_ok=True)
        check_folders(self._root, (each.path for _, each in self._ordered), device)
        files = Files(self._root)
        for _, change in self._ordered:
            status = files.lstat(change.path) if self._is_spelled(change.path) else None
            found = look(self._root + change.path, self._objects, status) if status is not None else None
            if status is not None and self._same(found, change.before):
                self._seen[change.path] = _signature(status)
            if change.before is not None and change.before.mode == MODE_GITLINK:
                self._check_submodule(change)
            elif not self._same(found, change.before) and not self._is_ready(change, found):
                raise Refused(
                    "changed-meanwhile",
                    f"{os.fsdecode(change.path)!r}{self._where} was changed by somebody else while resync was"
                    " planning. Nothing was changed.",
                    "resync",
                )

    def _is_ready(self, change: FileChange, found: TreeEntry | None) -> bool:
        """Whether a folder stands in a new file's place and all that is in it goes away in this switch, or
        in that of a submodule, which it may be."""
        if change.before is not None or found != DIRECTORY:
            return False
        if change.after is not None and change.after.mode == MODE_GITLINK:
            return True
        going = {each.path for _, each in self._ordered if each.after is None}
        full = self._root + change.path
        return all(
            os.path.relpath(os.path.join(folder, name), self._root).replace(os.fsencode(os.sep), b"/")
            in going
            for folder, _, names in os.walk(full)
            for name in names
        )

    def _check_submodule(self, change: FileChange) -> None:
        """A submodule's folder makes room for a file only if it is empty; else it stays, as with git."""
        full = self._root + change.path
        if change.after is not None and os.path.isdir(full) and os.listdir(full):
            raise Refused(
                "submodule-in-the-way",
                f"The submodule {os.fsdecode(change.path)!r} is in the way of a file that upstream has now,"
                " and it may hold work of yours. Nothing was changed.",
                f"save what you need of it and move it away: mv {shlex.quote(os.fsdecode(change.path))} ..",
            )

    def stage(self) -> None:
        """Write all new files into the run's folder, durably; nothing in the working tree changes."""
        written = len(self._staging.written)
        self._staging.open()
        os.makedirs(self._quarantine, exist_ok=True)
        for number, change in self._ordered:
            if change.after is None or change.path in self._staging.written:
                continue
            # In a run that is taken up again, it may stand in its place.
            if self._staging.fresh or not self._same(self._found(change.path), change.after):
                self._staging.add(number, change)
        if len(self._staging.written) != written:
            # No name may come into the working tree before the bytes that it is to have are on the disk.
            self.sync()

    # --- the change, and the way back ---

    def apply(self) -> tuple[TreePath, ...]:
        """Carry every change out; return the paths where somebody else was, which were left alone."""
        left: list[TreePath] = []
        emptied: set[bytes] = set()
        filled = self._above(each.path for _, each in self._ordered if each.after is not None)
        taken = _numbered(self._quarantine)
        for number, change in self._ordered:
            if change.after is not None and emptied:
                self._prune(emptied, filled)
                emptied = set()
            if not self._apply_one(number, change, taken=number in taken):
                left.append(change.path)
            elif change.after is None:
                emptied.add(os.path.dirname(self._root + change.path))
        self._prune(emptied, filled)
        return tuple(left)

    def _apply_one(self, number: int, change: FileChange, *, taken: bool) -> bool:
        """``taken`` says whether the old file was moved away already, by an earlier process."""
        full, quarantined = self._root + change.path, self._quarantined(number)
        reached = self._files.reaches(change.path)
        found = self._found_again(change) if reached else None
        if self._same(found, change.after):
            return True
        if change.before is None:
            if found is not None and found != DIRECTORY:
                return False
            return change.after is None or self._install(number, change, found, reached=reached)
        if change.before.mode == MODE_GITLINK:
            self._remove_empty(full)
            return change.after is None or self._install(number, change, found, reached=reached)
        if found is not None and found != DIRECTORY:
            if not self._same(found, change.before):
                return False
            if taken:
                # Stopped while it was being put back, it has both names, or a copy has the other.
                if not self._same(look(quarantined, self._objects), change.before):
                    return False
                free(quarantined, full)
            try:
                rename(full, quarantined)
            except FASTER:
                return change.after is None  # somebody removed it
            if not self._same(look(quarantined, self._objects), change.before):
                # Somebody saved between the look and the move; theirs goes back if the place is free.
                put_back(quarantined, full)
                return False
        elif not taken:
            return False
        return change.after is None or self._install(number, change, found, reached=reached)

    def _install(self, number: int, change: FileChange, found: TreeEntry | None, *, reached: bool) -> bool:
        """Bring a new file in; ``found`` is what stood in its place a moment ago, and ``reached`` whether the
        folders above it were there."""
        full, staged = self._root + change.path, self._staging.name(number)
        if not reached and not self._make_parents(change.path):
            return False
        if found == DIRECTORY:
            self._remove_empty(full)
        try:
            if change.after is not None and change.after.mode == MODE_GITLINK:
                os.mkdir(full)
            else:
                link(staged, full)
                os.unlink(staged)
        except FASTER:
            return False
        return True

    def revert(self) -> tuple[TreePath, ...]:
        """Take back whatever ``apply`` did, in the opposite order; return the paths that were left alone."""
        left: list[TreePath] = []
        emptied: set[bytes] = set()
        filled = self._above(each.path for _, each in self._ordered if each.before is not None)
        for number, change in reversed(self._ordered):
            if change.before is not None and emptied:
                self._prune(emptied, filled)
                emptied = set()
            if not self._revert_one(number, change):
                left.append(change.path)
            elif change.before is None:
                emptied.add(os.path.dirname(self._root + change.path))
        self._prune(emptied, filled)
        return tuple(left)

    def _revert_one(self, number: int, change: FileChange) -> bool:
        full, quarantined = self._root + change.path, self._quarantined(number)
        found = self._found(change.path)
        if self._same(found, change.before) and not os.path.lexists(quarantined):
            return True
        if change.after is not None and change.after.mode == MODE_GITLINK:
            self._remove_empty(full)
            found = self._found(change.path)
        if found is not None and found != DIRECTORY:
            if self._same(found, change.before):
                free(quarantined, full)
                return True
            if not self._same(found, change.after):
                return False
            staged = self._staging.name(number)
            # Stopped while it was installed, it still has this name too; renaming would do nothing.
            free(staged, full)
            with contextlib.suppress(*FASTER):
                rename(full, staged)
                if not self._same(look(staged, self._objects), change.after):
                    put_back(staged, full)
                    return False
        if change.before is None:
            return True
        if not self._make_parents(change.path):
            return False
        self._remove_empty(full)
        if change.before.mode == MODE_GITLINK:
            os.makedirs(full, exist_ok=True)
            return True
        if not os.path.lexists(quarantined):
            self._staging.restore(quarantined, change.before, full, change.access_before)
        try:
            link(quarantined, full)
        except FASTER:
            return False
        free(quarantined, full)
        return True

    def disturbed(self) -> tuple[TreePath, ...]:
        """The paths whose file was written to after it was moved away: an editor had it open.

        That is the old file, now in quarantine, or on the way back the new one.
        """
        moved, staged = _numbered(self._quarantine), self._staging.names()
        return tuple(
            change.path
            for number, change in self._ordered
            if (number in moved and self._was_written(self._quarantined(number), change.before))
            or (number in staged and self._was_written(self._staging.name(number), change.after))
        )

    def _was_written(self, moved: bytes, expected: TreeEntry | None) -> bool:
        found = look(moved, self._objects)
        return found is not None and not self._same(found, expected)

    def sync(self) -> None:
        """Make everything that was changed durable."""
        ours = map(os.path.dirname, (self._staging.name(0), self._quarantine))
        sync_file_system(self._root, files_in=ours, folders=self._folders())

    def _folders(self) -> Iterator[bytes]:
        """Every folder in which a name may have changed."""
        for _, change in self._ordered:
            folder = self._root + change.path
            while len(folder) >= len(self._root):
                folder = os.path.dirname(folder)
                yield folder

    # --- looking and comparing ---

    def _quarantined(self, number: int) -> bytes:
        return self._quarantine + b"%d" % number

    def _found(self, path: TreePath) -> TreeEntry | None:
        """What stands at the path; None also where a link or file stands in place of a parent."""
        if not self._files.reaches(path) or not self._is_spelled(path):
            return None
        return look(self._root + path, self._objects)

    def _found_again(self, change: FileChange) -> TreeEntry | None:
        """What stands at a path of which all above are folders, without reading a file again that
        looks as it did when it was checked.

        Should its bytes be others all the same, that shows when they are looked at after the move.
        """
        status = self._files.lstat_below(change.path)
        if status is None or not self._is_spelled(change.path):
            return None
        if change.before is not None and self._seen.get(change.path) == _signature(status):
            return change.before
        return look(self._root + change.path, self._objects, status)

    def _is_spelled(self, path: TreePath) -> bool:
        """Whether what stands at the path has its spelling, and is not the file of that which it replaces."""
        return path not in self._respelled or is_spelled(self._root, path, self._settings)

    def _same(self, found: TreeEntry | None, expected: TreeEntry | None) -> bool:
        return same(found, expected, self._settings)

    # --- folders ---

    def _make_parents(self, path: TreePath) -> bool:
        """Make the folders above a path; False where something that is no folder stands in their place."""
        end = 0
        while (end := path.find(b"/", end + 1)) > 0:
            folder = self._root + path[:end]
            try:
                try:
                    status = os.lstat(folder)
                except FileNotFoundError:
                    self._make_folder(TreePath(path[:end]))
                    status = os.lstat(folder)
            except FASTER:
                return False
            if not stat.S_ISDIR(status.st_mode):
                return False
        return True

    def _make_folder(self, path: TreePath) -> None:
        folder, access = self._root + path, self._access.get(path)
        if access is not None:
            self._staging.bring_folder(folder, access)
            return
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
            if self._settings.follow_owner:
                take_owner(folder, os.lstat(os.path.dirname(folder)))

    def _remove_empty(self, full: bytes) -> None:
        """Remove a folder in the way of a file if nothing but empty folders is in it."""
        if os.path.islink(full):
            return
        found = list(os.walk(full, topdown=False))
        # All or nothing: empty folders inside a repository (.git/refs) are a part of it.
        if any(
            names or any(os.path.islink(os.path.join(folder, each)) for each in folders)
            for folder, folders, names in found
        ):
            return
        for folder, _, _ in found:
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def _above(self, paths: Iterable[TreePath]) -> set[bytes]:
        """The folders above paths."""
        found: set[bytes] = set()
        for inner in {path[: path.rfind(b"/") + 1] for path in paths}:
            folder = os.path.dirname(self._root + inner)
            while len(folder) > len(self._root) and folder not in found:
                found.add(folder)
                folder = os.path.dirname(folder)
        return found

    def _prune(self, folders: Iterable[bytes], filled: Collection[bytes]) -> None:
        """Remove folders that a removal left empty, and those above them, but not where somebody stands nor
        those that will be ``filled``: they stay the folders that they are."""
        for folder in sorted(folders, key=len, reverse=True):
            while len(folder) > len(self._root) and folder not in filled and not self._stands_in(folder):
                try:
                    os.rmdir(folder)
                except OSError as error:
                    if error.errno != errno.ENOENT:
                        break
                folder = os.path.dirname(folder)

    def _stands_in(self, folder: bytes) -> bool:
        return self._keep == folder or self._keep.startswith(folder + os.fsencode(os.sep))
