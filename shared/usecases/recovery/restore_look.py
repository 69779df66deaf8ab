"""One look at an instance whose disks are to be restored: what `shared.domain.restoring_checks` judges. Reads only."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from shared.domain.errors import BadInput
from shared.domain.group_plan import step_aside
from shared.domain.ids import DiskId, InstanceId, OperationId, SnapshotId
from shared.domain.inventory import Disk, Snapshot
from shared.domain.lease import LeaseState
from shared.domain.operation import Operation, OperationKind, OperationState, StepState
from shared.domain.place import Place
from shared.domain.policy import Pair, Policy
from shared.domain.restoring import SYSTEM_DISK, DiskChange, LeftOut, PairRole, ScalingRole, Surroundings
from shared.domain.restoring_checks import RestorePlan, plan_restore
from shared.domain.retention import RestorePoint
from shared.ports.clock import Clock
from shared.ports.compute import Clouds, Compute
from shared.ports.store import Store
from shared.state import codec
from shared.state.controls import Controls
from shared.state.journal import Journal
from shared.state.leases import Leases
from shared.state.points import Points
from shared.state.subjects import Subjects
from shared.usecases.recovery.look import instance_of
from shared.usecases.recovery.out_of_service import BACK, OUT, OutOfService, Was
from shared.usecases.recovery.recovery_requests import RestoreRequest
from shared.usecases.recovery.suspicion import waits


@dataclass(slots=True, kw_only=True)
class RestoreLook:
    clouds: Clouds
    home: Place  # where groups and balancers exist
    service: OutOfService
    store: Store
    clock: Clock

    def at(self, request: RestoreRequest, policy: Policy, operation: OperationId | None = None) -> Surroundings:
        """`operation`: our own, which may hold the instance. Raises BadInput for a point that we do not know."""
        cloud = self.clouds.at(request.place)
        instance = instance_of(cloud.inventory, request.instance)
        place = self.place_of(request)
        attached = tuple(cloud.inventory.disks(instance=request.instance)) if instance is not None else ()
        served = instance is not None and request.place == self.home
        held_by, before = self._others_of(request.instance, operation)
        weights, alone = self.service.weights_of(request.instance) if served else ({}, ())
        wanted = [one.snapshot for one in request.disks if one.snapshot is not None]
        images = [one.image for one in request.disks if one.image is not None]
        return Surroundings(
            now=self.clock.now(),
            name=request.instance,
            instance=instance,
            disks=attached,
            others=self._others(cloud, request.disks, attached),
            snapshots=self._snapshots(self.clouds.at(place), wanted),
            taken={one.id: tuple(cloud.snapshots.list(disk=one.id)) for one in attached},
            images={one.id: one for one in cloud.images.list(ids=images)} if images else {},
            events=tuple(cloud.inventory.system_events(request.instance)) if instance is not None else (),
            held_by=held_by,
            left=None if before is None else left_out(before),
            pair=self._pair(request.instance, policy),
            scaling=self._scaling(request.instance) if served else None,
            weights=weights,
            alone_in=alone,
            point=request.point,
            last_safety=max((one.id for one in Points(self.store).of(request.instance) if one.safety), default=""),
            copied=place != request.place,
        )

    def plan(self, request: RestoreRequest, view: Surroundings, policy: Policy) -> RestorePlan:
        # What is undone goes back to what it was, whatever its size.
        accept_size = request.accept_size or request.undoes is not None
        return plan_restore(request.disks, view, accept_size=accept_size, kept_days=policy.safety_days)

    def place_of(self, request: RestoreRequest) -> Place:
        """Where the point stands."""
        point = self._point(request)
        return request.place if point is None or point.place is None else point.place

    def _point(self, request: RestoreRequest) -> RestorePoint | None:
        if not request.point:
            return None
        subject = request.point_of or request.instance
        found = next((one for one in Points(self.store).of(subject) if one.id == request.point), None)
        if found is None:
            raise BadInput(
                f"instance {subject} has no restore point {request.point!r} any more. `understudy points "
                f"{subject}` lists those it has"
            )
        return found

    def _scaling(self, instance: InstanceId) -> ScalingRole | None:
        member, group = self.service.read(instance)
        if member is None:
            return None
        return ScalingRole(group=member.group, state=member.state, aside=step_aside(group, member))

    def _others(self, cloud: Compute, wishes: Iterable[DiskChange], attached: tuple[Disk, ...]) -> tuple[Disk, ...]:
        here = {one.id for one in attached}
        ids: list[DiskId] = [one.disk for one in wishes if one.disk not in here and one.disk != SYSTEM_DISK]
        return tuple(cloud.inventory.disks(ids=ids)) if ids else ()

    def _snapshots(self, cloud: Compute, wanted: list[SnapshotId]) -> dict[SnapshotId, Snapshot]:
        return {one.id: one for one in cloud.snapshots.list(ids=wanted)} if wanted else {}

    def _others_of(
        self, instance: InstanceId, operation: OperationId | None
    ) -> tuple[OperationId | None, Operation | None]:
        """Another recovery that holds it, and one that waited for an operator, was acknowledged, and comes before."""
        subjects, journal = Subjects(self.store), Journal(self.store, self.clock)
        holder = subjects.holder(instance)
        if holder is None:
            return None, None
        if holder == operation:
            earlier = subjects.predecessor(instance, holder)
            return None, None if earlier is None else journal.find(earlier)
        held = journal.find(holder)
        if held is None or held.state is not OperationState.NEEDS_OPERATOR or waits(held, Controls(self.store)):
            return holder, None
        return None, held

    def _pair(self, instance: InstanceId, policy: Policy) -> PairRole | None:
        for pair, site in chain.from_iterable(_seats(pair, instance) for pair in policy.pairs):
            lease = Leases(self.store, tokens=_unused).read(pair.name)
            # A lease that nobody ever took, or that was given back, makes nobody active.
            active = lease is not None and lease.state is LeaseState.HELD and lease.owner == site
            return PairRole(pair=pair.name, site=site, active=active)
        return None


def left_out(operation: Operation) -> LeftOut | None:
    """What a restore that ended with a question had taken out of service, and not given back."""
    steps = {one.name: one for one in operation.steps}
    if operation.kind is not OperationKind.RESTORE or OUT not in steps or "check" not in steps:
        return None
    if BACK in steps and steps[BACK].state is StepState.DONE:
        return None
    was = codec.load(Was, steps[OUT].data["was"])
    ran = not steps["check"].data.get("stopped")
    return LeftOut(operation=operation.id, ran=ran, group=was.group, weights=was.weights)


def _seats(pair: Pair, instance: InstanceId) -> list[tuple[Pair, str]]:
    return [(pair, member.site) for member in pair.members if member.instance == instance]


def _unused() -> str:
    raise AssertionError("a look writes no lease")
