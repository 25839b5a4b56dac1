"""Merge attributes: which paths merge as text, as binary, by union, or not at all."""

from __future__ import annotations

import pytest

from resync.merge import DriverCall, DriverFailed, Labels
from resync.model import TreePath
from resync.worktree.attributes import Attributes
from resync.worktree.merging import merge_options
from resync.worktree.settings import WorktreeSettings

RULES = b"""\
*.bin -merge
*.png binary
*.list merge=union
*.txt merge=text
*.po merge=gettext conflict-marker-size=12
*.odd conflict-marker-size=nine
"""


def options(*drivers: str):  # type: ignore[no-untyped-def]
    attributes = Attributes(lambda path: RULES if path == b".gitattributes" else None, WorktreeSettings())
    return merge_options(attributes, lambda name: name in drivers)


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


def test_a_configured_driver_parks_and_an_unknown_one_merges_as_text() -> None:
    call = DriverCall(
        name=b"gettext",
        path=TreePath(b"a.po"),
        base=b"",
        ours=b"",
        theirs=b"",
        marker_size=7,
        labels=Labels(),
    )
    assert options().driver(call) is None
    with pytest.raises(DriverFailed, match="gettext"):
        options("gettext").driver(call)
