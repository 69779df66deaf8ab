"""Where a table is split by partition key, and which parts are being moved and cannot answer.

A new table is one partition. A hot or growing one splits: for about 100 ms, or seconds under load, its keys answer
OTSPartitionUnavailable; afterwards there are two, and the next split concerns only one of them. Milliseconds are those
of the emulated clock. Source: developer guide, partitions and pre-splitting (2025).
"""

from bisect import bisect_right, insort
from collections.abc import Iterable

from emulator.tablestore.errors import partition_unavailable
from emulator.tablestore.values import INF_MAX, INF_MIN, Bound, KeyValue


class Partitions:
    def __init__(self, at: Iterable[KeyValue] = ()) -> None:
        self.at: list[KeyValue] = sorted(at)
        self._moving: list[tuple[Bound, Bound, int]] = []  # [low, high) and when it answers again

    def around(self, key: KeyValue) -> tuple[Bound, Bound]:
        """The partition that holds `key`: its first key (inclusive) and the next one's (exclusive)."""
        place = bisect_right(self.at, key)
        low = self.at[place - 1] if place else INF_MIN
        high = self.at[place] if place < len(self.at) else INF_MAX
        return low, high

    def split(self, key: KeyValue, *, until: int) -> None:
        """Split the partition of `key` there: `key` becomes the first key of the right half. Both halves are away."""
        low, high = self.around(key)
        self._moving.append((low, high, until))
        if low != key:
            insort(self.at, key)

    def check(self, key: KeyValue, now: int) -> None:
        if self._moving and not self.answers(key, now):
            raise partition_unavailable()

    def answers(self, key: Bound, now: int) -> bool:
        if not self._moving:
            return True
        self._moving = [part for part in self._moving if part[2] > now]
        return not any((low is INF_MIN or not key < low) and key < high for low, high, _ in self._moving)  # type: ignore[operator]

    @property
    def moving(self) -> bool:
        return bool(self._moving)
