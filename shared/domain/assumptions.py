"""What a feasibility check takes for granted where nothing was measured. `prices.yaml` can change each of these.

None of them is a promise of the cloud; where it says something of its own, the source stands beside the value.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from math import log
from typing import Final

MIB_PER_GIB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    size_gib: int = 100  # of a disk, when nobody looked at the real ones
    disks: int = 1  # of a protection, likewise
    used_share: float = 0.6  # of a disk's size that holds data: a first snapshot takes only such blocks
    changed_per_hour: float = 0.005  # of that, the share of blocks that an hour changes
    changed_per_day: float = 0.05  # and a day: less than 24 hours' worth, because hot blocks change again and again
    # "About 20 minutes for a first snapshot of 40 GiB" is 34 MiB/s. Source: ECS, snapshots FAQ, read 2021.
    snapshot_mib_per_second: float = 34.0
    copy_mib_per_second: float = 20.0  # of one snapshot copy to another region
    copies_at_once: int = 5  # of snapshots, per target region, that we let run
    overhead: timedelta = timedelta(minutes=1)  # of a snapshot or copy, beside its bytes
    usable_after: timedelta = timedelta(minutes=2)  # ESSD family: "usable in seconds", and then we must see it
    images: int = 1  # of an instance, to be made beside its restore points: each takes a snapshot per disk
    function_seconds: float = 2.0  # that one invocation runs
    store_units: int = 12  # capacity units of Tablestore that one slot of one instance writes; and reads, likewise
    tick_every: timedelta = timedelta(minutes=5)  # timer of function `schedule`
    ticks_lost: int = 1  # one after the other, that a bound still covers
    prune_every: timedelta = timedelta(hours=1)  # timer of function `prune`

    def changed_gib(self, size_gib: int, within: timedelta) -> float:
        """What a snapshot that follows another one after `within` has to save: a curve through the hour and the day."""
        bend = log(self.changed_per_day / self.changed_per_hour) / log(24)
        share: float = self.changed_per_day * (within / timedelta(days=1)) ** bend
        return size_gib * self.used_share * min(1.0, share)

    def snapshot_takes(self, size_gib: int, *, since: timedelta | None) -> timedelta:
        """Until it is complete. `since`: the time since the one before it; None: it is the first, and a full one."""
        gib = size_gib * self.used_share if since is None else self.changed_gib(size_gib, since)
        return self.overhead + timedelta(seconds=round(gib * MIB_PER_GIB / self.snapshot_mib_per_second))

    def copy_takes(self, size_gib: int, *, since: timedelta | None) -> timedelta:
        """Once it runs. The first copy of a disk into a region is full. Source: ECS, copy a snapshot, read 2021."""
        gib = size_gib * self.used_share if since is None else self.changed_gib(size_gib, since)
        return self.overhead + timedelta(seconds=round(gib * MIB_PER_GIB / self.copy_mib_per_second))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The longest durations of one protection's points in the store, over the window that was read."""

    usable: timedelta | None = None  # from taken until it was seen usable
    complete: timedelta | None = None  # and complete
    copied: timedelta | None = None  # from the source's taking until its copy was complete
    points: int = 0  # that this was measured on


NOTHING_MEASURED: Final = Measured()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known beside the policy itself."""

    assumptions: Assumptions = field(default_factory=Assumptions)
    measured: dict[str, Measured] = field(default_factory=dict)  # by protection

    def of(self, protection: str) -> Measured:
        return self.measured.get(protection, NOTHING_MEASURED)
