"""Plan -> look -> guard -> certificate begun -> delete -> read back -> certificate ended.

The plan is made from our own records; before anything goes, the cloud itself is asked about every snapshot that would
go and about those that must remain. A run that repeats what a crashed one began deletes the same things: deletion is
idempotent and an expired point stays expired. Two runs at once are another matter: with different plans, each would
count the other's victims among what stays. So the deployment lets one run at a time (reserved concurrency of 1), and a
run that froze and thaws beside another one deletes nothing more: it acts only for a short while after it looked, on a
clock that counts frozen time, and asks before each point whether what it acts on still stands.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.decision import Decision
from shared.domain.errors import DrError, Forbidden, OutcomeUnknown, Permanent, Retryable
from shared.domain.guardrails import Allowed, Evidence, Refused, guard
from shared.domain.ids import DiskId, InstanceId, PolicyVersion, SnapshotId
from shared.domain.inventory import Snapshot, SnapshotState
from shared.domain.operation import OperationKind
from shared.domain.place import Place
from shared.domain.policy import Policy
from shared.domain.retention import PrunePlan, RestorePoint, describe, merge, plan_prune
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Clouds, Snapshots
from shared.state import codec
from shared.state.certificates import BECAUSE, FINDINGS, Certificate, Certificates, CertificateState, Deletion, fitting
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
LOST_AFTER: Final = timedelta(hours=20)
"""A point counts as lost when two comparisons at least so far apart both missed it, and none between showed it: one
listing that was short proves nothing. Under a day, so that the next day's comparison settles it."""

GONE: Final = "gone"
INTENDED: Final = "intended"
STILL_THERE: Final = "still there"
SPARED: Final = "spared"


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
    waiting: int = 0  # points that may go, but that this run's certificate has no room for: the next run's


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    plan: PrunePlan
    rules: Mapping[str, str] = field(default_factory=dict)  # protection -> its rules in words
    policy: PolicyVersion


