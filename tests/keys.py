"""Keys of OpenPGP and SSH, made by gpg and ssh-keygen, in a home of their own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import environment

needs_gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")
needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


@dataclass(kw_only=True)
class Keys:
    """A home of gpg's with keys by their names, and SSH keys beside it."""

    home: Path
    openpgp: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        return {**environment(self.home), "GNUPGHOME": str(self.home)}

    def gpg(self, *arguments: str, data: bytes = b"") -> bytes:
        command = ["gpg", "--batch", "--quiet", "--pinentry-mode=loopback", "--passphrase=", *arguments]
        done = subprocess.run(command, env=self.env, input=data, capture_output=True, check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def make(self, name: str, *when: str, expires: str = "never") -> None:
        self.gpg(*when, "--quick-gen-key", name, "ed25519", "sign", expires)
        self.openpgp[name] = self.fingerprints(name)[0]

    def fingerprints(self, name: str) -> list[str]:
        lines = self.gpg("--with-colons", "--list-keys", name).decode().splitlines()
        return [line.split(":")[9] for line in lines if line.startswith("fpr:")]

    def sign(self, name: str, *when: str) -> Callable[[bytes], bytes]:
        return lambda data: self.gpg(
            *when, "--armor", "--detach-sign", "-u", f"{self.openpgp[name]}!", data=data
        )

    def ssh(self, name: str) -> Path:
        path = self.home / name
        if not path.exists():
            self._ssh("-q", "-t", "ed25519", "-N", "", "-C", f"{name}@example.com", "-f", str(path))
        return path

    def ssh_fingerprint(self, name: str) -> str:
        return self._ssh("-l", "-f", f"{self.ssh(name)}.pub").split()[1].decode()

    def ssh_sign(self, name: str, namespace: str = "git") -> Callable[[bytes], bytes]:
        return lambda data: self._ssh("-Y", "sign", "-n", namespace, "-f", str(self.ssh(name)), data=data)

    def _ssh(self, *arguments: str, data: bytes = b"") -> bytes:
        done = subprocess.run(["ssh-keygen", *arguments], input=data, capture_output=True, check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def close(self) -> None:
        """End what gpg has started."""
        if shutil.which("gpgconf") is not None:
            subprocess.run(["gpgconf", "--kill", "all"], env=self.env, capture_output=True, check=False)
