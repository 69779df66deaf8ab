"""What this agent decided by itself, for the record of decisions: which epochs it created, took or claimed.

A watch records what it grants. The very first epoch, and one that an agent takes over from another of its own site, are
nobody's decision but the agent's; without a record of them nobody could prove later who was to be active. It is written
by the heartbeat's thread, again until it comes off: a renewal never waits for it. What an agent that ends at once had
not written yet is lost, and then `understudy prove` says so.
"""

import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime

from shared.domain.decision import Decision
from shared.domain.errors import DrError
from shared.domain.ids import Epoch, HolderId, PairName, SiteName
from shared.ports.clock import Clock
from shared.state import codec
from shared.state.decisions import Decisions

log = logging.getLogger("understudy.agent")


class Record:
    """`tell` may be called from any thread, `write` from one."""

    def __init__(
        self, decisions: Decisions, *, pair: PairName, site: SiteName, holder: HolderId, run: str, clock: Clock
    ) -> None:
        self._decisions, self._pair, self._site, self._holder = decisions, pair, site, holder
        self._run, self._clock = run, clock
        self._open: deque[Decision] = deque()

    def tell(self, event: str, epoch: Epoch, because: str, began: datetime | None) -> None:
        """`began`: before the write that made it so was sent. None: it was so already, nobody knows since when."""
        inputs: dict[str, str] = {"holder": self._holder}
        if began is None:
            inputs["held_by"] = self._site
        else:
            inputs |= {"granted_to": self._site, "began": codec.moment(began)}
        self._open.append(
            Decision(
                event=event,
                at=self._clock.now(),
                subject=self._pair,
                because=(because,),
                inputs=inputs,
                epoch=epoch,
                run=self._run,
            )
        )

    def write(self) -> None:
        """What is not written yet. Never raises: the next beat tries again."""
        while self._open:
            try:
                self._decisions.append(self._pair, self._open[0])
            except DrError as error:
                log.warning("agent.decision_waits", extra={"because": str(error)})
                return
            self._open.popleft()


Tell = Callable[[str, Epoch, str, datetime | None], None]


def untold(event: str, epoch: Epoch, because: str, began: datetime | None) -> None:
    """For a holder whose deeds nobody asks about later."""
