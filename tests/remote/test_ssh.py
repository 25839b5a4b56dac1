"""Which ssh is started, and with what: a program that writes its arguments down stands in for it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resync.errors import Busy, ResyncError, UsageError
from tests.conftest import World, needs_git
from tests.servers import ask
from tests.typed import typed

pytestmark = needs_git

PATIENCE = 300
"""Seconds until something has to be so that is soon so: no test waits for as long."""
QUIET = ["-o", "SendEnv=GIT_PROTOCOL", "-o", "BatchMode=yes"]
COMMAND = "git-upload-pack '/a/it'\\''s.git'"


def stand_in(world: World, name: str, status: int = 255) -> Path:
    """A program that notes its arguments and part of its environment, and ends with a word on its error."""
    path = world.base / name
    path.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"with open({str(world.base / 'started')!r}, 'a') as file:\n"
        "    json.dump([sys.argv[1:], os.environ.get('GIT_PROTOCOL'), 'SSH_ASKPASS' in os.environ], file)\n"
        "    file.write('\\n')\n"
        "sys.stderr.write('no route to that host\\n')\n"
        f"sys.exit(0 if '-G' in sys.argv else {status})\n"
    )
    path.chmod(0o755)
    return path


def started(world: World) -> list[tuple[list[str], str | None, bool]]:
    return [tuple(json.loads(line)) for line in (world.base / "started").read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "config", "env", "arguments"),
    [
        ("ssh", {"core.sshCommand": "{} -F x"}, {}, ["-F", "x", *QUIET, "-p", "2222"]),
        ("ssh", {}, {"GIT_SSH_COMMAND": "{} -i 'a b'"}, ["-i", "a b", *QUIET, "-p", "2222"]),
        ("ssh", {}, {"GIT_SSH": "{}"}, [*QUIET, "-p", "2222"]),
        ("ssh", {"core.sshCommand": "{} one"}, {"GIT_SSH": "/none"}, ["one", *QUIET, "-p", "2222"]),
        ("plink", {"core.sshCommand": "{}"}, {}, ["-batch", "-P", "2222"]),
        ("tortoiseplink", {"core.sshCommand": "{}"}, {}, ["-batch", "-P", "2222"]),
        ("ssh", {"core.sshCommand": "{}", "ssh.variant": "plink"}, {}, ["-batch", "-P", "2222"]),
        ("ssh", {"core.sshCommand": "{}"}, {"GIT_SSH_VARIANT": "putty"}, ["-batch", "-P", "2222"]),
    ],
)
def test_how_it_is_called(
    rewritten_world: World, name: str, config: dict[str, str], env: dict[str, str], arguments: list[str]
) -> None:
    world = rewritten_world
    program = str(stand_in(world, name))
    for key, value in config.items():
        world.git("config", key, value.format(program))
    world.git("config", "remote.origin.url", "ssh://me@example.com:2222/a/it's.git")
    with pytest.raises(Busy) as error:
        ask(world, {"SSH_ASKPASS": "/none", **{key: value.format(program) for key, value in env.items()}})
    assert "no route to that host" in error.value.message
    protocol = "version=2" if "BatchMode=yes" in arguments else None
    assert started(world) == [([*arguments, "me@example.com", COMMAND], protocol, False)]


# As ssh does it: a question goes to the terminal, whatever standard input is, and where there is none, nobody
# is asked.
ASKS = """\
#!/bin/sh
echo "$SSH_ASKPASS $*" >> {log}
case "$*" in *BatchMode=yes*) echo not asked >&2; exit 255;; esac
(exec < /dev/tty) 2> /dev/null || { echo no terminal >&2; exit 255; }
printf "password of me: " > /dev/tty
read -r word < /dev/tty
test "$word" = secret || exit 255
for last; do :; done
exec sh -c "$last"
"""


def test_a_person_at_a_terminal_is_asked_by_ssh(rewritten_world: World) -> None:
    """By ssh itself, on the terminal or by the program for that; with --yes nobody is."""
    world, log = rewritten_world, rewritten_world.base / "log"
    asks = world.base / "ssh"
    asks.write_text(ASKS.replace("{log}", str(log)))
    asks.chmod(0o755)
    world.git("config", "core.sshCommand", str(asks))
    world.git("config", "remote.origin.url", f"ssh://me@example.com{world.upstream}")
    env = {"SSH_ASKPASS": "/its/own"}
    code, printed = typed(world, {"password of me: ": "secret"}, env=env)
    assert code == 5, printed
    start = f"-o SendEnv=GIT_PROTOCOL me@example.com git-upload-pack '{world.upstream}'"
    assert log.read_text() == f"/its/own {start}\n"

    log.unlink()
    code, printed = typed(world, {}, "run", "--yes", env=env)
    assert (code, "not asked" in printed, "password" in printed) == (75, True, False), printed
    assert log.read_text().startswith(" -o SendEnv=GIT_PROTOCOL -o BatchMode=yes me@example.com")

    # One that does not heed the option has no terminal to ask on.
    asks.write_text(ASKS.replace("{log}", str(log)).replace("BatchMode=yes", "never"))
    code, printed = typed(world, {}, "run", "--yes", env=env)
    assert (code, "no terminal" in printed) == (75, True), printed


def test_an_ssh_of_another_name(rewritten_world: World) -> None:
    """It is asked for its configuration, as git asks: OpenSSH has one to tell."""
    world = rewritten_world
    world.git("config", "core.sshCommand", str(stand_in(world, "my-ssh")))
    world.git("config", "remote.origin.url", "example.com:a/it's.git")
    with pytest.raises(Busy):
        ask(world)
    command = COMMAND.replace("'/a", "'a")
    assert [arguments for arguments, _, _ in started(world)] == [
        ["-G", "example.com"],
        [*QUIET, "example.com", command],
    ]


def test_one_that_takes_no_port(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("config", "core.sshCommand", str(stand_in(world, "ssh")))
    world.git("config", "ssh.variant", "simple")
    world.git("config", "remote.origin.url", "ssh://example.com:2222/x")
    with pytest.raises(UsageError) as error:
        ask(world)
    assert error.value.kind == "no-port"
    assert not (world.base / "started").exists()


@pytest.mark.parametrize(
    "url",
    [
        "ssh://-oProxyCommand=x/y",
        "ssh://-x@example.com/y",
        "-oProxy=x:y",
        "example.com:-x",
        "ext::ssh x",
    ],
)
def test_no_option_gets_through(rewritten_world: World, url: str) -> None:
    """Neither as it stands nor by way of url.<base>.insteadOf."""
    world = rewritten_world
    world.git("config", "core.sshCommand", str(stand_in(world, "ssh")))
    for address in (url, "short:x"):
        world.git("config", "remote.origin.url", address)
        world.git("config", f"url.{url}.insteadOf", "short:x")
        with pytest.raises(UsageError):
            ask(world)
    assert not (world.base / "started").exists()


def _state(pid: str) -> str:
    """The letter that ps has for a process; nothing where there is none."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False)
    return done.stdout.strip()[:1]


