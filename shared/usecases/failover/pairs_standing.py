"""How each pair stands, for `status` and the page: from what agents and watches have written, nothing is asked for.

What an agent wrote last need not be so any more: a host that died a minute ago still says *active* in the store. So
whatever is too old to count is told with its age, in the past.
"""

from collections.abc import Mapping
from datetime import datetime

from shared.domain.errors import Permanent
from shared.domain.failover_fsm import IN_HAND, State
from shared.domain.failover_safety import DOUBTED_AFTER
from shared.domain.ids import SiteName
from shared.domain.lease import Lease, LeaseState
from shared.domain.policy import Pair, Policy
from shared.observability.view import AgentView, PairView, Tone, WatchView
from shared.state.controls import Standing
from shared.state.failovers import Failover, Failovers
from shared.state.heartbeats import OVERDUE, Heartbeat, Heartbeats, WatchBeat, age_of
from shared.state.leases import Leases
from shared.usecases.failover.held_back import blocked_until

DAMAGED = "damaged"


class PairsStanding:
    def __init__(self, *, leases: Leases, heartbeats: Heartbeats, failovers: Failovers) -> None:
        self._leases, self._heartbeats, self._failovers = leases, heartbeats, failovers

    def views(self, policy: Policy, standing: Standing, now: datetime) -> tuple[PairView, ...]:
        """Raises Retryable when the store cannot be read."""
        return tuple(self._view(pair, standing, now) for pair in policy.pairs)

    def _view(self, pair: Pair, standing: Standing, now: datetime) -> PairView:
        lease, damage = self._lease(pair)
        failover = self._failovers.of(pair.name, now=now)
        ticks = self._heartbeats.watches(pair.name)
        agents = _agents(pair, self._heartbeats.of(pair.name), lease, now)
        watches = _watches(pair, ticks, now)
        blocked = blocked_until(pair, failover, standing, now)
        names = tuple(dict.fromkeys(one for tick in ticks.values() for one in tick.names))
        warnings = (*damage, *warnings_of(failover, blocked=blocked))
        return PairView(
            pair=pair.name,
            name=", ".join(dict.fromkeys(str(rule) for rule in pair.names)),
            preferred=pair.preferred,
            lease_owner=None if lease is None else lease.owner,
            lease_state=DAMAGED if damage else "none" if lease is None else lease.state.value,
            epoch=None if lease is None else lease.epoch,
            failover=failover.state.value,
            because=failover.because,
            since=failover.since,
            agents=agents,
            watches=watches,
            tone=_tone(failover, lease, agents, watches, warned=bool(warnings or names)),
            names=names,
            warnings=warnings,
            unprotected=failover.unprotected or None,
            unprotected_since=failover.unprotected_since,
            loss_s=failover.loss_s,
            automatic_at=failover.automatic_at,
            blocked_until=blocked,
            surged=failover.surged or None,
            short=tuple(sorted(failover.short)),
        )

    def _lease(self, pair: Pair) -> tuple[Lease | None, tuple[str, ...]]:
        """A row that somebody damaged hides nothing else."""
        try:
            return self._leases.read(pair.name), ()
        except Permanent as error:
            return None, (f"{error}; runbook: lease-row-missing",)


def warnings_of(failover: Failover, *, blocked: datetime | None = None) -> tuple[str, ...]:
    found = [f"{site} is short of room: {why}; runbook: capacity-is-short" for site, why in failover.short.items()]
    if failover.unprotected:
        since = failover.unprotected_since
        when = "" if since is None else f" since {_moment(since)}"
        lost = "" if failover.loss_s is None else f"; up to {failover.loss_s:g} s of data were lost"
        found.insert(
            0,
            f"unprotected{when}: nothing moves to {failover.unprotected} by itself{lost}; runbook: pair-is-unprotected",
        )
    if blocked is not None:
        taken = "" if failover.automatic_at is None else f": it moved by itself at {_moment(failover.automatic_at)}"
        found.append(
            f"no second failover by itself before {_moment(blocked)}{taken}; "
            f"`understudy acknowledge {failover.pair}` lifts that"
        )
    if failover.surged:
        found.append(f"{failover.surged} is raised to carry it alone, until both are back")
    return tuple(found)


def _agents(
    pair: Pair, beats: Mapping[SiteName, Heartbeat], lease: Lease | None, now: datetime
) -> tuple[AgentView, ...]:
    if not pair.agents:
        return ()  # a beat of before there were none tells nothing
    return tuple(_agent(member.site, beats.get(member.site), lease, now) for member in pair.members)


def _agent(site: SiteName, beat: Heartbeat | None, lease: Lease | None, now: datetime) -> AgentView:
    if beat is None:
        return AgentView(site=site, heard=None, doubted=True)
    heard = age_of(beat.at, now=now)
    elsewhere = lease is not None and (lease.owner, lease.epoch) != (site, beat.epoch)
    return AgentView(
        site=site,
        heard=heard,
        ahead=beat.at - now if heard is None else None,
        active=beat.active,
        ready=beat.ready,
        epoch=beat.epoch,
        doubted=heard is not None and (heard > DOUBTED_AFTER or (beat.active and elsewhere)),
        lag_s=beat.lag_s,
    )


def _watches(pair: Pair, ticks: Mapping[SiteName, WatchBeat], now: datetime) -> tuple[WatchView, ...]:
    """One per site: a watch that nobody hears leaves everything it watches looking well."""
    return tuple(_watch(member.site, ticks.get(member.site), now) for member in pair.members)


def _watch(site: SiteName, tick: WatchBeat | None, now: datetime) -> WatchView:
    heard = None if tick is None else age_of(tick.at, now=now)
    return WatchView(
        site=site,
        heard=heard,
        running=heard is not None and heard <= OVERDUE,
        ahead=None if tick is None or heard is not None else tick.at - now,
        away_from=None if tick is None else tick.away_from,
        away_to=None if tick is None else tick.away_to,
    )


def _tone(
    failover: Failover,
    lease: Lease | None,
    agents: tuple[AgentView, ...],
    watches: tuple[WatchView, ...],
    *,
    warned: bool,
) -> Tone:
    held = lease is not None and lease.state is LeaseState.HELD
    holder = next((one for one in agents if lease is not None and one.site == lease.owner), None)
    silent = holder is not None and holder.ahead is None and (holder.heard is None or holder.heard > DOUBTED_AFTER)
    if failover.state in (State.NEEDS_OPERATOR, State.BLOCKED) or not held or silent:
        return Tone.BAD
    unsure = any(one.doubted or one.ahead is not None or not one.ready for one in agents) or not all(
        one.running for one in watches
    )
    return Tone.WARN if warned or unsure or failover.state in (*IN_HAND, *_NOT_AT_REST) else Tone.GOOD


_NOT_AT_REST = (State.REPROTECTING, State.SUSPECTING, State.PAUSED)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
