"""A rollback of one disk, launches of one and of a hundred, and a plan that brings a hundred back in two waves."""

from collections import Counter
from datetime import timedelta
from typing import Any, Final

from bench.recovery.required import LAUNCH, REBUILD, RESTORE, required
from bench.recovery.run import Measured, at
from bench.recovery.watch import Watch
from bench.recovery.worlds import CHECKS, watched
from shared.domain.estimate import in_lanes
from shared.domain.ids import DiskId, InstanceId, PolicyVersion, SnapshotId
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.policy import Gate, PlanAction, PlanStep, RecoveryPlan, Selection, Wave
from shared.domain.retention import RestorePoint
from shared.state import codec
from shared.state.points import Points
from shared.state.subjects import Subjects
from shared.usecases.recovery.launch import BOOT, PLAN
from shared.usecases.recovery.rebuild_preview import RebuildPreview
from shared.usecases.recovery.recovery_requests import PlanRequest
from shared.usecases.recovery.restore import CHECK, SERVE
from tests.usecases.backup_world import PLACE, START
from tests.usecases.launch_stage import WIDE, launch
from tests.usecases.rebuild_world import ALONE, AT_ONCE
from tests.usecases.recovery_world import BOOTED, WEB_1, RecoveryWorld, recovery_policy
from tests.usecases.restore_stage import RestoreWorld
from tests.usecases.test_plans_for_real import RealPlans

DISK: Final = DiskId("d-web-1-data")
MOMENT: Final = timedelta(microseconds=1)


def rollback(seed: int) -> Measured:
    name = "rollback of a data disk"
    world = RestoreWorld(recovery_policy(AT_ONCE), stands=ALONE)
    world.pointed(WEB_1, DISK)
    watch = watched(world, seed)
    token = world.preview("rollback", instance=WEB_1)["token"]
    id_ = world.ask("rollback", instance=WEB_1, confirm=token)
    world.run_recovery(minutes=30)
    done = world.operation(id_)
    if done.state is not OperationState.DONE:
        return Measured(name=name, seed=seed, failed=f"{done.state}: {done.result.get('because', '')}")
    begun, served = at(done, CHECK), at(done, SERVE)
    return Measured(
        name=name,
        seed=seed,
        took=served - begun,
        critical=of_rollback(world, watch, done, WEB_1, DISK),
        changes=watch.changed(done.created, served),
        required=required(RESTORE, **{"always": 1, "each disk": 1, "each pool with weight": 1}),
        planning=watch.read(begun, begun),
        looks=watch.read(begun + MOMENT, served),
        phases={one.name: one.at - begun for one in done.steps if begun <= one.at <= served},
    )


def of_rollback(world: RecoveryWorld, watch: Watch, done: Operation, instance: str, disk: str) -> timedelta:
    safety = next(
        one.done_at - one.created
        for one in world.cloud.ecs.snapshots.shelf.by_id.values()
        if one.disk_id == disk and one.created >= done.created
    )
    rewritten = watch.took(f"disk {disk} In_use")
    return watch.stopping(instance) + safety + rewritten + watch.booting(instance) + BOOTED + CHECKS


