"""From a remote's address to a client of dulwich's that speaks with it, by its own way and its own rules."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from resync.programs import Programs
from resync.remote.address import Address, parse_address, refuse_forbidden
from resync.remote.credentials import Credentials
from resync.remote.settings import read_http, read_patience
from resync.repository import Repository
from resync.repository.config import TIMEOUT, seconds, value_of
from resync.repository.numbers import repo_class
from resync.request import Prompt

if TYPE_CHECKING:
    from dulwich.client import GitClient


def connect(
    repository: Repository, remote: str, url: str, *, attended: bool, prompt: Prompt | None
) -> tuple[GitClient, str]:
    """A client for the remote of that name at ``url``, and the path to give to it. Nothing is sent yet.

    ``attended`` says that a program may ask for a password, and ``prompt`` how we do; without them nobody is
    asked. Raises ``UsageError``: ``unsupported-address``, ``strange-address``, ``protocol-not-allowed``,
    ``bad-config``.
    """
    from dulwich.config import apply_instead_of

    address = parse_address(apply_instead_of(repository.config, url))
    refuse_forbidden(repository.config, repository.environment, address)
    if address.scheme == "file":
        return _local(os.path.join(repository.root, address.path))
    patience = read_patience(repository.config)
    programs = Programs(
        folder=repository.root,
        env=repository.environment,
        timeout=patience.idle,
        terminal=attended and prompt is not None,
    )
    thin = not repository.promisors()
    match address.scheme:
        case "ssh":
            return _by_ssh(repository, remote, address, programs, thin=thin), address.path
        case "git":
            from resync.remote.daemon import daemon_client, git_proxy

            proxy = git_proxy(repository.config, address.host)
            return daemon_client(address, proxy, programs, patience, thin_packs=thin), address.path
    from resync.remote.http import Web, http_client

    credentials = Credentials(
        config=repository.config,
        programs=replace(programs, timeout=seconds(repository.config, (b"resync",), "timeout", TIMEOUT)),
        prompt=prompt,
        askpass=attended,
        said=[],
    )
    web = Web(
        address,
        lambda each: read_http(repository.config, repository.environment, each, remote),
        credentials,
        patience,
    )
    return http_client(web, address.public, thin_packs=thin), ""


def _local(path: str) -> tuple[GitClient, str]:
    """A repository on this machine (a relative path counts from the top of the working tree), or a bundle."""
    from dulwich.client import BundleClient, LocalGitClient

    if os.path.isfile(path) and BundleClient._is_bundle_file(path):
        return BundleClient(), path
    client = LocalGitClient()
    # Its own configuration may have numbers that dulwich does not read.
    client._open_repo = lambda path: closing(repo_class()(path))  # type: ignore[method-assign]
    return client, path


def _by_ssh(
    repository: Repository, remote: str, address: Address, programs: Programs, *, thin: bool
) -> GitClient:
    from dulwich.client import SSHGitClient

    from resync.remote.ssh import read_ssh

    vendor = read_ssh(repository.config, repository.environment, programs, quiet=not programs.terminal)
    client = SSHGitClient(
        address.host,
        port=address.port,
        username=address.user,
        vendor=vendor,  # type: ignore[arg-type]
        thin_packs=thin,
        quiet=True,
    )
    over_there = value_of(repository.config, (b"remote", os.fsencode(remote)), "uploadPack")
    if over_there is not None:
        client.alternative_paths[b"upload-pack"] = over_there
    return client
