"""Durable files, folders and file systems, also as other systems have them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from resync.repository import durable

fcntl = pytest.importorskip("fcntl")
FULL = 51  # macOS's F_FULLFSYNC


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made durable, in order; ``full`` where the drive was asked as well."""
    found: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: found.append(os.readlink(f"/proc/self/fd/{number}")))
    return found


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="nothing tells here what is open")


@needs_proc
@pytest.mark.parametrize("known", [True, False])
def test_where_fsync_stops_at_the_drive_that_is_asked_too(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    def control(number: int, command: int) -> int:
        assert command == FULL
        if not known:
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        synced.append("full " + os.readlink(f"/proc/self/fd/{number}"))
        return 0

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", FULL, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    with open(tmp_path / "file", "wb") as file:
        durable.fsync(file.fileno())
    durable.fsync_directory(tmp_path)
    places = [str(tmp_path / "file"), str(tmp_path)]
    assert synced == [f"full {place}" for place in places] if known else places


@needs_proc
@pytest.mark.parametrize("system", ["darwin", "linux"])
def test_without_syncfs_files_and_names_one_by_one(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    for folder in ("made", "changed"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").touch()
    (tmp_path / "made" / "link").symlink_to("nowhere")
    monkeypatch.setattr(durable.sys, "platform", system)
    made, changed, gone = (os.fsencode(tmp_path / name) for name in ("made", "changed", "gone"))
    durable.sync_file_system(os.fsencode(tmp_path), files_in=[made, gone], folders=[changed, changed, gone])
    # With syncfs there is nothing left to do.
    one_by_one = [str(tmp_path / name) for name in ("made/file", "changed", "made")]
    assert synced == (one_by_one if system == "darwin" else [])
