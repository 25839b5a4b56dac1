"""The damage sweep: a byte is wrong somewhere in the repository; that is refused, or does not matter."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import Done
from tests.crashes.oracle import Lost, Place
from tests.crashes.sample import Sample, Swept
from tests.crashes.scenarios import named
from tests.crashes.stage import Prepared, Stage

ROUNDS = 500
_OURS = ("/refs/resync/", "/rescue/")
_SUCCESS, _BUG = (0, 3), 70
_LOOKING = (("status",), ("log",), ("rescue",), ("check", "--no-fetch"), ("plan", "--no-fetch"))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Where bytes flip: the scenario, whether its objects are packed before, and which files may be hit."""

    scenario: str
    packed: bool
    files: Callable[[Path], Iterable[Path]]


def _refs(git: Path) -> Iterable[Path]:
    yield from (git / "HEAD", git / "packed-refs")
    yield from git.glob("refs/**/*")
    yield from git.glob("logs/**/*")


KINDS = {
    "index": Kind(scenario="conflicts", packed=False, files=lambda git: [git / "index"]),
    "packs": Kind(scenario="conflicts", packed=True, files=lambda git: git.glob("objects/pack/*")),
    "loose objects": Kind(
        scenario="conflicts", packed=False, files=lambda git: git.glob("objects/[0-9a-f][0-9a-f]/*")
    ),
    "refs": Kind(scenario="branches", packed=False, files=_refs),
    "journal, half-way": Kind(
        scenario="continue at 60%", packed=False, files=lambda git: git.glob("resync/runs/*/*")
    ),
    "journal, aborted": Kind(
        scenario="abort at 60%", packed=False, files=lambda git: git.glob("resync/runs/*/*")
    ),
    "journal, done": Kind(scenario="undo", packed=False, files=lambda git: git.glob("resync/runs/*/*")),
}
"""The kinds of files that are hit."""


def pack(stage: Stage, prepared: Prepared) -> None:
    """Have every object of ``start`` in packs."""
    stage.restore("start")
    prepared.place.git("repack", "-a", "-d", "-q")
    prepared.place.git("prune-packed", "-q")
    stage.save("start")


def sweep(stage: Stage, prepared: Prepared, kind: Kind, sample: Sample, *, seed: int) -> Swept:
    """Flip a random byte in a file of this kind, again and again, and see what the command then says."""
    stage.restore("start")
    git = prepared.place.git_dir
    stage.run(prepared.scenario, *prepared.scenario.command, number=len(prepared.scenario.first))
    goal = remains(prepared.place)
    stage.restore("start")
    paths = sorted(path for path in kind.files(git) if path.is_file() and path.stat().st_size)
    swept = Swept(name="", calls=len(paths), meant=ROUNDS)
    for number in sample.of(ROUNDS):
        swept.ended += 1
        chance = random.Random(seed * 1_000_003 + number)
        path = chance.choice(paths)
        stage.restore("start")
        before = remains(prepared.place)
        where = flip(path, chance)
        try:
            command = prepared.scenario.command if number % 4 else chance.choice(_LOOKING)
            done = stage.run(prepared.scenario, *command, number=len(prepared.scenario.first))
            outcome = judge(prepared.place, done, before, goal if command[0] != "rescue" else before, path)
            swept.met[outcome] += 1
        except Lost as lost:
            swept.failures.append(
                f"round {number}, {' '.join(command)}, {path.relative_to(git)} {where}: {lost}"
            )
    return swept


def flip(path: Path, chance: random.Random) -> str:
    """Make one byte of a file another one; where, in words."""
    data = bytearray(path.read_bytes())
    at, bits = chance.randrange(len(data)), chance.randrange(1, 256)
    data[at] ^= bits
    mode = path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(mode)
    return f"at {at} of {len(data)}"


Remains = dict[str, tuple[int, bytes]]


def remains(place: Place) -> Remains:
    """The files, index, HEAD and refs as they lie on the disk: a damaged repository git may not read."""
    found = {}
    for top in place.checkouts:
        for folder, folders, names in os.walk(top):
            if folder == str(place.git_dir):
                folders[:] = ["refs"]
                names = [name for name in names if name in ("HEAD", "index", "packed-refs", "ORIG_HEAD")]
            for name in names:
                path = Path(folder) / name
                if not path.match("*.lock") and not any(part in str(path) for part in _OURS):
                    mode = path.lstat().st_mode
                    found[str(path)] = (
                        mode,
                        os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes(),
                    )
    return found


def judge(place: Place, done: Done, before: Remains, goal: Remains, hit: Path) -> str:
    """What became of it, in a word. ``Lost``: a bug, a change without a word, or a success that is none."""
    if done.code < 0 or done.code == _BUG or "Traceback" in done.err:
        raise Lost(f"no refusal but a bug: {done}{_last_words(place)}")
    found = remains(place)
    changed = _differing(before, found, hit)
    if not changed:
        return f"nothing changed, status {done.code}"
    if done.code in _SUCCESS:
        wrong = _differing(goal, found, hit)
        if hit.name == "packed-refs":
            # It has no checksum: a branch of another name is another branch, and that is no wrong answer.
            wrong = [path for path in wrong if "/refs/heads/" not in path or path.endswith("/main")]
        if wrong:
            raise Lost(f"a success that is none: {wrong}; {done}")
        return f"carried out, status {done.code}"
    if done.code == 4:
        return "half-way, and it says so"
    raise Lost(f"{changed} changed: {done}")


def _last_words(place: Place) -> str:
    """The end of the log file of a bug."""
    logs = sorted(Path(place.env["HOME"]).glob(".state/resync/log/*"))
    return "\n".join(["", *logs[-1].read_text().splitlines()[-6:]]) if logs else ""


def _differing(one: Remains, other: Remains, hit: Path) -> list[str]:
    return sorted(
        path
        for path in {*one, *other}
        # An index is never the same twice: it has the times of its files.
        if one.get(path) != other.get(path) and path != str(hit) and not path.endswith("/.git/index")
    )


def play(stage: Stage, what: str, sample: Sample, *, seed: int) -> Swept:
    """Prepare one kind and sweep it: 500 times, or as often as the sample has it."""
    kind = KINDS[what]
    prepared = stage.prepare(named(kind.scenario), traced=False)
    if kind.packed:
        pack(stage, prepared)
    swept = sweep(stage, prepared, kind, sample, seed=seed)
    swept.name = what
    return swept
