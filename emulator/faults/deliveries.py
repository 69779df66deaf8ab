"""Events on their way: late, twice, never, in another order, or all at once after hours.

Whoever delivers something hands the sending over: `cloud.faults.deliveries.send(asked, send, label)`. What is late or
out of order counts as arriving anew; what a backlog holds back keeps its age, as a queue does.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from emulator.faults.fault import Asked

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.faults.menu import Faults, Standing

Send = Callable[[], None]


class Deliveries:
    def __init__(self, cloud: "Cloud", faults: "Faults") -> None:
        self._cloud = cloud
        self._faults = faults
        self._held: dict[str, list[Send]] = {}  # by the fault that holds them
        self._reordered: set[str] = set()  # those of them that change the order

    def send(self, asked: Asked, send: Send, label: str, *, queued: bool = False) -> bool:
        """Call `send` now, later, twice or never; False: never. `queued`: the sender has a queue of its own, and asks
        `held_back` when something of it falls due."""
        sends, gathered = 1, False
        delay = timedelta(0)
        for standing in self._faults.delivery(asked):
            match standing.fault.kind:
                case "deliver_twice":
                    sends *= 2
                case "deliver_lost":
                    sends = 0
                case "deliver_late":
                    delay += timedelta(seconds=standing.fault.seconds or 0)
                case "deliver_reordered":
                    self._gather(standing, send, times=sends)
                    sends, gathered = 0, gathered or sends > 0
        for _ in range(sends):
            if delay:
                self._cloud.clock.call_later(delay, lambda: self._arrive(asked, send, queued), f"late: {label}")
            else:
                self._arrive(asked, send, queued)
        return gathered or sends > 0

    def _arrive(self, asked: Asked, send: Send, queued: bool) -> None:
        if queued or not self.held_back(asked, send):
            send()

    def held_back(self, asked: Asked, send: Send) -> bool:
        """Whether a backlog keeps it; then `send` is called when the backlog is released."""
        standing = self._faults.backlog(asked)
        if standing is None:
            return False
        self._held.setdefault(standing.id, []).append(send)
        return True

    def waiting(self, id: str) -> int:
        return len(self._held.get(id, ()))

    def _gather(self, standing: "Standing", send: Send, *, times: int) -> None:
        held = self._held.setdefault(standing.id, [])
        if not held:
            self._reordered.add(standing.id)
            delay = timedelta(seconds=standing.fault.seconds or 0)
            self._cloud.clock.call_later(delay, lambda: self.release(standing.id), "reordered deliveries")
        held.extend([send] * times)

    def release(self, id: str) -> None:
        """All at once; in another order than they came, unless a backlog held them."""
        held = self._held.pop(id, [])
        if id in self._reordered:
            self._reordered.discard(id)
            held = self._shuffled(held)
        for send in held:
            send()
        if any(standing.id == id and standing.left == 0 for standing in self._faults.all()):
            self._faults.remove(id)

    def _shuffled(self, held: list[Send]) -> list[Send]:
        left = list(range(len(held)))
        order = []
        while left:
            order.append(left.pop(self._faults.chance.below(len(left))))
        if order == sorted(order):
            order.reverse()  # by chance nothing had changed
        return [held[i] for i in order]
