"""Recovery on an emulated cloud in one process: real use cases, real models with their slow states, jumped time.

Two application servers behind a balancer in zone h, one of them also a member of a scaling group and one with a public
address; a database server with disks of the older kind; a second zone to go to. Disks hold real bytes. A service
answers when its instance has run for `BOOTED`, unless the test made it sick.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from emulator.ecs.blocks import Volume
from emulator.vpc.model import Target
from shared.domain.ids import DiskId, InstanceId, LoadBalancerId, OperationId
from shared.domain.operation import Operation, OperationKind
from shared.domain.policy import Policy, PruneLimits, RebuildRule, Selection
from shared.domain.retention import RestorePoint
from shared.ports.balancer import Health
from shared.ports.probes import Sight
from shared.state.called import Called
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.deliveries import Deliveries
from shared.state.images import Images
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.subjects import Subjects
from shared.state.zone_looks import ZoneLooks
from shared.triggers.parse import parse
from shared.usecases.alarm import Alarm
from shared.usecases.failover.wake_watches import WakeWatches
from shared.usecases.images.image_of_point import ImageOfPoint
from shared.usecases.images.publish import Publish
from shared.usecases.lazily import Lazily
from shared.usecases.operations import Executor, Recipe
from shared.usecases.recovery.disarm import Disarm
from shared.usecases.recovery.launch import LaunchRecipe
from shared.usecases.recovery.launch_planning import LaunchPlanning
from shared.usecases.recovery.launch_serving import Serving
from shared.usecases.recovery.look import Look
from shared.usecases.recovery.previews import Show
from shared.usecases.recovery.rebuild import RebuildRecipe
from shared.usecases.recovery.rebuild_extra import Doubles
from shared.usecases.recovery.rebuild_run import Ports
from shared.usecases.recovery.recover import Recover
from shared.usecases.recovery.recovering import CLAIM_FOR, Recovering
from shared.usecases.recovery.remember_groups import RememberGroups
from shared.usecases.recovery.suspicion import Suspicions
from tests.usecases.backup_world import APPLICATIONS, PLACE, World, a_policy
from understudy.simulation.addresses import InProcessAddresses
from understudy.simulation.balancer import InProcessBalancer
from understudy.simulation.scaling import InProcessScaling
from understudy.simulation.store import InProcessStore

H, I = "cn-hangzhou-h", "cn-hangzhou-i"  # noqa: E741 (the zones' own letters)
WEB_1, WEB_2, DB = InstanceId("i-web-1"), InstanceId("i-web-2"), InstanceId("i-db")
LB = LoadBalancerId("lb-web")
GROUP = "asg-web"
BOOTED = timedelta(seconds=6)
SECRET = "the-webhook-secret"
TICK = timedelta(minutes=5)

STANDS = """
zones: [cn-hangzhou-h, cn-hangzhou-i]
vpc: {id: vpc-test, cidr: 10.0.0.0/16}
vswitches:
  - {id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}
  - {id: vsw-i, zone: cn-hangzhou-i, cidr: 10.0.2.0/24}
security_groups: [{id: sg-test, vpc: vpc-test}]
images:
  - {id: m-web, name: web, family: web, system_disk_gib: 20}
  - {id: m-db, name: db, family: db, system_disk_gib: 20}
instances:
  - {id: i-web-1, name: web-1, image: m-web, vswitch: vsw-h, address: 10.0.1.11, type: ecs.g7.large, tags: {role: web},
     system_disk: {id: d-web-1-sys, size_gib: 20, category: cloud_essd},
     data_disks: [{id: d-web-1-data, size_gib: 40, category: cloud_essd}], state: Running}
  - {id: i-web-2, name: web-2, image: m-web, vswitch: vsw-h, address: 10.0.1.12, type: ecs.g7.large, tags: {role: web},
     system_disk: {id: d-web-2-sys, size_gib: 20, category: cloud_essd},
     data_disks: [{id: d-web-2-data, size_gib: 40, category: cloud_essd}], state: Running}
  - {id: i-db, name: db, image: m-db, vswitch: vsw-h, address: 10.0.1.21, type: ecs.g7.xlarge, tags: {role: db},
     system_disk: {id: d-db-sys, size_gib: 20, category: cloud_efficiency},
     data_disks: [{id: d-db-data, size_gib: 100, category: cloud_efficiency}], state: Running}
