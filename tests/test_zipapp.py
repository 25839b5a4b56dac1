"""The zipapp: the same bytes every time, nothing in it but Python, and all of resync works from it.

It runs on a Python that sees its own standard library and nothing else, in an empty environment.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import EVENT, REAL_HOME, Done, World, needs_git
from tests.event import upstream
from tests.zipapp import LOCK, TOP, bare, build

EXPECTED_DEMO = Path(__file__).with_name("demo.txt")


def found_python(version: str) -> str | None:
    """A Python of this version on the PATH or among those of pyenv."""
    kept = sorted(
        (Path(os.environ.get("PYENV_ROOT", REAL_HOME / ".pyenv")) / "versions").glob(f"{version}.*")
    )
    return str(kept[-1] / "bin" / "python") if kept else shutil.which(f"python{version}")


def run(
    zipapp: Path,
    *arguments: str,
    at: Path,
    python: list[str] | None = None,
) -> Done:
    """Run the zipapp as ``env -i`` does, with an empty PATH, and with no home but a place for its state."""
    done = subprocess.run(
        [*(python or bare()), str(zipapp), *arguments],
        cwd=at,
        env={"PATH": "", "XDG_STATE_HOME": str(at.parent / "state")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return Done(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


# --- what is in it -------------------------------------------------------------------------------------


def test_built_again_it_is_the_same(zipapp: Path, tmp_path: Path) -> None:
    """Whoever builds it: under another umask, hash seed and time zone, from another folder."""
    before = os.umask(0o077)
    try:
        again = build(tmp_path / "again.pyz", env={"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}, at=tmp_path)
    finally:
        os.umask(before)
    assert again.read_bytes() == zipapp.read_bytes()
    assert os.access(again, os.X_OK)
    assert list(tmp_path.iterdir()) == [again]


def test_sorted_dated_and_pure(zipapp: Path) -> None:
    with zipfile.ZipFile(zipapp) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    assert names == sorted(set(names))
    assert {(entry.date_time, entry.external_attr >> 16, entry.compress_type) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644, zipfile.ZIP_STORED)
    }
    endings = {Path(name).suffix for name in names if not name.startswith("licenses/")}
    assert endings == {".py", ".typed", ".js"}  # the last is of urllib3's for browsers
    ours = {path.relative_to(TOP).as_posix() for path in (TOP / "resync").rglob("*.py")}
    assert {name for name in names if name.startswith("resync/")} == ours | {"resync/py.typed"}


def test_every_part_with_its_licence(zipapp: Path) -> None:
    with zipfile.ZipFile(zipapp) as archive:
        names = archive.namelist()
        bundled = archive.read("licenses/BUNDLED").decode()
        assert archive.read("licenses/resync/LICENSE") == (TOP / "LICENSE").read_bytes()
    found = {canonicalize_name(name.split("/")[1]) for name in names if re.match("licenses/.+/", name)}
    assert found - {"resync"} == pins().keys()
    said = dict(re.findall(r"^(\S+ \S+): (\S.*)$", bundled, re.MULTILINE))
    assert {canonicalize_name(each.split(" ")[0]): each.split(" ")[1] for each in said} == pins()


def pins() -> dict[str, str]:
    """The versions in the lock."""
    return dict(re.findall(r"^(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}$", LOCK.read_text(), re.MULTILINE))


def test_the_lock_has_all_that_is_required_and_nothing_else() -> None:
    """What the project requires, and what that requires, on the oldest Python; within their bounds."""
    oldest = {"python_version": "3.10", "python_full_version": "3.10.0", "extra": ""}
    open_lines, reached = list(requires("git-resync") or []), set()
    while open_lines:
        requirement = Requirement(open_lines.pop())
        if requirement.marker is not None and not requirement.marker.evaluate(oldest):
            continue
        name = canonicalize_name(requirement.name)
        assert requirement.specifier.contains(pins()[name]), requirement
        if name not in reached:
            reached.add(name)
            open_lines += requires(name) or []
    assert reached == pins().keys()


def test_the_lock_names_no_host() -> None:
    assert "://" not in LOCK.read_text()


def test_nothing_asks_for_a_file_beside_it() -> None:
    """There is none: the package lies in an archive."""
    for path in (TOP / "resync").rglob("*.py"):
        asked = re.findall(r"__file__|importlib\.resources|pkgutil", path.read_text())
        assert asked == [], path


# --- what it does --------------------------------------------------------------------------------------


@needs_git
@pytest.mark.skipif(not EVENT.exists(), reason=f"the event's data is not at {EVENT}")
def test_the_event(zipapp: Path, world: World) -> None:
    """Check, run and undo in an empty environment."""
    event = upstream.begin(world)
    same = next(path for path, entry in event.old_files.items() if event.new_files.get(path) == entry)
    other = next(path for path, entry in event.old_files.items() if event.new_files.get(path, entry) != entry)
    world.git("config", "user.name", "A Person")
    world.git("config", "user.email", "person@example.com")
    mine = world.commit("Mine", {"local/mine": "mine\n", same: "mine, too\n"})
    world.write(other, "edited\n")
    before = world.state()
    upstream.rewrite(world, event)

    check = run(zipapp, "check", "--json", at=world.clone)
    assert (check.code, check.err) == (5, "")
    assert (check.json["upstream"]["left"], check.json["upstream"]["arrived"]) == (145, 1001)

    done = run(zipapp, "run", "--yes", "--dirty", "park", "--json", at=world.clone)
    assert (done.code, done.err) == (3, "")
    assert [(each["oid"], each["verdict"]) for each in done.json["commits"]] == [(mine, "reapplied")]
    assert [(each["path"], each["verdict"]) for each in done.json["files"]] == [(other, "parked")]
    assert world.git("rev-parse", "HEAD^") == event.new
    assert world.git("diff", "--name-only", "HEAD^", "HEAD").splitlines() == sorted(["local/mine", same])
    assert world.git("status", "--porcelain") == ""

    undone = run(zipapp, "undo", "--yes", "--json", at=world.clone)
    assert (undone.code, undone.err) == (0, "")
    after = world.state()
    assert {name: after[name] for name in ("head", "index", "files")} == {
        name: before[name] for name in ("head", "index", "files")
    }
    assert world.git("rev-parse", "HEAD") == mine


def test_the_demo_on_the_oldest_python(zipapp: Path, tmp_path: Path) -> None:
    python = found_python("3.10")
    if python is None:
        pytest.skip("there is no Python 3.10 on this machine")
    done = run(zipapp, "demo", str(tmp_path / "demo"), at=tmp_path, python=[python, "-I", "-S"])
    assert (done.code, done.err) == (0, "")
    told = done.out.replace(str(tmp_path / "demo"), "FOLDER")
    told = told.replace(shlex.quote(str(zipapp)), "'PYTHON -m resync'")
    assert told == EXPECTED_DEMO.read_text(encoding="utf-8")


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.9"])
def test_a_python_that_is_too_old(zipapp: Path, tmp_path: Path, version: str) -> None:
    python = found_python(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    done = run(zipapp, "run", "--yes", at=tmp_path, python=[python])
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"resync needs Python 3.10 or later, and {python} is {version}. Nothing was changed.\n"
        f"  name a newer one: python3.X {zipapp}\n"
    )


@needs_git
def test_many_checkouts(zipapp: Path, rewritten_world: World) -> None:
    """The processes at work on them find the archive, also where it was named from the folder it lies in."""
    world = rewritten_world
    shutil.copytree(world.clone, world.base / "another", symlinks=True)
    paths = [str(world.base / "another"), str(world.clone)]
    done = run(Path(zipapp.name), "check", "--json", *paths, at=zipapp.parent)
    assert (done.code, done.err) == (5, "")
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert {each["checkout"]: each["exit_code"] for each in answers if "checkout" in each} == dict.fromkeys(
        paths, 5
    )


@needs_git
def test_without_a_home_nothing_of_the_checkout_is_taken_for_it(zipapp: Path, rewritten_world: World) -> None:
    """A service has none: git's files of the user's are not looked for where the command is called."""
    rewritten_world.write(".config/git/ignore", "notes.txt\n")
    plan = run(zipapp, "plan", "--json", at=rewritten_world.clone)
    assert {each["path"]: each["state"] for each in plan.json["files"]}["notes.txt"] == "untracked"


@needs_git
@pytest.mark.parametrize(
    ("event", "status"), [("raise RuntimeError('the sky fell')", 70), ("os.kill(os.getpid(), 15)", 130)]
)
def test_a_bug_and_a_signal(zipapp: Path, rewritten_world: World, event: str, status: int) -> None:
    """Both in the middle of a rehearsal: the log file shows the very lines of the zipapp."""
    world = rewritten_world
    before = world.state()
    program = (
        f"import os, sys; sys.path.insert(0, {str(zipapp)!r})\n"
        "from resync import rehearse\n"
        "def broken(*arguments, **options):\n"
        f"    {event}\n"
        "rehearse.replay = broken\n"
        "from resync.cli import run_command\n"
        "sys.exit(run_command(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [*bare(), "-c", program, "run", "--yes", "--json"],
        cwd=world.clone,
        env=world.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    )
    assert done.returncode == status, done
    assert world.state() == before
    logs = list((Path(world.env["XDG_STATE_HOME"]) / "resync").rglob("*.log"))
    assert len(logs) == (status == 70)
    for log in logs:
        written = log.read_text()
        assert re.search(rf'File "{zipapp}/resync/[^"]+", line \d+, in \w+\n    \S', written), written
