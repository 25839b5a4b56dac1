"""Credential helpers, stored passwords and people, in git's order, with git's own store as the oracle."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from dulwich.config import ConfigFile, StackedConfig

from resync.errors import Refused
from resync.programs import Programs
from resync.remote.address import parse_address
from resync.remote.credentials import Credentials
from resync.remote.stored import Credential, cross_out, from_netrc, look_up, write_down
from tests.conftest import needs_git
from tests.servers import helper


class Asked:
    """Credentials with a configuration in a folder, and a person who answers what is given."""

    def __init__(self, folder: Path, config: str, *answers: str, **env: str) -> None:
        path = folder / "config"
        path.write_text(config)
        self.questions: list[tuple[str, bool]] = []
        self.answers = list(answers)
        self.log = folder / "log"
        programs = Programs(
            folder=str(folder), env={"PATH": os.environ["PATH"], "HOME": str(folder), **env}, timeout=30
        )
        self.credentials = Credentials(
            config=StackedConfig([ConfigFile.from_path(str(path))]),
            programs=programs,
            prompt=self._answer if answers else None,
            askpass=True,
            said=[],
        )

    def _answer(self, question: str, hidden: bool) -> str | None:
        self.questions.append((question, hidden))
        return self.answers.pop(0) if self.answers else None

    def find(self, url: str = "https://example.com/a/b.git") -> tuple[str | None, str | None] | None:
        found = self.credentials.find(parse_address(url))
        return None if found is None else (found.username, found.password)


def script(folder: Path, name: str, *lines: str) -> Path:
    """A helper that logs what it is told and then does what ``lines`` say."""
    path = folder / name
    path.write_text("\n".join(["#!/bin/sh", f'{{ echo "$@"; cat; }} >> {folder}/log', *lines]) + "\n")
    path.chmod(0o755)
    return path


def test_what_a_helper_hears_and_says(tmp_path: Path) -> None:
    program = script(
        tmp_path,
        "helper",
        '[ "$2" = get ] && printf "capability[]=authtype\\nusername=me\\r\\npassword=a=b\\nunknown=1\\n'
        'password_expiry_utc=9\\nhost=evil.example\\n"',
    )
    asked = Asked(tmp_path, f"[credential]\n\thelper = {program} --flag\n")
    address = parse_address("https://example.com:8443/a/b.git")
    found = asked.credentials.find(address)
    assert found == Credential(
        protocol="https",
        host="example.com:8443",
        username="me",
        password="a=b",
        more=(("password_expiry_utc", "9"),),
    )
    asked.credentials.approve(address, found)
    asked.credentials.reject(address, found)
    known = "protocol=https\nhost=example.com:8443\nusername=me\npassword=a=b\npassword_expiry_utc=9\n\n"
    assert asked.log.read_text() == (
        f"--flag get\nprotocol=https\nhost=example.com:8443\n\n--flag store\n{known}--flag erase\n{known}"
    )


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ("[credential]\n\tuseHttpPath = true\n", "path=a/b.git"),
        ('[credential "https://example.com/a"]\n\tuseHttpPath = true\n', "path=a/b.git"),
        ('[credential "https://example.com"]\n\tusername = you\n', "username=you"),
        ("", None),
    ],
)
def test_what_is_asked_for(tmp_path: Path, config: str, line: str | None) -> None:
    script(tmp_path, "helper")
    asked = Asked(tmp_path, config + f"[credential]\n\thelper = {tmp_path}/helper\n")
    assert asked.find() is None
    heard = asked.log.read_text().splitlines()
    assert heard == ["get", "protocol=https", "host=example.com", *([line] if line else []), ""]


def test_settings_that_are_included(tmp_path: Path) -> None:
    """From another file (include.path), in the place where that is named; an empty helper there counts."""
    script(tmp_path, "helper", "echo username=included; echo password=secret")
    more = tmp_path / "more"
    more.write_text(f'[credential "https://example.com"]\n\thelper =\n\thelper = {tmp_path}/helper\n')
    asked = Asked(tmp_path, '[credential]\n\thelper = "!exit 1;"\n[include]\n\tpath = more\n')
    assert asked.find() == ("included", "secret")
    assert asked.credentials.said == []
    assert asked.find("https://other.org/x") is None


def test_forms_of_a_helper(tmp_path: Path) -> None:
    """A shell command, and a name that is looked for on the PATH and nowhere else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script(folder, "git-credential-named", 'echo username=named; echo "password=$1"')
    path = f"{folder}:{os.environ['PATH']}"
    shell = '[credential]\n\thelper = "!f() { echo username=shell; echo password=$1; }; f"\n'
    assert Asked(tmp_path, shell).find() == ("shell", "get")
    assert Asked(tmp_path, "[credential]\n\thelper = named with words\n", PATH=path).find() == (
        "named",
        "with",
    )
    asked = Asked(tmp_path, "[credential]\n\thelper = named\n")
    assert asked.find() is None
    assert asked.credentials.said == ["the credential helper git-credential-named is not on the PATH"]