load_balancers:
  - id: lb-web
    name: web
    address: 10.0.1.80
    listeners: [{port: 80, backend_port: 8080, health: {interval: 2, timeout: 2, healthy: 2, unhealthy: 2}}]
    backends: [{server: i-web-1, weight: 80}, {server: i-web-2, weight: 80}]
scaling_groups:
  - id: asg-web
    min: 1
    max: 1
    vswitches: [vsw-h]
    load_balancers: {lb-web: 50}
    configuration: {id: asc-web, image: m-web, type: ecs.g7.large, security_groups: [sg-test]}
    members: [{instance: i-web-2}]
"""

WEB_RULE = RebuildRule(
    name="web",
    select=Selection(tags={"role": "web"}),
    image_family="web",
    balancer=LB,
    weight=80,
    port=8080,
    patience=timedelta(minutes=6),
    max_at_once=2,
)


def recovery_policy(*rebuilds: RebuildRule, **more: Any) -> Policy:
    """Protections of the usual kind for all three, and a rebuild rule for the web servers."""
    everybody = replace(APPLICATIONS, name="servers", select=Selection(ids=(WEB_1, WEB_2, DB)))
    base = a_policy(everybody, prune=PruneLimits(max_items=100, max_percent=100))
    return replace(base, rebuilds=rebuilds or (WEB_RULE,), **more)


class WorldServices:
    """What answers on an address: an instance that has run long enough and is neither sick nor in the dark."""

    def __init__(self, world: "RecoveryWorld") -> None:
        self._world = world

    def answers(self, address: str, port: int, *, timeout: timedelta) -> Sight:
        return self._world.sight(address)


class WorldBalancer(InProcessBalancer):
    """Health as its checks would have found it, since nothing real listens here."""

    def __init__(self, world: "RecoveryWorld") -> None:
        super().__init__(world.cloud)
        self._world = world

    def _health(self, balancer: LoadBalancerId) -> dict[InstanceId, Health]:
        found = self._slb.get(balancer)
        return {
            InstanceId(server): Health.NORMAL
            if self._world.sight_of(server, after=BOOTED + timedelta(seconds=4)) is Sight.ANSWERED
            else Health.ABNORMAL
            for server in found.backends
        }


class RecoveryWorld(World):
    def __init__(self, policy: Policy | None = None, *, stands: str = STANDS) -> None:
        super().__init__(policy or recovery_policy(), stands=stands)
        self.sick: set[str] = set()  # instances whose service does not answer
        self.running_since: dict[str, datetime] = {one: self.clock.now() - timedelta(days=1) for one in self._ids()}
        self.cloud.ecs.on_instance(self._changed)
        self.balancer = self.wire.through(WorldBalancer(self), "balancer")
        self.scaling = self.wire.through(InProcessScaling(self.cloud), "scaling")
        self.addresses = self.wire.through(InProcessAddresses(self.cloud), "addresses")
        self.services = self.wire.through(WorldServices(self), "services")
        self.recipes: dict[OperationKind, Callable[[], Recipe]] = {
            OperationKind.REBUILD: self._rebuild,
            OperationKind.PUBLISH: self._publish,
            OperationKind.LAUNCH: self._launch,
        }
        """A fresh recipe for each invocation, as a cold start has it. Slices add theirs here."""
        self.previews: dict[OperationKind, Callable[[], Show]] = {
            OperationKind.LAUNCH: lambda: self._launch_planning().preview,
        }

    # the functions

    def recover(self) -> Recover:
        journal, controls = Journal(self.store, self.clock), Controls(self.store)
        subjects = Subjects(self.store)
        return Recover(
            recovering=Recovering(
                recipes=Lazily(self.recipes),
                executor=Executor(journal, self.clock, claim_for=CLAIM_FOR),
                journal=journal,
                subjects=subjects,
                controls=controls,
                decisions=Decisions(self.store),
                functions=self.functions,
                clock=self.clock,
            ),
            suspicions=self._suspicions(),
            inventory=self.here.inventory,
            balancer=self.balancer,
            disarm=Disarm(instances=self.here.instances, decisions=Decisions(self.store), clock=self.clock),
            groups=RememberGroups(scaling=self.scaling, instances=self.here.instances),
            doubles=Doubles(
                instances=self.here.instances, journal=journal, decisions=Decisions(self.store), clock=self.clock
            ),
            policies=Policies(self.store),
            clock=self.clock,
        )

    def alarm(self) -> Alarm:
        return Alarm(
            inventory=self.here.inventory,
            policies=Policies(self.store),
            suspicions=self._suspicions(),
            deliveries=Deliveries(self.store, self.clock),
            decisions=Decisions(self.store),
            functions=self.functions,
            watches=WakeWatches(functions=self.functions, called=Called(self.store, self.clock)),
            clock=self.clock,
            secret=lambda: SECRET,
        )

    def look(self) -> Look:
        return Look(
            inventory=self.here.inventory,
            instances=self.here.instances,
            balancer=self.balancer,
            scaling=self.scaling,
            services=self.services,
            journal=Journal(self.store, self.clock),
            controls=Controls(self.store),
            decisions=Decisions(self.store),
            clock=self.clock,
        )

    def recover_tick(self) -> Any:
        return self.recover().tick(run="tick", owner=self._run())

    def call_recover(self, payload: bytes) -> Any:
        asked = parse(payload)
        request: Mapping[str, Any] = getattr(asked, "payload", {})
        if "preview" in request:
            return self.previews[OperationKind(request["preview"]["kind"])]()(request["preview"]["request"])
        if "operation" in request:
            now = request.get("look") == "now"
            return self.recover().one(OperationId(request["operation"]), run="call", owner=self._run(), now=now)
        return self.recover_tick()

    def start(self, operation: Operation) -> OperationId:
        """Open it and have it looked at, as function `command` does."""
        opened = Journal(self.store, self.clock).open(operation)
        self.functions.invoke_async("recover", b'{"operation": "%s"}' % opened.id.encode())
        return opened.id

    def run_recovery(self, **by: float) -> None:
        """Let time pass with recover's timer, as deployed."""
        self._every(TICK, self.clock.now() + timedelta(**by), self.recover_tick)
        self.advance(**by)

    def _dispatch(self, function: str, payload: bytes) -> bytes:
        if function == "recover":
            self.invoke(lambda: self.call_recover(payload))
            return b""
        if function.startswith("watch-"):
            return b""  # of failovers there are worlds of their own
        return super()._dispatch(function, payload)

    def _suspicions(self) -> Suspicions:
        return Suspicions(
            journal=Journal(self.store, self.clock),
            subjects=Subjects(self.store),
            controls=Controls(self.store),
            functions=self.functions,
            clock=self.clock,
        )

    def _rebuild(self) -> Recipe:
        return RebuildRecipe(ports=self.rebuild_ports())

    def rebuild_ports(self) -> Ports:
        return Ports(
            look=self.look(),
            compute=self.here,
            balancer=self.balancer,
            scaling=self.scaling,
            image_of=ImageOfPoint(records=Images(self.store), clock=self.clock),
            place=PLACE,
            addresses=self.addresses,
            services=self.services,
            points=Points(self.store),
            policies=Policies(self.store),
            journal=Journal(self.store, self.clock),
            zones=ZoneLooks(Decisions(self.store)),
            decisions=Decisions(self.store),
            clock=self.clock,
        )

    def _publish(self) -> Recipe:
        return Publish(clouds=self.clouds, scaling=self.scaling, store=self.store, clock=self.clock)

    def _launch(self) -> Recipe:
        return LaunchRecipe(
            clouds=self.clouds,
            planning=self._launch_planning(),
            images=ImageOfPoint(records=Images(self.store), clock=self.clock),
            serving=Serving(services=self.services, balancer=self.balancer, scaling=self.scaling, clock=self.clock),
            clock=self.clock,
        )

    def _launch_planning(self) -> LaunchPlanning:
        return LaunchPlanning(
            clouds=self.clouds,
            home=PLACE,
            points=Points(self.store),
            balancer=self.balancer,
            scaling=self.scaling,
        )

    # the world

    def fail_host(self, instance: str, *, recovers: bool = False) -> str:
        """Its host dies; the event's id."""
        ecs = self.cloud.ecs
        found: str = ecs.failures.host(ecs.instances[instance], recovers=recovers).id
        return found

    def write(self, disk: str, data: bytes, *, offset: int = 0) -> None:
        """As the guest does."""
        self.volume(disk).write(offset, data)

    def read(self, disk: str, length: int, *, offset: int = 0) -> bytes:
        found: bytes = self.volume(disk).read(offset, length)
        return found

    def volume(self, disk: str) -> Volume:
        found: Volume = self.cloud.ecs.disks.find(disk).volume
        return found

    def give_public_address(self, instance: str) -> str:
        """An EIP, associated and in use; its allocation id."""
        vpc = self.cloud.vpc
        made = vpc.allocate(bandwidth=5, charge_type="PayByTraffic", name="", isp="BGP", tags={}, token=None)
        allocation: str = made.id
        vpc.associate(allocation, Target(instance_id=instance, instance_type="EcsInstance"))
        self.advance(seconds=30)
        return allocation

    def take_points(self) -> list[RestorePoint]:
        """A complete restore point of every protected instance, through the backup functions."""
        due = self.clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        self.advance(seconds=(due - self.clock.now()).total_seconds() + 1)
        self.invoke(self.schedule)
        self.run_for(minutes=50, prune=False)
        return [point for point in self.points() if point.slot == due]

    def sight(self, address: str) -> Sight:
        owner = next((one for one in self.cloud.ecs.instances.values() if one.private_ip == address), None)
        return Sight.SILENT if owner is None else self.sight_of(owner.id)

    def sight_of(self, instance: str, *, after: timedelta = BOOTED) -> Sight:
        found = self.cloud.ecs.instances.get(instance)
        if found is None or found.state != "Running" or self.cloud.zones.is_dark(found.zone):
            return Sight.SILENT
        since = self.running_since.get(instance)
        if instance in self.sick or since is None or self.clock.now() - since < after:
            return Sight.REFUSED
        return Sight.ANSWERED

    def disk_of(self, instance: str, device: str) -> DiskId:
        """By device, as it is attached now."""
        return next(
            DiskId(one.id)
            for one in self.cloud.ecs.disks.shelf.by_id.values()
            if one.instance_id == instance and one.device == device
        )

    def operation(self, id: str) -> Operation:
        return Journal(InProcessStore(self.cloud, "understudy"), self.clock).load(OperationId(id))

    def operations(self, kind: OperationKind) -> list[Operation]:
        rows = InProcessStore(self.cloud, "understudy").scan("operations", ())
        found = [self.operation(str(row.key[0])) for row in rows]
        return [one for one in found if one.kind is kind]

    def told(self, subject: str) -> list[str]:
        """Events of its decisions, oldest first."""
        return [one.event for one in Decisions(InProcessStore(self.cloud, "understudy")).of(subject)][::-1]

    def why(self, subject: str) -> str:
        newest = next(iter(Decisions(InProcessStore(self.cloud, "understudy")).of(subject, newest=1)))
        return " | ".join(newest.because)

    def picture(self) -> dict[str, Any]:
        """What stands, without ids that differ from run to run: for comparing one end with another."""
        ecs = self.cloud.ecs
        return {
            "instances": sorted(
                (one.name, one.state, one.zone, one.private_ip, one.image_id) for one in ecs.instances.values()
            ),
            "disks": sorted(
                (
                    "" if one.instance_id is None else ecs.instances[one.instance_id].name,
                    one.device,
                    one.state,
                    one.size_gib,
                    one.category,
                )
                for one in ecs.disks.shelf.by_id.values()
            ),
            "snapshots": sorted(
                (one.disk_id if one.disk_id in SEEDED else "", one.status) for one in ecs.snapshots.shelf.by_id.values()
            ),
            "images": len(ecs.images.shelf.by_id),
            "pools": {
                balancer.id: sorted((self._name(one.server), one.weight) for one in balancer.backends.values())
                for balancer in self.cloud.slb.balancers.values()
            },
            "groups": {
                group.id: sorted((self._name(one.instance_id), one.state) for one in group.members.values())
                for group in self.cloud.ess.groups
            },
            "public addresses": sorted((eip.status, self._name(eip.instance_id or "")) for eip in self.cloud.vpc.eips),
            "open": self.open_operations(),
        }

    def _name(self, instance: str) -> str:
        found = self.cloud.ecs.instances.get(instance)
        return instance if found is None else found.name

    def _ids(self) -> list[str]:
        return list(self.cloud.ecs.instances)

    def _changed(self, instance: Any, _: str, state: str) -> None:
        if state == "Running":
            self.running_since[instance.id] = self.clock.now()
        else:
            self.running_since.pop(instance.id, None)


SEEDED = frozenset(f"d-{name}-{part}" for name in ("web-1", "web-2", "db") for part in ("sys", "data"))
"""Disks that the world begins with."""
