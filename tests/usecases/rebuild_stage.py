"""The stage for rebuild tests: the fleet, the state store, and the functions alarm and recover on one calendar."""

import itertools
import json
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from emulator.cloud import Cloud
from shared.domain.errors import DrError
from shared.domain.ids import DiskId, InstanceId, LoadBalancerId, PairName, PolicyVersion, SiteName
from shared.domain.operation import Operation, OperationKind
from shared.domain.place import Place
from shared.domain.policy import Address, DataFrom, Member, Pair, Policy, PruneLimits, RebuildRule, Selection
from shared.domain.retention import RestorePoint
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
from shared.usecases.alarm import Alarm, Answer
from shared.usecases.failover.wake_watches import WakeWatches
from shared.usecases.images.image_of_point import ImageOfPoint
from shared.usecases.operations import Executor
from shared.usecases.recovery.disarm import Disarm
from shared.usecases.recovery.look import Look
from shared.usecases.recovery.rebuild import RebuildRecipe
from shared.usecases.recovery.rebuild_extra import Doubles
from shared.usecases.recovery.rebuild_run import Ports
from shared.usecases.recovery.recover import Recover
from shared.usecases.recovery.recovering import CLAIM_FOR, Recovering
from shared.usecases.recovery.remember_groups import RememberGroups
from shared.usecases.recovery.suspicion import Suspicions
from tests.usecases.fleet import (
    LB,
    ZONE_H,
    ZONE_I,
    CallerDied,
    Fleet,
    FleetBalancer,
    FleetImages,
    FleetInstances,
    FleetInventory,
    FleetMarket,
    FleetServices,
    FleetSnapshots,
    NoAddresses,
    NoScaling,
    Tripwire,
)
from understudy.simulation.functions import InProcessFunctions
from understudy.simulation.store import InProcessStore, create_tables

SECRET = "the-webhook-secret"
START = datetime(2026, 3, 2, 1, 2, 38, tzinfo=UTC)
H1, H2, I1 = InstanceId("i-app-h1"), InstanceId("i-app-h2"), InstanceId("i-app-i1")
MASTER_H, MASTER_I = InstanceId("i-master-h"), InstanceId("i-master-i")
TICK = timedelta(minutes=5)


class StageClock:
    def __init__(self, cloud: Cloud) -> None:
        self._clock = cloud.clock

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.now().timestamp()

    def sleep(self, duration: timedelta) -> None:
        raise AssertionError("a handler must not sleep")


def policy(*, balancer: LoadBalancerId | None = LB, max_at_once: int = 2) -> Policy:
    site_h, site_i = SiteName("hz-h"), SiteName("hz-i")
    return Policy(
        region="cn-hangzhou",
        protections=(),
        rebuilds=(
            RebuildRule(
                name="applications",
                select=Selection(tags={"role": "app"}),
                image_family="app",
                balancer=balancer,
                weight=100,
                port=8080,
                patience=timedelta(minutes=6),
                max_at_once=max_at_once,
                address=Address.NEW,
                data_from=DataFrom.POINTS,
            ),
        ),
        pairs=(
            Pair(
                name=PairName("control"),
                members=(
                    Member(site=site_h, zone=ZONE_H, instance=MASTER_H, port=7000, agent_port=7001),
                    Member(site=site_i, zone=ZONE_I, instance=MASTER_I, port=7000, agent_port=7001),
                ),
                preferred=site_h,
                name_zone="corp.example",
                name_host="master",
                name_ttl_seconds=5,
                lease=timedelta(seconds=5),
                margin=timedelta(seconds=1),
                renew_every=timedelta(seconds=1),
                watch_every=timedelta(seconds=1),
                balancer=LoadBalancerId("lb-control"),
                alarms=("control-answers",),
            ),
        ),
        prune=PruneLimits(max_items=10, max_percent=50),
    )


