"""What the cloud says about a batch: before anything of it goes, and when all was asked for."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from shared.domain import provenance
from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.guardrails import Evidence
from shared.domain.ids import DiskId, SnapshotId
from shared.domain.inventory import Snapshot, SnapshotLock, SnapshotState
from shared.domain.pruning import Judged, Rules
from shared.domain.retention import RestorePoint
from shared.ports.compute import Compute
from shared.state.certificates import SnapshotLine

WITNESSES: Final = 2
"""So many of the newest kept points of each disk are asked for in the cloud before one of its points goes."""
LOOKS: Final = 3
"""A read-back that misses what must remain is repeated: one listing that was short proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen of a batch before it was touched."""

    evidence: Evidence
    doomed: frozenset[SnapshotId]
    asked: tuple[SnapshotId, ...]  # with the witnesses
    shown: Mapping[SnapshotId, Snapshot] = field(default_factory=dict)
    disks: Mapping[SnapshotId, DiskId] = field(default_factory=dict)  # as we recorded them
    locks: Mapping[SnapshotId, SnapshotLock] = field(default_factory=dict)
    empty: bool = False  # the cloud answered, but showed nothing at all

    @property
    def lines(self) -> dict[str, SnapshotLine]:
        return lines(self.shown.values(), self.disks, self.locks)


def look(cloud: Compute, batch: Sequence[Judged], rules: Rules, now: datetime) -> Look:
    """Ask for each snapshot that would go, and for those its disk would be left with. `now`: for which moment the batch
    was judged. Never raises for a cloud that
    cannot be read, but for keys that are not taken: then the evidence says that it is not complete."""
    doomed = frozenset(snapshot for one in batch for point in one.expire for _, snapshot in point.disks)
    disks = {snapshot: disk for one in batch for point in _all(one) for disk, snapshot in point.disks}
    asked = tuple(sorted(doomed | {snapshot for one in batch for snapshot in witnesses(one, now)}))
    try:
        found = {snapshot.id: snapshot for snapshot in cloud.snapshots.list(ids=asked)} if asked else {}
        locks = {lock.snapshot: lock for lock in _locks(cloud, batch, rules)}
    except CredentialsRejected:
        raise
    except DrError as error:
        return Look(evidence=_nothing(str(error)), doomed=doomed, asked=asked)
    if asked and not found:
        gap = f"none of {len(asked)} known snapshots was shown: is the permission missing?"
        return Look(evidence=_nothing(gap), doomed=doomed, asked=asked, empty=True)
    copies = {one for each in batch for p in _all(each) if p.copy_of or p.adopted for _, one in p.disks}
    # At home a snapshot is of the disk we recorded; what the cloud tells of a copy's source is not documented.
    same = {one.id for one in found.values() if one.id in copies or one.disk == disks[one.id]}
    usable = [one for one in found.values() if one.usable and one.id in same]
    needed = {one: by for one, by in rules.needed().items() if one in doomed}
    evidence = Evidence(
        inventory_complete=True,
        usable_by_disk=_by_disk(usable, disks),
        complete_by_disk=_by_disk((one for one in usable if one.state is SnapshotState.ACCOMPLISHED), disks),
        shown=frozenset(found),
        # One that is gone already (a crashed run's) counts as ours: deleting it again does nothing.
        ours={one for one in doomed if one not in found or (one in same and provenance.ours(found[one].tags))},
        locked=frozenset(locks),
        in_use=needed | {one.id: one.usage for one in found.values() if one.usage != "none"},
    )
    return Look(evidence=evidence, doomed=doomed, asked=asked, shown=found, disks=disks, locks=locks)


def read_back(cloud: Compute, asked: Collection[str], remain: Collection[str]) -> dict[SnapshotId, Snapshot]:
    """What is shown now. Asks again while something of what must `remain` is not. Raises what the cloud raises."""
    ids = sorted(SnapshotId(one) for one in asked)
    found: dict[SnapshotId, Snapshot] = {}
    for _ in range(LOOKS):
        found |= {snapshot.id: snapshot for snapshot in cloud.snapshots.list(ids=ids)} if ids else {}
        if all(one in found for one in remain):
            break
    return found


def witnesses(one: Judged, now: datetime) -> set[SnapshotId]:
    """The newest kept points of each disk of which something goes, and its newest kept complete one: what it would be
    left with. One dated after `now` vouches for nothing, as it counts for nothing."""
    disks = {disk for point in one.expire for disk, _ in point.disks}
    wanted: set[SnapshotId] = set()
    counts: dict[DiskId, int] = {}
    whole: set[DiskId] = set()
    for kept in reversed(one.keep):
        if not kept.point.counts or kept.point.taken > now:
            continue
        for disk, snapshot in kept.point.disks:
            if disk not in disks:
                continue
            if counts.get(disk, 0) < WITNESSES or (kept.point.complete and disk not in whole):
                counts[disk] = counts.get(disk, 0) + 1
                wanted.add(snapshot)
            if kept.point.complete:
                whole.add(disk)
    return wanted


def lines(
    shown: Iterable[Snapshot], disks: Mapping[SnapshotId, DiskId], locks: Mapping[SnapshotId, SnapshotLock]
) -> dict[str, SnapshotLine]:
    """As a certificate has them."""
    told: dict[str, SnapshotLine] = {}
    for one in shown:
        told[one.id] = {
            "disk": disks.get(one.id, one.disk),
            "usable": one.usable,
            "complete": one.usable and one.state is SnapshotState.ACCOMPLISHED,
            "ours": provenance.ours(one.tags),
            "usage": one.usage,
        }
        if one.id in locks:
            told[one.id]["locked"] = True
    return told


def _locks(cloud: Compute, batch: Sequence[Judged], rules: Rules) -> Iterator[SnapshotLock]:
    """Asked for where a rule locks, or our records know of a lock; elsewhere a refusal tells."""
    ids = sorted({one for each in batch for p in each.expire if _may_be_locked(p, rules) for _, one in p.disks})
    return cloud.snapshots.locks(ids) if ids else iter(())


def _may_be_locked(point: RestorePoint, rules: Rules) -> bool:
    rule = rules.of(point)
    return point.locked_until is not None or (rule is not None and rule.locks)


def _all(one: Judged) -> Iterator[RestorePoint]:
    yield from (kept.point for kept in one.keep)
    yield from one.expire
    yield from (spared.point for spared in one.spared)


def _nothing(gap: str) -> Evidence:
    return Evidence(inventory_complete=False, gap=gap, usable_by_disk={}, complete_by_disk={}, ours=frozenset())


def _by_disk(snapshots: Iterable[Snapshot], disks: Mapping[SnapshotId, DiskId]) -> dict[DiskId, set[SnapshotId]]:
    by_disk: dict[DiskId, set[SnapshotId]] = {}
    for snapshot in snapshots:
        by_disk.setdefault(disks[snapshot.id], set()).add(snapshot.id)
    return by_disk
