"""Take foreign snapshots over that an operator has named: read, judge, mark, write down.

Call order: claim, read, journal what is accepted, mark each, the locks they carry, then the points in one write, the
decision, the end. A crash at any place leaves marks without points at worst; every run reads and judges anew, and what
it has marked itself it accepts, so the next one ends what this one began.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.decision import Decision
from shared.domain.errors import Forbidden, Permanent
from shared.domain.ids import InstanceId, SnapshotId
from shared.domain.inventory import Snapshot
from shared.domain.operation import OperationKind, StepState
from shared.domain.place import Place
from shared.domain.policy import Protection
from shared.domain.retention import RestorePoint
from shared.domain.selection import takes
from shared.ports.clock import Clock
from shared.ports.compute import Clouds, Compute
from shared.ports.store import Store
from shared.state import codec
from shared.state.decisions import Decisions
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.backup.adopting import AdoptRequest, Known, Taken, judge
from shared.usecases.backup.selecting import disks_of, select
from shared.usecases.operations import Done, Outcome, Refused, Resume, Work, done, intended
from shared.usecases.tell_once import TellOnce

ASKED_WITHIN: Final = timedelta(hours=24)
"""The cloud may be silent for long; then the operator asks again, as the world is another one."""
SHOWN_WITHIN: Final = timedelta(minutes=5)
"""A listing may lag behind the marks we set."""
TOLD: Final = 20
"""Points, and refusals with their reasons, that `because` tells; all of them stand in the operation's result."""
_STEP: Final = "adopt"


