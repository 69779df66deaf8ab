"""The middleware domain name: one record in a private zone."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRecord:
    record_id: str
    zone: str  # e.g. corp.example
    host: str  # e.g. master
    type: str  # A | CNAME
    value: str
    ttl_seconds: int
    enabled: bool
    remark: str


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
