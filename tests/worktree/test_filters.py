"""Filters beside git: which one runs, what it is given, and what a failure comes to."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from resync.errors import Refused
from resync.model import Note, Oid, TreePath
from resync.worktree.attributes import PathAttributes, worktree_attributes
from resync.worktree.files import Files
from resync.worktree.filters import Cleaned, Filters
from tests.conftest import needs_git

from .conftest import Sandbox

pytestmark = needs_git

ODD = "sub/it's a;$(touch owned) %f!.x"
SMUDGE = "tr a-z A-Z"
CLEAN = "tr A-Z a-z"
FAILING = "cat; echo why >&2; exit 3"

# A process filter as a stranger would write one from gitattributes(5): what it does to a file, its name says.
PROCESS = """
import sys
from pathlib import Path

pipe_in, pipe_out = sys.stdin.buffer, sys.stdout.buffer
offered, log = sys.argv[1].split(","), Path(sys.argv[2]).open("a")

def read():
    length = int(pipe_in.read(4) or b"-1", 16)
    if length < 0:
        print("bye", file=log)
        sys.exit()
    return pipe_in.read(length - 4) if length else None

def until_flush():
    return list(iter(read, None))

def write(*packets):
    for packet in packets:
        pipe_out.write(b"%04x" % (len(packet) + 4) + packet)
    pipe_out.write(b"0000")
    pipe_out.flush()

print("hello", file=log)
assert until_flush() == [b"git-filter-client\\n", b"version=2\\n"]
write(b"git-filter-server\\n", b"version=2\\n")
can = until_flush()
write(*(b"capability=" + name.encode() + b"\\n" for name in offered))
while True:
    asked = dict(line.rstrip(b"\\n").split(b"=", 1) for line in until_flush())
    content = b"".join(until_flush())
    name, command = asked[b"pathname"].decode(), asked[b"command"].decode()
    print(command, name, len(content), asked.get(b"blob", b"-").decode(), file=log, flush=True)
    if "error" in name or "abort" in name or "odd" in name:
        status = "error" if "error" in name else "abort" if "abort" in name else "odd"
        write(b"status=" + status.encode() + b"\\n")
        continue
    if "die" in name:
        sys.exit(1)
    if "hang" in name:
        import time
        time.sleep(60)
    if "bad" in name:
        pipe_out.write(b"zzzz")
        pipe_out.flush()
        continue
    content = content.upper() if command == "smudge" else content.lower()
    write(b"status=success\\n")
    write(*(content[at : at + 65516] for at in range(0, len(content), 65516)))
    write(*([b"status=error\\n"] if "late" in name else []))
