"""The menu's faults of Tablestore that go into the call itself: pages, old data, locks, splits, failing rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from emulator.faults.blow import Blow
from emulator.faults.codes import refusal
from emulator.tablestore.disturbances import Disturbance
from emulator.tablestore.errors import OtsError

if TYPE_CHECKING:
    from emulator.tablestore.model import Tablestore
    from emulator.tablestore.values import KeyValue

_LOWEST: dict[str, "KeyValue"] = {"STRING": "", "INTEGER": 0, "BINARY": b""}
PRESENT = timedelta(milliseconds=1)
"""The shortest look back, the model's own unit: without what this very instant has changed."""


@contextmanager
def disturbed(store: "Tablestore", instance: str, blow: Blow) -> Iterator[None]:
    """Within the block, the one call of `blow` goes as its faults say."""
    for fault in blow.all("split"):
        for name in blow.asked.tables:
            _split(store, instance, name, timedelta(seconds=fault.seconds or 0))
    how = disturbance(blow)

    def disturber(_operation: str, _table: str) -> Disturbance:
        return how

    store.disturbances.append(disturber)
    try:
        yield
    finally:
        store.disturbances.remove(disturber)


def disturbance(blow: Blow) -> Disturbance:
    failing: list[OtsError] = []
    for fault in blow.all("row_errors"):
        told = refusal(fault, blow.asked)
        failing += [OtsError(told.status, told.code, told.message)] * (fault.rows or 1)
    return Disturbance(
        page_rows=blow.page_rows,
        empty_page_first=blow.empty_page,
        stale=timedelta(0) if blow.stale is None else max(PRESENT, blow.stale),
        lock_for=timedelta(seconds=max((f.seconds or 0 for f in blow.all("lock")), default=0)),
        failing_rows=tuple(failing),
    )


def _split(store: "Tablestore", instance: str, name: str, away: timedelta) -> None:
    """In the middle of its rows. A table that does not exist cannot split."""
    table = store.tables(instance).get(name)
    if table is None:
        return
    keys = [row.key[0] for row in table.rows()]
    middle = keys[len(keys) // 2] if keys else _LOWEST.get(table.schema[0][1])
    if middle is not None:
        store.split(instance, name, middle, for_=away)
