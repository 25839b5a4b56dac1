"""What ``.gitattributes`` and the configuration say about merging, in the merge engine's words."""

from __future__ import annotations

from collections.abc import Callable

from resync.merge import Driver, MergeAttributes, MergeOptions, RenameOptions
from resync.merge.lines import DEFAULT_MARKER_SIZE
from resync.merge.options import Treatment
from resync.model import TreePath
from resync.worktree.attributes import Attributes, Value
from resync.worktree.settings import MergeSettings

_BUILT_IN: dict[bytes, Treatment] = {b"text": "text", b"binary": "binary", b"union": "union"}


def merge_options(attributes: Attributes, settings: MergeSettings, driver: Driver) -> MergeOptions:
    """The options for merges in one repository.

    ``attributes`` are those of the new base; ``driver`` runs those that ``settings`` have.
    """
    limit = {"limit": settings.rename_limit} if settings.rename_limit > 0 else {}
    return MergeOptions(
        style=settings.style,
        renames=RenameOptions(enabled=settings.renames, directories=settings.directory_renames, **limit),
        attributes=_reader(attributes, settings, for_bases=False),
        base_attributes=_reader(attributes, settings, for_bases=True),
        driver=driver,
    )


def _reader(
    attributes: Attributes, settings: MergeSettings, *, for_bases: bool
) -> Callable[[TreePath], MergeAttributes]:
    def of(path: TreePath) -> MergeAttributes:
        found = attributes.of(path)
        treatment, driver = _way(found.merge, settings)
        own = settings.drivers.get(driver) if driver is not None else None
        if for_bases and own is not None and own.recursive is not None:
            treatment, driver = _way(own.recursive, settings)
        return MergeAttributes(
            treatment=treatment, marker_size=_marker_size(found.conflict_marker_size), driver=driver
        )

    return of


def _way(merge: Value, settings: MergeSettings) -> tuple[Treatment, bytes | None]:
    """How the attribute ``merge`` wants a path treated, and by which driver (gitattributes(5)).

    A driver of the user's stands for the built-in way of its name; ``merge`` and ``-merge`` are these always.
    """
    name = settings.default if merge is None else merge
    if isinstance(name, bytes):
        if name in settings.drivers or name not in _BUILT_IN:
            return "text", name
        return _BUILT_IN[name], None
    return ("binary" if name is False else "text"), None


def _marker_size(value: Value) -> int:
    if isinstance(value, bytes) and value.isdigit() and 0 < int(value) < 1000:
        return int(value)
    return DEFAULT_MARKER_SIZE
