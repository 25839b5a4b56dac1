"""A sitting as lines for people: what a step of it did, where it stands, and what to type."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from resync.model import Commit, LocalFile, Plan, Sitting, Taken, TreePath
from resync.report.plan import commits_lines, file_lines
from resync.report.text import Paint, note_lines, quoted
from resync.report.words import count, short, shown


def step_lines(plan: Plan, paint: Paint) -> Iterator[str]:
    """What became of commits and edits in one step."""
    if plan.commits:
        yield f"On {shown(plan.head.name)}:"
        yield from commits_lines(plan.commits, paint)
    yield from _file_lines(plan.files, paint)
    yield from note_lines(plan.notes, paint)


def _file_lines(files: Sequence[LocalFile], paint: Paint) -> Iterator[str]:
    if not files:
        return
    verdicts = {each.verdict for each in files}
    if "set-aside" in verdicts:
        yield "Your edits are set aside until the conflicts are resolved:"
    else:
        yield f"Your edits are back{', but for what is parked' if 'parked' in verdicts else ''}:"
    width = max(len(each.state) for each in files)
    for each in files:
        yield from file_lines(each, width, paint)


def standing_lines(
    sitting: Sitting,
    commit: Commit | None,
    unmerged: Mapping[TreePath, Collection[int]],
    rescue: bytes | None,
    paint: Paint,
) -> Iterator[str]:
    """Where a sitting stands, and how to go on.

    ``commit`` is that which was taken, ``unmerged`` the paths that are not resolved with the sides that there
    are (2: what is checked out, 3: what was taken; none: markers are left in the file), ``rescue`` the
    branch that keeps what was set aside.
    """
    taken = sitting.taken
    if taken is None:
        yield paint("Edits of yours are in the way of the next commit:", "warning")
        for path in sitting.blocked:
            yield f"  {shown(path)}"
        yield "Commit these edits, or stash them (git stash), then go on:"
    else:
        yield from _conflict_lines(taken, commit, unmerged, paint)
    what = "commits it and goes on" if commit is not None else "goes on"
    yield f"  resync continue    # {what}{_left(sitting)}"
    yield "  resync skip        # leaves it parked and goes on"
    yield "  resync abort       # everything back as it was before you began"
    if sitting.aside is not None and not sitting.returned:
        safe = f", safe on {shown(rescue)}," if rescue is not None else ""
        yield f"Your edits of before are set aside{safe} and come back at the end."


def _conflict_lines(
    taken: Taken, commit: Commit | None, unmerged: Mapping[TreePath, Collection[int]], paint: Paint
) -> Iterator[str]:
    """What is to be resolved, path by path."""
    left = [path for path in taken.conflicts if path in unmerged]
    name = f"{short(commit.oid)}  {shown(commit.subject)}" if commit is not None else "your uncommitted edits"
    resolve = "Resolve the conflicts of" if left else "You have resolved"
    yield paint(f"{resolve} {name}", "warning" if left else "good")
    yours = "your commit" if commit is not None else "your edit"
    for path in taken.conflicts:
        sides = unmerged.get(path)
        if sides is None:
            mark = "(resolved in the index)"
        elif not sides:
            mark = "(git add was said, and conflict markers are left in it)"
        elif 2 not in sides:
            mark = f"(it is not there any more, {yours} has it: git add keeps it, git rm removes it)"
        elif 3 not in sides:
            mark = f"({yours} removes it, it was changed meanwhile: git rm removes it, git add keeps it)"
        else:
            mark = ""
        yield f"  {shown(path)}{'  ' + paint(mark, 'quiet') if mark else ''}"
    if any(not unmerged[path] or {2, 3} <= {*unmerged[path]} for path in left):
        yield paint(f"  in a text: <<<<<<< what is there now ======= what {yours} says >>>>>>>", "quiet")
    if left:
        names = " ".join(quoted(shown(path)) for path in left[:3])
        yield f"  git add {names}{' …' if len(left) > 3 else ''}    # when a file is as it should be"


def _left(sitting: Sitting) -> str:
    left = [count(len(sitting.commits), "commit")] if sitting.commits else []
    paths = {path for each in sitting.edits for path in each.paths}
    left += [f"the edits of {count(len(paths), 'file')}"] if paths else []
    return f" with {' and '.join(left)}" if left else ""
