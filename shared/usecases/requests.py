"""What a back-up or image operation was asked to do: the content of its journal's `inputs`, both ways."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from shared.domain.bundles import Member
from shared.domain.ids import InstanceId, OperationId, PolicyVersion
from shared.domain.operation import Operation, OperationKind, Step, opened
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
    instance: InstanceId
    family: str
    asked: datetime
    copy_to: tuple[str, ...] = ()  # regions
    kms_key: str = ""  # of those regions; empty: as the image is encrypted

    @property
    def id(self) -> OperationId:
        return OperationId(f"image/{self.instance}/{self.family}/{codec.second(self.asked)}")

    def operation(self, *, policy: PolicyVersion, now: datetime, because: str) -> Operation:
        return opened(
            self.id,
            OperationKind.IMAGE,
            self.instance,
            policy=policy,
            now=now,
            because=because,
            request=codec.dump(self),
        )

    @classmethod
    def of(cls, operation: Operation) -> "ImageRequest":
        return codec.load(cls, operation.inputs["request"])
