"""What function `recover` does: takes one recovery operation further, or all that are due and looks over the fleet.

The look over the fleet makes events a convenience: whatever an event would have started, the tick starts as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.ids import InstanceId, OperationId, PolicyVersion
from shared.domain.inventory import Instance, InstanceState
from shared.domain.policy import RebuildRule
from shared.domain.rebuild import ISOLATED, RECENT, master_of, unplanned
from shared.observability import log
from shared.ports.balancer import Balancer, Health
from shared.ports.clock import Clock
from shared.ports.compute import Inventory
from shared.state.policies import Policies
from shared.usecases.backup import selecting
from shared.usecases.recovery.disarm import Disarm
from shared.usecases.recovery.look import in_rotation
from shared.usecases.recovery.rebuild_extra import Doubles
from shared.usecases.recovery.recovering import Recovering
from shared.usecases.recovery.remember_groups import RememberGroups
from shared.usecases.recovery.suspicion import Suspicion, Suspicions, slot_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What one run did: operation -> how it stands."""

    looked: dict[str, str]
    opened: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()  # parts of the fleet that could not be looked over, and why


class Recover:
    def __init__(
        self,
        *,
        recovering: Recovering,
        suspicions: Suspicions,
        inventory: Inventory,
        balancer: Balancer,
        disarm: Disarm,
        groups: RememberGroups,
        doubles: Doubles,
        policies: Policies,
        clock: Clock,
    ) -> None:
        self._disarm = disarm
        self._groups = groups
        self._doubles = doubles
        self._recovering = recovering
        self._suspicions = suspicions
        self._inventory = inventory
        self._balancer = balancer
        self._policies = policies
        self._clock = clock

    def one(self, id: OperationId, *, run: str, owner: str, now: bool = False) -> Recovered:
        """As `Recovering.one`."""
        return Recovered(looked={id: self._recovering.one(id, run=run, owner=owner, now=now)})

    def tick(self, *, run: str, owner: str) -> Recovered:
        """Everything whose own re-invocation got lost, then the fleet. Then the first error is raised, for the platform
        to see."""
        looked, errors = self._recovering.overdue(run=run, owner=owner)
        opened, failed = self._look_over(run)
        self._recovering.sweep()
        if errors:
            raise errors[0]
        return Recovered(looked=looked, opened=opened, failed=failed)

    # the fleet

    def _look_over(self, run: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        version, policy = self._policies.active()
        opened: list[str] = []
        failed: list[str] = []
        for rule in policy.rebuilds:
            try:
                found = selecting.select(self._inventory, rule.select).instances
                selected = tuple(one for one in found if not master_of(policy, one.id))
                opened.extend(self._suspects(rule, version, selected))
                self._disarm.run(rule, selected, run=run)
                self._groups.run(selected)
                self._doubles.run(selected, run=run)
            except CredentialsRejected:
                raise
            except DrError as error:
                # One rule's balancer that is gone must not hide the other rules' losses.
                failed.append(f"{rule.name}: {error}")
                log.event("fleet.unseen", run=run, subject=rule.name, because=str(error))
        return tuple(opened), tuple(failed)

    def _suspects(self, rule: RebuildRule, version: PolicyVersion, selected: Sequence[Instance]) -> Iterator[str]:
        health = self._balancer.health(rule.balancer) if rule.balancer else {}
        hung: list[Instance] = []
        for instance in selected:
            if ISOLATED in instance.tags or (_running(instance) and in_rotation(health.get(instance.id)) is not False):
                continue
            if self._suspicions.dealt_with(instance.id):
                continue
            failure = unplanned(
                tuple(self._inventory.system_events(instance.id)), since=self._clock.now() - rule.patience - RECENT
            )
            if failure is None:
                if _running(instance) and self._clock.now() - instance.created > rule.patience:
                    hung.append(instance)
                continue
            suspicion = Suspicion(
                instance=instance.id,
                event=failure.id,
                because=f"seen by the tick: {failure.type} {failure.status}, the instance is {instance.state}",
                failed_at=failure.published,
                still_lost=True,
            )
            opened = self._suspicions.follow(suspicion, rule, version)
            if opened.new and opened.operation is not None:
                yield opened.operation
        if hung:
            yield from self._without_event(rule, version, hung, health)

    def _without_event(
        self, rule: RebuildRule, version: PolicyVersion, hung: Sequence[Instance], health: Mapping[InstanceId, Health]
    ) -> Iterator[str]:
        """Out of rotation, though nothing is known to have failed: it may hang. The operation looks for itself and
        waits out the patience of the rule before it believes that.

        Not when the whole pool is out (no machine's own failure), and not when an operator took its weight away."""
        assert rule.balancer is not None
        if len(health) > 1 and Health.NORMAL not in health.values():
            log.event("fleet.unseen", subject=rule.name, because=f"none of {len(health)} in {rule.balancer} is normal")
            return
        served = {backend.server for backend in self._balancer.backends(rule.balancer) if backend.weight}
        for instance in hung:
            if instance.id not in served:
                continue
            now = self._clock.now()
            suspicion = Suspicion(
                instance=instance.id,
                event=slot_of(now),
                because=f"seen by the tick: {rule.balancer} has taken it out of rotation, without any failure event",
                failed_at=now,
            )
            opened = self._suspicions.follow(suspicion, rule, version)
            if opened.new and opened.operation is not None:
                yield opened.operation


def _running(instance: Instance) -> bool:
    return instance.state is InstanceState.RUNNING
