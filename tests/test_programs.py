"""Programs of the user's configuration: how they end, what they say, and that they hold nothing up."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resync.programs import Ended, Piped, ProgramFailed, Programs, ProgramTooSlow, quoted


def programs(folder: Path, timeout: float = 20, **env: str) -> Programs:
    return Programs(folder=str(folder), env={"PATH": os.environ["PATH"], **env}, timeout=timeout)


def test_a_program_runs_in_its_folder_with_its_environment_and_nothing_to_read(tmp_path: Path) -> None:
    command = b'pwd >out; echo "$WORD $GIT_TERMINAL_PROMPT ${HOME-no home}" >>out; cat >>out; tty >>out'
    ended = programs(tmp_path, WORD="w").run(command)
    assert ended == Ended(status=1, said="")
    assert (tmp_path / "out").read_text() == f"{os.path.realpath(tmp_path)}\nw 0 no home\nnot a tty\n"


@pytest.mark.parametrize("status", [0, 1, 127, 128, 200])
def test_its_exit_status_and_the_last_that_it_said(tmp_path: Path, status: int) -> None:
    command = b"for n in 1 2 3 4 5; do echo line $n >&2; echo; done; echo '\xff' >&2; exit %d" % status
    ended = programs(tmp_path).run(command)
    assert ended == Ended(status=status, said="line 4 / line 5 / \N{REPLACEMENT CHARACTER}")


def test_a_signal_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match=r"^was killed by signal 15: gone$"):
        programs(tmp_path).run(b"echo gone >&2; kill -TERM $$")


def test_megabytes_go_by(tmp_path: Path) -> None:
    command = b"head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2; echo >&2; echo done >&2"
    ended = programs(tmp_path).run(command)
    assert ended.said.endswith("done")
    assert len(ended.said) < 5000


def test_whatever_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(ProgramTooSlow, match=r"^was not done after 0\.5 seconds: wait$"):
        programs(tmp_path, timeout=0.5).run(b"echo wait >&2; (sleep 3; touch alive) & sleep 60")
    assert time.monotonic() - begun < 30, "it waited for the end"
    time.sleep(max(0.0, begun + 4 - time.monotonic()))
    assert not (tmp_path / "alive").exists()


def test_who_waits_is_told_so(tmp_path: Path) -> None:
    """It comes to its end only where somebody was told that it is at work."""
    waited: list[float] = []

    def waiting(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) > 1:
            (tmp_path / "told").touch()

    told = replace(programs(tmp_path), waiting=waiting)
    piped = told.pipe(b"until test -e told; do sleep 0.1; done; cat", b"data", 1000)
    assert 0 < waited[0] < waited[1]
    assert piped == Piped(status=0, said="", output=b"data")


def test_what_it_leaves_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert programs(tmp_path).run(b"echo said >&2; sleep 60 & exit 3") == Ended(status=3, said="said")
    assert time.monotonic() - begun < 30, "it waited for the end"


def test_what_cannot_be_started_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match="could not be started"):
        programs(tmp_path / "nowhere").run(b"true")
    with pytest.raises(ProgramFailed, match="could not be started"):
        programs(tmp_path).run(b"true \0")


# --- programs that are given something to read ---


def test_what_goes_in_and_what_comes_out(tmp_path: Path) -> None:
    """More than any pipe holds, in both directions at once."""
    data = os.urandom(3_000_000)
    assert programs(tmp_path).pipe(b"cat; cat >&2; exit 3", data, 5_000_000) == Piped(
        status=3, said="", output=data
    )
    assert programs(tmp_path).pipe(b"cat; echo, >&2", b"", 0).output == b""


def test_a_program_need_not_read_to_the_end(tmp_path: Path) -> None:
    data = b"x" * 3_000_000
    assert programs(tmp_path).pipe(b"head -c 3; exec <&-; sleep 0.2", data, 9).output == b"xxx"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (b"cat; kill -9 $$", "was killed by signal 9"),
        (b"yes", "gave more than 4 MiB"),
        (b"sleep 60 >&- 2>&-", "was not done after 1 seconds"),
        (b"echo half; sleep 60", "was not done after 1 seconds"),
        (b"cat; sleep 60 &", "was not done after 1 seconds"),
    ],
)
def test_what_does_not_end_well(tmp_path: Path, command: bytes, reason: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ProgramFailed) as failure:
        programs(tmp_path, timeout=1).pipe(command, b"x" * 200_000, 4 << 20)
    assert str(failure.value) == reason
    assert time.monotonic() - begun < 30, "it waited for the end"


def test_a_talk(tmp_path: Path) -> None:
    talk = programs(tmp_path).talk(b"while read -r word; do echo got $word; done; echo end >ended")
    for word in (b"one", b"two"):
        talk.say(word + b"\n")
        assert talk.hear(8) == b"got " + word + b"\n"
    talk.end()
    assert (tmp_path / "ended").read_text() == "end\n"


def test_one_that_dies_in_a_talk(tmp_path: Path) -> None:
    talk = programs(tmp_path).talk(b"read -r word; printf ab; echo why >&2")
    talk.say(b"word\n")
    with pytest.raises(ProgramFailed, match=r"^ended in the middle of its work: why$"):
        talk.hear(3)
    talk.kill()


@given(st.binary(max_size=30).map(lambda data: data.replace(b"\0", b"")))
def test_what_is_quoted_comes_out_as_it_went_in(data: bytes) -> None:
    out = subprocess.run(["sh", "-c", b"printf %s " + quoted(data)], capture_output=True, check=True).stdout
    assert out == data
