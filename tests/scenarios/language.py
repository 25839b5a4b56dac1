"""A small language for histories: commits that add and remove files, and stages in which refs move.

    recreate:                           an act and its name
        new < next : a b -c             a commit, its parents, the files that it adds and removes
        main-early-demise = @           a ref and where it goes; a tag, if it has such a name
        main =                          or nowhere: it is deleted
        then                            what follows happens later
        main = new

A file's content is its own name, so two commits with the same files are the same patch, and they have
the same Change-Id. ``@`` is where upstream's branch stood before the act. ``many*3 < a`` are three
commits in a row, many-1 to many-3, each of which adds a file of its own name. ``#`` begins a comment.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from tests.conftest import CLOCK

_COMMIT = re.compile(r"(?P<name>\S+?)(\*(?P<count>\d+))? *(< (?P<parents>[^:]+))?(: *(?P<files>.*))?")
_REF = re.compile(r"(?P<ref>\S+) = ?(?P<name>\S*)")

MINE = "A U Thor <author@example.com>", "C O Mitter <committer@example.com>"
THEIRS = "Up Stream <up@example.com>", "Up Stream <up@example.com>"


@dataclass(frozen=True, kw_only=True)
class Made:
    """One commit: its name is its subject, ``edits`` are the files that it adds and removes (``-``)."""

    name: str
    parents: tuple[str, ...]
    edits: tuple[str, ...]

    @property
    def message(self) -> str:
        """Subject and Change-Id, which goes with the edits as Gerrit's goes with a change."""
        return message(self.name, self.edits)


@dataclass(frozen=True, kw_only=True)
class Act:
    """What upstream does: commits that are made for it, and in each stage where refs go ("": nowhere)."""

    name: str
    commits: tuple[Made, ...]
    stages: tuple[Mapping[str, str], ...]


def message(name: str, edits: Iterable[str]) -> str:
    """The message of the commit with this name and these edits."""
    return f"{name}\n\nChange-Id: I{sha1(' '.join(edits).encode()).hexdigest()}\n"


def parse_commits(text: str) -> tuple[Made, ...]:
    """The commits that ``text`` describes, in its order."""
    return tuple(made for line in _lines(text) for made in _commits(line))


def parse_acts(text: str) -> tuple[Act, ...]:
    """The acts that ``text`` describes, in its order."""
    acts: list[Act] = []
    for line in _lines(text):
        if line.endswith(":"):
            acts.append(Act(name=line[:-1], commits=(), stages=()))
            continue
        act = acts.pop()
        commits, stages = act.commits, act.stages or ({},)
        ref = _REF.fullmatch(line)
        if line == "then":
            stages += ({},)
        elif ref is not None:
            stages = (*stages[:-1], {**stages[-1], ref["ref"]: ref["name"]})
        else:
            commits += _commits(line)
        acts.append(Act(name=act.name, commits=commits, stages=stages))
    return tuple(acts)


def _lines(text: str) -> Iterable[str]:
    stripped = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in stripped if line]


def _commits(line: str) -> tuple[Made, ...]:
    match = _COMMIT.fullmatch(line)
    assert match is not None, line
    name, parents = match["name"], tuple((match["parents"] or "").split())
    if match["count"] is None:
        return (Made(name=name, parents=parents, edits=tuple((match["files"] or "").split())),)
    names = [f"{name}-{number}" for number in range(1, int(match["count"]) + 1)]
    befores = [parents, *((before,) for before in names)]
    return tuple(
        Made(name=each, parents=before, edits=(each,))
        for each, before in zip(names, befores[:-1], strict=True)
    )


def at(act: Act, tip: str) -> Act:
    """The act of an upstream that stands at ``tip``, its own commits named for that, as in ``new@tip``."""
    own = {made.name: f"{made.name}@{tip}" for made in act.commits} | {"@": tip, "": ""}
    return Act(
        name=act.name,
        commits=tuple(
            Made(
                name=own[made.name],
                parents=tuple(own.get(parent, parent) for parent in made.parents),
                edits=made.edits,
            )
            for made in act.commits
        ),
        stages=tuple({ref: own.get(name, name) for ref, name in stage.items()} for stage in act.stages),
    )


@dataclass(frozen=True, kw_only=True)
class Universe:
    """Every commit of every history, and their ids in the repository that has them all."""

    commits: Mapping[str, Made]
    oids: Mapping[str, str]

    def below(self, *names: str) -> set[str]:
        """The names of all that these commits reach, themselves included."""
        found: set[str] = set()
        waiting = [name for name in names if name]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.commits[name].parents
        return found

    def files(self, name: str) -> frozenset[str]:
        """The files of the commit's tree: those of its parents, as it edits them."""
        return _tree(self.commits, {}, name)


def _tree(commits: Mapping[str, Made], known: dict[str, frozenset[str]], name: str) -> frozenset[str]:
    waiting = [name]
    while waiting:
        made = commits[waiting[-1]]
        missing = [parent for parent in made.parents if parent not in known]
        if missing:
            waiting += missing
            continue
        files = {file for parent in made.parents for file in known[parent]}
        files.update(edit for edit in made.edits if not edit.startswith("-"))
        files.difference_update(edit[1:] for edit in made.edits if edit.startswith("-"))
        known[waiting.pop()] = frozenset(files)
    return known[name]


def create(folder: Path, commits: Iterable[Made], env: Mapping[str, str]) -> Universe:
    """Make a bare repository in ``folder`` with all the commits, parents before children, and no refs.

    Subjects lack what stands behind an ``@``. Commits named ``mine`` are as the clone's owner makes them.
    """
    by_name = {made.name: made for made in commits}
    trees: dict[str, frozenset[str]] = {}
    marks = {name: number for number, name in enumerate(by_name, 1)}
    stream = []
    for name, made in by_name.items():
        mine = re.fullmatch(r"mine-\d+", name) is not None
        author, committer = MINE if mine else THEIRS
        date = CLOCK if mine else CLOCK - 100_000 + 60 * marks[name]
        words = message(name.partition("@")[0], made.edits)
        stream.append(f"reset refs/heads/x\ncommit refs/heads/x\nmark :{marks[name]}\n")
        stream.append(f"author {author} {date} +0000\ncommitter {committer} {date} +0000\n")
        stream.append(f"data {len(words)}\n{words}\n")
        for number, parent in enumerate(made.parents):
            stream.append(f"{'merge' if number else 'from'} :{marks[parent]}\n")
        stream.append("deleteall\n")
        for file in sorted(_tree(by_name, trees, name)):
            stream.append(f"M 100644 inline {file}\ndata {len(file) + 1}\n{file}\n\n")
    folder.mkdir(parents=True)
    for arguments, data in (
        (["init", "-q", "--bare", "."], b""),
        (["fast-import", "--quiet", "--force", "--export-marks=marks"], "".join(stream).encode()),
        (["update-ref", "-d", "refs/heads/x"], b""),
    ):
        subprocess.run(["git", *arguments], cwd=folder, env=dict(env), input=data, check=True)
    by_mark = dict(line.split() for line in (folder / "marks").read_text().splitlines())
    return Universe(commits=by_name, oids={name: by_mark[f":{mark}"] for name, mark in marks.items()})