def test_helpers_in_their_order(tmp_path: Path) -> None:
    """After one that fails or knows half comes the next, which hears that half; an empty one starts over."""
    script(tmp_path, "fails", "echo username=nobody; exit 1")
    script(tmp_path, "half", "echo username=half")
    script(tmp_path, "whole", "echo password=whole")
    lines = "".join(f"\thelper = {tmp_path}/{name}\n" for name in ("fails", "half", "whole"))
    asked = Asked(tmp_path, "[credential]\n" + lines)
    assert asked.find() == ("half", "whole")
    assert len(asked.credentials.said) == 1
    assert "username=half" in asked.log.read_text()
    asked = Asked(tmp_path, "[credential]\n" + lines + "\thelper =\n")
    assert asked.find() is None


def test_a_helper_that_says_stop(tmp_path: Path) -> None:
    script(tmp_path, "helper", "echo quit=1")
    with pytest.raises(Refused) as refused:
        Asked(tmp_path, f"[credential]\n\thelper = {tmp_path}/helper\n", "me", "secret").find()
    assert refused.value.kind == "credential-helper"


def test_a_helper_that_hangs(tmp_path: Path) -> None:
    asked = Asked(tmp_path, '[credential]\n\thelper = "!sleep 60;"\n')
    slow = Programs(folder=str(tmp_path), env=asked.credentials.programs.env, timeout=0.2)
    object.__setattr__(asked.credentials, "programs", slow)
    assert asked.find() is None
    assert "was not done after" in asked.credentials.said[0]


def test_line_ends_are_no_attributes(tmp_path: Path) -> None:
    """A carriage return in an answer, too, but where the user allows it (credential.protectProtocol)."""
    script(tmp_path, "helper", 'printf "username=me\\npassword=a\\rhost=evil\\n"')
    config = f"[credential]\n\thelper = {tmp_path}/helper\n"
    with pytest.raises(Refused) as refused:
        Asked(tmp_path, config).find()
    assert refused.value.kind == "strange-address"
    assert Asked(tmp_path, config + "\tprotectProtocol = false\n").find() == ("me", "a\rhost=evil")


def test_a_person(tmp_path: Path) -> None:
    asked = Asked(tmp_path, "", "me", "secret")
    assert asked.find() == ("me", "secret")
    assert asked.questions == [
        ("Username for 'https://example.com': ", False),
        ("Password for 'https://me@example.com': ", True),
    ]
    asked = Asked(tmp_path, "", "secret")
    assert asked.find("https://you@example.com/x") == ("you", "secret")
    assert asked.questions == [("Password for 'https://you@example.com': ", True)]
    assert Asked(tmp_path, "", "me", GIT_TERMINAL_PROMPT="0").find() is None
    assert Asked(tmp_path, "").find() is None


def test_programs_that_ask(tmp_path: Path) -> None:
    """GIT_ASKPASS, then core.askPass, then SSH_ASKPASS; none where nobody is to be asked."""
    paths = {}
    for name in ("git", "core", "ssh"):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\ncase "$1" in User*) echo {name};; *) printf "%s" "$1";; esac\n')
        path.chmod(0o755)
        paths[name] = str(path)
    config = f"[core]\n\taskPass = {paths['core']}\n"
    both = {"GIT_ASKPASS": paths["git"], "SSH_ASKPASS": paths["ssh"]}
    assert Asked(tmp_path, config, **both).find() == ("git", "Password for 'https://git@example.com': ")
    assert Asked(tmp_path, config, SSH_ASKPASS=paths["ssh"]).find()[0] == "core"  # type: ignore[index]
    asked = Asked(tmp_path, "", SSH_ASKPASS=paths["ssh"])
    assert asked.find()[0] == "ssh"  # type: ignore[index]
    object.__setattr__(asked.credentials, "askpass", False)
    assert asked.find() is None


