"""How conflicts were resolved before, as a merge is told of it (see ``rerere`` for what is made of it)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from resync.model import TreePath


class Recording(NamedTuple):
    """A conflicted text, normalised, and what a person made of it."""

    preimage: bytes
    postimage: bytes

    @property
    def sound(self) -> bool:
        """Whether this can be what a person left. git does not sync what it records, so that a crash can
        leave an end that is missing, or zeros: no resolution is empty, has a NUL, or lost the last line end.
        """
        ends = not self.preimage.endswith(b"\n") or self.postimage.endswith(b"\n")
        return ends and self.postimage != b"" and b"\0" not in self.postimage + self.preimage


Converter: TypeAlias = Callable[[TreePath, bytes], bytes]


def _as_it_is(path: TreePath, data: bytes) -> bytes:
    return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """What is recorded. ``find`` gives the recordings of a conflict id, in any order.

    git records what stands in the working tree: ``on_disk`` says what a text of a path looks like there, and
    ``stored`` what git would store of such a text. ``stages`` says that what is resolved wholly goes into the
    index as well, where other conflicts wait for a person (``rerere.autoupdate``).
    """

    find: Callable[[str], Sequence[Recording]]
    on_disk: Converter = _as_it_is
    stored: Converter = _as_it_is
    stages: bool = False
