"""Processes of resync itself that work on one checkout after the other.

Processes and not threads, because a run is taken back by signals, which only a main thread gets, and because
one that dies, or that memory runs out for, must take no other with it. They stay for many checkouts, because
to start one costs as much as to look at several.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

_WORKER = "import sys; sys.path[:] = {path!r}; from resync.worker import main; main()"

# After as many checkouts a process is replaced: what libraries keep in memory does not grow for ever.
_MOST_JOBS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a job: the exit status and all that was printed. ``died`` says how the process ended
    that was at work on it; then there is nothing else."""

    job: int
    code: int = 0
    out: str = ""
    err: str = ""
    died: str = ""


class Crew:
    """``size`` processes at most; ``answers`` has what became of each job, in the order in which they end."""

    def __init__(self, size: int, env: Mapping[str, str]) -> None:
        self.size = size
        self.answers: SimpleQueue[Answer] = SimpleQueue()
        self._env = dict(env)
        self._idle: list[_Worker] = []
        self._busy: dict[int, _Worker] = {}

    @property
    def working(self) -> int:
        """How many jobs are at work."""
        return len(self._busy)

    def give(self, job: int, arguments: Sequence[str], shared: str) -> None:
        """Have one call of the command line carried out; ``shared`` is the folder for remotes' answers."""
        worker = self._rested() or _Worker(self._env)
        self._busy[job] = worker
        worker.begin(job, {"arguments": list(arguments), "shared": shared}, self.answers)

    def _rested(self) -> _Worker | None:
        """One that is idle and still alive."""
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            worker.end()
        return None

    def take(self, patience: float) -> Answer | None:
        """The next answer; None where there is none within ``patience`` seconds."""
        try:
            answer = self.answers.get(timeout=patience)
        except Empty:
            return None
        worker = self._busy.pop(answer.job)
        if answer.died or worker.jobs >= _MOST_JOBS:
            worker.end()
        else:
            self._idle.append(worker)
        return answer

    def interrupt(self) -> None:
        """Have all jobs at work unwound; their answers still come."""
        for worker in self._busy.values():
            worker.interrupt()

    def dismiss(self) -> None:
        """End all that are idle."""
        while self._idle:
            self._idle.pop().end()


class _Worker:
    def __init__(self, env: Mapping[str, str]) -> None:
        self.jobs = 0
        self._process = subprocess.Popen(
            # From where we are loaded, be that a folder, an archive, or an installation.
            [sys.executable, "-c", _WORKER.format(path=[path for path in sys.path if path])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
            # A Ctrl-C is for us, and we pass it on; a terminal is nothing that they may ask on.
            start_new_session=os.name != "nt",
        )

    def begin(self, job: int, order: Mapping[str, object], answers: SimpleQueue[Answer]) -> None:
        self.jobs += 1
        Thread(target=self._work, args=(job, order, answers), daemon=True).start()

    def _work(self, job: int, order: Mapping[str, object], answers: SimpleQueue[Answer]) -> None:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(order).encode("ascii") + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            status = process.wait()
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            answers.put(Answer(job=job, died=how))
            return
        answers.put(Answer(job=job, code=answer["code"], out=answer["out"], err=answer["err"]))

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def interrupt(self) -> None:
        with suppress(OSError):
            self._process.terminate()

    def end(self) -> None:
        """Close its input, which ends it, and wait for that."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._process.wait()
