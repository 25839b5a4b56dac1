"""Carrying uncommitted edits over: staged stays staged, unstaged unstaged, and what conflicts is parked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resync.carry import Carried, carry
from resync.merge import MergeOptions
from resync.model import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, Oid, PathState, TreeEntry, TreePath
from resync.repository.objects import Objects
from tests.conftest import World, needs_git
from tests.history.commits import add_files, new_objects

LINES = tuple(f"line {number}\n" for number in range(30))
OLD = "".join(LINES)


def rewritten(world: World) -> None:
    """A clone at an old tip, and an upstream whose new tip has another first line in ``f``."""
    other = world.base / "other"
    world.git("clone", "-q", str(world.upstream), str(other), at=world.base)
    world.commit("base", {"f": OLD}, at=other)
    world.commit("old", {"g": "old\n"}, at=other)
    world.git("push", "-q", "origin", "HEAD:main", at=other)
    world.git("clone", "-q", "-b", "main", str(world.upstream), str(world.clone), at=world.base)
    world.git("reset", "-q", "--hard", "HEAD~", at=other)
    world.commit("new", {"f": OLD.replace("line 0\n", "LINE 0\n")}, at=other)
    world.git("push", "-q", "-f", "origin", "HEAD:main", at=other)


@needs_git
def test_a_staged_edit_with_another_on_top_is_in_the_object_store(world: World) -> None:
    """The merged staged file is on no disk and in no commit: the index alone names it."""
    rewritten(world)
    world.write("f", OLD.replace("line 15\n", "staged\n"))
    world.git("add", "f")
    world.write("f", OLD.replace("line 15\n", "staged\n").replace("line 29\n", "unstaged\n"))
    done = world.resync("run", "--yes")
    assert done.code == 0, done.err
    assert world.git("fsck", "--strict") == ""
    expected = OLD.replace("line 0\n", "LINE 0\n").replace("line 15\n", "staged\n")
    assert world.git("show", ":f") + "\n" == expected
    assert world.git("status", "--porcelain") == "MM f"


@needs_git
@pytest.mark.parametrize("new", ["announced", "announced/below"], ids=["in its place", "a folder there"])
@pytest.mark.parametrize("on_disk", [True, False], ids=["with its file", "its file is gone"])
def test_a_file_that_was_only_announced_and_gives_way(world: World, new: str, on_disk: bool) -> None:
    """``git add -N``: the entry goes where its file goes, and undo brings both back."""
    rewritten(world)
    world.commit("newer", {new: "theirs\n"}, at=world.base / "other")
    world.git("push", "-q", "origin", "HEAD:main", at=world.base / "other")
    file = world.write("announced", "mine\n")
    world.git("add", "-N", "announced")
    if not on_disk:
        file.unlink()
    before = world.state()["index"], world.git("status", "--porcelain=v2")
    done = world.resync("run", "--yes", "--dirty", "park")
    assert done.code in (0, 3), done
    assert world.git("ls-files") == f"{new}\nf"
    assert world.git("status", "--porcelain") == ""
    assert world.resync("undo", "--yes").code == 0
    assert (world.state()["index"], world.git("status", "--porcelain=v2")) == before
    assert file.exists() == on_disk
    assert not on_disk or file.read_text() == "mine\n"


# --- in memory ---------------------------------------------------------------------------------------

Files = Mapping[str, bytes | None]
"""The bytes of each file by its path; None: no file."""


@dataclass
class Checkout:
    """What is committed, staged and on disk, and where upstream is."""

    head: Files
    staged: Files
    disk: Files
    new: Files

    def carry(self) -> tuple[Objects, Carried]:
        objects = new_objects()
        paths = sorted({*self.head, *self.staged, *self.disk})
        changes = tuple(
            PathState(
                path=TreePath(path.encode()),
                head=entry(objects, self.head.get(path)),
                index=entry(objects, self.staged.get(path)),
                worktree=entry(objects, self.disk.get(path)),
                raw=None,
            )
            for path in paths
            if not self.head.get(path) == self.staged.get(path) == self.disk.get(path)
        )
        return objects, carry(
            objects, tree(objects, self.head), tree(objects, self.new), changes, MergeOptions()
        )


def entry(objects: Objects, data: bytes | None) -> TreeEntry | None:
    return TreeEntry(MODE_FILE, objects.add_blob(data)) if data is not None else None


def tree(objects: Objects, files: Files) -> Oid:
    return add_files(objects, {path: data for path, data in files.items() if data is not None})


def text(**changes: str) -> bytes:
    """The lines, with line N put in place by ``lN="..."``."""
    return "".join(changes.get(f"l{number}", line) for number, line in enumerate(LINES)).encode()


def assert_trees(objects: Objects, carried: Carried, index: Files, worktree: Files) -> None:
    assert carried.new_index == tree(objects, index)
    assert carried.new_worktree == tree(objects, worktree)


def test_both_kinds_of_edit_in_one_file_are_merged_each_in_its_place() -> None:
    checkout = Checkout(
        head={"f": text()},
        staged={"f": text(l5="staged\n")},
        disk={"f": text(l5="staged\n", l25="unstaged\n")},
        new={"f": text(l15="upstream\n"), "g": b""},
    )
    objects, carried = checkout.carry()
    index = text(l5="staged\n", l15="upstream\n")
    assert_trees(
        objects,
        carried,
        {"f": index, "g": b""},
        {"f": text(l5="staged\n", l15="upstream\n", l25="unstaged\n"), "g": b""},
    )
    assert not carried.parked_staged
    assert not carried.parked_unstaged


def test_an_unstaged_conflict_parks_only_the_unstaged_edit() -> None:
    checkout = Checkout(
        head={"f": text()},
        staged={"f": text(l5="staged\n")},
        disk={"f": text(l5="staged\n", l15="mine\n")},
        new={"f": text(l15="upstream\n")},
    )
    objects, carried = checkout.carry()
    merged = text(l5="staged\n", l15="upstream\n")
    assert_trees(objects, carried, {"f": merged}, {"f": merged})
    assert (carried.parked_staged, carried.parked_unstaged) == (frozenset(), {b"f"})


def test_a_staged_conflict_parks_what_was_built_on_it() -> None:
    checkout = Checkout(
        head={"f": text(), "g": b"1\n"},
        staged={"f": text(l15="staged\n"), "g": b"1\n"},
        disk={"f": text(l15="staged\n", l25="unstaged\n"), "g": b"2\n"},
        new={"f": text(l15="upstream\n"), "g": b"1\n"},
    )
    objects, carried = checkout.carry()
    new = text(l15="upstream\n")
    assert_trees(objects, carried, {"f": new, "g": b"1\n"}, {"f": new, "g": b"2\n"})
    assert (carried.parked_staged, carried.parked_unstaged) == ({b"f"}, {b"f"})


@pytest.mark.parametrize("where", ["staged", "unstaged"])
def test_one_conflict_does_not_keep_others_behind(where: str) -> None:
    edits: Files = {"a": text(l5="mine\n"), "b": text(l15="mine\n"), "c": None, "d": b"new\n"}
    head: Files = {name: text() for name in "abc"}
    checkout = Checkout(
        head=head,
        staged=edits if where == "staged" else head,
        disk=edits,
        new={"a": text(l25="up\n"), "b": text(l15="up\n"), "c": text()},
    )
    objects, carried = checkout.carry()
    parked = carried.parked_staged if where == "staged" else carried.parked_unstaged
    assert parked == {b"b"}
    expected: Files = {"a": text(l5="mine\n", l25="up\n"), "b": text(l15="up\n"), "d": b"new\n"}
    assert carried.new_worktree == tree(objects, expected)


@pytest.mark.parametrize(
    ("head", "mine", "new"),
    [
        (text(), None, text(l1="up\n")),
        (text(), text(l1="mine\n"), None),
        (None, b"mine\n", b"theirs\n"),
        (b"\0one", b"\0mine", b"\0theirs"),
    ],
    ids=["deleted here", "deleted upstream", "added on both sides", "binary"],
)
@pytest.mark.parametrize("where", ["staged", "unstaged"])
def test_what_cannot_be_merged_is_parked_and_upstream_stands(
    head: bytes | None, mine: bytes | None, new: bytes | None, where: str
) -> None:
    checkout = Checkout(
        head={"f": head, "g": b""},
        staged={"f": mine if where == "staged" else head, "g": b""},
        disk={"f": mine, "g": b""},
        new={"f": new, "g": b""},
    )
    objects, carried = checkout.carry()
    assert_trees(objects, carried, {"f": new, "g": b""}, {"f": new, "g": b""})
    assert (carried.parked_staged if where == "staged" else carried.parked_unstaged) == {b"f"}


def test_an_edit_that_upstream_made_too_leaves_nothing() -> None:
    edit = text(l5="the same\n")
    checkout = Checkout(head={"f": text()}, staged={"f": edit}, disk={"f": edit}, new={"f": edit})
    objects, carried = checkout.carry()
    assert_trees(objects, carried, {"f": edit}, {"f": edit})
    assert not carried.parked_staged


def test_an_edit_follows_a_file_that_upstream_renamed() -> None:
    checkout = Checkout(
        head={"f": text()},
        staged={"f": text()},
        disk={"f": text(l5="mine\n")},
        new={"moved": text(l25="up\n")},
    )
    objects, carried = checkout.carry()
    assert_trees(objects, carried, {"moved": text(l25="up\n")}, {"moved": text(l5="mine\n", l25="up\n")})
    assert not carried.parked_unstaged


def test_a_submodule_on_another_commit_is_left_so() -> None:
    objects = new_objects()
    one, two = (TreeEntry(MODE_GITLINK, Oid(digit * 40)) for digit in (b"1", b"2"))
    head = add_files(objects, {"sub": one, "f": b"1"})
    new = add_files(objects, {"sub": one, "f": b"2"})
    change = PathState(path=TreePath(b"sub"), head=one, index=one, worktree=two, raw=None)
    carried = carry(objects, head, new, [change], MergeOptions())
    assert (carried.new_index, carried.new_worktree) == (new, new)
    assert not carried.parked_unstaged


def test_a_mode_alone_is_an_edit() -> None:
    objects = new_objects()
    old = TreeEntry(MODE_FILE, objects.add_blob(text()))
    mine = old._replace(mode=MODE_EXECUTABLE)
    head, new = add_files(objects, {"f": old}), add_files(objects, {"f": text(l5="up\n")})
    change = PathState(path=TreePath(b"f"), head=old, index=old, worktree=mine, raw=None)
    carried = carry(objects, head, new, [change], MergeOptions())
    made = objects.entry(carried.new_worktree, TreePath(b"f"))
    assert made == TreeEntry(MODE_EXECUTABLE, objects.add_blob(text(l5="up\n")))
    assert carried.new_index == new


SOME_FILES = st.dictionaries(
    st.sampled_from(["a", "b", "d/c", "d/e"]),
    st.none()
    | st.dictionaries(
        st.sampled_from(["l2", "l9", "l16", "l23"]), st.sampled_from(["x\n", "y\n", ""]), max_size=2
    ).map(lambda changes: text(**changes)),
    max_size=4,
)


@settings(deadline=None, max_examples=150)
@given(head=SOME_FILES, staged=SOME_FILES, disk=SOME_FILES, new=SOME_FILES)
def test_laws(head: Files, staged: Files, disk: Files, new: Files) -> None:
    """No edits: the new tree. No change upstream: every edit. And what is not parked is all merged."""
    assert Checkout(head, head, head, new).carry()[1].new_worktree == tree(new_objects(), new)
    objects, same = Checkout(head, staged, disk, head).carry()
    assert_trees(objects, same, staged, disk)
    assert not same.parked_staged | same.parked_unstaged
    objects, carried = Checkout(head, staged, disk, new).carry()
    edited = {path.encode() for path in {*head, *staged, *disk} if head.get(path) != disk.get(path)}
    edited |= {path.encode() for path in {*head, *staged} if head.get(path) != staged.get(path)}
    assert carried.parked_staged | carried.parked_unstaged <= edited
    assert b"<<<<<<<" not in b"".join(contents(objects, carried.new_worktree))
    for path in {*head, *staged, *disk, *new}:
        if path.encode() not in edited:
            found = objects.entry(carried.new_worktree, TreePath(path.encode()))
            if new.get(path) == head.get(path):
                assert found == entry(objects, new.get(path))


def contents(objects: Objects, at: Oid) -> list[bytes]:
    found = []
    for each in objects.tree(at).values():
        found += contents(objects, each.oid) if each.mode == 0o040000 else [objects.blob(each.oid)]
    return found
