"""git's rerere as the oracle, for many texts at once; and random conflicts with what became of them."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast

from resync.merge import merge_text
from resync.merge.lines import Style, split_lines
from resync.merge.recordings import Recording
from resync.merge.rerere import normalise
from tests.conftest import environment

SIZES = (3, 7, 11)


class GitRerere:
    """A repository in which every text stands at an unmerged path, named for the size of its markers."""

    def __init__(self, at: Path) -> None:
        self._at = at
        self._env = environment(at)
        self._git("init", "-q")
        self._git("config", "rerere.enabled", "true")
        attributes = (f"size{size}-* conflict-marker-size={size}\n" for size in SIZES)
        (at / ".gitattributes").write_text("".join(attributes))
        self._blob = self._git("hash-object", "-w", "--stdin").decode().strip()
        self._cache = at / ".git" / "rr-cache"

    def _git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        done = subprocess.run(
            ["git", *arguments], cwd=self._at, env=self._env, input=stdin, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _stand(self, texts: Mapping[str, bytes]) -> None:
        self._git("read-tree", "--empty")
        (self._at / ".git" / "MERGE_RR").unlink(missing_ok=True)
        for name, text in texts.items():
            (self._at / name).write_bytes(text)
        rows = (f"100644 {self._blob} {stage}\t{name}\n" for name in texts for stage in (2, 3))
        self._git("update-index", "--index-info", stdin="".join(rows).encode())

    def images(self, texts: Mapping[str, bytes]) -> dict[str, tuple[str, bytes]]:
        """For each path that git takes for conflicted: the conflict id and the preimage."""
        shutil.rmtree(self._cache, ignore_errors=True)
        self._stand(texts)
        self._git("rerere")
        found = {}
        for record in (self._at / ".git" / "MERGE_RR").read_bytes().split(b"\0")[:-1]:
            key, _, name = record.decode().partition("\t")
            conflict, _, variant = key.partition(".")
            image = "preimage" + (f".{variant}" if variant else "")
            found[name] = conflict, (self._cache / conflict / image).read_bytes()
        return found

    def replayed(self, texts: Mapping[str, bytes], known: Mapping[str, Recording]) -> dict[str, bytes]:
        """What git makes of texts with recordings by conflict id, of those that it resolves."""
        shutil.rmtree(self._cache, ignore_errors=True)
        for conflict, (preimage, postimage) in known.items():
            folder = self._cache / conflict
            folder.mkdir(parents=True)
            (folder / "preimage").write_bytes(preimage)
            (folder / "postimage").write_bytes(postimage)
        self._stand(texts)
        self._git("rerere")
        now = {name: (self._at / name).read_bytes() for name in texts}
        return {name: text for name, text in now.items() if text != texts[name]}


class Resolved(NamedTuple):
    """A conflict as it comes up again, its id, and what was recorded the first time."""

    text: bytes
    conflict: str
    recording: Recording


def random_conflicts(chance: random.Random, styles: tuple[str, ...]) -> Iterator[bytes]:
    """One random merge, if it conflicts, in each of the styles."""
    base = [b"line %d\n" % (n // chance.randint(1, 3)) for n in range(chance.randint(1, 25))]
    sides = [list(base), list(base)]
    for side in sides:
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(side) + 1)
            side[at : at + chance.randint(0, 2)] = [b"new %d\n" % chance.randrange(5)] * chance.randint(0, 2)
    texts = [b"".join(text) for text in (base, *sides)]
    for style in styles:
        merged = merge_text(texts[0], texts[1], texts[2], style=cast(Style, style))
        if merged.conflicts:
            yield merged.data


def random_resolution(chance: random.Random, text: bytes) -> Resolved | None:
    """A resolution of a conflicted text, and the text with other lines around its conflicts."""
    known = normalise(text)
    if known is None or not known.sides:
        return None
    postimage: list[bytes] = []
    again: list[bytes] = []
    inside = 0
    for line in split_lines(text):
        if line.startswith(b"<<<<<<< "):
            inside = 1
        if inside:
            again.append(line)
            if line.startswith((b"<<<<", b"====", b"||||", b">>>>")):
                if line.startswith(b">>>>"):
                    inside = 0
                    postimage += [b"resolved\n"] * chance.randint(0, 2)
            elif chance.random() < 0.6:
                postimage.append(line)
            continue
        postimage.append(line if chance.random() < 0.97 else b"beside\n")
        if chance.random() > 0.08:
            again.append(line)
        if chance.random() < 0.05:
            again.append(b"since %d\n" % chance.randrange(3))
    return Resolved(b"".join(again), known.conflict_id(40), Recording(known.image, b"".join(postimage)))
