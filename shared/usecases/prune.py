"""Plan -> look -> guard -> certificate begun -> delete -> read back -> certificate ended.

The plan is made from our own records; before anything goes, the cloud itself is asked about every snapshot that would
go and about those that must remain. Two runs at once, or a run that repeats what a crashed one began, delete the same
things: deletion is idempotent and an expired point stays expired. A run that froze is the danger: its plan is of the
past, so it acts only for a short while after it looked, on a clock that counts frozen time.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.decision import Decision
from shared.domain.errors import DrError, Forbidden, OutcomeUnknown, Permanent, Retryable
from shared.domain.guardrails import Allowed, Evidence, Refused, guard
from shared.domain.ids import DiskId, PolicyVersion, SnapshotId
from shared.domain.inventory import Snapshot
from shared.domain.operation import OperationKind
from shared.domain.policy import Policy, Protection
from shared.domain.retention import PrunePlan, RestorePoint, describe, merge, plan_prune
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Snapshots
from shared.state import codec
from shared.state.certificates import Certificate, Certificates, CertificateState, Deletion
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies

SCOPE: Final = "prune"
ACT_WITHIN: Final = timedelta(minutes=4)
"""From looking to the last deletion. The function's time-out is 300 s or more."""
CALL_TIMEOUT: Final = timedelta(seconds=30)
WITNESSES: Final = 2
"""So many of the newest kept points of each disk are asked for in the cloud before one of its points goes."""
POLICY_CHECK_EVERY: Final = 25
"""Deletions between two looks at whether the policy was superseded meanwhile."""

GONE: Final = "gone"
INTENDED: Final = "intended"
STILL_THERE: Final = "still there"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """`because` is empty when the run did what there was to do."""

    deleted: tuple[str, ...] = ()  # ids of restore points that are read back as gone
    remaining: int = 0  # points that stay
    spared: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    stopped: str = ""
    orphans: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()  # of a dry run


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    plan: PrunePlan
    rules: Mapping[str, str] = field(default_factory=dict)  # protection -> its rules in words
    policy: PolicyVersion


