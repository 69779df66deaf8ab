"""The state store: rows under a primary key, single-row compare-and-set, ranges.

Modelled on what Tablestore guarantees: an acknowledged single-row write is atomic and seen by every later read;
batches are not transactions; there are no counters here on purpose (a timed-out increment may count twice).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Value = str | int | bool | float
Key = tuple[str, ...]


class Anything:
    """Write whatever stands there."""


class Absent:
    """Write only if no such row exists."""


@dataclass(frozen=True, slots=True)
class Matches:
    """Write only if the row exists and each of these columns has exactly this value (a missing column fails)."""

    columns: Mapping[str, Value]


Condition = Anything | Absent | Matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    key: Key
    columns: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    table: str
    row: Row


class Store(Protocol):
    """Tables are named in `shared.state.schema`. Keys are tuples of strings in schema order.

    Every write raises Conflict when its condition does not hold (nothing written), OutcomeUnknown when no trustworthy
    answer came (read the row back and compare a token written with it). Reads raise Retryable when the store cannot
    be reached: "no row" and "could not ask" are different results.
    """

    def get(self, table: str, key: Key) -> Row | None: ...

    def put(self, table: str, row: Row, *, condition: Condition) -> None:
        """Replace the whole row."""
        ...

    def update(self, table: str, row: Row, *, condition: Condition) -> None:
        """Set the given columns, keep the others; creates the row under `Anything`."""
        ...

    def delete(self, table: str, key: Key, *, condition: Condition) -> None:
        """Deleting a row that is not there succeeds under `Anything`."""
        ...

    def put_many(self, writes: Sequence[Write]) -> None:
        """Unconditional puts, chunked (200 rows or 4 MB a call). Not atomic: on an error some may be written, so only
        for rows whose rewriting is harmless."""
        ...

    def delete_many(self, table: str, keys: Sequence[Key]) -> None:
        """Unconditional deletes, chunked like `put_many` and as little atomic; rows that are not there are passed
        over."""
        ...

    def scan(
        self,
        table: str,
        prefix: Key,
        *,
        after: Key | None = None,
        until: Key | None = None,
        backward: bool = False,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Rows whose key begins with `prefix`, in key order (bytewise), strictly after the full key `after` and
        not reaching the full key `until`, both in the direction of the scan. Streams page by page, and reads nothing
        beyond."""
        ...
