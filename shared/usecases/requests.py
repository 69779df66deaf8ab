"""What a back-up or image operation was asked to do: the content of its journal's `inputs`, both ways."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from shared.domain.bundles import Member
from shared.domain.ids import InstanceId, OperationId, PolicyVersion
from shared.domain.operation import Operation, OperationKind, Step, opened
from shared.domain.policy import ImageDisks, ImageRule
from shared.state import codec

ON_DEMAND: Final = "on-demand"
"""Schedule name of a backup that an operator asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackUpRequest:
    """One slot of one protection. A large one is cut into shards, each an operation with its own instances."""

    protection: str
    schedule: str
    due: datetime
    shard: int = 0  # 1-9,999; 0: the whole slot
    members: tuple[Member, ...] = ()  # of a shard
    after: bool = False  # goes on looking at what its operation could not see complete

    @property
    def id(self) -> OperationId:
        """One operation per protection, schedule and due time: however often the tick comes, the same id."""
        shard = f"/{self.shard:04d}" if self.shard else ""
        after = "/after" if self.after else ""
        return OperationId(f"{self._slot}{shard}{after}")

    def point(self, instance: str) -> str:
        """Id of the restore point of one instance, whichever shard takes it."""
        return f"{self.protection}/{self.schedule}/{codec.second(self.due)}/{instance}"

    def child(self, number: int, members: tuple[Member, ...]) -> "BackUpRequest":
        return replace(self, shard=number, members=members)

    def operation(
        self, *, policy: PolicyVersion, now: datetime, because: str, steps: tuple[Step, ...] = ()
    ) -> Operation:
        begun = opened(
            self.id,
            OperationKind.BACK_UP,
            self.protection,
            policy=policy,
            now=now,
            because=because,
            request=codec.dump(self),
        )
        return replace(begun, steps=steps)

    @classmethod
    def of(cls, operation: Operation) -> "BackUpRequest":
        return codec.load(cls, operation.inputs["request"])

    @property
    def _slot(self) -> str:
        return f"back_up/{self.protection}/{self.schedule}/{codec.second(self.due)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """One image of one family: of an instance, of the one that a rule chooses, or of a restore point's snapshots."""

    instance: InstanceId  # "": one of the rule's
    family: str
    asked: datetime  # of a slot: when it was due
    copy_to: tuple[str, ...] = ()  # regions
    kms_key: str = ""  # of those regions; empty: as the image is encrypted
    disks: ImageDisks = ImageDisks.ALL
    rule: str = ""  # of the policy's images
    schedule: str = ""  # of that rule; empty: by hand
    point: str = ""  # id of a restore point of `instance`
    publish_to: tuple[str, ...] = ()  # scaling groups

    @property
    def id(self) -> OperationId:
        if self.schedule:
            return OperationId(f"image/{self.rule}/{self.schedule}/{codec.second(self.asked)}")
        of = self.instance or self.rule
        return OperationId(f"image/{of}/{self.family}/{codec.second(self.asked)}")

    @classmethod
    def of_rule(cls, rule: ImageRule, *, asked: datetime, schedule: str = "") -> "ImageRequest":
        return cls(
            instance=InstanceId(""),
            family=rule.family,
            asked=asked,
            copy_to=rule.copy_to,
            disks=rule.disks,
            rule=rule.name,
            schedule=schedule,
            publish_to=rule.publish_to,
        )

    def operation(self, *, policy: PolicyVersion, now: datetime, because: str) -> Operation:
        return opened(
            self.id,
            OperationKind.IMAGE,
            self.instance or f"images {self.rule}",
            policy=policy,
            now=now,
            because=because,
            request=codec.dump(self),
        )

    @classmethod
    def of(cls, operation: Operation) -> "ImageRequest":
        return codec.load(cls, operation.inputs["request"])
