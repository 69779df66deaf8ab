"""What a copy operation was asked to do, and where copies begin: when a restore point is complete.

A point is copied by the rules that stood when it was taken (`RestorePoint.copy_to`). A rule that is added later holds
for the points of later slots: copying a whole history at once is an operator's decision, not a policy's side effect.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.ids import DiskId, InstanceId, OperationId, PolicyVersion, SnapshotId
from shared.domain.operation import Operation, OperationKind, OperationState, opened
from shared.domain.place import Place
from shared.domain.policy import CopyRule, Policy
from shared.domain.retention import Level, RestorePoint
from shared.state import codec
from shared.state.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """One complete restore point into one region. Whatever it needs of the point is here: nothing of it changes."""

    point: str
    subject: InstanceId
    slot: datetime
    schedule: str
    taken: datetime
    disks: tuple[tuple[DiskId, SnapshotId], ...]
    protection: str
    level: Level
    policy: PolicyVersion  # under which it was taken
    source: Place
    region: str
    deadline: datetime
    priority: int
    again: int = 0  # how often an earlier operation for the same copy ended without it

    @property
    def id(self) -> OperationId:
        again = f"/again-{self.again}" if self.again else ""
        return OperationId(f"copy/{self.point}@{self.region}{again}")

    @property
    def first(self) -> OperationId:
        """The first operation for this copy: every one that follows marks its snapshots as that one's, and so finds
        what was made before."""
        return replace(self, again=0).id

    @property
    def copy(self) -> str:
        """Id of the restore point that the copy is."""
        return f"{self.point}@{self.region}"

    @property
    def target(self) -> Place:
        return Place(self.region, self.source.account)

    def original(self) -> RestorePoint:
        """As far as `Points` needs to know which point is meant."""
        return RestorePoint(
            id=self.point,
            subject=self.subject,
            slot=self.slot,
            schedule=self.schedule,
            taken=self.taken,
            usable=True,
            complete=True,
            disks=self.disks,
            protection=self.protection,
            policy=self.policy,
            place=self.source,
            level=self.level,
            copy_to=(self.region,),
        )

    def operation(self, *, now: datetime, because: str) -> Operation:
        return opened(
            self.id,
            OperationKind.COPY,
            self.subject,
            policy=self.policy,
            now=now,
            because=because,
            request=codec.dump(self),
        )

    @classmethod
    def of(cls, operation: Operation) -> "CopyRequest":
        return codec.load(cls, operation.inputs["request"])


def rule(policy: Policy, protection: str, region: str, schedule: str) -> CopyRule | None:
    """By which points of `schedule` go into `region`, if any."""
    found = policy.protection(protection)
    for one in found.copies if found is not None else ():
        if one.region == region and (not one.schedules or schedule in one.schedules):
            return one
    return None


def regions(policy: Policy, protection: str, schedule: str) -> tuple[str, ...]:
    """What a new point's `copy_to` is."""
    found = policy.protection(protection)
    named = found.copies if found is not None else ()
    return tuple(one.region for one in named if not one.schedules or schedule in one.schedules)


def open_copies(journal: Journal, policy: Policy, point: RestorePoint, now: datetime) -> tuple[OperationId, ...]:
    """Begin the copies that a complete `point` waits for; `policy` is the version it was taken under.

    Call it when a point was written as complete, before the journal says that this was told: a crash in between calls
    it twice, which changes nothing. Answers those that are unfinished, for a caller who wants to wake them.
    """
    opened: list[OperationId] = []
    for asked in requests(policy, point):
        stands = journal.open(asked.operation(now=now, because=f"restore point {point.id} is complete"))
        if stands.state is OperationState.OPEN:
            opened.append(stands.id)
    return tuple(opened)


def requests(policy: Policy, point: RestorePoint) -> Iterator[CopyRequest]:
    """What is to be asked for `point`: nothing as long as it is not complete, or when it is a copy itself."""
    if not point.complete or point.failed or point.copy_of:
        return
    for region in point.copy_to:
        wanted = rule(policy, point.protection, region, point.schedule)
        if wanted is not None:
            yield CopyRequest(
                point=point.id,
                subject=point.subject,
                slot=point.slot,
                schedule=point.schedule,
                taken=point.taken,
                disks=point.disks,
                protection=point.protection,
                level=point.level,
                policy=point.policy,
                source=point.place or Place(policy.region),
                region=region,
                deadline=point.taken + wanted.within,
                priority=wanted.priority,
            )
