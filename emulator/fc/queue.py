"""The asynchronous queue: at least once, retries, ages, delays, task ids, destinations.

What goes wrong with a delivery is on the menu of `emulator.faults`. All waiting is on the emulated calendar. A due
invocation holds the clock from its due moment until its end, so that time never jumps over work that has begun.
"""

import itertools
import json
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from emulator.clock import Clock
from emulator.faults.deliveries import Deliveries
from emulator.faults.fault import Asked
from emulator.fc.project import Function
from emulator.fc.run import Run

FIRST_BACKOFF = timedelta(seconds=0.5)
LONGEST_BACKOFF = timedelta(seconds=60)  # assumption: the cap is not documented
THROTTLED_FOR = timedelta(hours=5)
LONGEST_DELAY = timedelta(seconds=3600)
LARGEST_PAYLOAD = 128 * 1024
ASYNC = "async"
"""Where an invocation comes from, for faults to tell: async, timer, event."""
ENDED = ("Succeeded", "Failed", "Expired", "Invalid", "Stopped")
KEPT_ANSWER = 32 * 1024
TASK_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")


class Refused(Exception):
    """The call is answered with this service-level error; nothing was queued or run."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`error` as `x-fc-error-type`; None on success. `seconds` are real ones."""

    body: bytes
    error: str | None
    seconds: float


@dataclass(slots=True, kw_only=True)
class Queued:
    function: Function
    payload: bytes
    request_id: str
    trigger: str
    source: str = ASYNC
    queued: datetime
    due: datetime
    task: str
    attempts: int = 0  # executions so far
    throttles: int = 0
    number: int = 0  # in the order of acceptance, from 1
    next_at: datetime | None = None  # when it is to be run, or was


@dataclass(slots=True, kw_only=True)
class TaskRecord:
    function: str
    task: str
    request_id: str
    payload: bytes
    state: str  # Enqueued Running Succeeded Failed Retrying Expired ...
    queued: datetime
    history: list[tuple[str, datetime]] = field(default_factory=list)
    returned: str = ""  # what the last execution answered
    error: str = ""


class Keeper(Protocol):
    """Who remembers what was accepted, so that the queue outlives its process."""

    def waiting(self, queued: Queued) -> None:
        """It is to be run, from `next_at` on. Told again whenever that changes."""
        ...

    def gone(self, queued: Queued) -> None:
        """Nothing more will happen with it."""
        ...

    def task(self, record: TaskRecord) -> None: ...


class Engine(Protocol):
    """What the queue needs of the service."""

    def enter(self, function: Function) -> bool:
        """Take one unit of concurrency; False means throttled."""
        ...

    def begin(self, function: Function, request_id: str) -> Run: ...

    async def execute(self, run: Run, queued: Queued) -> Outcome:
        """Run to its end and give the unit of concurrency back. The caller closes the run."""
        ...

    def deliver(self, arn: str, payload: bytes, source: Function) -> None: ...

    def dropped(self, queued: Queued, why: str) -> None: ...


