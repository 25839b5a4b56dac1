"""Every way to go on that an error offers: a command that can be pasted, or a sentence that is none."""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import resync
from resync.arguments import parse
from resync.cli import run_command
from resync.commands.session import Session, meaning
from resync.console import Console
from resync.errors import Refused, ResyncError
from resync.report.text import error_lines
from resync.request import Caller

PROGRAMS = {"cd", "git", "gpg", "mv", "resync", "rm", "ssh-keygen", "unset"}
PLACEHOLDER = "PLACEHOLDER"


def hints() -> Iterator[tuple[str, str]]:
    """Where each hint stands in the source, and its text, with ``PLACEHOLDER`` for what is filled in."""
    kinds = {each.__name__ for each in (ResyncError, *_below(ResyncError))}
    for path in sorted(Path(resync.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
                for hint in node.args[2:]:
                    for text in _texts(hint):
                        yield f"{path.name}:{hint.lineno}", text


def _below(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _texts(node: ast.expr) -> Iterator[str]:
    """The strings that an expression may come to, as far as they are written there."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else PLACEHOLDER for v in values)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body)
            yield from _texts(orelse)


def test_every_command_of_a_hint_can_be_pasted() -> None:
    found = list(hints())
    assert len(found) > 120
    ours = 0
    for place, hint in found:
        if hint.split(" ", 1)[0] not in PROGRAMS:
            assert "    #" not in hint, (place, hint)
            continue
        command, _, why = hint.partition("    # ")
        assert "#" not in command, (place, hint)
        # Not every shell takes it for a comment where it is typed (zsh): so nothing in it is the shell's.
        assert re.fullmatch(r"[\w ,:/.+-]*", why), (place, hint)
        for part in command.split(" && "):
            words = shlex.split(part)
            assert words[0] in {*PROGRAMS, PLACEHOLDER}, (place, hint)
            # Words that are no command would be taken for paths, or for revisions.
            assert not {"and", "or", "then", "to", "with", "if"} & set(words), (place, hint)
            if words[0] == "resync" and words[1:2] not in ([PLACEHOLDER], ["--help"]):
                parse(words[1:])
                ours += 1
    assert ours > 40


def session(path: str, *arguments: str) -> Session:
    console = Console(as_json=False, quiet=False, color="never", env={})
    caller = Caller(now=0, zone=0, run="run", folder="/")
    words = meaning(arguments, ("--upstream", "--expect", "--repo", "--commit", "--dirty"), ("run", "check"))
    return Session(path=path, env={}, caller=caller, console=console, verbose=False, words=words)


@pytest.mark.parametrize(
    ("hint", "path", "arguments", "expected"),
    [
        ("resync run --redo", ".", (), "resync run --redo"),
        (
            "resync run --redo",
            ".",
            ("run", "--yes", "--upstream", "up/a b", "-q"),
            "--redo --upstream 'up/a b'",
        ),
        ("resync run --upstream up/main", ".", ("run", "--upstream", "up/gone"), "run --upstream up/main"),
        (
            "resync run --no-require-announcement",
            ".",
            ("--require-announcement",),
            "n --no-require-announcement",
        ),
        ("resync run --expect 1", ".", ("--expect=2", "--onto=x"), "resync run --expect 1 --onto=x"),
        (
            "resync    # again",
            ".",
            ("run", "--upstream", "up/main"),
            "resync run --upstream up/main    # again",
        ),
        ("resync check", ".", ("run", "--dirty", "park", "--upstream", "a/b"), "resync check --upstream a/b"),
        ("resync plan", ".", ("check", "--commit", "HEAD"), "resync plan"),
        ("resync run --redo", "/srv/k", ("run", "--yes", "/srv/k"), "resync run --redo /srv/k"),
        ("resync run --redo", "/srv/k", ("run", "--repo", "/srv/k"), "resync run --redo --repo /srv/k"),
        ("resync continue    # it", "/a b", (), "resync continue --repo '/a b'    # it"),
        ("git fetch && resync run --no-fetch", "k", ("k",), "git -C k fetch && resync run --no-fetch k"),
        ("git config --global user.name x", "k", (), "git config --global user.name x"),
        ("cd /elsewhere && resync continue", "k", (), "cd /elsewhere && resync continue"),
        ("wait for it\nresync run --redo", ".", ("--onto=x",), "wait for it\nresync run --redo --onto=x"),
        ("", "k", ("--onto=x",), ""),
    ],
)
def test_a_hint_is_what_has_to_be_typed_from_here(
    hint: str, path: str, arguments: tuple[str, ...], expected: str
) -> None:
    assert session(path, *arguments).as_asked(hint).endswith(expected)


def test_a_comment_that_the_shell_hands_on_is_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert run_command(["status", "--color", "never", "--repo", nowhere, "#", "tells", "--what"]) == 2
    assert "neither a folder nor a command" in capsys.readouterr().err


def test_a_name_with_a_line_end_is_no_second_hint() -> None:
    error = Refused("kind", "It is so.", f"mv {shlex.quote('a' + os.linesep + 'rm -rf b')} ..", "", "wait")
    lines = list(error_lines(error, lambda text, tone: text))
    assert lines[1:] == ["  try: mv 'a\\nrm -rf b' ..", "   or: wait"]
