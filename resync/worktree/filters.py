"""Filters: the programs that the user's configuration names for bringing files of a kind to and from git.

``clean`` makes of a file what git stores, ``smudge`` the reverse: gitattributes(5), "filter". A filter that
fails leaves the bytes as they are, or if it is ``required`` is a refusal, as with git.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from types import TracebackType

from resync.errors import Refused
from resync.model import Note, Oid, TreePath
from resync.programs import ProgramFailed, Programs, ProgramTooSlow, because, quoted
from resync.request import Progress
from resync.worktree.attributes import PathAttributes
from resync.worktree.filter_process import FileRefused, FilterProcess, Verb
from resync.worktree.settings import FilterDriver, WorktreeSettings

_PLACEHOLDER = re.compile(rb"%([f%])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What git stores for a file, before its line ends are converted.

    ``private`` says that a filter changed something, or failed to: the bytes on disk may be secrets.
    """

    data: bytes
    private: bool = False


class Filters:
    """Runs the filters of one command; leave the ``with`` to end those that stay at work."""

    def __init__(
        self,
        settings: WorktreeSettings,
        programs: Programs,
        *,
        lenient: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """``lenient``: a required filter that cannot clean is no refusal; the file counts as edited.
        ``progress`` is told of each file that goes through a filter, and as long as that takes."""
        self._settings = settings
        self._limit = settings.big_file_threshold
        self._programs = programs if progress is None else replace(programs, waiting=self._tell)
        self._progress = progress
        self._file, self._number = TreePath(b""), 0
        self._lenient = lenient
        self._at_work: dict[bytes, FilterProcess] = {}
        self._too_slow: set[bytes] = set()
        self._notes: dict[Note, None] = {}

    def __enter__(self) -> Filters:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._at_work.values():
            if kind is None:
                process.end()
            else:
                process.kill()
        self._at_work.clear()

    @property
    def settings(self) -> WorktreeSettings:
        """What the configuration says about the working tree whose filters they are."""
        return self._settings

    @property
    def notes(self) -> tuple[Note, ...]:
        """What could not be filtered and was left as it was, for the report."""
        return tuple(self._notes)

    def clean(self, path: TreePath, data: bytes, attributes: PathAttributes) -> Cleaned:
        """What git stores for the bytes of a file; raises ``Refused("filter-failed")``."""
        found = _driver(self._settings, attributes)
        if found is None:
            return Cleaned(data=data)
        name, driver = found
        try:
            cleaned = self._convert("clean", driver, path, data, None)
        except (FileRefused, ProgramFailed) as failure:
            if driver.required and not self._lenient:
                raise _refused("clean", name, path, str(failure)) from None
            self._note(path, f"taken as it is, because the filter {_shown(name)} {failure}")
            return Cleaned(data=data, private=True)
        if cleaned is None:
            if driver.required and not self._lenient:
                raise _refused("clean", name, path, "has no command for it")
            return Cleaned(data=data, private=driver.required)
        return Cleaned(data=cleaned, private=cleaned != data)

    def smudge(self, path: TreePath, data: bytes, attributes: PathAttributes, blob: Oid) -> bytes:
        """What stands on disk for what git stores, the blob ``blob`` with its line ends converted.

        Raises ``Refused("filter-failed")``. Where a filter fails that is not required, ``notes`` say so.
        """
        found = _driver(self._settings, attributes)
        if found is None:
            return data
        name, driver = found
        try:
            smudged = self._convert("smudge", driver, path, data, blob)
        except (FileRefused, ProgramFailed) as failure:
            if driver.required:
                raise _refused("smudge", name, path, str(failure)) from None
            self._note(path, f"left unfiltered, because the filter {_shown(name)} {failure}")
            return data
        # One that has no command at all is required on the way into git only: so git has it.
        if smudged is None and driver.required and driver != FilterDriver(required=True):
            raise _refused("smudge", name, path, "has no command for it")
        return data if smudged is None else smudged

    def _convert(
        self, verb: Verb, driver: FilterDriver, path: TreePath, data: bytes, blob: Oid | None
    ) -> bytes | None:
        """What the filter makes of it; None where it has no command for that. A process goes first."""
        self._file, self._number = path, self._number + 1
        self._tell()
        if driver.process is not None:
            return self._ask(verb, driver.process, path, data, blob) if driver.process else None
        command = driver.clean if verb == "clean" else driver.smudge
        return self._pipe(command, path, data) if command else None

    def _tell(self, waited: float = 0.0) -> None:
        if self._progress is not None:
            how_long = f", {waited:.0f} s" if waited >= 1 else ""
            self._progress(f"Filtering file {self._number}{how_long}: {os.fsdecode(self._file)!r}")

    def _pipe(self, command: bytes, path: TreePath, data: bytes) -> bytes:
        words = {b"f": quoted(path), b"%": b"%"}
        filled = _PLACEHOLDER.sub(lambda found: words[found[1]], command)
        self._refuse_too_slow(command)
        try:
            piped = self._programs.pipe(filled, data, self._limit)
        except ProgramTooSlow:
            self._too_slow.add(command)
            raise
        if piped.status:
            raise ProgramFailed(f"failed (exit status {piped.status}){because(piped.said)}")
        return piped.output

    def _ask(self, verb: Verb, command: bytes, path: TreePath, data: bytes, blob: Oid | None) -> bytes | None:
        """Ask the filter that stays at work. One that dies is started again for the next file, as by git."""
        self._refuse_too_slow(command)
        try:
            process = self._at_work.get(command) or self._start(command)
            return process.convert(verb, path, data, blob, self._limit) if process.can(verb) else None
        except ProgramFailed as failure:
            if isinstance(failure, ProgramTooSlow):
                self._too_slow.add(command)
            broken = self._at_work.pop(command, None)
            if broken is not None:
                broken.kill()
            raise

    def _start(self, command: bytes) -> FilterProcess:
        talk = self._programs.talk(command)
        try:
            process = self._at_work[command] = FilterProcess(talk)
        except BaseException:
            talk.kill()
            raise
        return process

    def _note(self, path: TreePath, text: str) -> None:
        self._notes[Note(path, text)] = None

    def _refuse_too_slow(self, command: bytes) -> None:
        if command in self._too_slow:
            raise ProgramFailed("was too slow before, and was not tried again")


def cleans(settings: WorktreeSettings, attributes: PathAttributes) -> bool:
    """Whether a filter cleans files with these attributes: what it takes away may be secret."""
    found = _driver(settings, attributes)
    return found is not None and bool(found[1].clean or found[1].process or found[1].required)


def filtered(settings: WorktreeSettings, attributes: PathAttributes) -> bool:
    """Whether a filter is configured for files with these attributes, for one way or the other."""
    return _driver(settings, attributes) is not None


def _driver(settings: WorktreeSettings, attributes: PathAttributes) -> tuple[bytes, FilterDriver] | None:
    """The filter of a path; none where the one that is named is not configured, as in git."""
    name = attributes.filter
    driver = settings.filters.get(name) if isinstance(name, bytes) else None
    return (name, driver) if isinstance(name, bytes) and driver is not None else None


def _shown(name: bytes) -> str:
    return repr(name.decode("utf-8", "replace"))


def _refused(verb: Verb, name: bytes, path: TreePath, reason: str) -> Refused:
    shown = name.decode("utf-8", "replace")
    what = "what git stores of it" if verb == "clean" else "the file out of what git stores"
    return Refused(
        "filter-failed",
        f"The filter {shown!r}, which {os.fsdecode(path)!r} has to go through to make {what}, {reason}."
        " Nothing was changed.",
        f"git config --get-regexp '^filter[.]{shown}[.]'    # shows the commands",
    )
