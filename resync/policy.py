"""What is asked, completed by what git's configuration says: an option counts more than its setting.

The settings stand in section ``[resync]``. ``resync.deploy`` is a preset for checkouts in which nobody
develops: it stands for the values below, each of which its own setting (wherever that stands) and its option
override.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from resync.repository.config import boolean, one_of
from resync.request import (
    CHANGE_ID_POLICIES,
    CONFLICT_POLICIES,
    DIRTY_POLICIES,
    ChangeIdPolicy,
    ConflictPolicy,
    DirtyPolicy,
    Request,
)

if TYPE_CHECKING:
    from dulwich.config import StackedConfig

_RESYNC = (b"resync",)


def deploys(config: StackedConfig) -> bool:
    """Whether the checkout is a deployment (``resync.deploy``)."""
    return boolean(config, _RESYNC, "deploy", False)


def settled(config: StackedConfig, request: Request) -> Request:
    """The request with every policy decided: by its option, its setting, the preset, or the default.

    ``resync.deploy`` stands for ``resync.advance=true``, ``resync.onConflict=park`` and ``--only-current``.
    Raises ``UsageError("bad-config")`` for a value that is none. What is settled already stays.
    """
    deploy = deploys(config)
    advance, required = request.advance, request.require_announcement
    dirty = request.dirty or one_of(config, _RESYNC, "dirty", DIRTY_POLICIES, "restore")
    change_id = request.change_id or one_of(config, _RESYNC, "changeId", CHANGE_ID_POLICIES, "keep")
    on_conflict = request.on_conflict or one_of(
        config, _RESYNC, "onConflict", CONFLICT_POLICIES, "park" if deploy else None
    )
    return replace(
        request,
        advance=boolean(config, _RESYNC, "advance", deploy) if advance is None else advance,
        dirty=cast(DirtyPolicy, dirty),
        on_conflict=cast("ConflictPolicy | None", on_conflict),
        change_id=cast(ChangeIdPolicy, change_id),
        only_current=request.only_current or (deploy and not request.branches and not request.all_branches),
        require_announcement=(
            boolean(config, _RESYNC, "requireAnnouncement", False) if required is None else required
        ),
    )
