"""The backup side of Understudy on an emulated cloud, in one process: real use cases, real models, jumped time.

Two application servers with two ESSD disks each, and one master whose single disk is of an older kind (one snapshot at
a time, usable only when complete).
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import functions.backup as backup_function
from emulator import seed
from emulator.clock import Clock as Calendar
from emulator.cloud import Cloud
from shared.domain.errors import DrError
from shared.domain.ids import InstanceId, OperationId
from shared.domain.place import Place
from shared.domain.policy import Policy, Protection, PruneLimits, Retention, Schedule, Selection
from shared.state.absences import Absences
from shared.state.certificates import Certificate, Certificates
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.families import Families
from shared.state.images import Images
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.slots import Slot, Slots
from shared.state.subjects import Subjects
from shared.triggers.parse import parse
from shared.usecases.apply_policy import ApplyPolicy
from shared.usecases.backup.adopt import Adopt
from shared.usecases.backup.back_up import BackUp
from shared.usecases.backup.schedule_backups import ScheduleBackups
from shared.usecases.carry_on import CarryOn
from shared.usecases.command import Command
from shared.usecases.images.image import TakeImage
from shared.usecases.prune.prune import Prune, Pruned
from shared.wiring.guard import Call
from understudy.simulation.compute import InProcessClouds, InProcessSnapshots
from understudy.simulation.functions import InProcessFunctions
from understudy.simulation.store import InProcessStore, create_tables

START = datetime(2026, 3, 2, tzinfo=UTC)
PLACE = Place("cn-hangzhou")
A, B, M = InstanceId("i-app-a"), InstanceId("i-app-b"), InstanceId("i-master")

SEED = """
zones: [cn-hangzhou-h]
vpc: {id: vpc-test, cidr: 10.0.0.0/16}
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}]
security_groups: [{id: sg-test, vpc: vpc-test}]
images: [{id: m-base, name: base, family: app, system_disk_gib: 20}]
instances:
  - {id: i-app-a, name: app-a, image: m-base, vswitch: vsw-h, address: 10.0.1.11, type: ecs.g7.large, tags: {role: app},
     system_disk: {id: d-a-sys, size_gib: 20, category: cloud_essd},
     data_disks: [{id: d-a-data, size_gib: 40, category: cloud_essd}], state: Running}
  - {id: i-app-b, name: app-b, image: m-base, vswitch: vsw-h, address: 10.0.1.12, type: ecs.g7.large, tags: {role: app},
     system_disk: {id: d-b-sys, size_gib: 20, category: cloud_essd},
     data_disks: [{id: d-b-data, size_gib: 40, category: cloud_essd}], state: Running}
  - {id: i-master, name: master, image: m-base, vswitch: vsw-h, address: 10.0.1.21, type: ecs.g7.large,
     tags: {role: master}, system_disk: {id: d-m-sys, size_gib: 20, category: cloud_efficiency}, state: Running}
"""


def a_fleet(instances: int, *, data_disks: int = 1, category: str = "cloud_essd", zones: int = 1) -> str:
    """A seed of application servers `i-0001`..., each with its system disk `d-0001-sys` and `d-0001-1`..."""
    names = [f"cn-hangzhou-{letter}" for letter in "hijk"[:zones]]
    lines = [
        f"zones: [{', '.join(names)}]",
        "vpc: {id: vpc-test, cidr: 10.0.0.0/8}",
        "vswitches:",
        *(f"  - {{id: vsw-{at}, zone: {zone}, cidr: 10.{at}.0.0/16}}" for at, zone in enumerate(names)),
        "security_groups: [{id: sg-test, vpc: vpc-test}]",
        "images: [{id: m-base, name: base, family: app, system_disk_gib: 20}]",
        "instances:",
    ]
    for one in range(1, instances + 1):
        at = one % zones
        data = ", ".join(
            f"{{id: d-{one:04d}-{disk}, size_gib: 20, category: {category}}}" for disk in range(1, data_disks + 1)
        )
        lines.append(
            f"  - {{id: i-{one:04d}, name: app-{one}, image: m-base, vswitch: vsw-{at}, type: ecs.g7.large, "
            f"address: 10.{at}.{one // 250}.{one % 250 + 1}, tags: {{role: app}}, state: Running, "
            f"system_disk: {{id: d-{one:04d}-sys, size_gib: 20, category: {category}}}, data_disks: [{data}]}}"
        )
    return "\n".join(lines)


EVERY_HOUR = Schedule(name="hourly", hours=tuple(range(24)), weekdays=(1, 2, 3, 4, 5, 6, 7), zone="UTC")
APPLICATIONS = Protection(
    name="applications",
    select=Selection(tags={"role": "app"}),
    schedules=(EVERY_HOUR,),
    keep=Retention(hourly=4),
    rpo_target=timedelta(minutes=75),
)
MASTERS = Protection(
    name="masters",
    select=Selection(tags={"role": "master"}),
    schedules=(EVERY_HOUR,),
    keep=Retention(last=2),
    rpo_target=timedelta(minutes=75),
)


def a_policy(*protections: Protection, prune: PruneLimits | None = None) -> Policy:
    return Policy(
        region="cn-hangzhou",
        protections=protections or (APPLICATIONS, MASTERS),
        rebuilds=(),
        pairs=(),
        prune=prune or PruneLimits(max_items=100, max_percent=100),
    )


class Died(BaseException):
    """The process ended here. Not an Exception: nothing under test may catch it."""


class Wire:
    """Every call of a port passes here; `trouble(number, label, after)` may raise in its place or behind it."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.trouble: Callable[[int, str, bool], None] = lambda number, label, after: None

    def through(self, port: Any, name: str) -> Any:
        return _Wired(port, name, self)


