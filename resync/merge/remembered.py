"""What merges find out about objects, remembered for the next merge in the same store.

A series of picks asks nearly the same questions at every pick. Objects never change, so that what is
remembered is never wrong; it is bounded, and goes with its store.
"""

from __future__ import annotations

from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from resync.model import ObjectStore

_Key = TypeVar("_Key")
_Found = TypeVar("_Found")


class Remembered(Generic[_Key, _Found]):
    """Findings by key, for each object store apart; ``most`` bounds their sizes together, in one store."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._stores: WeakKeyDictionary[ObjectStore, _Store[_Key, _Found]] = WeakKeyDictionary()

    def get(self, objects: ObjectStore, key: _Key) -> _Found | None:
        """What is remembered under a key, or None."""
        store = self._stores.get(objects)
        return None if store is None else store.found.get(key)

    def keep(self, objects: ObjectStore, key: _Key, found: _Found, size: int) -> None:
        """Remember a finding; where there is no room left for it, all others are forgotten."""
        store = self._stores.get(objects)
        if store is None or store.room < size:
            store = self._stores[objects] = _Store(self._most)
        store.found[key] = found
        store.room -= size


class _Store(Generic[_Key, _Found]):
    def __init__(self, room: int) -> None:
        self.found: dict[_Key, _Found] = {}
        self.room = room
