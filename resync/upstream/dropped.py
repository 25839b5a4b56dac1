"""Commits of yours that upstream once had, and has no more: what a rewrite silently took away.

A commit counts as yours where it stands on your branch under another id than upstream had it, or where a
reflog here says that it, or one with its patch or Change-Id, was made or pushed here. Its author's name alone
says nothing: on a server or in a team many commits carry it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from resync.history import History, MentionIndex, PatchIndex
from resync.model import Head, Oid, RefName
from resync.repository import Repository

# Reflog messages by which git says that a commit was made here.
_MADE = re.compile(
    rb"(?:commit(?: \([\w ]+\))?|cherry-pick|revert|am|rebase(?: -\w+)*(?: \((?:pick|squash|fixup|reword|"
    rb"edit|continue)\))|pull(?: [^:]*)? \((?:pick|continue)\)): "
)
# And those by which somebody wrote it here, and did not only bring it here from elsewhere.
_WRITTEN = re.compile(rb"(?:commit(?: \((?:initial|merge)\))?|revert): ")
_AMENDED = b"commit (amend): "
_PUSHED = b"update by push"


def made_here(
    repository: Repository, history: History, head: Head, tracking: RefName | None
) -> frozenset[Oid]:
    """The commits that reflogs say were made in this repository, or pushed from it to upstream's branch."""
    made = {
        entry.new
        for name in dict.fromkeys((RefName(b"HEAD"), head.branch or RefName(b"HEAD")))
        for entry in repository.reflog(name)
        if _MADE.match(entry.message)
    }
    for entry in repository.reflog(tracking) if tracking is not None else ():
        if (
            entry.message == _PUSHED
            and entry.old.strip(b"0")
            and _both_here(repository, entry.old, entry.new)
        ):
            made.update(history.reachable([entry.new], [entry.old], ignore_cut=True))
    return frozenset(made)


def yours(
    repository: Repository, history: History, head: Head, tracking: RefName | None, among: Collection[Oid]
) -> frozenset[Oid]:
    """Which ``among`` some commits that upstream had are yours by the reflogs: made here or pushed from here,
    under this id or under another, as where a server picked what you had written.

    Under another id, by patch or Change-Id, only what was written here counts: a pick or a rebase copies
    other people's commits as well. Raises ``Refused`` where an object is missing.
    """
    found = set(among) & made_here(repository, history, head, tracking)
    objects = repository.objects
    written = sorted(oid for oid in _written_here(repository, head) - found if objects.is_commit(oid))
    patches, changes = PatchIndex(objects, written), MentionIndex(objects, written)
    for oid in set(among) - found if written else ():
        if patches.find(oid) is not None or changes.same_change(objects.commit(oid)) is not None:
            found.add(oid)
    return frozenset(found)


def _written_here(repository: Repository, head: Head) -> set[Oid]:
    """The commits that reflogs say were written here; an amended one where what it amends was."""
    written: set[Oid] = set()
    for name in dict.fromkeys((RefName(b"HEAD"), head.branch or RefName(b"HEAD"))):
        for entry in repository.reflog(name):
            amended = entry.message.startswith(_AMENDED) and entry.old in written
            if amended or _WRITTEN.match(entry.message):
                written.add(entry.new)
    return written


def _both_here(repository: Repository, *oids: Oid) -> bool:
    return all(repository.objects.is_commit(oid) for oid in oids)


class Dropped:
    """Tells of single commits whether upstream had them and left them out.

    ``gone`` are the commits that an old tip reaches and the new one does not, ``arrived`` those that came.
    What is looked up here is read when it is first asked for.
    """

    def __init__(self, repository: Repository, gone: Iterable[Oid], arrived: Iterable[Oid]) -> None:
        self._objects = repository.objects
        self._gone = frozenset(gone)
        ordered = sorted(self._gone)
        self._patches = PatchIndex(repository.objects, ordered)
        self._changes = MentionIndex(repository.objects, ordered)
        self._new_changes = MentionIndex(repository.objects, sorted(arrived))

    def reason(self, oid: Oid) -> str:
        """Why the commit counts as dropped by upstream, for people; empty where it does not.

        Whether upstream has its patch, or all of its changes, is for the replay to find out.
        """
        if not self._gone:
            return ""
        commit = self._objects.commit(oid)
        if self._new_changes.same_change(commit) is not None:
            return ""
        if oid in self._gone:
            return "upstream had it and left it out of the new history"
        twin = self._patches.find(oid) or self._changes.same_change(commit)
        if twin is None:
            return ""
        return f"upstream had it as {twin[:10].decode()} and left it out of the new history"