class _Wired:
    def __init__(self, port: Any, name: str, wire: Wire) -> None:
        self._port, self._name, self._wire = port, name, wire

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._port, method)

        def call(*args: Any, **kwargs: Any) -> Any:
            label = f"{self._name}.{method}"
            number = len(self._wire.labels)
            self._wire.labels.append(label)
            self._wire.trouble(number, label, False)
            answer = real(*args, **kwargs)
            if isinstance(answer, Iterator):
                answer = iter(list(answer))
            self._wire.trouble(number, label, True)
            return answer

        return call


@dataclass(slots=True)
class _WiredCompute:
    inventory: Any
    snapshots: Any
    images: Any
    instances: Any
    guests: Any
    native: Any
    disks: Any
    market: Any


class WiredClouds:
    """Every place, each of its ports through the wire under its own name."""

    def __init__(self, clouds: InProcessClouds, wire: Wire) -> None:
        self._clouds, self._wire = clouds, wire
        self._made: dict[Place, _WiredCompute] = {}

    def at(self, place: Place) -> _WiredCompute:
        if place not in self._made:
            real = self._clouds.at(place)
            parts = (part.name for part in fields(_WiredCompute))
            self._made[place] = _WiredCompute(*(self._wire.through(getattr(real, one), one) for one in parts))
        return self._made[place]


