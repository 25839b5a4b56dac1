"""What upstream may send (numbers 60 to 73): nothing outside of the working tree is touched, ever."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Done, World, needs_git
from tests.rewritten import publish, work
from tests.states.play import (
    RUN,
    blob,
    everything,
    move_upstream_to,
    raw_tree,
    refused,
    rewrite,
    run,
    sound,
    state,
)

pytestmark = needs_git

NOBODY = 65534


@pytest.fixture(params=["root", "nobody"])
def watched(request: pytest.FixtureRequest, clone: World) -> Iterator[World]:
    """The clone with canaries all around it, as root and as a user who owns it all; they must not change."""
    if os.geteuid() != 0:
        pytest.skip("only root can become nobody" if request.param == "nobody" else "not root")
    with ExitStack() as stack:
        if request.param == "nobody":
            clone = stack.enter_context(in_the_open(clone))
        canaries = clone.base / "canaries"
        canaries.mkdir()
        (canaries / "config").write_text("outside\n")
        (clone.base / "x").write_text("outside\n")
        (clone.base / "evil").mkdir()
        if request.param == "nobody":
            for folder, _, names in os.walk(clone.base):
                os.chown(folder, NOBODY, NOBODY)
                for name in names:
                    os.chown(os.path.join(folder, name), NOBODY, NOBODY, follow_symlinks=False)
            # git, which is root here, believes nobody else's repository unless it is told to.
            clone.git("config", "--global", "safe.directory", "*")
        before = outside(clone)
        yield clone
        assert outside(clone) == before


@contextmanager
def in_the_open(world: World) -> Iterator[World]:
    """The world in a folder of its own to which everybody finds the way: pytest closes its own folders, also
    those of another pytest, whenever one begins."""
    for place in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):
        above = [Path(place), *Path(place).resolve().parents]
        if all(folder.is_dir() and folder.stat().st_mode & stat.S_IXOTH for folder in above):
            break
    else:
        pytest.skip("there is no folder for temporary files that everybody may pass")
    with tempfile.TemporaryDirectory(dir=place) as folder:
        os.chmod(folder, 0o711)
        base = Path(shutil.move(world.base, folder))
        yield replace(world, base=base, upstream=base / "up.git", clone=base / "clone")


def outside(world: World) -> dict[str, tuple[int, int, bytes]]:
    """Everything beside the clone and upstream, and what in the clone's git directory makes git do things."""
    found = {}
    for path in sorted(world.base.rglob("*")):
        inside = path.relative_to(world.base).parts
        if inside[0] in ("up.git", "work") or inside == ("clone",):
            continue
        if inside[0] == "clone" and inside[1:2] != (".git",):
            continue
        if inside[:2] == ("clone", ".git") and inside[2:3] not in (
            ("config",),
            ("hooks",),
            ("HEAD",),
            ("info",),
        ):
            continue
        status = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found["/".join(inside)] = (status.st_mode, status.st_mtime_ns, data)
    return found


# Becomes the owner of the folder it is called in, once all is loaded that the owner might not be let read (in
# what is forked it is).
_AS_OWNER = """\
import contextlib, encodings.ascii, importlib, os, pkgutil, sys
import dulwich, resync
from resync.cli import run_command
if "dulwich.server" not in sys.modules:
    for package in (resync, dulwich):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not any(part in module.name for part in ("__main__", ".tests", ".contrib", ".cli.")):
                with contextlib.suppress(ImportError):
                    importlib.import_module(module.name)
owner = os.stat(".").st_uid
if owner != os.geteuid():
    os.setgroups([])
    os.setgid(owner)
    os.setuid(owner)
sys.exit(run_command(sys.argv[1:]))
"""


def as_owner(world: World, *arguments: str) -> Done:
    """resync as the user to whom the clone belongs."""
    home = world.base / "home"
    home.mkdir(exist_ok=True)
    os.chown(home, world.clone.stat().st_uid, -1)
    env = {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}
    return world.python(_AS_OWNER, *arguments, env=env)


