"""The user's own commands around the switch, ``resync.preSwitch`` and ``resync.postSwitch``; and git's hook.

Each of the two is a shell command of git's configuration, started at the top of the working tree with a JSON
object on its standard input: the plan, as ``resync plan --json`` prints it, or the outcome, as the command
itself does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from resync.checkout import programs_for
from resync.commands.session import Session
from resync.errors import ExitCode, Interrupted, Refused, ResyncError
from resync.model import Plan
from resync.programs import ProgramFailed, because
from resync.report import data
from resync.repository import Repository
from resync.repository.config import value_of

PRE, POST = "preSwitch", "postSwitch"


def switches(plan: Plan) -> bool:
    """Whether a plan changes what is checked out here: only then there is something to hook into. A person
    who is resolving conflicts is at the files anyway."""
    return not plan.resolves and bool(plan.switches)


def rewritten(session: Session, repository: Repository, done: Plan) -> None:
    """Let git's hook know of the commits that were made anew; one that fails is warned about."""
    from resync.git_hooks import post_rewrite
    from resync.rewrites import rewrite_lines, rewrites

    lines = rewrite_lines(rewrites(repository.objects, done))
    failure = post_rewrite(repository, programs_for(repository, session.settings(repository)), lines)
    if failure:
        session.console.warn(failure)


def before(session: Session, repository: Repository, plan: Plan) -> None:
    """Run ``resync.preSwitch``; raises ``Refused("pre-switch-failed")`` where it does not end with 0."""
    if not switches(plan):
        return
    failed = _run(session, repository, PRE, data.document("plan", ExitCode.DUE, plan=plan))
    if failed:
        raise Refused(
            "pre-switch-failed",
            f"The command of resync.{PRE} {failed}, so the run ends here. Nothing was changed.",
            f"git config --get-all resync.{PRE}    # shows the command that failed",
        )


def after(session: Session, repository: Repository, plan: Plan, outcome: Mapping[str, Any]) -> bool:
    """Run ``resync.postSwitch`` and say where it failed; returns whether all is well."""
    if not switches(plan):
        return True
    try:
        failed = _run(session, repository, POST, outcome)
    except KeyboardInterrupt:
        failed = "was interrupted"  # what the run came to stays true
    if failed:
        session.console.warn(f"The command of resync.{POST} {failed}.")
    return not failed


@contextmanager
def around(session: Session, repository: Repository, plan: Plan, command: str) -> Iterator[None]:
    """Before, and where what is inside fails also after it: what the first has stopped is started again.

    After a success it is for the caller to run the second, who knows what to tell; and where a run stopped
    half-way it is for ``continue`` or ``abort``: nothing is to be started on files that are half-switched.
    """
    before(session, repository, plan)
    try:
        yield
    except ResyncError as error:
        if error.kind != "interrupted-run":
            _failed(session, repository, plan, command, error)
        raise
    except KeyboardInterrupt:
        _failed(session, repository, plan, command, Interrupted("cancelled", "Nothing was changed."))
        raise
    except Exception as error:
        why = f"The run failed ({type(error).__name__}). Nothing was changed."
        _failed(session, repository, plan, command, Refused("failed", why))
        raise


def _failed(session: Session, repository: Repository, plan: Plan, command: str, error: ResyncError) -> None:
    outcome = data.document(
        command,
        ExitCode(error.exit_code),
        checkout=repository.root,
        branch=plan.head.name,
        error=error,
        run=plan.id,
    )
    after(session, repository, plan, outcome)


def _run(session: Session, repository: Repository, name: str, document: Mapping[str, Any]) -> str:
    """Run one of the commands, if there is one; how it failed, as the end of a sentence, or nothing."""
    command = value_of(repository.config, (b"resync",), name)
    if not command:
        return ""
    session.console.log(f"{repository.root}: running resync.{name}")
    programs = programs_for(repository, session.settings(repository))
    # A git status in it would write the index anew, and a plan whose index is another one by now is refused.
    programs = replace(programs, env={**programs.env, "GIT_OPTIONAL_LOCKS": "0"})
    try:
        ended = programs.run(command, json.dumps(document).encode() + b"\n")
    except ProgramFailed as failure:
        return str(failure)
    return f"ended with status {ended.status}{because(ended.said)}" if ended.status else ""
