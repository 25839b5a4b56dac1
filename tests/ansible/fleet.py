"""Eight checkouts of one upstream, each with work of another kind, and Ansible to play on them.

A playbook runs with the collection as ``scripts/build-collection`` installs it, and with nothing of the
user's own configuration of Ansible.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import rewritten
from tests.ansible.server import Connection
from tests.conftest import World
from tests.zipapp import TOP

FOLDER = TOP / ".venv" / "ansible"
PLAYBOOK = FOLDER / "bin" / "ansible-playbook"
CALLBACK = Path(__file__).with_name("callback")


def install(folder: Path) -> Path:
    """Build the collection and install it below ``folder``, as its script does it."""
    build = [str(TOP / "scripts" / "build-collection"), str(folder)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return folder


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one task came to on one host; ``said`` is all that it returned."""

    host: str
    task: str
    status: str
    said: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Played:
    """A playbook that has ended."""

    code: int
    out: str
    results: Sequence[Result]

    def of(self, task: str) -> dict[str, Result]:
        """The last result of a task for each host that it ran on."""
        return {each.host: each for each in self.results if each.task.endswith(task)}


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """An upstream that was rewritten, and the checkouts that followed it, by the names of their hosts."""

    world: World
    collections: Path
    connection: Connection
    new: str
    checkouts: Mapping[str, World]
    executables: Mapping[str, Path]

    def play(self, playbook: str, *arguments: str) -> Played:
        """Play a playbook on all hosts."""
        base = self.world.base
        inventory, record = base / "inventory.ini", base / "record.jsonl"
        inventory.write_text(self._inventory())
        record.unlink(missing_ok=True)
        done = subprocess.run(
            [str(PLAYBOOK), "-i", str(inventory), playbook, *arguments],
            cwd=base,
            env={
                **self.world.env,
                **self.connection.env,
                "ANSIBLE_HOME": str(base / "ansible"),
                "ANSIBLE_CONFIG": str(_empty(base / "ansible.cfg")),
                "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
                "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACK),
                "ANSIBLE_CALLBACKS_ENABLED": "record",
                "ANSIBLE_FORKS": "4",
                "ANSIBLE_NOCOLOR": "1",
                "RECORD": str(record),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        lines = record.read_text().splitlines() if record.exists() else []
        results = [
            Result(host=each["host"], task=each["task"], status=each["status"], said=each["result"])
            for each in map(json.loads, lines)
        ]
        return Played(code=done.returncode, out=done.stdout, results=results)

    def _inventory(self) -> str:
        """Every host with its checkout, the place of its zipapp, and a Python with nothing installed."""
        return "".join(
            f"{name} checkout_path={world.clone} checkout_executable={self.executables[name]}"
            f" ansible_python_interpreter={_python()} {self.connection.words}\n"
            for name, world in self.checkouts.items()
        )

    def states(self) -> dict[str, dict[str, Any]]:
        """Every checkout as it is."""
        return {name: world.state() for name, world in self.checkouts.items()}


def _python() -> str:
    """This Python without its virtual environment, so that no installed resync helps the zipapp."""
    return os.path.realpath(sys.executable)


def _empty(path: Path) -> Path:
    path.write_text("")
    return path


def _commit(world: World) -> None:
    world.commit("Mine", {"mine.txt": "mine\n"})


def _edit(world: World) -> None:
    world.write("etc/tool.conf", rewritten.CONFIG.replace("setting_9 = 9", "setting_9 = 99"))


def _staged(world: World) -> None:
    _edit(world)
    world.git("add", "etc/tool.conf")


def _untracked(world: World) -> None:
    world.write("local.txt", "local\n")


def _same(world: World) -> None:
    world.commit("Fix the README", {"README": "A fine tool.\n"})


def _several(world: World) -> None:
    _commit(world)
    _same(world)
    _edit(world)


def _nothing(world: World) -> None:
    return


WORK: Mapping[str, Callable[[World], None]] = {
    "clean": _nothing,
    "commit": _commit,
    "edited": _edit,
    "staged": _staged,
    "untracked": _untracked,
    "upstream-has-it": _same,
    "several": _several,
    "another": _commit,
}
"""What is in each checkout; all of it carries over."""


def fleet(
    world: World,
    collections: Path,
    connection: Connection,
    work: Mapping[str, Callable[[World], None]] = WORK,
) -> Fleet:
    """Make the checkouts, and rewrite their upstream."""
    rewritten.start(world)
    checkouts, executables = {}, {}
    for name, do in work.items():
        host = world.base / "hosts" / name
        (host / "bin").mkdir(parents=True)
        world.git("clone", "-q", str(world.upstream), str(host / "checkout"), at=world.base)
        checkouts[name] = World(
            base=world.base, upstream=world.upstream, clone=host / "checkout", env=world.env
        )
        checkouts[name].git("config", "user.name", "A Server")
        checkouts[name].git("config", "user.email", "server@example.com")
        do(checkouts[name])
        executables[name] = host / "bin" / "resync"
    return Fleet(
        world=world,
        collections=collections,
        connection=connection,
        new=rewritten.rewrite(world),
        checkouts=checkouts,
        executables=executables,
    )


def clashing(world: World) -> None:
    """A commit that conflicts with upstream's new line, so that it is parked and waits."""
    at_two = (world.clone / "numbers.txt").read_text().replace("two, the old way", "two, my way")
    world.commit("Count my way", {"numbers.txt": at_two})
