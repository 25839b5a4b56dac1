"""Asks gpg and ssh-keygen, by the settings by which git would: for signatures, and to verify them.

The settings are ``gpg.format``, ``gpg.program`` (``gpg.openpgp.program``), ``gpg.ssh.program``,
``gpg.ssh.defaultKeyCommand`` and ``user.signingKey``, as in git-config(1).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from resync.errors import UsageError
from resync.model import SignatureKind
from resync.programs import Piped, ProgramFailed, Programs, because, quoted
from resync.repository import Repository

Scheme: TypeAlias = Literal["openpgp", "ssh", "x509"]

# What a shell's own exit status says where it could not run the command.
_NOT_RUN = (126, 127)
_MOST_SAID = 1 << 20

_OPENPGP_ARMOUR = (b"-----BEGIN PGP SIGNATURE-----", b"-----BEGIN PGP MESSAGE-----")
_SSH_ARMOUR = b"-----BEGIN SSH SIGNATURE-----"
_LITERAL = "key::"
_STATUS = "[GNUPG:]"


class NotSigned(Exception):
    """There is no signature to be had; the message is the end of a sentence, ``hint`` is what helps."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotAsked(NotSigned):
    """A program that makes signatures, or verifies them, could not be run."""


def scheme(repository: Repository) -> Scheme:
    """What commits are signed with (``gpg.format``); raises ``UsageError("bad-config")``."""
    found = repository.config_text("gpg", "format") or "openpgp"
    match found:
        case "openpgp" | "ssh" | "x509":
            return found
    raise UsageError(
        "bad-config",
        f"gpg.format is {found!r}, which git does not know. Nothing was changed.",
        "git config gpg.format openpgp",
    )


def program(repository: Repository, default: str, *sections: tuple[str, ...]) -> bytes:
    """The program that the first of the sections names that names one."""
    for section in sections:
        found = repository.config_text(*section, "program")
        if found:
            return os.fsencode(os.path.expanduser(found))
    return default.encode()


def openpgp_program(repository: Repository) -> bytes:
    """git's gpg."""
    return program(repository, "gpg", ("gpg", "openpgp"), ("gpg",))


def ssh_program(repository: Repository) -> bytes:
    """git's ssh-keygen."""
    return program(repository, "ssh-keygen", ("gpg", "ssh"))


def ask(programs: Programs, name: bytes, arguments: Iterable[bytes], data: bytes, setting: str) -> Piped:
    """Run such a program with ``data`` to read; ``setting`` says which one it is.

    Raises ``NotAsked`` where it cannot be run, or does not come to its own end in time.
    """
    command = b" ".join(map(quoted, (name, *arguments)))
    shown = os.fsdecode(name)
    try:
        ended = programs.pipe(command, data, _MOST_SAID)
    except ProgramFailed as failure:
        raise NotAsked(f"{shown} {failure}") from None
    if ended.status in _NOT_RUN:
        raise NotAsked(
            f"{shown} could not be run{because(ended.said)}",
            f"install it, or say where it is: git config {setting} PATH",
        )
    return ended


class Folder:
    """A folder of temporary files for such a program, as git makes them too."""

    def __enter__(self) -> Folder:
        from tempfile import TemporaryDirectory

        self._folder = TemporaryDirectory(prefix="resync-")
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

    def write(self, name: str, data: bytes) -> bytes:
        """Make a file there; returns its path as an argument."""
        path = self._path(name)
        with open(path, "wb") as file:
            file.write(data)
        return argument(path)

    def read(self, name: str) -> bytes:
        """The bytes of a file there; none where it is missing."""
        try:
            with open(self._path(name), "rb") as file:
                return file.read(_MOST_SAID)
        except FileNotFoundError:
            return b""

    def _path(self, name: str) -> str:
        return os.path.join(self._folder.name, name)


def argument(path: str) -> bytes:
    """A path as a shell takes it, also that of git for Windows."""
    return os.fsencode(path.replace(os.sep, "/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Signs bytes as git would sign a commit. ``committer`` is ``Name <mail>``: gpg's key, if none is set."""

    repository: Repository
    programs: Programs
    scheme: SignatureKind
    committer: bytes

    def sign(self, payload: bytes) -> bytes:
        """The signature over ``payload`` in its armour, with line ends as git keeps them.

        Raises ``NotSigned``.
        """
        made = self._openpgp(payload) if self.scheme == "openpgp" else self._ssh(payload)
        return made.replace(b"\r\n", b"\n")

    def _openpgp(self, payload: bytes) -> bytes:
        key = self.repository.config_text("user", "signingKey")
        name = openpgp_program(self.repository)
        ended = ask(
            self.programs,
            name,
            [b"--status-fd=2", b"-bsau", _bytes(key) if key else self.committer],
            payload,
            "gpg.program",
        )
        if ended.status != 0 or not ended.output.lstrip().startswith(_OPENPGP_ARMOUR):
            raise NotSigned(f"{os.fsdecode(name)} made no signature{because(_words(ended.said))}")
        return ended.output

    def _ssh(self, payload: bytes) -> bytes:
        name, key = ssh_program(self.repository), self._ssh_key()
        with Folder() as folder:
            literal = _literal(key)
            file = folder.write("key", literal) if literal else _key_file(key)
            data = folder.write("data", payload)
            # As by git: programs that stand in for ssh-keygen know it from its arguments.
            ended = ask(
                self.programs,
                name,
                [b"-Y", b"sign", b"-n", b"git", b"-f", file, data],
                b"",
                "gpg.ssh.program",
            )
            made = folder.read("data.sig")
        if ended.status != 0 or not made.startswith(_SSH_ARMOUR):
            raise NotSigned(f"{os.fsdecode(name)} made no signature{because(_words(ended.said))}")
        return made

    def _ssh_key(self) -> str:
        """``user.signingKey``, or what the command that git asks for a default prints first."""
        key = self.repository.config_text("user", "signingKey")
        if key:
            return key
        command = self.repository.config_text("gpg", "ssh", "defaultKeyCommand")
        if not command:
            raise NotSigned(
                "neither user.signingKey nor gpg.ssh.defaultKeyCommand is set",
                "git config user.signingKey FILE",
            )
        try:
            ended = self.programs.pipe(_bytes(command), b"", _MOST_SAID)
        except ProgramFailed as failure:
            raise NotSigned(f"the command of gpg.ssh.defaultKeyCommand {failure}") from None
        first = ended.output.split(b"\n", 1)[0].decode("utf-8", "surrogateescape").strip()
        if ended.status != 0 or not _literal(first):
            raise NotSigned(f"gpg.ssh.defaultKeyCommand names no key{because(ended.said)}")
        return first


def _literal(key: str) -> bytes:
    """A public key that stands in the setting itself, as the line of a file; nothing where it is a path."""
    if key.startswith(_LITERAL):
        return _bytes(key.removeprefix(_LITERAL)) + b"\n"
    return _bytes(key) + b"\n" if key.startswith("ssh-") else b""


def _key_file(key: str) -> bytes:
    return argument(os.path.expanduser(key))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _words(said: str) -> str:
    """What a program said to people: gpg says things to programs in between."""
    return " / ".join(line for line in said.split(" / ") if not line.startswith(_STATUS))
