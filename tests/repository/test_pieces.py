"""Files read and written a piece at a time, by as few calls as it takes."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest

from resync.repository.pieces import PIECE, of_file, to_file


@pytest.mark.parametrize(
    ("length", "said", "most"),
    [
        (0, 0, 1),
        (100, 100, 1),
        (100, 300, 2),  # it is shorter than it was
        (3 * PIECE, 3 * PIECE, 4),
        (3 * PIECE, 100, 6),  # somebody has written more to it since
    ],
)
def test_a_file_is_read_to_its_end(tmp_path: Path, length: int, said: int, most: int) -> None:
    path, data = tmp_path / "file", os.urandom(length)
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with mock.patch("os.read", side_effect=os.read) as read:
            pieces = list(of_file(descriptor, said))
    finally:
        os.close(descriptor)
    assert b"".join(pieces) == data
    assert max(map(len, pieces), default=0) <= PIECE
    assert read.call_count <= most


def test_what_the_system_takes_only_in_part_is_written_whole(tmp_path: Path) -> None:
    path, write = tmp_path / "file", os.write
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        with mock.patch("os.write", lambda number, data: write(number, bytes(data[:3]))):
            to_file(descriptor, [b"", b"ab", b"abcdefgh"])
    finally:
        os.close(descriptor)
    assert path.read_bytes() == b"ababcdefgh"
