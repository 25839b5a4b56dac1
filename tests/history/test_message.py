"""Trailers as git reads them."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from resync.history import change_id, cherry_picked_from, trailers, with_change_id

from .graphs import git, open_objects

OID = b"0123456789abcdef0123456789abcdef01234567"
PIECES = (
    b"Signed-off-by: A <a@example.org>",
    b"Change-Id: I0123456789",
    b"(cherry picked from commit " + OID + b")",
    b"Key: value",
    b"Key :  value  ",
    b"Key:",
    b"Two words: x",
    b": x",
    b" folded",
    b"\tfolded: too",
    b"  ",
    b"",
    b"",
    b"",
    b"some text",
    b"more text, at length",
    b"# a comment",
    b"#",
    b"Conflicts:",
    b"\tsome/file",
    b"Conflicts:\n\ta\n\tb",
    b"---",
    b"carriage: return\r",
    b"\r",
    b"\x0b",
    b"caf\xc3\xa9: \xff",
    b"# ------------------------ >8 ------------------------",
)


def printed(message: bytes) -> bytes:
    """Our trailers as git prints them."""
    return b"".join(token + b": " + value + b"\n" for token, value in trailers(message))


def random_message(chance: random.Random) -> bytes:
    """Lines of all kinds; mostly a title first and a paragraph of trailers last, as messages have."""
    lines = [b"title", b""] if chance.random() < 0.9 else []
    lines += chance.choices(PIECES, k=chance.randrange(6))
    if chance.random() < 0.7:
        lines += [b"", *chance.choices(PIECES[:11] + PIECES[14:16], k=chance.randint(1, 6))]
    return b"\n".join(lines) + chance.choice((b"\n", b"", b"\n\n", b"\n \n"))


def test_random_messages_as_git(tmp_path: Path) -> None:
    chance = random.Random(7)
    seen: Counter[str] = Counter()
    for _ in range(600):
        message = random_message(chance)
        expected = git(tmp_path, "interpret-trailers", "--parse", "--no-divider", data=message)
        assert printed(message) == expected, message
        seen["trailers" if expected else "none"] += 1
        seen["folded"] += b"folded" in expected
        seen["mixed"] += b"text" in message.rstrip().rpartition(b"\n\n")[2] and bool(expected)
    assert min(seen.values()) > 20, seen


def test_every_commit_of_the_event_as_git(event: Path) -> None:
    log = git(event, "log", "--all", "-z", "--format=%H%n%(trailers:only,unfold)")
    records = log.split(b"\0")[:-1]
    with_change_id = picked = 0
    with open_objects(event) as objects:
        for record in records:
            oid, _, expected = record.partition(b"\n")
            message = objects.commit(oid).message
            assert printed(message) == expected.rstrip(b"\n") + b"\n" * bool(expected.strip()), oid
            with_change_id += change_id(message) is not None
            picked += bool(cherry_picked_from(message))
    assert len(records) == 3_975
    assert with_change_id > 1_000
    assert picked > 50


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"t\n\nChange-Id: I0123456789\n", b"I0123456789"),
        (b"t\n\nchange-id:I0123456789", b"I0123456789"),
        (b"t\n\nChange-Id: Iaaaaaaaaaa\nChange-Id: Ibbbbbbbbbb\n", b"Ibbbbbbbbbb"),
        (b"t\n\nChange-Id: I0123456789\n(cherry picked from commit " + OID + b")\n", b"I0123456789"),
        (b"t\n\nChange-Id: I0123456789\n\n(cherry picked from commit " + OID + b")\n", None),
        (b"t\n\nChange-Id: I0123456789\nbut this is prose\n", None),
        (b"t\n\nChange-Id: not one\n", None),
        (b"Change-Id: I0123456789\n", None),
        (b"t\n\nChange-Id: I0123456789\n\0Change-Id: I9999999999\n", b"I0123456789"),
        (b"", None),
    ],
)
def test_change_id(message: bytes, expected: bytes | None) -> None:
    assert change_id(message) == expected


def test_cherry_picked_from() -> None:
    line = b"(cherry picked from commit %s)\n"
    assert cherry_picked_from(b"t\n\n" + line % OID) == (OID,)
    both = b"t\n\nbody\n\n" + line % OID + b"Change-Id: I0123456789\n" + line % (b"f" * 64)
    assert cherry_picked_from(both) == (OID, b"f" * 64)
    assert cherry_picked_from(b"t\n\nprose\n" + line % OID) == (OID,)
    assert cherry_picked_from(b"t\n\n" + b"prose\n" * 4 + line % OID) == ()
    assert cherry_picked_from(b"t\n\n" + line % OID[:39]) == ()
    assert cherry_picked_from(b"t\n\n" + line % OID + b"\nan afterword\n") == ()
    assert cherry_picked_from(line % OID) == ()


def test_long_messages_take_no_longer_than_their_length() -> None:
    started = time.process_time()
    for filler in (b" x\n", b"Key: v\n", b"\n \n", b"#\n", b"Key: v\n f\n", b"a-b-", b"Key \t"):
        trailers(b"title\n\nKey: value\n" + filler * 100_000)
    assert time.process_time() - started < 20


# --- another Change-Id ---------------------------------------------------------------------------------

NEW = b"I" + b"9" * 40


def test_a_change_id_is_replaced_in_place() -> None:
    replaced = 0
    for seed in range(1000):
        message = random_message(random.Random(seed))
        before = change_id(message)
        after = with_change_id(message, NEW)
        assert (before is None) == (after is None), message
        if before is not None and after is not None:
            assert change_id(after) == NEW
            start = after.index(NEW)
            assert after == message[:start] + NEW + message[start + len(before) :]
            assert message[start : start + len(before)] == before
            replaced += 1
    assert replaced > 40


@pytest.mark.parametrize(
    "message",
    [
        b"Change-Id: I0123456789\n",
        b"Title\n\nChange-Id: I0123456789\n\nLast words, which are no trailers.\n",
        b"Title\n\nSee Change-Id: I0123456789\n",
        b"Title\n\nChange-Id:\n I0123456789\n",
    ],
)
def test_what_is_no_line_of_the_last_paragraph_stays(message: bytes) -> None:
    assert with_change_id(message, NEW) is None
