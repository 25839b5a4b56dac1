"""An annotated tag with a signature, taken apart: what it says, what was signed, and what with. Pure.

The form is that of git's gitformat-signature(5): the signature stands at the end of the tag, in armour, and
is over all that stands before it. What git lets pass is refused here (a second signature, words behind the
signature, headers that the format does not have): an announcement may move a whole fleet.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, TypeAlias

from resync.model import Oid

Scheme: TypeAlias = Literal["openpgp", "ssh"]

_HEAD = re.compile(
    rb"object ([0-9a-f]{40}|[0-9a-f]{64})\ntype (?:commit|tag)\ntag ([^\n]+)\n(?:tagger [^\n]*\n)?\n"
)
_BEGIN = re.compile(
    rb"^-----BEGIN (PGP SIGNATURE|PGP MESSAGE|SSH SIGNATURE|SIGNED MESSAGE)-----", re.MULTILINE
)
_SCHEMES: dict[bytes, Scheme] = {b"PGP SIGNATURE": "openpgp", b"SSH SIGNATURE": "ssh"}

_SSH_ARMOUR = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\r?\n([A-Za-z0-9+/=\s]+)-----END SSH SIGNATURE-----\s*"
)
_SSH_MAGIC = b"SSHSIG\0\0\0\1"  # with the version, which is 1
_SSH_KEY_TYPE = re.compile(rb"[A-Za-z0-9@.-]+")


class Unproven(Exception):
    """Nothing proves who made a tag; the message is the end of a sentence about it, ``hint`` what helps."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTag:
    """A tag: its own ``name``, the object that it names, the bytes that were signed, and the signature."""

    name: bytes
    target: Oid
    payload: bytes
    signature: bytes
    scheme: Scheme


def parse_signed_tag(raw: bytes) -> SignedTag:
    """Take apart the raw bytes of a tag; raises ``Unproven`` where it is not signed, or not like that."""
    found = list(_BEGIN.finditer(raw))
    if not found:
        raise Unproven("has no signature")
    head = _HEAD.match(raw)
    if len(found) > 1 or head is None or head.end() > found[0].start():
        raise Unproven("has more than one signature, or is of a form that resync does not know")
    kind, start = found[0][1], found[0].start()
    if kind not in _SCHEMES:
        raise Unproven(f"is signed as {kind.decode()}, which resync cannot verify")
    if not raw.rstrip().endswith(b"\n-----END " + kind + b"-----"):
        raise Unproven("has words behind its signature, which nobody signed")
    return SignedTag(
        name=head[2],
        target=Oid(head[1]),
        payload=raw[:start],
        signature=raw[start:],
        scheme=_SCHEMES[kind],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SshKey:
    """A public key of SSH as it stands in a signature."""

    type: bytes
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` shows it: ``SHA256:`` and base64 without padding."""
        return "SHA256:" + b64encode(sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def line(self) -> bytes:
        """As it stands in a file: its type and base64."""
        return self.type + b" " + b64encode(self.blob)


def ssh_key(signature: bytes) -> SshKey:
    """The key that an SSH signature says it is by (OpenSSH's PROTOCOL.sshsig); raises ``Unproven``."""
    armour = _SSH_ARMOUR.fullmatch(signature)
    try:
        data = b64decode(armour[1]) if armour is not None else b""
        if not data.startswith(_SSH_MAGIC):
            raise ValueError
        blob = next(_strings(data[len(_SSH_MAGIC) :]))
        kind = next(_strings(blob))
    except (ValueError, Error, StopIteration):
        raise Unproven("has a signature that cannot be read") from None
    if not _SSH_KEY_TYPE.fullmatch(kind):
        raise Unproven("has a signature that cannot be read")
    return SshKey(type=kind, blob=blob)


def _strings(data: bytes) -> Iterator[bytes]:
    """The strings of SSH's wire format (RFC 4251, section 5): each has its length before it in four bytes."""
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        if len(data) < end:
            raise ValueError
        yield data[4:end]
        data = data[end:]
