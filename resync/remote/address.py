"""Where a remote repository is: git's forms of an address (git-fetch(1), GIT URLS), and which are refused."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from resync.errors import UsageError
from resync.repository.config import bad_value, value_of

if TYPE_CHECKING:
    from dulwich.config import StackedConfig

DEFAULT_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}

_SPOKEN = {"git+ssh": "ssh", "ssh+git": "ssh", **{name: name for name in ("file", *DEFAULT_PORTS)}}
_HELPER = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]*)::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")

_LOGIN = re.compile(r"(?<=://)[^/@]*(?:@[^/@]*)*@")
_PASSWORD = re.compile(
    # With a slash in it that is not quoted; or before the host of ssh's short form, which takes none.
    r"(?<=://)[^/:@\[]*:(?!\d*(?:[/?#]|$)).*@|^[^/:@\[]*:(?!//)[^/@]*@(?=[^/]*:)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address in its parts, each decoded. ``scheme`` is ``file``, ``git``, ``ssh``, ``http`` or ``https``.

    ``host`` has no brackets; ``port`` is None where the address names none. ``path`` is of the repository
    as the other side takes it (of ``http`` and ``https`` it is as it was written).
    """

    text: str
    scheme: str
    path: str
    host: str = ""
    port: int | None = None
    user: str | None = None
    password: str | None = None

    @property
    def place(self) -> str:
        """Host and port, as HTTP and the credential helpers have them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int | None]:
        """Scheme, host and port: what credentials belong to."""
        return self.scheme, self.host.lower(), self.port or DEFAULT_PORTS.get(self.scheme)

    @property
    def public(self) -> str:
        """An address of HTTP without user name and password, for asking."""
        return f"{self.scheme}://{self.place}{self.path}"


def without_secrets(url: str) -> str:
    """The address without a user name and password."""
    return _LOGIN.sub("", url)


def for_showing(url: str) -> str:
    """The address as people may see it: also in one that is wrong nothing that may be a password is left."""
    return _PASSWORD.sub("", without_secrets(url))


def parse_address(text: str) -> Address:
    """The address in its parts; raises ``UsageError``: ``unsupported-address`` for one that resync has no
    transport for, ``strange-address`` for one that is none or that a program would take for an option."""
    helper = _HELPER.match(text)
    if helper is not None:
        raise _unsupported(text, helper[1])
    scheme = _SCHEME.match(text)
    if scheme is not None:
        spoken = _SPOKEN.get(scheme[1].lower())
        if spoken is None:
            raise _unsupported(text, scheme[1])
        found = _of_url(text, spoken, text[scheme.end() :])
    elif _is_local(text):
        found = Address(text=text, scheme="file", path=text)
    else:
        found = _of_scp(text)
    _refuse_strange(found)
    return found


def _is_local(text: str) -> bool:
    """Whether it is a path: a colon that tells host from path comes before the first slash."""
    colon = text.find(":")
    slash = text.find("/")
    return colon < 0 or 0 <= slash < colon or (os.name == "nt" and _DRIVE.match(text) is not None)


def _of_url(text: str, scheme: str, rest: str) -> Address:
    if scheme == "file":
        path = _decoded(text, rest)
        # RFC 8089 has a drive's letter after the slash.
        if os.name == "nt" and _DRIVE.match(path[1:]):
            path = path[1:]
        return Address(text=text, scheme=scheme, path=path)
    cut = next((place for place, letter in enumerate(rest) if letter in "/?#"), len(rest))
    authority, path = rest[:cut], rest[cut:] or "/"
    userinfo, at, place = authority.rpartition("@")
    user, colon, password = userinfo.partition(":")
    host, port = _host_and_port(text, place)
    if scheme in ("ssh", "git"):
        path = _decoded(text, path)
        # The home directory of somebody is named without the slash that the form of an address asks for.
        path = path[1:] if path.startswith("/~") else path
    return Address(
        text=text,
        scheme=scheme,
        path=path,
        host=host,
        port=port,
        user=_decoded(text, user) if at else None,
        password=_decoded(text, password) if colon else None,
    )


def _of_scp(text: str) -> Address:
    """``[user@]host:path``; in brackets, host and port or an IPv6 address."""
    found = re.match(r"(?:([^@\[/]*)@)?\[([^\]]*)\]:?(.*)", text, re.DOTALL)
    if found is None:
        before, _, path = text.partition(":")
        user, at, host = before.rpartition("@")
        return Address(text=text, scheme="ssh", path=_home(path), host=host, user=user if at else None)
    user, at, place = found[2].rpartition("@")
    host, port = (place, None) if place.count(":") > 1 else _host_and_port(text, place)
    return Address(
        text=text,
        scheme="ssh",
        path=_home(found[3]),
        host=host,
        port=port,
        user=user if at else found[1],
    )


def _home(path: str) -> str:
    return path[1:] if path.startswith("/~") else path


def _host_and_port(text: str, place: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::(\d{0,5}))?", place, re.ASCII)
    if found is None:
        raise _strange(text, "its host or port is none")
    host = _decoded(text, found[1] or found[2] or "")
    port = int(found[3]) if found[3] else None
    if port is not None and not 0 < port < 65536:
        raise _strange(text, "its port is none")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise _strange(text, "its host is none") from None
    return host, port


def _decoded(text: str, part: str) -> str:
    found = unquote_to_bytes(part.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
    if "\0" in found or "\n" in found or "\r" in found:
        raise _strange(text, "it has a line end in it")
    return found


def _refuse_strange(address: Address) -> None:
    """What ssh, a proxy command or a remote shell would take for an option or for two arguments."""
    if address.scheme != "file" and (not address.host or _CONTROL.search(address.host)):
        raise _strange(address.text, "its host is none")
    for part, what in ((address.user, "user"), (address.host, "host"), (address.path, "path")):
        if part is not None and part.startswith("-"):
            raise _strange(address.text, f"its {what} looks like an option of a program")
    if address.user and _CONTROL.search(address.user):
        raise _strange(address.text, "its user is none")


def _unsupported(text: str, scheme: str) -> UsageError:
    return UsageError(
        "unsupported-address",
        f"resync cannot fetch from {for_showing(text)}: it does not speak {scheme!r}. Nothing was changed.",
        "git fetch && resync run --no-fetch",
    )


def _strange(text: str, why: str) -> UsageError:
    return UsageError(
        "strange-address",
        f"{for_showing(text)!r} is no address that resync would open: {why}. Nothing was changed.",
        "git remote -v",
    )


# --- which protocols are allowed --------------------------------------------------------------------------

_ALWAYS = ("http", "https", "git", "ssh")


def refuse_forbidden(config: StackedConfig, env: Mapping[str, str], address: Address) -> None:
    """Raise ``UsageError("protocol-not-allowed")`` where ``GIT_ALLOW_PROTOCOL`` or ``protocol.*.allow`` say
    so (git-config(1))."""
    if not _allowed(config, env, address.scheme):
        raise UsageError(
            "protocol-not-allowed",
            f"resync may not fetch from {for_showing(address.text)}: the protocol {address.scheme!r} is"
            " not allowed here. Nothing was changed.",
            f"git config protocol.{address.scheme}.allow always",
        )


def _allowed(config: StackedConfig, env: Mapping[str, str], scheme: str) -> bool:
    listed = env.get("GIT_ALLOW_PROTOCOL")
    if listed is not None:
        return scheme in listed.split(":")
    for section in ((b"protocol", scheme.encode()), (b"protocol",)):
        policy = value_of(config, section, "allow")
        if policy is not None:
            break
    else:
        policy = b"always" if scheme in _ALWAYS else b"user"
    match policy.lower():
        case b"always":
            return True
        case b"never":
            return False
        case b"user":
            return env.get("GIT_PROTOCOL_FROM_USER", "1").lower() not in ("0", "false", "no", "off", "")
    raise bad_value(config, section, "allow", "no policy that git knows", "always")
