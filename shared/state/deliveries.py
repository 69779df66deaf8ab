"""Events already seen. A convenience against doubled work, not a guard: that is the journal's and the claims' part."""

from typing import Final

from shared.domain.errors import Conflict, OutcomeUnknown
from shared.ports.clock import Clock
from shared.ports.store import Absent, Row, Store
from shared.state import codec

TABLE: Final = "deliveries"


class Deliveries:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def first_time(self, key: str) -> bool:
        """Record `key`; False when it was recorded before. When the answer is lost: True, since looking twice is
        harmless and not looking at all is not."""
        row = Row(key=(key,), columns={"at": codec.moment(self._clock.now())})
        try:
            self._store.put(TABLE, row, condition=Absent())
        except Conflict:
            return False
        except OutcomeUnknown:
            return True
        return True

    def seen(self, key: str) -> bool:
        """Whether `key` was recorded. For callers that record it after the work, so that a crash loses nothing."""
        return self._store.get(TABLE, (key,)) is not None
