"""One conversation with an upstream for many checkouts of it.

Whoever works on several checkouts gives each command a folder. The first to ask an upstream leaves there what
the remote advertised, word for word, and the repository that the objects are in now; the others take that for
the remote's answer, and the objects from there. What each makes of it, its evidence and its tags, is its own,
and so is everything that it writes.

Two checkouts share an answer where they would have asked the same: equal address, equal settings of the
remote, of transports and of credentials, and the same format of objects. A shallow or a partial clone neither
gives nor takes: what it has is not whole, and what it needs is not what others need. Where an answer cannot
be used (an object is not there, or damaged), the remote is asked as ever.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from resync.errors import Busy, Refused
from resync.model import Oid, RefName
from resync.repository import Repository
from resync.request import Caller, Progress
from resync.upstream.fetch import Fetched, fetch
from resync.upstream.find import UpstreamBranch

# Settings of a remote that say what is done with its answer, and not how it is asked.
_OWN = {b"fetch", b"push", b"pushurl", b"url", b"prune", b"prunetags", b"tagopt", b"skipfetchall", b"mirror"}
_HOW = {b"http", b"https", b"credential", b"ssh", b"protocol", b"transfer", b"fetch", b"gitproxy"}
_HOW_CORE = {b"sshcommand", b"gitproxy", b"askpass"}


def key_of(repository: Repository, upstream: UpstreamBranch) -> str | None:
    """What is equal for all that would ask the upstream the same; None where nothing is to be shared."""
    from dulwich.config import apply_instead_of

    if repository.shallow or _is_partial(repository):
        return None
    address = apply_instead_of(repository.config, upstream.url)
    if ":" not in address:
        address = os.path.realpath(os.path.join(repository.root, address))
    remote = upstream.remote.encode("utf-8", "surrogateescape")
    how = [address.encode("utf-8", "surrogateescape"), b"%d" % repository.objects.hex_length]
    for backend in repository.config.backends:
        for section in backend.sections():
            kind = section[0].lower()
            for name, value in backend.items(section):
                setting = name.lower()
                if (
                    kind in _HOW
                    or (kind == b"core" and setting in _HOW_CORE)
                    or (kind == b"remote" and section[1:] == (remote,) and setting not in _OWN)
                ):
                    place = section[1:] if kind != b"remote" else ()
                    how.append(b"\0".join((kind, *place, setting, value)))
    return hashlib.sha256(b"\0\0".join(how)).hexdigest()


def _is_partial(repository: Repository) -> bool:
    return repository.config_text("extensions", "partialClone") is not None or bool(repository.promisors())


def expect(folder: str, key: str, branches: Collection[RefName]) -> None:
    """Say which branches those will need who share an answer, so that whoever asks gets them all."""
    _write(_path(folder, key, "wanted"), [_text(branch) for branch in sorted(branches)])


def is_there(folder: str, key: str) -> bool:
    """Whether somebody has asked, and left the answer."""
    return os.path.exists(_path(folder, key, "answer"))


def ask(
    repository: Repository,
    upstream: UpstreamBranch,
    caller: Caller,
    also: Callable[[RefName], bool] = lambda name: False,
    *,
    folder: str | None,
    attended: bool = False,
) -> Fetched:
    """Fetch as ``fetch`` does, or take the answer that somebody left in ``folder``; without one, leave it.

    With ``attended`` the caller and their programs may be asked for a password.
    """
    progress, prompt = caller.progress, caller.prompt if attended else None
    key = key_of(repository, upstream) if folder is not None else None
    if folder is None or key is None:
        return fetch(repository, upstream, progress, also, attended=attended, prompt=prompt)
    answer = _read(_path(folder, key, "answer"))
    if answer is not None:
        if "unreachable" in answer:
            raise Busy("upstream-unreachable", answer["unreachable"], answer["hint"])
        taken = _take(repository, upstream, progress, also, answer)
        if taken is not None:
            return taken
    wanted = set(_read(_path(folder, key, "wanted")) or ())
    try:
        fetched = fetch(
            repository,
            upstream,
            progress,
            lambda name: also(name) or _text(name) in wanted,
            attended=attended,
            prompt=prompt,
        )
    except Busy as error:
        # It is as far away for the others; each would wait for as long to learn that.
        if answer is None and error.kind == "upstream-unreachable":
            _leave(folder, key, {"unreachable": error.message, "hint": error.hint})
        raise
    if answer is None:
        refs = {_text(name): oid.decode() for name, oid in fetched.refs.items()}
        _leave(folder, key, {"refs": refs, "repository": repository.common_dir})
    return fetched


def _take(
    repository: Repository,
    upstream: UpstreamBranch,
    progress: Progress,
    also: Callable[[RefName], bool],
    answer: Mapping[str, Any],
) -> Fetched | None:
    """What the remote said to another checkout, with the objects from there; None where that will not do."""
    from resync.remote.local import Local

    refs = {RefName(_bytes(name)): Oid(oid.encode()) for name, oid in answer["refs"].items()}
    with suppress(Refused, Busy, OSError):
        tags = repository.config_text("remote", upstream.remote, "tagOpt") != "--no-tags"
        stands_in = Local(repository, answer["repository"], tags=tags, advertised=refs)
        return fetch(repository, upstream, progress, also, through=stands_in)
    return None


def _leave(folder: str, key: str, answer: Mapping[str, Any]) -> None:
    with suppress(OSError):  # then the others ask for themselves
        _write(_path(folder, key, "answer"), answer)


def _path(folder: str, key: str, what: str) -> str:
    return os.path.join(folder, f"{key}.{what}")


def _write(path: str, content: Mapping[str, Any] | Sequence[str]) -> None:
    partial = f"{path}.{os.getpid()}"
    with open(partial, "w", encoding="ascii") as file:
        json.dump(content, file)
    os.replace(partial, path)


def _read(path: str) -> Any:
    try:
        with open(path, encoding="ascii") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
