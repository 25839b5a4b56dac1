"""Line diffs and three-way text merges: laws, examples, and git as the oracle."""

from __future__ import annotations

import random
import re
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resync.merge import Labels, diff, merge_text, split_lines
from resync.merge.lines import Style
from resync.merge.myers import Budget, compare
from resync.model import MODE_FILE

from .git_merge import GitMerges, version
from .states import State, law

few_lines = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"\n", b"}\n", b"d\r\n"]), max_size=25)
texts = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda lines, end: b"".join(lines) + end, few_lines, st.sampled_from([b"", b"", b"last", b"\r"])
    ),
)


@law
@given(st.binary())
def test_lines_are_the_whole_text(data: bytes) -> None:
    lines = split_lines(data)
    assert b"".join(lines) == data
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines[:-1])
    assert all(lines)


def assert_turns_into(a: list[bytes], b: list[bytes], ranges: list[tuple[int, int, int, int]]) -> None:
    made: list[bytes] = []
    a_at = b_at = 0
    for number, (a_start, a_end, b_start, b_end) in enumerate(ranges):
        assert a_start < a_end or b_start < b_end
        assert number == 0 or (a_at < a_start and b_at < b_start)
        assert a[a_at:a_start] == b[b_at:b_start]
        made += a[a_at:a_start] + b[b_start:b_end]
        a_at, b_at = a_end, b_end
    assert made + a[a_at:] == b


@law
@given(few_lines, few_lines)
def test_a_diff_turns_one_text_into_the_other(a: list[bytes], b: list[bytes]) -> None:
    assert_turns_into(a, b, diff(a, b))


@law
@given(few_lines, few_lines, st.integers(0, 20))
def test_the_fallback_does_too_with_any_budget(a: list[bytes], b: list[bytes], steps: int) -> None:
    budget = Budget(0)
    budget.steps = steps
    numbers = {line: n for n, line in enumerate({*a, *b})}
    ranges = compare([numbers[x] for x in a], [numbers[x] for x in b], (0, len(a), 0, len(b)), budget)
    assert_turns_into(a, b, ranges)


@law
@given(few_lines)
def test_a_text_does_not_differ_from_itself(a: list[bytes]) -> None:
    assert diff(a, a) == []


def test_a_rare_line_holds_the_diff_together() -> None:
    a = [b"{\n", b"x\n", b"}\n", b"{\n", b"rare\n", b"}\n"]
    b = [b"{\n", b"rare\n", b"}\n", b"{\n", b"y\n", b"}\n"]
    assert diff(a, b) == [(1, 4, 1, 1), (6, 6, 3, 6)]


def test_a_group_slides_down_unless_it_stands_beside_a_change() -> None:
    assert diff([b"a\n", b"x\n"], [b"a\n", b"a\n", b"x\n"]) == [(1, 1, 1, 2)]
    assert diff([b"a\n", b"b\n"], [b"c\n", b"b\n", b"b\n"]) == [(0, 1, 0, 2)]


def test_very_frequent_lines_are_left_to_the_fallback() -> None:
    a = [b"same\n"] * 200
    b = [b"same\n"] * 90 + [b"new\n"] + [b"same\n"] * 110
    assert diff(a, b) == [(90, 90, 90, 91)]


# --- laws of merging ---------------------------------------------------------------------------------


@law
@given(texts, texts, st.sampled_from(["merge", "diff3", "zdiff3"]))
def test_one_side_unchanged_gives_the_other(base: bytes, side: bytes, style: Style) -> None:
    assert merge_text(base, base, side, style=style) == merge_text(base, side, base, style=style)
    merged = merge_text(base, side, base, style=style)
    assert (merged.data, merged.conflicts) == (side, 0)


@law
@given(texts, texts)
def test_equal_edits_agree(base: bytes, side: bytes) -> None:
    merged = merge_text(base, side, side)
    assert (merged.data, merged.conflicts) == (side, 0)


@law
@given(texts, texts, texts)
def test_verdicts_are_symmetric(base: bytes, ours: bytes, theirs: bytes) -> None:
    one, other = merge_text(base, ours, theirs), merge_text(base, theirs, ours)
    assert (one.conflicts == 0) == (other.conflicts == 0)
    if not one.conflicts:
        assert one.data == other.data


@law
@given(texts, texts, texts)
def test_merging_what_is_already_in_changes_nothing(base: bytes, ours: bytes, theirs: bytes) -> None:
    merged = merge_text(base, ours, theirs)
    if not merged.conflicts:
        assert merge_text(ours, merged.data, merged.data).data == merged.data
        again = merge_text(base, merged.data, theirs)
        assert again.conflicts or again.data == merged.data


