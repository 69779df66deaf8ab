"""A small region for tests of rebuilds: instances, disks, images, snapshots, a balancer and services on one calendar.

It keeps the promises of the ports and the slowness of the cloud. Everything it is asked to do passes `Tripwire`, so
that a test can let the caller die before or after any one call.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from emulator.clock import Clock as Calendar
from shared.domain.errors import NotFound, Permanent, QuotaReached
from shared.domain.ids import DiskId, ImageId, InstanceId, LoadBalancerId, SnapshotGroupId, SnapshotId
from shared.domain.inventory import (
    Disk,
    DiskKind,
    Image,
    ImageState,
    Instance,
    InstanceState,
    Setup,
    Snapshot,
    SnapshotGroup,
    SnapshotLock,
    SnapshotState,
    SystemEvent,
    VSwitch,
)
from shared.ports.addresses import PublicAddress
from shared.ports.balancer import Backend, Health
from shared.ports.compute import InstanceRequest
from shared.ports.probes import Sight
from shared.ports.scaling import Membership

SECOND = timedelta(seconds=1)
ZONE_H, ZONE_I = "cn-hangzhou-h", "cn-hangzhou-i"
LB = LoadBalancerId("lb-apps")


class CallerDied(BaseException):
    """The process ended here. Not an Exception: nothing in the code under test may catch it."""


class Tripwire:
    """Counts calls of ports; the caller dies at the chosen one, once."""

    def __init__(self, *, at: int | None = None, after: bool = False) -> None:
        self.calls: list[str] = []
        self._at, self._after, self._sprung = at, after, False

    def guard(self, port: Any, name: str) -> Any:
        return _Guarded(port, name, self)

    def pass_through(self, label: str, call: Callable[[], Any]) -> Any:
        self.calls.append(label)
        mine = not self._sprung and len(self.calls) - 1 == self._at
        if mine:
            self._sprung = True
            if not self._after:
                raise CallerDied(f"before {label}")
        try:
            answer = call()
            return iter(list(answer)) if isinstance(answer, Iterator) else answer
        finally:
            if mine:
                raise CallerDied(f"after {label}")  # also instead of an error that the caller never got to see


class _Guarded:
    def __init__(self, port: Any, name: str, wire: Tripwire) -> None:
        self._port, self._name, self._wire = port, name, wire

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._port, method)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._wire.pass_through(f"{self._name}.{method}", lambda: real(*args, **kwargs))

        return call


@dataclass
class Machine:
    shown: Instance
    disks: list[Disk]
    serves: bool = True
    dark: bool = False
    obeys: bool = True  # whether a stop ever ends
    events: list[SystemEvent] = field(default_factory=list)
    serving_since: datetime | None = None


class Fleet:
    """The model; `inventory`, `instances`, ... are its ports."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.machines: dict[InstanceId, Machine] = {}
        self.images: list[Image] = []
        self.snapshots: dict[SnapshotId, Snapshot] = {}
        self.pool: dict[InstanceId, int] = {}
        self.tokens: dict[str, tuple[InstanceRequest, InstanceId]] = {}
        self.stops: list[InstanceId] = []
        self.stock = 1000
        self.refuse_run: Exception | None = None
        self.balancer_exists = True
        self.served_together = False
        self._next = 0

    # building the scene

    def add(self, name: str, zone: str, address: str, *, role: str = "app", weight: int = 100) -> InstanceId:
        instance = InstanceId(f"i-{name}")
        disks = [
            _disk(f"d-{name}-sys", DiskKind.SYSTEM, zone, instance, "/dev/vda", 20),
            *([_disk(f"d-{name}-data", DiskKind.DATA, zone, instance, "/dev/vdb", 40)] if role == "app" else []),
        ]
        shown = Instance(
            id=instance,
            name=name,
            state=InstanceState.RUNNING,
            zone=zone,
            image=ImageId("m-app-base"),
            instance_type="ecs.g7.large",
            private_address=address,
            vswitch=f"vsw-{zone[-1]}",
            vpc="vpc-demo",
            security_groups=("sg-demo",),
            created=self.calendar.now(),
            tags={"role": role},
            key_pair="ops",
        )
        since = self.calendar.now() - timedelta(hours=1)
        self.machines[instance] = Machine(shown=shown, disks=disks, serving_since=since)
        if weight and role == "app":
            self.pool[instance] = weight
        return instance

    def image(self, name: str, *, disks: int = 1, state: ImageState = ImageState.AVAILABLE, age_days: int = 1) -> None:
        self.images.append(
            Image(
                id=ImageId(name),
                name=name,
                family="app",
                state=state,
                created=self.calendar.now() - timedelta(days=age_days),
                snapshots=tuple(SnapshotId(f"s-{name}-{n}") for n in range(disks)),
            )
        )

    def snapshot(
        self, disk: str, *, usable: bool = True, state: SnapshotState = SnapshotState.ACCOMPLISHED
    ) -> SnapshotId:
        name = SnapshotId(f"s-{disk}-{len(self.snapshots)}")
        self.snapshots[name] = Snapshot(
            id=name,
            disk=DiskId(disk),
            disk_kind=DiskKind.DATA,
            state=state,
            usable=usable,
            created=self.calendar.now(),
            size_gib=40,
            usage="none",
            progress_percent=100,
        )
        return name

    # what befalls it

    def fail(self, name: InstanceId, *, recovers: bool = False, event: str = "e-1", dark: bool = True) -> SystemEvent:
        machine = self.machines[name]
        machine.serves, machine.dark, machine.serving_since = False, dark, None
        happened = SystemEvent(
            id=event,
            instance=name,
            type="SystemFailure.Reboot",
            status="executing",
            published=self.calendar.now(),
            finished=None,
        )
        machine.events.append(happened)
        if recovers:
            self.calendar.call_later(timedelta(minutes=4), lambda: self._restarted(name))
        return happened

    def _restarted(self, name: InstanceId) -> None:
        machine = self.machines[name]
        now = self.calendar.now()
        machine.events[-1] = replace(machine.events[-1], status="executed", finished=now)
        if machine.shown.state is InstanceState.RUNNING:
            machine.serves, machine.dark, machine.serving_since = True, False, now

    def go_dark(self, zone: str) -> None:
        for machine in self.machines.values():
            if machine.shown.zone == zone:
                machine.serves, machine.dark, machine.serving_since, machine.obeys = False, True, None, False

    # the model

    def set_state(self, name: InstanceId, state: InstanceState) -> None:
        machine = self.machines[name]
        machine.shown = replace(machine.shown, state=state)
        machine.serves = state is InstanceState.RUNNING
        machine.serving_since = self.calendar.now() if machine.serves else None
        self.check_roles()

    def check_roles(self) -> None:
        """Whether an instance and its replacement were ever given traffic at the same time."""
        for machine in self.machines.values():
            old = self.machines.get(InstanceId(machine.shown.tags.get("understudy:replaces", "")))
            if old is not None and self._takes_traffic(old) and self._takes_traffic(machine):
                self.served_together = True

    def _takes_traffic(self, machine: Machine) -> bool:
        return machine.serves and self.pool.get(machine.shown.id, 0) > 0

    def stop(self, name: InstanceId) -> None:
        machine = self.machines.get(name)
        if machine is None:
            raise NotFound(f"{name} does not exist")
        if machine.shown.state not in (InstanceState.RUNNING, InstanceState.STARTING):
            raise Permanent(f"IncorrectInstanceStatus: {name} is {machine.shown.state}")
        self.stops.append(name)
        machine.shown = replace(machine.shown, state=InstanceState.STOPPING)
        if machine.obeys:
            self.calendar.call_later(20 * SECOND, lambda: self.set_state(name, InstanceState.STOPPED))

    def run(self, request: InstanceRequest, token: str) -> InstanceId:
        if token in self.tokens:
            known, made = self.tokens[token]
            if known != request:
                raise Permanent("IdempotentParameterMismatch")
            return made
        if self.refuse_run is not None:
            raise self.refuse_run
        if self.stock <= 0:
            raise QuotaReached("OperationDenied.NoStock")
        self.stock -= 1
        self._next += 1
        made = InstanceId(f"i-new-{self._next}")
        now = self.calendar.now()
        shown = Instance(
            id=made,
            name=request.name,
            state=InstanceState.PENDING,
            zone=request.zone,
            image=request.image,
            instance_type=request.instance_type,
            private_address=f"127.77.9.{10 + self._next}",
            vswitch=request.vswitch,
            vpc="vpc-demo",
            security_groups=request.security_groups,
            created=now,
            tags=dict(request.tags),
            key_pair=request.key_pair,
        )
        disks = [_disk(f"d-{made}-sys", DiskKind.SYSTEM, request.zone, made, "/dev/vda", 20)]
        disks += [
            replace(_disk(f"d-{made}-{n}", DiskKind.DATA, request.zone, made, one.device, 40), name=one.snapshot)
            for n, one in enumerate(request.data_disks)
        ]
        self.machines[made] = Machine(shown=shown, disks=disks, serves=False)
        self.tokens[token] = (request, made)
        self.calendar.call_later(5 * SECOND, lambda: self.set_state(made, InstanceState.STARTING))
        self.calendar.call_later(25 * SECOND, lambda: self.set_state(made, InstanceState.RUNNING))
        return made

    def replacements_of(self, name: InstanceId) -> list[InstanceId]:
        return [key for key, one in self.machines.items() if one.shown.tags.get("understudy:replaces") == name]


