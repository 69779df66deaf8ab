"""A world in which disks are restored: points with known bytes, an operator's commands."""

from typing import Any

from shared.domain.ids import DiskId, InstanceId, OperationId, PolicyVersion, SnapshotId
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.policy import Policy
from shared.domain.retention import RestorePoint
from shared.state import codec
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.operations import Recipe
from shared.usecases.recovery.out_of_service import OutOfService
from shared.usecases.recovery.restore import RestoreRecipe
from shared.usecases.recovery.restore_look import RestoreLook
from shared.usecases.recovery.restore_preview import RestorePreview
from tests.usecases.backup_world import PLACE, START
from tests.usecases.recovery_world import STANDS, RecoveryWorld
from understudy.simulation.store import InProcessStore

BEFORE, AFTER = b"as it was at the point", b"written after the point"


class RestoreWorld(RecoveryWorld):
    def __init__(self, policy: Policy | None = None, *, stands: str = STANDS) -> None:
        super().__init__(policy, stands=stands)
        self.recipes[OperationKind.RESTORE] = self.restoring
        self.previews[OperationKind.RESTORE] = self.previewing
        self.began_at = self.clock.now()  # when something is asked for: a repetition says the same

    def restoring(self) -> Recipe:
        return RestoreRecipe(look=self.restore_look(), services=self.services, policies=Policies(self.store))

    def previewing(self) -> RestorePreview:
        return RestorePreview(look=self.restore_look(), policies=Policies(self.store))

    def restore_look(self) -> RestoreLook:
        service = OutOfService(scaling=self.scaling, balancer=self.balancer, clock=self.clock)
        return RestoreLook(clouds=self.clouds, home=PLACE, service=service, store=self.store, clock=self.clock)

    def preview(self, command: str, **arguments: Any) -> dict[str, Any]:
        found = self.command(command=command, by="li", **arguments)["preview"]
        assert isinstance(found, dict)
        return found

    def ask(self, command: str, *, confirm: str, **arguments: Any) -> OperationId:
        answer = self.command(command=command, by="li", confirm=confirm, **arguments)
        return OperationId(str(answer["operation"]))

    def restored(self, id: OperationId, **within: float) -> Operation:
        """Let it come to its end, which must be a good one."""
        self.run_recovery(**(within or {"minutes": 30}))
        ended = self.operation(id)
        assert ended.state is OperationState.DONE, (ended.state, ended.result, ended.steps[-1])
        return ended

    def marked(self, *disks: str) -> None:
        """Bytes on the disks, a point of them, and other bytes since."""
        for disk in disks:
            self.write(disk, BEFORE)
        self.take_points()
        for disk in disks:
            self.write(disk, AFTER)

    def pointed(self, instance: str, *disks: str) -> RestorePoint:
        """The same by hand, which is quicker: for sweeps."""
        made = {}
        for disk in disks:
            self.write(disk, BEFORE)
            snapshot = self.cloud.ecs.snapshots.create(disk, name="by-hand", tags={}, token=None)
            made[DiskId(disk)] = SnapshotId(snapshot.id)
        self.advance(minutes=15)
        point = RestorePoint(
            id="by-hand",
            subject=InstanceId(instance),
            slot=START,
            schedule="hourly",
            taken=START,
            usable=True,
            complete=True,
            disks=tuple(made.items()),
            protection="servers",
            policy=PolicyVersion(1),
            place=PLACE,
        )
        Points(InProcessStore(self.cloud, "understudy")).put([point])
        for disk in disks:
            self.write(disk, AFTER)
        return point

    def _dispatch(self, function: str, payload: bytes) -> bytes:
        if function == "recover" and b'"preview"' in payload:
            return codec.dump(self.call_recover(payload)).encode()
        return super()._dispatch(function, payload)


def at_the_point(world: RecoveryWorld, disk: str) -> bool:
    return world.read(disk, len(AFTER)) == BEFORE.ljust(len(AFTER), b"\0")
