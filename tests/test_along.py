"""Other working trees, which move along with the branch that they have checked out, where they are clean."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from resync.journal import Journals
from resync.jump import Along
from resync.model import OtherTree, RefName
from resync.repository import Repository
from resync.repository.trees import is_gone, opened, other_checkouts
from resync.worktree.settings import read_settings
from tests import rewritten
from tests.conftest import CLOCK, Done, World, environment, needs_git, snapshot_files
from tests.inside import inside
from tests.meanwhile import meanwhile, without_backup

pytestmark = needs_git

RUN = ("run", "--yes", "--json", "--all-branches")
TOPIC = RefName(b"refs/heads/topic")


def call(world: World, *arguments: str, at: Path | None = None, minutes: int = 0) -> Done:
    """Run resync in the clone (or ``at``), some minutes after the first run."""
    env = {**world.env, "GIT_COMMITTER_DATE": f"{CLOCK + 60 * minutes} +0000"}
    return inside(replace(world, env=env), *arguments, at=at)


# --- which trees can ------------------------------------------------------------------------------------


def made(base: Path) -> World:
    """An empty world in ``base``, whose upstream is found from wherever it is copied to."""
    (base / "home").mkdir()
    world = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(base / "home"))
    world.git("init", "-q", "--bare", "-b", "main", str(world.upstream), at=base)
    return world


def copied(template: World, base: Path, home: Path) -> World:
    """A copy of a world, with its second working tree."""
    shutil.copytree(template.base, base, symlinks=True)
    world = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(home))
    (linked(world) / ".git").write_text(f"gitdir: {own_git_dir(world)}\n")
    (own_git_dir(world) / "gitdir").write_text(f"{linked(world)}/.git\n")
    return world


@pytest.fixture(scope="module")
def _two(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = made(tmp_path_factory.mktemp("two"))
    world.git("init", "-q", "-b", "main", str(world.clone), at=world.base)
    files = {"README": "old\n", "etc/conf": "old\n", "kept": "kept\n", "sub/one": "1\n"}
    world.commit("Old", {**files, ".gitattributes": "*.up filter=up\n"})
    world.git("worktree", "add", "-q", "-b", "topic", str(world.base / "linked"))
    world.commit("New", {"README": "new\n", "new": "new\n", "deep/er": "new\n", "sub/one": None})
    return world


@pytest.fixture
def two(_two: World, tmp_path: Path, hermetic: Path) -> World:
    """A repository without upstream: ``topic`` is checked out in ``linked``, ``main`` in the clone."""
    return copied(_two, tmp_path / "world", hermetic)


def linked(world: World) -> Path:
    return world.base / "linked"


def own_git_dir(world: World) -> Path:
    return world.clone / ".git" / "worktrees" / "linked"


def take(world: World, new: str = "main") -> tuple[str, Along]:
    """What stands against the tree moving along to ``new``, and the switch that it comes to."""
    ids = [world.git("rev-parse", name).encode() for name in ("topic", new)]
    with Repository.open(str(world.clone), world.env) as repository:
        settings = read_settings(
            repository.config, common_dir=repository.common_dir, user_dir=str(world.base / "home")
        )
        along = Along(repository, settings)
        why = along.take(TOPIC, *ids)  # type: ignore[arg-type]
    return why, along


def test_a_clean_tree_moves_along(two: World) -> None:
    why, along = take(two)
    (switch,) = along.switches
    assert why == ""
    assert switch.tree == OtherTree(root=str(linked(two)), git_dir="worktrees/linked", branch=TOPIC)
    assert {each.path for each in switch.files} == {b"README", b"deep/er", b"new", b"sub/one"}
    assert {each.path for each in switch.index} == {b"README", b"deep/er", b"new", b"sub/one"}


def test_the_main_tree_is_found_and_opened_from_a_linked_one(two: World) -> None:
    with Repository.open(str(linked(two)), two.env) as repository:
        (tree,) = other_checkouts(repository, RefName(b"refs/heads/main"))
        assert (tree.root, tree.git_dir) == (str(two.clone), ".")
        assert opened(repository, tree).root == str(two.clone)


def test_files_that_git_does_not_have_and_that_are_not_in_the_way_do_not_matter(two: World) -> None:
    two.write("notes", "mine\n", at=linked(two))
    two.write("deep.txt", "mine\n", at=linked(two))
    assert take(two)[0] == ""


def _edit(world: World) -> None:
    world.write("kept", "edited\n", at=linked(world))


def _stage(world: World) -> None:
    _edit(world)
    world.git("add", "kept", at=linked(world))


def _stage_only(world: World) -> None:
    _stage(world)
    world.write("kept", "kept\n", at=linked(world))


def _announce(world: World) -> None:
    world.write("other", "", at=linked(world))
    world.git("add", "-N", "other", at=linked(world))


def _unmerged(world: World) -> None:
    oid = world.git("rev-parse", "HEAD:kept")
    rows = "".join(f"100644 {oid} {stage}\tkept\n" for stage in (1, 2, 3))
    world.git("update-index", "--force-remove", "kept", at=linked(world))
    world.git("update-index", "--index-info", at=linked(world), stdin=rows.encode())


def _in_the_way(world: World) -> None:
    world.write("new", "mine\n", at=linked(world))


def _same_in_the_way(world: World) -> None:
    world.write("new", "new\n", at=linked(world))


def _ignored_in_the_way(world: World) -> None:
    world.write(".git/info/exclude", "deep\n")
    world.write("deep/er", "a secret\n", at=linked(world))


def _fifo_in_the_way(world: World) -> None:
    os.mkfifo(linked(world) / "new")


def _repository_in_the_way(world: World) -> None:
    world.git("init", "-q", str(linked(world) / "deep"))


def _operation(name: str) -> Callable[[World], None]:
    def begin(world: World) -> None:
        (own_git_dir(world) / name).write_text(world.git("rev-parse", "main") + "\n")

    begin.__name__ = name
    return begin


def _rebased(world: World) -> None:
    """HEAD is detached then, and git comes back to the branch."""
    world.git("checkout", "-q", "--detach", at=linked(world))
    (own_git_dir(world) / "rebase-merge").mkdir()
    (own_git_dir(world) / "rebase-merge" / "head-name").write_text("refs/heads/topic\n")


def _bisected(world: World) -> None:
    world.git("bisect", "start", at=linked(world))
    world.git("checkout", "-q", "--detach", at=linked(world))


def _locked_index(world: World) -> None:
    (own_git_dir(world) / "index.lock").touch()


def _locked_head(world: World) -> None:
    (own_git_dir(world) / "HEAD.lock").touch()


def _sparse(world: World) -> None:
    world.git("update-index", "--skip-worktree", "kept", at=linked(world))


def _assumed(world: World) -> None:
    world.git("update-index", "--assume-unchanged", "kept", at=linked(world))


def _settings(world: World) -> None:
    world.git("config", "extensions.worktreeConfig", "true")
    world.git("config", "--worktree", "core.autocrlf", "true", at=linked(world))


def _settings_by_condition(world: World) -> None:
    world.write("../crlf", "[core]\n\tautocrlf = true\n")
    world.git("config", f"includeIf.gitdir:{own_git_dir(world)}.path", str(world.base / "crlf"))


def _twice(world: World) -> None:
    world.git("worktree", "add", "-q", "--force", str(world.base / "third"), "topic")


def _leads_elsewhere(world: World) -> None:
    shutil.rmtree(linked(world))
    world.git("clone", "-q", str(world.clone), str(linked(world)), at=world.base)


def _gone_for_a_while(world: World) -> None:
    world.git("worktree", "lock", str(linked(world)))
    linked(world).rename(world.base / "away")


def _no_index(world: World) -> None:
    (own_git_dir(world) / "index").unlink()


def _split_index(world: World) -> None:
    world.git("update-index", "--split-index", at=linked(world))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_edit, "it is not clean there (kept)"),
        (_stage, "it is not clean there (kept)"),
        (_stage_only, "it is not clean there (kept)"),
        (_announce, "it is not clean there (other)"),
        (_unmerged, "unmerged paths"),
        (_in_the_way, "are in the way: new"),
        (_same_in_the_way, "are in the way: new"),
        (_ignored_in_the_way, "are in the way: deep/er"),
        (_fifo_in_the_way, "are in the way: new"),
        (_repository_in_the_way, "'deep' is a repository of its own"),
        (_operation("MERGE_HEAD"), "A git merge is under way"),
        (_operation("CHERRY_PICK_HEAD"), "A git cherry-pick is under way"),
        (_operation("BISECT_LOG"), "A git bisect is under way"),
        (_operation("rebase-merge"), "A git rebase is under way"),
        (_rebased, "A git rebase is under way"),
        (_bisected, "A git bisect is under way"),
        (_locked_index, "index.lock"),
        (_locked_head, "HEAD.lock"),
        (_sparse, "it is not clean there (kept)"),
        (_assumed, "it is not clean there (kept)"),
        (_settings, "settings of its own"),
        (_settings_by_condition, "settings of its own"),
        (_twice, "has it checked out as well"),
        (_leads_elsewhere, "does not lead back to its repository"),
        (_gone_for_a_while, "is not there now"),
        (_no_index, "it is not clean there"),
        (_split_index, "split"),
    ],
)
def test_a_tree_that_cannot_move_along_stays_and_the_reason_is_said(
    two: World, spoil: Callable[[World], None], said: str
) -> None:
    spoil(two)
    why, along = take(two)
    assert along.switches == []
    assert f"it is checked out in {linked(two)}" in why
    assert said in why


def test_a_tree_in_which_a_filter_fails_stays(two: World) -> None:
    two.git("config", "filter.up.smudge", "false")
    two.commit("Filtered", {"a.up": "x\n"})
    assert "filter" in take(two)[0]
    two.git("config", "filter.up.required", "true")
    assert "filter" in take(two)[0]
    two.git("config", "filter.up.smudge", "cat")
    assert take(two)[0] == ""


def test_a_tree_in_which_a_submodule_changes_stays(two: World) -> None:
    two.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    two.git("commit", "-q", "-m", "A module")
    assert "a submodule changes there" in take(two)[0]


def test_a_tree_on_another_file_system_stays(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.stat

    def stat(path: str | bytes, **options: bool) -> os.stat_result:
        found = real(path, **options)
        if os.fsencode(path).startswith(os.fsencode(linked(two)) + b"/"):
            values = list(found)
            values[2] += 1
            return os.stat_result(values)
        return found

    monkeypatch.setattr(os, "stat", stat)
    assert "lies on another file system" in take(two)[0]


def test_a_tree_whose_folders_may_not_be_written_to_stays(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system is not asked: root may write everywhere."""
    real = os.access

    def access(path: str | bytes, mode: int) -> bool:
        return real(path, mode) and not (mode & os.W_OK and os.fsencode(path).endswith(b"/linked/sub"))

    monkeypatch.setattr(os, "access", access)
    assert f"You may not change files in {linked(two)}/sub" in take(two)[0]


