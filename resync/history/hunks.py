"""Two texts as a diff shows them: hunks of changed lines, with three lines of context around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

CONTEXT = 3
BINARY_PROBE = 8000
"""A file with a NUL among so many of its first bytes is binary, as for git."""


def hunks(
    a: Sequence[bytes], b: Sequence[bytes], heading: Callable[[int], bytes], context: int = CONTEXT
) -> Iterator[bytes]:
    """The lines of the diff from lines ``a`` to ``b``, marked with a blank, ``-`` or ``+``.

    ``heading`` gives the line that begins a hunk by its first line's place in ``a`` (from 0 on).
    """
    # Imported here because most uses of this package compare no texts, and the engine takes its time.
    from resync.merge.lines import diff

    # Without the lines that both begin and end with: what is far from a change has no say in its diff.
    top = _same_lines(zip(a, b, strict=False))
    shorter = min(len(a), len(b)) - top
    bottom = _same_lines(zip(islice(reversed(a), shorter), islice(reversed(b), shorter), strict=True))
    end: int | None = None
    for ranges in diff(a[top : len(a) - bottom], b[top : len(b) - bottom]):
        a_start, a_end, b_start, b_end = (top + place for place in ranges)
        if end is not None and a_start - end <= 2 * context:
            yield from _marked(b" ", a[end:a_start])
        else:
            if end is not None:
                yield from _marked(b" ", a[end : end + context])
            start = max(0, a_start - context)
            yield heading(start)
            yield from _marked(b" ", a[start:a_start])
        yield from _marked(b"-", a[a_start:a_end])
        yield from _marked(b"+", b[b_start:b_end])
        end = a_end
    if end is not None:
        yield from _marked(b" ", a[end : end + context])


def _same_lines(pairs: Iterable[tuple[bytes, bytes]]) -> int:
    """How many pairs are of equal lines before the first that is not."""
    same = 0
    for one, other in pairs:
        if one != other:
            break
        same += 1
    return same


def _marked(mark: bytes, lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield mark + line if line.endswith(b"\n") else mark + line + b"\n\\\n"
