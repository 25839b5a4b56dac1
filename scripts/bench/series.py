"""Whole series of commits replayed, beside ``git rebase`` in one run: same answer, how much faster.

    scripts/bench/series.py [event] [picks] [clean] [wide]

- event: the real event's 145 old-only commits onto the new tip, git with ``rebase --skip`` at every stop
- picks: the same commits, each of them merged: git with ``--reapply-cherry-picks``, or else it leaves out the
  109 that upstream has before it begins, and resync's merges alone, one after the other
- clean: 300 commits that all apply, on the event's tree
- wide: 100 commits of 3 files each in a tree of 50,000 files, of which upstream changed 500

For each: the number reapplied, the final trees, both times as whole processes (resync's replays in memory and
writes the pack), the ratio, and resync's peak memory. Leaves with status 1 where an answer differs.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from resync.model import Oid
    from resync.repository import Objects

COMMITTER = b"C <c@example.com> 1461092552 +0000"
EVENT = Path(__file__).resolve().parents[3] / "shared" / "kolla-event" / "kolla-event.bundle"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "C",
    "GIT_COMMITTER_EMAIL": "c@example.com",
    "GIT_EDITOR": "true",
}


class Series(NamedTuple):
    """Commits to replay: those that ``tip`` reaches and ``onto`` (and ``below``, if there is one) does not.

    With ``every``, those that upstream has as well are merged and not left out. All are in the repository
    ``folder``.
    """

    folder: Path
    tip: str
    onto: str
    below: str = ""
    every: bool = False


def git(folder: Path, *arguments: str, check: bool = True, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=ENVIRONMENT, input=stdin, capture_output=True, check=False
    )
    if check and done.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.decode()}")
    return done.stdout.decode().strip()


# --- the series ----------------------------------------------------------------------------------------


def event(folder: Path) -> Series:
    git(folder, "init", "-q", "-b", "work")
    git(folder, "fetch", "-q", str(EVENT), "refs/*:refs/*")
    return Series(folder, "refs/resync/old", "refs/resync/new")


def picks(folder: Path) -> Series:
    return event(folder)._replace(every=True)


def clean(folder: Path) -> Series:
    """300 commits that each edit a file of their own that upstream left alone."""
    event(folder)
    same = _unchanged(folder, "refs/resync/old", "refs/resync/new")
    stream = [b"reset refs/heads/work\nfrom refs/resync/old^0\n"]
    for number in range(300):
        path = same[number % len(same)]
        data = git(folder, "cat-file", "blob", f"refs/resync/old:{path}") + f"\nline {number}\n"
        stream.append(_commit("refs/heads/work", number, {path: data.encode()}))
    git(folder, "fast-import", "--quiet", "--force", stdin=b"".join(stream))
    # Only what was added above the old tip: the old line's own commits are not part of the series.
    return Series(folder, "refs/heads/work", "refs/resync/new", below="refs/resync/old")


def wide(folder: Path, files: int = 50_000, commits: int = 100, changes: int = 3) -> Series:
    """A tree of many files; upstream changes 500 of them, and each local commit changes a few others."""
    git(folder, "init", "-q", "-b", "work")
    paths = [f"d{number % 100}/e{number // 100 % 50}/f{number}" for number in range(files)]
    text = b"".join(b"line %d\n" % number for number in range(20))
    stream = [_commit("refs/heads/base", 0, {path: text + path.encode() + b"\n" for path in paths})]
    stream.append(b"reset refs/heads/new\nfrom refs/heads/base\n")
    step = max(2, files // 500)
    changed = dict.fromkeys(paths[::step], text + b"upstream\n")
    stream.append(_commit("refs/heads/new", 1, changed))
    stream.append(b"reset refs/heads/work\nfrom refs/heads/base\n")
    for number in range(commits):
        places = [(number * changes + each) * 7 % files for each in range(changes)]
        mine = {paths[at + (at % step == 0)]: text + b"local %d\n" % number for at in places}
        stream.append(_commit("refs/heads/work", number + 2, mine))
    git(folder, "fast-import", "--quiet", stdin=b"".join(stream))
    return Series(folder, "refs/heads/work", "refs/heads/new")


def _commit(branch: str, number: int, files: dict[str, bytes]) -> bytes:
    message = b"commit %d\n" % number
    lines = [b"commit %s\ncommitter C <c@example.com> %d +0000\n" % (branch.encode(), 1461092552 + number)]
    lines.append(b"data %d\n%s\n" % (len(message), message))
    for path, data in files.items():
        lines.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
    return b"".join(lines) + b"\n"


def _unchanged(folder: Path, one: str, other: str) -> list[str]:
    listing = [set(git(folder, "ls-tree", "-r", each).splitlines()) for each in (one, other)]
    both = (line.split("\t")[1] for line in listing[0] & listing[1] if line.startswith("100644"))
    return sorted(path for path in both if path.endswith((".j2", ".py", ".sh", ".yml")))


# --- both ways -----------------------------------------------------------------------------------------


def by_git(series: Series) -> tuple[float, str, list[str]]:
    """Seconds, the final tree, and the subjects of the commits that git reapplied."""
    git(series.folder, "checkout", "-q", "--detach", series.tip)
    start = time.perf_counter()
    command = ["rebase", "--no-update-refs", "-q", *(["--reapply-cherry-picks"] if series.every else [])]
    command += ["--onto", series.onto, series.below] if series.below else [series.onto]
    git(series.folder, *command, check=False)
    while (series.folder / ".git" / "rebase-merge").exists():
        git(series.folder, "rebase", "--skip", check=False)
    taken = time.perf_counter() - start
    tree = git(series.folder, "rev-parse", "HEAD^{tree}")
    subjects = git(series.folder, "log", "--reverse", "--format=%an %ai %s", f"{series.onto}..HEAD")
    return taken, tree, subjects.splitlines()


class Replayed(NamedTuple):
    """What resync made of a series.

    ``seconds`` are those of the whole process, ``alone`` the processor's for the replay; ``memory`` is the
    peak in MB.
    """

    seconds: float
    alone: float
    tree: str
    subjects: list[str]
    verdicts: dict[str, int]
    memory: int


def by_resync(series: Series) -> Replayed:
    start = time.perf_counter()
    every = "every" if series.every else ""
    arguments = [str(series.folder), series.tip, series.onto, series.below, every]
    replay_script = str(Path(__file__).resolve())
    done = subprocess.run(
        [sys.executable, replay_script, "--replay", *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
    )
    taken = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    tip, memory, alone, *verdicts = done.stdout.decode().split()
    subjects = git(series.folder, "log", "--reverse", "--format=%an %ai %s", f"{series.onto}..{tip}")
    return Replayed(
        seconds=taken,
        alone=float(alone),
        tree=git(series.folder, "rev-parse", f"{tip}^{{tree}}"),
        subjects=subjects.splitlines(),
        verdicts={verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
        memory=int(memory) >> 10,
    )


def replay_here(folder: str, tip: str, onto: str, below: str, every: str) -> None:
    """The process that is measured: replay in memory, write one pack, print what became of it."""
    import gc

    from resync.history import open_history
    from resync.merge import MergeOptions
    from resync.model import RefName
    from resync.replay import PickOptions, Series, replay
    from resync.repository import Repository

    gc.set_threshold(100_000, 20, 20)  # as the command line has it
    with Repository.open(folder, {}) as repository:
        refs = [repository.ref(RefName(name.encode())) for name in (tip, onto)]
        start, base = (repository.objects.peel(oid) for oid in refs if oid is not None)
        history = open_history(repository)
        outside = [base]
        if below:
            known = repository.ref(RefName(below.encode()))
            outside += [repository.objects.peel(known)] if known else []
        mine = history.topological(history.reachable([start], outside))
        mine = [oid for oid in mine if len(history.parents(oid)) < 2]
        begun = time.process_time()
        if every:
            end, verdicts = pick_each(repository.objects, mine, base)
        else:
            (done,) = replay(
                repository.objects,
                history,
                [Series(tip=start, commits=mine, upstream=history.reachable([base], [start]))],
                PickOptions(merging=MergeOptions(), committer=COMMITTER),
                onto=base,
            )
            end, verdicts = done.tip, [commit.verdict for commit in done.commits]
        taken = time.process_time() - begun
        repository.objects.write_pack(repository.objects.new_from([end]))
    print(end.decode(), peak_memory(), taken, *verdicts)


def pick_each(objects: Objects, commits: Sequence[Oid], onto: Oid) -> tuple[Oid, list[str]]:
    """Merge each commit onto what stands so far, in a line as git's rebase does; the end and the verdicts."""
    from resync.merge import merge_trees
    from resync.replay import rewritten

    verdicts = []
    for commit in map(objects.commit, commits):
        base, ours = (objects.commit(oid).tree for oid in (commit.parents[0], onto))
        merged = merge_trees(objects, base, ours, commit.tree)
        if not merged.clean:
            verdicts.append("parked")
        elif merged.tree == ours:
            verdicts.append("became-empty")
        else:
            verdicts.append("reapplied")
            raw = rewritten(commit, tree=merged.tree, parents=[onto], committer=COMMITTER)
            onto = objects.add_commit(raw)
    return onto, verdicts


def peak_memory() -> int:
    """The most memory that this process had, in KiB: Linux's ``ru_maxrss`` begins with that of the parent."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(status.partition("VmHWM:")[2].split()[0])


def main() -> int:
    if sys.argv[1:2] == ["--replay"]:
        replay_here(*sys.argv[2:])
        return 0
    makers = {"event": event, "picks": picks, "clean": clean, "wide": wide}
    wanted = sys.argv[1:] or list(makers)
    wrong = 0
    for name in wanted:
        if name != "wide" and not EVENT.exists():
            print(f"{name}: skipped, the event's data is not here")
            continue
        with tempfile.TemporaryDirectory() as folder:
            series = makers[name](Path(folder))
            ours = by_resync(series)
            theirs = by_git(series)
            same = (ours.tree, ours.subjects) == theirs[1:]
            wrong += not same
            answer = "same" if same else "DIFFERENT"
            print(
                f"{name}: {answer} ({len(theirs[2])} reapplied by git, verdicts {ours.verdicts});"
                f" git {theirs[0]:.2f} s, resync {ours.seconds:.2f} s:"
                f" {theirs[0] / ours.seconds:.1f} times as fast; {ours.memory} MB"
            )
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder, exist_ok=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
