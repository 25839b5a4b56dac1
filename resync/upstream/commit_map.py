"""What a tool that rewrote history says of it: the map from old commits to new ones that it leaves behind.

git-filter-repo writes ``.git/filter-repo/commit-map``, the BFG ``object-id-map.old-new.txt``. Both have two
ids on a line, the old one first; git-filter-repo's has a line of headings above, and zeros where a commit was
dropped.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from resync.errors import UsageError
from resync.history import History
from resync.model import Oid

_LINE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})[ \t]+([0-9a-f]{40}|[0-9a-f]{64})")
_HEADING = re.compile(rb"old[ \t]+new")


def read_map(path: str) -> frozenset[Oid]:
    """The old commits of a commit map.

    Raises ``UsageError("bad-commit-map")`` where the file cannot be read or is none.
    """
    try:
        with open(path, "rb") as file:
            lines = file.read().lower().splitlines()
    except OSError as error:
        raise _bad(path, error.strerror or "it cannot be read") from None
    old: set[Oid] = set()
    for number, line in enumerate(lines, start=1):
        row = _LINE.fullmatch(line.strip())
        if row is not None:
            old.add(Oid(row[1]))
        elif line.strip() and not _HEADING.fullmatch(line.strip()):
            raise _bad(path, f"line {number} does not hold an old and a new id")
    return frozenset(old)


def tips_of(history: History, head: Oid, old: Collection[Oid]) -> tuple[Oid, ...]:
    """The newest of the ``old`` commits that ``head`` reaches: all others that it reaches are below these."""
    found: dict[Oid, None] = {}
    seen = {head}
    waiting = [head]
    while waiting:
        oid = waiting.pop()
        if oid in old:
            found[oid] = None
            continue
        for parent in history.parents(oid):
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return history.independent(found)


def _bad(path: str, why: str) -> UsageError:
    return UsageError(
        "bad-commit-map",
        f"{path} is no commit map ({why}). Nothing was changed.",
        "name the file that git-filter-repo (commit-map) or the BFG (object-id-map.old-new.txt) wrote",
    )
