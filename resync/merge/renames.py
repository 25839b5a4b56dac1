"""Which removed file became which added one, on one side of a merge.

Git's rules: equal content first; then files that alone have their name, at 75 % similarity (halfway between
the threshold and equality); then the best of all pairs that are left, at 50 %. Only sources whose new name
matters to the merge take part in the two later steps, and an empty file is never renamed.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from itertools import islice
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from resync.merge.files import file_type
from resync.merge.options import RenameOptions
from resync.merge.similarity import FULL, NO_PIECES, Overlaps, pieces_of, score, size_of
from resync.model import MODE_FILE, ObjectStore, Oid, TreeEntry, TreePath

Files: TypeAlias = Mapping[TreePath, TreeEntry]

_Rank: TypeAlias = tuple[int, bool]
"""A score, and whether the names are the same, which decides between equal ones."""

_EMPTY_BLOBS = {
    b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    b"473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
}

_REGULAR = file_type(MODE_FILE)

_BEST_PER_TARGET = 4
"""So many sources are remembered for each target (git's value)."""

_MOST_ALTERNATIVES = 100
"""So many sources of equal content are looked at for each target (git's value)."""


class Renames(NamedTuple):
    """Old name to new name; ``complete`` is False where the search was cut short by a limit."""

    targets: dict[TreePath, TreePath]
    complete: bool = True


def find_renames(
    objects: ObjectStore, removed: Files, added: Files, relevant: Iterable[TreePath], options: RenameOptions
) -> Renames:
    """Pair removed with added files of one side; ``relevant`` are the sources whose new name matters.

    The order of ``removed`` and ``added`` decides between equals, as it does in git.
    Raises ``Refused`` for a missing object.
    """
    sources = {path: entry for path, entry in removed.items() if entry.oid not in _EMPTY_BLOBS}
    targets = {path: entry for path, entry in added.items() if entry.oid not in _EMPTY_BLOBS}
    found = _same_content(sources, targets)
    search = _Search(objects, sources, targets, options)
    search.leave_out(found)
    wanted = set(relevant)
    by_name = search.same_name(wanted, _likely_directories(found))
    search.leave_out(by_name)
    search.keep_sources(wanted)
    by_score, complete = search.best_scores()
    return Renames({**found, **by_name, **by_score}, complete)


def _same_content(sources: Files, targets: Files) -> dict[TreePath, TreePath]:
    """Pairs of equal content, of equal name where there is a choice."""
    by_content: dict[Oid, OrderedDict[TreePath, TreeEntry]] = {}
    for path, entry in sources.items():
        by_content.setdefault(entry.oid, OrderedDict())[path] = entry
    found: dict[TreePath, TreePath] = {}
    for target, entry in targets.items():
        equals = by_content.get(entry.oid)
        if not equals:
            continue
        candidates = [
            source
            for source, old in islice(equals.items(), _MOST_ALTERNATIVES)
            if old.mode == entry.mode or (_is_regular(old) and _is_regular(entry))
        ]
        if candidates:
            name = basename(target)
            best = next((source for source in candidates if basename(source) == name), candidates[0])
            del equals[best]
            found[best] = target
    return found


def _likely_directories(found: Mapping[TreePath, TreePath]) -> dict[bytes, bytes]:
    """For each directory, where most of its files went by the renames that are known."""
    counts: dict[bytes, Counter[bytes]] = {}
    for source, target in found.items():
        counts.setdefault(dirname(source), Counter())[dirname(target)] += 1
    return {source: targets.most_common(1)[0][0] for source, targets in counts.items()}


class _Search:
    """The files that are not paired yet, and what is known of their content."""

    def __init__(self, objects: ObjectStore, sources: Files, targets: Files, options: RenameOptions) -> None:
        self._objects = objects
        self._sources = dict(sources)
        self._targets = dict(targets)
        self._options = options
        self._least = options.similarity * FULL // 100

    def leave_out(self, found: Mapping[TreePath, TreePath]) -> None:
        """Drop files that are paired."""
        for source, target in found.items():
            del self._sources[source]
            del self._targets[target]

    def keep_sources(self, wanted: set[TreePath]) -> None:
        """Drop all sources but these."""
        self._sources = {path: entry for path, entry in self._sources.items() if path in wanted}

    def same_name(
        self, wanted: set[TreePath], likely_directories: Mapping[bytes, bytes]
    ) -> dict[TreePath, TreePath]:
        """Pairs of similar files that alone have their name, or the new one is where it is expected."""
        least = self._least + (FULL - self._least) // 2
        sources, targets = _by_name(self._sources), _by_name(self._targets)
        found: dict[TreePath, TreePath] = {}
        taken: set[TreePath] = set()
        for source, entry in self._sources.items():
            name = basename(source)
            if source not in wanted or name not in targets:
                continue
            if len(sources[name]) == len(targets[name]) == 1:
                target = targets[name][0]
            else:
                directory = likely_directories.get(dirname(source))
                if directory is None:
                    continue
                target = join(directory, name)
            if target not in self._targets or target in taken:
                continue
            if self._score(entry, self._targets[target], least) >= least:
                found[source] = target
                taken.add(target)
        return found

    def best_scores(self) -> tuple[dict[TreePath, TreePath], bool]:
        """Of all pairs the most similar ones, each file once; and whether the limits let all be compared."""
        sources = list(self._sources)
        if not sources:
            return {}, True
        if len(sources) * len(self._targets) > self._options.limit**2:
            return {}, False
        overlaps = Overlaps(
            pieces_of(self._objects, entry.oid) if _is_regular(entry) else NO_PIECES
            for entry in self._sources.values()
        )
        names = [basename(source) for source in sources]
        ranking: list[tuple[_Rank, TreePath, TreePath]] = []
        for target, entry in self._targets.items():
            # Reading what cannot be similar is most of the work where a great many files were added.
            if not _is_regular(entry) or not overlaps.comparable(
                size_of(self._objects, entry.oid), self._least
            ):
                continue
            scores = overlaps.scores(pieces_of(self._objects, entry.oid), self._least)
            if overlaps.work > self._options.work:
                return {}, False
            if max(scores.values(), default=0) < self._least:
                continue
            ranking += (
                (rank, sources[at], target)
                for rank, at in _best(scores, names, basename(target))
                if rank[0] >= self._least
            )
        ranking.sort(key=itemgetter(0), reverse=True)
        found: dict[TreePath, TreePath] = {}
        taken: set[TreePath] = set()
        for _, source, target in ranking:
            if source not in found and target not in taken:
                found[source] = target
                taken.add(target)
        return found, True

    def _score(self, old: TreeEntry, new: TreeEntry, least: int) -> int:
        """The similarity of two files, for which 0 may stand where it is below ``least``."""
        if not (_is_regular(old) and _is_regular(new)):
            return 0
        return score(pieces_of(self._objects, old.oid), pieces_of(self._objects, new.oid), least)


def _by_name(files: Iterable[TreePath]) -> dict[bytes, list[TreePath]]:
    names: dict[bytes, list[TreePath]] = {}
    for path in files:
        names.setdefault(basename(path), []).append(path)
    return names


def _best(scores: Mapping[int, int], names: list[bytes], name: bytes) -> list[tuple[_Rank, int]]:
    """The few best sources for one target, in the order in which git remembers them: the first ones, of
    which the (first) worst gives its place to a better one."""
    best = [((scores.get(at, 0), names[at] == name), at) for at in range(min(len(names), _BEST_PER_TARGET))]
    worst = min(best, key=itemgetter(0))
    for at, scored in scores.items():
        if scored >= worst[0][0] and at >= _BEST_PER_TARGET:
            rank = (scored, names[at] == name)
            if rank > worst[0]:
                best[best.index(worst)] = (rank, at)
                worst = min(best, key=itemgetter(0))
    return best


def _is_regular(entry: TreeEntry) -> bool:
    return file_type(entry.mode) == _REGULAR


def basename(path: bytes) -> bytes:
    """The last name of a path."""
    return path.rpartition(b"/")[2]


def dirname(path: bytes) -> bytes:
    """The path of the directory that holds a path; empty at the top."""
    return path.rpartition(b"/")[0]


def join(directory: bytes, name: bytes) -> TreePath:
    """A path inside a directory; the top is the empty one."""
    return TreePath(directory + b"/" + name if directory else name)