def test_a_tree_that_is_gone_has_nothing_checked_out(two: World) -> None:
    shutil.rmtree(linked(two))
    with Repository.open(str(two.clone), two.env) as repository:
        assert other_checkouts(repository, TOPIC) == ()
        assert is_gone(repository, OtherTree(root="", git_dir="worktrees/linked", branch=TOPIC))


def test_a_branch_that_is_another_name_of_one_is_checked_out_under_both(two: World) -> None:
    two.git("symbolic-ref", "refs/heads/alias", "refs/heads/topic")
    two.git("symbolic-ref", "HEAD", "refs/heads/alias", at=linked(two))
    assert [each.tree for each in take(two)[1].switches if each.tree] != []


# --- whole runs -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def _moving(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = made(tmp_path_factory.mktemp("moving"))
    rewritten.start(world)
    world.git("config", "remote.origin.url", "../up.git")
    world.git("worktree", "add", "-q", "-b", "topic", str(linked(world)), "main")
    world.commit("In the linked one", {"plugin.txt": "my plugin\n"}, at=linked(world))
    world.commit("Mine", {"mine.txt": "mine\n"})
    world.write("etc/tool.conf", rewritten.CONFIG.replace("setting_9 = 9", "setting_9 = 99"))
    rewritten.rewrite(world)
    return world


