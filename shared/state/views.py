"""What the watch of each site sees of masters that have no agents: one row per pair and site, written in each round.

So each watch has the other side's eyes beside its own. A reader judges freshness by the row changing on its own
monotonic clock; the rows stand in the table of the heartbeats, under a key of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.ids import PairName, SiteName
from shared.ports.store import Anything, Row, Store
from shared.state import codec
from shared.state.heartbeats import TABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    site: SiteName  # of the watch
    run: str  # its invocation
    sequence: int  # rises by one per round
    sees: Mapping[SiteName, str] = field(default_factory=dict)  # the finding about each master's service


class Views:
    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, pair: PairName, view: View) -> None:
        row = Row(key=(_key(pair), view.site), columns={"body": codec.dump(view)})
        self._store.put(TABLE, row, condition=Anything())

    def of(self, pair: PairName) -> dict[SiteName, View]:
        views = (codec.load(View, str(row.columns["body"])) for row in self._store.scan(TABLE, (_key(pair),)))
        return {view.site: view for view in views}


def _key(pair: PairName) -> str:
    """No pair's own: names have no colon."""
    return f"{pair}:views"
