"""The commit graph of an opened repository."""

from __future__ import annotations

import os

from resync.history.commit_graph import read_commit_graph
from resync.history.graph import History
from resync.repository import Repository


def open_history(repository: Repository) -> History:
    """The graph as the repository's shallow, grafts and commit-graph files have it."""
    from dulwich.object_store import DiskObjectStore

    stores = repository.dulwich.object_store.alternates
    alternates = (os.fspath(store.path) for store in stores if isinstance(store, DiskObjectStore))
    objects = os.path.join(repository.common_dir, "objects")
    return History(
        repository.objects,
        shallow=repository.shallow,
        grafts=repository.grafts,
        commit_graph=read_commit_graph(objects, *alternates, hex_length=repository.objects.hex_length),
    )
