"""What a run makes anew is signed where commit.gpgSign asks for it; ``git verify-commit`` is the oracle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import rewritten
from tests.conftest import Done, World, needs_git
from tests.inside import inside
from tests.keys import Keys, needs_gpg, needs_ssh

pytestmark = needs_git


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    # A path as short as can be: gpg's agent listens on a socket in it.
    with tempfile.TemporaryDirectory(prefix="gpg-") as name:
        made = Keys(home=Path(name))
        if shutil.which("gpg") is not None:
            made.make("C O Mitter <committer@example.com>")
        yield made
        made.close()


@pytest.fixture
def stack(world: World) -> World:
    """Two commits of work and a merge of the side branch, which stands inside, and a branch that stays."""
    rewritten.start(world)
    world.git("checkout", "-q", "-b", "side")
    world.commit("Aside", {"side.txt": "side\n"})
    world.git("checkout", "-q", "main")
    world.commit("Mine", {"mine.txt": "mine\n"})
    world.git("merge", "-q", "--no-ff", "-m", "Join", "side")
    world.git("checkout", "-q", "-b", "other", "origin/main")
    world.commit("Other", {"other.txt": "other\n"})
    world.git("checkout", "-q", "main")
    rewritten.rewrite(world)
    return world


def sign_with(world: World, keys: Keys, **settings: str) -> None:
    world.env["GNUPGHOME"] = str(keys.home)
    world.git("config", "commit.gpgSign", "true")
    for name, value in settings.items():
        world.git("config", name.replace("_", "."), value)


def logged(world: World, program: str) -> tuple[str, Path]:
    """A program that writes down that it was called and then does its work."""
    log, script = world.base / "called", world.base / f"logged-{program}"
    script.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {program} "$@"\n')
    script.chmod(0o755)
    return str(script), log


def with_signature(world: World, revision: str) -> str:
    """A commit like that one, with something that looks like a signature."""
    old = os.fsencode(world.git("cat-file", "commit", revision)).split(b"\n\n", 1)
    signed = b"\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n\n".join(old)
    return world.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=signed + b"\n")


def commits(world: World, *tips: str) -> list[str]:
    return world.git("rev-list", "--topo-order", *tips, "^origin/main").split()


def trees(world: World, done: Done) -> list[tuple[str, str, str]]:
    """Verdict and tree of every commit that a plan or a run names; its objects need not be on the disk."""
    return [(each["oid"], each["verdict"], each["reason"]) for each in done.json["commits"]]


def verified(world: World) -> list[str]:
    """The new commits, each with a good signature by git's word."""
    new = commits(world, "main", "side")
    for oid in new:
        world.git("verify-commit", oid)
    return new


@needs_gpg
def test_all_that_is_made_anew_is_signed_and_a_plan_asks_nobody(stack: World, keys: Keys) -> None:
    program, log = logged(stack, "gpg")
    sign_with(stack, keys, gpg_program=program)
    before = stack.state()
    plan = stack.resync("plan", "--json")
    assert not log.exists()
    done = stack.resync("run", "--yes", "--json")
    assert (done.code, done.err) == (3, ""), "other is left behind"
    assert len(verified(stack)) == 3
    assert len(log.read_text().splitlines()) >= 3
    assert all(
        line.startswith("--status-fd=2 -bsau C O Mitter <committer@example.com>")
        for line in log.read_text().splitlines()[:3]
    )
    assert (plan.json["signs"], done.json["signs"]) == ("openpgp", "openpgp")
    assert trees(stack, plan) == trees(stack, done)
    named = {each["oid"]: each["new_oid"] for each in done.json["commits"]}
    assert set(commits(stack, "main")) == {new for old, new in named.items() if old != before_tip(before)}
    assert stack.git("rev-parse", "main^2") == stack.git("rev-parse", "side")
    assert done.json["branches"][0]["new_tip"] == stack.git("rev-parse", "main")
    pin = f"refs/resync/{done.json['run']}"
    assert stack.git("rev-parse", f"{pin}/new", f"{pin}/moved/side").split() == [
        stack.git("rev-parse", "main"),
        stack.git("rev-parse", "side"),
    ]
    assert stack.git("fsck", "--connectivity-only") == ""
    assert stack.resync("undo", "--yes").code == 0
    assert stack.git("rev-parse", "main", "side") == "\n".join(
        line.split()[1]
        for line in before["refs"]
        if line.split()[0] in ("refs/heads/main", "refs/heads/side")
    )


