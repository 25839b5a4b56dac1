"""What has to be known of a repository before anything in it is opened or believed.

dulwich changes a repository whose refs are a reftable by opening it, and opens those of other people, whose
configuration names programs. git refuses these (git-config(1), safe.directory).
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from resync.errors import Refused, UsageError
from resync.repository.config import values_of

if TYPE_CHECKING:
    from dulwich.config import StackedConfig

_REFTABLE = re.compile(rb"^\s*refstorage\s*=\s*\"?reftable", re.IGNORECASE | re.MULTILINE)
_OCTAL = re.compile(rb"\\([0-7]{3})")
_GITFILE = b"gitdir: "
_LONGEST = 65536
_FILES = ("HEAD", "packed-refs", "config", "commondir", "shallow", "objects/info/alternates")


def refuse_reftable(path: str, env: Mapping[str, str]) -> None:
    """Raise ``Refused("unsupported-repository")`` where the repository that ``path`` is in keeps its refs as
    a reftable, or was left half-way to or from that. Nothing is opened for writing."""
    for git_dir in _git_dirs(path, env):
        common = os.path.join(git_dir, os.fsdecode(_first_line(os.path.join(git_dir, "commondir")) or b"."))
        config = _read(os.path.join(common, "config"))
        if _REFTABLE.search(config) or os.path.exists(os.path.join(common, "reftable", "tables.list")):
            raise Refused(
                "unsupported-repository",
                f"The repository at {_top(git_dir)} keeps its refs as a reftable, which resync cannot lock."
                " Nothing was changed.",
                "git refs migrate --ref-format=files",
            )
        return


def _git_dirs(path: str, env: Mapping[str, str]) -> Iterator[str]:
    """The git directory that the environment names, else those of the folders from ``path`` upwards."""
    if env.get("GIT_DIR"):
        yield os.path.join(path, env["GIT_DIR"])
        return
    for folder in upwards(os.path.realpath(path), env):
        found = os.path.join(folder, ".git")
        if os.path.isfile(found):
            line = _first_line(found) or b""
            yield os.path.join(folder, os.fsdecode(line.removeprefix(_GITFILE)))
        elif os.path.isdir(os.path.join(found, "objects")):
            yield found
        elif os.path.isdir(os.path.join(folder, "objects")) and os.path.isfile(os.path.join(folder, "HEAD")):
            yield folder


def upwards(path: str, env: Mapping[str, str]) -> Iterator[str]:
    """``path`` and the folders above it, as far up as git looks for a repository."""
    last = ceilings(env)
    yield path
    while (above := os.path.dirname(path)) != path and os.path.realpath(above) not in last:
        yield above
        path = above


def ceilings(env: Mapping[str, str]) -> frozenset[str]:
    """The folders that git looks for a repository only below (git(1), ``GIT_CEILING_DIRECTORIES``)."""
    named = env.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
    return frozenset(os.path.realpath(folder) for folder in named if os.path.isabs(folder))


def refuse_other_places(git_dir: str, common_dir: str, env: Mapping[str, str]) -> None:
    """Refuse where the environment has git look for objects or refs in places that resync does not look in.

    What resync wrote, git would not see there, and what git wrote would be missing here. A variable that
    names the place that is meant anyway does no harm. Raises ``UsageError("unsupported-environment")``.
    """
    places = {
        "GIT_COMMON_DIR": common_dir,
        "GIT_OBJECT_DIRECTORY": os.path.join(common_dir, "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.path.join(common_dir, "objects"),
    }
    for name, place in places.items():
        if env.get(name) and os.path.realpath(env[name]) != os.path.realpath(place):
            raise UsageError(
                "unsupported-environment",
                f"{name} has git look for what belongs to {git_dir} in {env[name]}, which resync does not"
                " know how to do. Nothing was changed.",
                f"unset {name}",
            )


def still_stands(folder: str, git_dir: str) -> bool:
    """Whether a folder in which this git directory once had its files may still be that working tree.

    It is where its ``.git`` leads here, or where it has none and is not empty (``GIT_WORK_TREE`` names such).
    One with a repository of its own is not: ours was moved or copied from there.
    """
    found = os.path.join(folder, ".git")
    if not os.path.lexists(found):
        return os.path.isdir(folder) and bool(os.listdir(folder))
    if os.path.isfile(found):
        found = os.path.join(folder, os.fsdecode((_first_line(found) or b"").removeprefix(_GITFILE)))
    return os.path.realpath(found) == os.path.realpath(git_dir)


def leads_nowhere(folder: str) -> bool:
    """Whether the ``.git`` of a folder is a file that leads to no repository: one of a working tree whose
    repository was removed, or moved away."""
    found = os.path.join(folder, ".git")
    if not os.path.isfile(found):
        return False
    line = _first_line(found) or b""
    git_dir = os.path.join(folder, os.fsdecode(line.removeprefix(_GITFILE)))
    return not line.startswith(_GITFILE) or not os.path.isfile(os.path.join(git_dir, "HEAD"))


def _top(git_dir: str) -> str:
    return os.path.dirname(git_dir) if os.path.basename(git_dir) == ".git" else git_dir


def _first_line(path: str) -> bytes | None:
    return _read(path).split(b"\n", 1)[0].rstrip(b"\r") or None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_LONGEST)
    except OSError:
        return b""


# --- whose it is ---------------------------------------------------------------------------------------


def refuse_strangers(
    config: StackedConfig, root: str, git_dir: str, common_dir: str, env: Mapping[str, str]
) -> None:
    """Raise ``Refused("not-yours")`` where working tree or git directory belong to another user, and no
    ``safe.directory`` of the user's own configuration says that this is all right.

    As with git, whoever names the repository by ``GIT_DIR`` knows what it is, and root under sudo may also
    work on what belongs to the user who called it.
    """
    if env.get("GIT_DIR") or not hasattr(os, "geteuid"):
        return
    mine = {os.geteuid()}
    if os.geteuid() == 0 and env.get("SUDO_UID", "").isdigit():
        mine.add(int(env["SUDO_UID"]))
    places = {root, os.path.join(root, ".git"), git_dir, common_dir}
    owners = {os.lstat(place).st_uid for place in places if os.path.lexists(place)}
    if owners <= mine or _is_safe(config, root, common_dir):
        return
    raise Refused(
        "not-yours",
        f"The repository at {root} belongs to another user, whose configuration may name any program."
        " Nothing was changed.",
        "run resync as its owner",
        f"git config --global --add safe.directory {shlex.quote(root)}    # if you trust it",
    )


def _is_safe(config: StackedConfig, root: str, common_dir: str) -> bool:
    """By the last word of the user's and the system's configuration: the repository's own says nothing."""
    safe = False
    own = os.path.realpath(common_dir)
    for backend in reversed(config.backends):
        path = getattr(backend, "path", None)
        if path is not None and os.path.realpath(os.fsdecode(path)).startswith(own + os.sep):
            continue
        for value in _values(backend):
            safe = value != "" and (safe or _names(value, os.path.realpath(root)))
    return safe


