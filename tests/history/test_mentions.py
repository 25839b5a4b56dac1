"""What messages say of a commit: the words for it, what goes before what, and bytes that mean harm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from resync.history import MentionIndex
from resync.model import Commit, Oid
from tests.history.commits import add_commit, add_files, new_objects
from tests.history.graphs import git, open_objects

CHANGE = b"I" + b"0123456789" * 4
OTHER_CHANGE = b"I" + b"9876543210" * 4
ABSENT = Oid(b"a" * 40)


class Messages:
    """Upstream as a list of messages, and what is said of a commit with another one."""

    def __init__(self, *upstream: bytes) -> None:
        self._objects = new_objects()
        self._tree = add_files(self._objects, {"f": b""})
        self.upstream = [self.add(message) for message in upstream]
        self.index = MentionIndex(self._objects, self.upstream)

    def add(self, message: bytes) -> Oid:
        return add_commit(self._objects, self._tree, message=message)

    def said_of(self, oid: Oid) -> str:
        return self.index.said_of(self._objects.commit(oid))


def picked(oid: Oid) -> bytes:
    return b"a pick\n\n(cherry picked from commit %s)\n" % oid


def changed(change: bytes, subject: bytes = b"a change") -> bytes:
    return b"%s\n\nChange-Id: %s\n" % (subject, change)


def test_the_same_change_id() -> None:
    messages = Messages(b"other\n", changed(OTHER_CHANGE), changed(CHANGE))
    expected = f"upstream has a commit of the same Change-Id, {messages.upstream[2][:10].decode()}"
    assert messages.said_of(messages.add(changed(CHANGE, b"mine"))) == expected
    assert messages.said_of(messages.add(b"mine\n\nCHANGE-ID: %s\n" % CHANGE)) == expected


def test_upstream_picked_it() -> None:
    mine = Messages().add(changed(CHANGE, b"mine"))
    messages = Messages(changed(CHANGE), picked(mine), picked(mine) + b"Signed-off-by: A <a@b>\n")
    expected = f"upstream cherry-picked it as {messages.upstream[1][:10].decode()}"
    assert messages.said_of(messages.add(changed(CHANGE, b"mine"))) == expected


def test_it_was_picked_from_upstream() -> None:
    messages = Messages(b"original\n")
    original = messages.upstream[0]
    expected = f"it was cherry-picked from upstream's {original[:10].decode()}"
    assert messages.said_of(messages.add(picked(original))) == expected


def test_both_were_picked_from_a_third() -> None:
    messages = Messages(picked(ABSENT))
    expected = f"upstream cherry-picked the same commit as {messages.upstream[0][:10].decode()}"
    assert messages.said_of(messages.add(picked(ABSENT) + b"Signed-off-by: A <a@b>\n")) == expected


def test_of_several_the_first_is_named() -> None:
    messages = Messages(changed(CHANGE, b"one"), changed(CHANGE, b"two"))
    assert messages.upstream[0][:10].decode() in messages.said_of(messages.add(changed(CHANGE)))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0" + changed(CHANGE),
        changed(CHANGE).replace(b"\n\n", b"\n"),
        changed(CHANGE) + b"\nan afterword\n",
        b"title\n\nprose\nand more\nand more\nand more\nChange-Id: " + CHANGE + b"\n",
        b"title\n\nChange-Id: I\n",
        b"title\n\nChange-Id: \xff\xfe" + CHANGE + b"\n",
        b"title\n\nChange-Id: " + CHANGE + b"x\n",
        b"title\n\n(cherry picked from commit " + ABSENT[:39] + b")\n",
        b"title\n\n(cherry picked from commit " + ABSENT + b"0)\n",
        b"title\n\n(cherry picked from commit " + ABSENT.upper() + b")\n",
        b"title\n\n(cherry picked from commit ../../refs/heads/x)\n",
        b"title\n\n" + b"Change-Id: x\n" * 20_000,
        b"(cherry picked from commit " * 20_000,
    ],
)
def test_messages_that_name_nothing(message: bytes) -> None:
    """On both sides, neither of the commits that they seem to name nor of any other."""
    messages = Messages(changed(CHANGE), picked(ABSENT))
    assert messages.said_of(messages.add(message)) == ""
    messages = Messages(message)
    for one in (changed(CHANGE), picked(ABSENT), message):
        assert messages.said_of(messages.add(b"mine: " + one)) == ""


def test_upstream_is_read_once_and_only_when_it_matters() -> None:
    read: list[Oid] = []

    class Counting:
        def commit(self, oid: Oid) -> Commit:
            read.append(oid)
            return Commit(oid=oid, tree=oid, parents=(), author=b"", committer=b"", message=b"", raw=b"")

    def upstream() -> Iterable[Oid]:
        return [Oid(b"%040x" % number) for number in range(10)]

    index = MentionIndex(Counting(), upstream())
    assert read == []
    plain = Counting().commit(ABSENT)
    for _ in range(3):
        assert index.said_of(plain) == ""
    assert sorted(read[1:]) == sorted(upstream())


def test_the_event(event: Path) -> None:
    """What is said of the 145 commits that left, with git's own reading of the trailers beside it.

    127 live on under the same Change-Id. Most of these ids are no trailers in the data, where the lines
    beside them lost their colons with their words; git, which has the same rule, finds as many as we do.
    """
    left, arrived = "refs/resync/new..refs/resync/old", "refs/resync/old..refs/resync/new"
    old, new = (change_ids_by_git(event, span) for span in (left, arrived))
    shared = {oid for oid, change in old.items() if change and change in new.values()}
    assert (len(old), len(new), len(shared)) == (145, 1001, 32)
    with open_objects(event) as objects:
        index = MentionIndex(objects, new)
        said = {oid: index.said_of(objects.commit(oid)) for oid in old}
    kinds = Counter(words.rpartition(" ")[0] for words in said.values())
    assert kinds == {
        "it was cherry-picked from upstream's": 118,
        "upstream has a commit of the same Change-Id,": 3,
        "": 24,
    }
    assert {oid for oid, words in said.items() if words} >= shared


def change_ids_by_git(event: Path, span: str) -> dict[Oid, bytes]:
    """Each commit's Change-Id by git's reading, empty where it finds none."""
    form = "--format=%H %(trailers:key=Change-Id,valueonly,separator=%x20)"
    lines = git(event, "log", "--no-merges", form, span).splitlines()
    return {
        Oid(oid): values.rpartition(b" ")[2] for oid, _, values in (line.partition(b" ") for line in lines)
    }