def before_tip(state: dict[str, object]) -> str:
    """The tip of the branch that stays, which is rehearsed only."""
    refs = dict(line.split() for line in state["refs"])  # type: ignore[attr-defined]
    return str(refs["refs/heads/other"])


@needs_gpg
def test_the_signed_commits_are_those_of_the_plan_but_for_the_signature(stack: World, keys: Keys) -> None:
    twin = stack.base / "twin"
    shutil.copytree(stack.clone, twin, symlinks=True)
    assert stack.resync("run", "--yes", at=twin).code == 3
    sign_with(stack, keys)
    told = stack.base / "told"
    stack.git("config", "resync.preSwitch", f"cat > '{told}'")
    assert stack.resync("run", "--yes").code == 3
    # What is stopped for the run does not stand still until a passphrase is typed; and the ids are final.
    assert json.loads(told.read_text())["branches"][0]["new_tip"] == stack.git("rev-parse", "main")
    form = "--format=%T %an %ae %at %cn %ce %ct %B"
    order = ("log", "--topo-order", form, "origin/main..main")
    assert stack.git(*order) == stack.git(*order, at=twin)


@needs_ssh
@pytest.mark.parametrize("how", ["file", "public key beside it", "command"])
def test_a_key_of_ssh_signs_as_with_git(stack: World, keys: Keys, how: str) -> None:
    private = keys.ssh("signer")
    public = private.with_name("signer.pub")
    allowed = stack.base / "allowed"
    allowed.write_text(f"committer@example.com {public.read_text()}")
    sign_with(stack, keys, gpg_format="ssh", gpg_ssh_allowedSignersFile=str(allowed))
    agent = None
    if how == "command":
        socket = str(keys.home / "agent")
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE)
        assert agent.stdout is not None
        agent.stdout.readline()
        stack.env["SSH_AUTH_SOCK"] = socket
        subprocess.run(["ssh-add", "-q", private], env=stack.env, check=True)
        stack.git("config", "gpg.ssh.defaultKeyCommand", "ssh-add -L")
    else:
        stack.git("config", "user.signingKey", str(private if how == "file" else public))
    try:
        done = stack.resync("run", "--yes", "--json")
    finally:
        if agent is not None:
            agent.terminate()
            agent.wait()
    assert (done.json["signs"], done.json["notes"]) == ("ssh", [])
    assert len(verified(stack)) == 3


def test_without_a_signer_nothing_is_signed_and_both_reports_say_so(stack: World, keys: Keys) -> None:
    sign_with(stack, keys, gpg_program="/nonexistent/gpg")
    done = stack.resync("run", "--yes")
    assert done.code == 3
    said = "the reapplied commits are not signed, because /nonexistent/gpg could not be run"
    assert f"Note: {said}" in done.out
    recorded = stack.resync("log", stack.resync("log").out.split()[0], "--json")
    [note] = recorded.json["notes"]
    assert "signs" not in recorded.json
    assert note["text"].startswith(said)
    assert "git config gpg.program PATH" in note["text"]
    assert "gpgsig" not in stack.git("cat-file", "commit", "main")


def test_a_signer_that_fails_half_way_leaves_all_unsigned(stack: World, keys: Keys) -> None:
    script = stack.base / "signer"
    armour = "-----BEGIN PGP SIGNATURE-----\\n\\nabc\\n-----END PGP SIGNATURE-----\\n"
    script.write_text(
        f"#!/bin/sh\necho x >> {script}.count\ncat > /dev/null\n"
        f"[ $(wc -l < {script}.count) -gt 1 ] && {{ echo 'no more' >&2; exit 2; }}\nprintf -- '{armour}'\n"
    )
    script.chmod(0o755)
    sign_with(stack, keys, gpg_program=str(script))
    stack.git("reset", "-q", with_signature(stack, "main"))
    done = stack.resync("run", "--yes", "--json")
    assert (script.with_name("signer.count")).read_text().splitlines() == ["x", "x"]
    assert all("gpgsig" not in stack.git("cat-file", "commit", oid) for oid in commits(stack, "main"))
    assert done.json["notes"][0]["text"].endswith("made no signature: no more")
    reasons = {each["subject"]: each["reason"] for each in done.json["commits"]}
    assert "without its signature" in reasons["Join"]
    assert reasons["Mine"] == ""


