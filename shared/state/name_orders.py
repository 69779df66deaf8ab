"""Orders to set the time to live of a pair's names: at most one per pair, and none that is carried out late."""

import contextlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.errors import Conflict
from shared.domain.ids import PairName
from shared.ports.store import Anything, Matches, Row, Store
from shared.state import codec

TABLE: Final = "controls"
ORDER: Final = "names/"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameOrder:
    pair: PairName
    at: datetime
    by: str = ""


class NameOrders:
    def __init__(self, store: Store) -> None:
        self._store = store

    def give(self, order: NameOrder) -> None:
        """In place of one that stands."""
        row = Row(key=(f"{ORDER}{order.pair}",), columns={"body": codec.dump(order)})
        self._store.put(TABLE, row, condition=Anything())

    def pending(self, pair: PairName) -> NameOrder | None:
        row = self._store.get(TABLE, (f"{ORDER}{pair}",))
        return None if row is None else codec.load(NameOrder, str(row.columns["body"]))

    def close(self, order: NameOrder) -> None:
        """Carried out, or refused. One that replaced it meanwhile stays."""
        key = (f"{ORDER}{order.pair}",)
        with contextlib.suppress(Conflict):
            self._store.delete(TABLE, key, condition=Matches({"body": codec.dump(order)}))
