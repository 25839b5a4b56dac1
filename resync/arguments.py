"""The commands and their options: the words of a call to a namespace, and that to what is asked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from typing import NoReturn

from resync import __version__
from resync.errors import UsageError
from resync.request import (
    CHANGE_ID_POLICIES,
    CONFLICT_POLICIES,
    DIRTY_POLICIES,
    LOG_FORMATS,
    TARGETS,
    Request,
)

_DESCRIPTION = "The upstream branch was rewritten. Keep my work."
_EPILOG = """\
exit status: 0 all is well and nothing waits; 1 refused, nothing was changed; 2 wrong usage; 3 something
waits for you; 4 a run was interrupted or stopped at a conflict; 5 a run is due (check and plan); 70 a bug;
75 busy or network; 130 Ctrl-C"""

# Options whose value is the next word, so that a value is not taken for a command.
WITH_VALUE = (
    "--upstream",
    "--onto",
    "--old-tip",
    "--commit-map",
    "--commit",
    "--expect",
    "--dirty",
    "--branch",
    "--on-conflict",
    "--change-id",
    "--constraint",
    "--all",
    "--jobs",
    "--color",
    "--log-format",
    "--repo",
    "--to",
    "--from",
)

COMMANDS = {
    "run": "fetch, plan, ask, do (the default)",
    "check": "was the upstream branch rewritten?",
    "plan": "what run would do, in full; changes nothing",
    "status": "where an unfinished run or parked work stands",
    "continue": "finish an interrupted run; else take the next of what is parked, or go on with it",
    "skip": "leave the commit that you are resolving parked and go on",
    "abort": "take back an interrupted run, or all that you have resolved",
    "undo": "everything back as it was before a run",
    "log": "past runs, and what each did",
    "rescue": "rescue branches and what they keep",
    "forget": "strike a checkout off those that --registered visits",
    "demo": "rewrite a small upstream and resync a clone of it, step by step",
}

ABOUT_UPSTREAM = ("run", "check", "plan")

_YES = {
    "run": "do not ask; refuse whatever is unsure",
    "plan": "refuse what run --yes would refuse",
    "undo": "do not ask",
}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; a call without a command is a ``run``, here.

    The command need not come first: what stands before it may be said for every command. Raises
    ``UsageError("bad-arguments")``; ``--help`` and ``--version`` are printed, and leave the process.
    """
    words = list(arguments)
    position = 0
    while position < len(words) and words[position].startswith("-"):
        if words[position] in ("-h", "--help", "--version"):
            return parser_for("").parse_args(words)
        position += 2 if words[position] in WITH_VALUE else 1
    if position < len(words) and words[position] in COMMANDS:
        words.insert(0, words.pop(position))
    else:
        words.insert(0, "run")
    return parser_for(words[0]).parse_args(words)


def request_of(options: argparse.Namespace, shared: str | None) -> Request:
    """What ``run``, ``plan`` or ``check`` is asked; ``shared`` is a folder for what remotes answer."""
    return Request(
        shared=shared,
        upstream=options.upstream,
        onto=options.onto,
        old_tip=options.old_tip,
        commit_map=options.commit_map,
        expect=getattr(options, "expect", None),
        fetch=not options.no_fetch,
        advance=getattr(options, "advance", None),
        dirty=getattr(options, "dirty", None),
        unattended=getattr(options, "yes", False),
        redo=getattr(options, "redo", False),
        keep_dropped=getattr(options, "keep_dropped", False),
        include_untracked=getattr(options, "include_untracked", False),
        require_announcement=getattr(options, "require_announcement", None),
        branches=tuple(getattr(options, "branches", None) or ()),
        all_branches=getattr(options, "all_branches", False),
        only_current=getattr(options, "only_current", False),
        on_conflict=getattr(options, "on_conflict", None),
        change_id=getattr(options, "change_id", None),
        to=options.aim,
        pre=options.pre,
        constraint=options.constraint,
    )


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as every other error is said, and not by leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(
            "bad-arguments",
            f"{message[:1].upper()}{message[1:]}. Nothing was changed.",
            f"{self.prog} --help",
        )


