"""The clones in which runs end badly, each with the command that is ended and what it needs beforehand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import CLOCK, STAMP, World, environment
from tests.crashes.oracle import Place
from tests.rewritten import CONFIG, LINES, edits, local_commits, publish, rewrite, start, work

RUN = ("run", "--yes", "--dirty", "park")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """``make`` builds it in an empty world, ``first`` are runs of resync before the one that is ended.

    ``interrupt`` says of those, which share of the calls of the last one after its switch began is carried
    out before that one is killed: None, all of it. ``sample`` bounds how many calls are swept.
    ``goes`` are the refs that the command is there to remove, as patterns, and ``gone`` what else is not to
    be there in the end, as patterns from the git directory on.
    """

    name: str
    make: Callable[[World], None]
    command: tuple[str, ...] = RUN
    at: str = "clone"
    linked: tuple[str, ...] = ()
    first: tuple[tuple[str, ...], ...] = ()
    interrupt: float | None = None
    then: Callable[[World], None] | None = None
    sample: int | None = None
    goes: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def empty_world(base: Path) -> World:
    """An upstream without commits in ``base``, and a home for everybody."""
    home = base / "home"
    home.mkdir(parents=True)
    made = World(base=base, upstream=base / "up.git", clone=base / "clone", env=environment(home))
    made.git("init", "-q", "--bare", "-b", "main", str(made.upstream), at=base)
    return made


def place_of(scenario: Scenario, world: World) -> Place:
    """Where the oracle looks in a scenario's world."""
    return Place(world.clone, world.env, tuple(world.base / each for each in scenario.linked))


def later(world: World, number: int) -> dict[str, str]:
    """The environment of the world's command with this number: a minute after the one before it."""
    return {**world.env, "GIT_COMMITTER_DATE": f"{CLOCK + 60 * number} +0000"}


# --- how each is made ----------------------------------------------------------------------------------


def _clean(world: World) -> None:
    start(world)
    rewrite(world)


def _dirty(world: World) -> None:
    """Edits of every kind that all fit upstream's new files."""
    at = work(world)
    files = {"run.sh": "#!/bin/sh\n", "gone.txt": "gone\n", "both.txt": LINES, "mode.sh": "echo\n"}
    world.commit("More files", files, at=at)
    start(world)
    world.commit("Mine", {"mine.txt": "mine\n"})
    world.write("both.txt", LINES.replace("line 3\n", "line three\n"))
    world.git("add", "both.txt")
    world.write("both.txt", LINES.replace("line 3\n", "line three\n").replace("line 9\n", "line nine\n"))
    (world.clone / "mode.sh").chmod(0o755)
    (world.clone / "gone.txt").unlink()
    world.write("etc/tool.conf", CONFIG.replace("setting_9 = 9", "setting_9 = 99"))
    world.write("new.txt", "new\n")
    world.git("add", "new.txt")
    world.write("later.txt", "later\n")
    world.git("add", "-N", "later.txt")
    rewrite(world)


def _conflicts(world: World) -> None:
    start(world)
    local_commits(world)
    edits(world)
    world.write("etc/tool.conf", CONFIG.replace("setting_1 = 1", "setting_1 = 11"))
    rewrite(world)


def _fetched(world: World) -> None:
    """git has fetched it, so that the disk, if it is full, is so later than in the fetch."""
    _conflicts(world)
    world.git("fetch", "-q")


def _resolve(world: World) -> None:
    """A person resolves the conflict that was taken, stages it, and words the message anew."""
    text = (world.clone / "numbers.txt").read_text()
    kept = [
        line for line in text.splitlines(keepends=True) if line[:7] not in ("<<<<<<<", "=======", ">>>>>>>")
    ]
    world.write("numbers.txt", "".join(kept))
    world.git("add", "numbers.txt")
    world.write(".git/MERGE_MSG", "Count both ways\n")


def _give_up(world: World) -> None:
    _resolve(world)
    world.write("plugin.txt", "edited meanwhile, and not to be lost\n")


def _in_the_way(world: World) -> None:
    """Untracked and ignored files, and folders of them, where upstream puts files, and the reverse."""
    start(world)
    world.write(".git/info/exclude", "*.secret\n")
    world.write("key.secret", "an ignored secret\n")
    world.write("notes.txt", "my notes\n")
    world.write("folder", "a file where a folder comes\n")
    world.write("deep/er/mine.txt", "mine, deep\n")
    at = work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    files = {"key.secret": "theirs\n", "notes.txt": "theirs\n", "folder/one": "1\n", "folder/two": "2\n"}
    world.commit("Theirs", {**files, "deep/er/mine.txt": "theirs\n", "deep/er/new.txt": "new\n"}, at=at)
    publish(world)


def _removal(world: World) -> None:
    """Upstream takes a file away and does nothing else, so no new file comes; a staged edit is in no file."""
    at = work(world)
    world.commit("Before", {"gone.txt": "gone\n"}, at=at)
    start(world)
    world.write("README", "staged and nowhere else\n")
    world.git("add", "README")
    world.write("README", "edited again\n")
    world.git("rm", "-q", "gone.txt", at=at)
    world.git("commit", "-q", "--amend", "-m", "Old way, without a file", at=at)
    publish(world)


