"""Merge drivers: what they are called with, what they leave, and what becomes of it when they misbehave."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from resync.merge import Driven, DriverCall, DriverFailed, Labels
from resync.model import TreePath
from resync.programs import Programs
from resync.worktree.drivers import MergeDrivers, clear_dead
from resync.worktree.settings import MergeDriver

LABELS = Labels(base=b"parent of 1 (it's)", ours=b"HEAD", theirs=b"1 ($x `y` !)")


def drivers(
    top: Path, command: bytes | None, *, folder: Path | None = None, timeout: float = 20
) -> MergeDrivers:
    top.mkdir(exist_ok=True)
    programs = Programs(folder=str(top), env={"PATH": os.environ["PATH"]}, timeout=timeout)
    known: Mapping[bytes, MergeDriver] = {b"po": MergeDriver(command=command)}
    return MergeDrivers(known, programs, str(folder or top / ".git" / "resync"))


def call(name: bytes = b"po", path: bytes = b"dir/file", theirs: bytes = b"theirs\n") -> DriverCall:
    return DriverCall(
        name=name,
        path=TreePath(path),
        base=b"base\n",
        ours=b"ours\n",
        theirs=theirs,
        marker_size=9,
        labels=LABELS,
    )


def left_over(top: Path) -> list[str]:
    return os.listdir(top / ".git" / "resync")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "top"


def test_a_driver_gets_the_files_and_leaves_its_result_in_ours(top: Path) -> None:
    made = drivers(top, b"cat %O %B >>%A")
    assert made.run(call()) == Driven(data=b"ours\nbase\ntheirs\n", clean=True)
    assert left_over(top) == []


def test_every_placeholder(top: Path) -> None:
    command = b"printf '%%s\\n' %L %P %S %X %Y %Z 100%% >%A; pwd >>%A"
    done = drivers(top, command).run(call(path=b"a 'b';$x\n!\xff"))
    assert done is not None
    assert done.data == (
        b"9\na 'b';$x\n!\xff\nparent of 1 (it's)\nHEAD\n1 ($x `y` !)\n%Z\n100%\n"
        + os.path.realpath(top).encode()
        + b"\n"
    )


@pytest.mark.parametrize("quotes", [b"%s", b"'%s'", b'"%s"'])
@pytest.mark.parametrize("where", ["top", "a top with blanks", "$(touch x)"])
def test_files_may_stand_in_quotes_or_not_wherever_the_repository_is(
    tmp_path: Path, where: str, quotes: bytes
) -> None:
    top = tmp_path / where
    command = b"cat " + quotes.replace(b"%s", b"%B") + b" >" + quotes.replace(b"%s", b"%A")
    assert drivers(top, command).run(call()) == Driven(data=b"theirs\n", clean=True)
    elsewhere = drivers(top, command, folder=tmp_path / "$(touch y)" / "resync")
    assert elsewhere.run(call()) == Driven(data=b"theirs\n", clean=True)
    assert os.listdir(tmp_path / "$(touch y)" / "resync") == []


@pytest.mark.parametrize("status", [1, 2, 125, 128])
def test_a_status_up_to_128_is_a_conflict(top: Path, status: int) -> None:
    done = drivers(top, b"echo both >%%A; echo 1 hunk >&2; exit %d" % status).run(call())
    assert done == Driven(data=b"both\n", clean=False, said="1 hunk")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (b"echo sorry >&2; exit 129", r"failed \(exit status 129\): sorry"),
        (b"kill -9 $$", "was killed by signal 9"),
        (b"no-such-program %A", "could not be run: .*no-such-program.*"),
        (b"./not-executable", "could not be run: .*"),
        (b"rm %A", "left no result"),
        (b"rm %A; mkdir %A", "left no result"),
        (b"rm -r $(dirname %A)", "left no result"),
        (b"", "has no command"),
        (None, "has no command"),
        (b"\0", "could not be started .*"),
    ],
)
def test_what_fails_says_why(top: Path, command: bytes | None, reason: str) -> None:
    made = drivers(top, command)
    (top / "not-executable").write_text("true\n")
    with pytest.raises(DriverFailed, match=f"^merge driver 'po' {reason}$"):
        made.run(call())
    if command:
        assert left_over(top) == []


def test_one_that_hangs_is_not_tried_again(top: Path) -> None:
    made = drivers(top, b"echo >>tries; sleep 60", timeout=0.3)
    with pytest.raises(DriverFailed, match=r"was not done after 0\.3 seconds$"):
        made.run(call())
    with pytest.raises(DriverFailed, match=r"was too slow before, and was not tried again$"):
        made.run(call(theirs=b"others\n"))
    assert (top / "tries").read_text() == "\n"
    assert left_over(top) == []


def test_the_same_call_gets_the_same_answer(top: Path) -> None:
    made = drivers(top, b"echo >>tries; cp tries %A; test -s %B")
    first = made.run(call())
    assert made.run(call()) == first == Driven(data=b"\n", clean=True)
    for _ in range(2):
        assert made.run(call(theirs=b"")) == Driven(data=b"\n\n", clean=False)


def test_a_driver_that_only_the_repository_names_is_none(top: Path) -> None:
    """Nor is a command that stands where an attribute has its name."""
    made = drivers(top, b"true")
    assert made.run(call(name=b"other")) is None
    assert made.run(call(name=b"touch owned;")) is None
    assert os.listdir(top) == []


def test_what_the_dead_left_is_cleared_away_after_a_while(tmp_path: Path) -> None:
    for name, age in (("merging-old", 10.0), ("merging-new", 1000.0), ("runs", 10.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ours").write_bytes(b"")
        os.utime(tmp_path / name, (age, age))
    clear_dead(str(tmp_path), 500)
    assert sorted(os.listdir(tmp_path)) == ["merging-new", "runs"]
    clear_dead(str(tmp_path / "nowhere"), 500)
