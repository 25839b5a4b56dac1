"""Dates as the environment gives them, with git as the oracle."""

from __future__ import annotations

import pytest

from resync.dates import parse_date, shown_date
from tests.conftest import World, needs_git


@needs_git
@pytest.mark.parametrize(
    "text",
    [
        "1461092552 +0000",
        "@1461092552 +0530",
        "@0 -0330",
        "2016-04-19T19:02:32Z",
        "2016-04-19T19:02:32+02:00",
        "2016-04-19T19:02:32-0330",
        "2016-04-19T19:02:32",
        "2016-04-19 19:02:32 +0200",
        "2016-04-19 19:02",
        "2016-04-19 19:02:32.5 +0000",
        "2016.04.19 19:02:32 +0000",
        "Tue, 19 Apr 2016 19:02:32 +0200",
        "19 Apr 2016 19:02:32 -0700",
    ],
)
def test_as_git(world: World, text: str) -> None:
    world.git("init", "-q", str(world.clone), at=world.base)
    world.git("commit", "-q", "--allow-empty", "-m", "x", env={"GIT_COMMITTER_DATE": text})
    seconds, zone = world.git("log", "-1", "--format=%cd", "--date=raw").split()
    east = int(zone[1:3]) * 60 + int(zone[3:])
    assert parse_date(text) == (int(seconds), -east if zone[0] == "-" else east)


@pytest.mark.parametrize("text", ["", "yesterday", "2016-13-45T00:00:00Z", "1461092552 +00", "now"])
def test_no_date(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        parse_date(text)


@pytest.mark.parametrize(
    ("seconds", "zone", "shown"),
    [
        (1461092552, 0, "2016-04-19 19:02"),
        (1461092552, 330, "2016-04-20 00:32"),
        (0, -60, "1969-12-31 23:00"),
        (-1, 0, "1969-12-31 23:59"),
        (253402300799, 0, "9999-12-31 23:59"),
        (253402300799, 60, "253402300799"),
        (10**18, 0, "1000000000000000000"),
        (-(10**18), 0, "-1000000000000000000"),
    ],
)
def test_dates_for_people(seconds: int, zone: int, shown: str) -> None:
    assert shown_date(seconds, zone) == shown