def _links(world: World) -> None:
    at = work(world)
    (at / "a").symlink_to("numbers.txt")
    (at / "b").symlink_to("etc")
    (at / "c").write_text("a file\n")
    world.git("add", "a", "b", "c", at=at)
    start(world)
    world.git("rm", "-q", "--cached", "a")
    (world.clone / "a").unlink()
    (world.clone / "a").symlink_to("my own target")
    world.git("add", "a")
    (world.clone / "d").symlink_to("untracked")
    world.git("reset", "-q", "--hard", "main~1", at=at)
    (at / "b").unlink()
    (at / "b").write_text("no link any more\n")
    (at / "c").unlink()
    (at / "c").symlink_to("numbers.txt")
    (at / "d").symlink_to("theirs")
    world.git("add", "-A", at=at)
    world.commit("Links", {}, at=at)
    publish(world)


def _branches(world: World) -> None:
    """Branches beside the current one that move with it, tags, a stash, and packed refs."""
    start(world)
    for name in ("topic/one", "topic/two", "elsewhere"):
        world.git("checkout", "-q", "-b", name, "main")
        world.commit(f"On {name}", {f"{name.replace('/', '-')}.txt": name})
    world.git("checkout", "-q", "main")
    local_commits(world)
    world.git("branch", "-q", "inside", "main~1")
    world.git("tag", "-m", "mine", "v1")
    world.write("README", "stashed\n")
    world.git("stash", "-q")
    world.git("pack-refs", "--all")
    edits(world)
    rewrite(world)


def _everything(world: World) -> None:
    start(world)
    local_commits(world)
    edits(world)
    rewrite(world)


def _detached(world: World) -> None:
    _everything(world)
    world.git("checkout", "-q", "--detach")


def _linked(world: World) -> None:
    start(world)
    world.git("worktree", "add", "-q", "-b", "topic", str(world.base / "linked"), "main")
    world.git("branch", "-q", "--set-upstream-to=origin/main", "topic")
    at = world.base / "linked"
    world.commit("In the linked one", {"plugin.txt": "my plugin\n"}, at=at)
    world.write("notes.txt", "my notes\n", at=at)
    world.write("etc/tool.conf", CONFIG.replace("setting_9 = 9", "setting_9 = 99"), at=at)
    world.write("README", "edited in the main one\n")
    rewrite(world)


def _along(world: World) -> None:
    """Two branches, one in a second working tree that is clean; in the main one something is edited."""
    start(world)
    world.git("worktree", "add", "-q", "-b", "topic", str(world.base / "linked"), "main")
    at = world.base / "linked"
    world.commit("In the linked one", {"plugin.txt": "my plugin\n"}, at=at)
    world.commit("Mine", {"mine.txt": "mine\n"})
    world.write("etc/tool.conf", CONFIG.replace("setting_9 = 9", "setting_9 = 99"))
    rewrite(world)


