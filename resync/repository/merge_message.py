"""``MERGE_MSG``: the message that git proposes for the commit to come (git-cherry-pick(1), git-commit(1))."""

from __future__ import annotations

import os
from contextlib import suppress

from resync.repository.durable import fsync_directory
from resync.repository.locks import replace_durably
from resync.repository.repo import Repository


def read_message(repository: Repository) -> bytes | None:
    """The bytes of the file, None where there is none."""
    try:
        with open(_path(repository), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def put_message(repository: Repository, data: bytes | None, beside: str) -> None:
    """Replace the file durably (None: remove it); new content is first written next to ``beside``."""
    path = _path(repository)
    if data is not None:
        replace_durably(path, beside, data)
        return
    with suppress(FileNotFoundError):
        os.unlink(path)
        fsync_directory(os.path.dirname(path))


def _path(repository: Repository) -> str:
    return os.path.join(repository.git_dir, "MERGE_MSG")
