"""The same world with the store, the name services and the inventory of the emulator behind HTTP and the official SDKs.

Delays, losses and refusals stay in the wrappers of `world` and `sites`, and virtual time stands while a call is made:
so a seed must tell the same story through either door, or the models in process are not what the wire says.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from emulator.cloud import Cloud
from emulator.testing import Local, mock_aliyun
from shared.adapters.alidns import AlidnsNames
from shared.adapters.credentials import Credentials
from shared.adapters.ecs import EcsInventory
from shared.adapters.ots import OtsStore
from shared.adapters.pvtz import PvtzNames
from shared.adapters.resolvers import UdpResolvers
from shared.adapters.sdk import Endpoint
from shared.ports.names import Names
from shared.ports.resolvers import Resolvers
from shared.ports.store import Condition, Key, Row, Store, Value
from tests.simulation.world import Rows
from understudy.simulation.store import create_tables

REGION = "cn-hangzhou"


class StoredRows(Rows):
    """The truth of the state store is the emulated Tablestore's."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self.calls = 0

    def table(self, name: str) -> dict[Key, dict[str, Value]]:
        return {row.key: dict(row.columns) for row in self.scan(name, ())}

    def get(self, table: str, key: Key) -> Row | None:
        self.calls += 1
        return self._store.get(table, key)

    def scan(
        self,
        table: str,
        prefix: Key,
        *,
        after: Key | None = None,
        until: Key | None = None,
        backward: bool = False,
        limit: int | None = None,
    ) -> list[Row]:
        self.calls += 1
        return list(self._store.scan(table, prefix, after=after, until=until, backward=backward, limit=limit))

    def write(self, table: str, row: Row, condition: Condition, *, keep: bool) -> None:
        self.calls += 1
        (self._store.update if keep else self._store.put)(table, row, condition=condition)

    def remove(self, table: str, key: Key, condition: Condition) -> None:
        self.calls += 1
        self._store.delete(table, key, condition=condition)


@dataclass(frozen=True, slots=True)
class Wire:
    """What a `FailoverWorld` needs to live over HTTP."""

    local: Local
    rows: StoredRows
    names: Names
    inventory: EcsInventory
    public_names: Names
    resolvers: Resolvers

    @property
    def cloud(self) -> Cloud:
        return self.local.cloud

    def run(self, do: Callable[[], Any]) -> Any:
        """On the thread that owns the models."""
        return self.local.run(do)


@contextmanager
def wire() -> Iterator[Wire]:
    with mock_aliyun(ots_instance="understudy") as local:
        local.run(lambda: create_tables(local.cloud, local.ots_instance))
        key = Credentials(*local.access_key)
        store = OtsStore(endpoint=local.url, instance=local.ots_instance, credentials=lambda: key)
        where = Endpoint(REGION, local.url)
        assert local.dns is not None
        try:
            yield Wire(
                local,
                StoredRows(store),
                PvtzNames(endpoint=where, credentials=lambda: key),
                EcsInventory(endpoint=where, credentials=lambda: key),
                AlidnsNames(endpoint=where, credentials=lambda: key),
                UdpResolvers(instead=(local.dns,)),
            )
        finally:
            store.close()
