"""Line ends between the working tree and git: ``text``, ``eol``, ``core.autocrlf`` and ``core.eol``.

The rules are those of gitattributes(5) and git-config(1). What is guessed (``text=auto``, or no attribute
and ``core.autocrlf``) is never converted where a lone CR, a NUL or too many control characters make it
look binary, nor where the index has the file with CRLF already. ``ident`` and ``working-tree-encoding`` are
not converted: ``unsupported`` names them, so that a caller can refuse. For filters see ``filters``: they come
first on the way into git, and last on the way out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from enum import Enum

from resync.model import TreePath
from resync.worktree.attributes import PathAttributes, Value
from resync.worktree.settings import WorktreeSettings

_LONE_LF = re.compile(rb"(?<!\r)\n")
_CONTROL = bytes(byte for byte in range(32) if byte not in b"\b\t\n\f\r\x1b") + b"\x7f"
_END_OF_FILE = b"\x1a"  # what DOS editors put at the end of a text
_DEFAULT_ENCODINGS = frozenset({b"utf-8", b"utf8"})


class _Ends(Enum):
    """What becomes of a file's line ends; the guessing ones convert only what looks like text."""

    AS_IS = "as is"
    LF = "lf in the working tree"
    CRLF = "crlf in the working tree"
    GUESS_LF = "lf, if it is text"
    GUESS_CRLF = "crlf, if it is text"


def to_git(
    data: bytes,
    attributes: PathAttributes,
    settings: WorktreeSettings,
    index_has_crlf: Callable[[], bool],
) -> bytes:
    """The bytes that git would store for a file of the working tree.

    ``index_has_crlf`` is asked only where it decides: whether the blob that the index has at the path
    already has CRLF line ends (``has_crlf_text`` of its bytes; False where the index has none).
    """
    ends = _line_ends(attributes, settings)
    if ends is _Ends.AS_IS or b"\r\n" not in data:
        return data
    if ends in (_Ends.GUESS_LF, _Ends.GUESS_CRLF) and (_looks_binary(data) or index_has_crlf()):
        return data
    return data.replace(b"\r\n", b"\n")


def to_worktree(data: bytes, attributes: PathAttributes, settings: WorktreeSettings) -> bytes:
    """The bytes that git would write to the working tree for a blob."""
    ends = _line_ends(attributes, settings)
    if ends not in (_Ends.CRLF, _Ends.GUESS_CRLF):
        return data
    if ends is _Ends.GUESS_CRLF and (b"\r" in data or _looks_binary(data)):
        return data
    return _LONE_LF.sub(b"\r\n", data)


def stays_as_it_is(pieces: Iterable[bytes], attributes: PathAttributes, settings: WorktreeSettings) -> bool:
    """Whether neither way changes a line end of a file that is looked at in pieces; False in doubt."""
    ends = _line_ends(attributes, settings)
    if ends is _Ends.AS_IS:
        return True
    carriage_return = line_feed = False
    for piece in pieces:
        if b"\0" in piece and ends in (_Ends.GUESS_LF, _Ends.GUESS_CRLF):
            return True
        carriage_return = carriage_return or b"\r" in piece
        line_feed = line_feed or b"\n" in piece
    return not carriage_return and not (line_feed and ends in (_Ends.CRLF, _Ends.GUESS_CRLF))


def has_crlf_text(blob: bytes) -> bool:
    """Whether a blob is text with CRLF line ends, which no guess may then take away."""
    return b"\r\n" in blob and not _looks_binary(blob)


def unsupported(path: TreePath, attributes: PathAttributes) -> str | None:
    """Why this file cannot be converted as git would, as the end of a sentence; None where it can."""
    name = os.fsdecode(path)
    encoding = attributes.working_tree_encoding
    if encoding is True or (
        isinstance(encoding, bytes) and encoding and encoding.lower() not in _DEFAULT_ENCODINGS
    ):
        shown = encoding.decode("utf-8", "replace") if isinstance(encoding, bytes) else "unnamed"
        return f"{name!r} has the working-tree-encoding {shown!r}"
    if attributes.ident is True:
        return f"{name!r} has the attribute ident"
    return None


def _line_ends(attributes: PathAttributes, settings: WorktreeSettings) -> _Ends:
    text = _text_value(attributes.text)
    if text is None:
        text = _text_value(attributes.crlf)  # what "text" was called before git 1.7.2
    if text is False:
        return _Ends.AS_IS
    guess = text == b"auto"
    if attributes.eol in (b"lf", b"crlf"):
        crlf = attributes.eol == b"crlf"
    elif text is None:
        if settings.auto_crlf == "false":
            return _Ends.AS_IS
        guess, crlf = True, settings.auto_crlf == "true"
    else:
        crlf = text != b"input" and _crlf_by_default(settings)
    if guess:
        return _Ends.GUESS_CRLF if crlf else _Ends.GUESS_LF
    return _Ends.CRLF if crlf else _Ends.LF


def _text_value(value: Value) -> Value:
    """The value, or None where it is one that git does not know."""
    return value if isinstance(value, bool) or value in (b"auto", b"input") else None


def _crlf_by_default(settings: WorktreeSettings) -> bool:
    if settings.auto_crlf == "false":
        return settings.eol == "crlf"
    return settings.auto_crlf == "true"


def _looks_binary(data: bytes) -> bool:
    """Git's guess for line ends: a lone CR, a NUL, or more than one control character in 128."""
    line_ends = data.count(b"\r") + data.count(b"\n")
    if data.count(b"\r") != data.count(b"\r\n") or b"\0" in data:
        return True
    odd = len(data) - len(data.translate(None, _CONTROL))
    text = len(data) - line_ends - odd
    if data.endswith(_END_OF_FILE):
        odd -= 1
    return text >> 7 < odd
