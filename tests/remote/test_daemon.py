"""git:// through a program: which one, and what it is told, beside git."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from resync.errors import Busy, ResyncError
from tests.conftest import World, needs_git
from tests.servers import ask, free_port, helper

pytestmark = needs_git


def stand_in(world: World, name: str) -> str:
    """A program that notes its arguments and then is a daemon for one visit, on its input and output."""
    path = world.base / name
    daemon = f"{helper('git-daemon')} --inetd --export-all --base-path={world.base} {world.base}"
    path.write_text(f'#!/bin/sh\necho "{name.strip()} $@" >> {world.base}/started\nexec {daemon}\n')
    path.chmod(0o755)
    return str(path)


def started(world: World) -> list[str]:
    """What was started since somebody last asked."""
    log = world.base / "started"
    found = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return found


def test_the_same_program_as_git(rewritten_world: World) -> None:
    world = rewritten_world
    one, two = stand_in(world, "one"), stand_in(world, "a b")
    closed = f"127.0.0.1:{free_port()}"
    # Settings of the user, of the repository, the environment's, the host, and whether one is started.
    cases: list[tuple[list[str], list[str], str | None, str, bool]] = [
        ([one], [], None, "example.com", True),
        ([one], [two], None, "example.com:1234", True),
        ([], [two, one], None, "example.com", True),
        ([], [f"{two} for example.com", one], None, "www.example.com", True),
        ([], [f"{two} for example.com", one], None, "badexample.com", True),
        ([], [f"{two} for example.com", one], None, "example.com:1234", True),
        ([], [f"{two} for example.com:1234", one], None, "example.com:1234", True),
        ([], ["none for 127.0.0.1", one], None, "127.0.0.1:1", True),
        ([], [f"none for {closed}", one], None, closed, False),
        (["none"], [one], None, closed, False),
        ([], [one], two, "[::1]:1234", True),
        ([], [one], "", closed, False),
    ]
    for users, own, given, host, starts in cases:
        for scope, values in (("--global", users), ("--local", own)):
            world.git("config", scope, "--unset-all", "core.gitProxy", check=False)
            for value in values:
                world.git("config", scope, "--add", "core.gitProxy", value)
        world.git("config", "remote.origin.url", f"git://{host}/up.git")
        env = {} if given is None else {"GIT_PROXY_COMMAND": given}
        world.git("ls-remote", "origin", check=False, env=env)
        its = started(world)
        with suppress(Busy):
            assert ask(world, env).tip == world.git("rev-parse", "main", at=world.upstream).encode()
        ours = started(world)
        assert (ours, bool(ours)) == (its, starts), (users, own, given, host)


@pytest.mark.parametrize("text", ["#!/bin/sh\necho no way through >&2; exit 1\n", None])
def test_one_that_fails_or_is_not_there(rewritten_world: World, text: str | None) -> None:
    world = rewritten_world
    path: Path = world.base / "proxy"
    if text is not None:
        path.write_text(text)
        path.chmod(0o755)
    world.git("config", "core.gitProxy", str(path))
    world.git("config", "remote.origin.url", "git://example.com/up.git")
    with pytest.raises(ResyncError) as error:
        ask(world)
    assert (error.value.exit_code, "no way through" in error.value.message) == (
        (75, True) if text else (2, False)
    )
    assert "Nothing was changed." in error.value.message
