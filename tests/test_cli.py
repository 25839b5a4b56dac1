"""What the commands print, to the letter; what a terminal adds; and that no text from outside can lie."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from tests import rewritten
from tests.conftest import CLOCK, World, needs_git
from tests.transcripts.player import FOLDER, play

pytestmark = needs_git

ESCAPES = re.compile(r"\x1b\[\d*m")


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.txt")))
def test_transcript(rewritten_world: World, name: str) -> None:
    transcript = (FOLDER / name).read_text("utf-8")
    assert play(rewritten_world, transcript) == transcript


# --- on a terminal -------------------------------------------------------------------------------------


def after_the_question(out: str, question: str) -> str:
    """What was printed after the question; the whole plan has to stand before it."""
    before, asked, after = ESCAPES.sub("", out).partition(f"{question} [y/N] ")
    assert asked
    assert "moves from" in before
    return after


@pytest.mark.parametrize("answer", ["n\n", "\n", "nonsense\n", "yesterday\n", "\x04"])
def test_without_a_yes_nothing_changes(rewritten_world: World, answer: str) -> None:
    before = rewritten_world.state()
    done = rewritten_world.terminal(answer=answer)
    assert done.code == 1
    assert after_the_question(done.out, "Carry out this plan?").strip() == "Nothing was changed."
    assert rewritten_world.state() == before


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_a_yes_does_what_the_plan_says(rewritten_world: World, answer: str) -> None:
    plan = rewritten_world.resync("plan", "--json").json
    done = rewritten_world.terminal("run", answer=answer)
    assert done.code == 3
    tip = plan["branches"][0]["new_tip"]
    assert f"Done. main is at {tip[:10]}" in after_the_question(done.out, "Carry out this plan?")
    assert rewritten_world.git("rev-parse", "HEAD") == tip
    back = rewritten_world.terminal("undo", answer="n\n")
    assert back.code == 1
    assert after_the_question(back.out, "Take it back?").strip() == "Nothing was changed."
    assert rewritten_world.git("rev-parse", "HEAD") == tip


def test_in_doubt_a_person_is_shown_the_candidates_and_asked(rewritten_world: World) -> None:
    """No evidence is left: where upstream's commits end is theirs to say, and any other answer is a no."""
    world = rewritten_world
    world.git("config", "--unset-all", "remote.origin.fetch")
    world.git("update-ref", "-d", "refs/remotes/origin/main")
    shutil.rmtree(world.clone / ".git" / "logs")
    before, last = world.state(), world.git("rev-parse", "HEAD~3")
    world.git("update-ref", "refs/heads/legacy", last, at=world.upstream)
    refused = world.terminal("run", answer="none\n")
    assert refused.code == 1
    assert f"  1  {last[:10]}  Old way" in refused.out
    assert "the newest that another branch or tag of the remote has" in refused.out
    assert "upstream still has it: all above it would be yours" in refused.out
    assert "Everything above the last of upstream's is taken for yours." in refused.out
    assert "Which one was the last of upstream's?" in refused.out
    assert world.state() == before
    done = world.terminal("run", answer="1\ny\n")
    assert "Your 3 commits on main, oldest first:" in ESCAPES.sub("", done.out)
    assert "Done. main is at" in ESCAPES.sub("", done.out)
    assert last not in world.git("rev-list", "HEAD")


def test_ctrl_c_at_the_question(rewritten_world: World) -> None:
    before = rewritten_world.state()
    ours, its = pty.openpty()
    # A suite that runs in the background ignores Ctrl-C, and so would what it starts.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "resync"],
            cwd=rewritten_world.clone,
            env=rewritten_world.env,
            stdin=its,
            stdout=its,
            stderr=its,
        )
    finally:
        signal.signal(signal.SIGINT, ignored)
    os.close(its)
    printed = b""
    while b"[y/N]" not in printed:
        printed += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 130
    printed += os.read(ours, 4096)
    os.close(ours)
    assert b"Traceback" not in printed
    assert b"Interrupted." in printed
    assert rewritten_world.state() == before


# --- what is said to be left to do -----------------------------------------------------------------------