"""


@pytest.fixture
def process(sandbox: Sandbox) -> str:
    """The command of the process filter, which writes to ``log`` beside the repository."""
    script = sandbox.home / "filter.py"
    script.write_text(PROCESS)
    return f"'{sys.executable}' '{script}' clean,smudge '{sandbox.home / 'log'}'"


def log(sandbox: Sandbox) -> list[str]:
    return (sandbox.home / "log").read_text().splitlines()


def configure(sandbox: Sandbox, **values: str) -> None:
    sandbox.write(".gitattributes", b"*.x filter=f\n")
    for name, value in values.items():
        sandbox.git("config", f"filter.f.{name}", value)


def both(
    sandbox: Sandbox, path: str, data: bytes, *, lenient: bool = False
) -> tuple[Cleaned | str, bytes | str, tuple[Note, ...]]:
    """What cleaning and smudging come to, a refusal being its message."""
    sandbox.write(path, data)
    name = TreePath(path.encode())
    cleaned: Cleaned | str
    smudged: bytes | str
    with sandbox.open() as opened:
        settings = opened.settings()
        attributes = worktree_attributes(
            Files(str(sandbox.root)), opened.objects, sandbox.index()[0], settings
        ).of(name)
        with opened.filters(lenient=lenient) as filters:
            try:
                cleaned = filters.clean(name, data, attributes)
            except Refused as refused:
                cleaned = refused.message
            try:
                smudged = filters.smudge(name, data, attributes, opened.objects.hash_blob(data))
            except Refused as refused:
                smudged = refused.message
            return cleaned, smudged, filters.notes


def git_both(sandbox: Sandbox, path: str, data: bytes) -> tuple[bytes | None, bytes | None]:
    """The same by git, a refusal being None."""
    sandbox.git("rm", "-rfq", "--cached", ".")
    sandbox.write(path, data)
    sandbox.git("add", path, check=False)
    added = sandbox.git("ls-files", "-s", path)
    cleaned = sandbox.git("cat-file", "blob", added.split()[1].decode()) if added else None
    oid = sandbox.git("hash-object", "-w", "--stdin", stdin=data).strip()
    sandbox.git("update-index", "--add", "--cacheinfo", f"100644,{oid.decode()},{path}")
    (sandbox.root / path).unlink()
    sandbox.git("checkout-index", path, check=False)
    written = sandbox.root / path
    return cleaned, written.read_bytes() if written.exists() else None


WAYS: list[tuple[dict[str, str], str, str]] = [
    ({"clean": CLEAN, "smudge": SMUDGE}, "x", "x"),
    ({"clean": CLEAN, "smudge": SMUDGE, "required": "true"}, "x", "x"),
    ({"clean": CLEAN}, "x", "="),
    ({"smudge": SMUDGE}, "=", "x"),
    ({"clean": CLEAN, "required": "true"}, "x", "!"),
    ({"smudge": SMUDGE, "required": "true"}, "!", "x"),
    ({"clean": "", "smudge": ""}, "=", "="),
    ({"clean": "", "smudge": "", "required": "true"}, "!", "!"),
    ({"required": "true"}, "!", "="),
    ({"required": "false"}, "=", "="),
    ({}, "=", "="),
    ({"clean": FAILING, "smudge": FAILING}, "=", "="),
    ({"clean": FAILING, "smudge": FAILING, "required": "true"}, "!", "!"),
    ({"clean": "no-such-program", "smudge": "no-such-program"}, "=", "="),
    ({"clean": "no-such-program", "smudge": "no-such-program", "required": "true"}, "!", "!"),
    ({"clean": "echo %f %% %d; cat", "smudge": "echo %f %% %d; cat"}, "x", "x"),
    ({"clean": "echo no reading", "smudge": "echo no reading"}, "x", "x"),
    ({"clean": "true", "smudge": "true"}, "x", "x"),
    ({"clean": CLEAN, "smudge": SMUDGE, "process": ""}, "=", "="),
    ({"clean": CLEAN, "smudge": SMUDGE, "process": "no-such-program"}, "=", "="),
    ({"clean": CLEAN, "smudge": SMUDGE, "process": "no-such-program", "required": "true"}, "!", "!"),
    ({"clean": CLEAN, "smudge": SMUDGE, "process": "cat"}, "=", "="),
    ({"clean": CLEAN, "smudge": SMUDGE, "process": "echo 0004"}, "=", "="),
]


@pytest.mark.parametrize(
    ("path", "data"),
    [("a.x", b""), (ODD, b"Some Text\n"), ("a.x", b"Big " * 60_000)],
    ids=["empty", "odd name", "long"],
)
@pytest.mark.parametrize(("config", "cleans", "smudges"), WAYS, ids=[str(way[0]) for way in WAYS])
def test_a_filter_does_what_it_does_in_git(
    sandbox: Sandbox, config: dict[str, str], cleans: str, smudges: str, data: bytes, path: str
) -> None:
    configure(sandbox, **config)
    sandbox.git("add", ".gitattributes")
    cleaned, smudged, notes = both(sandbox, path, data)
    expected = git_both(sandbox, path, data)
    assert expected == (
        cleaned.data if isinstance(cleaned, Cleaned) else None,
        smudged if isinstance(smudged, bytes) else None,
    )
    for mark, result in zip((cleans, smudges), expected, strict=True):
        assert mark == ("!" if result is None else "=" if result == data and data else mark)
    assert len(notes) <= 2
    assert not list(sandbox.root.glob("**/owned"))


def test_why_a_required_filter_failed_is_said(sandbox: Sandbox) -> None:
    configure(sandbox, clean=FAILING, smudge="no-such-program", required="true")
    sandbox.git("add", ".gitattributes")
    cleaned, smudged, notes = both(sandbox, "a.x", b"x")
    assert cleaned == (
        "The filter 'f', which 'a.x' has to go through to make what git stores of it, failed (exit status 3):"
        " why. Nothing was changed."
    )
    assert isinstance(smudged, str)
    assert "failed (exit status 127)" in smudged
    assert "no-such-program" in smudged
    assert notes == ()
    cleaned, _, notes = both(sandbox, "a.x", b"x", lenient=True)
    assert cleaned == Cleaned(data=b"x", private=True)
    assert notes == (
        Note(TreePath(b"a.x"), "taken as it is, because the filter 'f' failed (exit status 3): why"),
    )


def test_what_a_filter_takes_away_is_private(sandbox: Sandbox) -> None:
    configure(sandbox, clean=CLEAN)
    sandbox.git("add", ".gitattributes")
    assert both(sandbox, "a.x", b"Secret")[0] == Cleaned(data=b"secret", private=True)
    assert both(sandbox, "a.x", b"nothing")[0] == Cleaned(data=b"nothing")
    assert both(sandbox, "a.y", b"Other")[0] == Cleaned(data=b"Other")


def test_one_that_was_too_slow_is_not_tried_again(sandbox: Sandbox) -> None:
    configure(sandbox, clean="echo x >>tried; sleep 60")
    with sandbox.open() as opened:
        slow = Filters(opened.settings(), replace(opened.programs(), timeout=0.5))
        attributes = PathAttributes(filter=b"f")
        with slow as filters:
            for name in (b"a.x", b"b.x"):
                assert filters.clean(TreePath(name), b"data", attributes) == Cleaned(
                    data=b"data", private=True
                )
            assert [note.text.partition(" filter ")[2] for note in filters.notes] == [
                "'f' was not done after 0.5 seconds",
                "'f' was too slow before, and was not tried again",
            ]
    assert (sandbox.root / "tried").read_text() == "x\n"


@pytest.mark.parametrize("way", ["smudge", "process"])
def test_a_slow_one_is_told_of(sandbox: Sandbox, process: str, way: str) -> None:
    """Of each file, and again while it takes its time: this one waits until seconds are told."""
    wait = "until test -e told; do sleep 0.1; done; "
    configure(sandbox, **{way: wait + (f"exec {process}" if way == "process" else SMUDGE)})
    told: list[str] = []

    def progress(text: str) -> None:
        told.append(text)
        if " s: " in text:
            (sandbox.root / "told").touch()

    with (
        sandbox.open() as opened,
        Filters(opened.settings(), opened.programs(), progress=progress) as filters,
    ):
        for name in (b"a.x", b"b\n.x"):
            filters.smudge(TreePath(name), b"x", PathAttributes(filter=b"f"), Oid(b"0" * 40))
        assert filters.notes == ()
    first, second = "Filtering file 1: 'a.x'", "Filtering file 2: 'b\\n.x'"
    assert (told[0], told[-1]) == (first, second)
    assert "Filtering file 1, 1 s: 'a.x'" in told


def test_more_than_can_be_kept_is_a_failure(sandbox: Sandbox) -> None:
    configure(sandbox, smudge="yes")
    with sandbox.open() as opened:
        settings = replace(opened.settings(), big_file_threshold=1 << 20)
        with Filters(settings, opened.programs()) as filters:
            smudged = filters.smudge(TreePath(b"a.x"), b"x", PathAttributes(filter=b"f"), Oid(b"0" * 40))
            assert smudged == b"x"
            (note,) = filters.notes
    assert note.text == "left unfiltered, because the filter 'f' gave more than 1 MiB"


# --- filters that stay at work ---


@pytest.mark.parametrize("data", [b"", b"Big " * 60_000], ids=["empty", "long"])
@pytest.mark.parametrize(
    "name", ["a.x", ODD, "line\nend.x", "error.x", "abort.x", "die.x", "bad.x", "odd.x", "late-error.x"]
)
@pytest.mark.parametrize("required", ["false", "true"])
def test_a_process_does_what_it_does_in_git(
    sandbox: Sandbox, process: str, name: str, data: bytes, required: str
) -> None:
    configure(sandbox, process=process, required=required)
    sandbox.git("add", ".gitattributes")
    cleaned, smudged, _ = both(sandbox, name, data)
    if "bad" not in name or required == "true":  # git dies of bad packets in any case
        assert git_both(sandbox, name, data) == (
            cleaned.data if isinstance(cleaned, Cleaned) else None,
            smudged if isinstance(smudged, bytes) else None,
        )
    works = not any(word in name for word in ("error", "abort", "die", "bad", "odd"))
    if works:
        assert (cleaned, smudged) == (Cleaned(data=data.lower(), private=data != data.lower()), data.upper())
    else:
        assert isinstance(cleaned, str) == isinstance(smudged, str) == (required == "true")


def convert(sandbox: Sandbox, *names: str) -> tuple[list[bytes], list[str]]:
    """Smudge files, all of one content, in one go; and what was said of them."""
    with sandbox.open() as opened, opened.filters() as filters:
        attributes = PathAttributes(filter=b"f")
        done = [filters.smudge(TreePath(n.encode()), b"aB", attributes, Oid(b"1" * 40)) for n in names]
        return done, [str(note) for note in filters.notes]


def test_a_process_is_started_once_and_ended(sandbox: Sandbox, process: str) -> None:
    configure(sandbox, process=process)
    assert convert(sandbox, "a", "error", "b") == (
        [b"AB", b"aB", b"AB"],
        ["error: left unfiltered, because the filter 'f' says that it failed"],
    )
    oid = "1" * 40
    assert log(sandbox) == [
        "hello",
        *(f"smudge {name} 2 {oid}" for name in ("a", "error", "b")),
        "bye",
    ]


def test_a_process_that_dies_is_started_again_for_the_next_file(sandbox: Sandbox, process: str) -> None:
    configure(sandbox, process=process)
    done, notes = convert(sandbox, "a", "die", "bad", "b")
    assert done == [b"AB", b"aB", b"aB", b"AB"]
    assert notes == [
        "die: left unfiltered, because the filter 'f' ended in the middle of its work",
        "bad: left unfiltered, because the filter 'f' said b'zzzz' where the length of a packet belongs",
    ]
    assert log(sandbox).count("hello") == 3


def test_a_process_that_wants_no_more(sandbox: Sandbox, process: str) -> None:
    configure(sandbox, process=process)
    done, notes = convert(sandbox, "a", "abort", "b")
    assert done == [b"AB", b"aB", b"aB"]
    assert len(notes) == 2
    assert [line.split()[:2] for line in log(sandbox)[1:-1]] == [["smudge", "a"], ["smudge", "abort"]]


def test_a_process_that_only_smudges(sandbox: Sandbox, process: str) -> None:
    configure(sandbox, process=process.replace("clean,smudge", "smudge"))
    sandbox.git("add", ".gitattributes")
    cleaned, smudged, notes = both(sandbox, "a.x", b"aB")
    assert (cleaned, smudged, notes) == (Cleaned(data=b"aB"), b"AB", ())
    assert git_both(sandbox, "a.x", b"aB") == (b"aB", b"AB")


def test_a_process_that_hangs(sandbox: Sandbox, process: str) -> None:
    configure(sandbox, process=process)
    with (
        sandbox.open() as opened,
        Filters(opened.settings(), replace(opened.programs(), timeout=1)) as filters,
    ):
        for name in (b"hang", b"b"):
            smudged = filters.smudge(TreePath(name), b"aB", PathAttributes(filter=b"f"), Oid(b"1" * 40))
            assert smudged == b"aB"
        reasons = [note.text.partition(" 'f' ")[2] for note in filters.notes]
        assert [" ".join(reason.split()[:3]) for reason in reasons] == ["was not done", "was too slow"]
    assert log(sandbox)[-1].startswith("smudge hang")


def test_a_name_longer_than_a_packet(sandbox: Sandbox, process: str) -> None:
    configure(sandbox, process=process)
    done, notes = convert(sandbox, "a" * 70_000, "b")
    assert done == [b"aB", b"AB"]
    assert notes[0].endswith("takes no name as long as this")


def test_an_error_ends_what_is_at_work(sandbox: Sandbox, process: str) -> None:
    configure(sandbox, process=process)
    with sandbox.open() as opened:
        filters = opened.filters()
        filters.smudge(TreePath(b"a"), b"a", PathAttributes(filter=b"f"), Oid(b"1" * 40))
        filters.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert "bye" not in log(sandbox)
