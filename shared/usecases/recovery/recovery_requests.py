"""What a recovery was asked to do: the content of its journal's `inputs`, both ways.

All carry who asked and when; the operation's id is made of that, so that asking again is the same operation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from shared.domain.ids import ImageId, InstanceId, LoadBalancerId, OperationId, PolicyVersion, SnapshotId
from shared.domain.operation import Operation, OperationKind, opened
from shared.domain.place import Place
from shared.domain.policy import Elsewhere
from shared.domain.restoring import DiskChange as DiskChange
from shared.domain.restoring import Way as Way
from shared.state import codec

PARENT: Final = "parent"
"""Key in `Operation.inputs`: the plan that it belongs to, which is woken when it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """Other content for disks of one instance. `confirm` is the preview's token, or the name (or id) of the instance,
    typed back."""

    place: Place
    instance: InstanceId
    disks: tuple[DiskChange, ...]
    asked: datetime
    by: str
    confirm: str
    point: str = ""  # id of the restore point whose snapshots these are
    point_of: InstanceId | None = None  # whose point it is, when it was taken of the one that `instance` replaced
    undoes: OperationId | None = None
    accept_size: bool = False  # a disk that was enlarged since shrinks back
    parent: OperationId | None = None

    @property
    def id(self) -> OperationId:
        return OperationId(f"restore/{self.instance}/{codec.second(self.asked)}")

    def operation(self, *, policy: PolicyVersion, now: datetime, because: str) -> Operation:
        return _operation(self.id, OperationKind.RESTORE, self.instance, self, policy, now, because, self.parent)

    @classmethod
    def of(cls, operation: Operation) -> "RestoreRequest":
        return codec.load(cls, operation.inputs["request"])


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """1-1,000 instances of one image. Of `image`, `family` (its newest usable) and `point` (an image is made of its
    snapshots first) exactly one is given. What is empty is taken from instance `like`."""

    place: Place
    name: str
    asked: datetime
    by: str
    amount: int = 1
    least: int = 1  # fewer are a failure
    image: ImageId | None = None
    family: str = ""
    point: str = ""
    subject: InstanceId | None = None  # whose `point` it is
    like: InstanceId | None = None
    instance_types: tuple[str, ...] = ()  # tried in this order
    where: tuple[Elsewhere, ...] = ()  # likewise
    security_groups: tuple[str, ...] = ()
    key_pair: str = ""
    role: str = ""
    user_data: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    snapshots: tuple[SnapshotId, ...] = ()  # of further data disks
    port: int = 0  # where each is to answer before it is used; 0: not asked
    balancer: LoadBalancerId | None = None  # gets them, with `weight`
    weight: int = 100
    group: str = ""  # scaling group that they join
    confirm: str = ""  # the preview's token, or the name
    parent: OperationId | None = None

    @property
    def id(self) -> OperationId:
        return OperationId(f"launch/{self.name}/{codec.second(self.asked)}")

    def operation(self, *, policy: PolicyVersion, now: datetime, because: str) -> Operation:
        return _operation(self.id, OperationKind.LAUNCH, self.id, self, policy, now, because, self.parent)

    @classmethod
    def of(cls, operation: Operation) -> "LaunchRequest":
        return codec.load(cls, operation.inputs["request"])


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildRequest:
    """One instance is replaced by its rebuild rule, lost or not: drained and stopped gracefully first when it runs.
    `confirm` is the preview's token, or the name (or id) of the instance, typed back."""

    instance: InstanceId
    rule: str
    asked: datetime
    by: str
    confirm: str
    parent: OperationId | None = None

    @property
    def id(self) -> OperationId:
        return OperationId(f"rebuild/{self.instance}/asked-{codec.second(self.asked)}")

    def operation(self, *, policy: PolicyVersion, now: datetime, because: str) -> Operation:
        made = _operation(self.id, OperationKind.REBUILD, self.instance, self, policy, now, because, self.parent)
        # As those that a suspicion opens have them; nothing is lost before it is stopped, so RTO counts from here.
        own = {"instance": self.instance, "rule": self.rule, "event": "", "first_seen": codec.moment(now)}
        return replace(made, inputs={**made.inputs, **own, "failed_at": codec.moment(now)})

    @classmethod
    def of(cls, operation: Operation) -> "RebuildRequest | None":
        """None for one that nobody asked for: its instance was found lost."""
        asked = operation.inputs.get("request")
        return None if asked is None else codec.load(cls, asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """One image into the active configurations of scaling groups."""

    image: ImageId  # "": the newest usable one of the family
    family: str
    groups: tuple[str, ...]
    asked: datetime
    by: str
    over: bool = False  # also over newer versions that are known by then: an operator wants this one

    @property
    def id(self) -> OperationId:
        return OperationId(f"publish/{self.image or self.family}/{codec.second(self.asked)}")

    def operation(self, *, policy: PolicyVersion, now: datetime, because: str) -> Operation:
        # Each its own subject: two at once are ordered by version, and neither is refused for the other.
        return _operation(self.id, OperationKind.PUBLISH, self.id, self, policy, now, because, None)

    @classmethod
    def of(cls, operation: Operation) -> "PublishRequest":
        return codec.load(cls, operation.inputs["request"])


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """One run of a plan of the policy."""

    plan: str
    asked: datetime
    by: str
    confirm: str
    at: datetime | None = None  # for steps with point "at": the newest point taken before it

    @property
    def id(self) -> OperationId:
        return OperationId(f"plan/{self.plan}/{codec.second(self.asked)}")

    def operation(self, *, policy: PolicyVersion, now: datetime, because: str) -> Operation:
        return _operation(self.id, OperationKind.PLAN, f"plan {self.plan}", self, policy, now, because, None)

    @classmethod
    def of(cls, operation: Operation) -> "PlanRequest":
        return codec.load(cls, operation.inputs["request"])


def _operation(
    id: OperationId,
    kind: OperationKind,
    subject: str,
    request: object,
    policy: PolicyVersion,
    now: datetime,
    because: str,
    parent: OperationId | None,
) -> Operation:
    made = opened(id, kind, subject, policy=policy, now=now, because=because, request=codec.dump(request))
    return made if parent is None else replace(made, inputs={**made.inputs, PARENT: parent})