class Prune:
    def __init__(
        self,
        *,
        snapshots: Snapshots,
        policies: Policies,
        controls: Controls,
        points: Points,
        certificates: Certificates,
        decisions: Decisions,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._snapshots = snapshots
        self._policies = policies
        self._controls = controls
        self._points = points
        self._certificates = certificates
        self._decisions = decisions
        self._journal = journal
        self._clock = clock

    def run(self, *, run: str, dry: bool = False, drift: bool = False) -> Pruned:
        """Let go of what the active policy no longer keeps. `dry` deletes nothing; `drift` also compares everything
        that carries our tags with our records. Raises BadInput without a policy, Retryable when the store is silent
        (then nothing was deleted)."""
        begun = self._clock.now()
        standing = self._controls.read()
        if standing.policy is None:
            self._policies.active()  # raises, with the remedy
            raise AssertionError("a policy became active between two reads")
        pause = standing.paused(SCOPE)
        if pause is not None:
            return Pruned(stopped=f"paused since {codec.second(pause.since)}: {pause.because}")
        policy = self._policies.at(standing.policy)
        records = tuple(self._points.all())
        planned = _plan(policy, standing.policy, records, begun)
        certificate = Certificate(run=run, at=begun, policy=standing.policy, state=CertificateState.BEGUN)
        if drift:
            certificate = self._compare(certificate, policy, records)
        if not planned.plan.expire:
            return self._nothing(certificate, planned, drift)
        return self._carry_out(certificate, planned, policy, dry=dry)

    # -- deciding --------------------------------------------------------------------------------------------------

    def _carry_out(self, certificate: Certificate, planned: _Plan, policy: Policy, *, dry: bool) -> Pruned:
        looked = self._clock.monotonic()
        evidence = self._look(planned.plan)
        judged = guard(planned.plan, limits=policy.prune, evidence=evidence)
        if isinstance(judged, Refused):
            if dry:  # a question leaves no trace
                return Pruned(refused=judged.because, remaining=len(planned.plan.keep) + len(planned.plan.expire))
            return self._refuse(certificate, planned, judged.because)
        intended = tuple(_deletion(point, planned) for point in judged.expire)
        if dry:
            return Pruned(
                planned=tuple(one.point for one in intended),
                remaining=len(planned.plan.keep) + len(judged.spared),
                spared=tuple(f"{one.point.id}: {one.because}" for one in judged.spared),
            )
        certificate = replace(certificate, deletions=intended)
        self._certificates.put(certificate)  # journal before effect
        stopped = self._delete(judged, certificate, looked)
        return self._read_back(certificate, planned, judged, stopped)

    def _look(self, plan: PrunePlan) -> Evidence:
        """What the cloud says about each snapshot that would go, and about those its disk would be left with."""
        doomed = {snapshot for point in plan.expire for _, snapshot in point.disks}
        disks = {disk for point in plan.expire for disk, _ in point.disks}
        wanted = doomed | _witnesses(plan, disks)
        try:
            found = {snapshot.id: snapshot for snapshot in self._snapshots.list(ids=sorted(wanted))} if wanted else {}
        except Forbidden:
            raise
        except DrError as error:
            return Evidence(inventory_complete=False, gap=str(error), usable_by_disk={}, ours=frozenset())
        gap = ""
        if wanted and not found:
            gap = f"none of {len(wanted)} known snapshots was shown: is the permission missing?"
        return Evidence(
            inventory_complete=not gap,
            gap=gap,
            usable_by_disk=_usable_by_disk(found.values()),
            # One that is gone already (a crashed run's) counts as ours: deleting it again does nothing.
            ours={one for one in doomed if one not in found or provenance.ours(found[one].tags)},
            in_use={one.id: one.usage for one in found.values() if one.usage != "none"},
        )

    def _refuse(self, certificate: Certificate, planned: _Plan, because: tuple[str, ...]) -> Pruned:
        self._certificates.put(
            replace(certificate, state=CertificateState.REFUSED, refused=because, ended=self._clock.now())
        )
        self._tell("prune.refused", certificate, because, acted=False)
        return Pruned(refused=because, remaining=len(planned.plan.keep) + len(planned.plan.expire))

    def _nothing(self, certificate: Certificate, planned: _Plan, drift: bool) -> Pruned:
        """No certificate for a run that found nothing to do, unless it compared: a row an hour says nothing."""
        if drift:
            self._certificates.put(replace(certificate, state=CertificateState.ENDED, ended=self._clock.now()))
        return Pruned(remaining=len(planned.plan.keep), orphans=certificate.orphans, missing=certificate.missing)

    # -- doing -----------------------------------------------------------------------------------------------------

    def _delete(self, judged: Allowed, certificate: Certificate, looked: float) -> str:
        """Oldest first, one by one. Returns why it stopped early, if it did; the next run goes on."""
        for done, point in enumerate(judged.expire):
            if self._clock.monotonic() - looked + CALL_TIMEOUT.total_seconds() > ACT_WITHIN.total_seconds():
                return f"what was seen is older than {ACT_WITHIN}; the next run looks again"
            if done % POLICY_CHECK_EVERY == 0 and self._policies.active_version() != certificate.policy:
                return f"policy {certificate.policy} was superseded meanwhile"
            for _, snapshot in point.disks:
                try:
                    self._snapshots.delete(snapshot)
                except OutcomeUnknown:
                    continue  # read back at the end
                except Retryable as error:
                    return f"the cloud asks for patience: {error}"
                except Forbidden:
                    raise
                except Permanent as error:
                    log.event("snapshot.not_deleted", run=certificate.run, subject=snapshot, because=[str(error)])
        return ""

    def _read_back(self, certificate: Certificate, planned: _Plan, judged: Allowed, stopped: str) -> Pruned:
        """One batched look: only what is no longer shown is gone. Its record goes last."""
        ids = [snapshot for point in judged.expire for _, snapshot in point.disks]
        left = self._witness_and_left(planned.plan, ids)
        still = {snapshot.id for snapshot in left if snapshot.id in set(ids)}
        outcomes: list[Deletion] = []
        gone: list[RestorePoint] = []
        for point, deletion in zip(judged.expire, certificate.deletions, strict=True):
            remains = [snapshot for _, snapshot in point.disks if snapshot in still]
            if not remains:
                gone.append(point)
            because = f"{', '.join(remains)} still shown{': ' + stopped if stopped else ''}" if remains else ""
            outcomes.append(replace(deletion, outcome=STILL_THERE if remains else GONE, because=because))
        outcomes += [
            replace(_deletion(one.point, planned), outcome="spared", because=f"{one.rule}: {one.because}")
            for one in judged.spared
        ]
        for point in gone:
            self._points.forget(point)
        remaining = _remaining(planned.plan, gone)
        ended = replace(
            certificate,
            state=CertificateState.ENDED,
            deletions=tuple(outcomes),
            remaining=remaining,
            newest=_newest(left, set(ids)),
            ended=self._clock.now(),
        )
        self._certificates.put(ended)
        reasons = [f"{len(gone)} of {len(judged.expire)} expired restore points are gone"]
        if stopped:
            reasons.append(stopped)
        self._tell("prune.stopped" if stopped else "prune.ended", ended, tuple(reasons), acted=True)
        return Pruned(
            deleted=tuple(point.id for point in gone),
            remaining=len(planned.plan.keep) + len(planned.plan.expire) - len(gone),
            spared=tuple(f"{one.point.id}: {one.because}" for one in judged.spared),
            stopped=stopped,
            orphans=ended.orphans,
            missing=ended.missing,
        )

    def _witness_and_left(self, plan: PrunePlan, ids: Sequence[SnapshotId]) -> tuple[Snapshot, ...]:
        disks = {disk for point in plan.expire for disk, _ in point.disks}
        wanted = set(ids) | _witnesses(plan, disks)
        return tuple(self._snapshots.list(ids=sorted(wanted))) if wanted else ()

    # -- drift -----------------------------------------------------------------------------------------------------

    def _compare(self, certificate: Certificate, policy: Policy, records: Sequence[RestorePoint]) -> Certificate:
        """Everything that carries our tags against everything we remember. Reported, never acted on: what an unfinished
        operation made is not judged yet, and a point that somebody deleted by hand must not count as usable."""
        shown: dict[SnapshotId, Snapshot] = {}
        for protection in policy.protections:
            for snapshot in self._snapshots.list(tags={provenance.PROTECTION: protection.name}):
                shown[snapshot.id] = snapshot
        unseen = sorted({one for point in records for _, one in point.disks if one not in shown})
        if unseen:
            # Whether tags reach every member of a group is not documented: ask by id before calling a point lost.
            shown.update((snapshot.id, snapshot) for snapshot in self._snapshots.list(ids=unseen))
        known = {snapshot for point in records for _, snapshot in point.disks}
        unjudged = {
            provenance.operation_tag(operation.id) for operation in self._journal.open_of(OperationKind.BACK_UP)
        }
        orphans = tuple(
            sorted(
                one.id
                for one in shown.values()
                if one.id not in known and one.tags.get(provenance.OPERATION) not in unjudged
            )
        )
        lost = [
            point for point in records if not point.failed and any(snapshot not in shown for _, snapshot in point.disks)
        ]
        if lost and not shown:
            because = ("no snapshot with our tags is shown at all: permission missing? Nothing is concluded from it",)
            self._tell("drift.unknown", certificate, because, acted=False)
            return certificate
        self._points.put(replace(point, usable=False, complete=False, failed=True) for point in lost)
        if orphans or lost:
            reasons = (
                *(f"orphan {one}: carries our tags, no restore point holds it" for one in orphans[:20]),
                *(f"point {one.id}: its snapshots are not shown any more" for one in lost[:20]),
            )
            self._tell("drift.found", certificate, reasons, acted=False)
        return replace(certificate, orphans=orphans, missing=tuple(one.id for one in lost))

    def _tell(self, event: str, certificate: Certificate, because: tuple[str, ...], *, acted: bool) -> None:
        made = Decision(
            event=event,
            at=self._clock.now(),
            subject=SCOPE,
            because=because,
            inputs={"certificate": codec.moment(certificate.at)},
            policy=certificate.policy,
            acted=acted,
            run=certificate.run,
        )
        log.decision(made)
        self._decisions.record(SCOPE, made)


def _plan(policy: Policy, version: PolicyVersion, records: Sequence[RestorePoint], now: datetime) -> _Plan:
    """Points of a protection that the policy does not name any more are kept: no rule says that they may go."""
    by_protection: dict[str, list[RestorePoint]] = {}
    for point in records:
        by_protection.setdefault(point.protection, []).append(point)
    plans = [
        plan_prune(by_protection[protection.name], protection.keep, zone=_zone(protection), now=now)
        for protection in policy.protections
        if protection.name in by_protection
    ]
    rules = {protection.name: describe(protection.keep) for protection in policy.protections}
    return _Plan(plan=merge(plans), rules=rules, policy=version)


def _zone(protection: Protection) -> str:
    return protection.schedules[0].zone if protection.schedules else "UTC"


def _witnesses(plan: PrunePlan, disks: Collection[DiskId]) -> set[SnapshotId]:
    """The newest kept points of each disk: what it would be left with."""
    wanted: set[SnapshotId] = set()
    counts: dict[DiskId, int] = {}
    for kept in reversed(plan.keep):
        if not kept.point.counts:
            continue
        for disk, snapshot in kept.point.disks:
            if disk in disks and counts.get(disk, 0) < WITNESSES:
                counts[disk] = counts.get(disk, 0) + 1
                wanted.add(snapshot)
    return wanted


def _usable_by_disk(found: Collection[Snapshot]) -> dict[DiskId, set[SnapshotId]]:
    usable: dict[DiskId, set[SnapshotId]] = {}
    for snapshot in found:
        if snapshot.usable:
            usable.setdefault(snapshot.disk, set()).add(snapshot.id)
    return usable


def _newest(left: Sequence[Snapshot], doomed: Collection[SnapshotId]) -> dict[str, str]:
    """By disk, the newest usable snapshot that was read back after the deletions."""
    best: dict[str, Snapshot] = {}
    for snapshot in left:
        if snapshot.usable and snapshot.id not in doomed:
            held = best.get(snapshot.disk)
            if held is None or held.created < snapshot.created:
                best[snapshot.disk] = snapshot
    return {disk: snapshot.id for disk, snapshot in sorted(best.items())}


def _remaining(plan: PrunePlan, gone: Sequence[RestorePoint]) -> dict[str, int]:
    """Usable points left, by disk, of every disk in the plan."""
    counts: dict[str, int] = {}
    vanished = {point.id for point in gone}
    for point in (*(kept.point for kept in plan.keep), *plan.expire):
        for disk, _ in point.disks:
            counts.setdefault(disk, 0)
            if point.counts and point.id not in vanished:
                counts[disk] += 1
    return dict(sorted(counts.items()))


def _deletion(point: RestorePoint, planned: _Plan) -> Deletion:
    rule = planned.rules.get(point.protection, "")
    return Deletion(
        point=point.id,
        subject=point.subject,
        slot=point.slot,
        taken=point.taken,
        snapshots=tuple(snapshot for _, snapshot in point.disks),
        rule=f"not among {rule}" if not point.failed else "failed, and its disks have usable points",
        outcome=INTENDED,
    )
