"""Locks on partition keys: a local transaction holds one, and so may a call whose end never came.

While one is held, writes by others to that key are refused and reads see what was committed. Times are milliseconds of
the emulated clock. Source: developer guide, local transactions (2025): pessimistic lock, freed when it expires.
"""

from dataclasses import dataclass

from emulator.tablestore.errors import row_conflict
from emulator.tablestore.values import KeyValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    holder: str  # a transaction's id, or "" for a lock that nobody can use
    until: int


class Locks:
    def __init__(self) -> None:
        self._held: dict[KeyValue, Lock] = {}

    def take(self, key: KeyValue, holder: str, *, now: int, until: int) -> None:
        self.check(key, holder, now=now)
        self._held[key] = Lock(holder=holder, until=until)

    def leave(self, key: KeyValue, *, until: int) -> None:
        """A lock that nobody can use or free, unless somebody holds the key already."""
        self._held.setdefault(key, Lock(holder="", until=until))

    def free(self, key: KeyValue, holder: str) -> None:
        lock = self._held.get(key)
        if lock is not None and lock.holder == holder:
            del self._held[key]

    def check(self, key: KeyValue, holder: str, *, now: int) -> None:
        """Raise OTSRowOperationConflict while somebody else holds the key."""
        lock = self._held.get(key)
        if lock is None:
            return
        if lock.until <= now:
            del self._held[key]
        elif not holder or lock.holder != holder:
            raise row_conflict()