@pytest.fixture
def moving(_moving: World, tmp_path: Path, hermetic: Path) -> World:
    """``topic`` in ``linked``, clean, with a commit of its own; an edited ``main`` with another."""
    return copied(_moving, tmp_path / "world", hermetic)


def clean(world: World) -> bool:
    return world.git("status", "--porcelain", at=linked(world)) == ""


def everything(world: World) -> tuple[object, ...]:
    """All that a run that was taken back must leave as it was, in both trees."""
    heads = [line for line in world.state()["refs"] if not line.startswith(("refs/heads/rescue/", "refs/re"))]
    index = world.git("ls-files", "-s", at=linked(world))
    return heads, world.git("ls-files", "-s"), index, snapshot_files(world.clone), files(world)


def files(world: World) -> dict[str, tuple[int, bytes]]:
    found = snapshot_files(linked(world))
    return {name: each for name, each in found.items() if name != ".git"}


def topic(done: Done) -> dict[str, object]:
    """What the JSON says of the branch in the other tree."""
    found = [each for each in done.json["branches"] if each["name"] == "topic"]
    assert len(found) == 1, done
    return dict(found[0])


def test_a_run_moves_both_trees_and_undo_takes_both_back(moving: World) -> None:
    world, place = moving, str(linked(moving))
    script = linked(world) / "README"
    script.chmod(0o640)
    before, inode = everything(world), (linked(world) / "numbers.txt").stat().st_ino
    planned = call(world, "plan", "--all-branches").out
    assert f"with it 4 files of its working tree {place}" in planned
    done = call(world, *RUN)
    assert (done.code, topic(done)["moved"], topic(done)["worktree"]) == (0, True, place), done
    assert clean(world)
    assert world.git("diff", "--stat", "topic", at=linked(world)) == ""
    assert world.git("log", "--format=%s", "origin/main..topic") == "In the linked one"
    assert world.git("log", "-g", "-1", "--format=%gs", "HEAD", at=linked(world)) == (
        "resync: carried over to origin/main"
    )
    assert world.git("log", "-g", "-1", "--format=%H", "HEAD", at=linked(world)) == topic(done)["new_tip"]
    assert script.stat().st_mode & 0o777 == 0o640, "it replaced one with these permissions"
    assert f"with it 4 files of its working tree {place}" in call(world, "log", done.json["run"]).out
    # Who sits in the other one is told where the way back is.
    told = call(world, "undo", "--yes", "--json", at=linked(world))
    assert (told.code, told.json["error"]["kind"]) == (1, "other-worktree"), told
    assert told.json["hint"] == f"cd {world.clone} && resync undo {done.json['run']}"
    assert f"resync log {done.json['run']}" in call(world, "log", at=linked(world)).out
    undone = call(world, "undo", "--yes", "--json", minutes=1)
    assert (undone.code, topic(undone)["moved"], topic(undone)["worktree"]) == (0, True, place), undone
    assert "has changed nothing here yet" in call(world, "log", at=linked(world)).out
    assert everything(world) == before
    assert clean(world)
    assert (linked(world) / "numbers.txt").stat().st_ino == inode, "the very file came back"
    again = call(world, "undo", "--yes", "--json", minutes=2)
    assert (again.code, topic(again)["new_tip"]) == (0, topic(done)["new_tip"])
    assert clean(world)