class FleetInventory:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def instances(
        self, *, ids: Sequence[InstanceId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[Instance]:
        for machine in list(self._fleet.machines.values()):
            one = machine.shown
            if ids is not None and one.id not in ids:
                continue
            if tags is not None and any(one.tags.get(key) != value for key, value in tags.items()):
                continue
            yield one

    def disks(
        self,
        *,
        ids: Sequence[DiskId] | None = None,
        instance: InstanceId | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Disk]:
        for machine in self._fleet.machines.values():
            if instance is None or machine.shown.id == instance:
                yield from machine.disks

    def system_events(self, instance: InstanceId) -> Iterator[SystemEvent]:
        machine = self._fleet.machines.get(instance)
        yield from machine.events if machine else ()


class FleetInstances:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def run(self, request: InstanceRequest, *, token: str) -> InstanceId:
        return self._fleet.run(request, token)

    def rehearse(self, request: InstanceRequest) -> None:
        pass  # what is wrong with it, this cloud says only when it is asked in earnest

    def setup(self, instance: InstanceId) -> Setup:
        return Setup()

    def stop(self, instance: InstanceId, *, force: bool) -> None:
        assert force
        self._fleet.stop(instance)

    def start(self, instance: InstanceId) -> None:
        raise AssertionError("a rebuild starts nothing")

    def tag(self, ids: Sequence[str], *, resource_type: str, tags: Mapping[str, str]) -> None:
        assert resource_type == "instance"
        for one in ids:
            machine = self._fleet.machines[InstanceId(one)]
            machine.shown = replace(machine.shown, tags={**machine.shown.tags, **tags})


class FleetImages:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def create_from_instance(
        self, instance: InstanceId, *, name: str, family: str, tags: Mapping[str, str], token: str
    ) -> ImageId:
        raise AssertionError("a rebuild makes no image")

    def list(
        self,
        *,
        ids: Sequence[ImageId] | None = None,
        family: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Image]:
        return (image for image in self._fleet.images if family is None or image.family == family)


class FleetSnapshots:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def create(self, disk: DiskId, *, name: str, tags: Mapping[str, str], token: str) -> SnapshotId:
        raise AssertionError("a rebuild makes no snapshot")

    def create_group(
        self, disks: Sequence[DiskId], *, name: str, tags: Mapping[str, str], token: str
    ) -> SnapshotGroupId:
        raise AssertionError("a rebuild makes no snapshot")

    def groups(
        self, *, ids: Sequence[SnapshotGroupId] | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[SnapshotGroup]:
        return iter(())

    def list(
        self,
        *,
        ids: Sequence[SnapshotId] | None = None,
        disk: DiskId | None = None,
        tags: Mapping[str, str] | None = None,
        state: SnapshotState | None = None,
    ) -> Iterator[Snapshot]:
        return (one for one in self._fleet.snapshots.values() if ids is None or one.id in ids)

    def delete(self, snapshot: SnapshotId) -> None:
        raise AssertionError("a rebuild deletes nothing")

    def delete_group(self, group: SnapshotGroupId) -> Mapping[SnapshotId, str]:
        raise AssertionError("a rebuild deletes nothing")

    def copy(
        self, snapshot: SnapshotId, *, to: str, name: str, tags: Mapping[str, str], token: str, kms_key: str = ""
    ) -> SnapshotId:
        raise AssertionError("a rebuild copies nothing")

    def lock(self, snapshot: SnapshotId, *, days: int, cool_off_hours: int, token: str) -> SnapshotLock:
        raise AssertionError("a rebuild locks nothing")

    def locks(self, ids: Sequence[SnapshotId]) -> Iterator[SnapshotLock]:
        return iter(())


class FleetMarket:
    def vswitches(self, ids: Sequence[str]) -> Iterator[VSwitch]:
        for one in ids:
            yield VSwitch(id=one, zone=f"cn-hangzhou-{one[-1]}", vpc="vpc-demo", free_addresses=200)


class NoScaling:
    """Nobody is in a scaling group."""

    def memberships(self, instances: Sequence[InstanceId]) -> dict[InstanceId, Membership]:
        return {}


class NoAddresses:
    """Nobody has a public address."""

    def of(self, instance: InstanceId) -> tuple[PublicAddress, ...]:
        return ()

    def find(self, allocations: Sequence[str]) -> tuple[PublicAddress, ...]:
        return ()


class FleetBalancer:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def of(self, server: InstanceId) -> tuple[LoadBalancerId, ...]:
        return (LB,) if self._fleet.balancer_exists and server in self._fleet.pool else ()

    def backends(self, balancer: LoadBalancerId) -> tuple[Backend, ...]:
        self._exists(balancer)
        return tuple(Backend(server=server, weight=weight) for server, weight in self._fleet.pool.items())

    def health(self, balancer: LoadBalancerId) -> dict[InstanceId, Health]:
        self._exists(balancer)
        return {server: self._health(server) for server in self._fleet.pool}

    def attach(self, balancer: LoadBalancerId, server: InstanceId, *, weight: int) -> None:
        self._exists(balancer)
        assert self._fleet.machines[server].shown.state is InstanceState.RUNNING
        self._fleet.pool[server] = weight
        self._fleet.check_roles()

    def set_weight(self, balancer: LoadBalancerId, server: InstanceId, *, weight: int) -> None:
        self._exists(balancer)
        self._fleet.pool[server] = weight

    def detach(self, balancer: LoadBalancerId, server: InstanceId) -> None:
        self._exists(balancer)
        self._fleet.pool.pop(server, None)

    def _health(self, server: InstanceId) -> Health:
        machine = self._fleet.machines[server]
        since = machine.serving_since
        healthy = machine.serves and since is not None and self._fleet.calendar.now() - since >= 4 * SECOND
        return Health.NORMAL if healthy else Health.ABNORMAL

    def _exists(self, balancer: LoadBalancerId) -> None:
        if balancer != LB or not self._fleet.balancer_exists:
            raise NotFound(f"InvalidLoadBalancerId.NotFound: {balancer}")


class FleetServices:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def answers(self, address: str, port: int, *, timeout: timedelta) -> Sight:
        for machine in self._fleet.machines.values():
            if machine.shown.private_address == address:
                if machine.dark:
                    return Sight.SILENT
                return Sight.ANSWERED if machine.serves else Sight.REFUSED
        return Sight.SILENT


def _disk(name: str, kind: DiskKind, zone: str, instance: InstanceId, device: str, size: int) -> Disk:
    return Disk(
        id=DiskId(name),
        kind=kind,
        zone=zone,
        size_gib=size,
        category="cloud_essd",
        state="in_use",
        instance=instance,
        device=device,
        delete_with_instance=kind is DiskKind.SYSTEM,
    )
