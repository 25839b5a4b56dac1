"""The module alone: what it starts, and what it makes of each exit status.

In the place of resync stands a program that answers as it is told; in that of Ansible's own part a class that
ends as it does, with what the module returned.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from resync.arguments import parser_for
from tests.zipapp import TOP

MODULE = TOP / "scripts" / "ansible" / "plugins" / "modules" / "resync.py"
OLD, NEW = "a" * 40, "b" * 40


class Ended(Exception):
    """The module left, with this result."""

    def __init__(self, *, failed: bool, result: Mapping[str, Any]) -> None:
        super().__init__(result)
        self.failed = failed
        self.result = result


class AnsibleModule:
    """What the module asks of Ansible's class of this name."""

    given: Mapping[str, Any] = {}
    check_mode = False

    def __init__(self, argument_spec: Mapping[str, Any], supports_check_mode: bool) -> None:
        assert supports_check_mode
        assert self.given.keys() <= argument_spec.keys()
        self.params = {
            name: self.given.get(name, spec.get("default")) for name, spec in argument_spec.items()
        }
        self.warned: list[str] = []

    def get_bin_path(self, name: str) -> str | None:
        return shutil.which(name)

    def run_command(
        self,
        args: list[str],
        *,
        handle_exceptions: bool,
        expand_user_and_vars: bool,
        before_communicate_callback: Callable[[subprocess.Popen[str]], None],
    ) -> tuple[int, str, str]:
        assert not handle_exceptions
        assert not expand_user_and_vars
        process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        before_communicate_callback(process)
        out, err = process.communicate()
        return process.returncode, out, err

    def warn(self, sentence: str) -> None:
        self.warned.append(sentence)

    def exit_json(self, **result: Any) -> None:
        raise Ended(failed=False, result={**result, "warned": self.warned})

    def fail_json(self, **result: Any) -> None:
        raise Ended(failed=True, result=result)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module's file, imported."""
    basic = ModuleType("basic")
    basic.AnsibleModule = AnsibleModule  # type: ignore[attr-defined]
    for name in ("ansible", "ansible.module_utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "ansible.module_utils.basic", basic)
    spec = importlib.util.spec_from_file_location("resync_module", MODULE)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    yield loaded
    AnsibleModule.given, AnsibleModule.check_mode = {}, False


def answer(folder: Path, status: int, said: Mapping[str, Any] | str, *, first: str = "") -> str:
    """A program that notes its arguments, prints this and ends so; returns its path."""
    program = folder / "resync"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, signal, sys, time\n"
        f"open({str(folder / 'called')!r}, 'w').write(json.dumps(sys.argv[1:]))\n"
        f"{first}\n"
        f"sys.stdout.write({said if isinstance(said, str) else json.dumps(said)!r})\n"
        f"sys.stderr.write('a word\\n')\nsys.exit({status})\n"
    )
    program.chmod(0o755)
    return str(program)


def call(module: ModuleType, given: Mapping[str, Any], *, check_mode: bool = False) -> Ended:
    AnsibleModule.given, AnsibleModule.check_mode = given, check_mode
    with pytest.raises(Ended) as ended:
        module.main()
    return ended.value


def document(**fields: Any) -> dict[str, Any]:
    """What resync says of a run that moved the branch; ``fields`` instead of what it has."""
    return {
        "exit_code": 0,
        "checkout": "/srv/x",
        "branch": "main",
        "upstream": {"kind": "rewritten"},
        "elsewhere": [],
        "branches": [{"name": "main", "old_tip": OLD, "new_tip": NEW, "moved": True}],
        "commits": [],
        "files": [],
        "rescue": None,
        "run": "20160419T190232Z-1f3a",
        "error": None,
        "hint": "",
        "warnings": [],
        **fields,
    }


def refusal(kind: str) -> dict[str, Any]:
    return document(branches=[], run=None, error={"kind": kind, "message": "It is so."}, hint="resync plan")


@pytest.mark.parametrize(
    ("status", "said", "changed", "waits"),
    [
        (0, document(), True, False),
        (0, document(run=None), False, False),
        (3, document(), True, True),
        (3, document(run=None), False, True),
        (4, document(), True, True),
        (4, refusal("interrupted-run"), False, True),
    ],
)
def test_statuses_that_are_no_failure(
    module: ModuleType, tmp_path: Path, status: int, said: dict[str, Any], changed: bool, waits: bool
) -> None:
    ended = call(module, {"path": "/srv/x", "executable": answer(tmp_path, status, said)})
    assert not ended.failed
    got = ended.result
    assert (got["changed"], got["waits"], got["busy"], got["status"]) == (changed, waits, False, status)
    assert got["resync"] == said
    assert ("diff" in got) == changed
    assert got["stderr"] == "a word\n"


