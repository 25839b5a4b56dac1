"""Whether a rewrite was announced, and by somebody who may: the announcing tags and their signatures.

``resync.trustedKeys`` says whose signatures count, each value one of: the whole fingerprint of an OpenPGP
key (of the primary key or of the subkey that signs), the fingerprint of an SSH key (``SHA256:…``), or the
path of a file of allowed signers as in ssh-keygen(1). The verifiers are those that git uses, by the same
settings: ``gpg.program`` (``gpg.openpgp.program``), ``gpg.ssh.program`` and ``gpg.ssh.revocationFile``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from resync.errors import Refused, UsageError
from resync.model import Oid, RefName, Upstream
from resync.programs import Piped, Programs, because
from resync.repository import Repository
from resync.repository.objects import TAG
from resync.repository.repo import TAGS
from resync.signers import Folder, NotAsked, argument, ask, openpgp_program, ssh_program
from resync.upstream.signed_tag import SignedTag, Unproven, parse_signed_tag, ssh_key

_OPENPGP = re.compile(r"(?:0x)?([0-9A-F]{40}|[0-9A-F]{64})")
_SSH = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")

# Of what gpg says of a signature (its doc/DETAILS), the words that give a verdict: only the first is a good
# one, and most of them may go with VALIDSIG, which says no more than that the sums are right.
_GOOD = b"GOODSIG"
_VERDICTS = (_GOOD, b"EXPSIG", b"EXPKEYSIG", b"REVKEYSIG", b"BADSIG", b"ERRSIG")

_TO_FOLLOW = (
    "ask upstream whether it meant to do that",
    "resync run --no-require-announcement    # follows it all the same",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKeys:
    """Whose signatures count; all empty where any announcement does."""

    openpgp: frozenset[str] = frozenset()
    ssh: frozenset[str] = frozenset()
    signers: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.openpgp or self.ssh or self.signers)


def trusted_keys(values: Iterable[str]) -> TrustedKeys:
    """The values of ``resync.trustedKeys``; raises ``UsageError("bad-config")`` for one that is none.

    Short ids of OpenPGP keys are none: anybody can make a key that has a given one.
    """
    openpgp, ssh, signers = set(), set(), []
    for value in values:
        key = _OPENPGP.fullmatch("".join(value.split()).upper().replace("0X", "0x"))
        path = os.path.expanduser(value)
        if key is not None:
            openpgp.add(key[1])
        elif _SSH.fullmatch(value):
            ssh.add(value)
        elif os.path.isabs(path):
            signers.append(path)
        else:
            raise UsageError(
                "bad-config",
                f"resync.trustedKeys is {value!r}, which is neither the whole fingerprint of a key nor the"
                " path of a file of allowed signers. Nothing was changed.",
                "gpg --fingerprint    # shows the fingerprints of OpenPGP keys",
                "ssh-keygen -l -f KEY.pub    # shows that of an SSH key",
            )
    return TrustedKeys(openpgp=frozenset(openpgp), ssh=frozenset(ssh), signers=tuple(signers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """The tag that announces a rewrite, and the trusted key that signed it (None where none has to)."""

    tag: RefName
    signer: str | None


def announcement(
    repository: Repository, upstream: Upstream, tags: Mapping[RefName, Oid], programs: Programs
) -> Announcement:
    """The tag that announces that upstream's old tip is given up, signed by a trusted key if there are such.

    ``tags`` are the announcing tags that the remote advertises, not peeled. It says nothing of the new tip.
    Raises ``Refused``: ``unannounced``, ``untrusted-announcement``; and ``UsageError`` as ``trusted_keys``.
    """
    keys = trusted_keys(repository.config_all("resync", "trustedKeys"))
    names = [
        each.source
        for each in upstream.evidence
        if each.kind == "announcement-tag" and each.oid == upstream.old_tip
    ]
    old_tip = upstream.old_tip[:10].decode() if upstream.old_tip is not None else "?"
    if not names:
        raise Refused(
            "unannounced",
            f"{upstream.name} was {upstream.kind}, and no announcing tag of {upstream.remote} names its old"
            f" tip {old_tip}. Nothing was changed.",
            *_TO_FOLLOW,
        )
    if not keys:
        return Announcement(tag=RefName(names[0]), signer=None)
    verifier = _Verifier(repository, keys, programs)
    reasons: list[Unproven] = []
    for name in map(RefName, names):
        try:
            return Announcement(tag=name, signer=verifier.signer(name, tags[name], upstream.old_tip))
        except Unproven as reason:
            reasons.append(Unproven(f"tag {_short(name)} {reason}", reason.hint))
    raise Refused(
        "untrusted-announcement",
        f"{upstream.name} was {upstream.kind}, and nobody whom resync.trustedKeys names has announced that"
        f" its old tip {old_tip} is given up: {'; '.join(map(str, reasons))}. Nothing was changed.",
        *next(((each.hint,) for each in reasons if each.hint), _TO_FOLLOW),
    )


def _short(tag: RefName) -> str:
    return tag.removeprefix(TAGS).decode("utf-8", "backslashreplace")


class _Verifier:
    """Finds out which trusted key a tag is signed with, by the programs that git would ask."""

    def __init__(self, repository: Repository, keys: TrustedKeys, programs: Programs) -> None:
        self._repository = repository
        self._keys = keys
        self._programs = programs

    def signer(self, name: RefName, oid: Oid, target: Oid | None) -> str:
        """The key that signed the tag object ``oid`` of that name, which leads to ``target``.

        Raises ``Unproven``.
        """
        objects = self._repository.objects
        kind, raw = objects.raw(oid)
        if kind != TAG:
            raise Unproven("is a lightweight one, which nobody can sign")
        tag = parse_signed_tag(raw)
        if tag.name != name.removeprefix(TAGS):
            own = tag.name.decode("utf-8", "backslashreplace")
            raise Unproven(f"was signed under another name, as {own}")
        if objects.peel(tag.target) != target:
            raise Unproven("names another commit")
        return self._openpgp(tag) if tag.scheme == "openpgp" else self._ssh(tag)

    def _openpgp(self, tag: SignedTag) -> str:
        program = openpgp_program(self._repository)
        with Folder() as folder:
            file = folder.write("signature", tag.signature)
            ended = self._ask(
                program,
                [b"--keyid-format=long", b"--status-fd=1", b"--verify", file, b"-"],
                tag.payload,
                "gpg.program",
            )
        valid = _valid_signature(ended.output)
        if valid is None or ended.status != 0:
            raise Unproven(f"has no good signature{because(ended.said)}")
        trusted = [each for each in valid if each in self._keys.openpgp]
        if not trusted:
            raise Unproven(f"is signed by {valid[0]}, which is not a trusted key")
        return trusted[0]

    def _ssh(self, tag: SignedTag) -> str:
        key = ssh_key(tag.signature)
        program = ssh_program(self._repository)
        bad: Piped | None = None
        with Folder() as folder:
            file = folder.write("signature", tag.signature)
            if key.fingerprint in self._keys.ssh:
                line = b'resync namespaces="git" ' + key.line + b"\n"
                ended = self._verify_ssh(program, folder.write("signers", line), b"resync", file, tag.payload)
                if ended.status == 0:
                    return key.fingerprint
                bad = ended
            for signers in self._keys.signers:
                found = self._ask(
                    program,
                    [b"-Y", b"find-principals", b"-f", argument(signers), b"-s", file],
                    b"",
                    "gpg.ssh.program",
                )
                # A line may have several, with commas between them, and stands for each.
                names = found.output.replace(b",", b"\n").split() if found.status == 0 else ()
                for principal in names:
                    ended = self._verify_ssh(program, argument(signers), principal, file, tag.payload)
                    if ended.status == 0:
                        return key.fingerprint
                    bad = ended
        if bad is not None:
            raise Unproven(f"has no good signature{because(bad.said)}")
        raise Unproven(f"is signed by {key.fingerprint}, which is not a trusted key")

    def _verify_ssh(
        self, program: bytes, signers: bytes, principal: bytes, file: bytes, payload: bytes
    ) -> Piped:
        revoked = self._repository.config_text("gpg", "ssh", "revocationFile")
        return self._ask(
            program,
            [
                *(b"-Y", b"verify", b"-n", b"git", b"-f", signers, b"-I", principal, b"-s", file),
                *((b"-r", argument(os.path.expanduser(revoked))) if revoked else ()),
            ],
            payload,
            "gpg.ssh.program",
        )

    def _ask(self, program: bytes, arguments: Iterable[bytes], data: bytes, setting: str) -> Piped:
        """Run a verifier; raises ``Unproven`` where that cannot be done."""
        try:
            return ask(self._programs, program, arguments, data, setting)
        except NotAsked as failure:
            raise Unproven(f"was not verified, because {failure}", failure.hint) from None


def _valid_signature(status: bytes) -> tuple[str, str] | None:
    """The fingerprints of the key that signed and of its primary key, by gpg's status lines; None where these
    do not say that there is one signature, that it is good, and that it is over what was given."""
    lines = [line.split() for line in status.split(b"\n") if line.startswith(b"[GNUPG:] ")]
    words = [line[1] for line in lines if len(line) > 1]
    valid = [line[2:] for line in lines if line[1:2] == [b"VALIDSIG"]]
    # With PLAINTEXT it would be over words of its own, which it has brought along.
    if [word for word in words if word in _VERDICTS] != [_GOOD] or b"PLAINTEXT" in words:
        return None
    if len(valid) != 1 or not valid[0]:
        return None
    signing, primary = (field.decode("ascii", "replace").upper() for field in (valid[0][0], valid[0][-1]))
    return signing, primary
