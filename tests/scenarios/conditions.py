"""What the clone is like when upstream acts, as scripts of git commands.

``commit NAME`` adds a file of that name, ``upstream REF = COMMIT`` moves a ref of upstream's meanwhile, and
``resync`` calls resync; every other line is a git command in the clone.
"""

from __future__ import annotations

from dataclasses import dataclass

_WORK = "commit mine-1\ncommit mine-2\n"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One state of a clone.

    ``clone`` are options of git clone; ``work`` is done before upstream acts, ``before`` and ``after`` are
    done around each stage, ``finally_`` at the end. ``tip`` is where ``work`` leaves upstream's branch.
    ``mine`` are the local commits, oldest first. ``ask`` are options of resync, ``pull`` of git pull
    --rebase, as somebody has to give them here. ``evidence`` decides when upstream was rewritten.
    """

    name: str
    clone: str = ""
    work: str = _WORK
    before: str = ""
    after: str = ""
    finally_: str = ""
    tip: str = "fix"
    mine: tuple[str, ...] = ("mine-1", "mine-2")
    ask: tuple[str, ...] = ()
    pull: tuple[str, ...] = ()
    remote: str = "origin"
    evidence: str = "tracking"


CONDITIONS = (
    Condition(name="fresh"),
    Condition(name="already fetched", finally_="fetch -q", evidence="reflog"),
    Condition(name="pruned in between", after="fetch -q --prune", evidence="reflog"),
    Condition(name="reflog expired", finally_="reflog expire --expire=all --all"),
    Condition(
        name="fetched and reflog expired",
        finally_="fetch -q\nreflog expire --expire=all --all",
        evidence="announcement-tag",
    ),
    Condition(name="100 commits stale", work=_WORK + "upstream main = late-100", tip="late-100"),
    Condition(name="--no-tags", clone="--no-tags"),
    Condition(name="depth 1", clone="--depth=1"),
    Condition(name="--single-branch", clone="--single-branch"),
    Condition(name="remote of another name", clone="--origin=vendor", remote="vendor"),
    Condition(
        name="origin is one's own fork",
        clone="--origin=upstream",
        work=_WORK + "clone -q --bare . ../fork.git\nremote add origin ../fork.git\nfetch -q origin",
        remote="upstream",
    ),
    Condition(
        name="tracks one's own fork",
        clone="--origin=upstream",
        work="clone -q --bare . ../fork.git\nremote add origin ../fork.git\nfetch -q origin\n"
        "branch -q --set-upstream-to=origin/main\n" + _WORK,
        pull=("upstream", "main"),
        remote="upstream",
    ),
    Condition(
        name="topic without upstream",
        work="checkout -q --no-track -b topic origin/main\n" + _WORK,
        ask=("--upstream", "origin/main"),
        pull=("origin", "main"),
    ),
    Condition(name="tracks a local branch", work="checkout -q -t -b topic\n" + _WORK),
    Condition(
        name="detached",
        work="checkout -q --detach\n" + _WORK,
        ask=("--upstream", "origin/main"),
        pull=("origin", "main"),
    ),
    Condition(
        name="upstream merged in",
        work="reset -q --hard HEAD~1\ncommit mine-1\nmerge -q -m merged origin/main\ncommit mine-2",
        mine=("mine-1", "merged", "mine-2"),
    ),
    Condition(
        name="upstream's other branch merged in",
        work="commit mine-1\nmerge -q -m 'merged next' origin/next\ncommit mine-2",
        mine=("mine-1", "merged next", "mine-2"),
    ),
    Condition(
        name="topic on the same server",
        work="checkout -q -t -b topic origin/main\n" + _WORK + "push -q origin topic",
    ),
    Condition(
        name="private archive tag",
        work=_WORK + "config resync.announcement archive/*\ntag archive/main-eol\ntag main-eol",
    ),
    Condition(
        name="reset to HEAD@{1}",
        work=_WORK + "reset -q --hard HEAD~1\nreset -q --hard HEAD@{1}",
    ),
    Condition(name="twin by Gerrit", work=_WORK + "upstream main = twin\nfetch -q", tip="twin"),
    Condition(name="checked before each", before="resync check", evidence="record"),
)

# Where upstream does something with what was sent, it was pushed before, from here.
SENT = "push -q {remote} HEAD:main"