@pytest.mark.parametrize("status", [1, 2, 70, 75, 130, 5])
def test_statuses_that_are_failures(module: ModuleType, tmp_path: Path, status: int) -> None:
    """5 is none of a run's."""
    said = refusal("of-a-kind")
    ended = call(module, {"path": "/srv/x", "executable": answer(tmp_path, status, said)})
    assert ended.failed
    got = ended.result
    assert (got["changed"], got["busy"], got["msg"]) == (False, status == 75, "It is so.\ntry: resync plan")
    assert got["resync"] == said


@pytest.mark.parametrize(
    ("fields", "waits"),
    [
        ({}, False),
        ({"commits": [{"oid": OLD, "subject": "s", "verdict": "parked", "new_oid": None}]}, True),
        (
            {"commits": [{"oid": OLD, "subject": "s", "verdict": "dropped-by-upstream", "new_oid": None}]},
            True,
        ),
        ({"commits": [{"oid": OLD, "subject": "s", "verdict": "reapplied", "new_oid": NEW}]}, False),
        ({"files": [{"path": "f", "state": "staged", "verdict": "parked"}]}, True),
        ({"files": [{"path": "f", "state": "staged", "verdict": "restored"}]}, False),
        ({"elsewhere": [{"kind": "rewritten"}]}, True),
    ],
)
def test_check_mode_plans(module: ModuleType, tmp_path: Path, fields: dict[str, Any], waits: bool) -> None:
    given = {"path": "/srv/x", "executable": answer(tmp_path, 5, document(**fields))}
    ended = call(module, given, check_mode=True)
    assert not ended.failed
    assert (ended.result["changed"], ended.result["waits"]) == (True, waits)
    assert ended.result["msg"].startswith("main would move from aaaaaaaaaa to bbbbbbbbbb")
    assert json.loads((tmp_path / "called").read_text()) == ["plan", "--yes", "--json", "--repo=/srv/x"]


def test_check_mode_of_what_is_due_elsewhere_only(module: ModuleType, tmp_path: Path) -> None:
    """A rewrite at another remote makes a plan due, and a run changes nothing."""
    said = document(run=None, elsewhere=[{"kind": "rewritten"}])
    ended = call(module, {"path": "/srv/x", "executable": answer(tmp_path, 5, said)}, check_mode=True)
    assert (ended.failed, ended.result["changed"], ended.result["waits"]) == (False, False, True)


def test_check_mode_of_an_interrupted_run(module: ModuleType, tmp_path: Path) -> None:
    """The run that it foresees would finish that one."""
    given = {"path": "/srv/x", "executable": answer(tmp_path, 4, refusal("interrupted-run"))}
    ended = call(module, given, check_mode=True)
    assert (ended.failed, ended.result["changed"], ended.result["waits"]) == (False, True, True)


def test_every_option_is_passed_on(module: ModuleType, tmp_path: Path) -> None:
    given = {
        "upstream": "origin/main",
        "onto": "-x",
        "old_tip": "v1",
        "commit_map": "/tmp/map",
        "expect": "abcdef1",
        "dirty": "park",
        "on_conflict": "stop",
        "change_id": "new",
        "to": "release",
        "constraint": ">=1,<2",
        "branch": ["topic", "more/*"],
        **dict.fromkeys(module.SWITCHES, True),
    }
    more = {"path": "/srv/x", "executable": answer(tmp_path, 0, document())}
    call(module, {**given, **more, "fetch": False, "require_announcement": False, "advance": True})
    words = json.loads((tmp_path / "called").read_text())
    assert words[:4] == ["run", "--yes", "--json", "--repo=/srv/x"]
    assert set(words[4:]) == {
        "--no-fetch",
        "--no-require-announcement",
        "--upstream=origin/main",
        "--onto=-x",
        "--old-tip=v1",
        "--commit-map=/tmp/map",
        "--expect=abcdef1",
        "--dirty=park",
        "--on-conflict=stop",
        "--change-id=new",
        "--to=release",
        "--constraint=>=1,<2",
        "--branch=topic",
        "--branch=more/*",
        "--advance",
        "--pre",
        "--all-branches",
        "--only-current",
        "--include-untracked",
        "--keep-dropped",
        "--redo",
    }


