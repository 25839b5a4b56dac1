"""What git and the file system alone say: whether anything is lost, and how a checkout stands.

Nothing of resync's own code is asked here.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_FLAGS = 0x8000 | 0x20000000 | 0x40000000  # assume-unchanged, intent-to-add, skip-worktree
_ENTRY = re.compile(rb"^(\d{6} [0-9a-f]{40} \d\t.*)\n(?:  .*\n)*?  size: \d+\tflags: ([0-9a-f]+)$", re.M)
_OURS = (b"refs/heads/rescue/", b"refs/resync/")


@dataclass(frozen=True, slots=True)
class Place:
    """A clone and the linked working trees that belong to it, all of whose files count."""

    clone: Path
    env: Mapping[str, str]
    linked: tuple[Path, ...] = ()

    @property
    def git_dir(self) -> Path:
        return self.clone / ".git"

    @property
    def checkouts(self) -> tuple[Path, ...]:
        return (self.clone, *self.linked)

    def git(self, *arguments: str, at: Path | None = None, stdin: bytes = b"", check: bool = True) -> bytes:
        """Run git and return what it prints."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=at or self.clone,
            env=self.env,
            input=stdin,
            capture_output=True,
            check=False,
        )
        if check and done.returncode:
            raise Lost(
                f"git {' '.join(arguments)} fails: {done.stderr.decode(errors='replace').strip()[:300]}"
            )
        return done.stdout


class Lost(AssertionError):
    """Something is lost, wrongly claimed, or left over."""


# --- is anything lost ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seeds:
    """What must survive: the commits that refs reached, every staged blob, and every file's bytes by path."""

    commits: frozenset[bytes]
    staged: Mapping[bytes, bytes]
    files: Mapping[str, bytes]


def seeds(place: Place) -> Seeds:
    """Everything that somebody could miss, before the run."""
    commits = place.git("rev-list", "--all", "HEAD").split()
    rows = b"".join(place.git("ls-files", "-s", at=each) for each in place.checkouts).splitlines()
    staged = {row.split()[1] for row in rows if not row.startswith(b"160000")}
    kept = _contents(place, staged)
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
    reached = set(place.git("rev-list", "--objects", "--no-object-names", "--all", "HEAD").split())
    if gone := wanted.commits - reached:
        raise Lost(f"commits that no ref reaches: {sorted(gone)}")
    missing = {
        _blob_id(data): (path, data)
        for path, data in wanted.files.items()
        if here.get(path) != data and data not in aside
    }
    # What is staged is in place while the index names it, and git can read it.
    indexed = b"".join(place.git("ls-files", "-s", at=each, check=False) for each in place.checkouts)
    named = reached | {row.split()[1] for row in indexed.splitlines()}
    found = _contents(place, [*missing, *wanted.staged])
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
    for path in place.git_dir.glob("resync/runs/*/quarantine/**/*"):
        if path.is_symlink():
            yield os.fsencode(os.readlink(path))
        elif path.is_file():
            yield path.read_bytes()


def _blob_id(data: bytes) -> bytes:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest().encode()


def _contents(place: Place, oids: Iterable[bytes]) -> dict[bytes, bytes | None]:
    """The bytes of each object, None where git cannot read it."""
    oids = list(dict.fromkeys(oids))
    if not oids:
        return {}
    answer = place.git("cat-file", "--batch", stdin=b"\n".join(oids) + b"\n", check=False)
    found: dict[bytes, bytes | None] = dict.fromkeys(oids)
    at = 0
    while at < len(answer):
        end = answer.index(b"\n", at)
        words = answer[at:end].split()
        at = end + 1
        if words[1] != b"missing":
            size = int(words[2])
            found[words[0]] = answer[at : at + size]
            at += size + 1
    return found


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
    refs = [
        line
        for line in place.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        if not line.startswith(_OURS)
    ]
    for each in place.checkouts:
        for name in ("ORIG_HEAD", "CHERRY_PICK_HEAD"):
            found = place.git("rev-parse", "-q", "--verify", name, at=each, check=False).strip()
            refs.append(name.encode() + b" " + found)
        folder = place.git("rev-parse", "--absolute-git-dir", at=each).rstrip(b"\n")
        message = Path(os.fsdecode(folder)) / "MERGE_MSG"
        refs.append(b"MERGE_MSG " + (message.read_bytes() if message.exists() else b""))
    return State(tuple(refs), tuple(_checkout(place, each) for each in place.checkouts))


def _checkout(place: Place, top: Path) -> Checkout:
    listed = place.git("-c", "core.quotePath=true", "ls-files", "--stage", "--debug", at=top)
    head = place.git("rev-parse", "--symbolic-full-name", "HEAD", at=top) + place.git(
        "rev-parse", "HEAD", at=top
    )
    inside = Place(top, place.env)
    return Checkout(
        head=head.decode(),
        entries=tuple((entry, int(flags, 16) & _FLAGS) for entry, flags in _ENTRY.findall(listed)),
        files={str(path): (path.lstat().st_mode, data) for path, data in _files(inside)},
    )


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
    done = subprocess.run(
        ["git", "fsck", "--strict", "--no-dangling", "--no-progress"],
        cwd=place.clone,
        env=place.env,
        capture_output=True,
        check=False,
    )
    if done.returncode or done.stdout:
        raise Lost(f"git fsck: {(done.stdout + done.stderr).decode(errors='replace').strip()[:300]}")
    if left := locks(place):
        raise Lost(f"locks are left: {left}")


def locks(place: Place) -> Sequence[str]:
    """Every lock file of git's kind, but those that lie with objects that never arrived."""
    found = (str(path.relative_to(place.git_dir)) for path in place.git_dir.rglob("*.lock"))
    return sorted(each for each in found if "incoming-" not in each)
