"""Merge attributes and settings: which paths merge as text, as binary, by union, by a driver, or not."""

from __future__ import annotations

import pytest

from resync.merge import Driven, DriverCall, MergeOptions
from resync.model import TreePath
from resync.worktree.attributes import Attributes
from resync.worktree.merging import merge_options
from resync.worktree.settings import MergeDriver, MergeSettings, WorktreeSettings

RULES = b"""\
*.bin -merge
*.png binary
*.list merge=union
*.txt merge=text
*.set merge
*.po merge=gettext conflict-marker-size=12
*.odd conflict-marker-size=nine
"""


def no_driver(call: DriverCall) -> Driven | None:
    raise AssertionError


def options(default: bytes | None = None, **drivers: MergeDriver) -> MergeOptions:
    attributes = Attributes(lambda path: RULES if path == b".gitattributes" else None, WorktreeSettings())
    settings = MergeSettings(
        default=default, drivers={name.encode(): driver for name, driver in drivers.items()}
    )
    return merge_options(attributes, settings, no_driver)


@pytest.mark.parametrize(
    ("path", "treatment", "size", "driver"),
    [
        (b"a.bin", "binary", 7, None),
        (b"a.png", "binary", 7, None),
        (b"a.list", "union", 7, None),
        (b"a.txt", "text", 7, None),
        (b"a.po", "text", 12, b"gettext"),
        (b"a.odd", "text", 7, None),
        (b"plain", "text", 7, None),
    ],
)
def test_attributes(path: bytes, treatment: str, size: int, driver: bytes | None) -> None:
    found = options().attributes_of(TreePath(path))
    assert (found.treatment, found.marker_size, found.driver) == (treatment, size, driver)


@pytest.mark.parametrize(
    ("path", "driver"),
    [(b"a.list", b"union"), (b"a.txt", b"text"), (b"a.bin", None), (b"a.set", None), (b"plain", b"text")],
)
def test_a_driver_of_ones_own_goes_before_the_built_in_way_of_its_name(
    path: bytes, driver: bytes | None
) -> None:
    own = MergeDriver(command=b"true")
    found = options(b"text", text=own, union=own, binary=own).attributes_of(TreePath(path))
    assert found.driver == driver


@pytest.mark.parametrize(
    ("default", "way"), [(b"union", ("union", None)), (b"binary", ("binary", None)), (b"x", ("text", b"x"))]
)
def test_the_default_is_for_paths_without_the_attribute(
    default: bytes, way: tuple[str, bytes | None]
) -> None:
    made = options(default)
    found = made.attributes_of(TreePath(b"plain"))
    assert (found.treatment, found.driver) == way
    found = made.attributes_of(TreePath(b"a.set"))
    assert (found.treatment, found.driver) == ("text", None)


@pytest.mark.parametrize(
    ("recursive", "way"),
    [
        (None, ("text", b"gettext")),
        (b"binary", ("binary", None)),
        (b"other", ("text", b"other")),
        (b"gettext", ("text", b"gettext")),
    ],
)
def test_merge_bases_go_the_way_that_the_driver_names_for_them(
    recursive: bytes | None, way: tuple[str, bytes | None]
) -> None:
    made = options(gettext=MergeDriver(command=b"x", recursive=recursive), other=MergeDriver(command=b"y"))
    assert made.attributes_of(TreePath(b"a.po")).driver == b"gettext"
    found = made.for_bases().attributes_of(TreePath(b"a.po"))
    assert (found.treatment, found.driver, found.marker_size) == (*way, 12)


def test_settings_reach_the_engine() -> None:
    attributes = Attributes(lambda path: None, WorktreeSettings())
    plain = merge_options(attributes, MergeSettings(), no_driver)
    assert (plain.style, plain.renames) == ("merge", MergeOptions().renames)
    settings = MergeSettings(style="zdiff3", renames=False, rename_limit=3, directory_renames="apply")
    made = merge_options(attributes, settings, no_driver)
    assert made.style == "zdiff3"
    assert (made.renames.enabled, made.renames.limit, made.renames.directories) == (False, 3, "apply")
