"""resync as a process that is forked from one in which everything is loaded.

Of a short command the start takes nine tenths of the time, and the suite starts resync thousands of times.
A forked process has a folder, an environment and files of its own, nothing of an earlier run, and ends as
any process does; ``tests/test_forked.py`` shows that it does the same as one that is started.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

_TOP = Path(__file__).resolve().parents[1]
_READ_BY_PYTHON = {"LC_ALL": "C.UTF-8"}
"""What of the environment Python reads when it starts: a process that is to have it otherwise is started."""
_LONGEST = 1 << 17
"""Bytes that the words for a process may have."""


def run(
    arguments: Sequence[str], *, at: Path, env: Mapping[str, str], program: str | None = None
) -> tuple[int, bytes, bytes]:
    """Run resync in the folder ``at`` without a terminal: its status, output and errors (see ``start``)."""
    (out, its_out), (err, its_err) = os.pipe(), os.pipe()
    with open(os.devnull, "rb") as nothing:
        files = nothing.fileno(), its_out, its_err
        process = start(arguments, at=at, env=env, files=files, program=program)
    os.close(its_out)
    os.close(its_err)
    said = {out: bytearray(), err: bytearray()}
    with selectors.DefaultSelector() as selector:
        for number in said:
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                if chunk := os.read(key.fd, 1 << 16):
                    said[key.fd] += chunk
                else:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return process.wait(), bytes(said[out]), bytes(said[err])


def start(
    arguments: Sequence[str],
    *,
    at: Path,
    env: Mapping[str, str],
    files: tuple[int, int, int],
    program: str | None = None,
) -> Forked | subprocess.Popen[bytes]:
    """Start resync in the folder ``at``; the caller waits for its status, which is negative for a signal.

    ``files`` are the descriptors of its standard input, output and errors. ``program`` is one for Python that
    is run in its stead, with the same arguments. Where it cannot be forked, a process is started.
    """
    # Elsewhere than on Linux the system's own libraries may not bear a fork.
    if sys.platform == "linux" and _read_by_python(env) == _READ_BY_PYTHON:
        return Forked(arguments, at=at, env=env, files=files, program=program)
    command = [sys.executable, *(("-m", "resync") if program is None else ("-c", program)), *arguments]
    stdin, stdout, stderr = files
    return subprocess.Popen(command, cwd=at, env=env, stdin=stdin, stdout=stdout, stderr=stderr)


class Forked:
    """A process that was forked, at work."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        at: Path,
        env: Mapping[str, str],
        files: tuple[int, int, int],
        program: str | None = None,
    ) -> None:
        wanted = {"arguments": [*arguments], "at": str(at), "env": {**env}, "program": program}
        self._status, told = os.pipe()
        words = json.dumps({**wanted, "umask": _umask()}).encode()
        socket.send_fds(_first(), [words], [*files, told])
        os.close(told)

    def wait(self) -> int:
        """Wait for its end: the status, negative for a signal."""
        with open(self._status, "rb") as told:
            return int(told.read())


def _read_by_python(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if re.match("PYTHON|LC_|LANG|LD_|MALLOC_", name)}


def _umask() -> int:
    """That of this process; to ask the system would set it."""
    return int(Path("/proc/self/status").read_text().partition("Umask:")[2].split()[0], 8)


@cache
def _first() -> socket.socket:
    """The way to the process in which everything is loaded; it lives as long as this one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, str(its.fileno())],
        cwd=_TOP,
        env={"PATH": os.environ.get("PATH", os.defpath), **_READ_BY_PYTHON},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[its.fileno()],
    )
    its.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


# --- in the process that forks ---------------------------------------------------------------------------


def load_everything() -> None:
    """Every module of resync, and what a run loads besides: nothing is looked for later."""
    import importlib
    import pkgutil

    import resync

    for module in pkgutil.walk_packages(resync.__path__, "resync."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    for name in _BESIDES:
        importlib.import_module(name)
    gc.freeze()  # what is loaded stays where it is, and shared by all that are forked


_BESIDES = (
    "argparse",
    "ctypes",
    "colorama",
    "dulwich.client",
    "dulwich.config",
    "dulwich.errors",
    "dulwich.ignore",
    "dulwich.object_store",
    "dulwich.objects",
    "dulwich.pack",
    "dulwich.protocol",
    "dulwich.refs",
    "dulwich.repo",
    "dulwich.server",
    "fcntl",
    "platformdirs",
    "platformdirs.unix",
    "shutil",
    "subprocess",
    "tempfile",
    "traceback",
    "zlib",
)


def _serve(asked: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork a process for each that is asked for, and tell how it ended; returns in each of them what it is
    to be, and in the first one at the end."""
    load_everything()
    at_work: dict[int, tuple[int, int]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(asked, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not asked:
                    pid, told = at_work.pop(key.fd)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    os.write(told, str(code).encode())
                    os.close(told)
                    continue
                words, descriptors, _, _ = socket.recv_fds(asked, _LONGEST, 4)
                if not words:
                    return None
                *files, told = descriptors
                alive, its = os.pipe()  # the other end goes when the process does
                pid = os.fork()
                if pid == 0:
                    for descriptor in (alive, told, *at_work, *(others for _, others in at_work.values())):
                        os.close(descriptor)
                    return json.loads(words), files
                for descriptor in (its, *files):
                    os.close(descriptor)
                at_work[alive] = pid, told
                selector.register(alive, selectors.EVENT_READ)


def _become(wanted: dict[str, Any], files: list[int]) -> int:
    """Be the process that is wanted; returns its status where it ends by itself."""
    from resync import __main__

    os.umask(wanted["umask"])
    os.chdir(wanted["at"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    time.tzset()
    for place, descriptor in enumerate(files):
        os.dup2(descriptor, place)
        os.close(descriptor)
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())  # type: ignore[union-attr]
    if wanted["program"] is not None:
        sys.argv = ["-c", *wanted["arguments"]]
        exec(wanted["program"], {"__name__": "__main__"})
        return 0
    sys.argv = [__main__.__file__, *wanted["arguments"]]
    return __main__.main()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as way:
        asked = _serve(way)
    if asked is not None:
        sys.exit(_become(*asked))