def _submodule(world: World) -> None:
    """A submodule that upstream takes away, and one that it brings."""
    module = world.base / "module"
    world.git("init", "-q", "-b", "main", str(module), at=world.base)
    oid = world.commit("Of the module", {"inside": "inside\n"}, at=module)
    at = work(world)
    world.git("update-index", "--add", "--cacheinfo", f"160000,{oid},old-module", at=at)
    start(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    world.git("rm", "-q", "--cached", "old-module", at=at)
    world.git("update-index", "--add", "--cacheinfo", f"160000,{oid},new-module", at=at)
    world.commit("Another module", {}, at=at)
    publish(world)


def _filtered(world: World) -> None:
    """Line ends that are converted, and a file that goes through a filter of the user's."""
    at = work(world)
    world.commit(
        "Rules",
        {".gitattributes": "*.crlf eol=crlf\n*.up filter=up\n", "a.crlf": "1\n2\n", "a.up": "x\n"},
        at=at,
    )
    start(world)
    world.git("config", "filter.up.clean", "tr A-Z a-z")
    world.git("config", "filter.up.smudge", "tr a-z A-Z")
    (world.clone / "a.up").unlink()
    world.git("checkout", "a.up")
    world.write("a.up", "X\nMINE\n")
    world.write("b.up", "SECRET\n")
    at = work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    world.commit("More", {"a.crlf": "1\n2\n3\n", "a.up": "w\nx\n", "b.up": "theirs\n"}, at=at)
    publish(world)


def _large(world: World) -> None:
    """Three hundred files that change, and thirty commits of the user's."""
    at = work(world)
    world.commit("Many", {f"many/{number % 20}/{number}.txt": f"{number}\n" for number in range(300)}, at=at)
    start(world)
    for number in range(30):
        world.commit(f"Mine {number}", {f"mine/{number}.txt": f"{number}\n"})
    for number in range(0, 300, 7):
        world.write(f"many/{number % 20}/{number}.txt", f"edited\n{number}\n")
    world.git("add", "many/0")
    world.git("reset", "-q", "--hard", "main~1", at=at)
    world.commit(
        "New", {f"many/{number % 20}/{number}.txt": f"{number}\nnew\n" for number in range(300)}, at=at
    )
    publish(world)


def _demo(world: World) -> None:
    """Kolla's event in small, as ``resync demo`` tells it."""
    from resync.demo.builder import Upstream, make_clone

    shutil.rmtree(world.upstream)
    upstream = Upstream(str(world.upstream))
    make_clone(str(world.upstream), str(world.clone))
    upstream.end_liberty()
    upstream.recreate_liberty()


def _advanced(world: World) -> None:
    """Upstream only went on."""
    start(world)
    local_commits(world)
    edits(world)
    world.commit(
        "On",
        {"numbers.txt": LINES.replace("line 2\n", "line two, as ever\n"), "more.txt": "m\n"},
        at=work(world),
    )
    publish(world)


_EVERY = (*RUN, "--all-branches")


def _old_runs(world: World) -> None:
    """Three old runs, of which the next one forgets the second: the first has the last ref to a commit, and
    the third is the newest."""
    start(world)
    world.git("config", "resync.keepRuns", "1")
    world.git("config", "resync.keepDays", "0")
    world.commit("Mine", {"mine.txt": "mine\n"})
    for hours in (3, 2, 1, 0):
        world.commit(f"On {hours}", {f"on-{hours}.txt": "on\n"}, at=work(world))
        publish(world)
        if hours:
            date = {"GIT_COMMITTER_DATE": f"{CLOCK - 3600 * hours} +0000"}
            assert world.resync(*_ON, env=date).code == 0
            world.git("reset", "-q", "--hard", "origin/main")
    edits(world)


_ON = (*RUN, "--advance")
_ALL = (*RUN, "--all-branches", "--on-conflict", "park")
HALF_WAY = (0.1, 0.35, 0.6, 0.85)

SCENARIOS = (
    Scenario(name="clean", make=_clean),
    Scenario(name="dirty", make=_dirty),
    Scenario(name="conflicts", make=_conflicts),
    Scenario(name="fetched", make=_fetched, command=(*RUN, "--no-fetch")),
    Scenario(name="in the way", make=_in_the_way),
    Scenario(name="removal", make=_removal),
    Scenario(name="links", make=_links),
    Scenario(name="branches", make=_branches, command=_ALL),
    Scenario(name="undo of branches", make=_branches, first=(_ALL,), command=("undo", "--yes")),
    Scenario(name="detached", make=_detached, command=(*RUN, "--upstream", "origin/main")),
    Scenario(name="linked", make=_linked, at="linked", linked=("linked",)),
    Scenario(name="two trees", make=_along, linked=("linked",), command=_EVERY),
    Scenario(
        name="undo of two trees", make=_along, linked=("linked",), first=(_EVERY,), command=("undo", "--yes")
    ),
    *(
        Scenario(
            name=f"{command} of two trees at {share:.0%}",
            make=_along,
            linked=("linked",),
            first=(_EVERY,),
            interrupt=share,
            command=(command,),
        )
        for command in ("continue", "abort")
        for share in (0.4, 0.95)
    ),
    Scenario(name="submodules", make=_submodule),
    Scenario(name="filtered", make=_filtered),
    Scenario(name="advanced", make=_advanced, command=_ON),
    Scenario(name="undo", make=_everything, first=(RUN,), command=("undo", "--yes")),
    Scenario(
        name="undo of undo", make=_in_the_way, first=(RUN, ("undo", "--yes")), command=("undo", "--yes")
    ),
    Scenario(name="begin to resolve", make=_conflicts, first=(RUN,), command=("continue",)),
    Scenario(
        name="resolved",
        make=_conflicts,
        first=(RUN, ("continue",)),
        then=_resolve,
        command=("continue",),
    ),
    Scenario(
        name="given up",
        make=_conflicts,
        first=(RUN, ("continue",)),
        then=_give_up,
        command=("abort",),
    ),
    Scenario(
        name="an old run is forgotten",
        make=_old_runs,
        command=_ON,
        goes=("refs/resync/20160419T170232Z-*",),
        gone=("resync/runs/20160419T170232Z-*",),
    ),
    Scenario(
        name="a rescue branch is dropped",
        make=_conflicts,
        first=(RUN,),
        command=("rescue", "drop", f"rescue/main-{STAMP}", "--yes"),
        goes=(f"refs/heads/rescue/main-{STAMP}", f"refs/resync/{STAMP}-*"),
        gone=(f"resync/runs/{STAMP}-*/quarantine",),
    ),
    Scenario(
        name="a file is restored",
        make=_conflicts,
        first=(RUN,),
        command=("rescue", "restore", "etc/tool.conf", "--to", "restored"),
    ),
    Scenario(name="large", make=_large, sample=150),
    Scenario(name="demo", make=_demo),
    *(
        Scenario(
            name=f"{command} at {share:.0%}",
            make=_conflicts,
            first=(RUN,),
            interrupt=share,
            command=(command,),
        )
        for command in ("continue", "abort")
        for share in HALF_WAY
    ),
)


def named(name: str) -> Scenario:
    """The scenario of this name."""
    return next(each for each in SCENARIOS if each.name == name)
