"""The operations that a run of a plan opens: what each is asked, and under which id.

The id follows from the run, the child's subject and the attempt, so that a crash or a doubled trigger opens none twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from shared.domain.ids import InstanceId, OperationId
from shared.domain.operation import OperationKind
from shared.domain.place import Place
from shared.domain.plan import Task
from shared.domain.policy import PlanAction, PlanStep
from shared.domain.retention import SAFETY, RestorePoint
from shared.domain.selection import takes
from shared.ports.compute import Inventory
from shared.state import codec
from shared.state.points import Points
from shared.usecases.recovery.recovery_requests import (
    DiskChange,
    LaunchRequest,
    PlanRequest,
    RebuildRequest,
    RestoreRequest,
    Way,
)

ChildRequest = RestoreRequest | RebuildRequest | LaunchRequest

KINDS: Final = {
    PlanAction.RESTORE: OperationKind.RESTORE,
    PlanAction.REBUILD: OperationKind.REBUILD,
    PlanAction.LAUNCH: OperationKind.LAUNCH,
}
LATER_POINTS: Final = 50
"""Points are listed by slot; one of an earlier slot may have been taken later. So many more are compared."""
_SOME_DAY: Final = datetime(2000, 1, 1, tzinfo=UTC)


class PointGone(Exception):
    """A restore point that a child was to use does not stand any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Children:
    points: Points
    inventory: Inventory
    region: str

    @property
    def place(self) -> Place:
        """Plans act in the policy's own region and account."""
        return Place(self.region)

    def id(self, step: PlanStep, task: Task, run: PlanRequest) -> OperationId:
        return self._shell(step, task, run).id

    def request(self, step: PlanStep, task: Task, run: PlanRequest) -> ChildRequest:
        """Raises PointGone; and as the reads do."""
        shell = self._shell(step, task, run)
        if not isinstance(shell, RestoreRequest):
            return shell
        point = next((one for one in self.points.of(shell.instance) if one.id == task.chosen), None)
        if point is None or not point.counts:
            raise PointGone(f"restore point {task.chosen} {'has failed' if point else 'is gone'}")
        return self._restore(step, shell, point)

    def to_point(self, step: PlanStep, task: Task, run: PlanRequest, point: RestorePoint) -> RestoreRequest:
        """As `request`, with the point at hand."""
        shell = self._shell(step, task, run)
        assert isinstance(shell, RestoreRequest)
        return self._restore(step, shell, point)

    def _restore(self, step: PlanStep, shell: RestoreRequest, point: RestorePoint) -> RestoreRequest:
        """Every disk of the point, or those that the step's selection takes of what is attached."""
        wanted = step.select.disks if step.select is not None else None
        disks = point.disks
        if wanted is not None and (wanted.where is not None or wanted.exclude or len(wanted.kinds) < 2):
            taken = {one.id for one in self.inventory.disks(instance=shell.instance) if takes(wanted, one)}
            disks = tuple((disk, snapshot) for disk, snapshot in disks if disk in taken)
        changes = tuple(DiskChange(disk=disk, way=Way.RESET, snapshot=snapshot) for disk, snapshot in disks)
        return replace(shell, disks=changes, point=point.id)

    def newest(self, instance: InstanceId, *, until: datetime | None) -> RestorePoint | None:
        """The newest usable point of an instance, taken at `until` or before: one of its own protections, at home."""
        found = self._usable(self.points.of(instance), until)
        first = next(found, None)
        if first is None:
            return None
        return max((first, *islice(found, LATER_POINTS)), key=lambda one: one.taken)

    def _usable(self, points: Iterable[RestorePoint], until: datetime | None) -> Iterator[RestorePoint]:
        return (
            one
            for one in points
            if one.counts
            and not one.copy_of
            and one.protection != SAFETY
            and (one.place is None or one.place == self.place)
            and (until is None or one.taken <= until)
        )

    def _shell(self, step: PlanStep, task: Task, run: PlanRequest) -> ChildRequest:
        """Without what only reads can tell; its id is that of the whole."""
        asked = run.asked + timedelta(seconds=task.attempt - 1)
        match step.action:
            case PlanAction.RESTORE:
                return RestoreRequest(
                    place=self.place,
                    instance=InstanceId(task.key),
                    disks=(),
                    asked=asked,
                    by=run.by,
                    confirm=task.key,  # the plan's token stands behind it
                    point=task.chosen,
                    parent=run.id,
                )
            case PlanAction.REBUILD:
                return RebuildRequest(
                    instance=InstanceId(task.key),
                    rule=task.chosen,
                    asked=asked,
                    by=run.by,
                    confirm=task.key,
                    parent=run.id,
                )
            case PlanAction.LAUNCH:
                return LaunchRequest(
                    place=self.place,
                    name=task.key,
                    asked=asked,
                    by=run.by,
                    amount=task.amount,
                    least=task.amount,
                    family=step.family,
                    like=step.like,
                    confirm=task.key,
                    parent=run.id,
                )


def digest_of(request: ChildRequest) -> str:
    """All that it would do, whoever asks whenever."""
    return codec.dump(replace(request, asked=_SOME_DAY, by="", confirm="", parent=None))
