"""A full image of one instance: what rebuilds, launches and scale-outs start from.

| asked for | it is made of |
|---|---|
| all disks | the instance, as it runs: the cloud snapshots every disk (not frozen, so maybe inconsistent) |
| the system disk only | a snapshot of it, taken first, once that is complete |
| a restore point | the point's snapshots: nothing new is taken |

Its version is claimed before it is asked for, and stands in its name and `ImageVersion`. When it stands it is written
down, its snapshots are marked, its copies in other regions are opened, and it is handed to the scaling groups of its
role. Its snapshots count in the quota and stay when the image is deleted. Source: ECS API, CreateImage, read 2026.

| step in the journal | what decides after a lost answer |
|---|---|
| `chosen` | our own row of the version, which carries the operation |
| `snapshot` (CreateSnapshot) | a snapshot tagged with the operation; then the same token again |
| `image` (CreateImage) | an image tagged with the operation; then the same token again |
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.errors import Forbidden, Permanent, QuotaReached
from shared.domain.ids import DiskId, ImageId, InstanceId, SnapshotId
from shared.domain.inventory import NEVER_STANDS, DiskKind, Image, ImageState
from shared.domain.operation import OperationKind, OperationState, Step, StepState
from shared.domain.place import Place
from shared.domain.policy import ImageDisks
from shared.domain.slot_owner import IMAGES
from shared.ports.clock import Clock
from shared.ports.compute import Clouds, Compute
from shared.ports.functions import Functions
from shared.ports.store import Store
from shared.state import codec
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.families import Families
from shared.state.images import Images
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.slots import Slot, Slots, SlotState
from shared.usecases.backup.schedule_backups import PUNCTUAL
from shared.usecases.copies import copy_image
from shared.usecases.images import image_records
from shared.usecases.images.image_of_point import ImageOfPoint, Wanted
from shared.usecases.images.image_subject import RECOVERIES, choose
from shared.usecases.in_line import wake
from shared.usecases.operations import Done, Escalated, Outcome, Refused, Resume, Work, done, intended
from shared.usecases.recovery.recovery_requests import PublishRequest
from shared.usecases.recovery.suspicion import unanswered
from shared.usecases.requests import ImageRequest
from shared.usecases.tell_once import TellOnce

LOOK_EVERY: Final = timedelta(seconds=20)
LONGEST_PAUSE: Final = timedelta(minutes=10)
WITHIN: Final = timedelta(hours=24)
"""Until when it must stand. One more look after that tells what keeps it."""
CHOOSE_WITHIN: Final = timedelta(hours=1)
"""So long a scheduled image waits for an instance of which it can be made."""
CHOOSE_EVERY: Final = timedelta(minutes=5)
BLOCKED: Final = "image.blocked"
RUNBOOK: Final = "backup-does-not-complete"
RECOVER: Final = "recover"
_STEP: Final = "image"
_IMAGE: Final = "image"
_CHOSEN: Final = "chosen"
_SNAPSHOT: Final = "snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    instance: InstanceId
    version: int  # 0: begun before versions were counted
    because: str = ""
    snapshots: tuple[SnapshotId, ...] = ()  # of the restore point


class TakeImage:
    """The recipe of operations of kind image."""

    kind = OperationKind.IMAGE

    def __init__(
        self,
        *,
        clouds: Clouds,
        place: Place,
        store: Store,
        functions: Functions,
        function: str,
        clock: Clock,
        run: str = "",
    ) -> None:
        """`place`: where the instances stand. `function`: the one that takes copies further."""
        self._clouds = clouds
        self._place = place
        self._functions = functions
        self._function = function
        self._clock = clock
        self._images = Images(store)
        self._controls = Controls(store)
        self._families = Families(store)
        self._journal = Journal(store, clock)
        self._policies = Policies(store)
        self._points = Points(store)
        self._slots = Slots(store)
        self._told = TellOnce(Decisions(store), clock, run)
        self._of_point = ImageOfPoint(records=self._images, clock=clock)

    def advance(self, work: Work) -> Outcome:
        request = ImageRequest.of(work.operation)
        cloud = self._clouds.at(self._place)
        try:
            outcome = self._go_on(work, request, cloud)
        except Forbidden:
            raise
        except QuotaReached as full:
            outcome = self._no_room(work, full)
        except Permanent as refusal:
            outcome = Refused(because=str(refusal))
        outcome = self._left_behind(work, request, cloud, outcome)
        if isinstance(outcome, Refused | Escalated):
            self._end_slot(request, SlotState.SKIPPED, outcome.because)
        return outcome

    def _go_on(self, work: Work, request: ImageRequest, cloud: Compute) -> Outcome:
        if not work.operation.steps:
            waiting = self._begin(work, request, cloud)
            if waiting is not None:
                return waiting
        chosen = _chosen(work, request)
        if request.point or request.disks is ImageDisks.SYSTEM:
            return self._of_snapshots(work, request, cloud, chosen)
        step = work.step(_STEP)
        if step.state is StepState.INTENDED:
            return self._start(work, request, cloud, chosen, step)
        return self._look(work, request, chosen, ImageId(step.data[_IMAGE]))

    # Before anything is asked for -------------------------------------------------------------------------------

    def _begin(self, work: Work, request: ImageRequest, cloud: Compute) -> Outcome | None:
        now = self._clock.now()
        found = self._choose(work, request, cloud)
        if not isinstance(found, _Chosen):
            return found
        first: list[Step] = []
        if request.disks is ImageDisks.SYSTEM and not request.point:
            left = self._left_before(work, request)
            if left:
                return Refused(because=left)
            system = [one for one in cloud.inventory.disks(instance=found.instance) if one.kind is DiskKind.SYSTEM]
            if not system:
                return Refused(because=f"no system disk of {found.instance} is shown: is it attached to it?")
            token = provenance.token(work.operation.id, _SNAPSHOT, 1, system[0].id)
            first = [intended(_SNAPSHOT, token, now, data={"disk": system[0].id})]
        version = self._families.claim(request.family, work.operation.id, now)
        data = {
            "instance": str(found.instance),
            "version": str(version),
            "because": found.because,
            "snapshots": codec.dump(found.snapshots),
        }
        if not first and not request.point:
            token = provenance.token(work.operation.id, _STEP, 1, found.instance, request.family, str(version))
            first = [intended(_STEP, token, now)]
        work.intend(Step(name=_CHOSEN, state=StepState.DONE, at=now, data=data), *first)
        return None

    def _choose(self, work: Work, request: ImageRequest, cloud: Compute) -> _Chosen | Outcome:
        if request.point:
            point = next((one for one in self._points.of(request.instance) if one.id == request.point), None)
            if point is None:
                return Refused(because=f"instance {request.instance} has no restore point {request.point}")
            if not point.usable or point.failed:
                return Refused(because=f"restore point {request.point} is not usable. Choose another one")
            if point.place is not None and point.place != self._place:
                return Refused(because=f"restore point {request.point} stands in {point.place}, not in {self._place}")
            return _Chosen(instance=request.instance, version=0, snapshots=tuple(one for _, one in point.disks))
        if request.instance:
            return _Chosen(instance=request.instance, version=0)
        rule = self._policies.at(work.operation.policy).image(request.rule)
        if rule is None:
            return Refused(because=f"policy {work.operation.policy} has no images named {request.rule}")
        subject = choose(cloud, self._journal, rule, self._clock.now())
        if not isinstance(subject, str):
            return _Chosen(instance=subject.instance, version=0, because=subject.because)
        if self._clock.now() - work.operation.created > CHOOSE_WITHIN:
            return Refused(because=subject)
        self._told.tell(work, BLOCKED, (subject,), {})
        return Resume(after=CHOOSE_EVERY, because=subject)

    def _left_before(self, work: Work, request: ImageRequest) -> str:
        """An earlier image of the family that never came to stand, and whose snapshot is left: a full quota must
        not cost its disk one more snapshot each night."""
        acknowledged = self._controls.read().acknowledged
        stuck = [
            *self._journal.open_of(self.kind, damaged=[]),
            *(one for one in self._journal.waiting(self.kind) if unanswered(one, acknowledged.get)),
        ]
        for one in stuck:
            if one.id == work.operation.id or ImageRequest.of(one).family != request.family:
                continue
            found = {step.name: step.data for step in one.steps}
            snapshot = found.get(_SNAPSHOT, {}).get(_SNAPSHOT)
            if snapshot is None or _IMAGE in found.get(_STEP, {}):
                continue
            if one.state is OperationState.OPEN:
                return f"{one.id} is still under way with the snapshot that it took"
            return (
                f"{one.id} made no image, and its snapshot {snapshot} is left: delete it, then `understudy acknowledge "
                f"{one.id}`"
            )
        return ""

    def _in_recovery(self, work: Work, chosen: _Chosen) -> Outcome | None:
        """Half-restored disks make no image, and a snapshot that is being made would be in a restore's way."""
        under_way = self._journal.open_of(*RECOVERIES, damaged=[])
        held = next((one.id for one in under_way if one.subject == chosen.instance), None)
        if held is None:
            return None
        because = f"{held} is under way on {chosen.instance}"
        if self._clock.now() - work.operation.created > CHOOSE_WITHIN:
            return Refused(because=because)
        self._told.tell(work, BLOCKED, (because,), {})
        return Resume(after=CHOOSE_EVERY, because=because)

    # All disks ------------------------------------------------------------------------------------------------------

    def _start(self, work: Work, request: ImageRequest, cloud: Compute, chosen: _Chosen, step: Step) -> Outcome:
        sent = self._find(work, cloud) if step.name in work.inherited else None
        if sent is None:
            held = self._in_recovery(work, chosen)
            if held is not None:
                return held
            if self._clock.now() - work.operation.created > WITHIN + 2 * LONGEST_PAUSE:
                return Refused(because=f"its image could not be started within {WITHIN}")
            work.may_act()
            id_ = cloud.images.create_from_instance(
                chosen.instance,
                name=_name(request, chosen),
                family=request.family,
                version=str(chosen.version or ""),
                tags=provenance.tags(work.operation.id, work.operation.policy, instance=chosen.instance),
                token=step.token,
            )
        else:
            id_ = sent.id
        work.learn(done(step, self._clock.now(), **{_IMAGE: id_}))
        return Resume(after=LOOK_EVERY, because=f"image {id_} is being made")

    def _find(self, work: Work, cloud: Compute) -> Image | None:
        tag = {provenance.OPERATION: provenance.operation_tag(work.operation.id)}
        return next(iter(cloud.images.list(tags=tag)), None)

    def _look(self, work: Work, request: ImageRequest, chosen: _Chosen, id_: ImageId) -> Outcome:
        image = next(iter(self._clouds.at(self._place).images.list(ids=[id_])), None)
        age = self._clock.now() - work.operation.created
        if image is not None and image.state in (ImageState.AVAILABLE, *NEVER_STANDS):
            self._write_down(work, request, chosen, image, image.snapshots)
        if image is not None and image.state is ImageState.AVAILABLE:
            return self._stands(work, request, chosen, image)
        if image is not None and image.state in NEVER_STANDS:
            return Refused(because=f"the cloud failed to make image {id_}")
        if image is not None and image.state is ImageState.DEPRECATED:
            return Refused(because=f"image {id_} was taken out of its family while it was being made")
        if age > WITHIN and image is None:
            return Refused(because=f"image {id_} is not listed {WITHIN} after it was asked for")
        if age > WITHIN:
            # It stands, holds snapshots and may yet become available: not ours to forget.
            return Escalated(
                because=f"image {id_} is not available after {WITHIN}",
                runbook=RUNBOOK,
                evidence=(f"image {id_} is {image.state}",) if image is not None else (),
            )
        return Resume(after=min(max(age / 2, LOOK_EVERY), LONGEST_PAUSE), because=f"image {id_} is being made")

    # The system disk only, or a restore point -----------------------------------------------------------------------

    def _of_snapshots(self, work: Work, request: ImageRequest, cloud: Compute, chosen: _Chosen) -> Outcome:
        snapshots = chosen.snapshots
        if not request.point:
            step = work.step(_SNAPSHOT)
            if step.state is StepState.INTENDED:
                return self._snapshot(work, cloud, chosen, step)
            snapshots = (SnapshotId(step.data[_SNAPSHOT]),)
        if self._clock.now() - work.operation.created > WITHIN + 2 * LONGEST_PAUSE:
            return Refused(because=f"its image did not stand within {WITHIN}")
        wanted = Wanted(
            instance=chosen.instance,
            snapshots=snapshots,
            step=_STEP,
            family=request.family,
            version=str(chosen.version or ""),
            name=_name(request, chosen),
        )
        made = self._of_point.advance(work, cloud, self._place, wanted)
        if not isinstance(made, str):
            return made
        image = next(iter(cloud.images.list(ids=[made])), None)
        if image is None:
            return Refused(because=f"image {made} was deleted as soon as it stood")
        self._write_down(work, request, chosen, image, () if request.point else snapshots)
        return self._stands(work, request, chosen, image)

    def _snapshot(self, work: Work, cloud: Compute, chosen: _Chosen, step: Step) -> Outcome:
        tags = provenance.tags(work.operation.id, work.operation.policy, instance=chosen.instance)
        sent = None
        if step.name in work.inherited:
            tag = {provenance.OPERATION: tags[provenance.OPERATION]}
            sent = next(iter(cloud.snapshots.list(tags=tag)), None)
        if sent is not None:
            id_ = sent.id
        elif self._clock.now() - work.operation.created > WITHIN:
            return Refused(because=f"its snapshot could not be started within {WITHIN}")
        elif (held := self._in_recovery(work, chosen)) is not None:
            return held
        else:
            work.may_act()
            name = provenance.name("image", chosen.instance)
            id_ = cloud.snapshots.create(DiskId(step.data["disk"]), name=name, tags=tags, token=step.token)
        work.learn(done(step, self._clock.now(), **{_SNAPSHOT: id_}))
        return Resume(after=LOOK_EVERY, because=f"snapshot {id_} of the system disk is being made")

    # When it stands ---------------------------------------------------------------------------------------------------

    def _write_down(
        self, work: Work, request: ImageRequest, chosen: _Chosen, image: Image, snapshots: tuple[SnapshotId, ...]
    ) -> None:
        made = image_records.record(
            work.operation, self._place, image, chosen.instance, family=request.family, version=chosen.version
        )
        image_records.write_down(work, self._clouds.at(self._place), self._images, replace(made, snapshots=snapshots))

    def _stands(self, work: Work, request: ImageRequest, chosen: _Chosen, image: Image) -> Outcome:
        now, policy = self._clock.now(), work.operation.policy
        because = f"image {image.id} is available"
        for asked in copy_image.copies_of(
            image,
            family=request.family,
            instance=chosen.instance,
            source=self._place,
            regions=request.copy_to,
            kms_key=request.kms_key,
            version=chosen.version,
        ):
            self._journal.open(asked.operation(policy=policy, now=now, because=because))
            wake(self._functions, self._function, asked.id)
        if request.publish_to:
            publish = PublishRequest(
                image=image.id,
                family=request.family,
                groups=request.publish_to,
                asked=request.asked,
                by=str(work.operation.id),
            )
            self._journal.open(publish.operation(policy=policy, now=now, because=because))
            wake(self._functions, RECOVER, publish.id)
        late = image.created - request.asked > PUNCTUAL
        self._end_slot(request, SlotState.LATE if late else SlotState.TAKEN, chosen.because, image)
        told = {"because": chosen.because} if chosen.because else {}
        return Done(result={_IMAGE: image.id, "version": str(chosen.version), "instance": str(chosen.instance), **told})

    def _end_slot(self, request: ImageRequest, state: SlotState, because: str, image: Image | None = None) -> None:
        if not request.schedule:
            return
        owner = IMAGES + request.rule
        slot = Slot(
            subject=owner,
            due=request.asked,
            protection=owner,
            schedule=request.schedule,
            state=state,
            at=self._clock.now(),
            because=because,
            point="" if image is None else str(image.id),
            taken=None if image is None else image.created,
        )
        if state is SlotState.SKIPPED:
            self._slots.skip(slot)
        else:
            self._slots.put([slot])

    # When it does not -------------------------------------------------------------------------------------------------

    def _no_room(self, work: Work, full: QuotaReached) -> Outcome:
        because = (
            f"{full}. `understudy images` says which older ones go, and when; let some go by hand, or ask for a higher "
            "quota"
        )
        age = self._clock.now() - work.operation.created
        if age > WITHIN:
            return Refused(because=because)
        self._told.tell(work, BLOCKED, (because,), {})
        return Resume(after=min(max(age / 2, LOOK_EVERY), LONGEST_PAUSE), because=because)

    def _left_behind(self, work: Work, request: ImageRequest, cloud: Compute, outcome: Outcome) -> Outcome:
        """A snapshot that was taken for an image which never came: prune lets it go with the failed image's row, or a
        human is told of it."""
        taken = next((one.data.get(_SNAPSHOT) for one in work.operation.steps if one.name == _SNAPSHOT), None)
        if not isinstance(outcome, Refused) or taken is None:
            return outcome
        made = next((one.data.get(_IMAGE) for one in work.operation.steps if one.name == _STEP), None)
        if made is not None:
            image = next(iter(cloud.images.list(ids=[ImageId(made)])), None)
            if image is not None:
                self._write_down(work, request, _chosen(work, request), image, (SnapshotId(taken),))
                return outcome
        return Escalated(
            because=f"{outcome.because}; its snapshot {taken} is left: delete it when nothing needs it",
            runbook=RUNBOOK,
            evidence=(f"snapshot {taken}",),
        )


def _chosen(work: Work, request: ImageRequest) -> _Chosen:
    found: Mapping[str, str] = next((one.data for one in work.operation.steps if one.name == _CHOSEN), {})
    return _Chosen(
        instance=InstanceId(found.get("instance", request.instance)),
        version=int(found.get("version", "0")),
        because=found.get("because", ""),
        snapshots=codec.load(tuple[SnapshotId, ...], found["snapshots"]) if "snapshots" in found else (),
    )


def _name(request: ImageRequest, chosen: _Chosen) -> str:
    """Unique in its region: the version and the moment are in it."""
    version = f"v{chosen.version}" if chosen.version else ""
    return provenance.name(request.family, version, chosen.instance, f"{request.asked:%Y%m%dT%H%M%SZ}")