def test_the_options_are_those_of_the_command_line(module: ModuleType) -> None:
    """Each one that ``run`` has, but for those about the terminal and those that say where."""
    (subparsers,) = (each for each in parser_for("run")._actions if each.dest == "command")
    dests = {each.dest for each in subparsers.choices["run"]._actions}  # type: ignore[index]
    ours = set(module.OPTIONS) - {"path", "executable", "timeout"}
    terminal = {"help", "json", "quiet", "verbose", "color", "log_format", "yes"}
    where = {"repo", "path", "paths", "all", "registered", "jobs"}
    renamed = {"no_fetch": "fetch", "branches": "branch", "aim": "to"}
    assert {renamed.get(each, each) for each in dests - terminal - where} <= ours


def test_the_options_of_the_role(module: ModuleType) -> None:
    """They are those of the module, with its types and choices, and the role's own; each has the default that
    it gets, and none is promised that the role does not pass on."""
    role = MODULE.parents[2] / "roles" / "checkout"
    told: dict[str, dict[str, str]] = {}
    for line in (role / "meta" / "argument_specs.yml").read_text().splitlines():
        if option := re.fullmatch(r" {6}checkout_(\w+):", line):
            told[option[1]] = {}
        elif told and (given := re.fullmatch(r" {8}(type|elements|required|default|choices): (.+)", line)):
            told[option_of(told)][given[1]] = given[2]
    defaults = dict(re.findall(r"(?m)^checkout_(\w+): (.+)$", (role / "defaults" / "main.yml").read_text()))
    expected = {
        name: {key: written(value) for key, value in spec.items()} for name, spec in module.OPTIONS.items()
    }
    kinds = {
        "copy_zipapp": "bool",
        "zipapp": "str",
        "retries": "int",
        "delay": "int",
        "halt_on_waiting": "bool",
    }
    for name, value in defaults.items():
        expected.setdefault(name, {"type": kinds.get(name, "")})["default"] = value
    assert told == expected
    passed = re.findall(r"(?m)^ {8}(\w+): \"\{\{ .*checkout_(\w+)", (role / "tasks" / "main.yml").read_text())
    assert {name for name, variable in passed if name == variable} == set(module.OPTIONS)


def option_of(told: Mapping[str, object]) -> str:
    """The last that was begun."""
    return list(told)[-1]


def written(value: object) -> str:
    """A value as YAML has it."""
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_no_word_and_no_program(module: ModuleType, tmp_path: Path) -> None:
    silent = call(module, {"path": "/srv/x", "executable": answer(tmp_path, 2, "", first="")})
    assert (silent.failed, silent.result["msg"]) == (True, "a word")
    absent = call(module, {"path": "/srv/x", "executable": str(tmp_path / "absent")})
    assert absent.failed
    assert "Nothing was changed." in absent.result["msg"]
    assert "status" not in absent.result
    unnamed = call(module, {"path": "/srv/x", "executable": "resync-that-nobody-has"})
    assert unnamed.failed
    relative = call(module, {"path": "srv/x"})
    assert (relative.failed, relative.result["changed"]) == (True, False)


def test_a_run_that_takes_too_long_is_asked_to_stop(module: ModuleType, tmp_path: Path) -> None:
    says = f"sys.stdout.write({json.dumps(refusal('cancelled'))!r}), sys.stdout.flush()"
    stops = f"signal.signal(15, lambda *_: ({says}, os._exit(130)))"
    program = answer(tmp_path, 0, document(), first=f"{stops}\ntime.sleep(60)")
    ended = call(module, {"path": "/srv/x", "executable": program, "timeout": 1})
    assert (ended.failed, ended.result["status"]) == (True, 130)


def test_one_that_does_not_stop_is_killed(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    program = answer(tmp_path, 0, document(), first="signal.signal(15, signal.SIG_IGN)\ntime.sleep(60)")
    ended = call(module, {"path": "/srv/x", "executable": program, "timeout": 1})
    assert ended.failed
    assert "the next run finishes it" in ended.result["msg"]


def test_words_of_upstreams_do_not_reach_the_terminal(module: ModuleType, tmp_path: Path) -> None:
    bad = "\x1b[2Jgone"
    said = document(
        commits=[{"oid": OLD, "subject": bad, "verdict": "reapplied", "new_oid": NEW}],
        files=[{"path": bad, "state": "staged", "verdict": "kept"}],
        warnings=[bad],
    )
    got = call(module, {"path": "/srv/x", "executable": answer(tmp_path, 0, said)}).result
    assert "\x1b" not in got["diff"]["before"] + got["diff"]["after"] + "".join(got["warned"])
    assert "\\x1b[2Jgone: reapplied as bbbbbbbbbb" in got["diff"]["after"]


def test_the_version_is_that_of_the_project() -> None:
    from resync import __version__

    galaxy = (TOP / "scripts" / "ansible" / "galaxy.yml").read_text()
    assert f"\nversion: {__version__}\n" in galaxy
