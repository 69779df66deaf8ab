"""Puts together what a round saw, as the value that is decided on and stored with the decision."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain.detection import Observation, Verdict
from shared.domain.failover_decision import CODE, judged, wants_order
from shared.domain.failover_fsm import State
from shared.domain.failover_safety import Lag
from shared.domain.failover_situation import (
    Agreed,
    Missing,
    SiteFacts,
    Situation,
    Unread,
    lease_facts,
    short,
)
from shared.domain.ids import SiteName
from shared.domain.policy import Pair
from shared.ports.clock import Clock
from shared.ports.probes import AgentReport
from shared.state.failovers import Failover, SwitchOrder, SwitchOrders
from shared.usecases.failover.held_back import HeldBack
from shared.usecases.failover.name_keeping import NameKeeping
from shared.usecases.failover.old_side import OVERDUE
from shared.usecases.failover.ordered import facts_of
from shared.usecases.failover.other_side import OtherSide
from shared.usecases.failover.witness import Seen

MOST_BETWEEN: Final = timedelta(seconds=10)
"""Rounds that are further apart say nothing of what was between them: a frozen function, or another one's minute."""
MOST_VETOES: Final = 5  # are kept: one is enough to stand in the way


class Situations:
    """Of one pair, as one site's watch meets them."""

    def __init__(
        self,
        pair: Pair,
        *,
        site: SiteName,
        orders: SwitchOrders,
        held: HeldBack,
        kept: NameKeeping,
        other: OtherSide,
        clock: Clock,
    ) -> None:
        self._pair, self._site, self._agreed, self._other = pair, site, Agreed.of(pair), other
        self._orders, self._held, self._kept, self._clock = orders, held, kept, clock
        self._doubt: tuple[float, float] | None = None  # since when, and when it was met last, by our own clock

    def without(self, what: Missing, because: str, failover: Failover | None) -> Situation:
        """A round that could not read what it needs."""
        self._doubt = None
        bare = self._bare(failover, calm=False)
        return replace(bare, unread=Unread(what=what, because=short(because)))

    def seen(self, failover: Failover, seen: Seen, *, calm: bool) -> Situation:
        """What the witnesses see. It can be judged, and not yet decided on."""
        found = replace(
            self._bare(failover, calm=calm),
            lease=None if seen.sighting is None else lease_facts(seen.sighting, seen.at),
            observations=tuple(_bounded(one) for one in seen.observations),
            sites={site: _site(report) for site, report in seen.reports.items()},
        )
        verdict = judged(found).verdict
        found = replace(found, in_doubt=self._in_doubt(verdict, seen.at))
        return self._other.added(found, failover, seen, well=verdict is Verdict.HEALTHY)

    def _in_doubt(self, verdict: Verdict, now: float) -> timedelta:
        if verdict in (Verdict.HEALTHY, Verdict.LOST):
            self._doubt = None
            return timedelta(0)
        since, last = self._doubt or (now, now)
        if now - last > MOST_BETWEEN.total_seconds():
            since = now
        self._doubt = since, now
        return timedelta(seconds=now - since)

    def complete(self, seen: Situation) -> tuple[Situation, SwitchOrder | None]:
        """With what operators and the name say, and with the order that was found, where one matters. Of a loss the
        pauses are read again: before acting, not from some rounds ago. Raises what the store raises."""
        if judged(seen).verdict is Verdict.LOST:
            self._held.read()
        found = replace(
            seen,
            held=short(self._held.why or ""),
            acknowledged=self._held.acknowledged,
            name_trouble=short(self._kept.trouble),
            name_settled=self._kept.settled,
            vetoes=tuple(short(veto) for veto in seen.vetoes[:MOST_VETOES]),
            asking=short(seen.asking),
        )
        order = self._orders.pending(self._pair.name) if wants_order(found) else None
        return (replace(found, order=facts_of(order)) if order else found), order

    def _bare(self, failover: Failover | None, *, calm: bool) -> Situation:
        now = self._clock.now()
        return Situation(
            code=CODE,
            now=now,
            witness=self._site,
            agreed=self._agreed,
            calm=calm,
            state=failover.state if failover else State.WATCHING,
            since=failover.since if failover else now,
            automatic_at=failover.automatic_at if failover else None,
            begun_by=failover.order if failover else "",
            unfenced=_unfenced(failover),
        )


def _unfenced(failover: Failover | None) -> str:
    waits = failover is not None and failover.state is State.NEEDS_OPERATOR
    return failover.fence.get(OVERDUE, "") if failover is not None and waits else ""


def _site(report: AgentReport) -> SiteFacts:
    return SiteFacts(
        sight=report.sight,
        active=report.active,
        epoch=report.epoch,
        ready=report.ready,
        detail=short(report.detail),
        lag=Lag(behind=report.lag, age=report.lag_age),
    )


def _bounded(one: Observation) -> Observation:
    return replace(one, detail=short(one.detail))
