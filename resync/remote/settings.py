"""How a remote is talked to: git's ``http.*`` for one address, and how long it may keep silent.

The environment's words (``http_proxy``, ``GIT_SSL_NO_VERIFY`` and their kin) come with the repository, which
has the environment from the command line.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from resync.errors import UsageError
from resync.remote.address import Address
from resync.remote.matching import value_for, values_for
from resync.repository.config import seconds, truth, value_of, whole_number

if TYPE_CHECKING:
    from dulwich.config import StackedConfig

Redirects: TypeAlias = Literal["true", "initial", "false"]

NETWORK_TIMEOUT = 120.0
FETCH_TIMEOUT = 6 * 3600.0
CONNECT_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long (seconds) a connection may take to be made, the other side may then keep silent, and all that
    is said may take together."""

    connect: float = CONNECT_TIMEOUT
    idle: float = NETWORK_TIMEOUT
    whole: float = FETCH_TIMEOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """git-config(1) as far as it says how HTTP is spoken with one address; the defaults are git's.

    ``low_speed`` is in bytes a second, for ``low_speed_time`` seconds; 0 of either: any speed will do.
    ``tls13`` says that no older version of TLS will do (1.2 is the least in any case).
    """

    proxy: str | None = None
    verify: bool = True
    ca_file: str | None = None
    ca_folder: str | None = None
    certificate: str | None = None
    key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    user_agent: str | None = None
    redirects: Redirects = "initial"
    low_speed: int = 0
    low_speed_time: int = 0
    tls13: bool = False


def read_patience(config: StackedConfig) -> Patience:
    """``resync.networkTimeout`` and ``resync.fetchTimeout``, in seconds.

    Raises ``UsageError("bad-config")``.
    """
    idle = seconds(config, (b"resync",), "networkTimeout", NETWORK_TIMEOUT)
    whole = seconds(config, (b"resync",), "fetchTimeout", FETCH_TIMEOUT)
    return Patience(connect=min(idle, CONNECT_TIMEOUT), idle=idle, whole=whole)


def read_http(config: StackedConfig, env: Mapping[str, str], address: Address, remote: str) -> HttpSettings:
    """The settings for an address of the remote of that name; raises ``UsageError``: ``bad-config``, and
    ``unsupported-setting`` for a demand on the other side that cannot be met."""
    from_env = {
        "sslCAInfo": "GIT_SSL_CAINFO",
        "sslCAPath": "GIT_SSL_CAPATH",
        "sslCert": "GIT_SSL_CERT",
        "sslKey": "GIT_SSL_KEY",
        "sslVersion": "GIT_SSL_VERSION",
        "userAgent": "GIT_HTTP_USER_AGENT",
        "lowSpeedLimit": "GIT_HTTP_LOW_SPEED_LIMIT",
        "lowSpeedTime": "GIT_HTTP_LOW_SPEED_TIME",
    }

    def text(name: str) -> str | None:
        return env.get(from_env.get(name, "")) or value_for(config, b"http", name, address) or None

    def path(name: str) -> str | None:
        found = text(name)
        return os.path.expanduser(found) if found else None

    def number(name: str) -> int:
        found = whole_number((text(name) or "0").encode("utf-8", "surrogateescape"))
        if found is None:
            raise _bad(name, text(name) or "", "no whole number")
        return found

    verify = truth((value_for(config, b"http", "sslVerify", address) or "true").encode())
    if verify is None:
        raise _bad(
            "sslVerify", value_for(config, b"http", "sslVerify", address) or "", "neither true nor false"
        )
    if address.scheme == "https" and text("pinnedPubkey"):
        raise UsageError(
            "unsupported-setting",
            f"http.pinnedPubkey asks for a certain key of {address.host}, which resync cannot check."
            " Nothing was changed.",
            "git fetch && resync run --no-fetch",
        )
    return HttpSettings(
        proxy=_proxy(config, env, address, remote),
        verify=verify and "GIT_SSL_NO_VERIFY" not in env,
        ca_file=path("sslCAInfo"),
        ca_folder=path("sslCAPath"),
        certificate=path("sslCert"),
        key=path("sslKey"),
        headers=_headers(values_for(config, b"http", "extraHeader", address)),
        user_agent=text("userAgent"),
        redirects=_redirects(value_for(config, b"http", "followRedirects", address)),
        low_speed=max(0, number("lowSpeedLimit")),
        low_speed_time=max(0, number("lowSpeedTime")),
        tls13=text("sslVersion") == "tlsv1.3",
    )


def _bad(name: str, value: str, what: str) -> UsageError:
    return UsageError(
        "bad-config",
        f"http.{name} is {value!r}, which is {what}. Nothing was changed.",
        f"git config --show-origin --get-all http.{name}",
    )


def _redirects(value: str | None) -> Redirects:
    if value is None or value.lower() == "initial":
        return "initial"
    known = truth(value.encode("utf-8", "surrogateescape"))
    if known is None:
        raise _bad("followRedirects", value, 'neither true nor false nor "initial"')
    return cast(Redirects, str(known).lower())


def _headers(values: list[bytes]) -> tuple[tuple[str, str], ...]:
    """Name and value of each header; an empty one takes those before it back."""
    found: list[tuple[str, str]] = []
    for value in values:
        if not value:
            found.clear()
            continue
        name, colon, rest = value.decode("utf-8", "surrogateescape").partition(":")
        if not colon or not name.strip() or any(end in value for end in (b"\r", b"\n")):
            raise _bad("extraHeader", "…", "no header")
        found.append((name.strip(), rest.strip()))
    return tuple(found)


# --- proxies ----------------------------------------------------------------------------------------------


def _proxy(config: StackedConfig, env: Mapping[str, str], address: Address, remote: str) -> str | None:
    """The proxy for an address; None: none. An empty setting says so, too, whatever stands elsewhere."""
    section = (b"remote", remote.encode("utf-8", "surrogateescape"))
    own = value_of(config, section, "proxy")
    if own is not None:
        found: str | None = own.decode("utf-8", "surrogateescape")
    else:
        found = value_for(config, b"http", "proxy", address)
    if found is None:
        # HTTP_PROXY in capitals is not looked at: a web server hands it to its programs from outside.
        names = [f"{address.scheme}_proxy", *(("HTTPS_PROXY",) if address.scheme == "https" else ())]
        found = next((env[name] for name in (*names, "all_proxy", "ALL_PROXY") if env.get(name)), None)
    if not found or _without_proxy(env, address):
        return None
    return found if "://" in found else f"http://{found}"


def _without_proxy(env: Mapping[str, str], address: Address) -> bool:
    """Whether ``no_proxy`` names the host, a domain that it is in, or a network (as curl(1) has it)."""
    host = address.host.lower().rstrip(".")
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        ip = None
    for word in (env.get("no_proxy") or env.get("NO_PROXY") or "").replace(",", " ").lower().split():
        name = word.strip(".").strip("[]")
        if word == "*" or host == name or (ip is None and host.endswith("." + name)):
            return True
        try:
            if ip is not None and ip in ipaddress.ip_network(name, strict=False):
                return True
        except ValueError:
            continue
    return False
