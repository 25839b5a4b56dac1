"""What is asked, completed by git's configuration: option, then setting, then preset, then default."""

from __future__ import annotations

from io import BytesIO

import pytest
from dulwich.config import ConfigFile, StackedConfig

from resync.errors import UsageError
from resync.policy import settled
from resync.request import Request
from tests import rewritten
from tests.conftest import World, needs_git
from tests.inside import inside


def config(*files: str) -> StackedConfig:
    """A stack of configuration files, the nearest first."""
    return StackedConfig([ConfigFile.from_file(BytesIO(text.encode())) for text in files])


NAMES = ("advance", "dirty", "on_conflict", "only_current", "require_announcement")


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("", {}, (False, "restore", None, False, False)),
        (
            "[resync]\nadvance\ndirty = PARK\nonConflict = park\nrequireAnnouncement = yes",
            {},
            (True, "park", "park", False, True),
        ),
        (
            "[resync]\nadvance = true\ndirty = park\nrequireAnnouncement = true",
            {"advance": False, "dirty": "refuse", "require_announcement": False},
            (False, "refuse", None, False, False),
        ),
        ("[resync]\ndeploy = true", {}, (True, "restore", "park", True, False)),
        ("[resync]\ndeploy = true\nadvance = false", {}, (False, "restore", "park", True, False)),
        (
            "[resync]\ndeploy = true\ndirty = refuse",
            {"advance": False},
            (False, "refuse", "park", True, False),
        ),
        ("[resync]\ndeploy = true", {"branches": ("topic",)}, (True, "restore", "park", False, False)),
        ("[resync]\ndeploy = true", {"all_branches": True}, (True, "restore", "park", False, False)),
    ],
)
def test_what_counts(text: str, asked: dict[str, object], expected: tuple[object, ...]) -> None:
    found = settled(config(text), Request(**asked))  # type: ignore[arg-type]
    assert tuple(getattr(found, name) for name in NAMES) == expected
    assert settled(config("[resync]\nadvance = true\ndirty = park\nrequireAnnouncement"), found) == found


def test_a_setting_anywhere_counts_more_than_the_preset() -> None:
    found = settled(config("[resync]\ndeploy = true", "[resync]\nadvance = false"), Request())
    assert found.advance is False


@pytest.mark.parametrize(
    "line", ["dirty = sometimes", "onConflict = explode", "advance = 7x", "deploy = maybe"]
)
def test_a_value_that_is_none(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        settled(config(f"[resync]\n{line}"), Request())
    assert caught.value.kind == "bad-config"
    assert f"resync.{line.partition(' ')[0]}" in caught.value.message


@needs_git
def test_a_deployment_follows_upstream_and_leaves_other_branches_alone(world: World) -> None:
    rewritten.start(world)
    world.git("branch", "topic")
    world.git("checkout", "-q", "topic")
    world.commit("On a topic", {"topic.txt": "mine\n"})
    world.git("checkout", "-q", "main")
    at = rewritten.work(world)
    tip = world.commit("Went on", {"more.txt": "more\n"}, at=at)
    rewritten.publish(world)
    assert inside(world, "run", "--yes", "--json").json["run"] is None
    world.git("config", "resync.deploy", "true")
    assert inside(world, "run", "--yes", "--no-advance", "--json").json["run"] is None
    done = inside(world, "run", "--yes", "--json")
    assert (done.code, world.git("rev-parse", "HEAD")) == (0, tip)

    world.git("reset", "-q", "--hard", "main~1", at=at)
    rewritten.rewrite(world)
    topic = world.git("rev-parse", "topic")
    assert inside(world, "plan", "--all-branches", "--json").json["branches"][1]["name"] == "topic"
    done = inside(world, "run", "--yes", "--json")
    assert (done.code, len(done.json["branches"]), done.json["upstream"]["kind"]) == (0, 1, "rewritten")
    assert world.git("rev-parse", "topic") == topic