@cache
def parser_for(called: str) -> argparse.ArgumentParser:
    """The parser of the whole command line, with the options of the one command that is ``called``."""
    everywhere = _Parser(add_help=False)
    everywhere.add_argument("--json", action="store_true", help="print one JSON object")
    everywhere.add_argument("--quiet", "-q", action="store_true", help="print only what needs a person")
    everywhere.add_argument("--verbose", "-v", action="store_true", help="print all of the evidence")
    everywhere.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="auto: on a terminal only"
    )
    everywhere.add_argument(
        "--log-format",
        choices=LOG_FORMATS,
        help="make standard error a log: a line for every step, with the time",
    )
    everywhere.add_argument("--repo", metavar="PATH", help="the checkout, if not the current folder's")
    everywhere.set_defaults(paths=[], all=None, registered=False)

    parser = _Parser(
        prog="resync",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"resync {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    for name, words in COMMANDS.items():
        # Options are made for the one command that was called: making all takes longer than a check.
        parents = [everywhere] if name == called else []
        command = commands.add_parser(
            name, help=words, description=words, parents=parents, allow_abbrev=False
        )
        if name == called:
            _add_options(command, name, everywhere)
    return parser


def _add_options(parser: argparse.ArgumentParser, command: str, everywhere: argparse.ArgumentParser) -> None:
    """The options of one command."""
    if command in ABOUT_UPSTREAM:
        _add_what(parser)
    if command in ("run", "plan"):
        _add_how(parser)
    if command == "check":
        parser.add_argument("--commit", metavar="REV", help="say of this commit whose it is, and why")
    if command in _YES:
        parser.add_argument("--yes", action="store_true", help=_YES[command])
    if command == "undo":
        parser.add_argument("run", nargs="?", metavar="RUN", help="which run; the last one by default")
        parser.add_argument(
            "--discard-newer",
            action="store_true",
            help="also where there are newer commits (they stay on a rescue branch)",
        )
    if command == "log":
        parser.add_argument(
            "run", nargs="?", metavar="RUN", help="one run in full; a line for each by default"
        )
    if command == "rescue":
        _add_rescue(parser, everywhere)
    if command == "forget":
        parser.add_argument("folder", metavar="PATH", help="where the checkout is, or was")
    if command == "demo":
        parser.add_argument(
            "folder", nargs="?", metavar="DIR", help="a new folder; a temporary one by default"
        )


def _how_many(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number above 0")
    return int(word)


def _add_what(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="PATH", help="the checkouts, if not the current folder's")
    several = parser.add_argument_group("several checkouts at once")
    several.add_argument("--all", metavar="DIR", help="every checkout below this folder")
    several.add_argument(
        "--registered", action="store_true", help="every one in which resync has run or planned before"
    )
    several.add_argument("--jobs", type=_how_many, metavar="N", help="how many to work on at once")
    parser.add_argument("--upstream", metavar="REMOTE/BRANCH", help="which branch is upstream")
    parser.add_argument("--onto", metavar="REV", help="go onto this commit and not to upstream's tip")
    parser.add_argument("--old-tip", metavar="REV", help="a commit that was once upstream's tip")
    parser.add_argument(
        "--commit-map",
        metavar="FILE",
        help="the map of old to new commits that git-filter-repo or the BFG left",
    )
    parser.add_argument(
        "--to",
        dest="aim",
        choices=TARGETS,
        help="go to the branch's tip (the default) or to the newest release tag on it",
    )
    parser.add_argument("--pre", action="store_true", help="of releases, also pre-releases")
    parser.add_argument(
        "--constraint", metavar="SPEC", help="of releases, only those within a specifier such as '>=1.1,<2'"
    )
    parser.add_argument("--no-fetch", action="store_true", help="work with what was fetched before")


def _add_how(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--advance",
        action=argparse.BooleanOptionalAction,
        help="also carry your work over when upstream only went on",
    )
    parser.add_argument(
        "--dirty",
        choices=DIRTY_POLICIES,
        help="uncommitted edits: restore (the default) puts back what merges; park also lets --yes park the"
        " rest; refuse stops at any",
    )
    parser.add_argument(
        "--expect", metavar="OID", help="refuse unless upstream is at this commit (7 digits or more)"
    )
    parser.add_argument(
        "--require-announcement",
        action=argparse.BooleanOptionalAction,
        help="refuse a rewrite whose old tip no announcing tag names",
    )
    parser.add_argument(
        "--include-untracked",
        action="store_true",
        help="save all untracked files as well, not only those in the way (they stay where they are)",
    )
    parser.add_argument(
        "--keep-dropped",
        action="store_true",
        help="reapply commits of yours that upstream had and left out of its new history",
    )
    parser.add_argument(
        "--change-id",
        choices=CHANGE_ID_POLICIES,
        help="Gerrit's Change-Ids of what is reapplied: keep (the default), or new ones, where the old"
        " changes are closed",
    )
    which = parser.add_argument_group("other branches that stood on the old upstream")
    which.add_argument(
        "--branch",
        dest="branches",
        action="append",
        metavar="GLOB",
        help="also move these (those inside the current branch's range move by themselves)",
    )
    which.add_argument("--all-branches", action="store_true", help="also move all of them")
    which.add_argument("--only-current", action="store_true", help="leave them out of it")
    which.add_argument(
        "--on-conflict",
        choices=CONFLICT_POLICIES,
        help="park (default): go on, and move a branch of --branch in part; stop: halt, for you to resolve",
    )
    parser.add_argument("--redo", action="store_true", help="move although an undo turned away from this tip")


def _add_rescue(parser: argparse.ArgumentParser, everywhere: argparse.ArgumentParser) -> None:
    parser.set_defaults(action="list")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", help="all rescue branches", parents=[everywhere])
    show = actions.add_parser("show", help="what one keeps", parents=[everywhere])
    show.add_argument("source", nargs="?", metavar="BRANCH", help="the newest by default")
    restore = actions.add_parser("restore", help="get one file out", parents=[everywhere])
    restore.add_argument("file", metavar="PATH", help="the file, from the top of the working tree")
    restore.add_argument("--to", metavar="DIR", help="write it below this folder, not in its own place")
    restore.add_argument("--from", dest="source", metavar="BRANCH", help="the newest by default")
    export = actions.add_parser(
        "export",
        help="write how conflicts were resolved to a file, for other checkouts",
        parents=[everywhere],
    )
    export.add_argument("file", metavar="FILE", help="a new file")
    export.add_argument("--from", dest="source", metavar="BRANCH", help="the newest by default")
    take_in = actions.add_parser("import", help="use what such a file holds", parents=[everywhere])
    take_in.add_argument("file", metavar="FILE", help="what rescue export wrote")
    drop = actions.add_parser("drop", help="remove one for good", parents=[everywhere])
    drop.add_argument("source", metavar="BRANCH", help="which one")
    drop.add_argument("--yes", action="store_true", help="do not ask")
