"""A deadline that the peers extend while the store renews nothing, and what this agent promises to them in turn.

The rules, and why they are safe: `shared.domain.pledge`.
"""

import logging
from collections.abc import Collection
from datetime import timedelta

from shared.domain.ids import HolderId, Place
from shared.domain.lease import Grant, Lease, Terms
from shared.domain.pledge import GRACE, Answer, Ask
from shared.ports.clock import Clock
from understudy.agent.deadline import Board, Deadline
from understudy.agent.pledging import Pledging

log = logging.getLogger("understudy.agent")


class LivingOn(Deadline):
    """`extend` belongs to one thread; all else may be used from any."""

    def __init__(self, *, me: HolderId, terms: Terms, clock: Clock, board: Board, pledging: Pledging | None) -> None:
        super().__init__(clock=clock, board=board)
        self._me, self._terms, self._pledging = me, terms, pledging
        self._last_row: Lease | None = None  # as last seen, however long ago
        self._renewed_at = 0.0  # when the last acknowledged write of ours began
        self._extended_at = float("-inf")  # when the last asking began to which all peers said yes
        self._living_on = ""  # "peers" while they extend our grant, else why they do not; for the log

    @property
    def holder_id(self) -> HolderId:
        return self._me

    def pledge(self, ask: Ask) -> Answer:
        """Another agent wants to live on, or to become active. Whoever gets a yes may count on it at once."""
        now = self._clock.monotonic()
        with self._gate:
            if self._pledging is None:
                return Answer(pledged=False, by=self._me, detail="this agent knows no pledges")
            answer = self._pledging.answer(ask, until=self._grant.until, seen=self._last_row, now=now)
        if not answer.pledged:
            log.info("agent.pledge_refused", extra={"asker": ask.holder, "because": answer.detail})
        return answer

    def learn(self, peers: Collection[Place]) -> None:
        """Where the agents of the pair's other sites are reached. From the next renewal on they are voices."""
        with self._gate:
            if self._pledging is not None:
                self._pledging.learn(peers)

    def pledged_for(self) -> timedelta:
        """How long this agent still may not become active, by what it has promised."""
        now = self._clock.monotonic()
        with self._gate:
            return timedelta(0) if self._pledging is None else self._pledging.promises.pledged_for(self._me, now)

    def extend(self) -> bool:
        """Have the peers extend a grant that the store does not renew. True: they did. To be called several times in
        each `renew_every`; does nothing while renewals come off. Raises OSError as `step` does."""
        pledging, asked_at = self._pledging, self._clock.monotonic()
        if pledging is None:
            return False
        with self._gate:
            grant, places = self._grant, pledging.needed()
            late = asked_at - self._renewed_at > (self._terms.renew_every + GRACE).total_seconds()
            due = grant.active_at(asked_at) and grant.epoch > self._given_up and late
        if not due or not places:
            self._lives_on("")
            return False
        if asked_at - self._extended_at < self._terms.renew_every.total_seconds():
            return True
        refused = pledging.all_pledge(places, grant.epoch)
        until = asked_at + (self._terms.lease - self._terms.margin).total_seconds()
        with self._gate:
            if (
                refused
                or grant.epoch != self._grant.epoch
                or grant.epoch <= self._given_up
                or self._grant.until == 0
                or not pledging.needed()
                or not pledging.needed() <= places
                or pledging.pledged_beyond(grant.epoch)
            ):
                extended = False
            else:
                extended, self._extended_at = True, asked_at
                if until > self._grant.until:
                    self._grant = Grant(grant.epoch, until)
                    self._board.publish(self._grant)
        self._lives_on("peers" if extended else refused or "the lease changed meanwhile")
        return extended

    def _lives_on(self, what: str) -> None:
        """One line per change, not per asking."""
        before, self._living_on = self._living_on, what
        if before == what:
            return
        if what == "peers":
            log.warning("agent.pledged", extra={"because": "the store renews nothing, and all peers have pledged"})
        elif what:
            log.warning("agent.not_pledged", extra={"because": what})
        elif before == "peers":
            log.info("agent.pledge_ended", extra={"epoch": int(self._grant.epoch)})
