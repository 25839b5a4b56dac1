"""Which repository a folder is in, and whether there is one: what git looks for, opened by dulwich."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from resync.errors import Refused, UsageError
from resync.repository.numbers import repo_class
from resync.repository.trust import ceilings, leads_nowhere, refuse_reftable, upwards

if TYPE_CHECKING:
    from dulwich.repo import Repo


def discover(path: str, env: Mapping[str, str]) -> Repo:
    """The repository that ``path`` is in, or that ``GIT_DIR`` and its kin in ``env`` name.

    A ``.git`` that is that of no repository is refused, where git would go on to the folders above and take
    the repository around it. Raises ``Refused``: ``not-a-repository``, ``unsupported-repository``; and
    ``UsageError``: ``no-such-folder``, ``bad-config``.
    """
    from dulwich.errors import NotGitRepository
    from dulwich.repo import UnsupportedExtension, UnsupportedVersion

    if not os.path.isdir(path):
        raise UsageError(
            "no-such-folder",
            f"There is neither a folder nor a command {os.path.basename(path)!r}. Nothing was changed.",
            "resync --help",
        )
    refuse_reftable(path, env)
    try:
        if env.get("GIT_DIR"):
            repo = _open_git_dir(path, env)
        elif env.get("GIT_WORK_TREE") or env.get("GIT_INDEX_FILE"):
            found = repo_class().discover(path, ceiling_dirs=ceilings(env))
            found.close()
            repo = repo_class()(
                found.path,
                worktree=env.get("GIT_WORK_TREE"),
                index_file=env.get("GIT_INDEX_FILE"),
            )
        else:
            repo = repo_class().discover(path, ceiling_dirs=ceilings(env))
    except NotGitRepository:
        raise _no_repository(path, _nearest(path, env)) from None
    except ValueError as error:
        if (folder := _nearest(path, env)) is not None and leads_nowhere(folder):
            raise _no_repository(path, folder) from None
        raise UsageError(
            "bad-config",
            f"The configuration of the repository at {path} cannot be read ({error}). Nothing was changed.",
            "git config --list --show-origin",
        ) from None
    except (UnsupportedExtension, UnsupportedVersion) as error:
        raise Refused(
            "unsupported-repository",
            f"The repository at {path} uses a format that resync cannot read ({error}). Nothing was changed.",
        ) from None
    passed = None if env.get("GIT_DIR") else _nearest(path, env)
    if passed is not None and (_is_below(passed, repo.path) or leads_nowhere(passed)):
        repo.close()
        raise _no_repository(path, passed)
    return repo


def _nearest(path: str, env: Mapping[str, str]) -> str | None:
    """The nearest folder at or above ``path`` with a ``.git``, which may be that of no repository."""
    folders = upwards(os.path.abspath(path), env)
    return next((folder for folder in folders if os.path.lexists(os.path.join(folder, ".git"))), None)


def _is_below(folder: str, found: str) -> bool:
    return os.path.realpath(folder).startswith(os.path.join(os.path.realpath(found), ""))


def _no_repository(path: str, passed: str | None) -> Refused:
    if passed is None:
        return Refused(
            "not-a-repository",
            f"{path} is not in a git repository. Nothing was changed.",
            "go into your checkout, or name it with --repo PATH",
        )
    import shlex

    folder = shlex.quote(passed)
    if os.path.isfile(os.path.join(passed, ".git")):
        return Refused(
            "not-a-repository",
            f"{os.path.join(passed, '.git')} leads to no git repository. Nothing was changed.",
            f"if that was moved, there: git worktree repair {folder}; else clone it anew, and take over what"
            f" is in {folder}",
        )
    return Refused(
        "not-a-repository",
        f"{os.path.join(passed, '.git')} is not a git repository, or is damaged. Nothing was changed.",
        f"git -C {folder} fsck",
        f"clone it anew, and take over what is in {folder}",
    )


def _open_git_dir(path: str, env: Mapping[str, str]) -> Repo:
    """The repository that ``GIT_DIR`` names. Its working tree is what ``GIT_WORK_TREE`` says, else
    ``core.worktree``, else ``path``, as in git(1)."""

    def opened(worktree: str | None) -> Repo:
        return repo_class()(
            controldir=os.path.join(path, env["GIT_DIR"]),
            commondir=env.get("GIT_COMMON_DIR"),
            worktree=worktree,
            index_file=env.get("GIT_INDEX_FILE"),
        )

    if env.get("GIT_WORK_TREE"):
        return opened(os.path.join(path, env["GIT_WORK_TREE"]))
    repo = opened(None)
    config = repo.get_config()
    core = (b"core",)
    if config.has_section(core) and (b"worktree" in config[core] or config.get_boolean(core, b"bare", False)):
        return repo
    repo.close()
    return opened(path)
