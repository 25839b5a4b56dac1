"""Repositories of other people, what root makes in them, and a format that is refused before it is opened."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from resync.errors import ResyncError
from resync.repository import Repository
from tests.conftest import World, needs_git
from tests.states.play import RUN, rewrite, run

pytestmark = [
    needs_git,
    pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can give files away"),
]

SOMEBODY = 12345


def give_away(root: Path, owner: int = SOMEBODY) -> None:
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names, "."):
            os.chown(os.path.join(folder, name), owner, owner, follow_symlinks=False)


def trust(world: World, *values: str) -> None:
    for value in values:
        world.git("config", "--global", "--add", "safe.directory", value)


@pytest.mark.state(95)
@pytest.mark.parametrize("what", ["all", "git directory", "working tree"])
def test_somebody_elses_repository_is_refused(clone: World, what: str) -> None:
    """As by git; and the repository's own configuration cannot ask to be trusted."""
    rewrite(clone)
    clone.git("config", "safe.directory", "*")
    if what == "all":
        give_away(clone.clone)
    else:
        os.chown(clone.clone / ".git" if what == "git directory" else clone.clone, SOMEBODY, SOMEBODY)
    assert clone.git("status", check=False) == ""
    for command in (("check", "--json"), ("status", "--json"), RUN):
        done = clone.resync(*command)
        assert (done.code, done.json["error"]["kind"]) == (1, "not-yours"), done
        assert done.json["hint"].endswith(
            f"\ngit config --global --add safe.directory {clone.clone}    # if you trust it"
        )
    assert not (clone.clone / ".git" / "resync").exists()


@pytest.mark.state(95)
@pytest.mark.parametrize(
    ("values", "trusted"),
    [
        (["*"], True),
        (["/nowhere"], False),
        (["HERE"], True),
        (["*", ""], False),
        (["*", "", "HERE"], True),
        (["ABOVE/*"], True),
        (["HERE/*"], False),
    ],
)
def test_who_is_trusted(clone: World, values: list[str], trusted: bool) -> None:
    rewrite(clone)
    give_away(clone.clone)
    places = {"HERE": str(clone.clone), "ABOVE": str(clone.base)}
    trust(clone, *("/".join(places.get(part, part) for part in value.split("/")) for value in values))
    assert clone.resync("check").code == (5 if trusted else 1)


@pytest.mark.state(95)
def test_root_for_the_user_who_called_sudo(clone: World) -> None:
    rewrite(clone)
    give_away(clone.clone)
    assert clone.resync("check", env={"SUDO_UID": str(SOMEBODY)}).code == 5
    assert clone.resync("check", env={"SUDO_UID": "54321"}).code == 1
    assert clone.resync("check", env={"GIT_DIR": str(clone.clone / ".git")}).code == 5


@pytest.mark.state(95)
def test_an_unprivileged_user_on_a_repository_of_roots(clone: World) -> None:
    """As git, whatever the environment says of sudo; with safe.directory in the user's own configuration, or
    where GIT_DIR names it, it is opened."""
    rewrite(clone)
    # pytest's own folders are root's alone.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        place = Path(folder) / "clone"
        shutil.copytree(clone.clone, place, symlinks=True)
        env = {**clone.env, "HOME": folder, "GIT_CONFIG_GLOBAL": f"{folder}/gitconfig"}
        assert opened_by(SOMEBODY, place, env) == git_by(SOMEBODY, place, env) == "not-yours"
        sudo = {**env, "SUDO_UID": "0"}
        assert opened_by(SOMEBODY, place, sudo) == git_by(SOMEBODY, place, sudo) == "not-yours"
        named = {**env, "GIT_DIR": str(place / ".git"), "GIT_WORK_TREE": str(place)}
        assert opened_by(SOMEBODY, place, named) == git_by(SOMEBODY, place, named) == "opened"
        Path(folder, "gitconfig").write_text(f"[safe]\n\tdirectory = {place}\n")
        assert opened_by(SOMEBODY, place, env) == git_by(SOMEBODY, place, env) == "opened"


def opened_by(user: int, place: Path, env: dict[str, str]) -> str:
    """What becomes of opening the repository as that user: ``opened``, or the kind of the refusal.

    In a process that is split off: Python may lie where that user cannot read it.
    """
    import dulwich.config
    import dulwich.repo

    assert dulwich.repo
    assert dulwich.config
    end, start = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.environ.update(env)
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            try:
                Repository.open(str(place), env).close()
                word = "opened"
            except ResyncError as error:
                word = error.kind
            os.write(start, word.encode())
        finally:
            os._exit(0)
    os.close(start)
    with open(end, "rb") as answer:
        word = answer.read().decode()
    os.waitpid(child, 0)
    return word


def git_by(user: int, place: Path, env: dict[str, str]) -> str:
    """The same of git."""
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=place,
        env=env,
        user=user,
        group=user,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    return "opened" if done.returncode == 0 else "not-yours" if "dubious" in done.stderr else done.stderr


@pytest.mark.state(96)
@pytest.mark.parametrize("follow", [True, False])
def test_what_root_makes_belongs_to_the_owner_of_the_folder(clone: World, follow: bool) -> None:
    rewrite(clone, {"new/deep/file.txt": "new\n", "numbers.txt": "1\n"})
    give_away(clone.clone)
    trust(clone, "*")
    if not follow:
        clone.git("config", "--global", "resync.followOwner", "false")
    run(clone)
    roots = [str(path) for path in clone.clone.rglob("*") if path.lstat().st_uid == 0]
    assert (roots == []) == follow, roots
    # A file that took another's place has its owner in any case.
    assert (clone.clone / "numbers.txt").stat().st_uid == SOMEBODY
    assert (clone.clone / "new" / "deep" / "file.txt").stat().st_uid == (SOMEBODY if follow else 0)


@pytest.mark.state(42)
@pytest.mark.parametrize("half_way", ["no tables", "no extension"])
def test_a_reftable_is_refused_before_it_is_opened(clone: World, half_way: str) -> None:
    """Also one that a migration left half-way: opening it with dulwich would change it."""
    git_dir = clone.clone / ".git"
    if half_way == "no tables":
        clone.git("config", "core.repositoryFormatVersion", "1")
        with open(git_dir / "config", "a") as config:
            config.write("[extensions]\n\trefStorage = reftable\n")
    else:
        (git_dir / "reftable").mkdir()
        (git_dir / "reftable" / "tables.list").write_text("")
    before = sorted(map(str, git_dir.rglob("*")))
    for folder in (clone.clone, clone.clone / "dir"):
        done = clone.resync(*RUN, at=folder)
        assert (done.code, done.json["error"]["kind"]) == (1, "unsupported-repository"), done
        assert str(clone.clone) in done.json["error"]["message"]
    assert sorted(map(str, git_dir.rglob("*"))) == before
