"""What the service may do to a call short of refusing it: shorter pages, an empty page first, old data, a lock left.

A `Disturber` is asked at every call and says which of these shall happen to it; `Tablestore.disturbances` holds them.
Errors are another matter: see `Tablestore.faults`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from emulator.tablestore.errors import OtsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    page_rows: int | None = None
    """GetRange: at most so many rows a page (at least 1), whatever the caller's limit."""
    empty_page_first: bool = False
    """GetRange from an open start (a bound in its start key): no rows, and a next key at which the rows begin."""
    stale: timedelta = timedelta(0)
    """GetRow, GetRange, BatchGetRow: the answer lacks every change of the last so long (emulated time, the present
    instant included). The service promises that this never happens to a table; it does to index tables."""
    lock_for: timedelta = timedelta(0)
    """Writes: once applied, their partition keys stay locked so long, as by a call whose end never came."""
    failing_rows: tuple[OtsError, ...] = ()
    """Batches that are not atomic: the first rows fail so, one after the other; the rest are served."""


Disturber = Callable[[str, str], Disturbance | None]
"""Called with the operation (`GetRange`) and the table's name ("" in a batch)."""

CALM = Disturbance()


def merged(a: Disturbance, b: Disturbance) -> Disturbance:
    """The worse of both."""
    limits = [rows for rows in (a.page_rows, b.page_rows) if rows is not None]
    return Disturbance(
        page_rows=min(limits) if limits else None,
        empty_page_first=a.empty_page_first or b.empty_page_first,
        stale=max(a.stale, b.stale),
        lock_for=max(a.lock_for, b.lock_for),
        failing_rows=max(a.failing_rows, b.failing_rows, key=len),
    )
