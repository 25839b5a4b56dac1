"""What a partial clone left out, brought over where it is needed (gitformat-pack(5), partial clone).

git asks for one object at a time as it meets it, or for those of a command at once where it knows them. Here
the first that is missing brings everything with it that a run may look at: what differs along the commits
that one side has and another does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

from resync.errors import Refused
from resync.history import History, tree_changes
from resync.model import MODE_GITLINK, Oid
from resync.repository import Repository
from resync.request import Caller
from resync.upstream.fetch import in_words
from resync.upstream.find import UpstreamBranch

_MOST_SINGLE = 500
"""As many are asked for one by one; where more are missing, the clone has to be filled up by git."""


class Promised:
    """Brings missing objects from the remote that promised them, if there is one."""

    def __init__(
        self,
        repository: Repository,
        upstream: UpstreamBranch,
        history: History,
        tips: Iterable[Oid],
        caller: Caller,
        *,
        attended: bool,
    ) -> None:
        """``tips`` are the commits between which a run moves; with ``attended`` the caller and their programs
        may be asked for a password."""
        self._repository = repository
        promisors = repository.promisors()
        self._remote = upstream.remote if upstream.remote in promisors else promisors[0]
        self._url = repository.config_text("remote", self._remote, "url") or self._remote
        self._history = history
        self._tips = tuple(tips)
        self._progress = caller.progress
        self._prompt = caller.prompt if attended else None
        self._attended = attended
        self._asked = False
        self._single = 0

    def __call__(self, oid: Oid) -> bool:
        """Bring ``oid``, the first time with all that may be needed; whether it is here now.

        Raises ``Busy`` and ``UsageError`` as ``fetch`` does.
        """
        if not self._asked:
            self._asked = True
            wanted = {each for each in self._of_interest() if each not in self._repository.objects}
            with suppress(Refused):  # one that it does not have, and so none: this one may be had
                self._bring({oid, *wanted})
        if oid not in self._repository.objects and self._single < _MOST_SINGLE:
            self._single += 1
            with suppress(Refused):
                self._bring({oid})
        return oid in self._repository.objects

    def _bring(self, oids: set[Oid]) -> None:
        self._progress(f"Fetching {len(oids)} objects that were left out")
        with in_words(self._remote, self._url):
            from resync.remote.connect import connect

            way = connect(
                self._repository, self._remote, self._url, attended=self._attended, prompt=self._prompt
            )
            try:
                way.bring(sorted(oids), self._progress)
            finally:
                way.close()

    def _of_interest(self) -> Iterator[Oid]:
        """The files that differ between the tips, and along the commits that not all of them have."""
        objects, history = self._repository.objects, self._history
        commits = set[Oid]()
        for tip in self._tips:
            for other in self._tips:
                if other != tip:
                    commits |= history.surely([tip], [other])
        pairs = ((self._tips[0], other) for other in self._tips[1:])
        steps = ((parent, oid) for oid in commits for parent in history.parents(oid) or (None,))
        for before, after in chain(pairs, steps):
            old = objects.commit(before).tree if before is not None else None
            for _, a, b in tree_changes(objects, old, objects.commit(after).tree):
                for entry in (a, b):
                    if entry is not None and entry.mode != MODE_GITLINK:
                        yield entry.oid
