"""Recorded resolutions in one file, to be carried to another checkout.

The format is resync's own. The first line is ``resync-resolutions 1``, the second ``sha256`` and the hash, in
hex, of all bytes behind that line; these are one JSON object in ASCII. Its ``commits`` say for which commits
the resolutions were made: ``subject``, ``patch_id`` (whitespace exact, as ``history.patches`` has it) and
``change_id``, which may be null, and ``resolutions``, as places in the list of that name. Each of those has
the ``preimage`` and ``postimage`` of git's rerere, and the ``marker_size`` of the first. Bytes that are not
UTF-8 are single surrogates, as Python's ``surrogateescape`` makes them. Further fields are passed over.

A file is hostile until it has been read: the hash tells of damage, and of nothing else. Its size is bounded,
everything in it is checked, and conflict ids are worked out anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from resync.errors import Refused
from resync.merge.recordings import Recording
from resync.merge.rerere import Normalised, has_markers, normalise

_LARGEST = 16 * 1024 * 1024
_MOST = 10_000
_LONGEST = 10_000

_FIRST = b"resync-resolutions "
_VERSION = b"1"
_HASH = re.compile(rb"sha256 ([0-9a-f]{64})")
_HEX = re.compile(r"[0-9a-f]{40}")
_CHANGE_ID = re.compile(r"I[0-9a-f]{8,1000}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """One conflict and what was made of it. ``marker_size`` is that of the markers in the preimage."""

    recording: Recording
    marker_size: int

    @property
    def known(self) -> Normalised | None:
        """The preimage as rerere knows it, of which its conflict id is made; None where this is nothing that
        could be replayed."""
        preimage, postimage = self.recording
        known = normalise(preimage, self.marker_size, bare=True)
        if known is None or known.image != preimage or not known.sides or not self.recording.sound:
            return None
        return None if has_markers(postimage, self.marker_size) else known


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedCommit:
    """What identifies a commit, and which of a file's resolutions are those of its conflicts."""

    subject: bytes
    patch_id: bytes | None
    change_id: bytes | None
    resolutions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionFile:
    """All that one file holds."""

    commits: tuple[ResolvedCommit, ...]
    resolutions: tuple[Resolution, ...]


def write(content: ResolutionFile) -> bytes:
    """The bytes of a file. Raises ``Refused("too-many-resolutions")`` for more than ``read`` would take."""
    record = {
        "commits": [
            {
                "subject": _text(each.subject[:_LONGEST]),
                "patch_id": each.patch_id.hex() if each.patch_id is not None else None,
                "change_id": _text(each.change_id) if each.change_id is not None else None,
                "resolutions": list(each.resolutions),
            }
            for each in content.commits
        ],
        "resolutions": [
            {
                "preimage": _text(each.recording.preimage),
                "postimage": _text(each.recording.postimage),
                "marker_size": each.marker_size,
            }
            for each in content.resolutions
        ],
    }
    body = json.dumps(record, indent=1).encode("ascii") + b"\n"
    data = _FIRST + _VERSION + b"\nsha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    if len(data) > _LARGEST or len(content.commits) > _MOST or len(content.resolutions) > _MOST:
        raise Refused(
            "too-many-resolutions",
            "These are more resolutions than one file of them may hold (16 MiB). Nothing was written.",
            "resync rescue export FILE --from BRANCH    # one rescue branch at a time",
        )
    return data


def read(path: str) -> ResolutionFile:
    """Read a file and check all of it. Raises ``Refused("bad-resolutions")`` where it cannot be used."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _bad(path, "it is no regular file")
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise _bad(path, error.strerror or "it cannot be read") from None
    try:
        return _parsed(data)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        what = error if isinstance(error, ValueError) and error.args else "it is damaged"
        raise _bad(path, str(what)) from None


def _parsed(data: bytes) -> ResolutionFile:
    first, _, rest = data.partition(b"\n")
    second, _, body = rest.partition(b"\n")
    if not first.startswith(_FIRST):
        raise ValueError("no resync wrote it")
    if first.removeprefix(_FIRST) != _VERSION:
        raise ValueError("another version of resync wrote it")
    if len(data) > _LARGEST:
        raise ValueError("it is too large")
    given = _HASH.fullmatch(second)
    if given is None or given[1] != hashlib.sha256(body).hexdigest().encode():
        raise ValueError("it was changed since, or is damaged")
    record = json.loads(body.decode("ascii"))
    resolutions = tuple(_resolution(each) for each in _list(_object(record)["resolutions"]))
    commits = tuple(_commit(each, len(resolutions)) for each in _list(record["commits"]))
    return ResolutionFile(commits=commits, resolutions=resolutions)


def _resolution(record: Any) -> Resolution:
    size = _object(record)["marker_size"]
    if type(size) is not int or not 0 < size < 1000:
        raise ValueError("markers have no such size")
    images = Recording(_bytes(record["preimage"]), _bytes(record["postimage"]))
    resolution = Resolution(recording=images, marker_size=size)
    if resolution.known is None:
        raise ValueError("a resolution in it is none")
    return resolution


def _commit(record: Any, resolutions: int) -> ResolvedCommit:
    subject = _bytes(_object(record)["subject"])
    patch_id, change_id = record["patch_id"], record["change_id"]
    places = _list(record["resolutions"])
    if any(type(each) is not int or not 0 <= each < resolutions for each in places):
        raise ValueError("a resolution is missing in it")
    for value, form in ((patch_id, _HEX), (change_id, _CHANGE_ID)):
        if value is not None and not form.fullmatch(value):
            raise ValueError("a commit in it has no such id")
    if len(subject) > _LONGEST:
        raise ValueError("a subject in it is too long")
    return ResolvedCommit(
        subject=subject,
        patch_id=bytes.fromhex(patch_id) if patch_id is not None else None,
        change_id=change_id.encode() if change_id is not None else None,
        resolutions=tuple(places),
    )


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) > _MOST:
        raise TypeError
    return value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise TypeError from None


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _bad(path: str, why: str) -> Refused:
    return Refused(
        "bad-resolutions",
        f"{path} is no file of resolutions that can be used ({why}). Nothing was changed.",
        "have it made again where the conflicts were resolved: resync rescue export FILE",
    )