def launches(amount: int, seed: int) -> Measured:
    name = f"launch of {amount}"
    world = RecoveryWorld(stands=WIDE)
    watch = watched(world, seed)
    done = launch(world, amount=amount, least=amount)
    if done.state is not OperationState.DONE:
        return Measured(name=name, seed=seed, failed=f"{done.state}: {done.result.get('because', '')}")
    begun, runs = at(done, PLAN), at(done, BOOT)
    return Measured(
        name=name,
        seed=seed,
        took=runs - begun,
        critical=max(watch.booting(one) for one in {move.instance for move in watch.moves if move.state == "Pending"}),
        changes=watch.changed(done.created, runs),
        required=required(LAUNCH, **{"each 100": -(-amount // 100)}),
        planning=watch.read(done.created, begun),
        looks=watch.read(begun + MOMENT, runs),
    )


# A hundred in waves ---------------------------------------------------------------------------------------------------

DATABASES: Final = tuple(InstanceId(f"i-db-{n:03d}") for n in range(20))
SERVERS: Final = tuple(InstanceId(f"i-web-{n:03d}") for n in range(60))
MORE: Final = 20
AT_ONCE_IN_A_STEP: Final = 20
DISARMED: Final = Counter({"ModifyInstanceMaintenanceAttributes": MORE + len(SERVERS)})
"""New instances of the rule are disarmed by its tick like all others: no part of their recovery."""


def _stands() -> str:
    head, _, rest = WIDE.partition("instances:\n")
    _, balancers, tail = rest.partition("load_balancers:")
    members = ", ".join(f"{{server: {one}, weight: 80}}" for one in SERVERS)
    tail = tail.replace("{server: i-web-1, weight: 80}, {server: i-web-2, weight: 80}", members)
    tail = tail.replace("members: [{instance: i-web-2}]", "members: []").replace("min: 1", "min: 0")
    lines = [_server(one, "db", n, 30) for n, one in enumerate(DATABASES)]
    lines += [_server(one, "web", n, 60) for n, one in enumerate(SERVERS)]
    return "".join((head, "instances:\n", *lines, balancers, tail))


def _server(id: str, role: str, number: int, first: int) -> str:
    address = f"10.0.{3 + first // 30}.{number + 10}"
    return (
        f"  - {{id: {id}, name: {id[2:]}, image: m-{role}, vswitch: vsw-h, address: {address},"
        f" type: ecs.g7.large, tags: {{role: {role}}}, state: Running,"
        f" system_disk: {{id: d{id[1:]}-sys, size_gib: 20, category: cloud_essd}},"
        f" data_disks: [{{id: d{id[1:]}-data, size_gib: 40, category: cloud_essd}}]}}\n"
    )


class Hundred(RealPlans):
    """Twenty databases go back; then sixty servers are replaced and twenty more launched."""

    def __init__(self) -> None:
        data = PlanStep(
            name="db", action=PlanAction.RESTORE, select=Selection(ids=DATABASES), at_once=AT_ONCE_IN_A_STEP
        )
        web = PlanStep(name="web", action=PlanAction.REBUILD, select=Selection(ids=SERVERS), at_once=AT_ONCE_IN_A_STEP)
        more = PlanStep(
            name="more", action=PlanAction.LAUNCH, family="web", like=SERVERS[0], amount=MORE, at_once=AT_ONCE_IN_A_STEP
        )
        gate = Gate(port=8080, within=timedelta(minutes=5))
        waves = (
            Wave(name="data", steps=(data,), timeout=timedelta(hours=2)),
            Wave(name="apps", steps=(web, more), timeout=timedelta(hours=2), gate=gate),
        )
        RestoreWorld.__init__(
            self, recovery_policy(AT_ONCE, plans=(RecoveryPlan(name="site", waves=waves),)), stands=_stands()
        )
        self.recipes[OperationKind.PLAN] = self.planning
        rebuilds = RebuildPreview(ports=self.rebuild_ports(), subjects=Subjects(self.store))
        self.previews[OperationKind.REBUILD] = lambda: rebuilds

    def points_of_all(self) -> None:
        made = {one: self._snapshot(f"d{one[1:]}-data") for one in DATABASES}
        self.advance(minutes=15)
        Points(self.store).put([self._point(one, snapshot) for one, snapshot in made.items()])

    def _snapshot(self, disk: str) -> str:
        found: str = self.cloud.ecs.snapshots.create(disk, name="by-hand", tags={}, token=None).id
        return found

    def _point(self, instance: InstanceId, snapshot: str) -> RestorePoint:
        values: dict[str, Any] = {"schedule": "hourly", "usable": True, "complete": True, "protection": "servers"}
        return RestorePoint(
            id=f"by-hand/{instance}",
            subject=instance,
            slot=START,
            taken=START,
            disks=((DiskId(f"d{instance[1:]}-data"), SnapshotId(snapshot)),),
            policy=PolicyVersion(1),
            place=PLACE,
            **values,
        )


def plan(seed: int) -> Measured:
    name = "plan of a hundred in two waves"
    world = Hundred()
    world.points_of_all()
    for one in world.cloud.ecs.instances.values():
        one.on_maintenance = "Stop"  # as the rule's tick has set it, ahead of need
    watch = watched(world, seed)
    asked = PlanRequest(plan="site", asked=world.clock.now().replace(microsecond=0), by="ada", confirm="")
    shown = world.plan_preview().show(codec.dump(asked))
    if not shown.may_start:
        return Measured(name=name, seed=seed, failed="; ".join(shown.refusals))
    started = world.clock.now()
    run = str(world.command(command="plan_run", plan="site", confirm=shown.token, by="ada")["operation"])
    world.run_recovery(hours=1)
    done = world.operation(run)
    if done.state is not OperationState.DONE:
        return Measured(name=name, seed=seed, failed=f"{done.state}: {done.result.get('because', '')}")
    took = timedelta(seconds=float(done.result["rto_seconds"]))
    restores = [
        of_rollback(world, watch, one, one.subject, f"d{one.subject[1:]}-data")
        for one in world.operations(OperationKind.RESTORE)
    ]
    rebuilds = [_of_rebuild(watch, one) for one in world.operations(OperationKind.REBUILD)]
    (launched,) = world.operations(OperationKind.LAUNCH)
    more = max(watch.booting(one[0]) for one in codec.load(tuple[tuple[str, ...], ...], launched.result["instances"]))
    apps = max(in_lanes(rebuilds, AT_ONCE_IN_A_STEP), more + BOOTED)
    need = required(RESTORE, **{"always": len(restores), "each disk": len(restores)})
    return Measured(
        name=name,
        seed=seed,
        took=took,
        critical=in_lanes(restores, AT_ONCE_IN_A_STEP) + apps,
        changes=watch.changed(started, started + timedelta(hours=1)) - DISARMED,
        required=need + needed_of(len(rebuilds)) + required(LAUNCH, **{"each 100": 1}),
    )


def needed_of(rebuilds: int) -> Counter[str]:
    times = {
        "always": 1,
        "old one that does not read Stopped": 1,
        "address kept": 1,
        "each data disk that moves": 1,
        "each pool of no group": 1,
    }
    return required(REBUILD, **{what: rebuilds * count for what, count in times.items()})


def _of_rebuild(watch: Watch, done: Operation) -> timedelta:
    disk = f"disk d{done.subject[1:]}-data"
    fenced = watch.stopping(done.subject)
    runs = fenced + watch.booting(done.result["replacement"])
    ready = max(runs, fenced + watch.took(f"{disk} Available")) + watch.took(f"{disk} In_use")
    return max(runs + BOOTED, ready) + CHECKS
