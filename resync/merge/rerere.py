"""Conflicts that a person resolved once: telling them by their content, and resolving them again.

The rules are those of git's rerere (git-rerere(1) and ``Documentation/technical/rerere.txt`` of git). A text
with conflict markers is *normalised*: labels and the base's lines go, and of each conflict's two sides the
lesser comes first, so that neither the names of branches, nor ``merge.conflictStyle``, nor who merged whom
matters. The *conflict id* is the hash of all sides, each with a NUL behind it; a conflict inside of another
counts as text of the side that it stands in. A recording is a normalised text, the *preimage*, and what a
person made of it, the *postimage*: what lies between the two is merged into a text of the same id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from resync.merge.files import file_type, merge_entries
from resync.merge.lines import DEFAULT_MARKER_SIZE, Style, merge_text, split_lines
from resync.merge.options import MergeOptions
from resync.merge.recordings import Recording
from resync.model import MODE_FILE, Conflict, ObjectStore, Oid

_SPACE = b" \t\n\r"
_SIGNS = b"<|=>"

_DEEPEST = 100
"""Conflicts inside of so many others are no person's work, but a text made to be expensive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """A text as rerere compares it: ``image`` has the bare markers, ``sides`` is what the id is made of.

    ``sides`` is empty where the text has no conflict.
    """

    image: bytes
    sides: bytes

    def conflict_id(self, digits: int) -> str:
        """The conflict id, in as many hex digits as the repository's object ids have (40: SHA-1)."""
        if digits == 40:
            return hashlib.sha1(self.sides, usedforsecurity=False).hexdigest()
        return hashlib.sha256(self.sides).hexdigest()


class _Open:
    """A conflict whose end has not come yet: its two sides, and where in it the next line belongs."""

    __slots__ = ("at", "sides")

    def __init__(self) -> None:
        self.sides: tuple[list[bytes], list[bytes]] = ([], [])
        self.at = b"<"

    def take(self, line: bytes) -> None:
        """A line of the text, as it stands: lines of the base are of no side."""
        if self.at != b"|":
            self.sides[self.at == b"="].append(line)

    def take_inner(self, text: bytes) -> None:
        """A conflict inside of this one; git counts those in the base's lines for the second side."""
        self.sides[self.at != b"<"].append(text)

    def turn(self, sign: bytes) -> bool:
        """Go on to the next part; False where the marker cannot stand here."""
        allowed = {b"|": b"<", b"=": b"<|", b">": b"="}[sign]
        fits = self.at in allowed
        self.at = sign
        return fits


def normalise(
    text: bytes, marker_size: int = DEFAULT_MARKER_SIZE, *, bare: bool = False
) -> Normalised | None:
    """Normalise a text with conflict markers of that size; None where they do not pair up.

    ``bare`` reads a text that is normalised already: its markers have no labels. None, too, for a text with a
    NUL, which git does not record whole, and for a hundred conflicts inside of each other.
    """
    if b"\0" in text:
        return None
    image: list[bytes] = []
    sides: list[bytes] = []
    around: list[_Open] = []
    for line in split_lines(text):
        sign = _sign(line, marker_size, bare)
        if sign == b"<":
            if len(around) == _DEEPEST:
                return None
            around.append(_Open())
        elif not around:
            image.append(line)
        elif sign is None:
            around[-1].take(line)
        elif not around[-1].turn(sign):
            return None
        elif sign == b">":
            one, two = sorted(b"".join(side) for side in around.pop().sides)
            marks = [each * marker_size + b"\n" for each in (b"<", b"=", b">")]
            whole = b"".join((marks[0], one, marks[1], two, marks[2]))
            if around:
                around[-1].take_inner(whole)
            else:
                image.append(whole)
                sides += (one, b"\0", two, b"\0")
    return None if around else Normalised(image=b"".join(image), sides=b"".join(sides))


def _sign(line: bytes, size: int, bare: bool) -> bytes | None:
    """Which marker a line is, by its first character; None: none. The first and the last of a conflict
    always have a label, unless ``bare``; a base's may have one, and white space must follow all."""
    sign = line[:1]
    if not sign or sign not in _SIGNS or line[:size] != sign * size:
        return None
    behind = line[size : size + 1]
    if sign in b"<>":
        return sign if behind == (b"\n" if bare else b" ") else None
    return sign if behind and behind in _SPACE else None


def replayed(text: bytes, recording: Recording, marker_size: int = DEFAULT_MARKER_SIZE) -> bytes | None:
    """A text with conflicts as a recording of the same id resolves it.

    None where that cannot be known: the recording does not merge, cannot be sound, or leaves markers.
    """
    now = normalise(text, marker_size)
    if now is None or not now.sides or not recording.sound:
        return None
    merged = merge_text(recording.preimage, now.image, recording.postimage, marker_size=marker_size)
    return None if merged.conflicts or has_markers(merged.data, marker_size) else merged.data


def has_markers(text: bytes, marker_size: int = DEFAULT_MARKER_SIZE) -> bool:
    """Whether conflicts are left in a text, with labels or without, or markers that do not pair up."""
    found = [normalise(text, marker_size, bare=bare) for bare in (False, True)]
    return any(each is None or each.sides for each in found)


def resolutions(objects: ObjectStore, conflict: Conflict, options: MergeOptions) -> tuple[Oid, ...]:
    """The blobs that recorded resolutions make of a conflict, each once: of several nobody can say which is
    meant, so that only a single one resolves it.

    Only the content of a regular file on both sides can be resolved so; nothing recorded says what becomes of
    a mode. How much a conflict shows depends on ``merge.conflictStyle``, and so does its id: the recording
    may have been made under any of the styles, and of the text as git stores it or as it stands on disk, so
    each is tried. Raises ``Refused`` for a missing object.
    """
    found: dict[bytes, None] = {}
    recordings = options.recordings
    if recordings is None:
        return ()
    for text, size in conflicted_texts(objects, conflict, options):
        for form in dict.fromkeys((text, recordings.on_disk(conflict.path, text))):
            known = normalise(form, size)
            if known is None or not known.sides:
                continue
            for recording in recordings.find(known.conflict_id(len(_oid(conflict)))):
                resolved = replayed(form, recording, size)
                if resolved is not None:
                    stored = resolved if form is text else recordings.stored(conflict.path, resolved)
                    found[stored] = None
    return tuple(map(objects.add_blob, found))


def conflicted_texts(
    objects: ObjectStore, conflict: Conflict, options: MergeOptions
) -> Sequence[tuple[bytes, int]]:
    """The texts with markers in which a conflict can be shown, each with the size of its markers, that of
    the configured style first; none where rerere has no say in such a conflict."""
    base, ours, theirs = conflict.stages
    if conflict.kind not in ("content", "add/add") or conflict.merged is None:
        return ()
    assert ours is not None
    assert theirs is not None
    regular = file_type(MODE_FILE) == file_type(ours.mode) == file_type(theirs.mode)
    if not regular or (
        ours.mode != theirs.mode and (base is None or base.mode not in (ours.mode, theirs.mode))
    ):
        return ()
    size = options.attributes_of(conflict.path).marker_size
    found = {objects.blob(conflict.merged): size}
    for style in get_args(Style):
        if style != options.style:
            shown = replace(options, style=style)
            merged = merge_entries(objects, conflict.path, conflict.stages, shown).merged
            if merged is not None:
                found.setdefault(objects.blob(merged), size)
    return tuple(found.items())


def _oid(conflict: Conflict) -> Oid:
    return next(stage.oid for stage in conflict.stages if stage is not None)
