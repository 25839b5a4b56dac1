"""What ``.gitattributes`` and the configuration say about merging, in the merge engine's words."""

from __future__ import annotations

from collections.abc import Callable

from resync.merge import DriverCall, DriverFailed, MergeAttributes, MergeOptions, TextMerge
from resync.merge.lines import DEFAULT_MARKER_SIZE
from resync.merge.options import Treatment
from resync.model import TreePath
from resync.worktree.attributes import Attributes, Value

_BUILT_IN: dict[bytes, Treatment] = {b"text": "text", b"binary": "binary", b"union": "union"}


def merge_options(attributes: Attributes, is_driver: Callable[[str], bool]) -> MergeOptions:
    """The options for merges in one repository.

    ``attributes`` are those of the new base; ``is_driver`` says whether the user's configuration defines a
    merge driver of that name. Such drivers are not run yet: what needs one is parked.
    """

    def of(path: TreePath) -> MergeAttributes:
        found = attributes.of(path)
        treatment: Treatment = "binary" if found.merge is False else "text"
        driver = None
        if isinstance(found.merge, bytes):
            treatment = _BUILT_IN.get(found.merge, "text")
            driver = found.merge if found.merge not in _BUILT_IN else None
        return MergeAttributes(
            treatment=treatment, marker_size=_marker_size(found.conflict_marker_size), driver=driver
        )

    def run(call: DriverCall) -> TextMerge | None:
        name = call.name.decode("utf-8", "replace")
        if is_driver(name):
            raise DriverFailed(f"its merge driver {name} has to be run by git")
        return None

    return MergeOptions(attributes=of, driver=run)


def _marker_size(value: Value) -> int:
    if isinstance(value, bytes) and value.isdigit() and 0 < int(value) < 1000:
        return int(value)
    return DEFAULT_MARKER_SIZE
