"""What is asked of a command, and who asks: the options as data."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

DirtyPolicy: TypeAlias = Literal["restore", "park", "refuse"]
ConflictPolicy: TypeAlias = Literal["park", "stop"]
ChangeIdPolicy: TypeAlias = Literal["keep", "new"]
Target: TypeAlias = Literal["tip", "release"]
LogFormat: TypeAlias = Literal["text", "json"]
Prompt: TypeAlias = Callable[[str, bool], str | None]
"""Asks a person a question, with a hidden answer or not; None where there is no answer."""
Progress: TypeAlias = Callable[[str], None]
"""Tells a person what is going on just now; they see the last of it, if anything."""

DIRTY_POLICIES: tuple[DirtyPolicy, ...] = ("restore", "park", "refuse")
CONFLICT_POLICIES: tuple[ConflictPolicy, ...] = ("park", "stop")
CHANGE_ID_POLICIES: tuple[ChangeIdPolicy, ...] = ("keep", "new")
TARGETS: tuple[Target, ...] = ("tip", "release")
LOG_FORMATS: tuple[LogFormat, ...] = ("text", "json")
"""What may be asked for, on the command line and in git's configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks of a run; every field as the option of that name.

    A policy that is None was not asked for: ``resync.policy`` settles it by git's configuration. ``shared``
    is no option but a folder for what remotes answer, where several checkouts are worked on at once.
    """

    upstream: str | None = None
    onto: str | None = None
    old_tip: str | None = None
    commit_map: str | None = None
    expect: str | None = None
    fetch: bool = True
    advance: bool | None = None
    dirty: DirtyPolicy | None = None
    unattended: bool = False
    redo: bool = False
    keep_dropped: bool = False
    include_untracked: bool = False
    require_announcement: bool | None = None
    branches: tuple[str, ...] = ()
    all_branches: bool = False
    only_current: bool = False
    on_conflict: ConflictPolicy | None = None
    change_id: ChangeIdPolicy | None = None
    to: Target | None = None
    pre: bool = False
    constraint: str | None = None
    shared: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who runs the command and when: the only knowledge of clock and environment below the command line.

    ``now`` is in seconds since 1970, ``zone`` in minutes east of UTC, ``run`` the id for a new run, and
    ``folder`` the directory in which the caller stands. ``prompt`` is how a user name or a password is asked
    for, None where nobody is there; ``progress`` is told what is going on, whether or not somebody looks.
    """

    now: int
    zone: int
    run: str
    folder: str
    prompt: Prompt | None = None
    progress: Progress = lambda message: None

    def signed(self, identity: bytes) -> bytes:
        """``identity`` (``Name <mail>``) with the time, as commits and reflogs have it."""
        sign = b"-" if self.zone < 0 else b"+"
        hours, minutes = divmod(abs(self.zone), 60)
        return b"%s %d %s%02d%02d" % (identity, self.now, sign, hours, minutes)


def run_id(stamp: str) -> str:
    """An id for a run: the time that it begins at, for people, and a number by chance."""
    return f"{stamp}-{os.urandom(2).hex()}"
