"""A process that watches its own calls to the system, where no tracer can: Python tells of them beforehand.

Its audit hooks (PEP 578) name every call that changes a folder or a file's mode, and every opening of a file;
what goes into an open file and when it is made durable they do not name, so ``os.fsync`` is wrapped.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.crashes.stage import Prepared, Stage

_EVENTS = frozenset(
    {
        "os.chmod",
        "os.chown",
        "os.link",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.setxattr",
        "os.symlink",
        "os.truncate",
        "os.utime",
    }
)


def install(*, below: str, kill: int | None, record: str | None) -> None:
    """Count this process's calls that change something below a folder; kill it before number ``kill``.

    ``record`` is a file that gets one JSON object for each call: its name and its first argument.
    """
    prefix, seen, busy = os.path.join(below, ""), [0], [False]
    log = open(record, "a", encoding="ascii") if record is not None else None  # noqa: SIM115

    def count(name: str, first: Any) -> None:
        path = _path(first)
        if path is None or not path.startswith(prefix):
            return
        if seen[0] == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        seen[0] += 1
        if log is not None:
            busy[0] = True
            log.write(json.dumps({"name": name, "path": path}) + "\n")
            log.flush()
            busy[0] = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if busy[0]:
            return
        if event in _EVENTS or (event == "open" and _writes(arguments[2])):
            count(event, arguments[0])

    fsync = os.fsync

    def counted_fsync(descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        count("os.fsync", os.readlink(f"/proc/self/fd/{number}") if sys.platform == "linux" else below + "/?")
        fsync(descriptor)

    os.fsync = counted_fsync
    sys.addaudithook(hook)


def _writes(flags: Any) -> bool:
    return isinstance(flags, int) and bool(flags & (os.O_CREAT | os.O_TRUNC))


def _path(value: Any) -> str | None:
    if isinstance(value, (str, bytes, os.PathLike)):
        return os.path.abspath(os.fsdecode(value))
    return None


def recorded(stage: Stage, prepared: Prepared) -> list[str]:
    """The calls of a scenario's command, which is carried out."""
    log = stage.now.with_name("calls")
    log.unlink(missing_ok=True)
    audit = {"below": str(stage.now), "kill": None, "record": str(log)}
    stage.run(prepared.scenario, *prepared.scenario.command, number=len(prepared.scenario.first), audit=audit)
    return log.read_text("ascii").splitlines()
