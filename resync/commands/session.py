"""What every command has: where it was called, by whom, how to talk, and what it must not pass over."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resync.console import Console
from resync.errors import WAYS_ON, Busy, ExitCode, ResyncError, Unfinished, UsageError
from resync.journal import Entry, Journal, Journals
from resync.model import Upstream
from resync.report import data, text
from resync.report.words import short, shown
from resync.repository import Repository
from resync.repository.locks import RunLock
from resync.repository.sharing import share
from resync.request import Caller

if TYPE_CHECKING:
    from resync.waiting import Waiting
    from resync.worktree.settings import WorktreeSettings


_OF_CHECK = (
    "--upstream",
    "--onto",
    "--old-tip",
    "--commit-map",
    "--to",
    "--pre",
    "--constraint",
    "--no-fetch",
    "--repo",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One call of a command: where, by whom, how to talk. ``env`` is the environment.

    ``words`` are the arguments of a run, plan or check that say what is to be done, each option with its
    value, for naming a command that does the same.
    ``seen`` is told of the checkout when it was opened.
    """

    path: str
    env: Mapping[str, str]
    caller: Caller
    console: Console
    verbose: bool
    words: tuple[tuple[str, ...], ...] = ()
    seen: Callable[[str], None] = lambda root: None

    def again(self, command: str) -> str:
        """What to type for another command with the same meaning."""
        if command == "run" and not self.words:
            return "resync"
        return " ".join(["resync", command, *self._meant(command)])

    def _meant(self, command: str, said: Collection[str] = ()) -> Iterator[str]:
        """The arguments of this call that ``command`` takes as well, as a shell takes them, but those
        ``said``."""
        settled = {word.replace("--no-", "--", 1) for word in said}
        for words in self.words:
            name = words[0].partition("=")[0]
            fits = not name.startswith("-") or (
                name in _OF_CHECK if command == "check" else name != "--commit"
            )
            if fits and name.replace("--no-", "--", 1) not in settled:
                yield from map(text.quoted, words)

    @property
    def here(self) -> bool:
        """Whether the command is about the checkout in which it was typed."""
        return self.path in (".", self.caller.folder)

    def as_asked(self, hint: str) -> str:
        """Ways to go on as they are to be typed from here: a run with the options of this call, and every
        command with the checkout that this call named."""
        return "\n".join(map(self._way, hint.split("\n")))

    def _way(self, line: str) -> str:
        command, *why = line.split("    #", 1)
        if command.startswith(("resync", "git ")):
            command = " && ".join(map(self._command, command.split(" && ")))
        return "    #".join([command, *why])

    def _command(self, command: str) -> str:
        program, *words = command.split(" ")
        place = [] if self.here or self.path in words else [text.quoted(self.path)]
        if program == "git" and place and not {"-C", "--global", "help"} & set(words):
            return " ".join(["git", "-C", *place, *words])
        if program != "resync":
            return command
        name = words[0] if words and not words[0].startswith("-") else ""
        if name in ("", "run", "plan", "check") and self.words:
            return " ".join(["resync", *(words if name else ["run", *words]), *self._meant(name, words)])
        return " ".join([command, *(["--repo", *place] if place else [])])

    @contextmanager
    def open(self) -> Iterator[Repository]:
        """The repository that the command is about; errors inside learn which one it is."""
        with Repository.open(os.path.abspath(self.path), self.env) as repository:
            for sentence in repository.warnings():
                self.console.warn(sentence)
            self.seen(repository.root)
            try:
                yield repository
                # What was done is done: the next command sees to what cannot be shared now.
                with suppress(OSError):
                    share(repository, follow_owner=_follows_owner)
            except ResyncError as error:
                error.checkout = repository.root
                with suppress(ResyncError):
                    error.branch = repository.branch_name()
                error.hint = self.as_asked(repository.hint(error))
                raise

    def settings(self, repository: Repository) -> WorktreeSettings:
        """What the configuration says about the working tree."""
        from resync.worktree.settings import read_settings

        base, home = self.env.get("XDG_CONFIG_HOME"), self.env.get("HOME")
        if not base:
            # A service has no home, and then no folder of the checkout may be taken for it.
            base = os.path.join(home, ".config") if home else os.devnull
        return read_settings(
            repository.config, common_dir=repository.common_dir, user_dir=os.path.join(base, "git")
        )


def meaning(
    arguments: Sequence[str], with_value: Collection[str], commands: Collection[str]
) -> tuple[tuple[str, ...], ...]:
    """The arguments that say what is to be done, each option with its value, without the command and how to
    talk about it. ``with_value`` are the options whose value may be the next word.
    """
    kept: list[tuple[str, ...]] = []
    words = iter(arguments)
    command_seen = False
    for word in words:
        if word in ("--json", "--quiet", "-q", "--verbose", "-v", "--yes"):
            continue
        if word in ("--color", "--log-format"):
            next(words, None)
        elif word in with_value:
            kept.append((word, next(words, "")))
        elif word in commands and not command_seen:
            command_seen = True
        elif not word.startswith(("--color=", "--log-format=")):
            kept.append((word,))
    return tuple(kept)