class AsyncQueue:
    def __init__(
        self,
        clock: Clock,
        engine: Engine,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        deliveries: Deliveries,
        region: str,
        account: str,
    ) -> None:
        self.tasks: dict[tuple[str, str], TaskRecord] = {}
        self.keeper: Keeper | None = None  # None: the queue ends with its process
        self.depth = 0
        self._clock = clock
        self._engine = engine
        self._spawn = spawn
        self._deliveries = deliveries
        self._standing_still: list[Queued] | None = None
        self._numbers = itertools.count(1)
        self._region = region
        self._account = account

    def put(
        self,
        function: Function,
        payload: bytes,
        *,
        request_id: str,
        trigger: str,
        source: str = ASYNC,
        delay: timedelta = timedelta(0),
        task: str | None = None,
    ) -> None:
        """Accept one invocation. Raises Refused: too large, a bad delay, or a task id that is in use (409).

        A task id has no effect on a function whose asyncTask is off (assumption).
        """
        if len(payload) > LARGEST_PAYLOAD:
            raise Refused(400, "EntityTooLarge", f"payload size exceeds maximum allowed size ({LARGEST_PAYLOAD} bytes)")
        if not timedelta(0) <= delay <= LONGEST_DELAY:
            raise Refused(400, "InvalidArgument", "x-fc-async-delay must be 0 to 3600 seconds")
        now = self._clock.now()
        if task is not None and not TASK_ID.fullmatch(task):
            raise Refused(400, "InvalidArgument", f"async task id {task!r} is malformed")
        if function.asynchronous.task:
            key = (function.name, task or request_id)
            if key in self.tasks:
                raise Refused(409, "AsyncTaskAlreadyExists", f"async task id {key[1]} is in use")
            self.tasks[key] = TaskRecord(
                function=function.name,
                task=key[1],
                request_id=request_id,
                payload=payload,
                state="Enqueued",
                queued=now,
                history=[("Enqueued", now)],
            )
            if self.keeper is not None:
                self.keeper.task(self.tasks[key])

        accepted = Queued(
            function=function,
            payload=payload,
            request_id=request_id,
            trigger=trigger,
            source=source,
            queued=now,
            due=now + delay,
            task=task or request_id,
            number=next(self._numbers),
            next_at=now + delay,
        )
        arrived: list[Queued] = []

        def arrive() -> None:
            again = replace(accepted, due=self._clock.now() + delay, number=0 if arrived else accepted.number)
            arrived.append(again)
            self._later(again, delay)

        asked = self._asked(function, trigger, source)
        under_way = self._deliveries.send(asked, arrive, f"{function.name} {request_id}", queued=True)
        if under_way and not arrived and self.keeper is not None:
            self.keeper.waiting(accepted)  # late or gathered by a fault: accepted all the same

    def _asked(self, function: Function, trigger: str, source: str) -> Asked:
        return Asked(
            service="fc",
            action="InvokeFunction",
            account=self._account,
            region=self._region,
            function=function.name,
            triggers=(trigger, source),
        )

    def stand_still(self, still: bool) -> None:
        """While the region is out nothing is taken from the queue; afterwards everything that fell due, at once
        (assumption: queues survive an outage, as the documented hours of retries suggest)."""
        if still:
            self._standing_still = self._standing_still or []
            return
        waiting, self._standing_still = self._standing_still or [], None
        for queued in waiting:
            self._fall_due(queued)

    def go_on(self, left: Sequence[Queued]) -> None:
        """Take up what a process before this one had accepted and not ended. What it was running runs again: the queue
        promises at least once."""
        self._numbers = itertools.count(max((queued.number for queued in left), default=0) + 1)
        for queued in left:
            assert queued.next_at is not None
            self._later(queued, max(timedelta(0), queued.next_at - self._clock.now()))

    def _later(self, queued: Queued, delay: timedelta) -> None:
        self.depth += 1
        queued.number = queued.number or next(self._numbers)
        queued.next_at = self._clock.now() + delay
        if self.keeper is not None:
            self.keeper.waiting(queued)
        if delay <= timedelta(0):
            self._fall_due(queued)
        else:
            label = f"async {queued.function.name} {queued.request_id}"
            self._clock.call_later(delay, lambda: self._fall_due(queued), label)

    def _fall_due(self, queued: Queued) -> None:
        if self._standing_still is not None:
            self._standing_still.append(queued)
            return
        asked = self._asked(queued.function, queued.trigger, queued.source)
        if self._deliveries.held_back(asked, lambda: self._fall_due(queued)):
            return
        self.depth -= 1
        if self._stopped(queued):
            return
        if self._clock.now() - queued.due > queued.function.asynchronous.max_age:
            self._state(queued, "Expired")
            self._engine.dropped(queued, "expired")
            # assumption: the word of `condition` for an event that grew too old
            self._end(queued, "EventAgeExceeded", None)
            return
        if not self._engine.enter(queued.function):
            self._throttled(queued)
            return
        self._spawn(self._attempt(queued, self._engine.begin(queued.function, queued.request_id)))

    def _throttled(self, queued: Queued) -> None:
        queued.throttles += 1
        if self._clock.now() - queued.due > THROTTLED_FOR:
            self._state(queued, "Failed")
            self._engine.dropped(queued, "throttled for hours")
            self._end(queued, "ResourceExhausted", None)  # assumption: the word
            return
        self._later(queued, _backoff(queued.throttles))

    async def _attempt(self, queued: Queued, run: Run) -> None:
        queued.attempts += 1
        if self.keeper is not None:
            self.keeper.waiting(queued)
        self._state(queued, "Running")
        try:
            self._settle(queued, await self._engine.execute(run, queued))
        finally:
            run.close()  # only now: what follows from the outcome is on the calendar before time goes on

    def stop(self, function: str, task: str) -> None:
        """Nothing more is run of it. Raises Refused. Destinations are not told (assumption)."""
        record = self.tasks[function, task]
        if record.state in ("Stopping", "Stopped"):
            raise Refused(412, "AsyncInvocationStopped", f"the async invocation {task} has been stopped")
        if record.state in ENDED:  # assumption: the code
            raise Refused(400, "InvalidArgument", f"the async invocation {task} has ended: {record.state}")
        self._enter(record, "Stopping" if record.state == "Running" else "Stopped")

    def _stopped(self, queued: Queued) -> bool:
        record = self.tasks.get((queued.function.name, queued.task))
        if record is None or record.state not in ("Stopping", "Stopped"):
            return False
        if record.state == "Stopping":
            self._enter(record, "Stopped")
        if self.keeper is not None:
            self.keeper.gone(queued)
        return True

    def _settle(self, queued: Queued, outcome: Outcome) -> None:
        record = self.tasks.get((queued.function.name, queued.task))
        if record is not None:
            record.returned = outcome.body[:KEPT_ANSWER].decode(errors="replace")
            record.error = outcome.error or ""
        if self._stopped(queued):
            return
        if outcome.error is None:
            self._state(queued, "Succeeded")
            self._end(queued, "Success", outcome)
        elif queued.attempts <= queued.function.asynchronous.retries:
            self._state(queued, "Retrying")
            # assumption: errors of the function wait like throttled calls do, which is what is documented
            self._later(queued, _backoff(queued.attempts))
        else:
            self._state(queued, "Failed")
            self._end(queued, outcome.error, outcome)

    def _state(self, queued: Queued, state: str) -> None:
        record = self.tasks.get((queued.function.name, queued.task))
        if record is not None:
            self._enter(record, state)

    def _enter(self, record: TaskRecord, state: str) -> None:
        record.state = state
        record.history.append((state, self._clock.now()))
        if self.keeper is not None:
            self.keeper.task(record)

    def _end(self, queued: Queued, condition: str, outcome: Outcome | None) -> None:
        self._notify(queued, condition, outcome)
        if self.keeper is not None:
            self.keeper.gone(queued)  # after its destination was told: rather twice than never

    def _notify(self, queued: Queued, condition: str, outcome: Outcome | None) -> None:
        config = queued.function.asynchronous
        succeeded = condition == "Success"
        destination = config.on_success if succeeded else config.on_failure
        if destination is None:
            return
        response: dict[str, Any] = {"statusCode": 200}
        if outcome is not None and outcome.error is not None:
            response["functionError"] = outcome.error
        payload = {
            "timestamp": int(self._clock.now().timestamp() * 1000),
            "requestContext": {
                "requestId": queued.request_id,
                "functionArn": f"acs:fc:{self._region}:{self._account}:functions/{queued.function.name}",
                "condition": condition,
                "approximateInvokeCount": queued.attempts,
            },
            "requestPayload": queued.payload.decode(errors="replace"),
            "responseContext": response,
            "responsePayload": outcome.body.decode(errors="replace") if outcome else "",
        }
        self._engine.deliver(destination, json.dumps(payload).encode(), queued.function)


def _backoff(tries: int) -> timedelta:
    return min(LONGEST_BACKOFF, FIRST_BACKOFF * (1 << min(tries - 1, 10)))
