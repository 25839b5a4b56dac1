"""Which checkouts a command is about that is about several, and what of it holds for each; ``forget``."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from resync.console import Console
from resync.errors import ExitCode, Refused, UsageError
from resync.registry import forget, registered
from resync.report import data
from resync.report.text import quoted
from resync.report.words import shown

if TYPE_CHECKING:
    import argparse

_OURS = ("--all", "--jobs", "--repo", "--registered", "--json", "--color")
_ONE_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")


def visit(
    options: argparse.Namespace,
    arguments: Sequence[str],
    with_value: Collection[str],
    env: Mapping[str, str],
    state: Callable[[], str],
    console: Console,
) -> ExitCode:
    """Carry out one command in all of the checkouts that are meant; returns the worst of their statuses.

    ``arguments`` are those that ``options`` were read from, ``with_value`` the options whose value may be the
    next word; ``state`` finds the folder of what was seen.
    """
    from resync.fleet.tour import Ask, default_jobs, tour

    if options.repo is not None or (options.command == "run" and not options.yes):
        folders = [f"--all {quoted(options.all)}"] if options.all is not None else []
        registered_ones = ["--registered"] if options.registered else []
        meant = " ".join([*folders, *registered_ones, *map(quoted, options.paths)])
        raise UsageError(
            "bad-arguments",
            "Nobody can be asked about several checkouts at once, so run takes --yes with them, and --repo"
            " names a single one. Nothing was changed.",
            f"resync plan {meant}    # shows what would be done",
            f"resync run --yes {meant}    # does it",
        )
    named = [name for name in _ONE_REPOSITORY if env.get(name)]
    if named:
        raise UsageError(
            "bad-arguments",
            f"{named[0]} names one repository, and several checkouts are asked for. Nothing was changed.",
            f"unset {named[0]}",
        )
    paths = checkouts(options.paths, options.all, state() if options.registered else None, console)
    ask = Ask(
        command=options.command,
        options=options_for_each(arguments, with_value),
        upstream=options.upstream,
        jobs=options.jobs or default_jobs(),
    )
    return tour(ask, paths, env, console)


def checkouts(paths: Sequence[str], folder: str | None, state: str | None, console: Console) -> list[str]:
    """The checkouts that are named, those below ``folder``, and those that are registered in ``state``.

    Raises ``UsageError("no-such-folder")`` and ``Refused("no-checkouts")``.
    """
    from resync.fleet.find import below

    found = list(paths)
    if folder is not None:
        if not os.path.isdir(folder):
            raise UsageError(
                "no-such-folder", f"There is no folder {folder!r}. Nothing was changed.", "resync --help"
            )
        top = os.path.abspath(folder)
        found += below(top, lambda path: console.warn(f"{path} cannot be looked into."))
    if state is not None:
        found += registered(state)
    if not found:
        raise Refused(
            "no-checkouts",
            "There are no checkouts there. Nothing was changed.",
            "resync check --all DIR    # looks for those below a folder",
        )
    return list(dict.fromkeys(map(os.path.abspath, found)))


def options_for_each(arguments: Sequence[str], with_value: Collection[str]) -> list[str]:
    """The options that hold for each of several checkouts: without what says which these are, how to talk to
    people, and how many to work on. ``with_value`` are the options whose value may be the next word."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        name, equals, _ = word.partition("=")
        value = [next(words, "")] if name in with_value and not equals else []
        if word == "--":
            break
        if word.startswith("-") and name not in _OURS:
            kept += [word, *value]
    return kept


def strike_off(path: str, state: str, console: Console) -> ExitCode:
    """``forget``: no longer one of the checkouts that ``--registered`` visits."""
    root = os.path.abspath(path)
    if not forget(state, root):
        raise Refused(
            "not-registered",
            f"{root} is none of the checkouts that resync has seen. Nothing was changed.",
            "resync check --registered    # visits those that it has seen",
        )
    console.lines([f"{shown(root)} is forgotten; a run in it registers it again."])
    console.document(data.document("forget", ExitCode.OK, checkout=root))
    return ExitCode.OK
