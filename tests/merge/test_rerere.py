"""Conflict ids and normalised texts are git's; a resolution is replayed only where it merges."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resync.merge import merge_text
from resync.merge.options import GIT_DEFAULTS, MergeAttributes, MergeOptions
from resync.merge.recordings import Recording, Recordings
from resync.merge.rerere import Normalised, normalise, replayed, resolutions
from resync.merge.trees import merge_trees
from resync.model import MODE_EXECUTABLE, MODE_SYMLINK, TreeEntry
from tests.conftest import needs_git
from tests.history.commits import Files, add_files, new_objects
from tests.merge.git_rerere import SIZES, GitRerere, Resolved, random_conflicts, random_resolution

# --- the same as git ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> GitRerere:
    return GitRerere(tmp_path_factory.mktemp("oracle"))


def markers(size: int) -> st.SearchStrategy[bytes]:
    labels = st.sampled_from((b" HEAD\n", b"\n", b"\r\n", b"x\n", b" \n", b"\ty\n"))
    signs = st.sampled_from((b"<", b"|", b"=", b">"))
    return st.builds(lambda sign, label: sign * size + label, signs, labels)


def sized_texts(size: int) -> st.SearchStrategy[tuple[int, bytes]]:
    """Texts in which conflicts mostly pair up, nested ones among them, and sometimes anything stands."""
    line = st.sampled_from((b"a\n", b"b\n", b"c\r\n", b"\n", b"\xff\n", b"==\n"))
    plain = st.lists(st.one_of(line, line, line, markers(size)) if size == 3 else line, max_size=4).map(
        b"".join
    )
    base = st.one_of(st.just(None), st.just(b""), plain)

    def around(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
        side = st.lists(st.one_of(plain, inner), max_size=3).map(b"".join)
        original = st.one_of(st.just(None), side)

        def conflict(one: bytes, middle: bytes | None, two: bytes) -> bytes:
            between = b"" if middle is None else b"|" * size + b" base\n" + middle
            return b"".join(
                (b"<" * size, b" HEAD\n", one, between, b"=" * size, b"\n", two, b">" * size, b" topic\n")
            )

        return st.builds(conflict, side, original, side)

    simple = around(base.map(lambda text: text or b""))
    conflicts = st.recursive(simple, around, max_leaves=4)
    last = st.sampled_from((b"", b"", b"no line end", b"=" * size, b">" * size + b" x"))
    parts = st.lists(st.one_of(plain, conflicts, conflicts, markers(size)), max_size=5).map(b"".join)
    return st.builds(lambda text, end: (size, text + end), parts, last)


@needs_git
@settings(max_examples=60)
@given(st.lists(st.one_of(*map(sized_texts, SIZES)), min_size=1, max_size=30))
def test_ids_and_preimages_are_those_that_git_makes(
    oracle: GitRerere, texts: list[tuple[int, bytes]]
) -> None:
    named = {f"size{size}-{number}": (size, text) for number, (size, text) in enumerate(texts)}
    mine = {}
    for name, (size, text) in named.items():
        known = normalise(text, size)
        if known is not None and known.sides:
            mine[name] = known.conflict_id(40), known.image
    assert oracle.images({name: text for name, (_, text) in named.items()}) == mine


@needs_git
def test_ids_of_merges_are_those_that_git_makes(oracle: GitRerere) -> None:
    """Conflicts as the merge engine writes them, in every style."""
    chance = random.Random(7)
    found = [text for _ in range(60) for text in random_conflicts(chance, ("merge", "diff3", "zdiff3"))]
    texts = {str(number): text for number, text in enumerate(found)}
    mine = {name: known(text) for name, text in texts.items()}
    assert len(mine) > 60
    assert oracle.images(texts) == {name: (each.conflict_id(40), each.image) for name, each in mine.items()}


@needs_git
def test_what_is_replayed_is_what_git_makes_of_it(oracle: GitRerere) -> None:
    """A hundred recordings, each used where the text around the conflict has changed."""
    chance = random.Random(11)
    cases: dict[str, Resolved] = {}
    while len(cases) < 100:
        for text in random_conflicts(chance, ("merge",)):
            case = random_resolution(chance, text)
            if case is not None:
                cases[case.conflict] = case
    texts = {case.conflict: case.text for case in cases.values()}
    theirs = oracle.replayed(texts, {case.conflict: case.recording for case in cases.values()})
    mine = {name: replayed(case.text, case.recording) for name, case in cases.items()}
    assert {name: text for name, text in mine.items() if text is not None} == theirs
    assert 20 < len(theirs) < 100, "both kinds are among them"


def known(text: bytes) -> Normalised:
    found = normalise(text)
    assert found is not None
    return found


def test_deep_nesting_is_bounded() -> None:
    def nested(depth: int) -> bytes:
        return b"<<<<<<< x\n" * depth + b"a\n" + b"=======\n>>>>>>> y\n" * depth

    known = normalise(nested(100))
    assert known is not None
    assert known.image.count(b"<<<<<<<\n") == 100
    assert normalise(nested(101)) is None


def test_with_sha256_the_id_is_longer() -> None:
    known = normalise(b"<<<<<<< x\na\n=======\nb\n>>>>>>> y\n")
    assert known is not None
    assert known.sides == b"a\n\0b\n\0"
    assert len(known.conflict_id(64)) == 64


# --- replaying ---------------------------------------------------------------------------------------

BEFORE = b"".join(b"line %d\n" % number for number in range(8))


def conflicted(
    one: bytes = b"mine\n", two: bytes = b"theirs\n", text: bytes = BEFORE, size: int = 7
) -> bytes:
    conflict = b"<" * size + b" HEAD\n" + one + b"=" * size + b"\n" + two + b">" * size + b" x\n"
    return text.replace(b"line 4\n", conflict)


def recording(text: bytes, resolved: bytes) -> Recording:
    known = normalise(text)
    assert known is not None
    return Recording(known.image, resolved)


RESOLVED = BEFORE.replace(b"line 4\n", b"both\n")


def test_a_resolution_is_replayed_whoever_merges_whom() -> None:
    known = recording(conflicted(), RESOLVED)
    assert replayed(conflicted(), known) == RESOLVED
    assert replayed(conflicted(b"theirs\n", b"mine\n"), known) == RESOLVED


def test_what_changed_elsewhere_stays() -> None:
    other = BEFORE.replace(b"line 0\n", b"changed since\n")
    assert replayed(conflicted(text=other), recording(conflicted(), RESOLVED)) == other.replace(
        b"line 4\n", b"both\n"
    )


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (recording(conflicted(text=BEFORE.replace(b"line 5", b"other")), RESOLVED), "does not merge"),
        (recording(conflicted(), conflicted()), "markers are left"),
        (recording(conflicted(), normalise(conflicted()).image), "bare markers are left"),  # type: ignore[union-attr]
        (recording(conflicted(), RESOLVED.replace(b"line 7\n", b"<<<<<<< x\n")), "half a marker is left"),
        (recording(conflicted(), b""), "emptied by a crash"),
        (recording(conflicted(), RESOLVED[:30]), "cut off by a crash"),
        (recording(conflicted(), RESOLVED[:30] + b"\0" * 9 + b"\n"), "zeros after a crash"),
        (Recording(b"\0" + conflicted(), RESOLVED), "no text"),
        (Recording(b"something\n", RESOLVED), "another preimage"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_not_used(known: Recording, why: str) -> None:
    assert replayed(conflicted(), known) is None


def test_a_damaged_preimage_changes_nothing_that_is_used() -> None:
    """Any one byte of it wrong: the resolution is the same, or there is none."""
    good = recording(conflicted(), RESOLVED)
    chance = random.Random(3)
    for at in range(len(good.preimage)):
        wrong = bytearray(good.preimage)
        wrong[at] ^= 1 << chance.randrange(8)
        assert replayed(conflicted(), Recording(bytes(wrong), RESOLVED)) in (None, RESOLVED)


# --- in a merge of trees -----------------------------------------------------------------------------

MINE = BEFORE.replace(b"line 4\n", b"mine\n")
THEIRS = BEFORE.replace(b"line 4\n", b"theirs\n")


def of(kept: Mapping[str, list[Recording]]) -> Recordings:
    return Recordings(find=lambda conflict: kept.get(conflict, []))


def resolved_file(
    base: Files, ours: Files, theirs: Files, options: MergeOptions = GIT_DEFAULTS, size: int = 7
) -> bytes | None:
    """What the one recording that is there makes of the first conflict of a merge."""
    objects = new_objects()
    merged = merge_trees(objects, *(add_files(objects, files) for files in (base, ours, theirs)), options)
    text = conflicted(b"mine\n", b"theirs\n", size=size)
    known = normalise(text, size)
    assert known is not None
    kept = {known.conflict_id(40): [Recording(known.image, RESOLVED)]}
    blobs = resolutions(objects, merged.conflicts[0], replace(options, recordings=of(kept)))
    return objects.blob(blobs[0]) if blobs else None


def test_a_conflict_of_contents_is_resolved() -> None:
    assert resolved_file({"a": BEFORE}, {"a": MINE}, {"a": THEIRS}) == RESOLVED
    assert resolved_file({}, {"a": MINE}, {"a": THEIRS}) == RESOLVED
    assert resolved_file({"a": BEFORE}, {"a": MINE}, {"b": THEIRS}) == RESOLVED  # renamed by theirs


@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
def test_the_style_in_which_it_was_recorded_does_not_matter(style: str) -> None:
    options = MergeOptions(style=style)  # type: ignore[arg-type]
    both = b"same\n"
    base, ours = BEFORE, BEFORE.replace(b"line 4\n", both + b"mine\n")
    theirs = BEFORE.replace(b"line 4\n", both + b"theirs\n")
    objects = new_objects()
    trees = [add_files(objects, {"a": text}) for text in (base, ours, theirs)]
    for recorded in ("merge", "diff3", "zdiff3"):
        text = merge_text(base, ours, theirs, style=recorded).data  # type: ignore[arg-type]
        known = normalise(text)
        assert known is not None
        kept = {known.conflict_id(40): [Recording(known.image, RESOLVED)]}
        conflict = merge_trees(objects, *trees, options).conflicts[0]
        blobs = resolutions(objects, conflict, replace(options, recordings=of(kept)))
        assert list(map(objects.blob, blobs)) == [RESOLVED]


def test_the_size_of_the_markers_is_the_path_s() -> None:
    wide = MergeOptions(attributes=lambda path: MergeAttributes(marker_size=20))
    files = {"a": BEFORE}, {"a": MINE}, {"a": THEIRS}
    assert resolved_file(*files, wide, size=20) == RESOLVED
    assert resolved_file(*files, wide, size=7) is None, "its markers are no markers here"


def test_what_git_recorded_of_other_line_ends_is_found() -> None:
    """On disk the file has CRLF, which rerere records; git stores LF."""
    objects = new_objects()
    trees = [add_files(objects, {"a": text}) for text in (BEFORE, MINE, THEIRS)]
    on_disk = known(conflicted().replace(b"\n", b"\r\n"))
    kept = {on_disk.conflict_id(40): [Recording(on_disk.image, RESOLVED.replace(b"\n", b"\r\n"))]}
    converted = replace(
        of(kept),
        on_disk=lambda path, data: data.replace(b"\n", b"\r\n"),
        stored=lambda path, data: data.replace(b"\r\n", b"\n"),
    )
    conflict = merge_trees(objects, *trees).conflicts[0]
    assert resolutions(objects, conflict, MergeOptions(recordings=of(kept))) == ()
    (blob,) = resolutions(objects, conflict, MergeOptions(recordings=converted))
    assert objects.blob(blob) == RESOLVED


@pytest.mark.parametrize("kind", ["modify/delete", "link", "mode", "binary"])
def test_other_conflicts_are_a_person_s(kind: str) -> None:
    objects = new_objects()
    link = TreeEntry(MODE_SYMLINK, objects.add_blob(b"x"))
    script = TreeEntry(MODE_EXECUTABLE, objects.add_blob(THEIRS))
    base, ours, theirs = {
        "modify/delete": ({"a": BEFORE}, {"a": MINE}, {}),
        "link": ({"a": BEFORE}, {"a": MINE}, {"a": link}),
        "mode": ({}, {"a": MINE}, {"a": script}),
        "binary": ({"a": b"\0" + BEFORE}, {"a": b"\0" + MINE}, {"a": b"\0" + THEIRS}),
    }[kind]
    merged = merge_trees(objects, *(add_files(objects, files) for files in (base, ours, theirs)))
    asked: list[str] = []

    def kept(conflict: str) -> list[Recording]:
        asked.append(conflict)
        return [recording(conflicted(), RESOLVED)]

    assert merged.conflicts
    options = MergeOptions(recordings=Recordings(find=kept))
    assert not any(resolutions(objects, each, options) for each in merged.conflicts)
    assert not asked
