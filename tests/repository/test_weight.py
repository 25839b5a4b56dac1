"""What a pack comes to is known before it is unpacked."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resync.errors import Refused
from resync.repository import weight
from resync.repository.damage import signs_of_damage
from resync.repository.pieces import write_head
from resync.repository.weight import weigh
from tests.conftest import World, needs_git

BLOB, REF_DELTA = 3, 7
COPIED = 1 << 16


def pack(entries: Iterable[tuple[int, bytes, bytes]]) -> io.BytesIO:
    """A pack of these types, names of bases and contents."""
    listed = list(entries)
    packed = [write_head(kind, len(data)) + base + zlib.compress(data, 9) for kind, base, data in listed]
    whole = struct.pack(">4sII", b"PACK", 2, len(listed)) + b"".join(packed)
    return io.BytesIO(whole + hashlib.sha1(whole).digest())


def copies(count: int) -> bytes:
    """A delta that makes so many copies of a base of 64 KiB."""

    def size(number: int) -> bytes:
        found = bytearray()
        while number > 127:
            found.append(number & 127 | 128)
            number >>= 7
        return bytes([*found, number])

    return size(COPIED) + size(COPIED * count) + b"\x80" * count


BASE = BLOB, b"", bytes(COPIED)
NAME = hashlib.sha1(b"blob %d\0" % COPIED + bytes(COPIED)).digest()


@pytest.mark.state(70)
@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([(BLOB, b"", bytes(9 << 20))], "an object of 9 MiB"),
        ([BASE, (REF_DELTA, NAME, copies(200))], "an object of 12 MiB"),
        ([BASE, *[(REF_DELTA, NAME, copies(64))] * 50], "more than 0 GiB"),
    ],
)
def test_bombs(monkeypatch: pytest.MonkeyPatch, entries: list[tuple[int, bytes, bytes]], said: str) -> None:
    monkeypatch.setattr(weight, "memory", lambda: 32 << 20)
    monkeypatch.setattr(weight, "_ALWAYS", 100 << 20)
    with pytest.raises(Refused) as refused:
        weigh(pack(entries), 20)
    assert refused.value.kind == "oversized-pack"
    assert said in refused.value.message


def test_the_memory_of_this_machine() -> None:
    assert weight.memory() > 1 << 26


@pytest.mark.parametrize(
    "head", [b"\xff" * 1000, b"\x30" + b"\xff" * 200, b"", b"\xb0\x01", b"\x33" + zlib.compress(b"longer")]
)
def test_what_is_no_pack(head: bytes) -> None:
    """It ends at once, whatever a head promises."""
    with pytest.raises(signs_of_damage()):
        weigh(io.BytesIO(struct.pack(">4sII", b"PACK", 2, 1) + head), 20)


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_any_bytes(rest: bytes, count: int) -> None:
    try:
        weigh(io.BytesIO(struct.pack(">4sII", b"PACK", 2, count) + rest), 20)
    except (Refused, *signs_of_damage()):
        return
    assert count <= len(rest)


@needs_git
@pytest.mark.parametrize("option", ["--delta-base-offset", "--no-reuse-delta"])
def test_as_git_packs(
    rewritten_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """Every object is weighed with the very size that git tells of it."""
    world = rewritten_world
    text = "".join(f"{each} a line that is long enough to be packed\n" for each in range(9000))
    for number in range(4):
        world.commit(f"Commit {number}", {"large": text[number * 50 :] + str(number), f"f{number}": "x\n"})
    listed = world.git("rev-list", "--objects", "--no-object-names", "HEAD")
    name = world.git("pack-objects", option, str(tmp_path / "p"), stdin=listed.encode()).strip()
    sizes = world.git("cat-file", "--batch-check=%(objectsize)", stdin=listed.encode()).split()
    weighed: list[int] = []
    told = weight._Reader.object_size

    def note(reader: weight._Reader, width: int, largest: int) -> int:
        weighed.append(told(reader, width, largest))
        return weighed[-1]

    monkeypatch.setattr(weight._Reader, "object_size", note)
    with open(tmp_path / f"p-{name}.pack", "rb") as file:
        weigh(file, 20)
    assert sorted(weighed) == sorted(map(int, sizes))
