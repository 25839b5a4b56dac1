"""A forked resync beside one that is started: the same words, statuses and deeds, and nothing is kept."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import CLOCK, Done, World, needs_git

pytestmark = [needs_git, pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all are started")]

STARTED = {"LANG": "C.UTF-8"}
"""An environment in which Python may start otherwise, so nothing is forked; here it does not."""

COMMANDS = (
    "check --verbose",
    "plan",
    "run --yes",
    "run --yes --dirty park --log-format text",
    "status",
    "log --json",
    "rescue show",
    "continue",
    "skip",
    "abort",
    "undo --yes",
    "log no-such-run",
    "--no-such-option",
    "--version",
)


def known(said: str, base: Path) -> str:
    """Without the folder, the time of day, and what is random in the name of a run."""
    said = re.sub(r"^20\d\d-\d\d-\d\dT[0-9:]+Z", "NOW", said.replace(str(base), "BASE"), flags=re.MULTILINE)
    return re.sub(r"(\d{8}T\d{6}Z)-[0-9a-f]{4}", r"\1-RUN", said)


def test_every_command_does_the_same(rewritten_world: World, tmp_path: Path) -> None:
    """In two copies of a checkout, which in the end are alike."""
    base = tmp_path / "twin"
    shutil.copytree(rewritten_world.base, base, symlinks=True)
    env = {**rewritten_world.env, **STARTED}
    twin = World(base=base, upstream=base / "up.git", clone=base / "clone", env=env)
    codes = []
    for number, words in enumerate(COMMANDS):
        now = {"GIT_COMMITTER_DATE": f"{CLOCK + 60 * number} +0000"}
        ours, its = (each.resync(*words.split(), env=now) for each in (rewritten_world, twin))
        assert ours.code == its.code, (words, ours, its)
        assert known(ours.out, rewritten_world.base) == known(its.out, base), words
        assert known(ours.err, rewritten_world.base) == known(its.err, base), words
        codes.append(ours.code)
    assert {0, 1, 2, 3, 5} <= {*codes}
    answers = [known(each.terminal(answer="n\n").out, each.base) for each in (rewritten_world, twin)]
    assert answers[0] == answers[1]
    for asked in (("rev-parse", "HEAD"), ("status", "--porcelain"), ("stash", "list"), ("ls-files", "-s")):
        assert rewritten_world.git(*asked) == twin.git(*asked)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("print(sys.argv, os.getcwd(), sorted(os.environ), sys.stdin.read())", 0),
        ("sys.exit('a sentence')", 1),
        ("sys.exit(7)", 7),
        ("print('said'); os._exit(8)", 8),
        ("raise OSError('no')", 1),
        ("raise KeyboardInterrupt", -2),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("os.kill(os.getpid(), signal.SIGTERM)", -15),
        ("open('new', 'w'); print(oct(os.stat('new').st_mode), *time.tzname)", 0),
        ("atexit.register(print, 'at last')", 0),
        ("subprocess.Popen('sleep 0.1; echo later', shell=True); sys.stdout.write('half')", 0),
        ("print(*(signal.getsignal(number) for number in (1, 13, 15)))", 0),
        ("print(sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering, sys.stderr.errors)", 0),
    ],
)
def test_every_end_is_the_same(world: World, program: str, code: int) -> None:
    world.clone.mkdir()
    whole = f"import atexit, os, signal, subprocess, sys, time\n{program}"
    env = {"TZ": "Asia/Tokyo"}
    ours = world.python(whole, "one", "two words", env=env)
    its = world.python(whole, "one", "two words", env={**env, **STARTED})
    same = replace(its, out=its.out.replace("'LANG', ", ""), err=last_line(its.err))
    assert replace(ours, err=last_line(ours.err)) == same
    assert ours.code == code


def last_line(text: str) -> str:
    """Where a program stands in a traceback is another matter."""
    return text.strip().rpartition("\n")[2]


def test_nothing_is_kept(world: World) -> None:
    world.clone.mkdir()
    program = "import resync.cli as cli, os; print(hasattr(cli, 'kept'), os.getenv('KEPT')); cli.kept = 1"
    for env in ({"KEPT": "1"}, {}):
        done = world.python(program, env=env)
        assert done == Done(code=0, out=f"False {env.get('KEPT')}\n", err="")