def test_a_hint_can_be_pasted_whatever_the_place_is_called(moving: World) -> None:
    place = moving.base / "my other one"
    moving.git("worktree", "move", str(linked(moving)), str(place))
    moving.git("branch", "-q", "--set-upstream-to=origin/main", "topic")
    done = call(moving, "run", "--yes", "--json", "--only-current", at=place)
    assert done.code == 0, done
    undone = call(moving, "undo", "--yes", "--json", done.json["run"])
    assert undone.json["hint"] == f"cd '{place}' && resync undo {done.json['run']}"


def test_a_tree_that_is_not_clean_stays_and_so_does_its_branch(moving: World) -> None:
    world = moving
    world.write("plugin.txt", "edited\n", at=linked(world))
    tip, before = world.git("rev-parse", "topic"), files(world)
    done = call(world, *RUN)
    assert (done.code, topic(done)["moved"], topic(done)["waits"]) == (3, False, True)
    assert "it is not clean there (plugin.txt)" in str(topic(done)["reason"])
    assert topic(done)["worktree"] == str(linked(world))
    assert (world.git("rev-parse", "topic"), files(world)) == (tip, before)
    assert world.git("log", "--format=%s", "origin/main..main") == "Mine"
    assert f"cd {linked(world)} && resync run    # topic still stands" in call(world, "status").out
    # And once that is committed, the next run has it follow.
    world.git("commit", "-aqm", "Edited", at=linked(world))
    done = call(world, *RUN, minutes=1)
    assert topic(done)["moved"] is True
    assert clean(world)


