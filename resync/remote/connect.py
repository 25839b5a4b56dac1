"""From a remote's address to the way that leads there, by its own rules."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from resync.programs import Programs
from resync.remote.address import Address, parse_address, refuse_forbidden
from resync.remote.credentials import Credentials
from resync.remote.lines import Wish
from resync.remote.local import Local
from resync.remote.settings import Patience, read_http, read_patience
from resync.remote.watch import Watch
from resync.remote.way import Transport, Way
from resync.repository import Repository
from resync.repository.config import TIMEOUT, seconds, value_of
from resync.request import Prompt

if TYPE_CHECKING:
    from dulwich.client import GitClient


def connect(repository: Repository, remote: str, url: str, *, attended: bool, prompt: Prompt | None) -> Way:
    """A way to the remote of that name at ``url``. Nothing is sent yet.

    ``attended`` says that a program may ask for a password, and ``prompt`` how we do; without them nobody is
    asked. Raises ``UsageError``: ``unsupported-address``, ``strange-address``, ``protocol-not-allowed``,
    ``bad-config``.
    """
    from dulwich.config import apply_instead_of

    address = parse_address(apply_instead_of(repository.config, url))
    refuse_forbidden(repository.config, repository.environment, address)
    promised = remote in repository.promisors()
    tags = repository.config_text("remote", remote, "tagOpt") != "--no-tags"
    left_out = value_of(repository.config, (b"remote", os.fsencode(remote)), "partialCloneFilter")
    if address.scheme == "file":
        path = os.path.join(repository.root, address.path)
        bundle = _bundle(path)
        if bundle is not None:
            return Transport(repository, bundle, path)
        return Local(repository, path, tags=tags, promised=promised)
    # A delta may be against something that a partial clone does not have.
    wish = Wish(thin=not repository.promisors(), tags=tags)
    patience = read_patience(repository.config)
    watch = Watch(patience.whole)
    client, path = _client(
        repository, remote, address, wish, patience, watch, attended=attended, prompt=prompt
    )
    return Transport(repository, client, path, left_out if promised else None, watch, promised=promised)


def _bundle(path: str) -> GitClient | None:
    """A client for the bundle at ``path``; None where there is none."""
    from dulwich.client import BundleClient

    return BundleClient() if os.path.isfile(path) and BundleClient._is_bundle_file(path) else None


def _client(
    repository: Repository,
    remote: str,
    address: Address,
    wish: Wish,
    patience: Patience,
    watch: Watch,
    *,
    attended: bool,
    prompt: Prompt | None,
) -> tuple[GitClient, str]:
    programs = Programs(
        folder=repository.root,
        env=repository.environment,
        timeout=patience.idle,
        terminal=attended and prompt is not None,
    )
    match address.scheme:
        case "ssh":
            from resync.remote.ssh import read_ssh, ssh_client

            ssh = read_ssh(
                repository.config, repository.environment, programs, watch, quiet=not programs.terminal
            )
            over_there = value_of(repository.config, (b"remote", os.fsencode(remote)), "uploadPack")
            return ssh_client(ssh, address, over_there, wish), address.path
        case "git":
            from resync.remote.daemon import daemon_client, git_proxy

            proxy = git_proxy(repository.config, repository.environment, address)
            return daemon_client(address, proxy, programs, patience, wish, watch), address.path
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
        watch,
        lambda each: refuse_forbidden(repository.config, repository.environment, each),
    )
    return http_client(web, address.public, wish), ""
