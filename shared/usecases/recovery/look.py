"""One look at one instance and its surroundings: what `shared.domain.rebuild.judge` is given.

Reads only. Asks as little as the verdict needs: a zone is alive as soon as one machine of it was seen alive.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.domain.ids import InstanceId
from shared.domain.inventory import Instance, InstanceState, SystemEvent
from shared.domain.operation import Operation, OperationKind, StepState
from shared.domain.policy import PlatformRestart, Policy, RebuildRule
from shared.domain.rebuild import HOST_FAILED, IN_GROUP, ISOLATED, NO_GROUP, RECENT, Service, View, master_of, unplanned
from shared.ports.balancer import Balancer, Health
from shared.ports.clock import Clock
from shared.ports.compute import Instances, Inventory
from shared.ports.probes import Services, Sight
from shared.ports.scaling import Scaling
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.usecases.backup import selecting
from shared.usecases.operations import ASIDE

PROBE_TIMEOUT: Final = timedelta(seconds=2)
HOUR: Final = timedelta(hours=1)
BEGUN: Final = "rebuild.begun"
"""Told of a rebuild just before it first touches anything; twice by one that died after telling so."""
MOST_NEIGHBOURS: Final = 8
"""Neighbours tried at most: eight silent ones in a row make a zone, and each costs a time-out."""

_SERVICE: Final = {Sight.ANSWERED: Service.ANSWERS, Sight.REFUSED: Service.REFUSES, Sight.SILENT: Service.SILENT}


class Look:
    def __init__(
        self,
        *,
        inventory: Inventory,
        instances: Instances,
        balancer: Balancer,
        scaling: Scaling,
        services: Services,
        journal: Journal,
        controls: Controls,
        decisions: Decisions,
        clock: Clock,
    ) -> None:
        self._inventory = inventory
        self._instances = instances
        self._scaling = scaling
        self._decisions = decisions
        self._balancer = balancer
        self._services = services
        self._journal = journal
        self._controls = controls
        self._clock = clock

    def at(self, id: InstanceId, rule: RebuildRule, policy: Policy, operation: Operation, seen: datetime) -> View:
        """What is seen now. `seen`: when the trouble first came to our notice."""
        now = self._clock.now()
        instance = instance_of(self._inventory, id)
        if instance is None or ISOLATED in instance.tags:
            return View(now=now, first_seen=seen, instance=instance)
        health = self._balancer.health(rule.balancer) if rule.balancer else {}
        alive, lost = self._zone(instance, rule, policy, health, now)
        events = tuple(self._inventory.system_events(id))
        group, made, filled = self._group(instance)
        return View(
            now=now,
            first_seen=seen,
            instance=instance,
            events=events,
            service=self.service(instance, rule.port),
            in_rotation=in_rotation(health.get(id)),
            zone_alive=alive,
            zone_lost=lost,
            ahead=self._ahead(operation, rule),
            paused=self.paused(),
            disarmed=self._disarmed(id, rule, events),
            begun=self._begun_lately(operation, rule, now),
            group=group if made and not filled else "",
            attached=bool(group) and not made and not filled,
            filled=group if filled else "",
            master=master_of(policy, id),
        )

    def paused(self) -> str:
        """Why rebuilds are paused; "" when they are not."""
        pause = self._controls.read().paused("rebuilds")
        return pause.because if pause else ""

    def _disarmed(self, id: InstanceId, rule: RebuildRule, events: Sequence[SystemEvent]) -> bool:
        """Whether the platform leaves it stopped. Asked only when a host failed and the rule had it set so."""
        if rule.platform_restart is not PlatformRestart.DISARM:
            return False
        failed = any(event.type.startswith(HOST_FAILED) for event in events)
        return failed and id in self._instances.leaves_alone([id])

    def _group(self, instance: Instance) -> tuple[str, bool, bool]:
        """The scaling group that looks after it; whether that replaces it by itself; whether it has. A group whose
        health check is off or suspended replaces nothing."""
        member = self._scaling.memberships([instance.id]).get(instance.id)
        if member is not None and member.on_standby:
            return "", False, False
        name = member.group if member is not None else instance.tags.get(IN_GROUP, NO_GROUP)
        group = None if name == NO_GROUP else self._scaling.groups([name]).get(name)
        if group is None or not group.active or not group.checks_health:
            return "", False, False
        if member is not None:
            return name, member.created_by_group, False
        wanted = group.least if group.desired is None else group.desired
        return name, True, group.total >= wanted

    def _begun_lately(self, operation: Operation, rule: RebuildRule, now: datetime) -> int:
        """Rebuilds of the rule that began within the hour. One that was refused has not begun."""
        begun = set()
        for decision in self._decisions.of(rule_subject(rule)):
            if decision.at <= now - HOUR:
                break
            if decision.event == BEGUN:
                begun.add(decision.inputs.get("operation"))
        return len(begun - {operation.id})

    def service(self, instance: Instance, port: int) -> Service:
        """Whether its port answers; untried when it is not running."""
        if instance.state is not InstanceState.RUNNING or not instance.private_address:
            return Service.UNTRIED
        return _SERVICE[self._services.answers(instance.private_address, port, timeout=PROBE_TIMEOUT)]

    def _zone(
        self, instance: Instance, rule: RebuildRule, policy: Policy, health: dict[InstanceId, Health], now: datetime
    ) -> tuple[int, int]:
        """How many other machines of its zone are seen alive (counting stops at one) and lost."""
        lost = 0
        for neighbour, port in self._neighbours(instance, rule, policy, health):
            if health.get(neighbour.id) is Health.NORMAL:
                return 1, lost
            service = self.service(neighbour, port)
            if service in (Service.ANSWERS, Service.REFUSES):  # a refusal is a sign of life
                return 1, lost
            if service is Service.SILENT or self._failed(neighbour, now):
                lost += 1
        return 0, lost

    def _failed(self, neighbour: Instance, now: datetime) -> bool:
        return unplanned(tuple(self._inventory.system_events(neighbour.id)), since=now - RECENT) is not None

    def _neighbours(
        self, instance: Instance, rule: RebuildRule, policy: Policy, health: dict[InstanceId, Health]
    ) -> list[tuple[Instance, int]]:
        """Others of its zone with the port to try, those first whose life the balancer already vouches for."""
        masters = {member.instance: member.agent_port for pair in policy.pairs for member in pair.members}
        fellows = selecting.select(self._inventory, rule.select).instances
        known = {fellow.id for fellow in fellows}
        wanted = [master for master in masters if master not in known]
        others = (*fellows, *(self._inventory.instances(ids=wanted) if wanted else ()))
        near = [
            (other, masters.get(other.id, rule.port))
            for other in others
            if other.zone == instance.zone and other.id != instance.id and ISOLATED not in other.tags
        ]
        near.sort(key=lambda pair: (health.get(pair[0].id) is not Health.NORMAL, pair[0].id))
        return near[:MOST_NEIGHBOURS]

    def _ahead(self, operation: Operation, rule: RebuildRule) -> int:
        """Rebuilds of the rule that have begun, and older ones that still look. One that stands aside (its zone is
        lost, or an operator paused it) may do so for days and is waited for by nobody; nor is a damaged row."""
        mine = (operation.created, operation.id)
        return sum(
            1
            for other in self._journal.open_of(OperationKind.REBUILD, damaged=[])
            if other.id != operation.id
            and other.inputs.get("rule") == rule.name
            and (_begun(other) or ((other.created, other.id) < mine and ASIDE not in other.result))
        )


def _begun(operation: Operation) -> bool:
    return any(step.state is not StepState.FAILED for step in operation.steps)


def in_rotation(health: Health | None) -> bool | None:
    return None if health is None or health is Health.UNAVAILABLE else health is Health.NORMAL


def instance_of(inventory: Inventory, id: InstanceId) -> Instance | None:
    return next((found for found in inventory.instances(ids=[id]) if found.id == id), None)


def rule_subject(rule: RebuildRule) -> str:
    """Under which its decisions are kept that concern no single instance."""
    return f"rebuild rule {rule.name}"


def rule_named(policy: Policy, name: str) -> RebuildRule | None:
    return next((rule for rule in policy.rebuilds if rule.name == name), None)
