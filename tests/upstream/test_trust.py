"""Announcements that have to be signed: signatures by gpg and ssh-keygen, with git verify-tag beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from resync.errors import Refused, UsageError
from resync.model import Evidence, Oid, RefName, Upstream
from resync.programs import Programs
from resync.repository import Repository
from resync.upstream.signed_tag import Unproven, parse_signed_tag, ssh_key
from resync.upstream.trust import _valid_signature, announcement, trusted_keys
from tests.conftest import World, needs_git
from tests.keys import Keys, needs_gpg, needs_ssh

_LONG_AGO = "20160101T000000!"
TAG = RefName(b"refs/tags/main-eol")


# --- keys ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    # A path as short as can be: gpg's agent listens on a socket in it.
    with tempfile.TemporaryDirectory(prefix="gpg-") as name:
        made = Keys(home=Path(name))
        if shutil.which("gpg") is not None:
            made.make("known")
            made.make("stranger")
            made.make("expired", f"--faked-system-time={_LONG_AGO}", expires="1d")
            made.make("revoked")
            made.gpg("--quick-add-key", made.openpgp["known"], "ed25519", "sign", "never")
            made.openpgp["subkey"] = made.fingerprints("known")[1]
        yield made
        made.close()


def _revoke(keys: Keys) -> None:
    file = keys.home / "openpgp-revocs.d" / f"{keys.openpgp['revoked']}.rev"
    text = file.read_text()
    # gpg puts a colon before the armour, so that nobody imports it by mistake.
    keys.gpg("--import", data=text[text.index(":-----BEGIN") + 1 :].encode())


# --- a repository with tags ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A repository in which tags are made of the old tip, or of another commit."""

    world: World
    old: str
    other: str
    keys: Keys

    def tag(
        self,
        sign: Callable[[bytes], bytes] | None,
        *,
        name: str = "main-eol",
        target: str = "",
        more: bytes = b"",
    ) -> str:
        """Write a tag object that is signed so, and return its id."""
        tagger = "C O <c@example.com> 1461092552 +0000"
        head = f"object {target or self.old}\ntype commit\ntag {name}\ntagger {tagger}\n"
        payload = head.encode() + b"\nThe old line ends here.\n"
        raw = payload + (sign(payload) if sign is not None else b"") + more
        return self.world.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=raw)

    def announced(self, tag: str, trusted: str | None, **settings: str) -> str | None:
        """Who has announced it with the tag object of this id, by this setting of ``resync.trustedKeys``."""
        for name, value in {"resync.trustedKeys": trusted, **settings}.items():
            if value is not None:
                self.world.git("config", name, value)
        evidence = Evidence(kind="announcement-tag", source=TAG, oid=Oid(self.old.encode()))
        upstream = Upstream(
            remote="origin",
            branch=RefName(b"refs/heads/main"),
            tracking=None,
            kind="rewritten",
            new_tip=Oid(self.other.encode()),
            old_tip=evidence.oid,
            old_tips=(evidence.oid,),
            evidence=(evidence,),
        )
        with Repository.open(str(self.world.clone), self.keys.env) as repository:
            programs = Programs(folder=str(self.world.clone), env=self.keys.env, timeout=60)
            tags: Mapping[RefName, Oid] = {TAG: Oid(tag.encode())}
            return announcement(repository, upstream, tags, programs).signer

    def refused(self, tag: str, trusted: str, **settings: str) -> str:
        """Why the tag object of this id announces nothing."""
        with pytest.raises(Refused) as error:
            self.announced(tag, trusted, **settings)
        assert error.value.kind == "untrusted-announcement"
        assert error.value.message.endswith(" Nothing was changed.")
        return error.value.message

    def git_verifies(self, tag: str) -> bool:
        """Whether git takes the tag's signature for a good one."""
        done = subprocess.run(
            ["git", "verify-tag", tag],
            cwd=self.world.clone,
            env=self.keys.env,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0


@pytest.fixture
def shop(world: World, keys: Keys) -> Shop:
    world.git("init", "-q", "-b", "main", str(world.clone), at=world.base)
    old, other = (world.commit(name, {name: name}) for name in ("old", "other"))
    return Shop(world=world, old=old, other=other, keys=keys)


# --- OpenPGP ---------------------------------------------------------------------------------------------


@needs_git
@needs_gpg
@pytest.mark.parametrize("signing", ["known", "subkey"])
def test_a_tag_that_a_trusted_key_signed(shop: Shop, keys: Keys, signing: str) -> None:
    tag = shop.tag(keys.sign(signing))
    assert shop.git_verifies(tag)
    for trusted in {keys.openpgp["known"], keys.openpgp[signing]}:
        grouped = " ".join(trusted[place : place + 4] for place in range(0, 40, 4)).lower()
        assert shop.announced(tag, grouped) == trusted
    assert shop.announced(tag, None) is not None


@needs_git
@needs_gpg
def test_a_tag_by_git_itself(shop: Shop, keys: Keys) -> None:
    shop.world.env.update(keys.env)
    shop.world.git("tag", "-s", "-u", keys.openpgp["known"], "-m", "Ends here", "main-eol", shop.old)
    assert (
        shop.announced(shop.world.git("rev-parse", "main-eol"), keys.openpgp["known"])
        == keys.openpgp["known"]
    )


@needs_git
@needs_gpg
def test_a_key_that_is_not_trusted(shop: Shop, keys: Keys) -> None:
    tag = shop.tag(keys.sign("stranger"))
    assert shop.git_verifies(tag)  # for git, any key in the ring will do
    assert f"is signed by {keys.openpgp['stranger']}, which is not a trusted key" in shop.refused(
        tag, keys.openpgp["known"]
    )
    # Trust in a subkey is not trust in its primary key.
    assert "not a trusted key" in shop.refused(shop.tag(keys.sign("known")), keys.openpgp["subkey"])


@needs_git
@needs_gpg
def test_a_key_that_is_not_at_hand(shop: Shop, keys: Keys, tmp_path: Path) -> None:
    tag = shop.tag(keys.sign("known"))
    with tempfile.TemporaryDirectory(prefix="gpg-") as name:
        elsewhere = Shop(world=shop.world, old=shop.old, other=shop.other, keys=Keys(home=Path(name)))
        assert not elsewhere.git_verifies(tag)
        assert "has no good signature: gpg: " in elsewhere.refused(tag, keys.openpgp["known"])


@needs_git
@needs_gpg
def test_keys_whose_time_is_over(shop: Shop, keys: Keys) -> None:
    tags = {
        "expired": shop.tag(keys.sign("expired", f"--faked-system-time={_LONG_AGO}")),
        "revoked": shop.tag(keys.sign("revoked")),
    }
    assert shop.announced(tags["revoked"], keys.openpgp["revoked"])
    _revoke(keys)
    for name, tag in tags.items():
        assert not shop.git_verifies(tag)
        assert "has no good signature" in shop.refused(tag, keys.openpgp[name])


@needs_git
@needs_gpg
def test_a_signature_over_something_else(shop: Shop, keys: Keys) -> None:
    def other_words(payload: bytes) -> bytes:
        return keys.sign("known")(payload.replace(b"ends", b"goes on"))

    def inline(payload: bytes) -> bytes:
        # A whole signed message, with words of its own, in the armour of a signature.
        message = keys.gpg("--armor", "--sign", "-u", keys.openpgp["known"], data=b"Hello")
        return message.replace(b"PGP MESSAGE", b"PGP SIGNATURE")

    for sign in (other_words, inline):
        tag = shop.tag(sign)
        assert not shop.git_verifies(tag)
        assert "has no good signature" in shop.refused(tag, keys.openpgp["known"])


@needs_git
@needs_gpg
def test_two_signatures(shop: Shop, keys: Keys) -> None:
    def both(payload: bytes) -> bytes:
        return keys.sign("stranger")(payload) + keys.sign("known")(payload)

    def packed(payload: bytes) -> bytes:
        users = [f"-u{keys.openpgp[name]}!" for name in ("stranger", "known")]
        return keys.gpg("--armor", "--detach-sign", *users, data=payload)

    for sign, why in ((both, "more than one signature"), (packed, "has no good signature")):
        assert why in shop.refused(shop.tag(sign), keys.openpgp["known"])


# --- SSH -------------------------------------------------------------------------------------------------


@needs_git
@needs_ssh
def test_a_tag_that_a_trusted_ssh_key_signed(shop: Shop, keys: Keys) -> None:
    tag, fingerprint = shop.tag(keys.ssh_sign("me")), keys.ssh_fingerprint("me")
    assert shop.announced(tag, fingerprint) == fingerprint
    assert "not a trusted key" in shop.refused(tag, keys.ssh_fingerprint("you"))


@needs_git
@needs_ssh
@pytest.mark.parametrize(
    ("line", "good"),
    [
        ("me@example.com {me}", True),
        ('*@example.com,other@example.org namespaces="git,file" {me}', True),
        ("a@example.com,b@example.com {me}", True),
        ("me@example.com {you}\nalso@example.com {me}", True),
        ("me@example.com {you}", False),
        ('me@example.com namespaces="file" {me}', False),
        ('me@example.com valid-before="20160101" {me}', False),
        ("", False),
    ],
)
def test_files_of_allowed_signers(shop: Shop, keys: Keys, line: str, good: bool) -> None:
    public = {name: Path(f"{keys.ssh(name)}.pub").read_text().rpartition(" ")[0] for name in ("me", "you")}
    file = shop.world.base / "allowed signers"
    file.write_text(line.format(**public) + "\n")
    tag = shop.tag(keys.ssh_sign("me"))
    if "b@" not in line and "other@" not in line:
        # Of a line with several names git takes all of them for one.
        shop.world.git("config", "gpg.ssh.allowedSignersFile", str(file))
        assert shop.git_verifies(tag) == good
    if good:
        assert shop.announced(tag, str(file)) == keys.ssh_fingerprint("me")
    else:
        assert "main-eol" in shop.refused(tag, str(file))


@needs_git
@needs_ssh
def test_bad_ssh_signatures(shop: Shop, keys: Keys) -> None:
    trusted = keys.ssh_fingerprint("me")
    assert "no good signature" in shop.refused(shop.tag(keys.ssh_sign("me", "file")), trusted)
    assert "no good signature" in shop.refused(
        shop.tag(lambda data: keys.ssh_sign("me")(data + b"!")), trusted
    )
    revoked = shop.world.base / "revoked"
    revoked.write_bytes(Path(f"{keys.ssh('me')}.pub").read_bytes())
    tag = shop.tag(keys.ssh_sign("me"))
    assert shop.announced(tag, trusted) == trusted
    assert "no good signature" in shop.refused(tag, trusted, **{"gpg.ssh.revocationFile": str(revoked)})


# --- whatever the scheme ---------------------------------------------------------------------------------


@needs_git
@needs_ssh
def test_the_tag_is_bound_to_its_name_and_its_commit(shop: Shop, keys: Keys) -> None:
    trusted, sign = keys.ssh_fingerprint("me"), keys.ssh_sign("me")
    renamed = shop.tag(sign, name="other-eol")
    assert "was signed under another name, as other-eol" in shop.refused(renamed, trusted)
    assert "names another commit" in shop.refused(shop.tag(sign, target=shop.other), trusted)
    assert "words behind its signature" in shop.refused(shop.tag(sign, more=b"\nAnd more.\n"), trusted)
    assert "main-eol has no signature" in shop.refused(shop.tag(None), trusted)
    assert "lightweight" in shop.refused(shop.old, trusted)


@needs_git
@needs_ssh
@pytest.mark.parametrize("setting", ["gpg.program", "gpg.ssh.program"])
def test_without_a_verifier(shop: Shop, keys: Keys, setting: str) -> None:
    armour = b"-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n"
    tag = shop.tag(keys.ssh_sign("me") if "ssh" in setting else lambda _: armour)
    trusted = keys.ssh_fingerprint("me")
    settings = {setting: "/nowhere/verify it"}
    assert "was not verified, because /nowhere/verify it could not be run" in shop.refused(
        tag, trusted, **settings
    )
    with pytest.raises(Refused) as error:
        shop.announced(tag, trusted)
    assert error.value.hint.endswith(f"git config {setting} PATH")


GOOD = b"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 0 me\n[GNUPG:] VALIDSIG %b 2016-04-19 1 0 4 0 22 10 00 %b\n" % (
    b"A" * 40,
    b"B" * 40,
)


@pytest.mark.parametrize(
    ("status", "good"),
    [
        (GOOD, True),
        (GOOD.lower().replace(b"a" * 40, b"A" * 40), False),
        (GOOD.replace(b"GOODSIG", b"EXPSIG"), False),
        (GOOD.replace(b"GOODSIG", b"EXPKEYSIG"), False),
        (GOOD.replace(b"GOODSIG", b"REVKEYSIG"), False),
        (GOOD + b"[GNUPG:] ERRSIG 1 22 10 00 1461092552 9 -\n", False),
        (GOOD + GOOD, False),
        (GOOD + b"[GNUPG:] PLAINTEXT 62 1461092552 name\n", False),
        (GOOD.replace(b"[GNUPG:] ", b""), False),
        (b"[GNUPG:] GOODSIG 0 me\r[GNUPG:] VALIDSIG %b\n" % (b"A" * 40), False),
        (b"[GNUPG:] GOODSIG 0 me\n", False),
        (b"[GNUPG:] GOODSIG 0 me\n[GNUPG:] VALIDSIG\n", False),
        (b"[GNUPG:]\n[GNUPG:] \n", False),
        (b"", False),
    ],
)
def test_what_gpg_says(status: bytes, good: bool) -> None:
    assert _valid_signature(status) == (("A" * 40, "B" * 40) if good else None)


@pytest.mark.parametrize(
    "value", ["", "DEADBEEF", "0xDEADBEEFDEADBEEF", "keys/allowed", "SHA256:abc", "MD5:00:11"]
)
def test_what_is_no_key(value: str) -> None:
    with pytest.raises(UsageError, match=r"resync\.trustedKeys is"):
        trusted_keys([value])


def test_paths_may_begin_at_home(hermetic: Path) -> None:
    assert trusted_keys(["~/signers", "0x" + "ab" * 20]).signers == (os.path.join(str(hermetic), "signers"),)
    assert not trusted_keys([])


HEAD = b"object " + b"0" * 40 + b"\ntype commit\ntag main-eol\n\n"
PGP = b"-----BEGIN PGP SIGNATURE-----\n-----END PGP SIGNATURE-----\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        HEAD,
        PGP,
        HEAD.replace(b"\n\n", b"\ngpgsig " + PGP[:-1].replace(b"\n", b"\n ") + b"\n\n") + PGP,
        HEAD.replace(b"tag main", b"tag other\ntag main") + PGP,
        HEAD.replace(b"commit", b"tree") + PGP,
        HEAD + PGP.replace(b"SIGNATURE", b"MESSAGE"),
        HEAD + b"-----BEGIN SIGNED MESSAGE-----\n-----END SIGNED MESSAGE-----\n",
        HEAD + PGP.replace(b"END PGP", b"END SSH"),
        HEAD[:-1] + PGP,
    ],
)
def test_tags_that_are_signed_in_no_known_way(raw: bytes) -> None:
    with pytest.raises(Unproven):
        parse_signed_tag(raw)