def _values(backend: object) -> Iterator[str]:
    from dulwich.config import StackedConfig

    for value in values_of(StackedConfig([backend]), (b"safe",), "directory"):  # type: ignore[list-item]
        yield os.fsdecode(value)


def _names(value: str, root: str) -> bool:
    if value == "*":
        return True
    if value.endswith("/*"):
        return root.startswith(os.path.join(os.path.realpath(os.path.expanduser(value[:-2])), ""))
    return os.path.realpath(os.path.expanduser(value)) == root


def refuse_traps(path: str) -> None:
    """Raise ``Refused("strange-repository")`` where a repository of somebody else's, which is only read, has
    a pipe, a device or the like where its files should be: to open one may wait for ever, or never end."""
    if not hasattr(os, "geteuid"):
        return
    for top in (path, os.path.join(path, ".git")):
        if not os.path.isdir(top) or os.stat(top).st_uid in (0, os.geteuid()):
            continue
        below = [
            *_FILES,
            *(
                os.path.join(at, each)
                for at, _, names in os.walk(os.path.join(top, "refs"))
                for each in names
            ),
        ]
        for name in below:
            place = os.path.join(top, name)
            if os.path.exists(place) and not stat.S_ISREG(os.stat(place).st_mode):
                raise Refused(
                    "strange-repository",
                    f"The repository at {path} belongs to another user, and its {os.path.relpath(place, top)}"
                    " is no file. Nothing was changed.",
                    "git remote -v",
                )


# --- what it lies on -----------------------------------------------------------------------------------

_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "glusterfs", "lustre")


def network_file_system(folder: str, mounts: str = "/proc/self/mountinfo") -> str | None:
    """The kind of network file system that a folder lies on, where the system tells (Linux: proc(5))."""
    place = os.fsencode(os.path.realpath(folder))
    best, kind = b"", b""
    for line in _read(mounts).splitlines():
        before, _, after = line.partition(b" - ")
        words = before.split(b" ")
        if len(words) < 5 or not after:
            continue
        point = _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), words[4])
        inside = place == point or place.startswith(point.rstrip(b"/") + b"/")
        if inside and len(point) >= len(best):
            best, kind = point, after.split(b" ")[0]
    name = kind.decode("ascii", "replace")
    return name if name in _NETWORK else None
