"""The provider's own snapshot policies: at whole hours of UTC+8, on weekdays, for the disks they are applied to.

Each policy that has disks has one entry on the calendar, for its next hour. A run is not queued: a disk whose last
automatic snapshot still runs, or whose instance is just being stopped or started, is skipped.

Sources: ECS API CreateAutoSnapshotPolicy, ModifyAutoSnapshotPolicyEx, ApplyAutoSnapshotPolicy,
CancelAutoSnapshotPolicy, DeleteAutoSnapshotPolicy, DescribeAutoSnapshotPolicyEx, read 2025.
Not modelled: policies that find their instances by tags, encryption of the copies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from emulator.clock import Due
from emulator.ecs.preconditions import AUTOMATIC_QUOTA, CONCURRENT_INSTANT, check_state
from emulator.ecs.rules import check_name, check_tags
from emulator.ecs.shelf import Shelf
from emulator.wire.call import ApiError
from emulator.wire.params import digits

if TYPE_CHECKING:
    from emulator.ecs.disks import Disk
    from emulator.ecs.model import Ecs
    from emulator.ecs.snapshot import Snapshot

CHINA = timezone(timedelta(hours=8))
"""Policies run by this zone everywhere in the world; every other time of the API is UTC."""

POLICIES_AT_MOST = 100
UPGRADED = 10
FOR_EVER = -1
DAYS = (1, 65_535)  # one less than for manual snapshots


@dataclass(slots=True, kw_only=True, eq=False)
class Policy:
    id: str
    name: str
    created: datetime
    hours: tuple[int, ...]  # UTC+8
    weekdays: tuple[int, ...]  # 1 is Monday, in UTC+8
    retention_days: int | None
    copy_region: str = ""
    copies: bool = False
    copy_retention_days: int | None = None
    disks: dict[str, None] = field(default_factory=dict)  # in the order of their application
    resource_group: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    due: Due | None = field(default=None, repr=False)

    def next_run(self, after: datetime) -> datetime:
        hour = after.astimezone(CHINA).replace(minute=0, second=0, microsecond=0)
        while True:
            hour += timedelta(hours=1)
            if hour.hour in self.hours and hour.isoweekday() in self.weekdays:
                return hour.astimezone(after.tzinfo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a call says of a policy; None: nothing. Retentions as on the wire: -1 is for ever."""

    name: str | None = None
    hours: Sequence[str] | None = None
    weekdays: Sequence[str] | None = None
    retention_days: int | None = None
    copies: bool | None = None
    copy_regions: Sequence[str] | None = None
    copy_retention_days: int | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Association:
    """One policy on one disk, as it is listed."""

    id: str  # policy and disk
    policy_id: str
    disk_id: str
    tags: dict[str, str] = field(default_factory=dict)


