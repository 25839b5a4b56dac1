"""A sitting as lines for people: what a step of it did, where it stands, and what to type."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from resync.model import Commit, LocalFile, Plan, Sitting, TreePath
from resync.report.text import Paint, commits_lines, file_lines, note_lines, quoted
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
    aside = any(each.verdict == "set-aside" for each in files)
    yield "Your edits are set aside until the conflicts are resolved:" if aside else "Your edits are back:"
    width = max(len(each.state) for each in files)
    for each in files:
        yield from file_lines(each, width, paint)


def standing_lines(
    sitting: Sitting, commit: Commit | None, unmerged: Collection[TreePath], paint: Paint
) -> Iterator[str]:
    """What waits to be resolved, ``commit`` being that which was taken, and how to go on."""
    taken = sitting.taken
    if taken is None:
        yield paint("Edits of yours are in the way of the next commit:", "warning")
        for path in sitting.blocked:
            yield f"  {shown(path)}"
        yield "Commit these edits, or stash them (git stash), then go on:"
    else:
        if commit is not None:
            yield paint(f"Resolve the conflicts of {short(commit.oid)}  {shown(commit.subject)}", "warning")
        else:
            yield paint("Resolve the conflicts of your uncommitted edits", "warning")
        for path in taken.conflicts:
            mark = "" if path in unmerged else paint("  (resolved in the index)", "quiet")
            yield f"  {shown(path)}{mark}"
        names = " ".join(quoted(shown(path)) for path in taken.conflicts[:3])
        more = " …" if len(taken.conflicts) > 3 else ""
        yield f"  git add {names}{more}    # when a file is as it should be"
    what = "commits it and goes on" if commit is not None else "goes on"
    yield f"  resync continue    # {what}{_left(sitting)}"
    yield "  resync skip        # leaves it parked and goes on"
    yield "  resync abort       # everything back as it was before you began"
    if sitting.aside is not None and not sitting.returned:
        yield "Your edits of before are set aside; they come back at the end."


def _left(sitting: Sitting) -> str:
    left = [count(len(sitting.commits), "commit")] if sitting.commits else []
    paths = {path for each in sitting.edits for path in each.paths}
    left += [f"the edits of {count(len(paths), 'file')}"] if paths else []
    return f" with {' and '.join(left)}" if left else ""
