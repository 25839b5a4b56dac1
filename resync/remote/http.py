"""git's HTTP, spoken by dulwich over requests that are made and guarded here.

dulwich's own client follows redirects anywhere, knows no credential helpers, reads the environment itself and
waits as long as it takes. It leaves one method to whoever brings other requests, ``_http_request``.
"""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

from resync.errors import Refused, UsageError
from resync.remote.address import Address, for_showing, parse_address, without_secrets
from resync.remote.credentials import Credentials
from resync.remote.lines import Wish, refusal, with_tags
from resync.remote.settings import HttpSettings, Patience
from resync.remote.stored import Credential, from_netrc
from resync.remote.watch import Watch, hang_up

if TYPE_CHECKING:
    import ssl

    from dulwich.client import GitClient
    from urllib3 import BaseHTTPResponse, PoolManager

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 20  # as many as git follows
_CHUNK = 65536
_SMART = "application/x-git-"

_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_WAY = re.compile(r"\s*([^\s=]+)(?=\s|$)(?!\s*=)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Login:
    """A credential in use; ``found`` says that the helpers are to hear what became of it."""

    credential: Credential
    found: bool


class Web:
    """Requests to one remote: the connections, and who we are to whom.

    A credential is of one origin (scheme, host and port) and goes nowhere else, wherever one is sent; nor do
    the headers of ``http.extraHeader``, which are for the host that the remote is configured with.
    """

    def __init__(
        self,
        address: Address,
        settings_for: Callable[[Address], HttpSettings],
        credentials: Credentials,
        patience: Patience,
        watch: Watch,
        refuse: Callable[[Address], None],
    ) -> None:
        """``refuse`` raises where an address may not be asked (``refuse_forbidden``)."""
        self._home = address
        self._watch = watch
        self._refuse = refuse
        self._settings_for = settings_for
        self._credentials = credentials
        self._patience = patience
        self._pools: dict[tuple[HttpSettings, Credential | None], PoolManager] = {}
        self._logins: dict[tuple[str, str, int | None], _Login] = {}
        self._proxy_logins: dict[str, Credential] = {}
        self._follows = True
        if address.password is not None:
            self._logins[address.origin] = _Login(
                credential=Credential(
                    protocol=address.scheme,
                    host=address.place,
                    username=address.user or "",
                    password=address.password,
                ),
                found=False,
            )

    def request(
        self, url: str, headers: Mapping[str, str], data: bytes | None
    ) -> tuple[BaseHTTPResponse, str]:
        """Ask for ``url`` (with ``data``: a POST); the answer, whatever its status, and where it came from.

        Credentials that are asked for are found, and redirects followed as ``http.followRedirects`` has it.
        Raises ``Refused("authentication-failed")``, ``UsageError`` and urllib3's ``HTTPError``.
        """
        wanted = self._settings_for(self._named(url)).redirects
        follows = wanted == "true" or (wanted == "initial" and self._follows)
        self._follows = False
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._with_access(self._named(url), headers, data)
            target = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or target is None or not follows:
                return answer, url
            answer.close()
            # Where we are sent says nothing of who we are.
            url = without_secrets(urljoin(url, target))
            place = parse_address(url)
            if place.scheme not in ("http", "https"):
                raise _wrong_way(f"{self._home.public} sends on to {url}, which is not HTTP")
            self._refuse(place)
            if answer.status == 303:
                data = None
        raise _wrong_way(f"{self._home.public} sends on more than {_MOST_REDIRECTS} times")

    def _named(self, url: str) -> Address:
        """The address of a request; where it is at home, with the user's name that home was given with."""
        found = parse_address(url)
        if found.origin != self._home.origin or self._home.user is None:
            return found
        return parse_address(url.replace("://", f"://{quote(self._home.user, safe='')}@", 1))

    # --- who we are -------------------------------------------------------------------------------------

    def _with_access(
        self, address: Address, headers: Mapping[str, str], data: bytes | None
    ) -> BaseHTTPResponse:
        """The answer to a request, made again with a credential for as long as there is another to try."""
        while True:
            login = self._logins.get(address.origin)
            answer = self._by_proxy(address, headers, data)
            if answer.status != 401:
                if login is not None and login.found and answer.status < 400:
                    self._credentials.approve(address, login.credential)
                    self._logins[address.origin] = _Login(credential=login.credential, found=False)
                return answer
            _refuse_other_logins(address.public, answer, "WWW-Authenticate")
            answer.close()
            self._logins[address.origin] = self._another(address, login)

    def _another(self, address: Address, refused: _Login | None) -> _Login:
        """The next credential to try, where that which was tried (None: none) was refused."""
        if refused is None:
            known = from_netrc(self._credentials.programs.env, self._credentials.wanted(address))
            if known is not None:
                return _Login(credential=known, found=False)
        elif refused.found:
            self._credentials.reject(address, refused.credential)
        if refused is None or (
            not refused.found and address.password is None and self._home.password is None
        ):
            found = self._credentials.find(address)
            if found is not None:
                return _Login(credential=found, found=True)
        raise self._no_access(address.public, refused is not None)

    def _by_proxy(self, address: Address, headers: Mapping[str, str], data: bytes | None) -> BaseHTTPResponse:
        """The answer to a request, with a credential for the proxy if that asks for one."""
        from urllib3.exceptions import ProxyError

        proxy = self._settings_for(address).proxy
        login = None if proxy is None else self._proxy_login(proxy)
        tried = False
        while True:
            try:
                answer = self._send(address, headers, data, login)
            except ProxyError as error:
                if "407" not in str(error) or proxy is None:
                    raise
            else:
                if answer.status != 407 or proxy is None:
                    return answer
                _refuse_other_logins(for_showing(proxy), answer, "Proxy-Authenticate")
                answer.close()
            if tried or login is not None:
                raise self._no_access(for_showing(proxy), True)
            tried = True
            login = self._credentials.find(_proxy_address(proxy))
            if login is None:
                raise self._no_access(for_showing(proxy), False)
            self._proxy_logins[proxy] = login

    def _proxy_login(self, proxy: str) -> Credential | None:
        known = self._proxy_logins.get(proxy)
        address = _proxy_address(proxy)
        if known is None and address.user is not None and address.password is not None:
            known = Credential(
                protocol=address.scheme, host=address.place, username=address.user, password=address.password
            )
        return known

    def _no_access(self, url: str, refused: bool) -> Refused:
        why = (
            "the user name or password is wrong" if refused else "no user name and password are known for it"
        )
        said = "".join(f"; {each}" for each in dict.fromkeys(self._credentials.said))
        return Refused(
            "authentication-failed",
            f"{url} does not let resync in: {why}{said}. Nothing was changed.",
            "git help credentials    # tells how to configure a credential helper",
            "git fetch && resync run --no-fetch",
        )

    # --- one request ------------------------------------------------------------------------------------

    def _send(
        self, address: Address, headers: Mapping[str, str], data: bytes | None, proxy_login: Credential | None
    ) -> BaseHTTPResponse:
        from urllib3 import HTTPHeaderDict
        from urllib3.exceptions import ProtocolError

        settings = self._settings_for(address)
        lines = HTTPHeaderDict({"User-Agent": settings.user_agent or _user_agent(), "Pragma": "no-cache"})
        lines.extend({"Accept-Encoding": "deflate, gzip", **headers})
        if address.origin == self._home.origin:
            for name, value in settings.headers:
                lines.add(name, value)
        login = self._logins.get(address.origin)
        if login is not None:
            lines["Authorization"] = _basic(login.credential)
        pool = self._pool(settings, proxy_login)

        def ask() -> BaseHTTPResponse:
            return pool.request(
                "GET" if data is None else "POST",
                address.public,
                body=data,
                headers=lines,
                preload_content=False,
                redirect=False,
                retries=False,
            )

        try:
            return ask()
        except ProtocolError:
            # A connection that was kept may have been closed by the other side at this very moment; what is
            # asked for changes nothing there.
            return ask()

    def _pool(self, settings: HttpSettings, proxy_login: Credential | None) -> PoolManager:
        found = self._pools.get((settings, proxy_login))
        if found is None:
            found = _new_pool(settings, proxy_login, self._patience)
            found.pool_classes_by_scheme = _watched(self._watch)
            self._pools[settings, proxy_login] = found
        return found

    def body(self, answer: BaseHTTPResponse, url: str) -> io.BufferedReader:
        """The body of an answer, to be read as ``http.lowSpeedLimit`` allows it."""
        settings = self._settings_for(parse_address(url))
        return io.BufferedReader(_Body(answer, settings, self._watch), _CHUNK)

    def close(self) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            pool.clear()


def _refuse_other_logins(url: str, answer: BaseHTTPResponse, header: str) -> None:
    """Refuse where a login is asked for, and none of the ways that are offered is by name and password."""
    ways = _ways(answer.headers.getlist(header))
    if ways and "basic" not in ways:
        answer.close()
        raise Refused(
            "authentication-failed",
            f"{url} asks for a login by {', '.join(ways)}, and resync knows only names and passwords (basic),"
            " of which a password may be a token. Nothing was changed.",
            "git fetch && resync run --no-fetch",
            "git remote set-url REMOTE ADDRESS    # one over ssh, or one that takes a token",
        )


def _ways(values: Iterable[str]) -> list[str]:
    """The ways to log in that a server offers, in small letters (RFC 9110, 11.6.1: several may stand in one
    line, among their parameters)."""
    parts = [part for value in values for part in _QUOTED.sub('""', value).split(",")]
    return [found[1].lower() for found in map(_WAY.match, parts) if found is not None]


def _wrong_way(what: str) -> UsageError:
    return UsageError("unsupported-address", f"{what}. Nothing was changed.", "git remote -v")


@cache
def _user_agent() -> str:
    from dulwich.client import default_user_agent_string

    return default_user_agent_string()


def _basic(login: Credential) -> str:
    """RFC 7617, in UTF-8."""
    text = f"{login.username}:{login.password}".encode("utf-8", "surrogateescape")
    return f"Basic {b64encode(text).decode('ascii')}"


class _Body(io.RawIOBase):
    """The body of an answer as it comes in; raises ``TimeoutError`` where it comes too slowly."""

    def __init__(self, answer: BaseHTTPResponse, settings: HttpSettings, watch: Watch) -> None:
        self._answer = answer
        self._watch = watch
        self._span = settings.low_speed_time if settings.low_speed else 0
        self._least = settings.low_speed * self._span
        self._since, self._count = monotonic(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: bytearray | memoryview) -> int:  # type: ignore[override]
        chunk = self._answer.read1(len(into), decode_content=True)
        into[: len(chunk)] = chunk
        self._watch.heard(len(chunk))
        if self._span:
            self._count += len(chunk)
            now = monotonic()
            if now - self._since >= self._span:
                if self._count < self._least:
                    raise TimeoutError(f"fewer than {self._least} bytes in {self._span} seconds")
                self._since, self._count = now, 0
        return len(chunk)


def _new_pool(settings: HttpSettings, proxy_login: Credential | None, patience: Patience) -> PoolManager:
    from urllib3 import PoolManager, ProxyManager, Timeout

    idle = patience.idle
    if settings.low_speed and settings.low_speed_time:
        idle = min(idle, settings.low_speed_time)
    options: dict[str, Any] = {
        "timeout": Timeout(connect=patience.connect, read=idle),
        "ssl_context": _tls(settings),
    }
    if settings.proxy is None:
        return PoolManager(**options)
    proxy = _proxy_address(settings.proxy)
    login = {}
    if proxy_login is not None:
        login = {"proxy-authorization": _basic(proxy_login)}
    return ProxyManager(f"{proxy.scheme}://{proxy.place}", proxy_headers=login, **options)


def _watched(watch: Watch) -> dict[str, Any]:
    """Pools of connections that end when ``watch`` says so, by scheme."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Watched(HTTPConnection):
        """A connection that is watched from its first byte on: while TLS is agreed upon, and then."""

        def connect(self) -> None:
            with ExitStack() as self._beginning:
                super().connect()
            watch.ends_with(self._end)

        def _end(self) -> None:
            if self.sock is not None:
                hang_up(self.sock)

        def _new_conn(self) -> Any:
            made = super()._new_conn()
            self._beginning.enter_context(watch.over(made))
            return made

    class WatchedTls(Watched, HTTPSConnection):
        """The same, with TLS."""

    class Pool(HTTPConnectionPool):
        ConnectionCls = Watched

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = WatchedTls

    return {"http": Pool, "https": TlsPool}


def _proxy_address(proxy: str) -> Address:
    scheme = proxy.partition("://")[0].lower()
    if scheme in ("http", "https"):
        return parse_address(proxy)
    raise UsageError(
        "unsupported-proxy",
        f"resync cannot use the proxy {for_showing(proxy)}, which git's configuration or the environment"
        " names: it knows proxies of HTTP only. Nothing was changed.",
        "git fetch && resync run --no-fetch",
        "git config http.proxy http://HOST:PORT    # or an empty one for none",
    )


def _tls(settings: HttpSettings) -> ssl.SSLContext:
    import ssl

    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context(ssl_minimum_version=ssl.TLSVersion.TLSv1_3 if settings.tls13 else None)
    try:
        if not settings.verify:
            import urllib3

            # Who turns it off has said so already.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif settings.ca_file or settings.ca_folder:
            context.load_verify_locations(settings.ca_file, settings.ca_folder)
        else:
            context.load_default_certs()
        if settings.certificate:
            context.load_cert_chain(settings.certificate, settings.key, password=_no_password)
    except (OSError, ValueError) as error:
        names = [settings.ca_file, settings.ca_folder, settings.certificate, settings.key]
        files = ", ".join(name for name in names if name)
        raise UsageError(
            "bad-config",
            f"The certificates that git's configuration names ({files}) cannot be read ({error})."
            " Nothing was changed.",
            "git config --show-origin --get-regexp '^http\\..*ssl'",
        ) from None
    return context


def _no_password() -> str:
    """OpenSSL would ask for it on the terminal, if there is one or not."""
    raise ValueError("a key with a password is not supported")


def http_client(web: Web, url: str, wish: Wish) -> GitClient:
    """dulwich's client for HTTP, with our requests."""
    from dulwich.client import AbstractHttpGitClient
    from dulwich.errors import GitProtocolError, NotGitRepository

    class HttpClient(AbstractHttpGitClient):
        """git over HTTP."""

        def __init__(self) -> None:
            super().__init__(url, thin_packs=wish.thin, quiet=True, include_tags=wish.tags)
            self.peeled: dict[bytes, bytes] = {}

        def _discover_references(self, *arguments: Any, **named: Any) -> Any:
            found = super()._discover_references(*arguments, **named)
            self.peeled |= found[4]  # type: ignore[arg-type]
            return found

        def _smart_request(self, service: str, url: str, data: Any) -> Any:
            request = with_tags(data) if wish.tags and isinstance(data, bytes) else data
            read: Any
            answer, read = super()._smart_request(service, url, request)
            # It is the method of a body of ours (see below). Who refuses says so in the first line.
            refused = refusal(read.__self__.peek(_CHUNK))
            if refused is not None:
                answer.close()
                raise GitProtocolError(refused)
            return answer, read

        def _http_request(
            self,
            url: str,
            headers: dict[str, str] | None = None,
            data: Any = None,
            raise_for_status: bool = True,
        ) -> tuple[Any, Callable[[int], bytes]]:
            if headers is None:
                # dulwich's way to ask for what the other side names in place of a pack (packfile-uris).
                raise GitProtocolError("it sends on to other places for what it was asked for")
            body = data if data is None or isinstance(data, bytes) else b"".join(data)
            answer: Any
            answer, place = web.request(url, headers, body)
            if raise_for_status and answer.status != 200:
                answer.close()
                if answer.status in (404, 410):
                    raise NotGitRepository(f"there is no repository at {for_showing(url)}")
                raise GitProtocolError(f"it answers with status {answer.status}")
            answer.content_type = answer.headers.get("Content-Type", "")
            if not answer.content_type.startswith(_SMART):
                # dulwich would take it for a folder of files, and hold all of them in memory.
                answer.close()
                raise GitProtocolError(f"it answers with {answer.content_type or 'words'!r}, not as git does")
            answer.redirect_location = place if place != url else ""
            return answer, web.body(answer, place).read

        def close(self) -> None:
            web.close()

    return HttpClient()