class AutoSnapshotPolicies:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self.shelf: Shelf[Policy] = Shelf()
        self.associations: Shelf[Association] = Shelf()
        self.per_disk = 1
        """One policy per disk, applying replaces; 10 for accounts upgraded by ticket, applying adds."""
        self._copies: dict[str, Policy] = {}  # by automatic snapshot that is under way: whose copy is wanted

    def find(self, id: str) -> Policy:
        policy = self.shelf.get(id)
        if policy is None:
            raise ApiError("ParameterInvalid", f"The automatic snapshot policy {id} does not exist.", 404)
        return policy

    def of_disk(self, disk_id: str) -> list[Policy]:
        return [policy for policy in self.shelf if disk_id in policy.disks]

    # Policies -----------------------------------------------------------------------------------------------------

    def create(self, wanted: Settings, *, tags: Mapping[str, str], resource_group: str = "") -> Policy:
        self._check(wanted)
        check_tags(tags)
        self._ecs.snapshots.standing.check()
        if wanted.hours is None or wanted.weekdays is None or wanted.retention_days is None:
            raise ApiError("MissingParameter", "timePoints, repeatWeekdays and retentionDays are mandatory.")
        if len(self.shelf) >= POLICIES_AT_MOST:
            raise ApiError("AutoSnapshotPolicy.QuotaExceed", f"There are {POLICIES_AT_MOST} policies.", 403)
        policy = Policy(
            id=self._ecs.chance.id("sp"),
            name="",
            created=self._ecs.clock.now(),
            hours=(),
            weekdays=(),
            retention_days=None,
            resource_group=resource_group,
            tags=dict(tags),
        )
        self._set(policy, wanted)
        self.shelf.add(policy)
        return policy

    def modify(self, id: str, wanted: Settings) -> None:
        """Snapshots that exist keep the retention they were made with (assumption)."""
        policy = self.find(id)
        self._check(wanted)
        self._set(policy, wanted)
        self._plan(policy)

    def _check(self, wanted: Settings) -> None:
        check_name(
            wanted.name or None, ApiError("InvalidSnapshotPolicyName.Malformed", f"{wanted.name!r} is not valid.")
        )
        _numbers("timePoints", wanted.hours, 0, 23)
        _numbers("repeatWeekdays", wanted.weekdays, 1, 7)
        if wanted.retention_days is not None and not _is_retention(wanted.retention_days):
            raise _invalid("retentionDays", f"it is -1 or {DAYS[0]}-{DAYS[1]}, got {wanted.retention_days}")
        if wanted.copy_retention_days is not None and not _is_retention(wanted.copy_retention_days):
            raise ApiError(
                "InvalidParameter.CopiedSnapshotsRetentionDays",
                f"It is -1 or {DAYS[0]}-{DAYS[1]}, got {wanted.copy_retention_days}.",
                403,
            )
        regions = wanted.copy_regions
        if regions is not None or wanted.copies:
            others = [region for region in self._ecs.cloud.regions if region != self._ecs.region]
            if not regions or len(regions) != 1 or regions[0] not in others:
                raise ApiError(
                    "InvalidParameter.TargetCopyRegions", f"One region of {others} is wanted, got {regions}.", 403
                )

    def _set(self, policy: Policy, wanted: Settings) -> None:
        if wanted.name:
            policy.name = wanted.name
        if wanted.hours is not None:
            policy.hours = tuple(sorted({int(hour) for hour in wanted.hours}))
        if wanted.weekdays is not None:
            policy.weekdays = tuple(sorted({int(day) for day in wanted.weekdays}))
        if wanted.retention_days is not None:
            policy.retention_days = None if wanted.retention_days == FOR_EVER else wanted.retention_days
        if wanted.copies is not None:
            policy.copies = wanted.copies
        if wanted.copy_regions is not None:
            policy.copy_region = wanted.copy_regions[0]
        if wanted.copy_retention_days is not None:
            days = wanted.copy_retention_days
            policy.copy_retention_days = None if days == FOR_EVER else days

    def delete(self, id: str) -> None:
        """Its snapshots stay."""
        policy = self.find(id)
        for disk_id in list(policy.disks):
            self._part(policy, disk_id)
        self.shelf.remove(policy)

    # Disks --------------------------------------------------------------------------------------------------------

    def apply(self, id: str, disk_ids: Sequence[str]) -> None:
        self._ecs.snapshots.standing.check()
        policy = self.find(id)
        if not disk_ids:
            raise _invalid("diskIds", "it names no disk")
        disks = [self._ecs.disks.find(disk_id) for disk_id in disk_ids]
        if self.per_disk > 1:
            for disk in disks:
                if disk.id not in policy.disks and len(self.of_disk(disk.id)) >= self.per_disk:
                    raise ApiError(
                        "QuotaExceed.AppliedAutoSnapshotPolicyQuota", f"{disk.id} has {self.per_disk} policies.", 403
                    )
        for disk in disks:
            if self.per_disk == 1:
                self.cancel_all(disk.id, but=policy)
            if disk.id not in policy.disks:
                policy.disks[disk.id] = None
                self.associations.add(Association(id=f"{policy.id}/{disk.id}", policy_id=policy.id, disk_id=disk.id))
        self._plan(policy)

    def cancel(self, disk_ids: Sequence[str], id: str | None = None) -> None:
        if not disk_ids:
            raise _invalid("diskIds", "it names no disk")
        policy = None if id is None else self.find(id)
        disks = [self._ecs.disks.find(disk_id) for disk_id in disk_ids]
        for disk in disks:
            if policy is None and len(self.of_disk(disk.id)) > 1:  # its status is unverified
                raise ApiError(
                    "OperationDenied.TooManyAutoSnapshotPolicies", f"{disk.id} has several: name one of them.", 403
                )
        for disk in disks:
            for one in [policy] if policy is not None else self.of_disk(disk.id):
                self._part(one, disk.id)

    def cancel_all(self, disk_id: str, *, but: Policy | None = None) -> None:
        for policy in self.of_disk(disk_id):
            if policy is not but:
                self._part(policy, disk_id)

    def _part(self, policy: Policy, disk_id: str) -> None:
        if disk_id not in policy.disks:
            return
        del policy.disks[disk_id]
        association = self.associations.get(f"{policy.id}/{disk_id}")
        if association is not None:
            self.associations.remove(association)
        self._plan(policy)

    # Running ------------------------------------------------------------------------------------------------------

    def _plan(self, policy: Policy) -> None:
        if policy.due is not None:
            policy.due.cancel()
            policy.due = None
        if policy.disks:
            at = policy.next_run(self._ecs.clock.now())
            policy.due = self._ecs.clock.call_at(at, lambda: self._run(policy), "snapshot policy runs")

    def _run(self, policy: Policy) -> None:
        policy.due = None
        for disk_id in list(policy.disks):
            disk = self._ecs.disks.shelf.get(disk_id)
            if disk is not None and self._is_free(disk):
                self._make_room(disk)
                self._take(policy, disk)
        self._plan(policy)

    def _is_free(self, disk: "Disk") -> bool:
        snapshots = self._ecs.snapshots
        if not disk.enable_auto_snapshot:
            return False
        try:
            snapshots.standing.check()
            check_state(self._ecs, disk)
        except ApiError:
            return False
        busy = snapshots.chains.unfinished(disk.id)
        if busy >= (CONCURRENT_INSTANT if disk.instant else 1):
            return False
        return not busy or not any(s.type == "auto" and s.status == "progressing" for s in snapshots.chains.of(disk.id))

    def _make_room(self, disk: "Disk") -> None:
        """The oldest makes room for the new one; one that something holds cannot go, the next older does."""
        snapshots = self._ecs.snapshots
        if snapshots.chains.count(disk.id, "auto") < AUTOMATIC_QUOTA:
            return
        for snapshot in snapshots.chains.of(disk.id):
            if snapshot.type == "auto" and not snapshots.is_held(snapshot):
                snapshots.drop(snapshot)
                return

    def _take(self, policy: Policy, disk: "Disk") -> None:
        day = self._ecs.clock.now().astimezone(CHINA).strftime("%Y%m%d")
        snapshot = self._ecs.snapshots.take(
            disk, name=f"auto2.0_{day}_{policy.id}", retention_days=policy.retention_days, type="auto"
        )
        if policy.copies:
            self._copies[snapshot.id] = policy

    def snapshot_finished(self, snapshot: "Snapshot") -> None:
        """Off to the other region, if the policy wants it and nothing of this disk is on its way there."""
        policy = self._copies.pop(snapshot.id, None)
        if policy is None or snapshot.status != "accomplished" or not policy.copies:
            return
        try:
            self._ecs.snapshots.copies.copy(
                snapshot.id, region=policy.copy_region, name=snapshot.name, description="",
                retention_days=policy.copy_retention_days,
            )  # fmt: skip
        except ApiError:
            return  # skipped, like a run (assumption)


def _is_retention(days: int) -> bool:
    return days == FOR_EVER or DAYS[0] <= days <= DAYS[1]


def _invalid(name: str, why: str) -> ApiError:
    """One code for everything that is wrong with a policy's parameters."""
    return ApiError("ParameterInvalid", f"The specified {name} is invalid: {why}.", 403)


def _numbers(name: str, texts: Sequence[str] | None, low: int, high: int) -> None:
    if texts is None:
        return
    numbers = [digits(text) for text in texts]
    if not numbers or any(number is None or not low <= number <= high for number in numbers):
        raise _invalid(name, f"it is a JSON array of texts {low}-{high}")