class Prune:
    def __init__(
        self,
        *,
        clouds: Clouds,
        policies: Policies,
        controls: Controls,
        points: Points,
        certificates: Certificates,
        decisions: Decisions,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._clouds = clouds
        self._policies = policies
        self._controls = controls
        self._points = points
        self._certificates = certificates
        self._decisions = decisions
        self._journal = journal
        self._clock = clock

    def run(self, *, run: str, dry: bool = False, drift: bool | None = False) -> Pruned:
        """Let go of what the active policy no longer keeps. `dry` deletes and writes nothing; `drift` also compares
        everything that carries our tags with our records (None: when no run did on this day, UTC). Raises BadInput
        without a policy, Retryable when the store is silent (then nothing was deleted)."""
        begun = self._clock.now()
        standing = self._controls.read()
        if standing.policy is None:
            self._policies.active()  # raises, with the remedy
            raise AssertionError("a policy became active between two reads")
        pause = standing.paused(SCOPE)
        if pause is not None:
            return Pruned(stopped=f"paused since {codec.second(pause.since)}: {pause.because}")
        policy = self._policies.at(standing.policy)
        self._snapshots: Snapshots = self._clouds.at(Place(policy.region)).snapshots
        records = tuple(self._points.all())
        planned = _plan(policy, standing.policy, records, begun)
        certificate = Certificate(run=run, at=begun, policy=standing.policy, state=CertificateState.BEGUN)
        compared = False
        if self._comparison_is_due(begun) if drift is None else drift:
            certificate, compared = self._compare(certificate, policy, records, dry=dry)
        if not planned.plan.expire:
            return self._nothing(certificate, planned, certify=compared and not dry)
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
        room = fitting(intended)
        if dry:
            return Pruned(
                planned=tuple(one.point for one in intended),
                remaining=len(planned.plan.keep) + len(judged.spared),
                spared=tuple(f"{one.point.id}: {one.because}" for one in judged.spared),
                orphans=certificate.orphans,
                missing=certificate.missing,
                waiting=len(intended) - room,
            )
        certificate = replace(certificate, deletions=intended[:room])
        self._certificates.put(certificate)  # journal before effect
        fits = replace(judged, expire=judged.expire[:room])
        stopped, held = self._delete(fits, certificate, looked)
        return self._read_back(certificate, planned, fits, stopped, held, waiting=len(intended) - room)

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
            return Evidence(
                inventory_complete=False, gap=str(error), usable_by_disk={}, complete_by_disk={}, ours=frozenset()
            )
        gap = ""
        if wanted and not found:
            gap = f"none of {len(wanted)} known snapshots was shown: is the permission missing?"
        return Evidence(
            inventory_complete=not gap,
            gap=gap,
            usable_by_disk=_by_disk(one for one in found.values() if one.usable),
            complete_by_disk=_by_disk(
                one for one in found.values() if one.usable and one.state is SnapshotState.ACCOMPLISHED
            ),
            shown=frozenset(found),
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

    def _nothing(self, certificate: Certificate, planned: _Plan, *, certify: bool) -> Pruned:
        """No certificate for a run that found nothing to do, unless it compared: a row an hour says nothing."""
        if certify:
            self._certificates.put(replace(certificate, state=CertificateState.ENDED, ended=self._clock.now()))
        return Pruned(remaining=len(planned.plan.keep), orphans=certificate.orphans, missing=certificate.missing)

    # -- doing -----------------------------------------------------------------------------------------------------

    def _delete(
        self, judged: Allowed, certificate: Certificate, looked: float
    ) -> tuple[str, frozenset[tuple[InstanceId, str]]]:
        """Oldest first, one by one. Returns why it stopped early, if it did (the next run goes on), and the keys of
        the points that were pinned meanwhile.

        Two reads before each point: one of controls (a pause, another policy), one of its pin."""
        held: set[tuple[InstanceId, str]] = set()
        for point in judged.expire:
            try:
                stopped = self._overtaken(certificate.policy)
                pinned = not stopped and self._points.pinned(point)
            except Retryable as error:
                stopped, pinned = f"nobody can say whether it may go on: {error}", False
            if stopped:
                return stopped, frozenset(held)
            if pinned:
                held.add(point.key)
                continue
            stopped = self._delete_point(point, certificate, looked)
            if stopped:
                return stopped, frozenset(held)
        return "", frozenset(held)

    def _overtaken(self, policy: PolicyVersion) -> str:
        standing = self._controls.read()
        pause = standing.paused(SCOPE)
        if pause is not None:
            return f"paused meanwhile, since {codec.second(pause.since)}: {pause.because}"
        return "" if standing.policy == policy else f"policy {policy} was superseded meanwhile"

    def _delete_point(self, point: RestorePoint, certificate: Certificate, looked: float) -> str:
        """A point that was half deleted is expired still, so the next run deletes the rest."""
        for _, snapshot in point.disks:
            if self._clock.monotonic() - looked + CALL_TIMEOUT.total_seconds() > ACT_WITHIN.total_seconds():
                return f"what was seen is older than {ACT_WITHIN}; the next run looks again"
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

    def _read_back(
        self,
        certificate: Certificate,
        planned: _Plan,
        judged: Allowed,
        stopped: str,
        held: Collection[tuple[InstanceId, str]],
        *,
        waiting: int,
    ) -> Pruned:
        """One batched look: only what is no longer shown is gone. Its record goes last."""
        ids = {snapshot for point in judged.expire for _, snapshot in point.disks}
        disks = {disk for point in judged.expire for disk, _ in point.disks}
        wanted = ids | _witnesses(planned.plan, disks)
        left = tuple(self._snapshots.list(ids=sorted(wanted))) if wanted else ()
        still = {snapshot.id for snapshot in left if snapshot.id in ids}
        outcomes: list[Deletion] = []
        gone: list[RestorePoint] = []
        for point, deletion in zip(judged.expire, certificate.deletions, strict=True):
            if point.key in held:
                outcomes.append(replace(deletion, outcome=SPARED, because="pinned meanwhile"))
                continue
            remains = [snapshot for _, snapshot in point.disks if snapshot in still]
            if not remains:
                gone.append(point)
            because = f"{stopped + ': ' if stopped else ''}{', '.join(remains)} still shown" if remains else ""
            outcomes.append(replace(deletion, outcome=STILL_THERE if remains else GONE, because=_cut(because)))
        outcomes += [
            replace(_deletion(one.point, planned), outcome=SPARED, because=_cut(f"{one.rule}: {one.because}"))
            for one in judged.spared
        ]
        for point in gone:
            self._points.forget(point)
        ended = replace(
            certificate,
            state=CertificateState.ENDED,
            deletions=tuple(outcomes[: max(fitting(outcomes), len(judged.expire))]),
            remaining=_remaining(planned.plan, disks, ids - still),
            newest=_newest(left, ids),
            ended=self._clock.now(),
        )
        self._certificates.put(ended)
        reasons = [f"{len(gone)} of {len(judged.expire)} expired restore points are gone"]
        if stopped:
            reasons.append(stopped)
        if held:
            reasons.append(f"{len(held)} were pinned meanwhile and stay")
        if waiting:
            reasons.append(f"{waiting} more wait for the next run: one certificate holds {len(judged.expire)} of these")
        self._tell("prune.stopped" if stopped else "prune.ended", ended, tuple(reasons), acted=True)
        return Pruned(
            deleted=tuple(point.id for point in gone),
            remaining=len(planned.plan.keep) + len(planned.plan.expire) - len(gone),
            spared=(
                *(f"{one.point.id}: {one.because}" for one in judged.spared),
                *(f"{point.id}: pinned meanwhile" for point in judged.expire if point.key in held),
            ),
            stopped=stopped,
            orphans=ended.orphans,
            missing=ended.missing,
            waiting=waiting,
        )

    # -- drift -----------------------------------------------------------------------------------------------------

    def _comparison_is_due(self, now: datetime) -> bool:
        """By days, not by hours since: so that the hour does not creep, however often the timer ticks."""
        last = self._certificates.compared()
        return last is None or last.date() < now.date()

    def _compare(
        self, certificate: Certificate, policy: Policy, records: Sequence[RestorePoint], *, dry: bool
    ) -> tuple[Certificate, bool]:
        """Everything that carries our tags against everything we remember. Reported, never acted on: what an unfinished
        operation made is not judged yet, and a point that somebody deleted by hand must not count as usable: it is
        marked as lost when it was missed twice (`LOST_AFTER`), and no longer when it is shown again.

        False when the cloud could not be read: then nothing was compared, and prune goes on without it."""
        try:
            shown = self._everything_of_ours(policy, records)
        except Forbidden:
            raise
        except DrError as error:
            log.event("drift.unread", run=certificate.run, subject=SCOPE, because=[str(error)])
            return certificate, False
        absent = [
            point
            for point in records
            if (not point.failed or point.missing_since is not None)
            and any(snapshot not in shown for _, snapshot in point.disks)
        ]
        if absent and not shown:
            because = ("no snapshot with our tags is shown at all: permission missing? Nothing is concluded from it",)
            if not dry:
                self._certificates.note_comparison(certificate.at)
                self._tell("drift.unknown", certificate, because, acted=False)
            return certificate, True
        orphans = self._orphans(shown, records)
        compared = replace(
            certificate, orphans=orphans[:FINDINGS], missing=tuple(point.id for point in absent[:FINDINGS])
        )
        if dry:
            return compared, True
        self._remember_missing(records, absent, certificate.at)
        self._certificates.note_comparison(certificate.at)
        if orphans or absent:
            reasons = (
                *(f"orphan {one}: carries our tags, no restore point holds it" for one in orphans[:20]),
                *(f"point {one.id}: its snapshots are not shown any more" for one in absent[:20]),
            )
            self._tell("drift.found", certificate, reasons, acted=False)
        return compared, True

    def _everything_of_ours(self, policy: Policy, records: Sequence[RestorePoint]) -> dict[SnapshotId, Snapshot]:
        shown: dict[SnapshotId, Snapshot] = {}
        for protection in policy.protections:
            for snapshot in self._snapshots.list(tags={provenance.PROTECTION: protection.name}):
                shown[snapshot.id] = snapshot
        unseen = sorted({one for point in records for _, one in point.disks if one not in shown})
        if unseen:
            # Whether tags reach every member of a group is not documented: ask by id before calling a point lost.
            shown.update((snapshot.id, snapshot) for snapshot in self._snapshots.list(ids=unseen))
        return shown

    def _orphans(self, shown: Mapping[SnapshotId, Snapshot], records: Sequence[RestorePoint]) -> tuple[SnapshotId, ...]:
        known = {snapshot for point in records for _, snapshot in point.disks}
        unjudged = {
            provenance.operation_tag(operation.id) for operation in self._journal.open_of(OperationKind.BACK_UP)
        }
        return tuple(
            sorted(
                one.id
                for one in shown.values()
                if one.id not in known and one.tags.get(provenance.OPERATION) not in unjudged
            )
        )

    def _remember_missing(self, records: Sequence[RestorePoint], absent: Sequence[RestorePoint], now: datetime) -> None:
        still_absent = {point.key for point in absent}
        for point in records:
            if point.missing_since is not None and point.key not in still_absent:
                self._points.found(point)
        self._points.miss((point for point in absent if point.missing_since is None), now=now, lost=False)
        self._points.miss(
            (
                point
                for point in absent
                if point.missing_since is not None and not point.failed and now - point.missing_since >= LOST_AFTER
            ),
            now=now,
            lost=True,
        )

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
        plan_prune(by_protection[protection.name], protection.keep, zone=protection.zone, now=now)
        for protection in policy.protections
        if protection.name in by_protection
    ]
    rules = {protection.name: describe(protection.keep) for protection in policy.protections}
    return _Plan(plan=merge(plans), rules=rules, policy=version)


def _witnesses(plan: PrunePlan, disks: Collection[DiskId]) -> set[SnapshotId]:
    """The newest kept points of each disk, and its newest kept complete one: what it would be left with."""
    wanted: set[SnapshotId] = set()
    counts: dict[DiskId, int] = {}
    whole: set[DiskId] = set()
    for kept in reversed(plan.keep):
        if not kept.point.counts:
            continue
        for disk, snapshot in kept.point.disks:
            if disk not in disks:
                continue
            if counts.get(disk, 0) < WITNESSES or (kept.point.complete and disk not in whole):
                counts[disk] = counts.get(disk, 0) + 1
                wanted.add(snapshot)
            if kept.point.complete:
                whole.add(disk)
    return wanted


def _by_disk(snapshots: Iterable[Snapshot]) -> dict[DiskId, set[SnapshotId]]:
    by_disk: dict[DiskId, set[SnapshotId]] = {}
    for snapshot in snapshots:
        by_disk.setdefault(snapshot.disk, set()).add(snapshot.id)
    return by_disk


def _newest(left: Sequence[Snapshot], doomed: Collection[SnapshotId]) -> dict[str, str]:
    """By disk, the newest usable snapshot that was read back after the deletions."""
    best: dict[str, Snapshot] = {}
    for snapshot in left:
        if snapshot.usable and snapshot.id not in doomed:
            held = best.get(snapshot.disk)
            if held is None or held.created < snapshot.created:
                best[snapshot.disk] = snapshot
    return {disk: snapshot.id for disk, snapshot in sorted(best.items())}


def _remaining(plan: PrunePlan, disks: Collection[DiskId], gone: Collection[SnapshotId]) -> dict[str, int]:
    """Usable points left of each of `disks`. One of which a snapshot is gone is none."""
    counts = dict.fromkeys(sorted(disks), 0)
    for point in (*(kept.point for kept in plan.keep), *plan.expire):
        if point.counts and not any(snapshot in gone for _, snapshot in point.disks):
            for disk, _ in point.disks:
                if disk in counts:
                    counts[disk] += 1
    return {str(disk): left for disk, left in counts.items()}


def _cut(because: str) -> str:
    return because.encode()[:BECAUSE].decode(errors="ignore")


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