def test_a_branch_nobody_asked_for_stays_with_its_tree(moving: World) -> None:
    done = call(moving, "plan", "--json")
    assert "nobody asked" in str(topic(done)["reason"])
    assert topic(done)["worktree"] == str(linked(moving))


@pytest.mark.parametrize("spoil", ["edited", "committed", "elsewhere"])
def test_undo_leaves_a_tree_that_is_not_as_the_run_has_left_it(moving: World, spoil: str) -> None:
    world = moving
    main = world.git("rev-parse", "main")
    done = call(world, *RUN)
    tip = topic(done)["new_tip"]
    if spoil == "edited":
        world.write("README", "edited\n", at=linked(world))
    elif spoil == "committed":
        tip = world.commit("More", {"more": "more\n"}, at=linked(world))
    else:
        world.git("checkout", "-q", "--detach", at=linked(world))
        world.git("worktree", "add", "-q", str(world.base / "third"), "topic")
    before = files(world)
    undone = call(world, "undo", "--yes", "--json", minutes=1)
    assert undone.code == 3, undone
    assert (world.git("rev-parse", "topic"), files(world)) == (tip, before)
    assert world.git("rev-parse", "main") == main
    said = {
        "edited": "it is not clean there (README)",
        "committed": "it has moved since",
        "elsewhere": "it was not there",
    }
    assert (topic(undone)["moved"], topic(undone)["waits"]) == (False, True)
    assert said[spoil] in str(topic(undone)["reason"])
    status = call(world, "status")
    assert (status.code, said[spoil] in status.out) == (3, True), status


def test_what_is_locked_or_staged_there_meanwhile_refuses_the_run(moving: World) -> None:
    world = moving
    before, lock = everything(world), own_git_dir(world) / "index.lock"
    place = "resync.sequencer.steps:Run.lock"
    done = meanwhile(world, place, f"open({str(lock)!r}, 'x').close()", *RUN)
    assert (done.code, done.json["error"]["kind"]) == (75, "locked"), done
    lock.unlink()
    assert everything(world) == before
    stage = f"subprocess.run(['git', 'rm', '-q', 'README'], cwd={str(linked(world))!r}, check=True)"
    done = meanwhile(world, place, stage, *RUN)
    assert (done.code, done.json["error"]["kind"]) == (1, "changed-meanwhile"), done
    assert str(linked(world)) in done.json["error"]["message"]
    world.git("reset", "-q", "--hard", at=linked(world))
    assert everything(world) == before
    edit = f"open({str(linked(world) / 'README')!r}, 'a').write('more\\n')"
    done = meanwhile(world, place, edit, *RUN)
    assert f"'README' in {linked(world)} was changed by somebody else" in done.json["error"]["message"]
    world.git("checkout", "-q", "README", at=linked(world))
    assert everything(world) == before
    gone = f"subprocess.run(['git', 'worktree', 'remove', {str(linked(world))!r}], check=True)"
    done = meanwhile(world, place, gone, *RUN)
    said = f"Something else was checked out in {linked(world)} while resync was planning."
    assert (done.code, said in done.json["error"]["message"]) == (1, True), done


