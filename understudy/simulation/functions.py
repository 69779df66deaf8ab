"""Our functions called without any cloud: straight onto a dispatcher, on the emulated calendar."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from emulator.clock import Clock
from emulator.cloud import Cloud
from emulator.faults.blow import Silence
from emulator.faults.fault import Asked
from emulator.fc.queue import Refused
from shared.adapters.cloud_errors import translate
from shared.domain.errors import BadInput, NotFound, Permanent
from understudy.simulation.call import asked

logger = logging.getLogger(__name__)

Dispatch = Callable[[str, bytes], bytes]
"""Short name and event to answer. Raises KeyError for a function that does not exist."""

PREFIX = "understudy-"
"""What stands before a function's short name in the cloud."""
LONGEST_DELAY = timedelta(seconds=3600)
FIRST_BACKOFF = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    function: str
    payload: bytes
    delay: timedelta
    task: str | None
    attempt: int = 1


class InProcessFunctions:
    """Functions port. Without a clock, asynchronous calls wait in `queued` for the test to `deliver()` them."""

    def __init__(
        self, dispatch: Dispatch, *, clock: Clock | None = None, retries: int = 3, cloud: Cloud | None = None
    ) -> None:
        """`cloud`: whose menu of faults calls and deliveries meet; None: nothing goes wrong."""
        self.queued: list[Queued] = []
        self._dispatch = dispatch
        self._clock = clock
        self._retries = retries
        self._cloud = cloud
        self._tasks: set[tuple[str, str]] = set()

    def invoke_async(
        self, function: str, payload: bytes, *, delay: timedelta = timedelta(0), task: str | None = None
    ) -> None:
        if not timedelta(0) <= delay <= LONGEST_DELAY:
            raise BadInput(f"delay {delay}: Function Compute takes 0 to 3,600 seconds")
        with self._call(function):
            if task is not None:
                if (function, task) in self._tasks:
                    return
                self._tasks.add((function, task))
            queued = Queued(function=function, payload=payload, delay=delay, task=task)
            if self._cloud is None:
                self._put(queued)
            else:
                call = replace(self._asked(self._cloud, function), triggers=("invoke", "async"))
                self._cloud.faults.deliveries.send(call, lambda: self._put(queued), f"async {function}")

    @contextmanager
    def _call(self, function: str) -> Iterator[None]:
        what = f"InvokeFunction {function}"
        if self._cloud is None:
            yield
            return
        try:
            with self._cloud.faults.gate(self._asked(self._cloud, function)):
                yield
        except Refused as error:
            raise translate(what, code=error.code, status=error.status, message=error.message, changes=True) from error
        except Silence as silence:
            raise translate(what, code=None, status=None, message=str(silence), changes=True) from silence

    def _asked(self, cloud: Cloud, function: str) -> Asked:
        return replace(asked(cloud, "fc", "InvokeFunction"), function=PREFIX + function)

    def invoke(self, function: str, payload: bytes) -> bytes:
        with self._call(function):
            return self._invoked(function, payload)

    def _invoked(self, function: str, payload: bytes) -> bytes:
        try:
            return self._dispatch(function, payload)
        except KeyError as error:
            raise NotFound(f"function {function!r} does not exist") from error
        except Exception as error:
            raise Permanent(f"{function} failed: {type(error).__name__}: {error}") from error

    def deliver(self) -> int:
        """Run what waits in `queued`, also what that queues anew; returns how many ran."""
        ran = 0
        while self.queued:
            self._run(self.queued.pop(0))
            ran += 1
        return ran

    def _put(self, queued: Queued) -> None:
        if self._clock is None:
            self.queued.append(queued)
        else:
            self._clock.call_later(queued.delay, lambda: self._run(queued), f"async {queued.function}")

    def _run(self, queued: Queued) -> None:
        try:
            self._dispatch(queued.function, queued.payload)
        except Exception:  # whatever a handler raises is retried, as in the cloud
            logger.exception("asynchronous %s failed, attempt %d", queued.function, queued.attempt)
            if queued.attempt <= self._retries:
                self._put(
                    Queued(
                        function=queued.function,
                        payload=queued.payload,
                        delay=FIRST_BACKOFF * (1 << (queued.attempt - 1)),
                        task=None,
                        attempt=queued.attempt + 1,
                    )
                )
