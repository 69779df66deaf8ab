"""How things stand, as one value: for the page, for JSON, for the CLI. Reads the state store only; changes nothing.

What is read here is memory, not the cloud: a point that somebody deleted by hand an hour ago still shows until prune
compares. Who holds a lease is not who is active: that is measured from the masters' own accept logs.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Final

from shared.domain.assumptions import NOTHING_MEASURED, Known, Measured
from shared.domain.ids import DiskId, InstanceId, OperationId, PolicyVersion, SnapshotId
from shared.domain.objectives import measure, recovery_point_age, worst_gap
from shared.domain.operation import Operation, OperationKind
from shared.domain.plan import Stands
from shared.domain.policy import Policy
from shared.domain.readiness import roles
from shared.domain.rebuild import CHANGED_ADDRESSES
from shared.domain.recovery_bound import Bound, recovery_bound
from shared.domain.retention import RestorePoint
from shared.observability.view import (
    AddressView,
    BoundView,
    CertificateView,
    CopiesView,
    DiskView,
    OperationView,
    PauseView,
    RoleView,
    SkipView,
    SlotsView,
    StatusView,
)
from shared.ports.clock import Clock
from shared.state.certificates import Certificate, Certificates, Fate
from shared.state.controls import Controls, Standing
from shared.state.decisions import Decisions
from shared.state.failovers import Failovers
from shared.state.families import Families
from shared.state.fleet import Fleet
from shared.state.heartbeats import Heartbeats
from shared.state.journal import Journal
from shared.state.leases import Leases
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.slots import Slot, Slots, SlotState
from shared.usecases.failover.pairs_standing import PairsStanding
from shared.usecases.recovery.plan_record import waves_of
from shared.usecases.recovery.suspicion import unanswered

WINDOW: Final = timedelta(days=7)
"""How far back the worst RPO and the slots are counted."""
SKIPS_SHOWN: Final = 20
ADDRESSES_SHOWN: Final = 50
OPERATIONS_SHOWN: Final = 50
REASONS_SHOWN: Final = 8
SUBJECTS: Final = 200
ROWS: Final = 20_000
"""Instances, and rows of theirs, that one view reads at most. A larger fleet is shown in pages."""
BOUNDS_KEPT: Final = 100
_PARTICULARS: Final = re.compile(r"(?:\s+(?:from|of|within))?\s*[\d:(,]")


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
        fleet: Fleet,
        clock: Clock,
        families: Families | None = None,
        decisions: Decisions | None = None,
    ) -> None:
        self._policies = policies
        self._controls = controls
        self._journal = journal
        self._points = points
        self._slots = slots
        self._certificates = certificates
        self._pairs = PairsStanding(leases=leases, heartbeats=heartbeats, failovers=failovers)
        self._clock = clock
        self._fleet = fleet
        self._families = families
        self._decisions = decisions
        self._bounds: dict[object, Bound] = {}

    def view(self, *, after: str = "") -> StatusView:
        """Of as many instances behind `after` as one request can bear; `following` says where the next view begins.

        Raises Retryable when the store cannot be read: an old page is better than a wrong one."""
        now = self._clock.now()
        standing = self._controls.read()
        policy = None if standing.policy is None else self._policies.at(standing.policy)
        history = _History(since=now - WINDOW, now=now)
        points, following = self._read(history, after)
        made = history.with_those(points)
        bounds = () if policy is None else self._bounds_of(policy, standing.policy, made, now)
        return StatusView(
            at=now,
            policy=standing.policy,
            pauses=_pauses(standing),
            disks=_disks(points, history, policy, bounds, now),
            slots=history.counts(),
            skips=history.skips(),
            operations=self._operations(standing),
            pairs=() if policy is None else self._pairs.views(policy, standing, now),
            prune=next(map(_certificate, self._certificates.newest(1)), None),
            bounds=tuple(_bound(one) for one in bounds),
            copies=_copies(points, policy, now),
            roles=() if policy is None or self._families is None else _roles(policy, self._families),
            addresses=() if self._decisions is None else _addresses(self._decisions, now),
            after=after,
            following=following,
        )

    def _read(self, history: "_History", after: str) -> tuple[list[RestorePoint], str]:
        """The points of as many subjects as can be borne, and their slots into `history`; whom it ended with, if there
        are more."""
        points: list[RestorePoint] = []
        last, rows = "", 0
        for number, subject in enumerate(self._fleet.subjects(after=after)):
            if number >= SUBJECTS or rows >= ROWS:
                return points, last
            last = subject
            own = list(self._points.of(InstanceId(subject)))
            points += own
            rows += len(own) + history.read(self._slots.of(subject))
        return points, ""

    def _bounds_of(
        self, policy: Policy, version: PolicyVersion | None, points: Sequence[RestorePoint], now: datetime
    ) -> tuple[Bound, ...]:
        """Worked out once a day and for each new longest duration: it looks at a year of due times."""
        measured = measure(points, since=now - WINDOW)
        bounds = []
        for protection in policy.protections:
            own = measured.get(protection.name, NOTHING_MEASURED)
            key = (version, protection.name, now.date(), own.usable, own.points > 0)
            if key not in self._bounds:
                if len(self._bounds) >= BOUNDS_KEPT:
                    self._bounds.clear()
                known = Known(measured={protection.name: Measured(usable=own.usable, points=own.points)})
                self._bounds[key] = recovery_bound(protection, disks=(), known=known, since=now)
            bounds.append(self._bounds[key])
        return tuple(bounds)

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


def _disks(
    points: Sequence[RestorePoint],
    history: "_History",
    policy: Policy | None,
    bounds: Sequence[Bound],
    now: datetime,
) -> tuple[DiskView, ...]:
    """Every disk that has a point, or had one in the window."""
    targets = {} if policy is None else {one.name: one.rpo_target for one in policy.protections}
    at_most = {one.protection: one.length for one in bounds}
    held: dict[DiskId, list[RestorePoint]] = {}
    for point in points:
        for disk, _ in point.disks:
            held.setdefault(disk, []).append(point)
    views = []
    for disk in sorted({*held, *history.disks}):
        current, made = held.get(disk, []), history.disks.get(disk, [])
        here = [point for point in current if not point.copy_of and not point.safety]
        known = [*here, *made]
        start = min((point.taken for point in known), default=now)
        worst = worst_gap(made, disk=disk, start=max(start, now - WINDOW), end=now) if made else None
        protections = sorted({point.protection for point in known if point.protection in targets})
        newest = max((one for one in here if one.counts and one.taken <= now), key=_taken, default=None)
        found = [bound for one in protections if (bound := at_most[one]) is not None]
        views.append(
            DiskView(
                disk=disk,
                instance=", ".join(sorted({point.subject for point in (known or current)})),
                points=sum(1 for point in here if point.counts),
                rpo_now=recovery_point_age(here, disk=disk, now=now),
                rpo_worst=None if worst is None else worst.length,
                rpo_target=min((targets[one] for one in protections), default=None),
                rpo_bound=min(found, default=None),
                level="" if newest is None else newest.level.value,
                protections=tuple(protections),
                copies=sum(1 for point in current if point.copy_of and point.counts),
            )
        )
    return tuple(views)


def _copies(points: Sequence[RestorePoint], policy: Policy | None, now: datetime) -> tuple[CopiesView, ...]:
    """What waits for its copy."""
    waiting: dict[tuple[str, str], list[datetime]] = {}
    for point in points:
        for region in point.uncopied:
            if not point.failed:
                waiting.setdefault((point.protection, region), []).append(point.taken)
    views = []
    for (name, region), taken in sorted(waiting.items()):
        protection = None if policy is None else policy.protection(name)
        rules = () if protection is None else protection.copies
        within = next((rule.within for rule in rules if rule.region == region), None)
        overdue = 0 if within is None else sum(1 for one in taken if one + within < now)
        views.append(CopiesView(protection=name, region=region, waiting=len(taken), overdue=overdue, oldest=min(taken)))
    return tuple(views)


def _roles(policy: Policy, families: Families) -> tuple[RoleView, ...]:
    views = []
    for role in roles(policy):
        judged = families.readiness(role.family)
        if judged is None:
            views.append(RoleView(family=role.family, ready=False))
            continue
        views.append(
            RoleView(
                family=role.family,
                ready=judged.ready,
                lacks=judged.lacks,
                image=judged.image or "",
                version=judged.version,
                made=judged.made,
                regions=judged.regions,
                judged=judged.at,
            )
        )
    return tuple(views)


def _bound(bound: Bound) -> BoundView:
    return BoundView(protection=bound.protection, at_most=bound.length, target=bound.target, because=str(bound))


def _taken(point: RestorePoint) -> datetime:
    return point.taken


class _History:
    """Slots of the window, counted, and the points they made: prune takes points away, their slots remember them."""

    def __init__(self, *, since: datetime, now: datetime) -> None:
        self._since = since
        self._now = now
        self._counts: dict[tuple[str, str], Counter[SlotState]] = {}
        self._reasons: dict[tuple[str, str], Counter[str]] = {}
        self._skips: list[Slot] = []
        self.disks: dict[DiskId, list[RestorePoint]] = {}

    def read(self, newest_first: Iterable[Slot]) -> int:
        """The window's slots of one subject, and the newest taken one before it, which opens its first gap."""
        rows = 0
        for slot in newest_first:
            rows += 1
            self.add(slot)
            if slot.due < self._since and slot.taken is not None:
                break
            if rows >= ROWS:
                break
        return rows

    def add(self, slot: Slot) -> None:
        if slot.taken is not None:
            for disk in slot.disks:
                self.disks.setdefault(disk, []).append(_as_point(slot))
        times = slot.count_since(self._since)
        if not times:
            return
        key = (slot.protection, slot.schedule)
        self._counts.setdefault(key, Counter())[slot.state] += times
        if slot.state is SlotState.SKIPPED:
            self._reasons.setdefault(key, Counter())[_in_general(slot.because)] += times
            self._skips.append(slot)

    def with_those(self, points: Sequence[RestorePoint]) -> list[RestorePoint]:
        """`points`, and those that were made in the window and are gone since, each once."""
        known = {point.key for point in points}
        gone = {point.key: point for made in self.disks.values() for point in made if point.key not in known}
        return [*points, *gone.values()]

    def counts(self) -> tuple[SlotsView, ...]:
        return tuple(
            SlotsView(
                protection=protection,
                schedule=schedule,
                due=count.total(),
                taken=count[SlotState.TAKEN],
                late=count[SlotState.LATE],
                skipped=count[SlotState.SKIPPED],
                reasons=dict(self._reasons.get((protection, schedule), Counter()).most_common(REASONS_SHOWN)),
            )
            for (protection, schedule), count in sorted(self._counts.items())
        )

    def skips(self) -> tuple[SkipView, ...]:
        newest = sorted(self._skips, key=lambda slot: slot.due, reverse=True)[:SKIPS_SHOWN]
        return tuple(SkipView(subject=slot.subject, due=slot.due, because=_told(slot)) for slot in newest)