def test_what_waits_is_fetched_from_the_rescue_branch_that_keeps_it(rewritten_world: World) -> None:
    """Also when a later run has made a newer one, and whatever that one has at the same path."""
    world = rewritten_world
    assert world.resync("run", "--yes", "--dirty", "park").code == 3
    at = rewritten.work(world)
    world.git("reset", "-q", "--hard", "main~1", at=at)
    world.commit("Other notes", {"notes.txt": "other notes\n"}, at=at)
    rewritten.publish(world)
    world.env["GIT_COMMITTER_DATE"] = f"{CLOCK + 60} +0000"
    done = world.resync("run", "--yes")
    assert done.code == 3
    (command,) = (line.split() for line in done.out.splitlines() if "rescue restore notes.txt" in line)
    assert world.resync(*command[1:]).code == 0
    assert (world.base / "rescued" / "notes.txt").read_text() == "my notes\n"


# --- colours and silence -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "env", "terminal", "coloured"),
    [
        ((), {}, True, True),
        ((), {}, False, False),
        (("--color", "always"), {}, False, True),
        (("--color", "never"), {}, True, False),
        ((), {"NO_COLOR": "1"}, True, False),
        ((), {"NO_COLOR": ""}, True, True),
        (("--color", "always"), {"NO_COLOR": "1"}, False, True),
        (("--color", "always", "--json"), {}, False, False),
    ],
)
def test_colours(
    rewritten_world: World, arguments: tuple[str, ...], env: dict[str, str], terminal: bool, coloured: bool
) -> None:
    rewritten_world.env.update(env)
    call = rewritten_world.terminal if terminal else rewritten_world.resync
    done = call("check", *arguments)
    assert done.code == 5
    assert bool(ESCAPES.search(done.out)) == coloured
    if coloured:
        assert ESCAPES.sub("", done.out).partition("origin/main was rewritten")[1]


@pytest.mark.parametrize("form", [("PATH",), ("--repo", "PATH")])
def test_another_checkout_is_named(rewritten_world: World, form: tuple[str, ...]) -> None:
    (rewritten_world.clone / "deep").mkdir()
    for path in ("clone", "clone/deep"):
        arguments = [path if word == "PATH" else word for word in form]
        done = rewritten_world.resync("check", *arguments, "--json", at=rewritten_world.base)
        assert (done.code, done.json["checkout"]) == (5, str(rewritten_world.clone))


# --- text from strangers -------------------------------------------------------------------------------

# A title that clears the screen, turns the direction of reading, hides what follows, and breaks the line.
NASTY = "Red \x1b[31m\x1b]0;owned\x07 \u202egnp.exe\u2066 \u200b\ufeff \x9b2J end"
NASTY_NAME = "notes \x1b[2J\u202e\nresync: all is well.txt"
LATIN = b"caf\xe9.txt"


def harmless(text: str) -> bool:
    """Whether a terminal shows these characters as they are."""
    return all(
        character == "\n" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
        for character in text
    )


