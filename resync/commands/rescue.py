"""``rescue``: what the rescue branches keep, getting files out of them, handing on how their conflicts were
resolved, and dropping them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from resync.commands.session import Session, looked, refuse_to_guess, refuse_unfinished
from resync.dates import shown_date
from resync.errors import ExitCode, Refused
from resync.interrupts import uninterrupted
from resync.journal import Journals
from resync.model import MODE_GITLINK, LocalCommit, TreePath
from resync.report import data, text
from resync.report.rescue import drop_lines, rescue_lines
from resync.report.words import count, short, shown
from resync.repository import Repository
from resync.repository.locks import RunLock
from resync.repository.refs import clear_locks

if TYPE_CHECKING:
    from resync.rescue import KeptFile, RescueBranch


def list_all(session: Session) -> ExitCode:
    """All rescue branches."""
    from resync import rescue as rescues

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        found = rescues.branches(repository, journals)
        if not found:
            console.lines(["There is no rescue branch here."])
        for each in found:
            files = sum(1 for _ in rescues.files(repository, each))
            what = count(files, "uncommitted file") if files else "commits only"
            made = f"  {shown_date(each.when)}" if each.when is not None else ""
            console.lines([f"{shown(each.short_name)}  {short(each.tip)}{made}  {what}"])
        kept = [data.rescue_branch(each) for each in found]
        return looked(session, repository, journals, "rescue", rescues=kept)


def show(session: Session, name: str | None) -> ExitCode:
    """What one rescue branch keeps."""
    from resync import rescue as rescues

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        rescue = rescues.choose(rescues.branches(repository, journals), name)
        plan = journals.load(rescue.run, steps=False).plan if rescue.run is not None else None
        planned = plan.files if plan is not None else ()
        files = [(file, _size(repository, file)) for file in rescues.files(repository, rescue, planned)]
        commits = plan.commits if plan is not None else _only_there(repository, rescue)
        console.lines(rescue_lines(rescue, commits, files, console.paint))
        return looked(
            session,
            repository,
            journals,
            "rescue",
            rescues=[data.rescue_branch(rescue)],
            kept=[data.kept_file(file, size) for file, size in files],
            commits=data.rescued_commits(commits, rescue),
        )


def _only_there(repository: Repository, rescue: RescueBranch) -> list[LocalCommit]:
    """The commits that no other ref keeps: all that is known where no run is on record."""
    from resync.holdings import loss

    found = map(repository.objects.commit, loss(repository, {rescue.name: rescue.oid}, None).commits)
    return [
        LocalCommit(oid=commit.oid, subject=commit.subject, author=commit.author, verdict="parked")
        for commit in reversed(list(found))
    ]


def _size(repository: Repository, file: KeptFile) -> int | None:
    if file.entry is None or file.entry.mode == MODE_GITLINK:
        return None
    return repository.objects.size(file.entry.oid)


def restore(session: Session, path: str, name: str | None, folder: str | None) -> ExitCode:
    """Get one file out of a rescue branch; nothing is overwritten."""
    from resync import rescue as rescues

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        rescue = rescues.choose(rescues.branches(repository, journals), name)
        tree_path = TreePath(os.fsencode(path.replace(os.sep, "/")))
        target = os.path.abspath(os.path.join(session.caller.folder, folder)) if folder else None
        where, size = rescues.restore(repository, rescue, tree_path, target)
        console.lines([f"{shown(where)}: {count(size, 'byte')} from {shown(rescue.short_name)}"])
        restored = {"path": path, "to": where, "size": size}
        return looked(session, repository, journals, "rescue", restored=restored)


def export(session: Session, file: str, name: str | None) -> ExitCode:
    """Write how the conflicts of parked commits were resolved to a file, for other checkouts."""
    from resync import exchange
    from resync import rescue as rescues
    from resync.report.exchange import export_lines
    from resync.resolution_file import write
    from resync.worktree.place import place_bytes

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        rescue = rescues.choose(rescues.branches(repository, journals), name)
        found = exchange.collect(repository, journals, rescue, session.settings(repository))
        path = os.path.abspath(os.path.join(session.caller.folder, file))
        if not place_bytes(path, write(found.content), repository.objects):
            raise Refused(
                "file-exists",
                f"{path} is there already, with other bytes. Nothing was written.",
                "name a file that is not there yet",
            )
        console.lines(export_lines(found, path))
        exported = data.exported(found, rescue, path)
        return looked(session, repository, journals, "rescue", waits=not found.complete, exported=exported)


def take_in(session: Session, file: str) -> ExitCode:
    """Take in, from a file, how the conflicts of commits like those here were resolved elsewhere."""
    from resync import exchange
    from resync.report.exchange import import_lines
    from resync.resolution_file import read

    console = session.console
    with session.open() as repository:
        journals = Journals(repository)
        path = os.path.abspath(os.path.join(session.caller.folder, file))
        content = read(path)
        here = exchange.here(repository, content)
        with RunLock(journals.folder):
            counts = exchange.take_in(repository, content)
        console.lines(import_lines(content, here, counts, path))
        imported = data.imported(content, here, counts, path)
        return looked(session, repository, journals, "rescue", imported=imported)


def drop(session: Session, name: str, *, yes: bool) -> ExitCode:
    """Remove a rescue branch and what its run keeps besides; says first what would be gone for good."""
    from resync import letting_go
    from resync import rescue as rescues

    console = session.console
    with session.open() as repository:
        refuse_to_guess(console, yes=yes, hints=(f"resync rescue drop {text.quoted(name)} --yes",))
        journals = Journals(repository)
        refuse_unfinished(journals)
        with RunLock(journals.folder):
            refuse_unfinished(journals)  # one may have been killed while we waited
            clear_locks(repository)  # also those of a drop that was killed
            rescue = rescues.choose(rescues.branches(repository, journals), name)
            planned = letting_go.plan_drop(repository, journals, rescue)
            commits = [repository.objects.commit(oid) for oid in planned.loss.commits]
            lines = drop_lines(rescue, commits, planned.loss.files, console.paint)
            if yes:
                console.lines(lines)
            else:
                console.important([*lines, ""])
                if not console.ask("Drop it?"):
                    raise Refused("declined", "Nothing was changed.")
            with uninterrupted():
                letting_go.drop(repository, journals, planned, session.caller)
        console.lines([f"{shown(rescue.short_name)} is gone."])
        console.document(
            data.document(
                "rescue",
                ExitCode.OK,
                checkout=repository.root,
                dropped=data.dropped(rescue, commits, planned.loss.files),
            )
        )
        return ExitCode.OK
