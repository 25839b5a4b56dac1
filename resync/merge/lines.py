"""Texts, compared and merged line by line.

``diff`` is git's histogram diff; ``merge_text`` is a three-way merge after it, with git's choices of
what touches, what is agreed, and how much of a conflict is shown. Lines end at LF and keep it, so a
last line without one differs from the same line with one, and CR is a character like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from resync.merge.histogram import Range, changed_ranges

Style: TypeAlias = Literal["merge", "diff3", "zdiff3"]
"""How conflicts are written, as git's ``merge.conflictStyle`` names it."""

DEFAULT_MARKER_SIZE = 7


def split_lines(data: bytes) -> list[bytes]:
    """The lines of ``data``, each with its LF; only the last can be without."""
    lines = data.split(b"\n")
    last = lines.pop()
    lines = [line + b"\n" for line in lines]
    if last:
        lines.append(last)
    return lines


def diff(a: Sequence[bytes], b: Sequence[bytes]) -> list[Range]:
    """The changed ranges ``(a_start, a_end, b_start, b_end)`` from ``a`` to ``b``, in order.

    Between two ranges there is at least one common line. The algorithm is git's histogram diff, after
    which each range is slid as git does (see ``_compacted``). Time is bounded on every input, at the
    price of larger ranges for texts made to be expensive.
    """
    numbers: dict[bytes, int] = {}
    return _diff(
        [numbers.setdefault(line, len(numbers)) for line in a],
        [numbers.setdefault(line, len(numbers)) for line in b],
    )


def _diff(a: list[int], b: list[int]) -> list[Range]:
    if a == b:
        return []
    return _compacted(a, b, changed_ranges(a, b))


# --- sliding -----------------------------------------------------------------------------------------


def _compacted(a: list[int], b: list[int], ranges: list[Range]) -> list[Range]:
    """Slide every group of changed lines to where git shows it.

    A group can slide past a line that equals the one which it then takes in at its other end. It goes
    down as far as it can, joining groups that it meets, unless on its way it stands beside a change of
    the other text: then it stays at the last such place. (The rule is the one that git's
    ``diff.indentHeuristic`` replaced for display; merges still go by it.)
    """
    if not any(
        _slides(a, a_start, a_end) or _slides(b, b_start, b_end) for a_start, a_end, b_start, b_end in ranges
    ):
        return ranges
    a_groups = [(start, end) for start, end, _, _ in ranges if start < end]
    b_groups = [(start, end) for _, _, start, end in ranges if start < end]
    a_groups = _slid(a, a_groups, {place for place, _ in _placed(b_groups)})
    b_groups = _slid(b, b_groups, {place for place, _ in _placed(a_groups)})
    a_sizes, b_sizes = dict(_placed(a_groups)), dict(_placed(b_groups))
    result: list[Range] = []
    a_before = b_before = 0
    for place in sorted(a_sizes.keys() | b_sizes.keys()):
        a_size, b_size = a_sizes.get(place, 0), b_sizes.get(place, 0)
        a_start, b_start = place + a_before, place + b_before
        result.append((a_start, a_start + a_size, b_start, b_start + b_size))
        a_before += a_size
        b_before += b_size
    return result


def _slides(text: list[int], start: int, end: int) -> bool:
    return start < end and (
        (start > 0 and text[start - 1] == text[end - 1]) or (end < len(text) and text[start] == text[end])
    )


