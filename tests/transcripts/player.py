"""Plays a written session again: what was typed stands after ``$``, below it all that was printed.

``resync`` and ``git`` are what can be typed, and ``wait SECONDS`` moves the clock. Lines of standard error
begin with ``! ``, an exit status other than 0 stands alone in brackets, and a JSON object is spread over
lines. What differs from place to place is replaced: the folder of the test by ``/world``, and the random end
of a run's name by ``-run``.

``python -m tests.transcripts.player FILE...`` writes files anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import tempfile
from pathlib import Path

from tests.conftest import CLOCK, World, environment
from tests.rewritten import rewritten

FOLDER = Path(__file__).parent

_RUN = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{4}\b")


def play(world: World, transcript: str) -> str:
    """The transcript of the same commands, given in ``world`` now."""
    player = _Player(world)
    played = []
    for line in transcript.splitlines():
        if line.startswith("#"):
            played.append(line)
        elif line.startswith("$ "):
            played += ["", line, *player.answer(shlex.split(line[2:]))]
    return "\n".join(played).strip("\n") + "\n"


class _Player:
    def __init__(self, world: World) -> None:
        self._world = world
        self._now = CLOCK
        self._runs: dict[str, str] = {}

    def answer(self, words: list[str]) -> list[str]:
        command, *arguments = (self._runs.get(word, word) for word in words)
        if command == "wait":
            self._now += int(arguments[0])
            self._world.env["GIT_COMMITTER_DATE"] = f"{self._now} +0000"
            return []
        if command == "git":
            return self._same(self._world.git(*arguments))
        assert command == "resync", command
        done = self._world.resync(*arguments)
        out = done.out
        if "--json" in arguments:
            assert out.count("\n") == 1, "more than one line of JSON"
            out = json.dumps(json.loads(out), indent=2, ensure_ascii=False)
        lines = self._same(out) + [f"! {line}" for line in self._same(done.err)]
        return [*lines, f"[{done.code}]"] if done.code else lines

    def _same(self, text: str) -> list[str]:
        for match in _RUN.finditer(text):
            self._runs[f"{match[1]}-run"] = match[0]
        return _RUN.sub(r"\1-run", text.replace(str(self._world.base), "/world")).splitlines()


def main(names: list[str]) -> None:
    """Write the transcripts of these names anew."""
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "home"
            home.mkdir()
            base = Path(folder) / "world"
            base.mkdir()
            world = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(home))
            world.git("init", "-q", "--bare", "-b", "main", str(world.upstream), at=base)
            rewritten(world)
            world.git("config", "remote.origin.url", "../up.git")
            path = Path(name)
            path.write_text(play(world, path.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
