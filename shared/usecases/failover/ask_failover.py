"""What an operator asks of a pair: to move it on purpose, to switch moving off, to write its lease row anew.

An order is a row; the watches carry it out within a few rounds, after they have judged it again by what they see. Here
it is judged by what agents and watches have written, so that a wrong one is refused to whoever gives it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import BadInput, Declined, Permanent
from shared.domain.failover_fsm import IN_HAND
from shared.domain.failover_safety import (
    Facts,
    Kind,
    Lag,
    Rule,
    Side,
    overrides,
    overrode,
)
from shared.domain.ids import Epoch, PairName, SiteName
from shared.domain.lease import Lease, LeaseState
from shared.domain.pair import Short
from shared.domain.policy import Pair
from shared.observability import log
from shared.ports.clock import Clock
from shared.state import codec
from shared.state.controls import Controls, Pause, Standing
from shared.state.decisions import Decisions
from shared.state.failovers import GOOD_FOR, Failover, Failovers, SwitchOrder, SwitchOrders
from shared.state.heartbeats import Heartbeat, Heartbeats, age_of
from shared.state.leases import Leases
from shared.state.policies import Policies
from shared.usecases.arguments import Arguments, asked_by, optional, texts
from shared.usecases.failover.failover_preview import preview_of, readiness_of
from shared.usecases.failover.held_back import SWITCH, blocked_until, goes_on, stopped

TICK: Final = timedelta(microseconds=1)  # the least by which two stored moments differ

Result = dict[str, object]


@dataclass(frozen=True, slots=True)
class Known:
    """What is written about a pair, in one reading."""

    lease: Lease | None
    damage: str  # why the lease row cannot be read; empty when it can
    beats: Mapping[SiteName, Heartbeat]
    failover: Failover
    standing: Standing
    order: SwitchOrder | None


class AskFailover:
    """Commands `switchover`, `failback`, `failover`, `switch` and `restore_lease`."""

    def __init__(
        self,
        *,
        policies: Policies,
        controls: Controls,
        leases: Leases,
        heartbeats: Heartbeats,
        failovers: Failovers,
        orders: SwitchOrders,
        decisions: Decisions,
        clock: Clock,
    ) -> None:
        self._policies, self._controls, self._leases = policies, controls, leases
        self._heartbeats, self._failovers, self._orders = heartbeats, failovers, orders
        self._decisions, self._clock = decisions, clock

    def commands(self, moment: Callable[[Arguments], datetime]) -> Mapping[str, Callable[[Arguments, str], Result]]:
        """`moment`: when it was asked for, which is part of the order's id."""

        def move(kind: Kind) -> Callable[[Arguments, str], Result]:
            return lambda arguments, run: self._move(kind, arguments, moment(arguments), run)

        return {
            "switchover": move(Kind.SWITCHOVER),
            "failback": move(Kind.FAILBACK),
            "failover": move(Kind.FAILOVER),
            "switch": self._switch,
            "readiness": lambda arguments, _run: self._readiness(arguments),
            "restore_lease": lambda arguments, run: self._restore(arguments, moment(arguments), run),
        }

    def acknowledged_at(self, pair: str) -> datetime:
        """The moment that an acknowledgement of `pair` given now carries: after whatever it answers. A watch whose wall
        clock was ahead may have dated that later than now, and watches compare the two. Until that moment has passed,
        what comes next counts as acknowledged as well: for as long as the clock was wrong."""
        now = self._clock.now()
        stands = self._failovers.of(PairName(pair), now=now)
        written = max(stands.since, stands.automatic_at or stands.since)
        return max(now, written + TICK) if stands.version else now

    # --- moves ---

    def _move(self, kind: Kind, arguments: Arguments, asked: datetime, run: str) -> Result:
        """Without `confirm` it is only shown. Given again with the same `at`, it is the same order."""
        pair, force = self._pair(arguments), overrides(kind, texts(arguments, "force"))
        because = _because(arguments, needed=bool(force))
        id_ = f"{kind}/{pair.name}/{codec.second(asked)}"
        known = self._known(pair)
        if id_ in (known.failover.order, known.order.id if known.order else ""):
            return {"order": id_}
        if known.lease is None:
            raise Declined(
                f"pair {pair.name}: {known.damage or 'it has no lease row, so nobody is active. If it ever had one'}: "
                "runbook lease-row-missing"
            )
        target = self._target(kind, pair, known.lease, optional(arguments, "to"))
        facts = self._facts(pair, known, known.lease, target)
        preview = preview_of(kind, pair, facts, force, known.failover)
        confirm = optional(arguments, "confirm")
        if not confirm:
            return {"preview": json.loads(codec.dump(preview))}
        if confirm not in (preview.token, pair.name):
            raise BadInput(
                f"argument confirm is {confirm!r}, which is neither {pair.name!r} nor the token of what would be done "
                f"now ({preview.token}): look at it again without confirm"
            )
        given = SwitchOrder(
            pair=pair.name,
            to_site=target,
            at=asked,
            because=because,
            kind=kind,
            by=asked_by(arguments),
            force=tuple(sorted(force)),
            epoch=known.lease.epoch,
            id=id_,
        )
        if not preview.may_start:
            self._tell(f"{kind}.refused", given, preview.refusals, run, acted=False, overrode=())
            raise Declined(f"{kind} of {pair.name} to {target} is refused. " + " ".join(preview.refusals))
        return self._give(given, run, overrode=overrode(facts, force))

    def _give(self, order: SwitchOrder, run: str, *, overrode: tuple[Rule, ...] = ()) -> Result:
        stands = self._orders.offer(order)
        if stands.id != order.id and order.kind is Kind.RESTORE:
            # A restore waits for what this one may override; a move waits for the row, and would keep it lost.
            self._orders.close(stands)
            stands = self._orders.offer(order)
        if stands.id != order.id:
            raise Declined(f"pair {order.pair}: {_standing(stands)}. It is carried out or refused within {GOOD_FOR}")
        self._tell(f"{order.kind}.ordered", order, (order.because,), run, acted=True, overrode=overrode)
        return {"order": order.id}

    def _target(self, kind: Kind, pair: Pair, lease: Lease, to: str) -> SiteName:
        sites = [member.site for member in pair.members]
        if to and to not in sites:
            raise BadInput(f"argument to is {to!r}, no site of pair {pair.name}: {' or '.join(sites)}")
        if kind is Kind.FAILBACK:
            if to and to != pair.preferred:
                raise BadInput(f"argument to is {to!r}: a failback goes to {pair.preferred}, which the policy prefers")
            return pair.preferred
        return SiteName(to) if to else next(site for site in sites if site != lease.owner)

    # --- what is known ---

    def _known(self, pair: Pair) -> Known:
        lease, damage = None, ""
        try:
            lease = self._leases.read(pair.name)
        except Permanent as error:
            damage = str(error)
        return Known(
            lease=lease,
            damage=damage,
            beats=self._heartbeats.of(pair.name),
            failover=self._failovers.of(pair.name, now=self._clock.now()),
            standing=self._controls.read(),
            order=self._orders.pending(pair.name),
        )

    def _facts(self, pair: Pair, known: Known, lease: Lease, target: SiteName) -> Facts:
        now = self._clock.now()
        order = known.order if known.order is not None and now - known.order.at <= GOOD_FOR else None
        sides = {one.site: self._side(one.site, known.beats.get(one.site), pair) for one in pair.members}
        return Facts(
            owner=lease.owner,
            epoch=lease.epoch,
            held=lease.state is LeaseState.HELD,
            target=sides.pop(target),
            others=tuple(sides.values()),
            state=known.failover.state.value,
            in_hand=known.failover.state in IN_HAND,
            pair=pair.name,
            stopped=stopped(known.standing, pair.name) or "",
            goes_on=goes_on(known.standing, pair.name),
            standing="" if order is None else _standing(order),
            blocked_until=blocked_until(pair, known.failover, known.standing, now),
            data=pair.data,
            unprotected=_unprotected(known.failover, target),
            short=known.failover.short.get(target, ""),
            if_short=pair.surge[target].short if target in pair.surge else Short.WARN,
        )

    def _side(self, site: SiteName, beat: Heartbeat | None, pair: Pair) -> Side:
        if beat is None or not pair.agents:  # a beat of before there were none tells nothing
            return Side(site=site, attended=pair.agents)
        now = self._clock.now()
        heard = age_of(beat.at, now=now)
        behind = None if beat.lag_s is None else timedelta(seconds=beat.lag_s)
        if heard is None:  # nor is known how old is what it says of its data
            ahead = beat.at - now
            return Side(site=site, ahead=ahead, active=beat.active, ready=beat.ready, lag=Lag(behind=behind))
        age = None if beat.lag_age_s is None else timedelta(seconds=beat.lag_age_s) + heard
        return Side(site=site, heard=heard, active=beat.active, ready=beat.ready, lag=Lag(behind=behind, age=age))

    def _readiness(self, arguments: Arguments) -> Result:
        """Whether the pair could fail over by itself now, judged by what is written: nothing is asked for."""
        pair = self._pair(arguments)
        known = self._known(pair)
        if known.lease is None:
            raise Declined(
                f"pair {pair.name}: {known.damage or 'it has no lease row, so nobody is active. If it ever had one'}: "
                "runbook lease-row-missing"
            )
        owner = known.lease.owner
        target = next(member.site for member in pair.members if member.site != owner)
        facts = self._facts(pair, known, known.lease, target)
        now, beats = self._clock.now(), self._heartbeats.watches(pair.name)
        listed = readiness_of(pair, facts, known.failover, beats, now)
        return {
            "pair": pair.name,
            "active": owner,
            "standby": target,
            "ready": all(one.ok for one in listed),
            "checks": json.loads(codec.dump(listed)),
        }

    # --- the switch ---

    def _switch(self, arguments: Arguments, run: str) -> Result:
        """Off: nothing moves this pair, neither a loss nor an order, until it is switched on."""
        pair, to = self._pair(arguments), optional(arguments, "to")
        if to not in ("on", "off"):
            raise BadInput(f"argument to is {to!r}; it must be on or off")
        scope, by, now = f"{SWITCH}{pair.name}", asked_by(arguments), self._clock.now()
        because = _because(arguments, needed=to == "off")
        was_off = scope in self._controls.read().pauses
        if to == "off":
            self._controls.pause(Pause(scope=scope, since=now, because=f"{because} ({by})"))
        else:
            self._controls.resume(scope, now)
        self._record(f"switch.{to}", pair.name, (because,), run, acted=was_off != (to == "off"), inputs={"by": by})
        return {"switched": to, "was": "off" if was_off else "on"}

    # --- the lease row ---

    def _restore(self, arguments: Arguments, asked: datetime, run: str) -> Result:
        """Order a missing or damaged row to be written anew; a watch does it, once nobody can be active any more."""
        pair, force = self._pair(arguments), overrides(Kind.RESTORE, texts(arguments, "force"))
        because = _because(arguments, needed=True)
        sites = [member.site for member in pair.members]
        owner = optional(arguments, "owner")
        if owner not in sites:
            raise BadInput(f"argument owner is {owner!r}; the sites of pair {pair.name} are {' and '.join(sites)}")
        epoch = arguments.get("epoch")
        if type(epoch) is not int or epoch < 2:
            raise BadInput(f"argument epoch is {epoch!r}; it must be a whole number above every epoch ever granted")
        known = self._known(pair)
        id_ = f"{Kind.RESTORE}/{pair.name}/{codec.second(asked)}"
        if id_ in (known.failover.order, known.order.id if known.order else ""):
            return {"order": id_}
        if known.lease is not None:
            raise Declined(
                f"the lease row of pair {pair.name} is sound: {known.lease.owner} has epoch {known.lease.epoch}. "
                "Nothing is restored"
            )
        stop = stopped(known.standing, pair.name)
        if stop:
            raise Declined(f"pair {pair.name}: {stop}. Resume it first: the watches write the row")
        newest, where = max(self._epochs(pair, known))
        if epoch <= newest:
            raise BadInput(f"argument epoch is {epoch}, but {where} names epoch {newest}: give {newest + 1} or more")
        order = SwitchOrder(
            pair=pair.name,
            to_site=SiteName(owner),
            at=asked,
            because=because,
            kind=Kind.RESTORE,
            by=asked_by(arguments),
            force=tuple(sorted(force)),
            epoch=Epoch(epoch),
            id=id_,
        )
        return self._give(order, run)

    def _epochs(self, pair: Pair, known: Known) -> Iterator[tuple[int, str]]:
        """Every epoch that is written anywhere we can read. The record's remark is read by the watch."""
        yield known.failover.epoch or 0, "the failover's row"
        yield from ((int(beat.epoch), f"the heartbeat of {site}") for site, beat in known.beats.items())
        found = self._leases.found(pair.name)
        written = None if found is None else found.columns.get("epoch")
        if isinstance(written, int):
            yield written, "the damaged row"
        for one in self._decisions.of(pair.name):
            if one.epoch is not None:
                yield int(one.epoch), f"the decision of {one.at.isoformat()}"

    # --- small ---

    def _pair(self, arguments: Arguments) -> Pair:
        version, policy = self._policies.active()
        name = optional(arguments, "pair")
        found = next((pair for pair in policy.pairs if pair.name == name), None)
        if found is None:
            known = ", ".join(pair.name for pair in policy.pairs) or "none"
            raise BadInput(f"argument pair is {name!r}, no pair of policy {version}; it has: {known}")
        return found

    def _tell(
        self,
        event: str,
        order: SwitchOrder,
        because: tuple[str, ...],
        run: str,
        *,
        acted: bool,
        overrode: tuple[Rule, ...],
    ) -> None:
        inputs = {
            "order": order.id,
            "to": order.to_site,
            "by": order.by,
            "force": ", ".join(order.force),
            "overrode": ", ".join(overrode),
            "epoch": str(order.epoch),
        }
        # A restore names an epoch that is yet to come: no decision may look as if it had been granted.
        epoch = None if order.kind is Kind.RESTORE else order.epoch
        self._record(event, order.pair, because, run, acted=acted, inputs=inputs, epoch=epoch)

    def _record(
        self,
        event: str,
        pair: PairName,
        because: tuple[str, ...],
        run: str,
        *,
        acted: bool,
        inputs: Mapping[str, str],
        epoch: Epoch | None = None,
    ) -> None:
        made = Decision(
            event=event,
            at=self._clock.now(),
            subject=pair,
            because=because,
            inputs=inputs,
            epoch=epoch,
            acted=acted,
            run=run,
        )
        log.decision(made)
        self._decisions.record(pair, made)


def _standing(order: SwitchOrder) -> str:
    return f"a {order.kind} to {order.to_site} of {order.at.isoformat()} stands already"


def _because(arguments: Arguments, *, needed: bool) -> str:
    because = optional(arguments, "because")
    if not because and needed:
        raise BadInput("argument because is empty: say why, for whoever reads of it later")
    return because or f"asked for by {asked_by(arguments)}"


def _unprotected(failover: Failover, target: SiteName) -> str:
    if failover.unprotected != target:
        return ""
    since = "" if failover.unprotected_since is None else f" at {failover.unprotected_since:%Y-%m-%dT%H:%M:%SZ}"
    return f"{target} was lost{since}, and is not known to be fit again"