def _placed(groups: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Each group as its place, the number of unchanged lines before it, and its size."""
    changed = 0
    for start, end in groups:
        yield start - changed, end - start
        changed += end - start


def _slid(text: list[int], groups: list[tuple[int, int]], beside: set[int]) -> list[tuple[int, int]]:
    """Slide the groups of one text; ``beside`` are the places of the other text's groups."""
    steps = (
        20 * len(text) + 100_000
    )  # groups that meet again and again in equal lines are left where they are
    settled: list[tuple[int, int]] = []
    waiting = groups[::-1]
    changed = 0
    while waiting:
        start, end = waiting.pop()
        if not _slides(text, start, end) or steps < 0:
            settled.append((start, end))
            changed += end - start
            continue
        place = start - changed
        size = -1
        while size != end - start:
            size = end - start
            while start > 0 and text[start - 1] == text[end - 1]:
                start, end, place, steps = start - 1, end - 1, place - 1, steps - 1
                if settled and settled[-1][1] == start:
                    start = settled.pop()[0]
                    changed = start - place
            highest = end
            aligned = place if place in beside else None
            while end < len(text) and text[start] == text[end]:
                start, end, place, steps = start + 1, end + 1, place + 1, steps - 1
                if waiting and waiting[-1][0] == end:
                    end = waiting.pop()[1]
                if place in beside:
                    aligned = place
        if end != highest and aligned is not None:
            start, end = start - (place - aligned), end - (place - aligned)
        settled.append((start, end))
        changed += end - start
    return settled


# --- merging -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What stands behind the conflict markers for each side."""

    ours: bytes = b"ours"
    base: bytes = b"base"
    theirs: bytes = b"theirs"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMerge:
    """A merged text and how many conflicts are marked in it."""

    data: bytes
    conflicts: int


class _Chunk(NamedTuple):
    """A place where the texts differ; each range is a start and an end in lines."""

    take: Literal["theirs", "ours", "conflict"]
    base: tuple[int, int]
    ours: tuple[int, int]
    theirs: tuple[int, int]


class _Texts(NamedTuple):
    """The three texts as lines, and again with equal lines as equal numbers."""

    base: list[bytes]
    ours: list[bytes]
    theirs: list[bytes]
    base_ids: list[int]
    ours_ids: list[int]
    theirs_ids: list[int]


def merge_text(
    base: bytes,
    ours: bytes,
    theirs: bytes,
    *,
    style: Style = "merge",
    union: bool = False,
    marker_size: int = DEFAULT_MARKER_SIZE,
    labels: Labels = Labels(),
) -> TextMerge:
    """Merge what ``ours`` and ``theirs`` changed in ``base``, line by line.

    Changes of both sides that overlap or touch are a conflict unless they are equal. Style ``merge``
    shows only the lines in which the sides really differ and drops a conflict in which they do not;
    ``diff3`` shows the whole place with the base's lines, ``zdiff3`` the same without the lines that both
    sides begin and end with. With ``union`` the lines of both are taken, ours first, and nothing conflicts.
    """
    if ours == theirs or base == theirs:
        return TextMerge(data=ours, conflicts=0)
    if base == ours:
        return TextMerge(data=theirs, conflicts=0)
    texts = _texts(base, ours, theirs)
    chunks = _chunks(texts)
    if style == "merge" or union:
        chunks = _joined(_refined(texts, chunks))
    elif style == "zdiff3":
        chunks = [_trimmed(texts, chunk) if chunk.take == "conflict" else chunk for chunk in chunks]
    out: list[bytes] = []
    at = conflicts = 0
    for chunk in chunks:
        out += texts.ours[at : chunk.ours[0]]
        if chunk.take == "ours":
            out += texts.ours[slice(*chunk.ours)]
        elif chunk.take == "theirs":
            out += texts.theirs[slice(*chunk.theirs)]
        elif union:
            out += _closed(texts.ours[slice(*chunk.ours)], _line_end(texts, chunk))
            out += texts.theirs[slice(*chunk.theirs)]
        else:
            conflicts += 1
            out += _marked(texts, chunk, style, marker_size, labels)
        at = chunk.ours[1]
    out += texts.ours[at:]
    return TextMerge(data=b"".join(out), conflicts=conflicts)


def _texts(base: bytes, ours: bytes, theirs: bytes) -> _Texts:
    numbers: dict[bytes, int] = {}
    lines = [split_lines(data) for data in (base, ours, theirs)]
    ids = [[numbers.setdefault(line, len(numbers)) for line in text] for text in lines]
    return _Texts(lines[0], lines[1], lines[2], ids[0], ids[1], ids[2])


def _chunks(texts: _Texts) -> list[_Chunk]:
    """Where ours and theirs differ from the base, changes that touch each other taken together."""
    mine = _diff(texts.base_ids, texts.ours_ids)
    other = _diff(texts.base_ids, texts.theirs_ids)
    chunks: list[_Chunk] = []
    i = j = 0
    ours_shift = theirs_shift = 0  # how much further on a base line stands in ours and theirs
    while i < len(mine) or j < len(other):
        first_i, first_j = i, j
        starts = [changes[n][0] for changes, n in ((mine, i), (other, j)) if n < len(changes)]
        start = end = min(starts)
        ours_before, theirs_before = ours_shift, theirs_shift
        while True:
            if i < len(mine) and mine[i][0] <= end:
                end = max(end, mine[i][1])
                ours_shift = mine[i][3] - mine[i][1]
                i += 1
            elif j < len(other) and other[j][0] <= end:
                end = max(end, other[j][1])
                theirs_shift = other[j][3] - other[j][1]
                j += 1
            else:
                break
        in_ours = (start + ours_before, end + ours_shift)
        in_theirs = (start + theirs_before, end + theirs_shift)
        if i == first_i:
            take: Literal["theirs", "ours", "conflict"] = "theirs"
        elif j == first_j:
            take = "ours"
        elif (
            i - first_i == j - first_j == 1
            and mine[first_i][:2] == other[first_j][:2]
            and texts.ours_ids[slice(*in_ours)] == texts.theirs_ids[slice(*in_theirs)]
        ):
            continue  # the same change on both sides: ours has it
        else:
            take = "conflict"
        chunks.append(_Chunk(take, (start, end), in_ours, in_theirs))
    return chunks


def _refined(texts: _Texts, chunks: list[_Chunk]) -> Iterator[_Chunk]:
    """Cut conflicts down to the lines in which the two sides differ from each other."""
    for chunk in chunks:
        (ours_start, ours_end), (theirs_start, theirs_end) = chunk.ours, chunk.theirs
        if chunk.take != "conflict" or ours_start == ours_end or theirs_start == theirs_end:
            yield chunk
            continue
        differences = _diff(texts.ours_ids[ours_start:ours_end], texts.theirs_ids[theirs_start:theirs_end])
        if not differences:
            yield chunk._replace(take="ours")
        for a_start, a_end, b_start, b_end in differences:
            yield _Chunk(
                "conflict",
                chunk.base,
                (ours_start + a_start, ours_start + a_end),
                (theirs_start + b_start, theirs_start + b_end),
            )


def _joined(chunks: Iterator[_Chunk]) -> list[_Chunk]:
    """Show conflicts that are at most three lines apart as one: shorter than two sets of markers."""
    joined: list[_Chunk] = []
    for chunk in chunks:
        before = joined[-1] if joined else None
        if (
            before is not None
            and before.take == chunk.take == "conflict"
            and chunk.ours[0] - before.ours[1] <= 3
        ):
            joined[-1] = _Chunk(
                "conflict",
                (before.base[0], chunk.base[1]),
                (before.ours[0], chunk.ours[1]),
                (before.theirs[0], chunk.theirs[1]),
            )
        else:
            joined.append(chunk)
    return joined


def _trimmed(texts: _Texts, chunk: _Chunk) -> _Chunk:
    """A conflict without the lines that both sides begin or end with."""
    (ours_start, ours_end), (theirs_start, theirs_end) = chunk.ours, chunk.theirs
    ours, theirs = texts.ours_ids, texts.theirs_ids
    while ours_start < ours_end and theirs_start < theirs_end and ours[ours_start] == theirs[theirs_start]:
        ours_start += 1
        theirs_start += 1
    while (
        ours_start < ours_end and theirs_start < theirs_end and ours[ours_end - 1] == theirs[theirs_end - 1]
    ):
        ours_end -= 1
        theirs_end -= 1
    return chunk._replace(ours=(ours_start, ours_end), theirs=(theirs_start, theirs_end))


# --- markers -----------------------------------------------------------------------------------------


def _marked(texts: _Texts, chunk: _Chunk, style: Style, marker_size: int, labels: Labels) -> Iterator[bytes]:
    """The lines of a conflict between its markers."""
    end = _line_end(texts, chunk)
    yield _marker(b"<", marker_size, labels.ours, end)
    yield from _closed(texts.ours[slice(*chunk.ours)], end)
    if style != "merge":
        yield _marker(b"|", marker_size, labels.base, end)
        yield from _closed(texts.base[slice(*chunk.base)], end)
    yield _marker(b"=", marker_size, b"", end)
    yield from _closed(texts.theirs[slice(*chunk.theirs)], end)
    yield _marker(b">", marker_size, labels.theirs, end)


def _marker(sign: bytes, size: int, label: bytes, end: bytes) -> bytes:
    return sign * size + (b" " + label if label else b"") + end


def _closed(lines: list[bytes], end: bytes) -> list[bytes]:
    """The lines, the last one ended if it was not: something follows it now."""
    if lines and not lines[-1].endswith(b"\n"):
        return [*lines[:-1], lines[-1] + end]
    return lines


def _line_end(texts: _Texts, chunk: _Chunk) -> bytes:
    """What ends the lines that a conflict adds: CRLF where the lines around it all end so.

    The base's first line must, and the line before the conflict (or the first) must not end otherwise on
    either side.
    """
    before_ours = _ends_crlf(texts.ours, max(chunk.ours[0] - 1, 0))
    before_theirs = _ends_crlf(texts.theirs, max(chunk.theirs[0] - 1, 0))
    crlf = before_ours is not False and before_theirs is not False and _ends_crlf(texts.base, 0)
    return b"\r\n" if crlf else b"\n"


def _ends_crlf(lines: list[bytes], at: int) -> bool | None:
    """Whether a line ends in CRLF, asking the one before a last line without end; None if unknown."""
    if not lines:
        return None
    if not lines[at].endswith(b"\n"):
        if at == 0:
            return None
        at -= 1
    return lines[at].endswith(b"\r\n")