def _told(slot: Slot) -> str:
    """Of a stretch: how many slots the row tells of, as `due` is only the newest."""
    since = "" if slot.since is None else f" ({slot.count} slots since {slot.since:%Y-%m-%d %H:%M}Z)"
    return slot.because + since


def _in_general(because: str) -> str:
    """A reason without its particulars: `paused from 2026-...: migration` is `paused`."""
    return _PARTICULARS.split(because, maxsplit=1)[0].strip() or because[:40]


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
        steps=_steps(operation),
    )


def _steps(operation: Operation) -> tuple[str, ...]:
    """Of a recovery plan its waves, in words."""
    if operation.kind is OperationKind.PLAN:
        return Stands(waves=waves_of(operation)).in_words()
    return tuple(f"{step.name}: {step.state.value}" for step in operation.steps)


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


def _addresses(decisions: Decisions, now: datetime) -> tuple[AddressView, ...]:
    """Of one rebuild once, however often a crash had it told."""
    found: dict[str, AddressView] = {}
    for one in decisions.of(CHANGED_ADDRESSES, newest=ADDRESSES_SHOWN):
        if now - one.at > WINDOW:
            break
        found[one.inputs["operation"]] = AddressView(
            at=one.at,
            instance=one.inputs["instance"],
            before=one.inputs["before"],
            replacement=one.inputs["replacement"],
            now=one.inputs["now"],
        )
    return tuple(found.values())
