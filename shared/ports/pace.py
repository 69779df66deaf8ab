"""What is asked before each call of the cloud's API, and told when the cloud has had enough."""

from typing import Protocol

from shared.domain.errors import Throttled


class Pace(Protocol):
    def before(self, action: str, *, changes: bool) -> None:
        """Returns when the call may be made. A listing may wait for that; a change, or a listing that would wait too
        long, raises Retryable with the time to try again."""
        ...

    def refused(self, action: str, throttled: Throttled, *, changes: bool) -> None:
        """The cloud refused it for too many calls. Returns when it may be sent again, else raises Retryable."""
        ...


class Unpaced:
    """For whom no budget is kept."""

    def before(self, action: str, *, changes: bool) -> None: ...

    def refused(self, action: str, throttled: Throttled, *, changes: bool) -> None:  # noqa: ARG002 - as the port says
        raise throttled