def _follows_owner(repository: Repository) -> bool:
    from resync.worktree.settings import follow_owner

    return follow_owner(repository.config)


def still_waiting(repository: Repository, journals: Journals) -> tuple[Waiting, ...]:
    """What earlier runs left for a person, the newest first; found at once where none says that it did."""
    if not any(entry.waits for entry in journals.entries()):
        return ()
    from resync.waiting import waiting

    return waiting(repository, journals)


def waiting_lines(left_over: Iterable[Waiting], session: Session) -> Iterable[str]:
    """What waits, with what to type for each of it."""
    # What is to be typed names no checkout.
    place = "" if session.here else f" in {shown(os.path.abspath(session.path))}"
    for each in left_over:
        yield ""
        yield session.console.paint(
            f"Waiting for you{place} since run {each.run}"
            f" (all of it is safe on {shown(each.rescue.short_name)}):",
            "warning",
        )
        yield from text.waiting_lines(each)


def elsewhere_hint(session: Session, elsewhere: Sequence[Upstream]) -> str:
    """What to type to see what follows from what happened at another remote; empty where nothing did."""
    return f"{session.again('plan')} --upstream {text.quoted(elsewhere[0].name)}" if elsewhere else ""


def interrupted(journal: Journal) -> Unfinished:
    """What every command has to say where a run stands half-way."""
    return Unfinished(
        "interrupted-run",
        f"Run {journal.plan.id} was interrupted half-way. Everything of yours is backed up.",
        *WAYS_ON,
    )


def half_way_elsewhere(journal: Journal) -> Unfinished:
    """What every command has to say in a working tree that moves along in a run which stands half-way."""
    place = journal.plan.checkout
    return Unfinished(
        "interrupted-run",
        f"Run {journal.plan.id} was interrupted half-way in {place}, and this working tree moves along in it."
        " Everything of yours is backed up.",
        f"cd {shlex.quote(place)} && resync continue    # or resync abort",
        "git worktree prune && resync abort    # here, where it is no longer there",
    )


def paused(journals: Journals, entry: Entry) -> Unfinished:
    """What every command has to say while a person is resolving conflicts."""
    plan = journals.load(entry.run, steps=False).plan
    sitting, name = plan.sitting, shown(plan.head.name)
    if sitting is not None and sitting.blocked:
        what = f"Edits of yours are in the way of what is still to be taken to {name}."
    elif sitting is not None and sitting.taken is not None and sitting.taken.commit is not None:
        what = f"Commit {short(sitting.taken.commit)} waits on {name} for you to resolve its conflicts."
    else:
        what = f"Parked edits wait on {name} for you to resolve their conflicts."
    return Unfinished(
        "stopped-at-conflict",
        what,
        "resync status    # tells what is to be resolved",
        "resync continue    # when that is done",
        "resync skip    # leaves it parked, and goes on",
        "resync abort    # everything back as it was before you began",
    )


def stopped(journals: Journals) -> Unfinished | None:
    """What every command has to say where a run was interrupted, or was killed before it changed anything, or
    has stopped at a conflict."""
    everywhere = journals.everywhere()  # read once: it is asked in every command
    entries = journals.entries(everywhere)
    unfinished = journals.unfinished(entries)
    if unfinished is not None:
        return interrupted(unfinished)
    elsewhere = journals.moved_from_elsewhere(everywhere)
    if elsewhere is not None:
        return half_way_elsewhere(elsewhere)
    if any(entry.state == "planned" for entry in everywhere):
        try:
            with RunLock(journals.folder, patience=0):
                return Unfinished(
                    "interrupted-run",
                    "A run was killed before it changed anything; the locks that it held may keep git"
                    " waiting.",
                    "resync abort",
                )
        except Busy:
            return None  # it is at work just now
    sitting = journals.sitting(entries)
    return paused(journals, sitting) if sitting is not None else None


def refuse_unfinished(journals: Journals) -> None:
    """Raise what ``stopped`` says, if it does."""
    error = stopped(journals)
    if error is not None:
        raise error


def looked(
    session: Session,
    repository: Repository,
    journals: Journals,
    command: str,
    *,
    waits: bool = False,
    **more: Any,
) -> ExitCode:
    """End a command that only looks: its object, with ``more`` fields, and its status, 0 unless something
    ``waits`` or a run stands half-way, which then is said."""
    error = stopped(journals)
    code = ExitCode.WAITING if waits else ExitCode.OK
    if error is not None:
        code = ExitCode.UNFINISHED
        session.console.error(text.error_lines(error, session.console.paint))
    session.console.document(data.document(command, code, checkout=repository.root, error=error, **more))
    return code


def refuse_to_guess(console: Console, *, yes: bool, hints: Iterable[str]) -> None:
    """Refuse where a person would have to be asked and there is nobody to ask."""
    if not yes and not console.interactive:
        raise UsageError(
            "not-a-terminal",
            "There is no terminal to ask on, and --yes was not given. Nothing was changed.",
            *hints,
        )
