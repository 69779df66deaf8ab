"""Whatever the store remembers of one instance after the other: so much of a fleet at a time as one request can bear.

Points and slots begin with their subject. The next subject is found by one look behind the last possible key of the one
before it, in each table, so that what is read follows the number of subjects asked for, not the fleet's.
"""

from collections.abc import Iterator
from typing import Final

from shared.ports.store import Store
from shared.state.points import TABLE as POINTS
from shared.state.slots import TABLE as SLOTS

_LAST: Final = "\U0010ffff"
"""Sorts behind every second part of a key."""


class Fleet:
    def __init__(self, store: Store) -> None:
        self._store = store

    def subjects(self, *, after: str = "") -> Iterator[str]:
        """Whoever has points or slots, ascending, behind `after`: instances, and protections whose slots nobody took.
        Two reads each."""
        found = after
        while True:
            behind = (found, _LAST) if found else None
            rows = (
                *self._store.scan(POINTS, (), after=behind, limit=1),
                *self._store.scan(SLOTS, (), after=behind, limit=1),
            )
            if not rows:
                return
            found = min(row.key[0] for row in rows)
            if not found.startswith("~"):  # lists that points keep of themselves
                yield found