def test_what_somebody_saves_there_meanwhile_is_left_and_listed_with_its_place(moving: World) -> None:
    world, saved = moving, linked(moving) / "numbers.txt"
    # The first files that go are those of the clone.
    save = f"open({str(saved)!r}, 'w').write('saved just now\\n')"
    done = meanwhile(world, "resync.worktree.switch:FileSwitch.apply", save, *RUN, nth=2)
    assert done.code == 3, done
    assert done.json["left_alone"] == [{"path": "numbers.txt", "worktree": str(linked(world))}]
    assert saved.read_text() == "saved just now\n"
    run = done.json["run"]
    assert world.git("show", f"refs/resync/{run}/trees/1/left:numbers.txt") == "saved just now"
    status = call(world, "status")
    assert (status.code, f"look at {saved}" in status.out) == (3, True), status
    assert world.git("status", "--porcelain", at=linked(world)) == " M numbers.txt"
    away = linked(world).rename(world.base / "away")
    linked(world).mkdir()
    status = call(world, "status")
    assert (status.code, f"look at {saved}" in status.out) == (3, True), "nobody can look there"
    linked(world).rmdir()
    away.rename(linked(world))
    world.git("checkout", "-q", "numbers.txt", at=linked(world))
    assert call(world, "status").code == 0


def test_the_other_tree_of_a_run_that_stands_half_way(moving: World) -> None:
    world = moving
    before = everything(world)
    half_way = "resync.sequencer.steps:Run.publish"
    assert meanwhile(world, half_way, "os._exit(9)", *RUN).code == 9
    for command in (("status",), ("continue",), ("run", "--yes")):
        there = call(world, *command, "--json", at=linked(world))
        assert there.code == 4, there
        assert f"cd {world.clone}" in there.json["hint"]
    assert "index.lock" in str(list(own_git_dir(world).iterdir()))
    assert call(world, "abort").code == 0
    assert everything(world) == before
    assert meanwhile(world, half_way, "os._exit(9)", *RUN).code == 9
    # Its folder may have been moved by then.
    world.git("worktree", "move", str(linked(world)), str(world.base / "moved"))
    assert call(world, "continue").code == 0
    assert world.git("status", "--porcelain", at=world.base / "moved") == ""
    assert world.git("log", "--format=%s", "origin/main..topic") == "In the linked one"


def test_the_other_tree_is_gone_half_way(moving: World) -> None:
    world = moving
    assert meanwhile(world, "resync.sequencer.steps:Run.publish", "os._exit(9)", *RUN).code == 9
    linked(world).rename(world.base / "moved")
    done = call(world, "continue", "--json")
    assert (done.code, done.json["error"]["kind"]) == (4, "other-worktree"), "it may have been moved"
    assert "git worktree repair" in done.json["hint"]
    assert "git worktree prune" in done.json["hint"]
    world.git("worktree", "prune")
    done = call(world, "continue", "--json")
    assert done.code == 0, done
    assert world.git("log", "--format=%s", "origin/main..topic") == "In the linked one"
    assert not list((world.clone / ".git").rglob("*.lock"))


def test_the_other_tree_is_away_half_way(moving: World) -> None:
    """On a disk that is not always there, as `git worktree lock` says: it never comes back half-way."""
    world = moving
    before, away = everything(world), world.base / "away"
    assert meanwhile(world, "resync.sequencer.steps:Run.publish", "os._exit(9)", *RUN).code == 9
    world.git("worktree", "lock", str(linked(world)))
    linked(world).rename(away)
    for command in ("continue", "abort"):
        done = call(world, command, "--json")
        assert (done.code, done.json["error"]["kind"]) == (4, "other-worktree"), done
        assert "not there now" in done.json["error"]["message"]
    assert call(world, "status").code == 4
    away.rename(linked(world))
    assert call(world, "abort").code == 0
    assert everything(world) == before