class Adopt:
    """The recipe of operations of kind adopt."""

    kind = OperationKind.ADOPT

    def __init__(self, *, clouds: Clouds, store: Store, policies: Policies, clock: Clock, run: str = "") -> None:
        self._clouds = clouds
        self._points = Points(store)
        self._policies = policies
        self._clock = clock
        self._told = TellOnce(Decisions(store), clock, run)
        self._run = run

    def advance(self, work: Work) -> Outcome:
        request = AdoptRequest.of(work.operation)
        policy = self._policies.at(work.operation.policy)
        protection = policy.protection(request.protection)
        if protection is None:
            return Refused(because=f"protection {request.protection} is not in policy {work.operation.policy}")
        if self._clock.now() - work.operation.created > ASKED_WITHIN:
            return Refused(because=f"the cloud could not be read or written within {ASKED_WITHIN}; ask again")
        place = policy.place(protection)
        cloud = self._clouds.at(place)
        known = self._read(cloud, request, protection)
        verdicts = {id_: judge(id_, request, protection, known) for id_ in request.snapshots}
        accepted = [one for one in verdicts.values() if isinstance(one, Taken)]
        refused = {id_: because for id_, because in verdicts.items() if isinstance(because, str)}
        if not accepted:
            self._tell(work, request, (), refused)
            return Refused(because=_in_words(refused))
        if not work.operation.steps:
            ids = codec.dump(_ids(accepted))
            work.intend(intended(_STEP, "", self._clock.now(), data={"accepted": ids}))
        return self._take_over(work, request, cloud, place, accepted, refused)

    def _take_over(
        self,
        work: Work,
        request: AdoptRequest,
        cloud: Compute,
        place: Place,
        accepted: Sequence[Taken],
        refused: dict[SnapshotId, str],
    ) -> Outcome:
        mark = provenance.operation_tag(work.operation.id)
        for one in accepted:
            if one.snapshot.tags.get(provenance.OPERATION) != mark:
                because = self._mark(work, request, cloud, one)
                refused |= {one.snapshot.id: because} if because else {}
        # A snapshot that went meanwhile must not become a point; and only what is marked can ever be pruned.
        marks = {one.id: one.tags.get(provenance.OPERATION) for one in cloud.snapshots.list(ids=_ids(accepted))}
        unmarked = [one for one in _ids(accepted) if marks.get(one) != mark and one not in refused]
        if unmarked and self._clock.now() - work.step(_STEP).at < SHOWN_WITHIN:
            return Resume(after=timedelta(minutes=1), because=f"{len(unmarked)} marks are not shown yet")
        refused |= dict.fromkeys(unmarked, "it went, or somebody else marked it, while it was taken over")
        accepted = [one for one in accepted if one.snapshot.id not in refused]
        if not accepted:
            self._tell(work, request, (), refused)
            return Refused(because=_in_words(refused))
        now = self._clock.now()
        points = [one.point(request, place, work.operation.policy, now) for one in accepted]
        self._locks(cloud, points)
        self._points.put(points)  # last: from here on retention judges them
        work.learn(*(done(step, now) for step in work.steps(StepState.INTENDED)))
        self._tell(work, request, points, refused)
        result = {"adopted": codec.dump([point.id for point in points])}
        return Done(result=result | ({"refused": codec.dump(refused)} if refused else {}))

    def _mark(self, work: Work, request: AdoptRequest, cloud: Compute, one: Taken) -> str:
        """Or why it cannot be."""
        work.may_act()
        tags = one.tags(request, work.operation.policy)
        try:
            cloud.instances.tag([one.snapshot.id], resource_type="snapshot", tags=tags)
        except Forbidden:
            raise
        except Permanent as refusal:
            return f"it cannot be marked as ours: {refusal}"
        return ""

    def _read(self, cloud: Compute, request: AdoptRequest, protection: Protection) -> Known:
        snapshots = {one.id: one for one in cloud.snapshots.list(ids=list(request.snapshots))}
        ids = list(dict.fromkeys(one.disk for one in snapshots.values()))
        disks = {one.id: one for one in cloud.inventory.disks(ids=ids)} if ids else {}
        owners = _owners(request, (one.instance for one in disks.values()))
        instances = list(cloud.inventory.instances(ids=owners)) if owners else []
        by_id = replace(protection.select, tags={}, where=None)
        return Known(
            snapshots=snapshots,
            disks=disks,
            instances={one.id: one for one in instances},
            stand_ins=frozenset(one.id for one in select(cloud.inventory, by_id).instances)
            if by_id.ids
            else frozenset(),
            attached={
                instance: sum(takes(protection.select.disks, disk) for disk in own)
                for instance, own in disks_of(cloud.inventory, instances).items()
            },
            points=self._known(owners, snapshots.values()),
        )

    def _known(self, owners: Iterable[InstanceId], snapshots: Collection[Snapshot]) -> dict[SnapshotId, RestorePoint]:
        """By whichever instance it was written down: an adoption tells in its marks."""
        wanted = {one.id for one in snapshots}
        marked = (InstanceId(one.tags[provenance.INSTANCE]) for one in snapshots if provenance.INSTANCE in one.tags)
        return {
            snapshot: point
            for owner in dict.fromkeys([*owners, *marked])
            for point in self._points.of(owner)
            for _, snapshot in point.disks
            if snapshot in wanted
        }

    def _locks(self, cloud: Compute, points: Sequence[RestorePoint]) -> None:
        """Somebody may have locked one before it was ours: until then nobody can delete it."""
        by_snapshot = {snapshot: point for point in points for _, snapshot in point.disks}
        for lock in cloud.snapshots.locks(sorted(by_snapshot)):
            if lock.expires is not None:
                self._points.locked(by_snapshot[lock.snapshot], lock.expires)

    def _tell(
        self, work: Work, request: AdoptRequest, points: Sequence[RestorePoint], refused: dict[SnapshotId, str]
    ) -> None:
        because = [f"asked for by {request.by or 'an operator'}"]
        because += [f"{snapshot} is now {point.id}" for point in points[:TOLD] for _, snapshot in point.disks]
        because += [f"and {len(points) - TOLD} more"] if len(points) > TOLD else []
        because += [f"{id_} refused: {why}" for id_, why in list(refused.items())[:TOLD]]
        because += [f"and {len(refused) - TOLD} more refused"] if len(refused) > TOLD else []
        self._told.keep(
            Decision(
                event="restore_points.adopted" if points else "restore_points.not_adopted",
                at=self._clock.now(),
                subject=request.protection,
                because=tuple(because),
                inputs={
                    "operation": work.operation.id,
                    "adopted": str(len(points)),
                    "refused": str(len(refused)),
                    "automatic": "yes" if request.automatic else "no",
                },
                policy=work.operation.policy,
                acted=bool(points),
                run=self._run,
            )
        )


def _ids(accepted: Iterable[Taken]) -> list[SnapshotId]:
    return [one.snapshot.id for one in accepted]


def _owners(request: AdoptRequest, attached: Iterable[InstanceId | None]) -> list[InstanceId]:
    named = [request.instance] if request.instance is not None else []
    return list(dict.fromkeys([*named, *(one for one in attached if one is not None)]))


def _in_words(refused: dict[SnapshotId, str]) -> str:
    told = [f"{id_}: {why}" for id_, why in list(refused.items())[:TOLD]]
    return "; ".join([*told, *([f"and {len(refused) - TOLD} more"] if len(refused) > TOLD else [])])
