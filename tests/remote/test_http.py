"""HTTP as git speaks it: who is told a password, who is followed, and how long a silence is borne."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from resync.errors import Busy, ResyncError, UsageError
from resync.remote import http
from resync.remote.settings import HttpSettings
from resync.remote.watch import Watch
from tests.conftest import World, needs_git
from tests.servers import Manners, ask, over_tls, packs, serving
from tests.typed import typed

pytestmark = needs_git


def refused(world: World, env: dict[str, str] | None = None) -> ResyncError:
    before = packs(world)
    with pytest.raises(ResyncError) as error:
        ask(world, env)
    assert packs(world) == before
    assert "Nothing was changed." in error.value.message
    return error.value


def reach(world: World, url: str) -> None:
    world.git("config", "remote.origin.url", url)


@pytest.mark.state(76)
def test_nothing_secret_goes_to_another_host(rewritten_world: World) -> None:
    """Neither the password of the address, nor a stored one, nor a header for the first host."""
    world, behind = rewritten_world, Manners()
    world.git("config", "http.extraHeader", "X-Token: secret")
    (Path(world.env["HOME"]) / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    with serving(world, behind) as there:
        front = Manners(sends_on=there)
        with serving(world, front) as here:
            reach(world, f"{here.replace('://', '://me:secret@')}/up.git")
            ask(world)
    assert [headers["x-token"] for _, headers in front.heard] == ["secret"]
    assert all("authorization" in headers for _, headers in front.heard)
    # The pack is asked for where the refs came from, as git has it.
    assert any("git-upload-pack" in path and "service" not in path for path, _ in behind.heard)
    assert not any("secret" in json.dumps(headers) for _, headers in behind.heard)
    assert not any("authorization" in headers for _, headers in behind.heard)


def test_a_host_that_is_sent_to_asks_for_itself(rewritten_world: World) -> None:
    """It gets what is stored for it, and that only."""
    world, behind = rewritten_world, Manners(login=("me", "there's"))
    with ExitStack() as stack:
        there = stack.enter_context(serving(world, behind))
        here = stack.enter_context(serving(world, Manners(login=("me", "here's"), sends_on=there)))
        store = Path(world.env["HOME"]) / ".git-credentials"
        store.write_text(
            f"{here.replace('://', '://me:here%27s@')}\n{there.replace('://', '://me:there%27s@')}\n"
        )
        world.git("config", "credential.helper", "store")
        reach(world, f"{here}/up.git")
        ask(world)
        said = {headers.get("authorization") for _, headers in behind.heard}
        assert len(said) == 2
        assert None in said


@pytest.mark.parametrize(("follow", "status"), [("false", "302"), ("initial", None), ("true", None)])
def test_who_is_followed(rewritten_world: World, follow: str, status: str | None) -> None:
    world = rewritten_world
    world.git("config", "http.followRedirects", follow)
    with serving(world, Manners()) as there, serving(world, Manners(sends_on=there)) as here:
        reach(world, f"{here}/up.git")
        if status is None:
            ask(world)
        else:
            assert status in refused(world).message


def test_a_circle(rewritten_world: World) -> None:
    front = Manners()
    with serving(rewritten_world, front) as here:
        front.sends_on = here
        reach(rewritten_world, f"{here}/up.git")
        assert isinstance(refused(rewritten_world), UsageError)
    assert len(front.heard) == 21


def test_a_wrong_password_is_forgotten(rewritten_world: World) -> None:
    """And asked for once: an account may be locked after the third."""
    world, manners = rewritten_world, Manners(login=("me", "right"))
    world.git("config", "credential.helper", "store")
    with serving(world, manners) as here:
        reach(world, f"{here}/up.git")
        store = Path(world.env["HOME"]) / ".git-credentials"
        store.write_text(f"{here.replace('://', '://me:wrong@')}\nhttps://you:other@example.com\n")
        error = refused(world)
    assert (error.kind, error.exit_code) == ("authentication-failed", 1)
    assert store.read_text() == "https://you:other@example.com\n"
    assert len(manners.heard) == 2
    assert "wrong" not in error.message.replace("is wrong", "")


def test_after_a_wrong_entry_in_netrc(rewritten_world: World) -> None:
    """The helpers are asked, as by git."""
    world = rewritten_world
    world.git("config", "credential.helper", "store")
    (Path(world.env["HOME"]) / ".netrc").write_text("machine 127.0.0.1 login me password old\n")
    with serving(world, Manners(login=("me", "right"))) as here:
        reach(world, f"{here}/up.git")
        store = Path(world.env["HOME"]) / ".git-credentials"
        store.write_text(here.replace("://", "://me:right@") + "\n")
        ask(world)
        assert store.read_text() == here.replace("://", "://me:right@") + "\n"


def test_where_nobody_knows_a_password(rewritten_world: World) -> None:
    """The reason names the helper that is not there; unattended nobody is asked, whatever could ask."""
    world = rewritten_world
    world.git("config", "credential.helper", "missing")
    ask_pass = world.base / "ask"
    ask_pass.write_text(f"#!/bin/sh\ntouch {world.base}/asked\n")
    ask_pass.chmod(0o755)
    with serving(world, Manners(login=("me", "right"))) as here:
        reach(world, f"{here}/up.git")
        error = refused(world, {"GIT_ASKPASS": str(ask_pass), "SSH_ASKPASS": str(ask_pass)})
        assert error.kind == "authentication-failed"
        assert "git-credential-missing is not on the PATH" in error.message
        done = world.resync("run", "--yes", "--json", env={"GIT_ASKPASS": str(ask_pass)})
        assert (done.code, done.json["error"]["kind"]) == (1, "authentication-failed")
        assert not (world.base / "asked").exists()
        world.resync("check", "--json", env={"GIT_ASKPASS": str(ask_pass)})
        assert (world.base / "asked").exists()


@pytest.mark.parametrize(
    ("ways", "named"),
    [
        (("Negotiate",), "negotiate"),
        (("NTLM", 'Bearer realm="Basic, a", error="x"'), "ntlm, bearer"),
        (('Digest realm="a", qop = "auth", Negotiate',), "digest, negotiate"),
        (('Negotiate, Basic realm="a, b", charset="UTF-8"',), None),
        (('NTLM, basic realm = "x"',), None),
        (("Negotiate", 'Basic realm="x"'), None),
    ],
)
@pytest.mark.parametrize("place", ["server", "proxy"])
def test_other_ways_to_log_in(
    rewritten_world: World, ways: tuple[str, ...], named: str | None, place: str
) -> None:
    """They are refused by name, with what helps; where a password would do as well, it is used."""
    world, login, env = rewritten_world, ("me", "right"), {}
    manners = Manners(ways=ways, **{"login" if place == "server" else "proxy_login": login})  # type: ignore[arg-type]
    with serving(world, manners) as here:
        store = Path(world.env["HOME"]) / ".git-credentials"
        store.write_text(here.replace("://", "://me:right@") + "\n")
        world.git("config", "credential.helper", "store")
        reach(world, f"{here}/up.git")
        if place == "proxy":
            env = {"http_proxy": here}
            reach(world, "http://far.example/up.git")
        if named is None:
            ask(world, env)
            return
        error = refused(world, env)
    assert (error.kind, error.exit_code) == ("authentication-failed", 1)
    assert error.message.startswith(f"{here}{'/up.git' if place == 'server' else ''}")
    assert f"asks for a login by {named}, and resync knows only names and passwords" in error.message
    assert "git fetch && resync run --no-fetch" in error.hint
    assert not any("right" in json.dumps(headers) for _, headers in manners.heard)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "socks5h://me:secret@127.0.0.1:1"])
def test_a_proxy_of_another_kind(rewritten_world: World, proxy: str) -> None:
    world = rewritten_world
    reach(world, "https://far.example/up.git")
    for env in ({"ALL_PROXY": proxy}, {}):
        error = refused(world, env)
        assert (error.kind, error.exit_code) == ("unsupported-proxy", 2)
        assert "resync cannot use the proxy socks5" in error.message
        assert "secret" not in error.message
        assert "git fetch && resync run --no-fetch" in error.hint
        world.git("config", "http.proxy", proxy)


def test_a_person_at_a_terminal(rewritten_world: World) -> None:
    """Who types the password is not asked twice by one command, and what was typed is not shown."""
    world, manners = rewritten_world, Manners(login=("me", "right"))
    with serving(world, manners) as here:
        reach(world, f"{here}/up.git")
        code, printed = typed(world, {"Username for ": "me", "Password for ": "right"})
    assert f"Username for '{here}': me" in printed
    assert f"Password for '{here.replace('://', '://me@')}'" in printed
    assert printed.count("Password") == 1
    assert "right" not in printed
    assert code == 5, printed


@pytest.mark.state(75)
def test_a_network_that_stalls_in_the_middle_of_a_pack(rewritten_world: World) -> None:
    world, manners = rewritten_world, Manners(stops_after=100)
    world.git("config", "resync.networkTimeout", "1")
    with serving(world, manners) as here:
        reach(world, f"{here}/up.git")
        before = world.state()
        done = world.resync("run", "--yes", "--json")
        assert (done.code, done.json["error"]["kind"]) == (75, "upstream-unreachable"), done
        assert world.state() == before
        assert packs(world) == 0
        left = [each.name for each in (world.clone / ".git" / "objects").iterdir() if "incoming" in each.name]
        assert left == []
        world.git("config", "resync.networkTimeout", "60")
        world.git("config", "http.lowSpeedLimit", "1000")
        world.git("config", "http.lowSpeedTime", "1")
        assert isinstance(refused(world), Busy)


def test_a_trickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """http.lowSpeedLimit, by a clock of our own: 10 bytes a second are borne for as long as is said."""
    now = [0.0]

    class Slow:
        def read1(self, size: int, decode_content: bool) -> bytes:
            now[0] += 1
            return b"0123456789"

    monkeypatch.setattr(http, "monotonic", lambda: now[0])
    answer: Any = Slow()
    over = Watch(60)
    patient = http._Body(answer, HttpSettings(low_speed=10, low_speed_time=5), over)
    for _ in range(20):
        assert patient.readinto(bytearray(100)) == 10
    hasty = http._Body(answer, HttpSettings(low_speed=11, low_speed_time=5), over)
    for _ in range(4):
        assert hasty.readinto(bytearray(100)) == 10
    with pytest.raises(TimeoutError):
        hasty.readinto(bytearray(100))


def test_a_slow_server_is_waited_for(rewritten_world: World) -> None:
    """All in all it takes longer than a remote may keep silent, and never keeps silent for as long."""
    world = rewritten_world
    world.git("config", "resync.networkTimeout", "2")
    with serving(world, Manners(trickles=(5, 0.5))) as here:
        reach(world, f"{here}/up.git")
        assert ask(world).tip == world.git("rev-parse", "main", at=world.upstream).encode()
        assert packs(world) == 1


def test_one_that_is_slower_than_is_allowed_is_cut_off(rewritten_world: World) -> None:
    """It never keeps silent, and would go on for an hour."""
    world = rewritten_world
    world.git("config", "http.lowSpeedLimit", "1000")
    world.git("config", "http.lowSpeedTime", "1")
    manners = Manners(trickles=(1 << 20, 0.1))
    with serving(world, manners) as here:
        reach(world, f"{here}/up.git")
        assert "fewer than 1000 bytes in 1 seconds" in refused(world).message


@pytest.mark.state(75)
@pytest.mark.parametrize("scheme", ["http", "git"])
def test_a_server_that_never_says_a_word(rewritten_world: World, scheme: str) -> None:
    world = rewritten_world
    world.git("config", "resync.networkTimeout", "1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        reach(world, f"{scheme}://127.0.0.1:{server.getsockname()[1]}/up.git")
        assert isinstance(refused(world), Busy)


def test_a_proxy(rewritten_world: World) -> None:
    """It is told its own password, and the host behind it another one."""
    world, manners = rewritten_world, Manners(proxy_login=("p", "way"), login=("me", "right"))
    with serving(world, manners) as proxy:
        reach(world, "http://me:right@far.example/up.git")
        assert refused(world, {"http_proxy": proxy}).kind == "authentication-failed"
        ask(world, {"http_proxy": proxy.replace("://", "://p:way@")})
        store = Path(world.env["HOME"]) / ".git-credentials"
        store.write_text(proxy.replace("://", "://p:way@") + "\n")
        world.git("config", "credential.helper", "store")
        world.git("config", "remote.origin.proxy", proxy)
        ask(world)
        assert manners.heard[-1][0].startswith("http://far.example/up.git")


def test_tls_through_a_proxy(rewritten_world: World) -> None:
    """The proxy hears where to, its own password, and nothing of what is said then."""
    world, behind, proxy = rewritten_world, Manners(login=("me", "right")), Manners(proxy_login=("p", "way"))
    with over_tls(world, behind) as (url, certificate, _), serving(world, proxy) as between:
        reach(world, f"{url.replace('://', '://me:right@')}/up.git")
        world.git("config", "http.sslCAInfo", str(certificate))
        world.git("config", "http.extraHeader", "X-Token: secret")
        error = refused(world, {"https_proxy": between})
        assert (error.kind, error.message.startswith(between)) == ("authentication-failed", True)
        ask(world, {"https_proxy": between.replace("://", "://p:way@")})
    assert {path for path, _ in proxy.heard} == {url.removeprefix("https://")}
    assert not any({"authorization", "x-token"} & set(headers) for _, headers in proxy.heard)
    assert not any("proxy-authorization" in headers for _, headers in behind.heard)
    assert {headers["x-token"] for _, headers in behind.heard} == {"secret"}


def test_tls(rewritten_world: World) -> None:
    """Nobody is believed whom the system does not know, but for what the configuration says; a certificate of
    one's own is shown where it is asked for."""
    world = rewritten_world
    with over_tls(world, Manners(), of_clients=True) as (url, certificate, key):
        reach(world, f"{url}/up.git")
        world.git("config", "http.sslCert", str(certificate))
        world.git("config", "http.sslKey", str(key))
        error = refused(world)
        assert isinstance(error, Busy)
        assert "certificate" in error.message.lower()
        ask(world, {"GIT_SSL_NO_VERIFY": "1"})
        world.git("config", f"http.{url}.sslCAInfo", str(certificate))
        ask(world)
        world.git("config", "http.sslKey", str(world.base / "none"))
        assert refused(world).kind == "bad-config"
