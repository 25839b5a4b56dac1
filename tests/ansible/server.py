"""How Ansible reaches the targets: a local connection, or ssh to a server of our own on 127.0.0.1.

Either way the first ``git`` on the target's PATH is one that notes that it was called, and its home and
folder of temporary files are below the folder that is given.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 20


class Missing(Exception):
    """This machine has not what the connection needs; the words say what."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """``words`` are for every line of the inventory, ``env`` is for ansible-playbook.

    On the target ``temporary`` is where temporary files go, and ``called`` is there once git was.
    """

    words: str
    env: Mapping[str, str]
    temporary: Path
    called: Path


@contextmanager
def connection(kind: str, base: Path) -> Iterator[Connection]:
    """A connection of this kind (``local`` or ``ssh``) for targets below ``base``."""
    temporary, called = base / "tmp", base / "git was called"
    temporary.mkdir()
    env = {"PATH": f"{_trap(base, called)}:{os.environ['PATH']}", "TMPDIR": str(temporary)}
    remote = f"ansible_remote_tmp={base / 'remote'}"
    if kind == "local":
        words = f"ansible_connection=local {remote}"
        yield Connection(words=words, env=env, temporary=temporary, called=called)
        return
    with _sshd(base, {**env, "HOME": str(base / "home")}) as (port, options):
        words = (
            f"ansible_connection=ssh ansible_host=127.0.0.1 ansible_port={port}"
            f" ansible_user={getpass.getuser()} ansible_ssh_common_args='{options}' {remote}"
        )
        yield Connection(
            words=words, env={"ANSIBLE_SSH_ARGS": "-o ControlMaster=no"}, temporary=temporary, called=called
        )


def _trap(base: Path, called: Path) -> Path:
    """A folder with a git that nobody should call."""
    folder = base / "trap"
    folder.mkdir()
    git = folder / "git"
    git.write_text(f"#!/bin/sh\necho \"$@\" >> '{called}'\nexit 1\n")
    git.chmod(0o755)
    return folder


@contextmanager
def _sshd(base: Path, env: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """A server that gives its sessions this environment; its port, and the options for ssh to reach it."""
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if program is None or shutil.which("ssh") is None:
        raise Missing(
            "OpenSSH is not installed, or not its server (apt-get install openssh-client openssh-server)"
        )
    folder = base / "sshd"
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(command, check=True)
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # where the server locks part of itself in
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shutil.copy(folder / "user.pub", folder / "authorized")
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        "Subsystem sftp internal-sftp\n"
        "SetEnv " + " ".join(f'"{name}={value}"' for name, value in env.items()) + "\n"
    )
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            [program, "-D", "-e", "-f", str(folder / "config")], stdin=subprocess.DEVNULL, stderr=log
        )
    try:
        _wait(server, port, folder / "log")
        yield (
            port,
            (
                f"-F none -i {folder}/user -o IdentitiesOnly=yes -o UserKnownHostsFile={folder}/known"
                " -o StrictHostKeyChecking=yes -o BatchMode=yes"
            ),
        )
    finally:
        server.terminate()
        server.wait()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until somebody answers."""
    until = time.monotonic() + _PATIENCE
    while server.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Missing(f"sshd does not answer: {log.read_text().strip()}")