def test_what_resync_cannot_sign_with_is_said(stack: World) -> None:
    stack.git("config", "commit.gpgSign", "yes")
    stack.git("config", "gpg.format", "x509")
    plan = stack.resync("plan", "--json")
    assert "signs" not in plan.json
    assert "X.509" in plan.json["notes"][0]["text"]
    stack.git("config", "gpg.format", "pgp")
    bad = stack.resync("plan", "--json")
    assert (bad.code, bad.json["error"]["kind"]) == (2, "bad-config")


def test_without_a_key_of_ssh_nothing_is_signed(stack: World) -> None:
    stack.git("config", "commit.gpgSign", "true")
    stack.git("config", "gpg.format", "ssh")
    done = stack.resync("run", "--yes", "--json")
    assert "neither user.signingKey nor gpg.ssh.defaultKeyCommand is set" in done.json["notes"][0]["text"]


# --- what a person resolves --------------------------------------------------------------------------


@pytest.fixture
def conflict(world: World) -> World:
    """Two commits that a run parks, the first of them signed, and after them one that it reapplies."""
    rewritten.start(world)
    for name in ("numbers.txt", "README", "mine.txt"):
        world.commit(f"Mine in {name}", {name: "mine\n"})
        if name == "numbers.txt":
            world.git("reset", "-q", with_signature(world, "HEAD"))
    at = rewritten.work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    world.commit("Theirs", {"numbers.txt": "theirs\n", "README": "theirs\n"}, at=at)
    rewritten.publish(world)
    done = inside(world, "run", "--yes", "--json")
    assert [each["verdict"] for each in done.json["commits"]] == ["parked", "parked", "reapplied"]
    return world


def resolve_first(world: World) -> Done:
    """The first as a person resolves it; the second is taken then."""
    assert inside(world, "continue").code == 4
    world.write("numbers.txt", "both\n")
    world.git("add", "numbers.txt")
    done = inside(world, "continue", "--json")
    assert done.code == 4, done
    assert [each["subject"] for each in done.json["commits"]] == ["Mine in numbers.txt"]
    return done


@pytest.mark.parametrize(
    "scheme", [pytest.param("openpgp", marks=needs_gpg), pytest.param("ssh", marks=needs_ssh)]
)
def test_what_a_person_resolved_is_signed(conflict: World, keys: Keys, scheme: str) -> None:
    sign_with(conflict, keys)
    if scheme == "ssh":
        private = keys.ssh("signer")
        public = private.with_name("signer.pub").read_text()
        allowed = conflict.write("../allowed", f"committer@example.com {public}")
        sign_with(
            conflict,
            keys,
            gpg_format="ssh",
            user_signingKey=str(private),
            gpg_ssh_allowedSignersFile=str(allowed),
        )
    old = conflict.git("rev-parse", "HEAD")
    done = resolve_first(conflict)
    assert (done.json["signs"], done.json["notes"]) == (scheme, [])
    conflict.git("verify-commit", "HEAD")
    assert done.json["commits"][0]["new_oid"] == conflict.git("rev-parse", "HEAD")
    assert conflict.git("rev-parse", "HEAD~") == old
    conflict.write("README", "both\n")
    conflict.git("add", "README")
    assert inside(conflict, "continue").code == 0
    conflict.git("verify-commit", "HEAD", "HEAD~")
    assert conflict.git("status", "--porcelain") == ""
    assert inside(conflict, "undo", "--yes").code == 3
    assert conflict.git("rev-parse", "HEAD") == old


def test_what_a_person_resolved_stays_unsigned_without_a_signer(conflict: World, keys: Keys) -> None:
    sign_with(conflict, keys, gpg_program="/nonexistent/gpg")
    done = resolve_first(conflict)
    assert "signs" not in done.json
    said = "the reapplied commits are not signed, because /nonexistent/gpg could not be run"
    assert done.json["notes"][0]["text"].startswith(said)
    assert "gpgsig" not in conflict.git("cat-file", "commit", "HEAD")
    conflict.write("README", "both\n")
    conflict.git("add", "README")
    assert f"Note: {said}" in inside(conflict, "continue").out


def test_a_signature_that_is_lost_when_a_person_resolves_is_said(conflict: World) -> None:
    """The parked commit was signed, and the one that takes its place is not."""
    done = resolve_first(conflict)
    lost = "reapplied without its signature, which is of the old commit"
    assert done.json["commits"][0]["reason"] == f"as you resolved it; {lost}"
    assert "gpgsig" not in conflict.git("cat-file", "commit", "HEAD")
