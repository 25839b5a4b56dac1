"""Runs that nobody watches: what they refuse, the user's commands around the switch, the log, and what a
service sees of its files meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from tests import rewritten
from tests.conftest import Done, World, needs_git
from tests.inside import inside
from tests.meanwhile import locks, meanwhile

pytestmark = needs_git

RUN = ("run", "--yes", "--json")
MINE = rewritten.CONFIG.replace("setting_1 = 1", "setting_1 = mine")
SECRET = "password = mine\n"


@pytest.fixture
def served(world: World) -> World:
    """A deployment: one configuration file is edited, one is ignored, and upstream changes both."""
    rewritten.start(world)
    world.write(".git/info/exclude", "etc/local.conf\n")
    world.write("etc/tool.conf", MINE)
    world.write("etc/local.conf", SECRET)
    at = rewritten.work(world)
    rewritten.rewrite(world)
    world.commit("Defaults", {"etc/local.conf": "password = default\n"}, at=at)
    rewritten.publish(world)
    return world


def files(world: World) -> tuple[str, str]:
    return ((world.clone / "etc/tool.conf").read_text(), (world.clone / "etc/local.conf").read_text())


def test_edited_and_ignored_configuration_is_not_put_aside_unasked(served: World) -> None:
    before = served.state()
    refused = inside(served, *RUN)
    assert (refused.code, refused.json["error"]["kind"]) == (1, "would-park")
    assert "2 files are in the way" in refused.json["error"]["message"]
    assert "etc/local.conf, etc/tool.conf" in refused.json["error"]["message"]
    assert served.state() == before

    served.git("config", "resync.dirty", "park")
    done = inside(served, *RUN)
    assert done.code == 3
    assert {(each["path"], each["state"], each["verdict"]) for each in done.json["files"]} == {
        ("etc/tool.conf", "unstaged", "parked"),
        ("etc/local.conf", "ignored", "parked"),
    }
    assert files(served)[1] == "password = default\n"
    for name, text in (("etc/tool.conf", MINE), ("etc/local.conf", SECRET)):
        assert inside(served, "rescue", "restore", name, "--to", "../out").code == 0
        assert (served.base / "out" / name).read_text() == text
    # What is parked still waits at the next run of the timer.
    assert inside(served, *RUN).code == 3


def test_an_option_counts_more_than_the_setting(served: World) -> None:
    served.git("config", "resync.dirty", "park")
    refused = inside(served, *RUN, "--dirty", "restore")
    assert (refused.code, refused.json["error"]["kind"]) == (1, "would-park")
    assert files(served) == (MINE, SECRET)


# --- what a reader sees of a file meanwhile ------------------------------------------------------------


def edit(world: World) -> tuple[str, str, str]:
    """Edit a file where upstream changes another place of it: mine, what becomes of it, and the default."""
    rewritten.rewrite(world)
    mine = rewritten.CONFIG.replace("setting_9 = 9", "setting_9 = mine")
    world.write("etc/tool.conf", mine)
    default = rewritten.CONFIG.replace("setting_1 = 1\n", "")
    return mine, default.replace("setting_9 = 9", "setting_9 = mine"), default


WATCH = """
seen, busy, path = [], False, "etc/tool.conf"
def look(frame, event, called):
    if event == "c_call":
        try:
            number = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            seen.append(None)
            return
        data = os.read(number, 65536).decode()
        os.close(number)
        if not seen or seen[-1] != data:
            seen.append(data)
import threading
sys.setprofile(look)
import atexit, json
real = os._exit
def told():
    sys.setprofile(None)
    open("../seen", "w").write(json.dumps([each for each in dict.fromkeys(seen)]))
