"""How things stand, as one value: for the page, for JSON, for the CLI. Reads the state store only; changes nothing.

What is read here is memory, not the cloud: a point that somebody deleted by hand an hour ago still shows until prune
compares. Who holds a lease is not who is active: that is measured from the masters' own accept logs.
"""

from collections import Counter
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Final

from shared.domain.ids import DiskId, InstanceId, OperationId, PolicyVersion, SnapshotId
from shared.domain.objectives import recovery_point_age, worst_gap
from shared.domain.operation import Operation, OperationKind
from shared.domain.policy import Pair, Policy
from shared.domain.retention import RestorePoint
from shared.observability.view import (
    CertificateView,
    DiskView,
    OperationView,
    PairView,
    PauseView,
    SkipView,
    SlotsView,
    StatusView,
    WatchView,
)
from shared.ports.clock import Clock
from shared.state.certificates import Certificate, Certificates, Fate
from shared.state.controls import Controls, Standing
from shared.state.failovers import Failovers
from shared.state.heartbeats import OVERDUE, Heartbeats
from shared.state.journal import Journal
from shared.state.leases import Leases
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.slots import Slot, Slots, SlotState
from shared.usecases.suspicion import unanswered

WINDOW: Final = timedelta(days=7)
"""How far back the worst RPO and the slots are counted."""
SKIPS_SHOWN: Final = 20
OPERATIONS_SHOWN: Final = 50


class Status:
    def __init__(
        self,
        *,
        policies: Policies,
        controls: Controls,
        journal: Journal,
        points: Points,
        slots: Slots,
        certificates: Certificates,
        leases: Leases,
        heartbeats: Heartbeats,
        failovers: Failovers,
        clock: Clock,
    ) -> None:
        self._policies = policies
        self._controls = controls
        self._journal = journal
        self._points = points
        self._slots = slots
        self._certificates = certificates
        self._leases = leases
        self._heartbeats = heartbeats
        self._failovers = failovers
        self._clock = clock

    def view(self) -> StatusView:
        """Raises Retryable when the store cannot be read: an old page is better than a wrong one."""
        now = self._clock.now()
        standing = self._controls.read()
        policy = None if standing.policy is None else self._policies.at(standing.policy)
        history = _History(since=now - WINDOW, now=now)
        for slot in self._slots.all():
            history.add(slot)
        return StatusView(
            at=now,
            policy=standing.policy,
            pauses=_pauses(standing),
            disks=self._disks(history, policy, now),
            slots=history.counts(),
            skips=history.skips(),
            operations=self._operations(standing),
            pairs=() if policy is None else self._pairs(policy, now),
            prune=next(map(_certificate, self._certificates.newest(1)), None),
        )

    def _disks(self, history: "_History", policy: Policy | None, now: datetime) -> tuple[DiskView, ...]:
        """Every disk that has a point, or had one in the window."""
        targets = {} if policy is None else {one.name: one.rpo_target for one in policy.protections}
        held: dict[DiskId, list[RestorePoint]] = {}
        for point in self._points.all():
            for disk, _ in point.disks:
                held.setdefault(disk, []).append(point)
        views = []
        for disk in sorted({*held, *history.disks}):
            current, made = held.get(disk, []), history.disks.get(disk, [])
            known = [*current, *made]
            start = min((point.taken for point in known), default=now)
            worst = worst_gap(made, disk=disk, start=max(start, now - WINDOW), end=now) if made else None
            owners = {point.subject for point in known}
            target = min((targets[point.protection] for point in known if point.protection in targets), default=None)
            views.append(
                DiskView(
                    disk=disk,
                    instance=", ".join(sorted(owners)),
                    points=sum(1 for point in current if point.counts),
                    rpo_now=recovery_point_age(current, disk=disk, now=now),
                    rpo_worst=None if worst is None else worst.length,
                    rpo_target=target,
                )
            )
        return tuple(views)

    def _operations(self, standing: Standing) -> tuple[OperationView, ...]:
        """Those that wait for an operator first, then those under way. A row that cannot be read shows as such."""
        now = self._clock.now()
        damaged: list[OperationId] = []
        waiting = (
            _operation(one, f"needs operator: {one.result.get('because', 'no reason given')}")
            for one in self._journal.waiting(*OperationKind)
            if unanswered(one, standing.acknowledged.get)
        )
        under_way = (
            _operation(one, one.because)
            for one in self._journal.open_of(*OperationKind, sweep=False, damaged=damaged)  # its role cannot delete
        )
        views = tuple(islice(chain(waiting, under_way), OPERATIONS_SHOWN))
        return (*(_unreadable(id_, now) for id_ in damaged), *views)

    def _pairs(self, policy: Policy, now: datetime) -> tuple[PairView, ...]:
        views = []
        for pair in policy.pairs:
            lease = self._leases.read(pair.name)
            failover = self._failovers.of(pair.name, now=now)
            beats = self._heartbeats.of(pair.name)
            views.append(
                PairView(
                    pair=pair.name,
                    name=f"{pair.name_host}.{pair.name_zone}",
                    preferred=pair.preferred,
                    lease_owner=None if lease is None else lease.owner,
                    lease_state="none" if lease is None else lease.state.value,
                    epoch=None if lease is None else lease.epoch,
                    failover=failover.state.value,
                    because=failover.because,
                    since=failover.since,
                    agents=tuple(
                        f"{site}: {'active' if beat.active else 'standing by'}, "
                        f"{'ready' if beat.ready else 'not ready'}, heard {_ago(now - beat.at)} ago"
                        for site, beat in sorted(beats.items())
                    ),
                    watches=self._watches(pair, now),
                )
            )
        return tuple(views)

    def _watches(self, pair: Pair, now: datetime) -> tuple[WatchView, ...]:
        """One per site: a watch that nobody hears leaves everything it watches looking well."""
        ticks = self._heartbeats.watches(pair.name)
        views = []
        for member in pair.members:
            tick = ticks.get(member.site)
            heard = None if tick is None else max(timedelta(0), now - tick.at)
            views.append(WatchView(site=member.site, heard=heard, running=heard is not None and heard <= OVERDUE))
        return tuple(views)


