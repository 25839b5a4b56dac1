"""The hook that git runs when commits were made anew: ``post-rewrite`` (githooks(5)).

It is looked for where git would: in ``core.hooksPath`` (from the top of the working tree), else among the
hooks of the repository. Nothing that a repository contains becomes a hook unless that setting says so.
"""

from __future__ import annotations

import os

from resync.programs import ProgramFailed, Programs, because, quoted
from resync.repository import Repository

_NAME = "post-rewrite"
_MOST_PRINTED = 1 << 24


def post_rewrite(repository: Repository, programs: Programs, lines: bytes) -> str:
    """Run the hook, if there is one, with ``rebase`` as its argument and ``lines`` on its standard input.

    Returns a sentence where it fails or is none that can be run, else nothing: what was done is done.
    """
    path = _hook(repository)
    if not lines or not os.path.isfile(path):
        return ""
    if not os.access(path, os.X_OK):
        return f"The hook {path} is not executable, so it was not run (as by git)."
    try:
        ended = programs.pipe(quoted(os.fsencode(path)) + b" rebase", lines, _MOST_PRINTED)
    except ProgramFailed as failure:
        return _failed(str(failure))
    return _failed(f"failed with status {ended.status}{because(ended.said)}") if ended.status != 0 else ""


def _failed(how: str) -> str:
    return f"The hook {_NAME} {how}. What resync did stands."


def _hook(repository: Repository) -> str:
    folder = repository.config_text("core", "hooksPath")
    if folder:
        return os.path.join(repository.root, os.path.expanduser(folder), _NAME)
    return os.path.join(repository.common_dir, "hooks", _NAME)
