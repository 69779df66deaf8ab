"""Our own functions, called by each other."""

from datetime import timedelta
from typing import Protocol


class Functions(Protocol):
    def invoke_async(
        self, function: str, payload: bytes, *, delay: timedelta = timedelta(0), task: str | None = None
    ) -> None:
        """Queue one asynchronous invocation: at least once, maybe twice, perhaps late.

        `function` is the short name (`backup`); `delay` 0-3,600 s, imprecise. The queue is an accelerator: a lost
        invocation must be found again by the tick.
        """
        ...

    def invoke(self, function: str, payload: bytes) -> bytes:
        """Call and wait for the answer. Raises Permanent with the function's own error text when it failed."""
        ...
