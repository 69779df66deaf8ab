"""Real HTTP requests to webhooks: five real seconds to answer, and three more attempts on the emulated calendar.

While a request is under way time is held, so that a jump cannot pass it.
Source: CloudMonitor documentation, alarm callbacks (5 s, 3 retries); the pauses between them are an assumption.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Final

import aiohttp

from emulator.clock import Clock
from emulator.events.target import Webhook

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 5.0
RETRIES: Final = 3
PAUSE: Final = timedelta(seconds=10)

Note = Callable[[str, str, str, str], None]


class Posting:
    def __init__(self, clock: Clock, note: Note) -> None:
        """`note(url, shape, what, outcome)` hears of each attempt."""
        self._clock = clock
        self._note = note
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, hook: Webhook, body: str, content_type: str, what: str, *, left: int = RETRIES) -> None:
        """Begin now. Without a running loop (a world in process) there is nobody to send: it is noted and dropped."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._note(hook.url, hook.shape, what, "not sent: no event loop runs here")
            return
        holding = ExitStack()
        holding.enter_context(self._clock.hold(f"webhook {hook.url}"))  # at once, before time can go on

        async def attempt() -> None:
            with holding:
                outcome = await _ask(hook, body, content_type)
                self._note(hook.url, hook.shape, what, outcome)
                if outcome == "ok":
                    return
                if left == 0:
                    logger.warning("webhook %s gave up on %s: %s", hook.url, what, outcome)
                    return
                again = lambda: self.post(hook, body, content_type, what, left=left - 1)  # noqa: E731
                self._clock.call_later(PAUSE, again, f"webhook again {hook.url}")

        task = loop.create_task(attempt())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _ask(hook: Webhook, body: str, content_type: str) -> str:
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            if hook.method == "GET":
                answer = session.get(hook.url, params={"data": body})
            else:
                headers = {"Content-Type": f"{content_type}; charset=utf-8"}
                answer = session.post(hook.url, data=body.encode(), headers=headers)
            async with answer as response:
                return "ok" if response.status < 300 else f"HTTP {response.status}"
    except TimeoutError:
        return f"no answer within {PATIENCE_SECONDS:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