def evil(world: World, path: bytes, mode: str = "100644", data: bytes = b"evil\n") -> str:
    """A tree whose one path may hold what git would never let in; ``//`` stands between its names."""
    *folders, name = path.split(b"//")
    oid = raw_tree(world, [(mode, name, blob(world, data))])
    for folder in reversed(folders):
        oid = raw_tree(world, [("40000", folder, oid)])
    return oid


@pytest.mark.state(60)
@pytest.mark.state(61)
@pytest.mark.parametrize(
    "path",
    [
        b".git//config",
        b".GiT//hooks//post-checkout",
        b"git~1//config",
        b"GIT~1",
        b".git ..//config",
        b".git::$INDEX_ALLOCATION//config",
        b".gi\xe2\x80\x8ct//config",
        b"a//\xef\xbb\xbf.git//config",
        b"a\\.git\\config",
        b"..//canaries//config",
        b"a//..//..//x",
        b"..",
        b".",
    ],
)
def test_names_that_reach_out(clone: World, path: bytes) -> None:
    move_upstream_to(clone, evil(clone, path))
    done = refused(clone, "hostile-path")
    assert "would reach out of the working tree or into .git" in done.json["error"]["message"]


@pytest.mark.state(61)
@pytest.mark.state(62)
@pytest.mark.parametrize("path", [b"", b"/canaries", b"a/b", b"../x", b"dir//"])
def test_names_that_are_paths(clone: World, path: bytes) -> None:
    move_upstream_to(clone, evil(clone, path))
    refused(clone, "hostile-tree")


@pytest.mark.state(60)
@pytest.mark.state(61)
@pytest.mark.state(64)
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b".git//config", "hostile-path"),
        (b"..//canaries//config", "hostile-path"),
        (b"../canaries/config", "hostile-tree"),
    ],
)
def test_nothing_outside_is_touched(watched: World, path: bytes, kind: str) -> None:
    move_upstream_to(watched, evil(watched, path))
    for command in (("plan", "--json"), RUN):
        done = as_owner(watched, *command)
        assert (done.code, done.json["error"]["kind"]) == (1, kind), done


@pytest.mark.state(64)
def test_a_link_and_a_path_through_it_in_the_way(watched: World) -> None:
    """A link that stands where upstream wants a folder is saved and goes; nobody writes through it."""
    (watched.clone / "lib").symlink_to("../canaries")
    rewrite(watched, {"lib/config": "evil\n"})
    done = as_owner(watched, *RUN)
    assert done.code == 3, done
    assert (watched.clone / "lib" / "config").read_text() == "evil\n"
    assert not (watched.clone / "lib").is_symlink()


@pytest.mark.state(63)
@pytest.mark.state(64)
@pytest.mark.parametrize("second", ["blob", "tree", "link"])
def test_one_name_twice(clone: World, second: str) -> None:
    file = blob(clone, b"evil\n")
    below = raw_tree(clone, [("100644", b"x", file)])
    other = {"blob": ("100644", b"a", file), "tree": ("40000", b"a", below), "link": ("120000", b"a", file)}
    move_upstream_to(clone, raw_tree(clone, [other[second], ("40000", b"a", below)]))
    refused(clone, "hostile-tree")


@pytest.mark.state(65)
@pytest.mark.parametrize(
    ("setting", "paths"),
    [
        ("core.ignoreCase", ["README", "readme"]),
        ("core.ignoreCase", ["lib/a.txt", "LIB"]),
        ("core.ignoreCase", ["dir", "DIR/hooks/evil"]),
        ("core.ignoreCase", ["NUMBERS.txt"]),
        ("core.precomposeUnicode", ["caf\u00e9", "cafe\u0301"]),
    ],
)
def test_names_that_are_one_on_this_disk(clone: World, setting: str, paths: list[str]) -> None:
    files: dict[str, str | bytes | None] = dict.fromkeys(paths, "theirs\n")
    if "dir" in files:
        files = {"dir/one.txt": None, "dir/two.txt": None, **files}
    rewrite(clone, files)
    clone.git("config", setting, "true")
    refused(clone, "colliding-paths")
    clone.git("config", setting, "false")
    assert clone.resync(*RUN).code == 0


