"""What a way to a remote repository can do, whichever it is; and the ways that dulwich's transports go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol, TypeAlias

from resync.errors import Refused
from resync.model import Oid
from resync.remote.haves import Haves
from resync.remote.room import Room
from resync.remote.watch import Watch
from resync.repository import Repository
from resync.repository.weight import weigh
from resync.request import Progress

if TYPE_CHECKING:
    from dulwich.client import FetchPackResult, GitClient

Wants: TypeAlias = Callable[[Mapping[bytes, "bytes | None"], Mapping[bytes, bytes]], list[Oid]]
"""Given the refs over there, and what its annotated tags finally name: the ids to bring over."""

_PREFIXES = [b"HEAD", b"refs/heads/", b"refs/tags/"]
_IN_MEMORY = 64 << 20  # bytes of a pack, before it waits on the disk


class Way(Protocol):
    """A way to a remote repository."""

    def fetch(self, wants: Wants, progress: Progress) -> Mapping[bytes, bytes | None]:
        """Ask for its refs, and bring over what ``wants`` says then, with all that it needs; the refs."""

    def bring(self, oids: Sequence[Oid], progress: Progress) -> None:
        """Bring these very objects over; raises ``Refused`` where the other side does not give them."""

    def close(self) -> None:
        """Hang up."""


class _NoHaves:
    """Nothing is told to be here: what is asked for may be missing in the middle of what is."""

    shallow: frozenset[Oid] = frozenset()

    def __next__(self) -> None:
        return None

    next = __next__

    def ack(self, oid: bytes) -> None:
        """Nothing was told."""

    def nak(self) -> None:
        """Nothing was told."""


class Transport:
    """A way by one of dulwich's clients; ``path`` is what it is given. ``filter_spec`` leaves objects out, as
    git-rev-list(1) has it (``--filter``), ``watch`` is over all that is said (None: it is said here), and
    ``promised`` says that the remote keeps what was left out."""

    def __init__(
        self,
        repository: Repository,
        client: GitClient,
        path: str,
        filter_spec: bytes | None = None,
        watch: Watch | None = None,
        *,
        promised: bool = False,
    ) -> None:
        self._repository = repository
        self._watch = watch
        self._client = client
        self._path = path
        self._filter = filter_spec
        self._promised = promised

    def fetch(self, wants: Wants, progress: Progress) -> Mapping[bytes, bytes | None]:
        """What ``Way.fetch`` promises."""
        haves = Haves(self._repository)

        def determine(refs: Mapping[bytes, bytes], depth: int | None = None) -> list[bytes]:
            missing = wants(refs, getattr(self._client, "peeled", {}))
            if not missing:
                raise _NothingWanted(refs)
            haves.named(refs)
            return list(missing)

        try:
            return self._receive(determine, haves, self._filter, _PREFIXES, progress)
        except _NothingWanted as answer:
            return answer.refs

    def bring(self, oids: Sequence[Oid], progress: Progress) -> None:
        """What ``Way.bring`` promises. What is asked for comes, whatever a filter says."""
        from dulwich.errors import GitProtocolError, HangupException

        def determine(refs: Mapping[bytes, bytes], depth: int | None = None) -> list[bytes]:
            return list(oids)

        try:
            self._receive(determine, _NoHaves(), b"blob:none", [b"HEAD"], progress)
        except HangupException:
            raise
        except GitProtocolError as error:
            raise Refused("not-served", f"The remote does not send it ({error}).") from error

    def _receive(
        self,
        determine: Callable[..., list[bytes]],
        haves: Haves | _NoHaves,
        filter_spec: bytes | None,
        prefixes: list[bytes],
        progress: Progress,
    ) -> Mapping[bytes, bytes | None]:
        from tempfile import SpooledTemporaryFile

        from dulwich.errors import GitProtocolError

        objects = self._repository.objects
        room = Room(objects.folder)
        watched = self._watch.in_words() if self._watch is not None else nullcontext()
        with SpooledTemporaryFile(max_size=_IN_MEMORY, dir=objects.folder) as pack:

            def write(data: bytes) -> int:
                room.need(len(data))
                if self._watch is not None:
                    self._watch.kept(len(data))
                return pack.write(data)

            try:
                with watched:
                    result: FetchPackResult = self._client.fetch_pack(
                        self._path,
                        determine,  # type: ignore[arg-type]
                        haves,  # type: ignore[arg-type]
                        write,
                        progress=lambda message: progress(message.decode("utf-8", "replace")),
                        ref_prefix=prefixes,
                        filter_spec=filter_spec,
                    )
            except (AssertionError, IndexError, ValueError) as error:
                # dulwich's words for a line that it did not expect.
                raise GitProtocolError("it does not speak git's protocol") from error
            if not set(result.new_shallow or ()) <= self._repository.shallow:
                raise shallow_over_there()
            if pack.tell():
                weigh(pack, objects.hex_length // 2)
                pack.seek(0)
                with objects.incoming(promised=self._promised) as made:
                    made.add_thin_pack(pack.read, None)
            return result.refs  # type: ignore[return-value]

    def close(self) -> None:
        """Hang up."""
        self._client.close()
        if self._watch is not None:
            self._watch.close()


def shallow_over_there() -> Refused:
    """Why nothing is taken from a repository that is cut itself: what lies below would be missing here."""
    return Refused(
        "shallow-upstream",
        "The upstream repository is a shallow clone itself, whose history ends too early."
        " Nothing was changed.",
        "git fetch --update-shallow && resync run --no-fetch",
        "git fetch --unshallow    # over there",
    )


class _NothingWanted(Exception):
    """Ends the conversation after the refs: dulwich would go on to make an empty pack, at some cost."""

    def __init__(self, refs: Mapping[bytes, bytes]) -> None:
        super().__init__()
        self.refs = refs