def test_an_ssh_that_hangs_or_is_not_there(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("config", "remote.origin.url", "ssh://example.com/x")
    world.git("config", "resync.networkTimeout", "1")
    hangs = world.base / "ssh"
    hangs.write_text(f"#!/bin/sh\necho $$ > {world.base}/pid\nexec sleep 60\n")
    hangs.chmod(0o755)
    world.git("config", "core.sshCommand", str(hangs))
    with pytest.raises(Busy):
        ask(world)
    # Killed, as soon as the system comes to it, whether or not somebody has collected what is left of it.
    pid = (world.base / "pid").read_text().strip()
    until = time.monotonic() + PATIENCE
    while _state(pid) not in ("", "Z"):
        assert time.monotonic() < until
        time.sleep(0.01)
    world.git("config", "--unset", "core.sshCommand")
    with pytest.raises(ResyncError) as error:
        ask(world, {"GIT_SSH": "/nowhere/ssh"})
    assert error.value.kind == "no-ssh"


def test_the_longest_instead_of(rewritten_world: World) -> None:
    """url.<base>.pushInsteadOf is for pushing."""
    world = rewritten_world
    up = str(world.upstream)
    world.git("config", "remote.origin.url", "short:up.git")
    world.git("config", "url./nowhere/.insteadOf", "sh")
    world.git("config", f"url.{world.base}/.insteadOf", "short:")
    world.git("config", "url./nowhere/.pushInsteadOf", "short:up")
    assert ask(world).tip == world.git("rev-parse", "main", at=Path(up)).encode()
