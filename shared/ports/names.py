"""The middleware domain name: one record in a private zone."""

from typing import Protocol

from shared.domain.dns_plan import NameRecord as NameRecord


class Names(Protocol):
    def records(self, *, zone: str, host: str, type: str) -> tuple[NameRecord, ...]:
        """Every record of that host and type, enabled or not: none, or two, is an answer the caller must judge.

        Raises NotFound when the zone does not exist.
        """
        ...

    def rebind(self, record: NameRecord, *, value: str) -> None:
        """Overwrite the value of this one record by one update, all other fields kept. No compare-and-set exists
        (last writer wins), so the caller holds the newest epoch and reads back. Rebinding to the same value succeeds.
        """
        ...

    def remark(self, record: NameRecord, *, text: str) -> None:
        """Set the record's remark (we write `epoch=N`). A separate call of the cloud: evidence, not a guard."""
        ...