class Stage:
    def __init__(self, *, wire: Tripwire | None = None, rule: Policy | None = None, masters: bool = True) -> None:
        self.cloud = Cloud(start=START)
        self.fleet = Fleet(self.cloud.clock)
        for name, zone, address in (
            ("app-h1", ZONE_H, "127.77.1.11"),
            ("app-h2", ZONE_H, "127.77.1.12"),
            ("app-i1", ZONE_I, "127.77.2.11"),
        ):
            self.fleet.add(name, zone, address)
        if masters:
            self.fleet.add("master-h", ZONE_H, "127.77.1.21", role="master")
            self.fleet.add("master-i", ZONE_I, "127.77.2.21", role="master")
        self.fleet.image("m-app-base")
        self.deaths: list[str] = []
        self.errors: list[DrError] = []  # what an invocation raised: its own end
        self._runs = itertools.count(1)
        create_tables(self.cloud, "understudy")
        self.clock = StageClock(self.cloud)
        plain = InProcessStore(self.cloud, "understudy")
        Policies(plain).append(rule or policy())
        self.wire = wire or Tripwire()
        self.queue = InProcessFunctions(self._dispatch, clock=self.cloud.clock)
        self.backups = 0
        self.watched: list[str] = []  # watches that were called, in this order
        self._wire_up(plain)
        self.journal = Journal(plain, self.clock)
        self.decisions = Decisions(plain)
        self.controls = Controls(plain)
        self.points = Points(plain)
        for name in ("app-h1", "app-h2", "app-i1"):
            self.point(name, age=timedelta(minutes=30))

    def _wire_up(self, plain: InProcessStore) -> None:
        guard = self.wire.guard
        store = guard(plain, "store")
        functions = guard(self.queue, "functions")
        inventory = guard(FleetInventory(self.fleet), "inventory")
        instances = guard(FleetInstances(self.fleet), "instances")
        scaling = guard(NoScaling(), "scaling")
        balancer = guard(FleetBalancer(self.fleet), "balancer")
        services = guard(FleetServices(self.fleet), "services")
        journal = Journal(store, self.clock)
        policies, subjects, controls = Policies(store), Subjects(store), Controls(store)
        suspicions = Suspicions(
            journal=journal, subjects=subjects, controls=controls, functions=functions, clock=self.clock
        )
        decisions = Decisions(store)
        self.alarm = Alarm(
            inventory=inventory,
            policies=policies,
            suspicions=suspicions,
            deliveries=Deliveries(store, self.clock),
            decisions=decisions,
            functions=functions,
            watches=WakeWatches(functions=functions, called=Called(store, self.clock)),
            clock=self.clock,
            secret=lambda: SECRET,
        )
        look = Look(
            inventory=inventory,
            instances=instances,
            balancer=balancer,
            scaling=scaling,
            services=services,
            journal=journal,
            controls=controls,
            decisions=decisions,
            clock=self.clock,
        )
        recipe = RebuildRecipe(
            ports=Ports(
                look=look,
                compute=SimpleNamespace(
                    inventory=inventory,
                    instances=instances,
                    images=guard(FleetImages(self.fleet), "images"),
                    snapshots=guard(FleetSnapshots(self.fleet), "snapshots"),
                    market=guard(FleetMarket(), "market"),
                ),
                balancer=balancer,
                scaling=scaling,
                image_of=ImageOfPoint(records=Images(store), clock=self.clock),
                place=Place("cn-hangzhou"),
                addresses=guard(NoAddresses(), "addresses"),
                services=services,
                points=Points(store),
                policies=policies,
                journal=journal,
                zones=ZoneLooks(decisions),
                decisions=decisions,
                clock=self.clock,
            )
        )
        self.recover = Recover(
            recovering=Recovering(
                recipes={OperationKind.REBUILD: recipe},
                executor=Executor(journal, self.clock, claim_for=CLAIM_FOR),
                journal=journal,
                subjects=subjects,
                controls=controls,
                decisions=decisions,
                functions=functions,
                clock=self.clock,
            ),
            suspicions=suspicions,
            inventory=inventory,
            balancer=balancer,
            groups=RememberGroups(scaling=scaling, instances=instances),
            doubles=Doubles(instances=instances, journal=journal, decisions=decisions, clock=self.clock),
            disarm=Disarm(instances=instances, decisions=decisions, clock=self.clock),
            policies=policies,
            clock=self.clock,
        )

    # what happens on it

    def point(self, name: str, *, age: timedelta = timedelta(0), usable: bool = True) -> RestorePoint:
        taken = self.clock.now() - age
        snapshot = self.fleet.snapshot(f"d-{name}-data", usable=usable)
        made = RestorePoint(
            id=f"p-{name}-{taken:%H%M%S}",
            subject=InstanceId(f"i-{name}"),
            slot=taken,
            schedule="hourly",
            taken=taken,
            usable=usable,
            complete=True,
            disks=((DiskId(f"d-{name}-data"), snapshot),),
            protection="applications",
            policy=PolicyVersion(1),
        )
        self.points.put([made])
        return made

    def notice(self, instance: InstanceId = H1, *, event: str = "e-1", status: str = "Executing") -> Answer | None:
        data = {
            "eventId": event,
            "instanceId": instance,
            "eventType": "SystemFailure.Reboot",
            "eventStatus": status,
            "executeStartTime": f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}",
        }
        body = {
            "specversion": "1.0",
            "id": f"{event}-{status}-{next(self._runs)}",
            "source": "acs.ecs",
            "type": "ecs:Instance:SystemFailure.Reboot",
            "data": data,
        }
        return self.send(json.dumps(body).encode())

    def send(self, event: bytes) -> Answer | None:
        """An event reaches alarm. None: the function died on it (the cloud delivers it again, here at once)."""
        try:
            return self.alarm.run(parse(event), run=self._run())
        except CallerDied as death:
            self.deaths.append(str(death))
            return None

    def tick(self) -> None:
        try:
            self.recover.tick(run="tick", owner=self._run())
        except CallerDied as death:
            self.deaths.append(str(death))
        except DrError as error:
            self.errors.append(error)

    def pass_time(self, duration: timedelta, *, ticks: bool = True) -> None:
        end = self.clock.now() + duration
        while self.clock.now() < end:
            self.cloud.clock.advance(min(TICK, end - self.clock.now()))
            if ticks:
                self.tick()

    def _dispatch(self, function: str, payload: bytes) -> bytes:
        if function == "backup":
            self.backups += 1
            return b""
        if function.startswith("watch-"):
            self.watched.append(function)
            return b""
        assert function == "recover"
        request: dict[str, Any] = json.loads(payload)
        try:
            self.recover.one(request["operation"], run="call", owner=self._run(), now=request.get("look") == "now")
        except CallerDied as death:
            self.deaths.append(str(death))
        except DrError as error:
            self.errors.append(error)
        return b""

    def _run(self) -> str:
        return f"run-{next(self._runs)}"

    # what can be seen afterwards

    def operations(self) -> list[Operation]:
        store = InProcessStore(self.cloud, "understudy")
        return [self.journal.load(row.key[0]) for row in store.scan("operations", ())]  # type: ignore[arg-type]

    def open(self) -> list[Operation]:
        return list(self.journal.open_of(OperationKind.REBUILD))

    def holder(self, subject: str) -> str | None:
        return Subjects(InProcessStore(self.cloud, "understudy")).holder(subject)

    def told(self, subject: str) -> list[str]:
        return [decision.event for decision in self.decisions.of(subject)][::-1]

    def why(self, subject: str) -> str:
        newest = next(iter(self.decisions.of(subject, newest=1)))
        return " | ".join(newest.because)


logging.getLogger("understudy").setLevel(logging.ERROR)
