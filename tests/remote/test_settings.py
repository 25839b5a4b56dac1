"""Settings for one address beside ``git config --get-urlmatch``, proxies, and what cannot be read."""

from __future__ import annotations

import itertools
import ssl
import subprocess
from pathlib import Path

import pytest
from dulwich.config import ConfigFile, StackedConfig

from resync.errors import UsageError
from resync.remote.address import parse_address
from resync.remote.http import _tls
from resync.remote.matching import value_for, values_for
from resync.remote.settings import HttpSettings, read_http, read_patience
from tests.conftest import needs_git

PATTERNS = [
    "https://example.com",
    "https://example.com/",
    "https://example.com/a",
    "https://example.com/a/b",
    "https://example.com/ab",
    "https://me@example.com",
    "https://you@example.com/a/b",
    "https://*.com",
    "https://*.example.com/a",
    "https://sub.example.com",
    "https://example.com:8443",
    "https://EXAMPLE.com:443/a",
    "http://example.com/a/b",
]
ADDRESSES = [
    "https://example.com/a/b.git",
    "https://example.com/a/b/c",
    "https://me@example.com/a/bc",
    "https://sub.example.com/a/b",
    "https://example.com:8443/a",
    "http://example.com/a/b",
    "https://other.org/a",
]


def read(path: Path, text: str) -> StackedConfig:
    path.write_text(text)
    return StackedConfig([ConfigFile.from_path(str(path))])


@needs_git
def test_the_same_setting_as_git(tmp_path: Path) -> None:
    """Two orders of all patterns at once, and every pair of them, for every address."""
    sets = [PATTERNS, PATTERNS[::-1], *(list(pair) for pair in itertools.combinations(PATTERNS[:9], 2))]
    for number, patterns in enumerate(sets):
        path = tmp_path / str(number)
        text = "[http]\n\tuserAgent = anywhere\n"
        text += "".join(f'[http "{each}"]\n\tuserAgent = {each}\n' for each in patterns)
        config = read(path, text)
        for address in ADDRESSES if number < 2 else ADDRESSES[number % 7 : number % 7 + 1]:
            git = ["git", "config", "-f", str(path), "--get-urlmatch", "http.userAgent", address]
            expected = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
            assert value_for(config, b"http", "useragent", parse_address(address)) == expected, (
                patterns,
                address,
            )


def test_helpers_for_part_of_an_address(tmp_path: Path) -> None:
    """gitcredentials(7): a pattern without a scheme; an empty value takes back what stands before it."""
    config = read(
        tmp_path / "config",
        '[credential]\n\thelper = one\n[credential "example.com"]\n\thelper =\n\thelper = two\n'
        '[credential "https://other.org"]\n\thelper = three\n',
    )
    assert values_for(config, b"credential", "helper", parse_address("http://example.com/x")) == [
        b"one",
        b"",
        b"two",
    ]
    assert values_for(config, b"credential", "helper", parse_address("https://other.org/x")) == [
        b"one",
        b"three",
    ]