class EmulatedClock:
    """The calendar as a port. `behind` makes the monotonic clock of one frozen executor lag or lead."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self.may_sleep = False  # only for a freeze, and for a listing that waits for its budget

    def now(self) -> datetime:
        return self._calendar.now()

    def monotonic(self) -> float:
        return (self._calendar.now() - START).total_seconds()

    def sleep(self, duration: timedelta) -> None:
        if not self.may_sleep:
            raise AssertionError("a handler must not sleep")
        self._calendar.advance(duration)


class World:
    def __init__(self, policy: Policy | None = None, *, stands: str = SEED, shard_disks: int = 200) -> None:
        self.shard_disks = shard_disks
        self.began: Callable[[], float] | None = None  # when the invocation did
        self.cloud = Cloud(start=START)
        seed.load_text(stands, self.cloud, where="test", settings={})
        create_tables(self.cloud, "understudy")
        self.clock = EmulatedClock(self.cloud.clock)
        self.wire = Wire()
        self.store = self.wire.through(InProcessStore(self.cloud, "understudy"), "store")
        self.clouds = WiredClouds(InProcessClouds(self.cloud), self.wire)
        # The queue retries nothing here: what is lost must be found by the timers.
        self._queue = InProcessFunctions(self._dispatch, clock=self.cloud.clock, retries=0)
        self.functions = self.wire.through(self._queue, "functions")
        self.journal = Journal(self.store, self.clock)
        self.policies = Policies(self.store)
        self.runs = 0
        self.died = 0
        self.pruned: list[Pruned] = []
        ApplyPolicy(
            policies=self.policies,
            controls=Controls(self.store),
            slots=Slots(self.store),
            decisions=Decisions(self.store),
            clock=self.clock,
        ).run(policy or a_policy(), by="test")

    @property
    def here(self) -> _WiredCompute:
        """The home place's ports; a test may put others in their stead."""
        return self.clouds.at(PLACE)

    # the functions, each invocation a fresh executor

    def schedule(self) -> Any:
        return ScheduleBackups(
            policies=Policies(self.store),
            controls=Controls(self.store),
            journal=Journal(self.store, self.clock),
            slots=Slots(self.store),
            decisions=Decisions(self.store),
            functions=self.functions,
            clock=self.clock,
        ).run(run=self._run())

    def carry_on(self) -> CarryOn:
        return CarryOn(
            journal=Journal(self.store, self.clock),
            recipes=(
                BackUp(
                    clouds=self.clouds,
                    store=self.store,
                    policies=Policies(self.store),
                    functions=self.functions,
                    clock=self.clock,
                    shard_disks=self.shard_disks,
                    began=self.began,
                ),
                TakeImage(
                    clouds=self.clouds,
                    place=PLACE,
                    store=self.store,
                    functions=self.functions,
                    function="backup",
                    clock=self.clock,
                ),
                Adopt(clouds=self.clouds, store=self.store, policies=Policies(self.store), clock=self.clock),
            ),
            decisions=Decisions(self.store),
            functions=self.functions,
            function="backup",
            clock=self.clock,
        )

    def backup(self, operation: str | None = None) -> Any:
        if operation is None:
            return self.carry_on().forgotten(owner=self._run())
        return self.carry_on().one(OperationId(operation), owner=self._run())

    def call_backup(self, payload: bytes) -> Any:
        """As the deployed handler does, for whatever it is sent."""
        owner = self._run()
        return backup_function.run(self.carry_on(), Call(trigger=parse(payload), run=owner, owner=owner))

    def prune(self, **how: Any) -> Pruned:
        pruned = Prune(
            clouds=self.clouds,
            policies=Policies(self.store),
            controls=Controls(self.store),
            points=Points(self.store),
            certificates=Certificates(self.store),
            decisions=Decisions(self.store),
            journal=Journal(self.store, self.clock),
            images=Images(self.store),
            absences=Absences(self.store),
            clock=self.clock,
        ).run(run=self._run(), **how)
        self.pruned.append(pruned)
        return pruned

    def command(self, **arguments: object) -> dict[str, object]:
        return Command(
            policies=Policies(self.store),
            controls=Controls(self.store),
            journal=Journal(self.store, self.clock),
            points=Points(self.store),
            subjects=Subjects(self.store),
            families=Families(self.store),
            decisions=Decisions(self.store),
            functions=self.functions,
            clock=self.clock,
        ).run(arguments, run=self._run())

    # time

    def advance(self, **by: float) -> None:
        self.cloud.clock.advance(timedelta(**by))

    def timers(self, *, until: datetime, prune: bool = True) -> None:
        """The functions' timers, as in the deployment, from now on: what an invocation raises is its own end."""
        self._every(timedelta(minutes=5), until, self.schedule)
        self._every(timedelta(minutes=10), until, self.backup)
        if prune:
            self._every(timedelta(hours=1), until, self.prune, first=timedelta(minutes=30))

    def run_for(self, *, prune: bool = True, **by: float) -> None:
        self.timers(until=self.clock.now() + timedelta(**by), prune=prune)
        self.advance(**by)

    # what came out

    def slots(self) -> list[Slot]:
        return list(Slots(InProcessStore(self.cloud, "understudy")).all())

    def points(self) -> list[Any]:
        return list(Points(InProcessStore(self.cloud, "understudy")).all())

    def certificates(self) -> list[Certificate]:
        return list(Certificates(InProcessStore(self.cloud, "understudy")).newest(None))

    def in_cloud(self) -> list[Any]:
        return list(InProcessSnapshots(self.cloud).list())

    def open_operations(self) -> int:
        return sum(1 for _ in InProcessStore(self.cloud, "understudy").scan("open_operations", ()))

    def recorded_operations(self) -> int:
        return sum(1 for _ in InProcessStore(self.cloud, "understudy").scan("operations", ()))

    def fail_snapshot(self, id_: str) -> None:
        """It will never be whole, as the cloud would tell."""
        snapshots = self.cloud.ecs.snapshots
        found = snapshots.find(id_)
        assert found.due is not None
        found.due.cancel()
        found.due, found.status, found.available = None, "failed", False
        snapshots.chains.finished(found)

    def _every(
        self, interval: timedelta, until: datetime, run: Callable[[], Any], first: timedelta | None = None
    ) -> None:
        at = self.clock.now() + (interval if first is None else first)
        while at <= until:
            self.cloud.clock.call_at(at, lambda: self.invoke(run))
            at += interval

    def invoke(self, run: Callable[[], Any]) -> Any:
        """One invocation: it may die, or fail in a way that the platform records."""
        try:
            return run()
        except Died:
            self.died += 1
        except DrError as error:
            logging.getLogger("test").info("invocation failed: %s", error)
        return None

    def _dispatch(self, function: str, payload: bytes) -> bytes:
        if function == "backup":
            self.invoke(lambda: self.call_backup(payload))
        elif function == "prune":
            self.invoke(self.prune)
        else:
            raise KeyError(function)
        return b""

    def _run(self) -> str:
        self.runs += 1
        return f"run-{self.runs}"
