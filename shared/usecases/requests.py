"""What a back-up or image operation was asked to do: the content of its journal's `inputs`, both ways."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from shared.domain.ids import InstanceId, OperationId, PolicyVersion
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.state import codec

ON_DEMAND: Final = "on-demand"
"""Schedule name of a backup that an operator asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackUpRequest:
    protection: str
    schedule: str
    due: datetime
    skipped: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)  # because -> slots this one stands in for

    @property
    def id(self) -> OperationId:
        """One operation per protection, schedule and due time: however often the tick comes, the same id."""
        return OperationId(f"back_up/{self.protection}/{self.schedule}/{codec.second(self.due)}")

    def point(self, instance: str) -> str:
        """Id of the restore point of one instance."""
        return f"{self.protection}/{self.schedule}/{codec.second(self.due)}/{instance}"

    def operation(self, *, policy: PolicyVersion, now: datetime, because: str) -> Operation:
        return Operation(
            id=self.id,
            kind=OperationKind.BACK_UP,
            subject=self.protection,
            state=OperationState.OPEN,
            created=now,
            policy=policy,
            because=because,
            inputs={"request": codec.dump(self)},
        )

    @classmethod
    def of(cls, operation: Operation) -> "BackUpRequest":
        return codec.load(cls, operation.inputs["request"])


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
        return Operation(
            id=self.id,
            kind=OperationKind.IMAGE,
            subject=self.instance,
            state=OperationState.OPEN,
            created=now,
            policy=policy,
            because=because,
            inputs={"request": codec.dump(self)},
        )

    @classmethod
    def of(cls, operation: Operation) -> "ImageRequest":
        return codec.load(cls, operation.inputs["request"])