@pytest.fixture
def nasty_world(world: World) -> World:
    """A rewritten upstream, and names and titles on both sides that attack whoever reads them."""
    branch = "we\u202eird"
    rewritten.start(world)
    world.git("checkout", "-q", "-b", branch, "--track", "origin/main")
    world.env["GIT_AUTHOR_NAME"] = "Eve \x1b[1m\u202elived"
    world.commit(NASTY, {NASTY_NAME: "mine\n"})
    (Path(world.clone) / "numbers.txt").write_text(
        rewritten.LINES.replace("line 2\n", "line two, \x1b[31mmine\n")
    )
    world.git("add", "numbers.txt")
    world.git("-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "-F", "-", stdin=b"Caf\xe9 \x1b[5m\n")
    world.write(NASTY_NAME, "mine, edited\n")
    (Path(world.clone) / LATIN.decode("utf-8", "surrogateescape")).write_bytes(b"mine\n")
    del world.env["GIT_AUTHOR_NAME"]
    at = rewritten.work(world)
    rewritten.rewrite(world)
    world.write(LATIN.decode("utf-8", "surrogateescape"), b"theirs\n", at=at)
    world.git("add", ".", at=at)
    world.git("commit", "-q", "-m", "Theirs", at=at)
    rewritten.publish(world)
    return world


def test_nothing_from_a_repository_reaches_the_terminal_raw(nasty_world: World) -> None:
    world = nasty_world
    printed = [world.resync("check"), world.resync("plan"), world.resync("run", "--yes")]
    printed.append(world.resync("run", "--yes", "--dirty", "park"))
    assert [done.code for done in printed] == [5, 5, 1, 3]
    run = world.resync("log", "--json").json["runs"][0]["run"]
    for arguments in (
        ("status",),
        ("log",),
        ("log", run),
        ("rescue", "list"),
        ("rescue", "show"),
        ("check",),
        ("rescue", "restore", NASTY_NAME, "--to", "../out"),
    ):
        printed.append(world.resync(*arguments))
        assert printed[-1].code in (0, 3), printed[-1]
    for done in printed:
        assert harmless(done.out + done.err), (done.out, done.err)
    plan = printed[1].out
    assert "Red \\x1b[31m\\x1b]0;owned\\x07 \\u202egnp.exe\\u2066 \\u200b\\ufeff \\x9b2J end" in plan
    assert "notes \\x1b[2J\\u202e\\nresync: all is well.txt" in plan
    assert "caf\\xe9.txt" in plan
    assert "we\\u202eird" in plan


def test_bytes_that_are_no_text_stand_in_hex_as_well(nasty_world: World) -> None:
    document = nasty_world.resync("plan", "--json").json
    (first, second) = document["commits"]
    assert first["subject"].startswith("Red \x1b[31m")
    assert "subject_hex" not in first
    assert first["author"] == "Eve \x1b[1m\u202elived <author@example.com>"
    assert bytes.fromhex(second["subject_hex"]) == b"Caf\xe9 \x1b[5m"
    assert second["subject"] == "Caf\ufffd \x1b[5m"
    paths = {file["path"]: file for file in document["files"]}
    assert set(paths) == {NASTY_NAME, "caf\ufffd.txt"}
    assert bytes.fromhex(paths["caf\ufffd.txt"]["path_hex"]) == LATIN
    assert "path_hex" not in paths[NASTY_NAME]


def test_json_is_one_line_of_plain_ascii(nasty_world: World) -> None:
    for arguments in (("check",), ("plan",), ("run", "--yes"), ("status",), ("log",), ("rescue", "list")):
        done = nasty_world.resync(*arguments, "--json")
        assert done.out.endswith("}\n")
        assert done.out.count("\n") == 1
        assert done.out.isascii()
        assert harmless(done.out)
        document = json.loads(done.out)
        assert (document["schema_version"], document["exit_code"]) == (1, done.code)


def test_an_address_is_shown_harmless_too(rewritten_world: World) -> None:
    rewritten_world.git("config", "remote.origin.url", "../gone\x1b[31m\u202e.git")
    done = rewritten_world.resync("check")
    assert done.code == 75
    assert harmless(done.err)
    assert "gone\\x1b[31m\\u202e.git" in done.err


def _without_evidence(world: World) -> None:
    """A clone in which nothing tells any more what upstream was; its own commits are in HEAD's reflog."""
    rewritten.rewritten(world)
    world.git("fetch", "-q", "origin")
    logs = world.clone / ".git" / "logs"
    for place in ("refs/heads/main", "refs/remotes/origin/main"):
        (logs / place).unlink()
    lines = (logs / "HEAD").read_text().splitlines(keepends=True)
    (logs / "HEAD").write_text("".join(line for line in lines if "\tcommit: " in line))


def test_in_doubt_a_person_is_asked(world: World) -> None:
    _without_evidence(world)
    before = world.state()
    for answer in ("n\n", "7\n", "\n", "\x04"):
        done = world.terminal("run", answer=answer)
        assert done.code == 1, done
        assert "Nothing tells for certain" in done.out
        assert world.state() == before
    done = world.terminal("run", answer="1\ny\n")
    assert "Old way" in done.out
    assert "the newest commit that was not made here" in done.out
    assert "you named it with --old-tip" in done.out
    assert done.code == 3, done


def test_in_doubt_a_script_is_refused(world: World) -> None:
    _without_evidence(world)
    done = world.resync("run", "--yes", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "no-evidence")
    assert "--old-tip" in done.json["hint"]
