"""Replaying commits in memory: the same trees as git's cherry-pick, and every byte of a commit kept."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from resync.history import History
from resync.merge import Driven, Driver, DriverCall, DriverFailed, MergeAttributes, MergeOptions
from resync.merge.options import GIT_DEFAULTS
from resync.merge.recordings import Recording, Recordings
from resync.merge.rerere import normalise
from resync.model import MODE_EXECUTABLE, Oid, TreeEntry, TreePath
from resync.replay import PickOptions, Replay, Series, replay, rewritten
from resync.repository.objects import Objects
from resync.signing import is_signed
from tests.conftest import needs_git
from tests.history.commits import Files, add_commit, add_files, new_objects

COMMITTER = b"C O Mitter <c@example.com> 1461092552 +0200"
LINES = [b"line %d\n" % number for number in range(12)]


def text(changes: Mapping[int, bytes | None] | None = None) -> bytes:
    """Twelve lines, some of them changed or (None) left out."""
    given = changes or {}
    return b"".join(line for line in (given.get(i, line) for i, line in enumerate(LINES)) if line is not None)


def history(objects: Objects) -> History:
    return History(objects, shallow=frozenset(), grafts={})


def play(
    objects: Objects,
    tip: Oid,
    onto: Oid,
    old: Sequence[Oid] = (),
    options: MergeOptions = GIT_DEFAULTS,
    *,
    committer: bytes = COMMITTER,
    renew: bool = False,
) -> Replay:
    """Replay whatever ``tip`` has and neither ``onto`` nor the old tips have."""
    graph = history(objects)
    mine = graph.topological(graph.reachable([tip], (onto, *old)))
    (done,) = replay(
        objects,
        graph,
        [Series(tip=tip, commits=mine, upstream=graph.reachable([onto], [tip]))],
        PickOptions(merging=options, committer=committer),
        onto=onto,
        renew=renew,
    )
    return done


def verdicts(done: Replay) -> list[str]:
    return [each.verdict for each in done.commits]


def commit(objects: Objects, files: Files, *parents: Oid, message: bytes = b"a commit\n") -> Oid:
    return add_commit(objects, add_files(objects, files), *parents, message=message)


# --- the same as git ---------------------------------------------------------------------------------


def random_step(chance: random.Random, files: dict[str, bytes]) -> dict[str, bytes]:
    """One random edit, of a few lines or of whole files."""
    files = dict(files)
    name = chance.choice(sorted(files)) if files else "a"
    lines = files.get(name, b"").splitlines(keepends=True)
    kind = chance.random()
    if kind < 0.7 and lines:
        at = chance.randrange(len(lines))
        with_what = [[], [b"%d\n" % chance.randrange(4)], [lines[at], b"more %d\n" % chance.randrange(4)]]
        files[name] = b"".join([*lines[:at], *chance.choice(with_what), *lines[at + 1 :]])
    elif kind < 0.85:
        files[chance.choice(["d/new", "other", "a"])] = text({chance.randrange(12): b"new\n"})
    elif len(files) > 1:
        del files[name]
    return files


def random_line(chance: random.Random, objects: Objects, base: Oid, files: dict[str, bytes], n: int) -> Oid:
    for number in range(n):
        files = random_step(chance, files)
        base = commit(objects, files, base, message=b"commit %d\n" % number)
    return base


class Git:
    """git in a repository of its own."""

    def __init__(self, at: Path) -> None:
        self._at = at
        self("init", "-q")

    def __call__(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(["git", *arguments], cwd=self._at, capture_output=True, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.decode().strip() if done.returncode == 0 else "failed"


def picked(git: Git, onto: str, commits: Sequence[str]) -> tuple[str, set[str]]:
    """The tree and the commits applied when git picks each commit in turn and skips what conflicts."""
    git("checkout", "-q", "--detach", "-f", onto)
    applied = set()
    for oid in commits:
        if git("cherry-pick", "--allow-empty", oid, check=False) == "failed":
            git("reset", "-q", "--hard")
            git("clean", "-qfd")
        else:
            applied.add(oid)
    return git("rev-parse", "HEAD^{tree}"), applied


@needs_git
@pytest.mark.parametrize("seed", range(20))
def test_random_histories_as_git_picks_them(tmp_path: Path, seed: int) -> None:
    from dulwich.repo import Repo

    git = Git(tmp_path)
    chance = random.Random(seed)
    with Repo(str(tmp_path)) as repo:
        objects = Objects(repo.object_store)
        files = {"a": text(), "b/c": text(), "d/e": text({0: None})}
        base = commit(objects, files)
        onto = random_line(chance, objects, base, files, chance.randint(1, 4))
        tip = random_line(chance, objects, base, files, chance.randint(1, 6))
        done = play(objects, tip, onto)
        store(repo, objects, (onto, tip, done.tip))
        ours = objects.commit(done.tip).tree.decode()
    # A patch that upstream has is not picked again, whatever became of its effect there.
    equal = {line[2:] for line in git("cherry", onto.decode(), tip.decode()).splitlines() if line[0] == "-"}
    assert {each.oid.decode() for each in done.commits if each.verdict == "already-upstream"} == equal
    rest = [each.oid.decode() for each in done.commits if each.verdict != "already-upstream"]
    tree, applied = picked(git, onto.decode(), rest)
    assert {each.oid.decode() for each in done.commits if each.verdict == "reapplied"} == applied
    assert ours == tree
    assert git("fsck", "--strict", "--no-dangling", done.tip.decode()) == ""


def store(repo: object, objects: Objects, tips: Sequence[Oid]) -> None:
    """Write what the tips reach as loose objects."""
    from dulwich.objects import ShaFile
    from dulwich.repo import Repo

    assert isinstance(repo, Repo)
    for oid in objects.new_from(tips):
        repo.object_store.add_object(ShaFile.from_raw_string(*objects.raw(oid)))


# --- the bytes of a commit ---------------------------------------------------------------------------

TREE, PARENT, OTHER = Oid(b"1" * 40), Oid(b"2" * 40), Oid(b"3" * 40)
SIGNATURE = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ\n -----END PGP SIGNATURE-----\n"
MERGETAG = (
    b"mergetag object %s\n type commit\n tag v1\n tagger A <a@b> 1 +0000\n \n A tag\n -----BEGIN PGP\n"
    % OTHER
)


@pytest.mark.parametrize(
    "author",
    [
        b"A <a@b> 1461092552 +051800",
        b"A <a@b> 1461092552 -0000",
        b"A <a@b> 0001461092 +0000",
        b"A <a@b> 1461092552 +9999",
        b"A <a@b> -1 +0000",
        b"  <> 18446744073709551615 -0730",
        b"Gr\xfc\xdfe <\xff@b> 1 +0100",
        b"no time at all",
    ],
)
@pytest.mark.parametrize(
    "extra",
    [
        b"",
        b"encoding ISO-8859-1\n",
        b"x-y z\n  and\n \n more\nencoding latin1\n",
        MERGETAG,
        b"HG:rename a:b\n",
    ],
    ids=["none", "encoding", "before encoding", "mergetag", "hg"],
)
def test_every_other_byte_of_a_commit_is_kept(author: bytes, extra: bytes) -> None:
    objects = new_objects()
    tree = add_files(objects, {"f": b"1"})
    head, message = b"tree %s\n" % tree, b"\n\n  Subject \xff\n\nbody without end"
    raw = head + b"author " + author + b"\ncommitter X <x@y> 2 -0000\n" + extra + message
    old = objects.commit(objects.add_commit(raw))
    made = rewritten(old, tree=TREE, parents=(PARENT, OTHER), committer=COMMITTER)
    assert made == (
        b"tree %s\nparent %s\nparent %s\n" % (TREE, PARENT, OTHER)
        + b"author "
        + author
        + b"\ncommitter "
        + COMMITTER
        + b"\n"
        + extra
        + message
    )


@pytest.mark.parametrize("name", [b"gpgsig", b"gpgsig-sha256"])
@pytest.mark.parametrize("after", [b"", b"x y\n"])
def test_a_signature_goes(name: bytes, after: bytes) -> None:
    objects = new_objects()
    base = commit(objects, {"f": b"1"})
    onto = commit(objects, {"f": b"1", "g": b""}, base)
    tree = add_files(objects, {"f": b"2"})
    lines = b"tree %s\nparent %s\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n" % (tree, base)
    tip = objects.add_commit(lines + SIGNATURE.replace(b"gpgsig", name) + after + b"\nSigned\n")
    done = play(objects, tip, onto)
    raw = objects.commit(done.tip).raw
    assert b"PGP" not in raw
    assert raw.endswith(b"committer " + COMMITTER + b"\n" + after + b"\nSigned\n")
    assert (is_signed(objects.commit(tip).raw), is_signed(raw)) == (True, False)


def test_a_message_that_looks_like_headers_is_a_message() -> None:
    objects = new_objects()
    base = commit(objects, {"f": b"1"})
    onto = commit(objects, {"f": b"1", "g": b""}, base)
    message = b"tree of life\n\nparent %s\ngpgsig x\n y\n" % OTHER
    tip = commit(objects, {"f": b"2"}, base, message=message)
    done = play(objects, tip, onto)
    assert objects.commit(done.tip).message == message
    assert done.commits[0].reason == ""


# --- Gerrit ------------------------------------------------------------------------------------------


def _changes(objects: Objects) -> tuple[Oid, Oid]:
    """A series of three, one of which has no Change-Id, and the new base."""
    base = commit(objects, {"f": b"1"})
    onto = commit(objects, {"f": b"1", "g": b""}, base)
    trailer = b"\n\nChange-Id: I%s\nSigned-off-by: A <a@b>\n"
    one = commit(objects, {"f": b"2"}, base, message=b"one" + trailer % (b"1" * 40))
    two = commit(objects, {"f": b"3"}, one, message=b"two\n")
    return commit(objects, {"f": b"4"}, two, message=b"three" + trailer % (b"3" * 40)), onto


def test_change_ids_are_kept_unless_new_ones_are_asked_for() -> None:
    objects = new_objects()
    tip, onto = _changes(objects)
    kept = play(objects, tip, onto)
    assert [(each.change_id, each.new_change_id) for each in kept.commits] == [
        (b"I" + b"1" * 40, None),
        (None, None),
        (b"I" + b"3" * 40, None),
    ]
    assert objects.commit(kept.tip).message == objects.commit(tip).message


def test_a_new_change_id_is_the_same_whenever_it_is_made() -> None:
    objects = new_objects()
    tip, onto = _changes(objects)
    done = play(objects, tip, onto, renew=True)
    later = play(objects, tip, onto, renew=True, committer=COMMITTER.replace(b"1461092552", b"1461099999"))
    assert done.tip != later.tip
    made = [each.new_change_id for each in done.commits]
    assert made == [each.new_change_id for each in later.commits]
    assert made[1] is None
    assert made[0] != made[2]
    for each in done.commits:
        assert each.new_oid is not None
        message = objects.commit(each.oid).message
        if each.new_change_id is not None:
            assert re.fullmatch(rb"I[0-9a-f]{40}", each.new_change_id)
            assert each.change_id is not None
            message = message.replace(each.change_id, each.new_change_id)
        assert objects.commit(each.new_oid).message == message


# --- commits of every kind ---------------------------------------------------------------------------


def test_a_commit_that_was_empty_stays_and_one_that_becomes_empty_goes() -> None:
    objects = new_objects()
    base = commit(objects, {"f": text()})
    onto = commit(objects, {"f": text({1: b"one\n", 6: b"six\n"})}, base)
    empty = commit(objects, {"f": text()}, base, message=b"empty\n")
    tip = commit(objects, {"f": text({1: b"one\n"})}, empty)
    done = play(objects, tip, onto)
    assert verdicts(done) == ["reapplied", "became-empty"]
    assert objects.commit(done.tip).message == b"empty\n"
    assert objects.commit(done.tip).parents == (onto,)


def test_a_patch_that_upstream_has_is_skipped_and_named() -> None:
    objects = new_objects()
    base = commit(objects, {"f": text()})
    twin = commit(
        objects, {"f": text({1: b"one\n"}), "g": b""}, commit(objects, {"f": text(), "g": b""}, base)
    )
    onto = commit(objects, {"f": text({8: b"eight\n"}), "g": b""}, twin)
    tip = commit(objects, {"f": text({1: b"one\n"})}, base)
    done = play(objects, tip, onto)
    assert verdicts(done) == ["already-upstream"]
    assert twin[:10].decode() in done.commits[0].reason
    assert "no longer there" in done.commits[0].reason
    assert done.tip == onto


CHANGE = b"a change\n\nChange-Id: I0123456789\n"


def test_a_change_id_that_upstream_has_is_said_and_decides_nothing() -> None:
    """The commits are tried as any other: reapplied, parked or empty by what is in them."""
    objects = new_objects()
    base = commit(objects, {"f": text()})
    upstream = commit(objects, {"f": text({1: b"theirs\n", 4: b"four\n"})}, base, message=CHANGE)
    reapplied = commit(objects, {"f": text({9: b"nine\n"})}, base, message=CHANGE)
    parked = commit(objects, {"f": text({1: b"mine\n", 9: b"nine\n"})}, reapplied, message=CHANGE)
    tip = commit(objects, {"f": text({1: b"mine\n", 4: b"four\n", 9: b"nine\n"})}, parked, message=CHANGE)
    done = play(objects, tip, upstream)
    said = f"upstream has a commit of the same Change-Id, {upstream[:10].decode()}"
    assert [(each.verdict, each.reason) for each in done.commits] == [
        ("reapplied", said),
        ("parked", f"it conflicts with upstream (content); {said}"),
        ("became-empty", f"upstream has all of its changes; {said}"),
    ]
    assert objects.commit(done.tip).message == CHANGE


def test_a_patch_that_upstream_has_needs_no_word_of_a_message() -> None:
    objects = new_objects()
    base = commit(objects, {"f": text(), "g": b""})
    other = commit(objects, {"f": text(), "g": b"g"}, base)
    onto = commit(objects, {"f": text({1: b"one\n"}), "g": b"g"}, other, message=CHANGE)
    tip = commit(objects, {"f": text({1: b"one\n"}), "g": b""}, base, message=CHANGE)
    (only,) = play(objects, tip, onto).commits
    assert (only.verdict, only.reason) == (
        "already-upstream",
        f"upstream has the same patch as {onto[:10].decode()}",
    )


def test_of_several_twins_the_same_one_is_named_in_every_run() -> None:
    objects = new_objects()
    base = commit(objects, {"f": text()})
    there = commit(objects, {"f": text({1: b"one\n"})}, base, message=CHANGE)
    back = commit(objects, {"f": text()}, there)
    again = commit(objects, {"f": text({1: b"one\n"})}, back, message=CHANGE)
    graph = history(objects)
    mine = commit(objects, {"f": text({1: b"one\n"})}, base)
    reasons = {
        replay(
            objects,
            graph,
            [Series(tip=mine, commits=[mine], upstream=order)],
            PickOptions(merging=MergeOptions(), committer=COMMITTER),
            onto=again,
        )[0]
        .commits[0]
        .reason
        for order in ([there, back, again], [again, back, there])
    }
    assert len(reasons) == 1


def test_a_conflict_is_parked_and_the_next_is_tried() -> None:
    objects = new_objects()
    base = commit(objects, {"f": text()})
    onto = commit(objects, {"f": text({1: b"theirs\n"})}, base)
    parked = commit(objects, {"f": text({1: b"mine\n"})}, base)
    tip = commit(objects, {"f": text({1: b"mine\n", 9: b"nine\n"})}, parked)
    done = play(objects, tip, onto)
    assert verdicts(done) == ["parked", "reapplied"]
    assert done.commits[0].conflicts == (b"f",)
    assert objects.commit(done.tip).tree == add_files(objects, {"f": text({1: b"theirs\n", 9: b"nine\n"})})
    assert objects.commit(done.tip).parents == (onto,)


def test_a_root_commit_of_ones_own() -> None:
    """It is picked as a change from nothing; what upstream has at the same path must be the same."""
    objects = new_objects()
    onto = commit(objects, {"f": b"1"})
    root = commit(objects, {"f": b"1", "g": b"mine"}, message=b"root\n")
    tip = commit(objects, {"f": b"1", "g": b"mine", "h": b""}, root)
    done = play(objects, tip, onto)
    assert verdicts(done) == ["reapplied", "reapplied"]
    assert objects.commit(done.tip).tree == add_files(objects, {"f": b"1", "g": b"mine", "h": b""})
    clashing = commit(objects, {"f": b"2"})
    assert verdicts(play(objects, clashing, onto)) == ["parked"]


def test_history_of_its_own_that_was_merged_in_stays_as_it_is() -> None:
    """As ``git subtree add`` merges a library, which has files of the same names as upstream."""
    objects = new_objects()
    base = commit(objects, {"f": b"1", "g": b"1"})
    root = commit(objects, {"f": b"of the library"}, message=b"root\n")
    library = commit(objects, {"f": b"of the library, 2"}, root, message=b"library\n")
    merge = commit(objects, {"f": b"1", "g": b"1", "lib/f": b"of the library, 2"}, base, library)
    tip = commit(objects, {"f": b"1", "g": b"1", "lib/f": b"mended"}, merge)
    onto = commit(objects, {"f": b"1", "g": b"2"}, base)
    done = play(objects, tip, onto)
    assert verdicts(done) == ["reapplied"] * 4
    assert [each.new_oid for each in done.commits[:2]] == [root, library]
    assert objects.commit(done.tip).tree == add_files(objects, {"f": b"1", "g": b"2", "lib/f": b"mended"})
    (made,) = objects.commit(done.tip).parents
    assert objects.commit(made).parents == (onto, library)


def test_modes_are_carried() -> None:
    objects = new_objects()
    base = commit(objects, {"f": text()})
    onto = commit(objects, {"f": text({1: b"theirs\n"})}, base)
    script = TreeEntry(MODE_EXECUTABLE, objects.add_blob(text()))
    done = play(objects, commit(objects, {"f": script}, base), onto)
    made = objects.entry(objects.commit(done.tip).tree, b"f")  # type: ignore[arg-type]
    assert made == TreeEntry(MODE_EXECUTABLE, objects.add_blob(text({1: b"theirs\n"})))


def test_a_local_merge_keeps_its_shape() -> None:
    objects = new_objects()
    base = commit(objects, {"f": text()})
    onto = commit(objects, {"f": text({11: b"theirs\n"})}, base)
    one = commit(objects, {"f": text({1: b"one\n"})}, base, message=b"one\n")
    two = commit(objects, {"f": text({5: b"two\n"})}, base, message=b"two\n")
    merge = commit(objects, {"f": text({1: b"one\n", 5: b"two\n", 8: b"by hand\n"})}, one, two)
    done = play(objects, merge, onto)
    assert verdicts(done) == ["reapplied"] * 3
    made = objects.commit(done.tip)
    assert [objects.commit(oid).message for oid in made.parents] == [b"one\n", b"two\n"]
    assert all(objects.commit(oid).parents == (onto,) for oid in made.parents)
    expected = {1: b"one\n", 5: b"two\n", 8: b"by hand\n", 11: b"theirs\n"}
    assert made.tree == add_files(objects, {"f": text(expected)})


def by_driver(run: Driver) -> MergeOptions:
    """Every path merges by the driver "sides", and by "bases" where merge bases are merged."""
    return MergeOptions(
        attributes=lambda path: MergeAttributes(driver=b"sides"),
        base_attributes=lambda path: MergeAttributes(driver=b"bases"),
        driver=run,
    )


def test_a_topic_that_was_merged_on_upstreams_own_commit_stays_merged() -> None:
    objects = new_objects()
    old = add_commit(objects, add_files(objects, {"f": text()}))
    topic = add_commit(objects, add_files(objects, {"f": text(), "topic": b"t"}), old, message=b"topic\n")
    merge = add_commit(objects, objects.commit(topic).tree, old, topic, message=b"merge\n")
    onto = add_commit(objects, add_files(objects, {"f": text({3: b"new\n"})}))
    done = play(objects, merge, onto, [old])
    assert verdicts(done) == ["reapplied", "reapplied"]
    made = objects.commit(done.tip)
    assert made.parents == (onto, done.commits[0].new_oid)
    assert made.tree == add_files(objects, {"f": text({3: b"new\n"}), "topic": b"t"})


def test_merge_bases_are_merged_by_their_own_driver() -> None:
    """Two lines that merged each other have two merge bases, of which the engine makes one."""
    calls: list[tuple[bytes, bytes, bytes, bytes]] = []

    def run(call: DriverCall) -> Driven:
        calls.append((call.name, call.base, call.ours, call.theirs))
        return Driven(data=b"both" if call.name == b"bases" else b"end", clean=True)

    objects = new_objects()
    base = commit(objects, {"f": b"base"})
    onto = commit(objects, {"f": b"base", "g": b""}, base)
    one, two = (commit(objects, {"f": data}, base) for data in (b"one", b"two"))
    left = commit(objects, {"f": b"left"}, one, two)
    right = commit(objects, {"f": b"right"}, two, one)
    done = play(objects, commit(objects, {"f": b"end"}, left, right), onto, options=by_driver(run))
    assert verdicts(done) == ["reapplied"] * 5
    assert (b"sides", b"both", b"left", b"right") in calls
    assert {call for call in calls if call[0] == b"bases"} <= {
        (b"bases", b"base", b"one", b"two"),
        (b"bases", b"base", b"two", b"one"),
    }


def test_a_pick_that_a_driver_fails_on_says_why() -> None:
    def run(call: DriverCall) -> Driven:
        if b"theirs" in call.ours:
            raise DriverFailed("no more")
        return Driven(data=b"both", clean=True)

    objects = new_objects()
    base = commit(objects, {"f": b"base"})
    onto = commit(objects, {"f": b"theirs"}, base)
    one = commit(objects, {"f": b"base", "g": b""}, base)
    two = commit(objects, {"f": b"two"}, one)
    done = play(objects, two, onto, options=by_driver(run))
    assert verdicts(done) == ["reapplied", "parked"]
    assert done.commits[1].reason == "it conflicts with upstream (driver); f: no more"


def test_a_merge_of_upstream_without_work_in_it_becomes_empty() -> None:
    objects = new_objects()
    base = commit(objects, {"f": text()})
    old = commit(objects, {"f": text({11: b"theirs\n"})}, base)
    onto = commit(objects, {"f": text({11: b"rewritten\n"})}, base)
    mine = commit(objects, {"f": text({1: b"one\n"})}, base)
    merge = commit(objects, {"f": text({1: b"one\n", 11: b"theirs\n"})}, mine, old)
    tip = commit(objects, {"f": text({1: b"one\n", 6: b"six\n", 11: b"theirs\n"})}, merge)
    done = play(objects, tip, onto, old=[old])
    assert verdicts(done) == ["reapplied", "became-empty", "reapplied"]
    expected = {1: b"one\n", 6: b"six\n", 11: b"rewritten\n"}
    assert objects.commit(done.tip).tree == add_files(objects, {"f": text(expected)})
    assert len(objects.commit(done.tip).parents) == 1


def test_what_was_done_by_hand_in_a_merge_of_upstream_is_kept() -> None:
    objects = new_objects()
    base = commit(objects, {"f": text()})
    old = commit(objects, {"f": text({11: b"theirs\n"})}, base)
    onto = commit(objects, {"f": text({11: b"rewritten\n"})}, base)
    mine = commit(objects, {"f": text({1: b"one\n"})}, base)
    by_hand = {1: b"one\n", 5: b"by hand\n", 11: b"theirs\n"}
    done = play(objects, commit(objects, {"f": text(by_hand)}, mine, old), onto, old=[old])
    assert verdicts(done) == ["reapplied", "reapplied"]
    expected = {1: b"one\n", 5: b"by hand\n", 11: b"rewritten\n"}
    assert objects.commit(done.tip).tree == add_files(objects, {"f": text(expected)})


def test_with_a_parked_merge_its_side_is_parked_too() -> None:
    """The commits of the side are on no branch without the merge; they must not be told as reapplied."""
    objects = new_objects()
    base = commit(objects, {"f": text()})
    onto = commit(objects, {"f": text({5: b"theirs\n"})}, base)
    one = commit(objects, {"f": text({1: b"one\n"})}, base)
    side = commit(objects, {"f": text(), "g": b"side"}, base)
    merge = commit(objects, {"f": text({1: b"one\n", 5: b"by hand\n"}), "g": b"side"}, one, side)
    tip = commit(objects, {"f": text({1: b"one\n", 5: b"by hand\n"}), "g": b"side", "h": b""}, merge)
    done = play(objects, tip, onto)
    by_oid = {each.oid: each for each in done.commits}
    assert by_oid[one].verdict == "reapplied"
    assert by_oid[merge].verdict == "parked"
    assert by_oid[side].verdict == "parked"
    assert by_oid[side].new_oid is None
    assert by_oid[tip].verdict == "reapplied"
    graph = history(objects)
    made = graph.reachable([done.tip], [onto])
    assert made == {each.new_oid for each in done.commits if each.verdict == "reapplied"}
    assert objects.commit(done.tip).tree == add_files(
        objects, {"f": text({1: b"one\n", 5: b"theirs\n"}), "h": b""}
    )


def test_thousands_of_commits_need_no_deep_stack() -> None:
    objects = new_objects()
    base = commit(objects, {"f": text(), "g": b"0"})
    onto = commit(objects, {"f": text({3: b"theirs\n"}), "g": b"0"}, base)
    tip = base
    for number in range(3_000):
        tip = commit(objects, {"f": text(), "g": b"%d\n" % (number + 1)}, tip, message=b"%d\n" % number)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len_of_stack() + 120)
    try:
        done = play(objects, tip, onto)
    finally:
        sys.setrecursionlimit(limit)
    assert verdicts(done) == ["reapplied"] * 3_000
    assert objects.commit(done.tip).tree == add_files(objects, {"f": text({3: b"theirs\n"}), "g": b"3000\n"})


def len_of_stack() -> int:
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    return depth


def test_replaying_again_gives_the_same_ids() -> None:
    objects = new_objects()
    base = commit(objects, {"f": text()})
    onto = commit(objects, {"f": text({3: b"theirs\n"})}, base)
    tip = commit(objects, {"f": text({9: b"mine\n"})}, base)
    assert play(objects, tip, onto) == play(objects, tip, onto)


# --- resolved as before ------------------------------------------------------------------------------

SPLIT = text({5: b"<<<<<<< HEAD\ntheirs\n=======\nmine\n>>>>>>> x\n"})


def recorded(*resolved: bytes) -> MergeOptions:
    """Recordings for the conflict of line 5."""
    known = normalise(SPLIT)
    assert known is not None
    kept = {known.conflict_id(40): [Recording(known.image, each) for each in resolved]}
    return MergeOptions(recordings=Recordings(find=lambda conflict: kept.get(conflict, [])))


def conflicting(mine: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> tuple[Objects, Oid, Oid]:
    """Both sides change the file ``a`` in line 5, and other files as given."""
    objects = new_objects()
    base = commit(objects, {"a": text(), "b": text()})
    onto = commit(objects, {"a": text({5: b"theirs\n", 11: None}), "b": text(), **theirs}, base)
    tip = commit(objects, {"a": text({5: b"mine\n", 0: b"more\n"}), "b": text(), **mine}, base)
    return objects, tip, onto


def test_a_recorded_resolution_is_used_and_said_so() -> None:
    objects, tip, onto = conflicting({}, {})
    assert verdicts(play(objects, tip, onto)) == ["parked"]
    done = play(objects, tip, onto, options=recorded(text({5: b"both\n"})))
    (made,) = done.commits
    assert (made.verdict, made.resolved) == ("reapplied", (b"a",))
    assert made.reason == "a: a recorded resolution was used"
    entry = objects.entry(objects.commit(done.tip).tree, TreePath(b"a"))
    assert entry is not None
    assert objects.blob(entry.oid) == text({5: b"both\n", 0: b"more\n", 11: None})


def test_where_nothing_is_left_as_it_was_resolved_the_commit_is_empty() -> None:
    objects, tip, onto = conflicting({"a": text({5: b"mine\n"})}, {})
    (left,) = play(objects, tip, onto, options=recorded(text({5: b"theirs\n"}))).commits
    assert (left.verdict, left.new_oid, left.resolved) == ("became-empty", None, (b"a",))
    assert left.reason == "nothing of it is left as it was resolved before"


def test_a_commit_that_conflicts_elsewhere_too_is_parked_whole() -> None:
    known = recorded(text({5: b"both\n"}))
    objects, tip, onto = conflicting({"b": text({1: b"mine\n"})}, {"b": text({1: b"theirs\n"})})
    (parked,) = play(objects, tip, onto, options=known).commits
    assert (parked.verdict, parked.conflicts, parked.resolved) == ("parked", (b"a", b"b"), ())
    assert "recorded" not in parked.reason


def test_of_two_resolutions_that_differ_none_is_used() -> None:
    objects, tip, onto = conflicting({}, {})
    one, other = text({5: b"one\n"}), text({5: b"other\n"})
    (parked,) = play(objects, tip, onto, options=recorded(one, other)).commits
    assert parked.verdict == "parked"
    assert parked.reason == "it conflicts with upstream (content); a: it was resolved in several ways before"
    (made,) = play(objects, tip, onto, options=recorded(one, one)).commits
    assert made.verdict == "reapplied"


def test_a_recorded_resolution_of_another_text_is_not_used() -> None:
    other = recorded(text({5: b"both\n", 4: b"other\n"}).replace(b"line 6", b"line six"))
    objects, tip, onto = conflicting({}, {"a": text({5: b"theirs\n", 6: b"new\n"})})
    assert verdicts(play(objects, tip, onto, options=other)) == ["parked"]
