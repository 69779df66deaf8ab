"""Local transactions: writes to one partition key of one table that become visible together, at the commit.

A transaction lives 60 s of emulated time and locks its partition key meanwhile. Its own reads see its writes, those of
others what was committed (read committed). At its end, in whatever way, the lock is free and its id means nothing.

Source: developer guide, local transactions (2025); texts as the vendor's and others' public client tests expect them.
The HTTP statuses of OTSSessionNotExist, OTSDataOutOfRange and OTSOutOfTransactionDataSizeLimit are not documented
(assumption: 404, 400, 400).

Not modelled: OTSSessionBusy, for which two requests of one transaction would have to overlap; here none can. A fault
may answer it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from emulator.tablestore.errors import OtsError, parameter_invalid
from emulator.tablestore.rows import Columns
from emulator.tablestore.values import Bound, Key, KeyPairs, KeyValue

if TYPE_CHECKING:
    from emulator.tablestore.table import Table

LIFE_MS: Final = 60_000
IDLE_MS: Final = 60_000  # within LIFE_MS an idle minute is never the first to end; kept because it is documented apart
MAX_BYTES: Final = 4 * 1024 * 1024
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


@dataclass(slots=True, kw_only=True)
class Transaction:
    id: str
    table: "Table"
    instance: str
    partition: KeyValue
    started: int
    used: int
    bytes: int = 0
    pending: dict[Key, Columns | None] = field(default_factory=dict)

    @property
    def until(self) -> int:
        return min(self.started + LIFE_MS, self.used + IDLE_MS)

    def check_scope(self, table: "Table", partition: Bound) -> None:
        if table is not self.table or partition != self.partition:
            raise data_out_of_range(self.partition, partition)

    def add(self, key: Key, columns: Columns | None, size: int) -> None:
        if self.bytes + size > MAX_BYTES:
            raise OtsError(
                400,
                "OTSOutOfTransactionDataSizeLimit",
                f"The data size of the transaction exceeds the limit: {MAX_BYTES} bytes.",
            )
        self.bytes += size
        self.pending[key] = columns


class Transactions:
    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._open: dict[str, Transaction] = {}

    def start(self, instance: str, table: "Table", key: KeyPairs, now: int) -> Transaction:
        if not table.description.local_txn:
            raise transactions_disabled()
        partition = _partition(table, key)
        table.partitions.check(partition, now)
        transaction_id = self._new_id().lower()
        transaction = Transaction(
            id=transaction_id, table=table, instance=instance, partition=partition, started=now, used=now
        )
        table.locks.take(partition, transaction_id, now=now, until=transaction.until)
        self._open = {k: t for k, t in self._open.items() if t.until > now}
        self._open[transaction_id] = transaction
        return transaction

    def use(self, id: str, instance: str, now: int) -> Transaction:
        """The open transaction, whose idle time starts anew."""
        if not _ID.match(id):
            raise parameter_invalid("TransactionID is invalid.")
        transaction = self._open.get(id)
        if transaction is None or transaction.instance != instance or transaction.until <= now:
            raise OtsError(404, "OTSSessionNotExist", "Session not exist or may be timeout.")
        transaction.used = now
        return transaction

    def end(self, transaction: Transaction) -> None:
        del self._open[transaction.id]
        transaction.table.locks.free(transaction.partition, transaction.id)

    def forget(self, table: "Table") -> None:
        """The table is gone, and with it whatever was open on it."""
        self._open = {key: t for key, t in self._open.items() if t.table is not table}


def _partition(table: "Table", key: KeyPairs) -> KeyValue:
    if len(key) != 1:
        raise parameter_invalid("StartLocalTransaction support only one primary key.")
    return table.partition_key(key[0])


def transactions_disabled() -> OtsError:
    return parameter_invalid("Try to call method using explicit transaction on explicit-transaction-disabled table.")


def data_out_of_range(wanted: Bound, given: Bound) -> OtsError:
    return OtsError(
        400,
        "OTSDataOutOfRange",
        f"Data out of scope of transaction. Transaction PartKey:{_text(wanted)}. Data PartKey:{_text(given)}",
    )


def _text(value: Bound) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