@pytest.mark.parametrize("place", ["steps:Run.publish", "trees:TreeSwitch.write_index"])
def test_the_tree_of_the_run_is_gone_half_way(moving: World, place: str) -> None:
    """The other one is taken back: nobody could do that from the tree that is gone."""
    world = moving
    world.git("checkout", "-q", "etc/tool.conf")
    world.git("branch", "-q", "--set-upstream-to=origin/main", "topic")
    before = world.state()
    there = World(base=world.base, upstream=world.upstream, clone=linked(world), env=world.env)
    assert meanwhile(there, f"resync.sequencer.{place}", "os._exit(9)", *RUN).code == 9
    shutil.rmtree(linked(world))
    world.git("worktree", "prune")
    assert (world.clone / ".git" / "index.lock").exists()
    assert without_backup(world.state())["files"] != before["files"]
    status = call(world, "status", "--json")
    assert (status.code, "resync abort    # here" in status.json["hint"]) == (4, True), status
    # A disk that does not take it: nothing is claimed, nothing is unlocked, and the next one takes it back.
    refused = "raise OSError(5, 'It is bad')"
    failed = meanwhile(world, "resync.worktree.switch:FileSwitch.revert", refused, "abort", "--json")
    assert (failed.code, "It is bad" in failed.json["error"]["message"]) == (4, True), failed
    assert (world.clone / ".git" / "index.lock").exists()
    call(world, "abort")
    assert without_backup(world.state()) == before
    assert world.git("status", "--porcelain") == ""
    assert not list((world.clone / ".git").rglob("*.lock"))


def test_what_was_saved_before_its_run_was_taken_back_is_recorded(moving: World) -> None:
    world = moving
    world.git("checkout", "-q", "etc/tool.conf")
    world.git("branch", "-q", "--set-upstream-to=origin/main", "topic")
    there = World(base=world.base, upstream=world.upstream, clone=linked(world), env=world.env)
    assert meanwhile(there, "resync.sequencer.steps:Run.publish", "os._exit(9)", *RUN).code == 9
    world.git("worktree", "remove", "--force", "--force", str(linked(world)))
    world.write("numbers.txt", "saved just now\n")
    call(world, "abort")
    assert world.git("status", "--porcelain") == " M numbers.txt"
    with Repository.open(str(world.clone), world.env) as repository:
        (entry,) = Journals(repository).everywhere()
    assert (entry.state, [each.path for each in entry.all_left]) == ("aborted", [b"numbers.txt"])


def test_a_branch_without_its_conflicts_moves_with_its_tree(moving: World) -> None:
    """By name and with parking asked for, as one that is not checked out."""
    world = moving
    text = (linked(world) / "numbers.txt").read_text().replace("two, the old way", "two, my way")
    parked = world.commit("Count my way", {"numbers.txt": text}, at=linked(world))
    assert topic(call(world, *RUN))["moved"] is False
    done = call(world, "run", "--yes", "--json", "--branch", "topic", "--on-conflict", "park", minutes=1)
    said = topic(done)
    assert (done.code, said["moved"]) == (3, True), done
    assert clean(world)
    rescue = said["rescue"]
    assert isinstance(rescue, dict)
    assert world.git("rev-parse", rescue["branch"]) == parked
    assert f"cd {linked(world)} && git cherry-pick {parked[:10]}" in call(world, "status").out


def test_undo_of_a_sitting_takes_the_other_tree_back_too(moving: World) -> None:
    """All runs since the first stop are taken back as one, and only the first had to do with the tree."""
    world = moving
    text = (world.clone / "numbers.txt").read_text().replace("two, the old way", "two, my way")
    world.commit("Count my way", {"numbers.txt": text})
    before = everything(world)
    assert call(world, *RUN, "--dirty", "park", "--on-conflict", "stop").code == 4
    assert world.git("log", "--format=%s", "origin/main..topic") == "In the linked one"
    assert clean(world)
    assert call(world, "skip", minutes=1).code in (0, 3)
    undone = call(world, "undo", "--yes", "--json", minutes=2)
    assert (undone.code, topic(undone)["moved"]) == (0, True), undone
    assert everything(world) == before
    assert clean(world)
