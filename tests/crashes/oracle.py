"""What git and the file system alone say: whether anything is lost, and how a checkout stands.

Nothing of resync's own code is asked here.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.crashes.asked import Lost, Place, ask, listed

_FLAGS = 0x8000 | 0x20000000 | 0x40000000  # assume-unchanged, intent-to-add, skip-worktree
_ENTRY = re.compile(rb"^(\d{6} [0-9a-f]{40} \d\t.*)\n(?:  .*\n)*?  size: \d+\tflags: ([0-9a-f]+)$", re.M)
_RECORDS = b"refs/resync/upstream/"
_OURS = (b"refs/heads/rescue/", b"refs/resync/")


# --- is anything lost ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seeds:
    """What must survive: the commits that refs reached, every staged blob, and every file's bytes by path."""

    commits: frozenset[bytes]
    staged: Mapping[bytes, bytes]
    files: Mapping[str, bytes]


def seeds(place: Place, goes: Sequence[str] = ()) -> Seeds:
    """Everything that somebody could miss, before the run, but what only the refs reach that are to go.

    What upstream was is recorded by a commit that another one follows: its parents are what counts.
    """
    records = [os.fsdecode(ref) + "^@" for ref in ask(place).refs if ref.startswith(_RECORDS)]
    but = [f"--exclude={each}" for each in (*goes, os.fsdecode(_RECORDS) + "*")]
    commits = place.git("rev-list", *but, "--all", "HEAD", *records).split()
    rows = (row for each in place.checkouts for row, _ in _entries(listed(place, each)))
    staged = {row.split()[1] for row in rows if not row.startswith(b"160000")}
    found = ask(place).contents(staged)
    kept = {oid: found[oid] for oid in staged}
    return Seeds(
        commits=frozenset(commits),
        # git does not keep the empty blob that an intended addition names.
        staged={oid: data for oid, data in kept.items() if data},
        files={str(path): data for path, data in _files(place)},
    )


def check_kept(place: Place, wanted: Seeds) -> None:
    """Raise ``Lost`` where a seed is neither in place nor reachable from a ref nor in quarantine."""
    here = {str(path): data for path, data in _files(place)}
    aside = set(here.values()) | set(_quarantined(place))
    asked = ask(place)
    reached = asked.reached
    if gone := wanted.commits - reached:
        raise Lost(f"commits that no ref reaches: {sorted(gone)}")
    missing = {
        _blob_id(data): (path, data)
        for path, data in wanted.files.items()
        if here.get(path) != data and data not in aside
    }
    # What is staged is in place while the index names it, and git can read it.
    indexed = (row for each in place.checkouts for row, _ in _entries(listed(place, each)))
    named = reached | {row.split()[1] for row in indexed}
    found = asked.contents([*missing, *wanted.staged])
    for oid, (path, data) in missing.items():
        if oid not in reached or found[oid] != data:
            raise Lost(f"the bytes of {path} are nowhere: {data[:60]!r}")
    for oid, data in wanted.staged.items():
        if data not in aside and (oid not in named or found[oid] != data):
            raise Lost(f"the staged blob {oid.decode()} is nowhere: {data[:60]!r}")


def _files(place: Place) -> Iterable[tuple[Path, bytes]]:
    for top in place.checkouts:
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if name != ".git"]
            for name in [*names, *folders]:
                path = Path(folder) / name
                if path.is_symlink():
                    yield path, os.fsencode(os.readlink(path))
                elif path.is_file() and name != ".git":
                    yield path, path.read_bytes()


def _quarantined(place: Place) -> Iterable[bytes]:
    for path in place.git_dir.glob("resync/runs/**/quarantine/**/*"):
        if path.is_symlink():
            yield os.fsencode(os.readlink(path))
        elif path.is_file():
            yield path.read_bytes()


def _blob_id(data: bytes) -> bytes:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest().encode()


# --- how it stands -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree at one moment: HEAD, index entries with their flags, files with their modes."""

    head: str
    entries: tuple[tuple[bytes, int], ...]
    files: Mapping[str, tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class State:
    """A clone at one moment; what resync keeps for itself (rescue branches, its pins) left out."""

    refs: tuple[bytes, ...]
    checkouts: tuple[Checkout, ...]


def state(place: Place) -> State:
    """How everything stands."""
    found = ask(place).refs
    refs = [name + b" " + oid for name, oid in found.items() if not name.startswith(_OURS)]
    for each in place.checkouts:
        for name in ("ORIG_HEAD", "CHERRY_PICK_HEAD", "MERGE_MSG"):
            refs.append(name.encode() + b" " + _head(place, each, name))
    return State(tuple(refs), tuple(_checkout(place, each, found) for each in place.checkouts))


def _head(place: Place, top: Path, name: str) -> bytes:
    try:
        return (place.own_git_dir(top) / name).read_bytes().strip()
    except FileNotFoundError:
        return b""


def _entries(text: bytes) -> list[tuple[bytes, int]]:
    """The entries that ``listed`` has, each with its flags but without stat data."""
    return [(entry, int(flags, 16) & _FLAGS) for entry, flags in _ENTRY.findall(text)]


def _checkout(place: Place, top: Path, refs: Mapping[bytes, bytes]) -> Checkout:
    head = _head(place, top, "HEAD")
    tip = refs.get(head.removeprefix(b"ref: "), b"") if head.startswith(b"ref: ") else head
    inside = Place(top, place.env)
    return Checkout(
        head=f"{head.decode()} {tip.decode()}",
        entries=tuple(_entries(listed(place, top))),
        files={str(path): (path.lstat().st_mode, data) for path, data in _files(inside)},
    )


def without(known: State, name: bytes) -> State:
    """The same but for one ref."""
    return replace(known, refs=tuple(each for each in known.refs if not each.startswith(name + b" ")))


def difference(wanted: State, found: State) -> str:
    """In words, for a person: what differs between two states; empty where nothing does."""
    words = []
    if wanted.refs != found.refs:
        words.append(f"refs {sorted({*wanted.refs} ^ {*found.refs})}")
    for one, other in zip(wanted.checkouts, found.checkouts, strict=True):
        if one.head != other.head:
            words.append(f"HEAD {one.head!r} {other.head!r}")
        if one.entries != other.entries:
            words.append(f"index {sorted({*one.entries} ^ {*other.entries})}")
        paths = sorted(p for p in {*one.files, *other.files} if one.files.get(p) != other.files.get(p))
        words += [f"{path}: {one.files.get(path)} {other.files.get(path)}" for path in paths]
    return "; ".join(words)[:1000]


def check_whole(place: Place) -> None:
    """Raise ``Lost`` where git finds the repository damaged, or a lock is left."""
    rows = (_entries(listed(place, each)) for each in place.checkouts)
    if words := ask(place).fsck([b"%s %d" % entry for entries in rows for entry in entries]):
        raise Lost(f"git fsck: {words}")
    if left := locks(place):
        raise Lost(f"locks are left: {left}")


def locks(place: Place) -> Sequence[str]:
    """Every lock file of git's kind, but those that lie with objects that never arrived."""
    found = (str(path.relative_to(place.git_dir)) for path in place.git_dir.rglob("*.lock"))
    return sorted(each for each in found if "incoming-" not in each)
