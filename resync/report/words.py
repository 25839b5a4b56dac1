"""Showing what came from a repository: bytes made harmless, counts made readable."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from resync.model import Oid

# Format characters reorder or hide what stands beside them on a terminal.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def shown(text: bytes | str) -> str:
    """Text from a repository or a remote for a terminal: control and direction characters are escaped."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return "".join(
        character if unicodedata.category(character) not in _UNSAFE else _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def short(oid: Oid | None) -> str:
    """An object id as people read it."""
    return oid[:10].decode() if oid is not None else "nothing"


def count(number: int, what: str) -> str:
    """``1 commit``, ``2 commits``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def hint_lines(hint: str, place: str = "") -> Iterator[str]:
    """The ways to go on, each on a line of its own; ``place`` says where they are to be typed."""
    for number, line in enumerate(hint.split("\n") if hint else ()):
        yield f"{' or' if number else 'try'}{place}: {shown(line)}"
