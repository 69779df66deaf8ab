"""The names that follow the active master: records of a private zone, or of a public domain."""

from typing import Final, Protocol

from shared.domain.dns_plan import NameRecord as NameRecord

ANSWERING: Final = ("A", "AAAA", "CNAME")
"""Types of records that lead a client of a name to some machine."""


class Names(Protocol):
    def records(self, *, zone: str, host: str, type: str | None = None) -> tuple[NameRecord, ...]:
        """Every record of that host and type, enabled or not: none, or two, is an answer the caller must judge.
        `type` None: of every type that leads a client somewhere (`ANSWERING`).

        Raises NotFound when the zone does not exist.
        """
        ...

    def rebind(self, record: NameRecord, *, value: str) -> None:
        """Overwrite the value of this one record by one update, all other fields kept. No compare-and-set exists
        (last writer wins), so the caller holds the newest epoch and reads back. Rebinding to the same value succeeds.
        """
        ...

    def retime(self, record: NameRecord, *, ttl_seconds: int) -> None:
        """Overwrite the time to live of this one record, all other fields kept: also the value, as `record` has it.
        So read just before, and never beside a rebind. Permanent or QuotaReached: the service does not allow it."""
        ...

    def remark(self, record: NameRecord, *, text: str) -> None:
        """Set the record's remark (we write `epoch=N`). A separate call of the cloud: evidence, not a guard."""
        ...

    def least_ttl(self, *, zone: str) -> int:
        """The shortest time to live, in seconds, that a record of the zone may have. Raises NotFound likewise."""
        ...
