"""When a zone was last looked at for a rebuild rule and found lost: so that of hundreds of instances that wait for it
one looks, and the others take its word. Rows of table `controls`, which other readers pass over.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.ports.store import Anything, Row, Store
from shared.state import codec
from shared.state.controls import TABLE

ZONE: Final = "zone/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneLook:
    at: datetime
    lost: bool
    because: str


class ZoneLooks:
    def __init__(self, store: Store) -> None:
        self._store = store

    def last(self, rule: str, zone: str) -> ZoneLook | None:
        row = self._store.get(TABLE, (_name(rule, zone),))
        return None if row is None else codec.load(ZoneLook, str(row.columns["body"]))

    def put(self, rule: str, zone: str, look: ZoneLook) -> None:
        """Whoever looked last is right; two who look at once see the same."""
        row = Row(key=(_name(rule, zone),), columns={"body": codec.dump(look)})
        self._store.put(TABLE, row, condition=Anything())


def _name(rule: str, zone: str) -> str:
    return f"{ZONE}{zone}/{rule}"
