"""Passwords in files: git-credential-store(1)'s, and the ``.netrc`` of ftp and curl."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote_to_bytes

_LINE = re.compile(r"([a-z][a-z0-9+.-]*)://(?:([^:@/]*)(?::([^@/]*))?@)([^/]*)(?:/(.*))?", re.IGNORECASE)
_QUOTE = re.compile("%[0-9A-F]{2}")
_RESERVED = "!*'();:@&=+$,/?#[]"
_TOKEN = re.compile(r'"((?:\\.|[^"\\])*)"|(\S+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What is asked for (no password yet) or known: gitcredentials(7) and git-credential(1) have the words.

    ``path`` is None where credentials are the whole host's. ``more`` are attributes that a helper gave, and
    that belong to the password when it is stored.
    """

    protocol: str
    host: str
    path: str | None = None
    username: str | None = None
    password: str | None = None
    more: tuple[tuple[str, str], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether there is enough of it to be sent."""
        return self.username is not None and self.password is not None

    def answers(self, asked: Credential) -> bool:
        """Whether it is one for what is asked."""
        return (
            (self.protocol, self.host) == (asked.protocol, asked.host)
            and (asked.path is None or self.path == asked.path)
            and (asked.username is None or self.username == asked.username)
        )


# --- git-credential-store ---------------------------------------------------------------------------------


def store_files(env: Mapping[str, str], given: str | None) -> tuple[str, ...]:
    """The files that are looked into, in this order; new passwords go into the first that exists, else into
    the first of all."""
    if given is not None:
        return (os.path.expanduser(given),)
    home = env.get("HOME") or os.path.expanduser("~")
    base = env.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    return os.path.join(home, ".git-credentials"), os.path.join(base, "git", "credentials")


def look_up(files: tuple[str, ...], asked: Credential) -> Credential | None:
    """The first that is complete and answers; lines that cannot be read are passed over."""
    for path in files:
        for line in _lines(path):
            found = _parsed(line)
            if found is not None and found.complete and found.answers(asked):
                return replace(asked, username=found.username, password=found.password)
    return None


def write_down(files: tuple[str, ...], known: Credential) -> None:
    """Store it; nothing where it stands there already. A file that cannot be written stays as it is."""
    if look_up(files, known) == known or not known.complete:
        return
    target = next((path for path in files if os.path.exists(path)), files[0])
    line = f"{known.protocol}://{_quoted(known.username)}:{_quoted(known.password)}@{_quoted(known.host)}" + (
        f"/{_quoted(known.path, _RESERVED)}" if known.path is not None else ""
    )
    others = [each for each in _lines(target) if not _is_for(each, replace(known, password=None))]
    _rewrite(target, [line, *others])


def cross_out(files: tuple[str, ...], refused: Credential) -> None:
    """Take a password out of the files that was refused; another one for the same user stays."""
    for path in files:
        lines = list(_lines(path))
        kept = [each for each in lines if not _is_for(each, refused)]
        if kept != lines:
            _rewrite(path, kept)


def _is_for(line: str, asked: Credential) -> bool:
    found = _parsed(line)
    if found is None or not found.answers(asked):
        return False
    return asked.password is None or found.password == asked.password


def _lines(path: str) -> Iterator[str]:
    with suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as file:
        yield from (line for line in file.read().split("\n") if line)


def _parsed(line: str) -> Credential | None:
    found = _LINE.fullmatch(line.strip())
    if found is None:
        return None
    protocol, user, password, host, path = found.groups()
    return Credential(
        protocol=protocol.lower(),
        host=_unquoted(host) or "",
        path=_unquoted(path),
        username=_unquoted(user),
        password=_unquoted(password),
    )


def _quoted(text: str | None, safe: str = "") -> str:
    """In RFC 3986's quotes as git writes them, or it would not find the line again that it made itself."""
    quoted = quote(text or "", safe=safe, errors="surrogateescape")
    return _QUOTE.sub(lambda found: found[0].lower(), quoted)


def _unquoted(text: str | None) -> str | None:
    if text is None:
        return None
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _rewrite(path: str, lines: list[str]) -> None:
    """Put a new file in the place of the old one, for its owner's eyes only, beside git's own lock."""
    lock = path + ".lock"
    with suppress(OSError):
        descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
                file.writelines(line + "\n" for line in lines)
            os.replace(lock, path)
        except BaseException:
            os.unlink(lock)
            raise


# --- .netrc ------------------------------------------------------------------------------------------------


def from_netrc(env: Mapping[str, str], asked: Credential) -> Credential | None:
    """What ``~/.netrc`` (on Windows also ``_netrc``) knows of the host: its ``machine`` or the ``default``.

    The format is that of ftp(1), with the quotes of curl; a port is no part of it.
    """
    home = env.get("HOME") or os.path.expanduser("~")
    host = re.sub(r":\d+$", "", asked.host).strip("[]").lower()
    for name in (".netrc", "_netrc"):
        for machine, user, password in _entries(os.path.join(home, name)):
            if machine in (None, host) and user and password and asked.username in (None, user):
                return replace(asked, username=user, password=password)
    return None


def _entries(path: str) -> Iterator[tuple[str | None, str, str]]:
    """Machine (None: the default), login and password of each entry."""
    machine: str | None = ""
    found: dict[str, str] = {}
    words = _words(path)
    for word in words:
        if word in ("machine", "default"):
            if machine != "":
                yield machine, found.get("login", ""), found.get("password", "")
            machine = next(words, "").lower() if word == "machine" else None
            found = {}
        elif word in ("login", "password", "account"):
            found[word] = next(words, "")
    if machine != "":
        yield machine, found.get("login", ""), found.get("password", "")


def _words(path: str) -> Iterator[str]:
    """The words of the file, without comments and macros (which end with an empty line)."""
    in_macro = False
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        if in_macro:
            in_macro = bool(line.strip())
            continue
        if line.lstrip().startswith("#"):
            continue
        for quotes, word in _TOKEN.findall(line):
            if word == "macdef":
                in_macro = True
                break
            yield word or re.sub(r"\\(.)", r"\1", quotes)
