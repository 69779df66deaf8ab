"""Stops an instance on purpose, keeping its resources, and starts it again; both over as many runs as it takes.

| call | token | what decides after a lost answer |
|---|---|---|
| StopInstance | none | the instance reads Stopped; asked again after a while, by force when it does not obey |
| StartInstance | none | the instance reads Running; asked again: the cloud refuses while a disk is being rewritten |

Source: ECS API, StopInstance (StoppedMode KeepCharging), StartInstance.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import Forbidden, NotFound, Permanent, QuotaReached
from shared.domain.ids import InstanceId
from shared.domain.inventory import Instance, InstanceState
from shared.domain.operation import Step, StepState
from shared.ports.clock import Clock
from shared.ports.compute import Compute
from shared.state import codec
from shared.usecases.operations import Refused, Resume, Work, intended
from shared.usecases.recovery.look import instance_of

POLL: Final = timedelta(seconds=5)
STOPS: Final = timedelta(seconds=10)
STARTS: Final = timedelta(seconds=15)
"""Neither is over sooner (assumption, from what was seen), so nobody looks before."""
FORCE_AFTER: Final = timedelta(minutes=2)
AGAIN: Final = timedelta(seconds=30)
STOP_LIMIT: Final = timedelta(minutes=7)
START_LIMIT: Final = timedelta(minutes=15)
ASKED, FORCED = "asked", "forced"


@dataclass(slots=True, kw_only=True)
class Power:
    cloud: Compute
    clock: Clock

    def instance(self, id: InstanceId) -> Instance:
        found = instance_of(self.cloud.inventory, id)
        if found is None:
            raise NotFound(f"{id} is not in the inventory any more: it was released")
        return found

    def stop(self, work: Work, id: InstanceId, name: str) -> Resume | Refused | None:
        """`name`: of the step in the journal. None: it reads Stopped."""
        step = _step(work, name)
        if step is None:
            step = intended(name, "", self._now())
            work.intend(step)
        instance = self.instance(id)
        if instance.state is InstanceState.STOPPED:
            return None
        waited = self._now() - step.at
        if waited > STOP_LIMIT:
            return Refused(because=f"{id} reads {instance.state} {int(waited.total_seconds())} s after a stop")
        force = waited > FORCE_AFTER
        if self._due(step, instance, force=force) and self._ask(
            work, lambda: self.cloud.instances.stop(id, force=force)
        ):
            said = {ASKED: codec.moment(self._now())} | ({FORCED: "yes"} if force else {})
            work.learn(replace(step, data={**step.data, **said}))
            return Resume(after=STOPS, because=f"{id} is told to stop{' by force' if force else ''}")
        return Resume(after=POLL, because=f"{id} is being stopped{' by force' if force else ''}")

    def start(self, work: Work, id: InstanceId, name: str, *, stop: str) -> Resume | Refused | None:
        """None: it reads Running. `stop`: the step that stopped it, which may yet take effect."""
        step = _step(work, name)
        if step is None:
            step = intended(name, "", self._now())
            work.intend(step)
        instance = self.instance(id)
        if instance.state is InstanceState.RUNNING and not self._may_stop(work, stop):
            return None
        waited = self._now() - step.at
        if waited > START_LIMIT:
            return Refused(because=f"{id} reads {instance.state} {int(waited.total_seconds())} s after a start")
        if instance.state is InstanceState.STOPPED and self._ask(work, lambda: self.cloud.instances.start(id)):
            return Resume(after=STARTS, because=f"{id} is told to start")
        return Resume(after=POLL, because=f"{id} is {instance.state}, and is to run")

    def _due(self, step: Step, instance: Instance, *, force: bool) -> bool:
        if force and FORCED not in step.data:
            return True
        asked = step.data.get(ASKED)
        if asked is None:
            return instance.state is not InstanceState.STOPPING
        return self._now() - codec.instant(asked) > AGAIN and (force or instance.state is not InstanceState.STOPPING)

    def _may_stop(self, work: Work, stop: str) -> bool:
        """A stop that was asked for moments ago, and was not seen to take effect: running proves nothing yet."""
        step = _step(work, stop)
        return step is not None and step.state is StepState.INTENDED and self._now() - step.at < AGAIN

    def _ask(self, work: Work, call: Callable[[], None]) -> bool:
        """False when the cloud says that now is not the moment: it is asked again soon."""
        work.may_act()
        try:
            call()
        except (Forbidden, NotFound, QuotaReached):
            raise
        except Permanent:
            return False
        return True

    def _now(self) -> datetime:
        return self.clock.now()


def _step(work: Work, name: str) -> Step | None:
    return next((step for step in work.operation.steps if step.name == name), None)
