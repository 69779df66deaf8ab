"""The way from an event to the watches in a `FailoverWorld`: function `alarm` as deployed, in a process of its own, and
calls of the watches that take their time, may be lost and may be made twice.
"""

import json
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.errors import DrError, OutcomeUnknown, Throttled
from shared.domain.ids import SiteName
from shared.state.called import Called
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.deliveries import Deliveries
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.state.subjects import Subjects
from shared.triggers.parse import parse
from shared.usecases.alarm import Alarm
from shared.usecases.failover.wake_watches import FUNCTION, WakeWatches
from shared.usecases.recovery.suspicion import Suspicions
from tests.simulation.executors import Timers
from tests.simulation.sites import SimInventory, SiteStore
from tests.simulation.world import Crash, Process, ProcessClock

if TYPE_CHECKING:
    from tests.simulation.failover_world import FailoverWorld

AGAIN = 5.0  # seconds after which Function Compute tries a call again that ended in an error
ATTEMPTS = 4
PLACE = "alarm"


class Alarms:
    """Deliver an event with `hear`."""

    def __init__(self, pair: "FailoverWorld", timers: Timers, *, lost: float = 0.0, doubled: float = 0.0) -> None:
        """`lost` and `doubled` are probabilities per call of a watch; a lost one is not known to be."""
        self._pair, self._timers, self._lost, self._doubled = pair, timers, lost, doubled
        self._events: deque[tuple[bytes, int]] = deque()
        self.calls: list[str] = []  # of watches, as they were made
        self.answers: list[tuple[str, ...]] = []  # of `alarm`
        self._process = pair.world.spawn("alarm", pair.world.machine("fc-alarm"), self._live)

    def hear(self, event: dict[str, Any]) -> None:
        self._put(json.dumps(event).encode(), 1)

    def _put(self, event: bytes, attempt: int) -> None:
        self._events.append((event, attempt))
        self._pair.world.poke(self._process)

    def _live(self, process: Process) -> None:
        alarm = self._alarm(process)
        while True:
            try:
                while not self._events:
                    self._pair.world.park(process)
                event, attempt = self._events.popleft()
                self.answers.append(alarm.run(parse(event), run=f"alarm-{len(self.answers)}").acted)
            except (DrError, Crash) as error:
                self._pair.world.say(process.name, f"failed: {error}")
                if attempt < ATTEMPTS:
                    self._pair.world.later(
                        AGAIN,
                        lambda event=event, attempt=attempt: self._put(event, attempt + 1),  # type: ignore[misc]
                    )

    def _alarm(self, process: Process) -> Alarm:
        store = SiteStore(self._pair, process, PLACE, timeout=None)
        clock = ProcessClock(self._pair.world, process)
        return Alarm(
            inventory=SimInventory(self._pair, process, PLACE),
            policies=Policies(store),
            suspicions=Suspicions(
                journal=Journal(store, clock),
                subjects=Subjects(store),
                controls=Controls(store),
                functions=self._Line(self, process),
                clock=clock,
            ),
            deliveries=Deliveries(store, clock),
            decisions=Decisions(store),
            functions=self._Line(self, process),
            watches=WakeWatches(functions=self._Line(self, process), called=Called(store, clock)),
            clock=clock,
            secret=lambda: None,
        )

    class _Line:
        """The functions port."""

        def __init__(self, alarms: "Alarms", process: Process) -> None:
            self._alarms, self._process = alarms, process

        def invoke_async(
            self, function: str, payload: bytes, *, delay: timedelta = timedelta(0), task: str | None = None
        ) -> None:
            alarms, world = self._alarms, self._alarms._pair.world
            world.wait(self._process, world.chance.uniform(0.005, 0.1))
            site = SiteName(function.removeprefix(FUNCTION))
            alarms.calls.append(function)
            if world.chance.random() < alarms._lost:
                if world.chance.random() < 0.5:
                    raise Throttled("too many calls")
                world.wait(self._process, 10)
                raise OutcomeUnknown("no answer")
            for _ in range(2 if world.chance.random() < alarms._doubled else 1):
                world.later(world.chance.uniform(0.01, 0.5), lambda: alarms._timers.call(site))

        def invoke(self, function: str, payload: bytes) -> bytes:
            raise AssertionError("alarm waits for nobody")


def master_failed(instance: str, *, event: str = "e-1", status: str = "Executing") -> dict[str, Any]:
    """What EventBridge delivers; whether it is true is another matter."""
    return {
        "specversion": "1.0",
        "id": f"{event}-{status}",
        "source": "acs.ecs",
        "type": "ecs:Instance:SystemFailure.Reboot",
        "data": {
            "eventId": event,
            "instanceId": instance,
            "eventType": "SystemFailure.Reboot",
            "eventStatus": status,
        },
    }