"""


def test_a_reader_never_sees_the_default(world: World) -> None:
    """It looks before every single call of the run to anything outside of Python."""
    rewritten.start(world)
    mine, final, default = edit(world)
    done = meanwhile(world, "resync.sequencer.steps:Run.publish", "told()", *RUN, first=WATCH)
    assert done.code == 0, done
    seen = json.loads((world.base / "seen").read_text())
    assert [each for each in seen if each is not None] == [mine, final]
    assert default not in seen
    assert (world.clone / "etc/tool.conf").read_text() == final


def test_nor_does_a_process_beside_it(world: World) -> None:
    rewritten.start(world)
    mine, final, _ = edit(world)
    path, seen, over = world.clone / "etc/tool.conf", set[str](), threading.Event()

    def poll() -> None:
        while not over.is_set():
            try:
                seen.add(path.read_text())
            except FileNotFoundError:
                continue
            time.sleep(0.0005)

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        assert world.resync(*RUN).code == 0
        assert world.resync("undo", "--yes").code == 0
    finally:
        over.set()
        reader.join()
    assert mine in seen
    assert seen <= {mine, final}


# --- the user's commands around the switch -------------------------------------------------------------


def hook(world: World, name: str, command: str) -> None:
    world.git("config", f"resync.{name}", command)


def told(world: World, name: str) -> list[dict[str, object]]:
    """What a hook was given, each time that it ran."""
    path = world.base / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def hooked(world: World) -> World:
    """A rewritten upstream, a commit to carry over, and hooks that keep what they are given."""
    rewritten.start(world)
    world.commit("Ship a plugin", {"plugin.txt": "my plugin\n"})
    rewritten.rewrite(world)
    hook(world, "preSwitch", "cat >> ../pre; git rev-parse HEAD >> ../heads; git status --short >> ../heads")
    hook(world, "postSwitch", "cat >> ../post; git rev-parse HEAD >> ../heads")
    return world


def test_hooks_get_the_plan_and_the_outcome(hooked: World) -> None:
    world = hooked
    for command in ("check", "plan"):
        assert inside(world, command).code == 5
    assert (told(world, "pre"), told(world, "post")) == ([], [])
    old = world.git("rev-parse", "HEAD")
    done = inside(world, *RUN)
    assert done.code == 0, done
    (plan,), (outcome,) = told(world, "pre"), told(world, "post")
    new = world.git("rev-parse", "HEAD")
    assert (world.base / "heads").read_text().split() == [old, new]
    assert (plan["command"], plan["exit_code"], plan["run"]) == ("plan", 5, done.json["run"])
    assert plan["branches"][0]["new_tip"] == new  # type: ignore[index]
    assert {key: value for key, value in done.json.items() if key != "warnings"} == outcome

    assert inside(world, "undo", "--yes").code == 0
    assert [each["command"] for each in told(world, "post")] == ["run", "undo"]
    # Nothing to switch, nothing to hook into.
    assert inside(world, *RUN).json["error"]["kind"] == "held"
    assert len(told(world, "pre")) == 2


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo no room >&2; exit 7", "ended with status 7: no room"),
        ("exec sleep 60", "was not done after 1 seconds"),
    ],
)
def test_a_pre_switch_that_fails_stops_the_run(hooked: World, command: str, said: str) -> None:
    hook(hooked, "preSwitch", command)
    hooked.git("config", "resync.timeout", "1" if "sleep" in command else "600")
    before = hooked.state()
    refused = inside(hooked, *RUN)
    assert (refused.code, refused.json["error"]["kind"]) == (1, "pre-switch-failed")
    assert f"The command of resync.preSwitch {said}" in refused.json["error"]["message"]
    assert hooked.state() == before
    assert inside(hooked, "status").code == 0
    assert told(hooked, "post") == []


@pytest.mark.parametrize("command", ["echo broken >&2; exit 1", "exec sleep 60"])
def test_a_post_switch_that_fails_is_said(hooked: World, command: str) -> None:
    hook(hooked, "postSwitch", command)
    hooked.git("config", "resync.timeout", "1" if "sleep" in command else "600")
    hooked.git("config", "--unset", "resync.preSwitch")  # it is not to be hurried
    done = inside(hooked, *RUN)
    assert (done.code, done.json["exit_code"], done.json["error"]) == (3, 3, None)
    assert "The command of resync.postSwitch" in done.json["warnings"][0]
    assert hooked.git("log", "-1", "--format=%s") == "Ship a plugin"
    assert "The command of resync.postSwitch" in done.err


def test_a_service_that_post_switch_leaves_at_work_is_not_waited_for(hooked: World) -> None:
    hook(hooked, "postSwitch", "sleep 60 & echo $! > ../pid")
    done = inside(hooked, *RUN)
    assert done.code == 0
    os.kill(int((hooked.base / "pid").read_text()), 9)  # it was still at work


def test_what_pre_switch_stopped_is_started_again_where_the_run_fails(hooked: World) -> None:
    """Here because somebody commits between the plan and the switch: the hook itself."""
    hook(hooked, "preSwitch", "git commit -q --allow-empty -m Meanwhile")
    refused = inside(hooked, *RUN)
    assert refused.code in (1, 75), refused
    (outcome,) = told(hooked, "post")
    assert outcome["exit_code"] == refused.code
    assert outcome["error"] == refused.json["error"]
    assert hooked.git("log", "-1", "--format=%s") == "Meanwhile"


def test_a_run_that_was_killed_is_hooked_by_what_ends_it(hooked: World) -> None:
    for command, code in ((("abort", "--json"), 0), (RUN, 0)):
        died = meanwhile(hooked, "resync.worktree.switch:link", "os._exit(9)", *RUN, nth=2)
        assert died.code == 9
        ends = len(told(hooked, "post"))
        done = inside(hooked, *command)
        assert done.code == code, done
        assert len(told(hooked, "post")) == ends + 1
        assert told(hooked, "post")[-1]["command"] == command[0]
    assert locks(hooked) == []


# --- the log, and who hears it ---------------------------------------------------------------------------


def test_the_log_as_json(served: World) -> None:
    served.git("config", "resync.postSwitch", "false")
    done = inside(served, *RUN, "--dirty", "park", "--log-format", "json")
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert done.json["exit_code"] == 3
    assert all(set(line) == {"time", "level", "message"} for line in lines)
    messages = [line["message"] for line in lines]
    assert any("origin/main was rewritten: 1 commit gone" in message for message in messages)
    assert any("running resync.postSwitch" in message for message in messages)
    assert [line["level"] for line in lines].count("warning") == 1
    assert messages[-1].endswith("run done, status 3")


def test_the_log_as_text(served: World) -> None:
    done = inside(served, "run", "--yes", "--log-format=text", "--color", "always")
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert last[4] == "-"
    assert last[20:].startswith(" error: 2 files are in the way of upstream's changes")
    wrong = inside(served, "run", "--nonsense", "--log-format", "json")
    assert json.loads(wrong.err)["level"] == "error"


@pytest.mark.parametrize(
    ("output", "options"),
    [("2> /dev/full", ()), ("<&- 2>&-", ("--log-format", "json"))],
)
def test_a_log_that_nobody_takes(hooked: World, output: str, options: tuple[str, ...]) -> None:
    """The status and the object are those of the work."""
    hook(hooked, "postSwitch", "exit 1")
    done = subprocess.run(
        ["sh", "-c", f'"$@" {output}', "sh", sys.executable, "-m", "resync", *RUN, *options],
        cwd=hooked.clone,
        env=hooked.env,
        capture_output=True,
        check=False,
    )
    outcome = Done(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())
    assert (outcome.code, outcome.json["exit_code"], outcome.err) == (3, 3, "")
    assert hooked.git("log", "-1", "--format=%s") == "Ship a plugin"


def test_without_anybody_to_ask_nothing_is_asked(hooked: World) -> None:
    before = hooked.state()
    done = inside(hooked, "run", "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "not-a-terminal")
    assert hooked.state() == before