@pytest.mark.parametrize(
    ("text", "env", "proxy"),
    [
        ("", {}, None),
        ("", {"http_proxy": "http://p:1"}, None),
        ("", {"https_proxy": "http://p:1"}, "http://p:1"),
        ("", {"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ("", {"all_proxy": "http://p:1"}, "http://p:1"),
        ("", {"all_proxy": "http://p:1", "no_proxy": "other.org, .example.com"}, None),
        ("", {"all_proxy": "http://p:1", "no_proxy": "ample.com"}, "http://p:1"),
        ("", {"all_proxy": "http://p:1", "NO_PROXY": "*"}, None),
        ("[http]\n\tproxy = http://q:2", {"https_proxy": "http://p:1"}, "http://q:2"),
        ("[http]\n\tproxy =", {"https_proxy": "http://p:1"}, None),
        ('[http]\n\tproxy = http://q:2\n[remote "origin"]\n\tproxy = http://r:3', {}, "http://r:3"),
        ('[http]\n\tproxy = http://q:2\n[remote "origin"]\n\tproxy =', {}, None),
        ('[http "https://www.example.com"]\n\tproxy = http://q:2', {}, "http://q:2"),
        ('[http "https://other.org"]\n\tproxy = http://q:2', {}, None),
    ],
)
def test_proxies(tmp_path: Path, text: str, env: dict[str, str], proxy: str | None) -> None:
    config = read(tmp_path / "config", text + "\n")
    assert (
        read_http(
            config,
            env,
            parse_address("https://www.example.com/x"),
            "origin",
        ).proxy
        == proxy
    )


def test_no_proxy_for_a_network(tmp_path: Path) -> None:
    config = read(tmp_path / "config", "[http]\n\tproxy = http://q:2\n")
    env = {"no_proxy": "10.0.0.0/8,[::1]"}
    for address, expected in (
        ("http://10.1.2.3/x", None),
        ("http://11.1.2.3/x", "http://q:2"),
        ("http://[::1]/x", None),
    ):
        assert read_http(config, env, parse_address(address), "origin").proxy == expected


def test_all_settings(tmp_path: Path) -> None:
    config = read(
        tmp_path / "config",
        "[http]\n\tsslVerify = false\n\tsslCAInfo = ~/ca\n\tsslCert = /c\n\tsslKey = /k\n"
        "\textraHeader = X-A: 1\n\textraHeader =\n\textraHeader = X-B: 2\n\textraHeader = X-B: 3\n"
        "\tuserAgent = me\n\tfollowRedirects = no\n\tlowSpeedLimit = 1k\n\tlowSpeedTime = 7\n"
        "[resync]\n\tnetworkTimeout = 12\n",
    )
    found = read_http(
        config,
        {"GIT_SSL_CAINFO": "/env", "GIT_HTTP_LOW_SPEED_TIME": "9"},
        parse_address("https://a/x"),
        "origin",
    )
    assert (found.verify, found.ca_file, found.certificate, found.key) == (False, "/env", "/c", "/k")
    assert found.headers == (("X-B", "2"), ("X-B", "3"))
    assert (found.user_agent, found.redirects, found.low_speed, found.low_speed_time) == (
        "me",
        "false",
        1024,
        9,
    )
    assert not read_http(config, {"GIT_SSL_NO_VERIFY": ""}, parse_address("https://a/x"), "origin").verify
    assert not found.tls13
    assert read_http(config, {"GIT_SSL_VERSION": "tlsv1.3"}, parse_address("https://a/x"), "origin").tls13
    assert _tls(HttpSettings(tls13=True)).minimum_version == ssl.TLSVersion.TLSv1_3
    assert _tls(HttpSettings()).minimum_version == ssl.TLSVersion.TLSv1_2
    assert (read_patience(config).connect, read_patience(config).idle) == (12, 12)


@pytest.mark.parametrize(
    "line", ["sslVerify = maybe", "followRedirects = sometimes", "extraHeader = none", "lowSpeedTime = long"]
)
def test_what_git_cannot_read_either(tmp_path: Path, line: str) -> None:
    config = read(tmp_path / "config", f"[http]\n\t{line}\n")
    with pytest.raises(UsageError) as refused:
        read_http(config, {}, parse_address("https://a/x"), "origin")
    assert refused.value.kind == "bad-config"


def test_a_demand_that_cannot_be_met(tmp_path: Path) -> None:
    """A key that is to be checked is not passed over."""
    config = read(tmp_path / "config", '[http "https://a"]\n\tpinnedPubkey = sha256//x\n')
    with pytest.raises(UsageError) as refused:
        read_http(config, {}, parse_address("https://a/x"), "origin")
    assert refused.value.kind == "unsupported-setting"
    for elsewhere in ("http://a/x", "https://b/x"):
        read_http(config, {}, parse_address(elsewhere), "origin")
