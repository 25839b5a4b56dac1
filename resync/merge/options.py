"""What a caller can decide about a merge of trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from resync.merge.lines import DEFAULT_MARKER_SIZE, Labels, Style
from resync.merge.recordings import Recordings
from resync.model import TreePath

Treatment: TypeAlias = Literal["text", "binary", "union"]
"""How a path's content merges: line by line unless it looks binary, not at all, or by union."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeAttributes:
    """What ``.gitattributes`` say about merging one path.

    ``treatment`` is ``binary`` for ``-merge`` (and so for the ``binary`` macro) and ``merge=binary``,
    ``union`` for ``merge=union``, and else ``text``; ``driver`` is the name of any other ``merge=NAME``, and
    of one of these that the user has configured a driver for. What ``diff`` or ``text`` say does not matter
    to a merge.
    """

    treatment: Treatment = "text"
    marker_size: int = DEFAULT_MARKER_SIZE
    driver: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverCall:
    """What a merge driver is asked to merge; ``base`` is empty where the path is new on both sides."""

    name: bytes
    path: TreePath
    base: bytes
    ours: bytes
    theirs: bytes
    marker_size: int
    labels: Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """What a merge driver made of a call, whether that is clean, and what it said about it."""

    data: bytes
    clean: bool
    said: str = ""


Driver: TypeAlias = Callable[[DriverCall], "Driven | None"]
"""Runs the merge driver that the user configured under that name.

Returns its result, or None where no such driver is configured. A driver that fails is a conflict of its own:
it raises ``DriverFailed``.
"""


class DriverFailed(Exception):
    """A merge driver could not be run or died; the message says how, for the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameOptions:
    """How renames are looked for.

    ``similarity`` is in percent. ``limit`` is git's ``merge.renameLimit``: where the sources times the
    destinations that are left to compare each with each exceed its square, they are not compared. ``work``
    bounds that comparison further, in comparisons of sizes and pieces (some five million a second): a count
    and not a clock, because a merge that is rehearsed has to come out the same when it is done.
    ``directories`` is git's ``merge.directoryRenames``.
    """

    enabled: bool = True
    similarity: int = 50
    limit: int = 7000
    work: int = 30_000_000
    directories: Literal["conflict", "apply", "ignore"] = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions:
    """Everything that a merge of trees can be told; the defaults are git's.

    ``base_attributes`` are asked in place of ``attributes`` where merge bases are merged with each other.
    ``recordings`` are for what is made of a merge that conflicts: no merge uses them by itself.
    """

    style: Style = "merge"
    labels: Labels = field(default_factory=Labels)
    renames: RenameOptions = field(default_factory=RenameOptions)
    attributes: Callable[[TreePath], MergeAttributes] | None = None
    base_attributes: Callable[[TreePath], MergeAttributes] | None = None
    driver: Driver | None = None
    recordings: Recordings | None = None

    def attributes_of(self, path: TreePath) -> MergeAttributes:
        """The attributes of one path; the defaults where nobody looks them up."""
        return _DEFAULTS if self.attributes is None else self.attributes(path)

    def for_bases(self) -> MergeOptions:
        """The options for merging merge bases with each other."""
        return replace(self, attributes=self.base_attributes or self.attributes)


_DEFAULTS = MergeAttributes()

GIT_DEFAULTS = MergeOptions()
"""What git does where nothing is configured."""
