"""Merge drivers: the programs that the user's configuration names for merging files of a kind.

The contract is that of gitattributes(5), "Defining a custom merge driver": a driver gets three files, leaves
its result in the one of ours, and says with its exit status whether that is clean.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress

from resync.merge import Driven, DriverCall, DriverFailed
from resync.programs import ProgramFailed, Programs, ProgramTooSlow, because, quoted
from resync.worktree.settings import MergeDriver

_PLACEHOLDER = re.compile(rb"%([OABLPSXY%])")

# Names that no shell takes for anything else, in quotes or without: git documents the files as they are.
_PLAIN = re.compile(rb"[A-Za-z0-9_./:,+@][A-Za-z0-9_./:,+@-]*")

# What a shell's own exit status says where it could not run the command.
_NOT_RUN = (126, 127)

_PREFIX = "merging-"


class MergeDrivers:
    """Runs drivers for one rehearsal. The same call gets the same answer, and is made only once."""

    def __init__(self, drivers: Mapping[bytes, MergeDriver], programs: Programs, folder: str) -> None:
        """``folder`` is where the files for the drivers are put while they run; it is made if need be."""
        self._drivers = drivers
        self._programs = programs
        self._folder = folder
        self._answers: dict[DriverCall, Driven | DriverFailed] = {}
        self._too_slow: set[bytes] = set()

    def run(self, call: DriverCall) -> Driven | None:
        """The driver's answer; None where none of that name is configured. Raises ``DriverFailed``."""
        driver = self._drivers.get(call.name)
        if driver is None:
            return None
        answer = self._answers.get(call)
        if answer is None:
            try:
                answer = self._ask(driver, call)
            except DriverFailed as failure:
                answer = failure
            self._answers[call] = answer
        if isinstance(answer, DriverFailed):
            raise answer
        return answer

    def _ask(self, driver: MergeDriver, call: DriverCall) -> Driven:
        from tempfile import TemporaryDirectory

        name = call.name.decode("utf-8", "replace")
        if not driver.command:
            raise DriverFailed(f"merge driver {name!r} has no command")
        if call.name in self._too_slow:
            raise DriverFailed(f"merge driver {name!r} was too slow before, and was not tried again")
        with TemporaryDirectory(prefix=_PREFIX, dir=self._home()) as folder:
            if not _PLAIN.fullmatch(self._shown_file(folder)):
                raise DriverFailed(f"merge driver {name!r} was not run: {folder!r} would need quotes")
            files = {side: os.path.join(folder, side) for side in ("base", "ours", "theirs")}
            for side, data in (("base", call.base), ("ours", call.ours), ("theirs", call.theirs)):
                with open(files[side], "wb") as file:
                    file.write(data)
            try:
                ended = self._programs.run(_command(driver.command, call, self._shown_files(files)))
            except ProgramTooSlow as failure:
                self._too_slow.add(call.name)
                raise DriverFailed(f"merge driver {name!r} {failure}") from None
            except ProgramFailed as failure:
                raise DriverFailed(f"merge driver {name!r} {failure}") from None
            if ended.status in _NOT_RUN:
                raise DriverFailed(f"merge driver {name!r} could not be run{because(ended.said)}")
            if ended.status > 128:
                raise DriverFailed(
                    f"merge driver {name!r} failed (exit status {ended.status}){because(ended.said)}"
                )
            try:
                with open(files["ours"], "rb") as file:
                    data = file.read()
            except OSError:
                raise DriverFailed(f"merge driver {name!r} left no result{because(ended.said)}") from None
        return Driven(data=data, clean=ended.status == 0, said=ended.said)

    def _home(self) -> str | None:
        """A folder whose name needs no quotes; None for the system's folder of temporary files."""
        os.makedirs(self._folder, exist_ok=True)
        return self._folder if _PLAIN.fullmatch(self._shown_file(self._folder)) else None

    def _shown_files(self, files: Mapping[str, str]) -> dict[bytes, bytes]:
        """The files by their placeholders."""
        sides = {b"O": "base", b"A": "ours", b"B": "theirs"}
        return {letter: self._shown_file(files[side]) for letter, side in sides.items()}

    def _shown_file(self, path: str) -> bytes:
        """A path as the driver gets it: from the folder that it runs in, which has the plainer name."""
        if path.startswith(os.path.join(self._programs.folder, "")):
            path = os.path.relpath(path, self._programs.folder)
        return os.fsencode(path.replace(os.sep, "/"))


def clear_dead(folder: str, older_than: float) -> None:
    """Remove what processes left there that died while a driver ran, before ``older_than`` (seconds)."""
    import shutil

    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.stat(follow_symlinks=False).st_mtime < older_than:
                shutil.rmtree(entry.path, ignore_errors=True)


def _command(command: bytes, call: DriverCall, files: Mapping[bytes, bytes]) -> bytes:
    """The command with its placeholders filled in: names of files bare, everything else in quotes."""
    words = {
        **files,
        b"L": b"%d" % call.marker_size,
        b"P": quoted(call.path),
        b"S": quoted(call.labels.base),
        b"X": quoted(call.labels.ours),
        b"Y": quoted(call.labels.theirs),
        b"%": b"%",
    }
    return _PLACEHOLDER.sub(lambda found: words[found[1]], command)
