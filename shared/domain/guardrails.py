"""What may never happen, checked on the finished plan and against the cloud's own words, not against our records.

Retention already spares the last usable and the last complete point; this looks again, with other eyes. Two kinds of
answer: a single point is *spared* (the rest of the run goes on), or the run is *refused* (nothing more is deleted, and
a human looks). A fleet is judged some instances at a time (`guard`); the caps count over the whole run
(`over_the_caps`).
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.ids import DiskId, SnapshotId
from shared.domain.policy import PruneLimits
from shared.domain.retention import RestorePoint

PERCENT_CAP_FROM = 20
"""The cap in percent applies to runs over at least this many restore points. Below, one point is more than 5 percent,
so that a fleet of one disk with a handful of points could never be pruned; the absolute cap always applies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was read from the cloud for this run."""

    inventory_complete: bool  # every page of every listing was read to its end, and none was suspiciously empty
    gap: str = ""  # which listing was not, and why
    usable_by_disk: Mapping[DiskId, Set[SnapshotId]]  # what the cloud says can be restored from now
    complete_by_disk: Mapping[DiskId, Set[SnapshotId]]  # and what is fully uploaded: the rest can fail yet
    shown: Set[SnapshotId] = frozenset()  # of those asked for, what the cloud showed
    ours: Set[SnapshotId]  # carries our tags and stands in our records
    locked: Set[SnapshotId] = frozenset()
    in_use: Mapping[SnapshotId, str] = field(default_factory=dict)  # by what: image, disk, image_disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Spared:
    point: RestorePoint
    rule: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    expire: tuple[RestorePoint, ...]  # oldest first
    spared: tuple[Spared, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    rule: str
    because: str  # with the numbers
    remedy: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.because}. {self.remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    refusals: tuple[Refusal, ...]

    @property
    def because(self) -> tuple[str, ...]:
        return tuple(str(one) for one in self.refusals)


def held_back(point: RestorePoint, now: datetime) -> Spared | None:
    """What our own records say, without a look at the cloud: it may go one day, but not yet."""
    if point.pinned:
        return Spared(point=point, rule="never pinned", because="the point is pinned; unpin it first")
    if point.uncopied:
        because = f"its copy in {', '.join(point.uncopied)} is not complete yet"
        return Spared(point=point, rule="never uncopied", because=because)
    if point.locked_until is not None and point.locked_until > now:
        because = f"it is locked until {point.locked_until:%Y-%m-%dT%H:%MZ}"
        return Spared(point=point, rule="never locked", because=because)
    return None


def guard(expire: Sequence[RestorePoint], *, evidence: Evidence, now: datetime) -> Allowed | Refused:
    """Judge what would go of some instances, all of whose points are in `expire` or were spared, before any goes."""
    if not evidence.inventory_complete:
        return Refused(
            refusals=(
                Refusal(
                    rule="complete inventory",
                    because=f"the inventory could not be read to its end ({evidence.gap or 'no reason given'}), so "
                    f"nobody can say which of {len(expire)} restore points is a last one",
                    remedy="Nothing of them was deleted; the next run tries again. If it repeats, check the role's "
                    "permissions (ecs:DescribeSnapshots) and throttling",
                ),
            )
        )
    spared = [one for point in expire if (one := _untouchable(point, evidence, now)) is not None]
    held = {one.point.key for one in spared}
    spared += _last_ones([point for point in expire if point.key not in held], evidence)
    held = {one.point.key for one in spared}
    return Allowed(expire=tuple(point for point in expire if point.key not in held), spared=tuple(spared))


def _untouchable(point: RestorePoint, evidence: Evidence, now: datetime) -> Spared | None:
    if (back := held_back(point, now)) is not None:
        return back
    if point.missing_since is not None and point.disks and all(one in evidence.shown for _, one in point.disks):
        because = f"it was missing since {point.missing_since:%Y-%m-%dT%H:%MZ} and is shown again"
        return Spared(point=point, rule="never found again", because=because)
    for _, snapshot in point.disks:
        if snapshot not in evidence.ours:
            return Spared(
                point=point,
                rule="only what we made",
                because=f"snapshot {snapshot} does not carry our tags or is not in our records",
            )
        if snapshot in evidence.locked:
            return Spared(point=point, rule="never locked", because=f"snapshot {snapshot} is locked")
        if snapshot in evidence.in_use:
            return Spared(
                point=point,
                rule="never in use",
                because=f"snapshot {snapshot} is in use by {evidence.in_use[snapshot]}; it goes when that is gone",
            )
    return None


def _last_ones(candidates: list[RestorePoint], evidence: Evidence) -> list[Spared]:
    """Points whose going would leave one of their disks without any snapshot that the cloud calls usable, or take the
    last one that it calls complete."""
    doomed: dict[DiskId, set[SnapshotId]] = {}
    for point in candidates:
        for disk, snapshot in point.disks:
            doomed.setdefault(disk, set()).add(snapshot)
    bare = {
        disk for disk, snapshots in doomed.items() if not evidence.usable_by_disk.get(disk, frozenset()) - snapshots
    }
    # A disk that has no complete snapshot at all loses none: a failed first attempt may go.
    unwhole = {
        disk
        for disk, snapshots in doomed.items()
        if (complete := evidence.complete_by_disk.get(disk, frozenset())) and not complete - snapshots
    }
    spared = []
    for point in candidates:
        hit = next((disk for disk, _ in point.disks if disk in bare), None)
        if hit is not None:
            of = len(evidence.usable_by_disk.get(hit, ()))
            because = f"disk {hit} would keep 0 of the {of} snapshots that the cloud calls usable"
            spared.append(Spared(point=point, rule="one usable point per disk", because=because))
            continue
        hit = next(
            (disk for disk, one in point.disks if disk in unwhole and one in evidence.complete_by_disk[disk]), None
        )
        if hit is not None:
            of = len(evidence.complete_by_disk[hit])
            because = f"disk {hit} would keep 0 of the {of} snapshots that the cloud calls complete"
            spared.append(Spared(point=point, rule="one complete point per disk", because=because))
    return spared


def over_the_caps(items: int, points: int, limits: PruneLimits, *, permit: str = "") -> tuple[Refusal, ...]:
    """`items` would go over the whole run, of `points` it looked at. `permit`: what lets this very plan through."""
    refusals = []
    once = f", or let this very plan through once: `understudy prune --apply --allow {permit}`" if permit else ""
    if items > limits.max_items:
        refusals.append(
            Refusal(
                rule="cap per run",
                because=f"{items} restore points would go, more than max_items {limits.max_items}",
                remedy=f"Look at `understudy prune`; if it is right, raise prune.max_items and apply the policy{once}",
            )
        )
    if points >= PERCENT_CAP_FROM and items * 100 > limits.max_percent * points:
        refusals.append(
            Refusal(
                rule="percent cap per run",
                because=f"{items} of {points} restore points would go, {items * 100 / points:.0f} percent, "
                f"more than max_percent {limits.max_percent}",
                remedy="Look at `understudy prune`; if it is right, raise prune.max_percent and apply the policy"
                f"{once}",
            )
        )
    return tuple(refusals)
