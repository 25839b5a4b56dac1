"""What is played on a fleet, and what has to come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from resync.repository.locks import RunLock
from tests.ansible.fleet import WORK, Played, clashing, fleet
from tests.ansible.server import Connection
from tests.conftest import World

ROLLOUT = "resync.resync.rollout"
FOLLOW = "Follow the upstream branch"
HALT = "Halt where something waits for a person"
COPY = "Copy the zipapp to the target"
AT_ONCE = ("-e", "rollout_serial=100%")


def changed_and_waits(played: Played) -> dict[str, tuple[bool, bool]]:
    """What the module said of every host that it was carried out on."""
    return {host: (each.said["changed"], each.said["waits"]) for host, each in played.of(FOLLOW).items()}


def three_times(world: World, collections: Path, connection: Connection) -> str:
    """Foreseen, carried out and done again with the zipapp that the role copies; no git is called."""
    made = fleet(world, collections, connection)
    before = made.states()
    every = dict.fromkeys(WORK, (True, False))

    foreseen = made.play(ROLLOUT, *AT_ONCE, "--check", "--diff")
    assert foreseen.code == 0, foreseen.out
    assert changed_and_waits(foreseen) == every
    assert made.states() == before
    assert not any(path.exists() for path in made.executables.values())
    assert list(connection.temporary.iterdir()) == []

    done = made.play(ROLLOUT)
    assert done.code == 0, done.out
    assert changed_and_waits(done) == every
    for host, each in done.of(FOLLOW).items():
        assert verdicts(each.said) == verdicts(foreseen.of(FOLLOW)[host].said)
        checkout = made.checkouts[host]
        assert checkout.git("merge-base", "HEAD", made.new) == made.new
        assert checkout.git("rev-parse", "HEAD") == each.said["resync"]["branches"][0]["new_tip"]
        assert each.said["diff"]["after"].startswith(
            f"branch main {checkout.git('rev-parse', 'HEAD')[:10]}\n"
        )
    after = made.states()

    again = made.play(ROLLOUT, *AT_ONCE)
    assert again.code == 0, again.out
    assert changed_and_waits(again) == dict.fromkeys(WORK, (False, False))
    assert not any(each.said["changed"] for each in again.of(COPY).values())
    assert made.states() == after
    assert not connection.called.exists(), connection.called.read_text()
    return f"{len(WORK)} hosts foreseen without a change, carried over as foreseen, and not changed again"


def verdicts(said: Mapping[str, Mapping[str, Sequence[Mapping[str, str]]]]) -> list[tuple[str, str]]:
    """What becomes of each commit and file."""
    told = said["resync"]
    return [(each.get("oid") or each["path"], each["verdict"]) for each in (*told["commits"], *told["files"])]


def halted(world: World, collections: Path, connection: Connection, *options: str) -> str:
    """One host goes first, then two at a time; on the fifth a commit conflicts, and three are not touched."""
    hosts = [*WORK]
    waits, untouched = hosts[4], hosts[5:]
    made = fleet(world, collections, connection, {**WORK, waits: clashing})
    before = made.states()

    foreseen = made.play(ROLLOUT, *options, *AT_ONCE, "--check", "--diff")
    assert foreseen.code == 0, foreseen.out
    assert changed_and_waits(foreseen) == {host: (True, host == waits) for host in hosts}
    diff = foreseen.of(FOLLOW)["edited"].said["diff"]
    assert f"branch main {made.new[:10]}\nunstaged file etc/tool.conf: restored\n" in diff["after"]
    assert made.states() == before

    done = made.play(ROLLOUT, *options, "-e", '{"rollout_serial": [1, 2]}')
    assert done.code != 0
    assert {host: each.status for host, each in done.of(HALT).items()} == {waits: "failed"}
    assert changed_and_waits(done) == {host: (True, host == waits) for host in hosts[:5]}
    after = made.states()
    assert [host for host in hosts if after[host] == before[host]] == untouched
    for host in hosts[:5]:
        assert made.checkouts[host].git("merge-base", "main", made.new) == made.new

    again = made.play(ROLLOUT, *options, *AT_ONCE, "-e", "checkout_halt_on_waiting=false")
    assert again.code == 0, again.out
    assert changed_and_waits(again) == {host: (host in untouched, host == waits) for host in hosts}
    assert not connection.called.exists(), connection.called.read_text()
    return f"halted at {waits}, {len(untouched)} hosts not touched until told to go on"


def busy(world: World, collections: Path, connection: Connection) -> str:
    """Somebody is at work in one checkout: it is tried again, then fails, and the rest is carried over."""
    made = fleet(world, collections, connection, {"free": WORK["commit"], "taken": WORK["commit"]})
    before = made.states()
    options = (*AT_ONCE, "-e", "checkout_retries=2", "-e", "checkout_delay=1")
    with RunLock(str(made.checkouts["taken"].clone / ".git" / "resync"), patience=0):
        done = made.play(ROLLOUT, *options)
    assert done.code != 0
    said = {host: each.said for host, each in done.of(FOLLOW).items()}
    assert {host: (each["changed"], each["busy"]) for host, each in said.items()} == {
        "free": (True, False),
        "taken": (False, True),
    }
    tries = [each for each in done.results if each.host == "taken" and each.status == "retry"]
    assert len(tries) == 2, tries
    assert made.states()["taken"] == before["taken"]
    freed = made.play(ROLLOUT, *options)
    assert freed.code == 0, freed.out
    assert changed_and_waits(freed) == {"free": (False, False), "taken": (True, False)}
    return "tried again, failed with nothing changed, and went through when it was free"
