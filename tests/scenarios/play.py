"""Acts scenarios out: real repositories, git for everybody's deeds, and resync called in this process."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

from resync.cli import run_command
from tests.conftest import Done, World
from tests.scenarios.acts import ACTS, BEFORE, START
from tests.scenarios.conditions import SENT, Condition
from tests.scenarios.language import Universe, at, create, message
from tests.scenarios.table import TIPS, Answer, Scenario, expected


@dataclass(kw_only=True)
class Stage:
    """Where scenarios are acted out: ``folder`` has the store of all commits and a world for each condition
    as it is before upstream acts, made when it is first asked for."""

    folder: Path
    env: dict[str, str]
    universe: Universe = field(init=False)
    _ready: dict[tuple[str, bool], Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        made = [commit for tip in TIPS for act in ACTS for commit in at(act, tip).commits]
        self.universe = create(self.folder / "store.git", [*BEFORE, *made], self.env)

    @contextmanager
    def acted(self, scenario: Scenario, name: str = "played") -> Iterator[World]:
        """The scenario's world when upstream has acted, in a folder that is gone afterwards."""
        base = self.folder / name
        shutil.copytree(self._before(scenario), base, symlinks=True)
        try:
            world = self._world(base)
            condition = scenario.condition
            for stage in at(scenario.act, scenario.tip).stages:
                self._script(world, condition.before)
                self._upstream(world, stage)
                self._script(world, condition.after)
            self._script(world, condition.finally_)
            yield world
        finally:
            shutil.rmtree(base)

    def _world(self, base: Path) -> World:
        return World(base=base, upstream=base / "up.git", clone=base / "clone", env=self.env)

    def _before(self, scenario: Scenario) -> Path:
        """A world with the clone as the scenario's condition has it."""
        condition = scenario.condition
        key = condition.name, scenario.pushed
        if key not in self._ready:
            base = self.folder / f"ready-{len(self._ready)}"
            self._make(self._world(base), condition)
            if scenario.pushed:
                self._script(self._world(base), SENT.format(remote=condition.remote))
            self._ready[key] = base
        return self._ready[key]

    def _make(self, world: World, condition: Condition) -> None:
        world.base.mkdir()
        world.git("init", "-q", "--bare", "-b", "main", "--template=", "up.git", at=world.base)
        # All commits are at hand there, and a clone gets those that a ref reaches.
        alternates = world.upstream / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_text(f"{self.folder / 'store.git' / 'objects'}\n")
        self._upstream(world, START)
        # No template: its sample hooks would be copied hundreds of times.
        options = ["-q", "--no-local", "--template=", *shlex.split(condition.clone)]
        world.git("clone", *options, str(world.upstream), "clone", at=world.base)
        # Relative, so that a copy has its own upstream.
        world.git("config", f"remote.{condition.remote}.url", "../up.git")
        self._script(world, condition.work)

    def _upstream(self, world: World, stage: Mapping[str, str]) -> None:
        lines = []
        for ref, target in stage.items():
            name = f"refs/{'tags' if ref.endswith('-early-demise') else 'heads'}/{ref}"
            lines.append(f"update {name} {self.universe.oids[target]}" if target else f"delete {name}")
        world.git("update-ref", "--stdin", at=world.upstream, stdin="\n".join(lines).encode() + b"\n")

    def _script(self, world: World, script: str) -> None:
        for line in script.splitlines():
            match shlex.split(line):
                case ["commit", name]:
                    world.write(name, f"{name}\n")
                    world.git("add", name)
                    world.git("commit", "-q", "-m", message(name, [name]))
                case ["upstream", ref, "=", target]:
                    self._upstream(world, {ref: target})
                case ["resync", *arguments]:
                    resync(world, *arguments)
                case arguments:
                    world.git(*arguments)


def resync(world: World, *arguments: str) -> Done:
    """Call resync on the clone, in this process: a new one for each call would take most of the time."""
    out, err = io.StringIO(), io.StringIO()
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with (
            mock.patch.dict(os.environ, world.env, clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = run_command([*arguments, "--repo", str(world.clone)])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Done(code=code, out=out.getvalue(), err=err.getvalue())


def look(stage: Stage, scenario: Scenario) -> Answer:
    """What ``check`` and ``plan`` say of the scenario, each to a clone that has not heard the other."""
    ask = scenario.condition.ask
    with stage.acted(scenario) as world:
        other = replace(world, clone=world.base / "other")
        shutil.copytree(world.clone, other.clone, symlinks=True)
        check = resync(world, "check", "--json", *ask)
        if expected(stage.universe, scenario).kind == "unrelated":
            # Only a person can say that this is the new home of the work.
            ask = (*ask, "--onto", stage.universe.oids[scenario.new_tip])
        plan = resync(other, "plan", "--json", "--advance", *ask)
    upstream = check.json["upstream"]
    error = plan.json["error"] or check.json["error"]
    return Answer(
        kind=upstream["kind"] if upstream else "",
        evidence=upstream["evidence"][0]["kind"] if upstream and upstream["evidence"] else "",
        commits=tuple((each["subject"], each["verdict"]) for each in plan.json["commits"]),
        refusal=error["kind"] if error else "",
        elsewhere=", ".join(f"{each['kind']}" for each in check.json.get("elsewhere", ())),
        attention=check.code != 0,
    )


def pull_rebase(stage: Stage, scenario: Scenario) -> str:
    """What ``git pull --rebase`` makes of the scenario: the commits that then stand above upstream's tip,
    oldest first, or where it stops, or why it refuses."""
    with stage.acted(scenario, "pulled") as world:
        before = world.git("rev-parse", "HEAD")
        world.git("pull", "-q", "--rebase", *scenario.condition.pull, check=False)
        if any((world.clone / ".git" / name).exists() for name in ("rebase-merge", "rebase-apply")):
            return "stops at " + world.git("log", "-1", "--format=%s", "REBASE_HEAD")
        tip = stage.universe.oids.get(scenario.new_tip, "")
        after = world.git("rev-parse", "HEAD")
        if tip not in world.git("rev-list", after).splitlines():
            return "stays" if after == before else "goes elsewhere"
        return ", ".join(world.git("log", "--reverse", "--format=%s", f"{tip}..{after}").splitlines())