@pytest.mark.parametrize(
    "inside", [b"", b"!", b"U1NIU0lH", b"U1NIU0lHAAAAAf////8=", b"U1NIU0lHAAAAAQAAAAUAAAABCg=="]
)
def test_ssh_signatures_that_are_none(inside: bytes) -> None:
    with pytest.raises(Unproven, match="cannot be read"):
        ssh_key(b"-----BEGIN SSH SIGNATURE-----\n" + inside + b"\n-----END SSH SIGNATURE-----\n")


# --- the whole of it -------------------------------------------------------------------------------------


@needs_git
@needs_ssh
def test_a_deployment_follows_who_is_trusted(rewritten_world: World, keys: Keys) -> None:
    world, at = rewritten_world, rewritten_world.base / "work"
    world.git("config", "resync.requireAnnouncement", "true")
    world.git("config", "resync.trustedKeys", keys.ssh_fingerprint("me"))
    old = world.git("rev-parse", "origin/main")

    def announce(*how: str) -> None:
        world.git(*how, "-f", "-m", "Ends here", "main-eol", old, at=at)
        world.git("push", "-q", "--force", "origin", "main-eol", at=at)

    before = world.state()
    announce("tag", "-a")
    done = world.resync("run", "--yes", "--dirty=park", "--json")
    assert (done.code, done.json["error"]["kind"]) == (1, "untrusted-announcement")
    assert "tag main-eol has no signature" in done.json["error"]["message"]
    assert world.state() == before

    announce("-c", "gpg.format=ssh", "-c", f"user.signingKey={keys.ssh('me')}", "tag", "-s")
    done = world.resync("run", "--yes", "--dirty=park", "--json")
    assert done.code == 3, done
    signer = keys.ssh_fingerprint("me")
    text = f"tag main-eol, which announces it, is signed by the trusted key {signer}"
    assert done.json["notes"] == [{"path": None, "text": text}]


