"""The snapshots of one disk as a chain: how many, how large, and how all chains together grew.

A region's bill is the sum over its chains; each chain is weighed again only when something in it changed.

Sources: ECS API DescribeSnapshotsUsage, DescribeSnapshotLinks, DescribeSnapshotMonitorData.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from emulator.ecs.shelf import Shelf

if TYPE_CHECKING:
    from emulator.clock import Clock
    from emulator.ecs.snapshot import Snapshot

HISTORY = 100_000


@dataclass(slots=True, kw_only=True, eq=False)
class Chain:
    """`id` is that of the disk; so is the chain's own (which of two documented forms it has today is unverified)."""

    id: str
    snapshots: dict[str, "Snapshot"] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)  # by type
    unfinished: int = 0
    bytes: int = 0
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def newest(self) -> "Snapshot":
        return next(reversed(self.snapshots.values()))


class Chains:
    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self.shelf: Shelf[Chain] = Shelf()
        self.by_disk: dict[str, dict[str, Snapshot]] = {}
        self.bytes = 0
        self._moments: list[datetime] = []
        self._sizes: list[int] = []

    def of(self, disk_id: str) -> "Iterable[Snapshot]":
        """Oldest first."""
        chain = self.shelf.get(disk_id)
        return chain.snapshots.values() if chain else ()

    def count(self, disk_id: str, type: str | None = None) -> int:
        chain = self.shelf.get(disk_id)
        if chain is None:
            return 0
        return len(chain.snapshots) if type is None else chain.counts[type]

    def unfinished(self, disk_id: str) -> int:
        chain = self.shelf.get(disk_id)
        return chain.unfinished if chain else 0

    def add(self, snapshot: "Snapshot") -> None:
        chain = self.shelf.get(snapshot.disk_id)
        if chain is None:
            chain = Chain(id=snapshot.disk_id)
            self.shelf.add(chain)
            self.by_disk[chain.id] = chain.snapshots
        chain.snapshots[snapshot.id] = snapshot
        chain.counts[snapshot.type] += 1
        chain.unfinished += 1
        below = snapshot.layer.parent
        if below is not None and below.ghost:
            self.weigh(chain.id)
        else:
            self._grow(chain, snapshot.layer.bytes_owned)

    def finished(self, snapshot: "Snapshot") -> None:
        chain = self.shelf.get(snapshot.disk_id)
        assert chain is not None
        chain.unfinished -= 1

    def remove(self, snapshot: "Snapshot") -> None:
        chain = self.shelf.get(snapshot.disk_id)
        assert chain is not None
        del chain.snapshots[snapshot.id]
        chain.counts[snapshot.type] -= 1
        chain.unfinished -= snapshot.status == "progressing"
        self.weigh(chain.id)
        if not chain.snapshots:
            self.shelf.remove(chain)
            del self.by_disk[chain.id]

    def weigh(self, disk_id: str) -> None:
        """Something went: what it owned went with it, or to others."""
        chain = self.shelf.get(disk_id)
        if chain is not None:
            now = sum(snapshot.layer.bytes_owned for snapshot in chain.snapshots.values())
            self._grow(chain, now - chain.bytes)

    def _grow(self, chain: Chain, by: int) -> None:
        chain.bytes += by
        self.bytes += by
        now = self._clock.now()
        if self._moments and self._moments[-1] == now:
            self._sizes[-1] = self.bytes
            return
        self._moments.append(now)
        self._sizes.append(self.bytes)
        if len(self._moments) > 2 * HISTORY:
            del self._moments[:HISTORY], self._sizes[:HISTORY]

    def bytes_at(self, moment: datetime) -> int:
        found = bisect_right(self._moments, moment)
        return self._sizes[found - 1] if found else 0
