"""What one of many checkouts has in common with others, before any of them is worked on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from resync.errors import ResyncError
from resync.model import RefName
from resync.repository import Repository
from resync.upstream.find import find
from resync.upstream.shared import key_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One checkout on the way. ``repository`` is the same for working trees of one repository; ``key`` for
    all that may share what their upstream answers, None where nothing is known of that. ``branch`` is
    upstream's.
    """

    path: str
    repository: str
    key: str | None = None
    branch: RefName | None = None


def survey(path: str, env: Mapping[str, str], upstream: str | None) -> Stop:
    """Look at the checkout that ``path`` is in. Whatever is wrong with it, its own command will say."""
    try:
        with Repository.open(path, env) as repository:
            place = Stop(path=repository.root, repository=os.path.realpath(repository.common_dir))
            try:
                found = find(repository, repository.head(), upstream)
                return Stop(
                    path=place.path,
                    repository=place.repository,
                    key=key_of(repository, found),
                    branch=found.branch,
                )
            except ResyncError:
                return place
    except Exception:
        # One that cannot even be opened stops nobody: it is visited as any other, and says so itself.
        return Stop(path=path, repository=path)