@needs_git
@needs_ssh
def test_who_is_trusted_settles_that_upstream_went_back(rewritten_world: World, keys: Keys) -> None:
    world = rewritten_world
    old = world.git("rev-parse", "origin/main")
    world.git("update-ref", "refs/heads/main", f"{old}~1", at=world.upstream)
    world.git("config", "resync.trustedKeys", keys.ssh_fingerprint("known"))
    for name, kind, code in (("stranger", "untrusted-announcement", 1), ("known", None, 3)):
        signing = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={keys.ssh(name)}")
        world.git(*signing, "tag", "-f", "-s", "-m", "back", "main-eol", old, at=world.upstream)
        done = world.resync("run", "--yes", "--dirty=park", "--json")
        assert done.code == code, done
        error = done.json["error"] or {"kind": None}
        assert error["kind"] == kind
        if kind is not None:
            back = world.git("rev-parse", "main", at=world.upstream)
            assert done.json["hint"] == f"resync run --expect {back} --dirty=park    # if that is meant"
            assert "which is not a trusted key" in error["message"]
    assert done.json["upstream"]["kind"] == "rewound"
    assert "is signed by the trusted key" in done.json["notes"][0]["text"]


@needs_git
def test_a_setting_that_names_no_key_is_wrong_usage(rewritten_world: World) -> None:
    world = rewritten_world
    world.git("config", "resync.trustedKeys", "DEADBEEF")
    done = world.resync("plan", "--require-announcement", "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "bad-config")