@law
@given(texts, texts, texts, st.sampled_from(["merge", "diff3", "zdiff3"]))
def test_every_line_comes_from_an_input_or_is_a_marker(
    base: bytes, ours: bytes, theirs: bytes, style: Style
) -> None:
    merged = merge_text(base, ours, theirs, style=style)
    known = {line.rstrip(b"\r\n") for data in (base, ours, theirs) for line in split_lines(data)}
    unknown = [line for line in split_lines(merged.data) if line.rstrip(b"\r\n") not in known]
    signs = [line[:7] for line in unknown]
    per_conflict = 3 if style == "merge" else 4
    assert len(unknown) == per_conflict * merged.conflicts
    assert set(signs) <= {b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>"}


@law
@given(texts, texts, texts)
def test_union_never_conflicts_and_keeps_the_lines_of_both(base: bytes, ours: bytes, theirs: bytes) -> None:
    merged = merge_text(base, ours, theirs, union=True)
    assert merged.conflicts == 0
    assert b"<<<<<<<" not in merged.data


# --- what a conflict looks like ----------------------------------------------------------------------

LABELS = Labels(ours=b"mine", base=b"old", theirs=b"other")


def test_conflicts_show_only_what_differs() -> None:
    base = b"1\n2\n3\n"
    ours, theirs = b"1\nsame\nmine\n3\n", b"1\nsame\nother\n3\n"
    assert merge_text(base, ours, theirs, labels=LABELS).data == (
        b"1\nsame\n<<<<<<< mine\nmine\n=======\nother\n>>>>>>> other\n3\n"
    )
    assert merge_text(base, ours, theirs, labels=LABELS, style="diff3").data == (
        b"1\n<<<<<<< mine\nsame\nmine\n||||||| old\n2\n=======\nsame\nother\n>>>>>>> other\n3\n"
    )
    assert merge_text(base, ours, theirs, labels=LABELS, style="zdiff3").data == (
        b"1\nsame\n<<<<<<< mine\nmine\n||||||| old\n2\n=======\nother\n>>>>>>> other\n3\n"
    )


def test_a_missing_last_newline_and_crlf_are_kept_apart_from_the_markers() -> None:
    merged = merge_text(b"", b"mine", b"other", labels=LABELS)
    assert merged.data == b"<<<<<<< mine\nmine\n=======\nother\n>>>>>>> other\n"
    merged = merge_text(b"a\r\nb\r\n", b"a\r\nx\r\n", b"a\r\ny\r\n", marker_size=3, labels=LABELS)
    assert merged.data == b"a\r\n<<< mine\r\nx\r\n===\r\ny\r\n>>> other\r\n"


def test_carriage_returns_alone_end_no_line() -> None:
    merged = merge_text(b"a\rb\rc", b"x\rb\rc", b"a\rb\ry")
    assert merged.conflicts == 1


# --- git -----------------------------------------------------------------------------------------------


def random_text(source: random.Random) -> bytes:
    words = source.choice([[b"a", b"b"], [b"a", b"b", b"c", b"", b"}"], [b"%d" % n for n in range(40)]])
    end = source.choice([b"\n", b"\n", b"\r\n"])
    text = b"".join(source.choice(words) + end for _ in range(source.randrange(16)))
    return text.removesuffix(b"\n") if source.random() < 0.2 else text


def random_edit(source: random.Random, data: bytes) -> bytes:
    lines = split_lines(data)
    for _ in range(source.randrange(4)):
        at = source.randrange(len(lines) + 1)
        removed = source.randrange(3)
        added = split_lines(random_text(source))[: source.randrange(3)] + lines[
            at : at + 1
        ] * source.randrange(2)
        lines[at : at + removed] = added
    return b"".join(lines)


@pytest.mark.skipif(version() < (2, 38), reason="git merge-tree --write-tree came with git 2.38")
@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
def test_random_texts_merge_as_in_git(style: Style, tmp_path: Path) -> None:
    """Byte for byte, markers included; one commit holds many files, so that git is started rarely."""
    source = random.Random(f"texts in style {style}")
    files: State = {b"text-%03d" % n: (MODE_FILE, random_text(source)) for n in range(600)}
    ours: State = {path: (mode, random_edit(source, data)) for path, (mode, data) in files.items()}
    theirs: State = {path: (mode, random_edit(source, data)) for path, (mode, data) in files.items()}
    git = GitMerges(tmp_path, [(files, ours, theirs)])
    labels = Labels(ours=b"ours-0", base=git.base_label(0), theirs=b"theirs-0")
    answer = git.merge(0, f"merge.conflictStyle={style}")
    assert answer is not None
    conflicted = {path for path, *_ in answer.stages}
    expected = git.state(answer.tree)
    for path, (_, base) in files.items():
        merged = merge_text(base, ours[path][1], theirs[path][1], style=style, labels=labels)
        assert (path, merged.data) == (path, expected[path][1])
        assert (path, merged.conflicts > 0) == (path, path in conflicted)
    assert 100 < len(conflicted) < 500


def frequent_text(source: random.Random, length: int, share: float) -> list[bytes]:
    """Lines of which a share are one of two frequent ones, and the others stand nowhere else."""
    return [
        b"frequent %d\n" % source.randrange(2)
        if source.random() < share
        else b"%d\n" % source.randrange(10**9)
        for _ in range(length)
    ]


@pytest.mark.skipif(version() == (0,), reason="git is not installed")
def test_frequent_lines_are_matched_as_in_git(tmp_path: Path) -> None:
    """Histograms leave them to Myers' algorithm, and in front of that git sets some of them aside."""
    source = random.Random("frequent")
    moved = 0
    for n in range(40):
        share = source.choice([0.2, 0.5, 0.8])
        a, b = (frequent_text(source, source.randrange(300, 1000), share) for _ in range(2))
        ranges = diff(a, b)
        moved += len(ranges) > 1
        assert (n, ranges) == (n, git_diff(tmp_path, a, b))
    assert moved > 25


def git_diff(folder: Path, a: list[bytes], b: list[bytes]) -> list[tuple[int, int, int, int]]:
    """The changed ranges of git's histogram diff without the heuristic that merges do not use either."""
    for name, text in (("a", a), ("b", b)):
        (folder / name).write_bytes(b"".join(text))
    command = ["git", "diff", "--no-index", "--histogram", "--no-indent-heuristic", "--unified=0", "a", "b"]
    printed = subprocess.run(command, cwd=folder, capture_output=True, check=False).stdout
    ranges = []
    for found in re.finditer(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", printed, re.MULTILINE):
        a_first, a_size, b_first, b_size = (1 if number is None else int(number) for number in found.groups())
        a_start, b_start = a_first - (a_size > 0), b_first - (b_size > 0)
        ranges.append((a_start, a_start + a_size, b_start, b_start + b_size))
    return ranges


# --- texts made to be expensive ------------------------------------------------------------------------


@pytest.fixture
def expensive() -> dict[str, tuple[bytes, bytes, bytes]]:
    source = random.Random(7)
    big = b"x" * 20_000_000
    equal = b"a\n" * 200_000
    numbers = [b"%d\n" % n for n in range(15_000)]
    swapped = [line for n in range(0, 15_000, 2) for line in (numbers[n + 1], numbers[n])]
    periodic = [b"%d\n" % (n % 260) for n in range(200_000)]
    holes = [b"-\n" if n % 97 == 0 else line for n, line in enumerate(periodic)]
    shuffled = source.sample(numbers, 15_000)
    coins = [b"".join(source.choices([b"a\n", b"b\n"], k=200_000)) for _ in range(3)]
    return {
        "one line of 20 MB": (big, big + b"1", big + b"2"),
        "200,000 equal lines": (equal, equal[:-300], equal + b"a\n" * 100),
        "neighbours swapped": (b"".join(numbers), b"".join(swapped), b"".join(numbers[::-1])),
        "shuffled": (b"".join(numbers), b"".join(shuffled), b"".join(shuffled[::-1])),
        "200,000 periodic lines": (
            b"".join(periodic),
            b"".join(holes),
            b"".join(source.sample(periodic, 200_000)),
        ),
        "200,000 lines of two kinds": (coins[0], coins[1], coins[2]),
    }


def test_expensive_texts_take_bounded_time(expensive: dict[str, tuple[bytes, bytes, bytes]]) -> None:
    for name, (base, ours, theirs) in expensive.items():
        begun = time.process_time()
        merged = merge_text(base, ours, theirs)
        assert (name, time.process_time() - begun < 20) == (name, True)
        assert (name, merged.conflicts > 0) == (name, True)


def test_an_edit_in_200_000_equal_lines_merges() -> None:
    base = b"a\n" * 200_000
    ours, theirs = b"1\n" + base, base + b"2\n"
    assert merge_text(base, ours, theirs).data == b"1\n" + base + b"2\n"
