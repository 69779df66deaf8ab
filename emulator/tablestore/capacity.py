"""Capacity units: how many a call costs, what a table has used, and what it is refused when it uses too many.

One unit is 4 KB begun, counted over names and values (not timestamps), at least one. Source: developer guide, billing
and limits (2025). Reserved units do not limit anything: what exceeds them is metered, as in the service.
"""

from dataclasses import dataclass, field
from typing import Final

from emulator.tablestore.errors import OtsError
from emulator.tablestore.values import KeyValue

UNIT_BYTES: Final = 4096
TYPICAL_PARTITION_LIMIT: Final = 10_000
"""Units a second on one partition key beyond which the service may refuse (documented as "may")."""


def units(size: int) -> int:
    return max(1, -(-size // UNIT_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    read: int = 0
    write: int = 0

    def __add__(self, other: "Units") -> "Units":
        return Units(read=self.read + other.read, write=self.write + other.write)


@dataclass(slots=True, kw_only=True)
class Throughput:
    """Units per second of emulated time. None: no limit. Set them to see a program throttled."""

    per_partition_key: int | None = None
    per_table: int | None = None

    @property
    def limited(self) -> bool:
        return self.per_partition_key is not None or self.per_table is not None


@dataclass(slots=True)
class Meter:
    """What one table has used: in all, and within the current second."""

    total: Units = Units()
    _second: int = 0
    _used: int = 0
    _used_by_key: dict[KeyValue, int] = field(default_factory=dict)

    def admit(self, key: KeyValue, limits: Throughput, *, now: int) -> None:
        """Raise if this second's units are used up; the call that reaches the limit is still served."""
        if not limits.limited:
            return
        self._turn(now)
        if limits.per_partition_key is not None and self._used_by_key.get(key, 0) >= limits.per_partition_key:
            raise OtsError(403, "OTSCapacityUnitExhausted", "Capacity unit is not enough.")
        if limits.per_table is not None and self._used >= limits.per_table:
            raise OtsError(403, "OTSNotEnoughCapacityUnit", "Remaining capacity unit is not enough.")

    def charge(self, key: KeyValue, used: Units, limits: Throughput, *, now: int) -> None:
        self.total += used
        if limits.limited:
            self._turn(now)
            spent = used.read + used.write
            self._used += spent
            self._used_by_key[key] = self._used_by_key.get(key, 0) + spent

    def _turn(self, now: int) -> None:
        second = now // 1000
        if second != self._second:
            self._second, self._used = second, 0
            self._used_by_key.clear()
