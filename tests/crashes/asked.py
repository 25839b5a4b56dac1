"""What git says of a repository: asked once for as long as the bytes are the same.

A sweep looks at thousands of states, most of which differ only in what resync keeps for itself. Everything
here follows from the files of the git directory, without resync's folder, and of the index from its entries.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path


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

    def own_git_dir(self, top: Path) -> Path:
        """The git directory of one of the working trees."""
        link = top / ".git"
        return link if link.is_dir() else Path(link.read_text().removeprefix("gitdir: ").strip())

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


@dataclass(kw_only=True)
class Asked:
    """The answers for one state of a git directory."""

    place: Place
    _contents: dict[bytes, bytes | None] = field(default_factory=dict)
    _checked: dict[bytes, str] = field(default_factory=dict)

    @cached_property
    def refs(self) -> Mapping[bytes, bytes]:
        """Every ref, and the id that it has."""
        rows = self.place.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(row.split() for row in rows)  # type: ignore[misc]

    @cached_property
    def reached(self) -> frozenset[bytes]:
        """The ids of all objects that a ref or HEAD reaches."""
        return frozenset(
            self.place.git("rev-list", "--objects", "--no-object-names", "--all", "HEAD").split()
        )

    def contents(self, oids: Iterable[bytes]) -> Mapping[bytes, bytes | None]:
        """The bytes of each object, None where git cannot read it."""
        wanted = list(dict.fromkeys(oid for oid in oids if oid not in self._contents))
        if wanted:
            self._contents.update(_read(self.place, wanted))
        return self._contents

    def fsck(self, entries: Sequence[bytes]) -> str:
        """What ``git fsck`` complains of, with these entries in the indexes."""
        key = hashlib.sha256(b"\0\0".join(entries)).digest()
        if key not in self._checked:
            done = subprocess.run(
                ["git", "fsck", "--strict", "--no-dangling", "--no-progress"],
                cwd=self.place.clone,
                env=self.place.env,
                capture_output=True,
                check=False,
            )
            words = (done.stdout + done.stderr).decode(errors="replace").strip()
            self._checked[key] = words[:300] if done.returncode or done.stdout else ""
        return self._checked[key]


def _read(place: Place, oids: Sequence[bytes]) -> dict[bytes, bytes | None]:
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


_asked: dict[bytes, Asked] = {}
_listed: dict[bytes, bytes] = {}
_MOST = 2_000


def ask(place: Place) -> Asked:
    """What git says of the repository as it is now."""
    key = _print_of(place)
    if key not in _asked:
        if len(_asked) >= _MOST:
            _asked.clear()
        _asked[key] = Asked(place=place)
    return _asked[key]


def listed(place: Place, top: Path) -> bytes:
    """Every entry of the index of a working tree, as ``git ls-files --stage --debug`` has them.

    Raises ``Lost`` for an index that is damaged.
    """
    try:
        data = (place.own_git_dir(top) / "index").read_bytes()
    except FileNotFoundError:
        data = b""
    if data and data[-20:] not in (hashlib.sha1(data[:-20]).digest(), bytes(20)):
        raise Lost(f"the index of {top} is damaged")
    key = os.fsencode(top) + b"\0" + data
    if key not in _listed:
        if len(_listed) >= _MOST:
            _listed.clear()
        _listed[key] = place.git("-c", "core.quotePath=true", "ls-files", "--stage", "--debug", at=top)
    return _listed[key]


def _print_of(place: Place) -> bytes:
    digest = hashlib.sha256(os.fsencode(place.clone))
    for folder, folders, names in os.walk(place.git_dir):
        if folder == str(place.git_dir):
            folders.remove("resync") if "resync" in folders else None
        folders.sort()
        for name in sorted(names):
            if name != "index":
                path = os.path.join(folder, name)
                with open(path, "rb", buffering=0) as file:
                    data = file.read()
                digest.update(b"%s\0%d\0" % (os.fsencode(path), len(data)))
                digest.update(data)
        digest.update(os.fsencode(folder) + b"\0")
    return digest.digest()
