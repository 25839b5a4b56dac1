"""Putting a file where nothing is: all of it, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resync.errors import Refused
from resync.model import MODE_FILE, TreeEntry, TreePath
from resync.worktree.place import place
from tests.history.commits import new_objects

PATH = TreePath(b"etc/tool.conf")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a disk that is full after so many bytes."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def put(root: str, path: TreePath, data: bytes) -> bool:
    objects = new_objects()
    return place(root, path, TreeEntry(MODE_FILE, objects.add_blob(data)), objects)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    assert put(str(tmp_path), PATH, b"mine")
    assert put(str(tmp_path), PATH, b"mine")
    assert not put(str(tmp_path), PATH, b"theirs")
    assert (tmp_path / "etc" / "tool.conf").read_bytes() == b"mine"
    assert not put(str(tmp_path), TreePath(PATH + b"/x"), b"below a file")


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of resources there")
def test_a_full_disk_leaves_no_half_a_file(tmp_path: Path) -> None:
    with files_of_at_most(1000), pytest.raises(Refused) as refused:
        put(str(tmp_path), PATH, b"x" * 100_000)
    assert refused.value.kind == "not-writable"
    assert not (tmp_path / "etc" / "tool.conf").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        put(str(tmp_path / ("x" * 300)), PATH, b"mine")
    assert refused.value.kind == "not-writable"
    assert "Nothing was changed." in refused.value.message
