"""The file that carries resolutions: what is written is read again, and anything else is refused."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resync.errors import Refused
from resync.merge.recordings import Recording
from resync.resolution_file import Resolution, ResolutionFile, ResolvedCommit, read, write

PREIMAGE = b"before\n<<<<<<<\nmine \xff\n=======\ntheirs\n>>>>>>>\nafter\n"
POSTIMAGE = b"before\nboth \xff\nafter\n"
GOOD = ResolutionFile(
    commits=(
        ResolvedCommit(
            subject=b"Count \xe9 my way",
            patch_id=b"\x01" * 20,
            change_id=b"I" + b"a" * 40,
            resolutions=(0, 1),
        ),
        ResolvedCommit(subject=b"", patch_id=None, change_id=None, resolutions=()),
    ),
    resolutions=(
        Resolution(recording=Recording(PREIMAGE, POSTIMAGE), marker_size=7),
        Resolution(recording=Recording(b"<\na\n=\nb\n>\n", b"c"), marker_size=1),
    ),
)


def sealed(body: bytes) -> bytes:
    return b"resync-resolutions 1\nsha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def reread(tmp_path: Path, data: bytes) -> ResolutionFile:
    (tmp_path / "file").write_bytes(data)
    return read(str(tmp_path / "file"))


def refusal(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(Refused, match="can be used") as refused:
        reread(tmp_path, data)
    assert refused.value.kind == "bad-resolutions"
    assert refused.value.hint
    return refused.value.message


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    good = ResolutionFile(
        commits=GOOD.commits,
        resolutions=(
            GOOD.resolutions[0],
            Resolution(recording=Recording(b"<\na\n=\nb\n>\n", b"c\n"), marker_size=1),
        ),
    )
    assert reread(tmp_path, write(good)) == good
    assert write(good).isascii()


LINES = st.lists(
    st.sampled_from((b"a\n", b"\xff\xfe\n", "é\n".encode(), b"\xed\xa0\x80\n", b"=\n", b"\r\n"))
).map(b"".join)


@given(
    LINES,
    LINES,
    LINES,
    LINES.filter(bool),
    st.binary(max_size=20),
    st.none() | st.binary(min_size=20, max_size=20),
)
def test_any_bytes_come_through(
    tmp_path_factory: pytest.TempPathFactory,
    around: bytes,
    one: bytes,
    two: bytes,
    postimage: bytes,
    subject: bytes,
    patch_id: bytes | None,
) -> None:
    sides = b"<<<<<<<\n" + min(one, two) + b"=======\n" + max(one, two) + b">>>>>>>\n"
    content = ResolutionFile(
        commits=(ResolvedCommit(subject=subject, patch_id=patch_id, change_id=None, resolutions=(0,)),),
        resolutions=(Resolution(recording=Recording(around + sides, postimage), marker_size=7),),
    )
    assert reread(tmp_path_factory.mktemp("any"), write(content)) == content


def test_every_byte_counts(tmp_path: Path) -> None:
    data = write(ResolutionFile(commits=GOOD.commits[1:], resolutions=GOOD.resolutions[:1]))
    chance = random.Random(5)
    for at in chance.sample(range(len(data)), 60):
        wrong = bytearray(data)
        wrong[at] ^= 1 << chance.randrange(8)
        refusal(tmp_path, bytes(wrong))
        refusal(tmp_path, data[:at])
    refusal(tmp_path, data + b"\n")


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The good file with a change in it, and the hash of that."""
    good = ResolutionFile(commits=GOOD.commits, resolutions=GOOD.resolutions[:1] * 2)
    record = json.loads(write(good).split(b"\n", 2)[2])
    change(record)
    return sealed(json.dumps(record).encode())


def resolution(**fields: object) -> bytes:
    return changed(lambda record: record["resolutions"][0].update(fields))


def commit(**fields: object) -> bytes:
    return changed(lambda record: record["commits"][0].update(fields))


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "another program's": b"{}\n",
    "a later version": sealed(b"{}").replace(b"resolutions 1", b"resolutions 2"),
    "no hash": b"resync-resolutions 1\n{}\n",
    "no JSON": sealed(b"resolutions"),
    "not ASCII": sealed('{"commits": [], "resolutions": [], "é": 0}'.encode()),
    "no object": sealed(b"[]"),
    "nothing in it": sealed(b"{}"),
    "deep": sealed(b"[" * 200_000),
    "a long number": sealed(b'{"commits": [], "resolutions": [' + b"9" * 100_000 + b"]}"),
    "many": sealed(b'{"commits": [' + b"0," * 10_001 + b'0], "resolutions": []}'),
    "no preimage": changed(lambda record: record["resolutions"][0].pop("preimage")),
    "a number for a text": resolution(postimage=1),
    "half a character": resolution(postimage="\ud800\n"),
    "no conflict": resolution(preimage="text\n"),
    "a conflict with labels": resolution(preimage="<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n"),
    "sides out of order": resolution(preimage="<<<<<<<\nb\n=======\na\n>>>>>>>\n"),
    "half a conflict": resolution(preimage="<<<<<<<\na\n=======\nb\n"),
    "other markers": resolution(marker_size=8),
    "no size": resolution(marker_size=0),
    "true for a size": resolution(marker_size=True),
    "a huge size": resolution(marker_size=10**9),
    "markers left": resolution(postimage="<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n"),
    "bare markers left": resolution(postimage=PREIMAGE.decode("latin-1")),
    "an empty result": resolution(postimage=""),
    "no last line end": resolution(postimage="cut off"),
    "a NUL": resolution(postimage="\0\n"),
    "a place that is not there": commit(resolutions=[2]),
    "a place from the end": commit(resolutions=[-1]),
    "true for a place": commit(resolutions=[True]),
    "no patch id": commit(patch_id="../../etc"),
    "a patch id in capitals": commit(patch_id="A" * 40),
    "no Change-Id": commit(change_id="I" + "g" * 40),
    "a list for a subject": commit(subject=["x"]),
    "a long subject": commit(subject="x" * 10_001),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_refused_whatever_its_hash(tmp_path: Path, name: str) -> None:
    assert str(tmp_path) in refusal(tmp_path, HOSTILE[name])


def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(Refused, match="No such file"):
        read(str(path))
    path.mkdir()
    with pytest.raises(Refused, match="directory"):
        read(str(path))
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(Refused, match="no regular file"):
        read(str(path))
    path.unlink()
    path.write_bytes(sealed(b" " * 16 * 1024 * 1024 + b"{}"))
    with pytest.raises(Refused, match="too large"):
        read(str(path))


def test_more_than_can_be_read_is_not_written() -> None:
    large = Recording(PREIMAGE + b"x" * 9_000_000 + b"\n", POSTIMAGE + b"x" * 9_000_000 + b"\n")
    with pytest.raises(Refused, match=re.escape("16 MiB")):
        write(ResolutionFile(commits=(), resolutions=(Resolution(recording=large, marker_size=7),)))