@pytest.mark.state(65)
def test_folders_that_differ_in_case_are_one_folder(clone: World) -> None:
    """Nothing is lost by that, and git does the same."""
    rewrite(clone, {"Dir/three.txt": "3\n"})
    clone.git("config", "core.ignoreCase", "true")
    run(clone)


@pytest.mark.state(66)
@pytest.mark.parametrize("mode", ["0", "60000", "10644", "140000", "170000"])
def test_modes_that_git_does_not_know(clone: World, mode: str) -> None:
    move_upstream_to(clone, evil(clone, b"a//file", mode))
    refused(clone, "hostile-tree")


@pytest.mark.state(66)
def test_modes_that_old_trees_have(clone: World) -> None:
    """Files with other permissions are read as git reads them, and set no bits of their own."""
    entries = [("100664", b"file"), ("104777", b"program"), ("120777", b"w-link")]
    target = blob(clone, b"file")
    move_upstream_to(clone, raw_tree(clone, [(mode, name, target) for mode, name in entries]))
    before = state(clone)
    done = clone.resync(*RUN)
    assert done.code == 0, done
    assert clone.git("status", "--porcelain") == ""
    assert stat.S_IMODE((clone.clone / "program").stat().st_mode) == 0o755
    assert os.readlink(clone.clone / "w-link") == "file"
    assert clone.resync("undo", "--yes", env={"GIT_COMMITTER_DATE": "1461092700 +0000"}).code == 0
    assert state(clone) == before


@pytest.mark.state(67)
@pytest.mark.parametrize(
    "name", [b".gitmodules", b".GITMODULES", b"gitmod~1", b".git\xe2\x80\x8cmodules", b".gitmodules ."]
)
def test_a_list_of_submodules_that_is_a_link(clone: World, name: bytes) -> None:
    move_upstream_to(clone, evil(clone, name, "120000", b"../canaries/config"))
    done = refused(clone, "hostile-path")
    assert "list of submodules" in done.json["error"]["message"]


@pytest.mark.state(68)
@pytest.mark.parametrize("path", [b"n" * 256, b"//".join([b"d" * 200] * 21)])
def test_names_that_are_too_long(clone: World, path: bytes) -> None:
    move_upstream_to(clone, evil(clone, path))
    done = refused(clone, "hostile-path")
    assert "longer than" in done.json["error"]["message"]


@pytest.mark.state(68)
def test_the_longest_name_that_can_be(clone: World) -> None:
    rewrite(clone, {"n" * 255: "long\n"})
    run(clone)
    assert (clone.clone / ("n" * 255)).read_text() == "long\n"


def within(world: World, *arguments: str, seconds: int = 60, megabytes: int = 2048) -> Done:
    """resync with no more than this much memory and time (seconds of the processor)."""

    program = _WITHIN.format(memory=megabytes << 20, time=seconds)
    return world.python(program, *arguments)


_WITHIN = """
import resource, sys
from resync.cli import run_command
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
resource.setrlimit(resource.RLIMIT_CPU, ({time}, {time}))
sys.exit(run_command(sys.argv[1:]))
"""


@pytest.mark.state(69)
def test_a_tree_bomb(clone: World) -> None:
    """Nine trees of ten entries each that describe ten thousand million files."""
    mode, oid = "100644", blob(clone, b"boom\n")
    for _ in range(10):
        oid = raw_tree(clone, [(mode, b"%d" % number, oid) for number in range(10)])
        mode = "40000"
    move_upstream_to(clone, oid)
    before = state(clone)
    done = within(clone, *RUN)
    assert (done.code, done.json["error"]["kind"]) == (1, "too-many-files"), done
    assert state(clone) == before