# --- files ------------------------------------------------------------------------------------------------


@needs_git
def test_the_store_beside_git(tmp_path: Path) -> None:
    """What we write git reads, what git writes we read, and both forget the same."""
    ours, its = tmp_path / "ours", tmp_path / "its"
    git = helper("git-credential-store")
    known = [
        Credential(protocol="https", host="example.com", username="me", password="p:/@ %é"),
        Credential(protocol="https", host="example.com:8443", username="me", password="other"),
        Credential(protocol="http", host="example.com", path="a b/c", username="you@there", password="x"),
        Credential(protocol="https", host="example.com", username="me", password="newer"),
    ]

    def speak(verb: str, path: Path, each: Credential, *names: str) -> str:
        lines = [f"{name}={getattr(each, name)}" for name in names if getattr(each, name) is not None]
        done = subprocess.run(
            [git, f"--file={path}", verb],
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    everything = ("protocol", "host", "path", "username", "password")
    for each in known:
        write_down((str(ours),), each)
        speak("store", its, each, *everything)
    assert ours.read_text().splitlines() == its.read_text().splitlines()
    assert stat.S_IMODE(ours.stat().st_mode) == 0o600
    for each in known[1:]:
        asked = Credential(protocol=each.protocol, host=each.host, path=each.path)
        assert look_up((str(its),), asked) == each
        assert f"password={each.password}\n" in speak("get", ours, each, "protocol", "host", "path")
    cross_out((str(ours),), known[3])
    speak("erase", its, known[3], "protocol", "host", "username", "password")
    assert ours.read_text() == its.read_text()
    assert (
        look_up((str(tmp_path / "none"), str(ours)), Credential(protocol="https", host="example.com")) is None
    )


def test_the_store_as_a_helper(tmp_path: Path) -> None:
    """No program is started; the user's file comes first, then XDG's; a refused password is crossed out."""
    (tmp_path / ".config" / "git").mkdir(parents=True)
    stored = tmp_path / ".config" / "git" / "credentials"
    stored.write_text("https://me:secret@example.com\nhttps://you:other@example.com\n")
    asked = Asked(tmp_path, "[credential]\n\thelper = store\n", PATH="/nowhere")
    assert asked.find() == ("me", "secret")
    assert asked.find("https://you@example.com/x") == ("you", "other")
    assert asked.find("http://example.com/x") is None
    address = parse_address("https://example.com/x")
    known = Credential(protocol="https", host="example.com", username="me")
    asked.credentials.reject(address, replace(known, password="secret"))
    assert stored.read_text() == "https://you:other@example.com\n"
    asked.credentials.approve(address, replace(known, password="new"))
    assert stored.read_text() == "https://me:new@example.com\nhttps://you:other@example.com\n"
    assert not (tmp_path / ".git-credentials").exists()
    assert not (tmp_path / "log").exists()
    own = Asked(tmp_path, f"[credential]\n\thelper = store --file {stored}\n")
    assert own.find() == ("me", "new")


def test_netrc(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(
        '# machine example.com login no password no\nmachine example.com login me password "a \\"b"\n'
        "macdef init\nmachine example.com login macro password macro\n\n"
        "machine other.org\n\tlogin you\n\tpassword x\nmachine other.org login second password y\n"
        "default login anyone password z\n"
    )
    env = {"HOME": str(tmp_path)}

    def ask(host: str, user: str | None = None) -> tuple[str | None, str | None] | None:
        found = from_netrc(env, Credential(protocol="https", host=host, username=user))
        return None if found is None else (found.username, found.password)

    assert ask("example.com:8443") == ("me", 'a "b')
    assert ask("other.org") == ("you", "x")
    assert ask("other.org", "second") == ("second", "y")
    assert ask("other.org", "third") is None
    assert ask("third.net") == ("anyone", "z")
    assert from_netrc({"HOME": "/nowhere"}, Credential(protocol="https", host="x")) is None


def test_a_line_of_the_store_that_is_no_text(tmp_path: Path) -> None:
    """It hides none of the others."""
    file = tmp_path / "store"
    file.write_bytes(b"https://\x93:x@example.com\nhttps://me:p%93@example.com\n")
    asked = Credential(protocol="https", host="example.com", username="me")
    found = look_up((str(file),), asked)
    assert found is not None
    assert found.password == "p\udc93"
