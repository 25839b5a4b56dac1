"""Objects that are missing or damaged: by what it is told, and the refusals."""

from __future__ import annotations

from resync.errors import Refused
from resync.model import Oid


def signs_of_damage() -> tuple[type[Exception], ...]:
    """What dulwich raises for an object file, a pack or its index, cut off, emptied or overwritten."""
    import struct
    import zlib

    from dulwich.errors import ApplyDeltaError, ChecksumMismatch, FileFormatException

    return (
        ApplyDeltaError,
        ChecksumMismatch,
        FileFormatException,
        zlib.error,
        struct.error,
        AssertionError,
        IndexError,
        OverflowError,
        TypeError,
        ValueError,
    )


def damaged(oid: Oid, error: Exception) -> Refused:
    """The refusal for an object that cannot be read, because of ``error``."""
    return Refused(
        "damaged-object",
        f"Object {oid.decode()} is damaged and cannot be read ({error or type(error).__name__})."
        " Nothing was changed.",
        "git fsck",
    )


def missing(oid: Oid) -> Refused:
    """The refusal for an object that is not there."""
    return Refused(
        "missing-object",
        f"Object {oid.decode()} is missing from the repository. Nothing was changed.",
        "git fsck",
    )