@pytest.mark.state(69)
@pytest.mark.parametrize("depth", [1300, 5000])
def test_a_very_deep_tree(clone: World, depth: int) -> None:
    oid = raw_tree(clone, [("100644", b"f", blob(clone, b"deep\n"))])
    trees = [oid]
    for _ in range(depth):
        data = b"40000 d\0" + bytes.fromhex(trees[-1])
        trees.append(_write_tree(clone, data))
    move_upstream_to(clone, trees[-1])
    before = everything(clone)
    try:
        done = within(clone, *RUN)
        if depth > 2048:
            assert (done.code, done.json["error"]["kind"]) == (1, "hostile-path"), done
            assert everything(clone) == before
        else:
            assert done.code == 0, done
            assert clone.git("status", "--porcelain") == ""
    finally:
        # Python's own way to remove it would need a stack as deep.
        subprocess.run(["rm", "-rf", clone.clone / "d"], check=True)


def _write_tree(world: World, data: bytes) -> str:
    """A tree object, written without a process for each."""
    import hashlib
    import zlib

    whole = b"tree %d\0" % len(data) + data
    oid = hashlib.sha1(whole).hexdigest()
    path = world.upstream / "objects" / oid[:2] / oid[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(zlib.compress(whole, 1))
    return oid


@pytest.mark.state(71)
@pytest.mark.parametrize("file", [".gitignore", ".gitattributes"])
def test_patterns_that_are_made_to_be_slow(clone: World, file: str) -> None:
    slow = "a*" * 25 + "b"
    name = "a" * 120
    rewrite(clone, {file: f"{slow} text\n" * 20, name: "theirs\n"})
    clone.write(name, "mine\n")
    clone.write(file, f"{slow} text\n" * 20)
    done = within(clone, *RUN, seconds=20)
    assert done.code == 3, done


NASTY = "\x1b]0;owned\x07\x1b[2J\u202egpj.exe\u2066\x00"[:-1]


@pytest.mark.state(72)
def test_escape_sequences_are_shown_and_not_obeyed(clone: World) -> None:
    clone.commit(f"Subject {NASTY}", {f"mine{NASTY}": "mine\n"})
    clone.write(f"theirs{NASTY}", "mine\n")
    at = work(clone)
    clone.git("reset", "-q", "--hard", "main~1", at=at)
    clone.commit(f"New {NASTY}", {f"theirs{NASTY}": "theirs\n", "numbers.txt": "new\n"}, at=at)
    publish(clone)
    printed = [
        clone.terminal("plan").out,
        clone.terminal("run", answer="y\n").out,
        clone.resync("status").out,
    ]
    printed += [clone.resync("log").out, clone.resync("rescue", "show").out, clone.resync("undo").err]
    own = ("\x1b[1m", "\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[2m", "\x1b[22m", "\x1b[39m")
    for text in printed:
        for colour in own:
            text = text.replace(colour, "")
        assert not set(text) & set("\x07\u202e\u2066"), text
        assert "\x1b]0" not in text
        assert "\x1b[2J" not in text
    assert "\\x1b]0;owned\\x07" in printed[0]


@pytest.mark.state(70)
def test_a_blob_bomb(clone: World) -> None:
    """Many zeros that are few bytes on the way: where memory does not suffice, nothing has changed."""
    size = 200 << 20
    path = work(clone) / "zeros"
    with open(path, "wb") as file:
        file.truncate(size)
    rewrite(clone)
    clone.git("add", "zeros", at=work(clone))
    clone.git("commit", "-q", "--amend", "--no-edit", at=work(clone))
    publish(clone)
    path.unlink()
    before = state(clone)
    done = within(clone, *RUN, megabytes=400)
    assert done.code in (1, 75), done
    assert done.json["error"]["kind"] != "bug"
    assert state(clone) == before
    assert sound(clone)
