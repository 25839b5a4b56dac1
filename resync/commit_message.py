"""The message that a person may edit before a commit: what is proposed, and what is left of it.

The rules are those of git-commit(1), ``--cleanup``, and git-stripspace(1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from resync.model import Commit, TreePath
from resync.repository import Repository

Cleanup: TypeAlias = Literal["strip", "whitespace", "verbatim", "scissors"]

_CLEANUPS: dict[str, Cleanup] = {
    "whitespace": "whitespace",
    "verbatim": "verbatim",
    "scissors": "scissors",
}

_SCISSORS = b" ------------------------ >8 ------------------------"
_SPACE = b" \t\n\v\f\r"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRules:
    """How an edited message is read: ``commit.cleanup``, and what begins a comment (``core.commentChar``)."""

    cleanup: Cleanup = "strip"
    comment: bytes = b"#"


def message_rules(repository: Repository) -> MessageRules:
    """The rules that git's configuration gives, where it gives any that are known."""
    cleanup = repository.config_text("commit", "cleanup")
    comment = repository.config_text("core", "commentchar")
    mark = (comment or "#").encode("utf-8", "surrogateescape")
    return MessageRules(
        cleanup=_CLEANUPS.get(cleanup or "", "strip"), comment=b"#" if mark == b"auto" else mark
    )


def proposed(commit: Commit, conflicts: Iterable[TreePath], rules: MessageRules) -> bytes:
    """What ``MERGE_MSG`` says where picking ``commit`` conflicts, as git has it: the message in UTF-8 and, as
    comments, the paths that conflict."""
    message = _in_utf8(commit)
    text = message if message.endswith(b"\n") or not message else message + b"\n"
    lines = [rules.comment + b" Conflicts:"]
    lines += [rules.comment + b"\t" + path for path in dict.fromkeys(conflicts)]
    if rules.cleanup == "scissors":
        lines.insert(0, rules.comment + _SCISSORS)
    return text + b"\n" + b"".join(line + b"\n" for line in lines)


def cleaned(text: bytes, rules: MessageRules) -> bytes:
    """What is left of an edited message; empty where nothing is."""
    if rules.cleanup == "verbatim":
        return text
    if rules.cleanup == "scissors":
        cut = re.search(rb"^" + re.escape(rules.comment + _SCISSORS) + rb"$", text, re.MULTILINE)
        text = text[: cut.start()] if cut is not None else text
    lines = [line.rstrip(_SPACE) for line in text.split(b"\n")]
    if rules.cleanup == "strip":
        lines = [line for line in lines if not line.startswith(rules.comment)]
    paragraphs = re.sub(rb"\n{3,}", b"\n\n", b"\n".join(lines)).strip(b"\n")
    return paragraphs + b"\n" if paragraphs else b""


def _in_utf8(commit: Commit) -> bytes:
    encoding = next(
        (
            line.partition(b" ")[2].decode("ascii", "replace")
            for line in commit.raw.partition(b"\n\n")[0].split(b"\n")
            if line.startswith(b"encoding ")
        ),
        None,
    )
    if encoding is None:
        return commit.message
    try:
        return commit.message.decode(encoding).encode()
    except (LookupError, UnicodeError):
        return commit.message
