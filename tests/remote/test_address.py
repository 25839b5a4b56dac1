"""Addresses in their parts, and those that no program is to see."""

from __future__ import annotations

import pytest
from dulwich.config import ConfigDict, StackedConfig

from resync.errors import UsageError
from resync.remote.address import for_showing, parse_address, refuse_forbidden, without_secrets


def config(*settings: tuple[tuple[bytes, ...], bytes, bytes]) -> StackedConfig:
    made = ConfigDict()
    for section, name, value in settings:
        made.add(section, name, value)
    return StackedConfig([made])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("https://example.com/a/b.git", ("https", None, None, "example.com", None, "/a/b.git")),
        ("HTTPS://me:a%40b@example.com:8443/x", ("https", "me", "a@b", "example.com", 8443, "/x")),
        ("http://[::1]:80/x?y#z", ("http", None, None, "::1", 80, "/x?y#z")),
        ("ssh://git@example.com:29418/a%20b", ("ssh", "git", None, "example.com", 29418, "/a b")),
        ("git+ssh://example.com/~me/x", ("ssh", None, None, "example.com", None, "~me/x")),
        ("git@example.com:a/b.git", ("ssh", "git", None, "example.com", None, "a/b.git")),
        ("example.com:/~me/x", ("ssh", None, None, "example.com", None, "~me/x")),
        ("git@[::1]:x", ("ssh", "git", None, "::1", None, "x")),
        ("[git@example.com:2222]:x", ("ssh", "git", None, "example.com", 2222, "x")),
        ("git://example.com/x", ("git", None, None, "example.com", None, "/x")),
        ("file:///a%20b", ("file", None, None, "", None, "/a b")),
        ("../up.git", ("file", None, None, "", None, "../up.git")),
        ("./a:b", ("file", None, None, "", None, "./a:b")),
        ("https://bücher.example/x", ("https", None, None, "xn--bcher-kva.example", None, "/x")),
    ],
)
def test_parts(text: str, parts: tuple[object, ...]) -> None:
    found = parse_address(text)
    assert (found.scheme, found.user, found.password, found.host, found.port, found.path) == parts


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ext::sh -c touch% /tmp/x", "unsupported-address"),
        ("foo::bar", "unsupported-address"),
        ("ftp://example.com/x", "unsupported-address"),
        ("ssh://-oProxyCommand=touch/x", "strange-address"),
        ("-oProxyCommand=touch:x", "strange-address"),
        ("ssh://-oProxyCommand=touch@example.com/x", "strange-address"),
        ("ssh://%2doProxyCommand=touch/x", "strange-address"),
        ("example.com:-x", "strange-address"),
        ("ssh://example.com:22x/x", "strange-address"),
        ("ssh://example.com:99999/x", "strange-address"),
        ("https:///x", "strange-address"),
        ("https://exa%0ahost=evil/x", "strange-address"),
        ("https://exa mple.com/x", "strange-address"),
        ("https://me%0d@example.com/x", "strange-address"),
        ("--upload-pack=touch", "strange-address"),
    ],
)
def test_refused(text: str, kind: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_address(text)
    assert refused.value.kind == kind


def test_secrets_are_not_shown() -> None:
    assert without_secrets("https://me:se@cret@example.com/x@y") == "https://example.com/x@y"
    assert without_secrets("git@example.com:x") == "git@example.com:x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:se/cret@example.com/x", "https://example.com/x"),
        ("https://me:se?cr#et@example.com", "https://example.com"),
        ("me:secret@example.com:x", "example.com:x"),
        *(
            (same, same)
            for same in (
                "https://example.com:8443/a@b",
                "https://[::1]:8443/a@b",
                "https://example.com/a:b@c",
                "example.com:a@b",
                "git@example.com:x",
                "/a:b@c",
                r"C:\\a@b",
            )
        ),
    ],
)
def test_a_password_in_a_wrong_place_is_not_shown(text: str, shown: str) -> None:
    assert for_showing(text) == shown


@pytest.mark.parametrize(
    ("address", "settings", "env", "allowed"),
    [
        ("https://a/x", [], {}, True),
        ("/x", [], {}, True),
        ("/x", [], {"GIT_PROTOCOL_FROM_USER": "0"}, False),
        ("https://a/x", [((b"protocol",), b"allow", b"never")], {}, False),
        (
            "https://a/x",
            [((b"protocol",), b"allow", b"never"), ((b"protocol", b"https"), b"allow", b"always")],
            {},
            True,
        ),
        ("git://a/x", [((b"protocol", b"git"), b"allow", b"never")], {"GIT_ALLOW_PROTOCOL": "git:ssh"}, True),
        ("https://a/x", [], {"GIT_ALLOW_PROTOCOL": "git:ssh"}, False),
        ("https://a/x", [], {"GIT_ALLOW_PROTOCOL": ""}, False),
    ],
)
def test_allowed_protocols(
    address: str, settings: list[tuple[tuple[bytes, ...], bytes, bytes]], env: dict[str, str], allowed: bool
) -> None:
    if allowed:
        refuse_forbidden(config(*settings), env, parse_address(address))
    else:
        with pytest.raises(UsageError) as refused:
            refuse_forbidden(config(*settings), env, parse_address(address))
        assert refused.value.kind == "protocol-not-allowed"