class _History:
    """Slots of the window, counted, and the points they made: prune takes points away, their slots remember them."""

    def __init__(self, *, since: datetime, now: datetime) -> None:
        self._since = since
        self._now = now
        self._counts: dict[tuple[str, str], Counter[SlotState]] = {}
        self._skips: list[Slot] = []
        self.disks: dict[DiskId, list[RestorePoint]] = {}

    def add(self, slot: Slot) -> None:
        if slot.taken is not None:
            for disk in slot.disks:
                self.disks.setdefault(disk, []).append(_as_point(slot))
        if slot.due < self._since:
            return
        self._counts.setdefault((slot.protection, slot.schedule), Counter())[slot.state] += 1
        if slot.state is SlotState.SKIPPED:
            self._skips.append(slot)

    def counts(self) -> tuple[SlotsView, ...]:
        return tuple(
            SlotsView(
                protection=protection,
                schedule=schedule,
                due=count.total(),
                taken=count[SlotState.TAKEN],
                late=count[SlotState.LATE],
                skipped=count[SlotState.SKIPPED],
            )
            for (protection, schedule), count in sorted(self._counts.items())
        )

    def skips(self) -> tuple[SkipView, ...]:
        newest = sorted(self._skips, key=lambda slot: slot.due, reverse=True)[:SKIPS_SHOWN]
        return tuple(SkipView(subject=slot.subject, due=slot.due, because=slot.because) for slot in newest)


def _as_point(slot: Slot) -> RestorePoint:
    assert slot.taken is not None
    return RestorePoint(
        id=slot.point,
        subject=InstanceId(slot.subject),
        slot=slot.due,
        schedule=slot.schedule,
        taken=slot.taken,
        usable=True,
        complete=True,
        disks=tuple((disk, SnapshotId("")) for disk in slot.disks),
        protection=slot.protection,
        policy=PolicyVersion(0),
        usable_since=slot.usable,
    )


def _operation(operation: Operation, because: str) -> OperationView:
    return OperationView(
        id=operation.id,
        kind=operation.kind.value,
        subject=operation.subject,
        since=operation.created,
        because=because,
        steps=tuple(f"{step.name}: {step.state.value}" for step in operation.steps),
    )


def _unreadable(id_: OperationId, now: datetime) -> OperationView:
    return OperationView(
        id=id_, kind="unknown", subject="unknown", since=now, because="needs operator: its row cannot be read", steps=()
    )


def _pauses(standing: Standing) -> tuple[PauseView, ...]:
    return tuple(
        PauseView(scope=pause.scope, since=pause.since, because=pause.because)
        for pause in sorted(standing.pauses.values(), key=lambda pause: pause.scope)
    )


def _certificate(certificate: Certificate) -> CertificateView:
    return CertificateView(
        at=certificate.at,
        state=certificate.state.value,
        outcomes={name: count for name, count in certificate.outcomes.items() if name != Fate.KEPT},
        refused=certificate.refused,
        orphans=len(certificate.orphans),
        missing=len(certificate.missing),
    )


def _ago(age: timedelta) -> str:
    return f"{max(0, round(age.total_seconds()))} s"
