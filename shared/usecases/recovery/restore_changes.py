"""The ways in which one disk of a stopped instance gets other content, each safe to run any number of times.

| step in the journal | call | token | what decides after a lost answer |
|---|---|---|---|
| `fetch:<disk>` | CopySnapshot | yes | one there tagged with operation and disk; then the token |
| `clone:<disk>` | CreateDisk | yes | a disk tagged with operation and disk; then the token |
| `image:<disk>` | CreateImage | yes | see `shared.usecases.images.image_of_point` |
| `change:<disk>` | ResetDisk, ReInitDisk | none | asked again until an answer is heard: done twice it is the same |
| | DetachDisk, AttachDisk | none | where both disks read to be attached |
| | ReplaceSystemDisk | yes | the instance has another system disk, of that image; then the token |

ResetDisk and ReInitDisk are refused by the cloud when the instance does not read Stopped: an executor that thaws late
cannot rewrite the disks of a machine that serves again. A change that the cloud refused reads FAILED until it is asked
for again: as long as all of them do, nothing was changed, and the instance can serve as before. Nothing here deletes:
what a clone replaced is kept, tagged.
Source: ECS API, ResetDisk, ReInitDisk, ReplaceSystemDisk, CreateDisk, AttachDisk, DetachDisk, CopySnapshot.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.errors import Busy, Permanent, Retryable
from shared.domain.ids import DiskId, ImageId, SnapshotId
from shared.domain.inventory import Disk, DiskKind, Instance, InstanceState, Snapshot, SnapshotState
from shared.domain.operation import Operation, Step, StepState
from shared.domain.place import Place
from shared.domain.replacement import MAX_TAGS, OWN_TAGS, RESERVED_TAGS
from shared.domain.restoring import AVAILABLE, IN_USE, REPLACED_BY, SETTLED, STANDS_FOR, DiskPlan, Way
from shared.ports.clock import Clock
from shared.ports.compute import Clouds, Compute
from shared.usecases.images.image_of_point import ImageOfPoint, Wanted
from shared.usecases.operations import Outcome, Refused, Resume, Work, done, intended
from shared.usecases.recovery.recovery_requests import RestoreRequest

FETCH, CLONE, IMAGE, CHANGE = "fetch:", "clone:", "image:", "change:"
NOW: Final = "now"
"""Key in the data of `change:<disk>`: the disk that stands in its place now."""
SENT: Final = "sent"
MADE: Final = "made"
POLL: Final = timedelta(seconds=5)
AGAIN: Final = timedelta(seconds=15)
LONGEST_PAUSE: Final = timedelta(minutes=5)
UNLISTED_FOR: Final = timedelta(minutes=2)
LIMIT: Final = timedelta(hours=2)
"""For one disk's change. A rewrite of terabytes takes hours: an operator then knows better than we do."""


@dataclass(slots=True, kw_only=True)
class Preparation:
    """What can be made while the instance still serves: fetched snapshots, clones, images. None: all of it stands."""

    clouds: Clouds
    cloud: Compute
    images: ImageOfPoint
    clock: Clock

    def advance(self, work: Work, request: RestoreRequest, disks: Sequence[DiskPlan], source: Place) -> Outcome | None:
        """`source`: where the point stands."""
        waits: list[Outcome] = []
        for one in disks:
            outcome = self._fetch(work, request, one, source) if one.copied else None
            if outcome is None and one.way is Way.CLONE:
                outcome = self._clone(work, request, one)
            if outcome is None and one.way is Way.REPLACE and one.snapshot is not None:
                made = self._image(work, request, one)
                outcome = None if isinstance(made, str) else made
            if outcome is not None:
                waits.append(outcome)
        ends = [one for one in waits if not isinstance(one, Resume)]
        resumes = [one for one in waits if isinstance(one, Resume)]
        return ends[0] if ends else min(resumes, key=lambda one: one.after, default=None)

    def _fetch(self, work: Work, request: RestoreRequest, one: DiskPlan, source: Place) -> Outcome | None:
        assert one.snapshot is not None
        step = _step(work, FETCH + one.disk)
        if step is None:
            token = provenance.token(work.operation.id, FETCH + one.disk, 1, one.snapshot, request.place.region)
            step = intended(FETCH + one.disk, token, self.clock.now())
            work.intend(step)
        tags = provenance.tags(work.operation.id, work.operation.policy, instance=request.instance)
        tags |= {STANDS_FOR: str(one.disk)}
        if MADE not in step.data:
            sent = None
            if step.name in work.inherited:
                wanted = {key: tags[key] for key in (provenance.OPERATION, STANDS_FOR)}
                sent = next(iter(self.cloud.snapshots.list(tags=wanted)), None)
            if sent is None:
                work.may_act()
                made = self.clouds.at(source).snapshots.copy(
                    one.snapshot,
                    to=request.place.region,
                    name=provenance.name("fetched", request.instance, f"{request.asked:%Y%m%dT%H%M%SZ}"),
                    tags=tags,
                    token=step.token,
                )
            else:
                made = sent.id
            work.learn(_with(step, **{MADE: made}))
            return Resume(after=POLL * 2, because=f"{one.snapshot} is being copied back from {source.region}")
        if step.state is StepState.DONE:
            return None
        found = next(iter(self.cloud.snapshots.list(ids=[SnapshotId(step.data[MADE])])), None)
        return self._fetched(work, step, found)

    def _fetched(self, work: Work, step: Step, found: Snapshot | None) -> Outcome | None:
        age = self.clock.now() - step.at
        if found is None:
            if age > UNLISTED_FOR:
                return Refused(because=f"{step.data[MADE]}, copied back, is not listed: somebody deleted it. Ask again")
            return Resume(after=POLL, because=f"{step.data[MADE]} is not listed yet")
        if found.state is SnapshotState.FAILED:
            return Refused(because=f"copying back failed: {found.id}. Ask again")
        if found.state is SnapshotState.PROGRESSING:
            percent = max(1, found.progress_percent)
            left = age * ((100 - percent) / percent)
            after = min(max(left, POLL), LONGEST_PAUSE)
            return Resume(after=after, because=f"{found.id}, copied back, is at {found.progress_percent} %")
        work.learn(done(step, self.clock.now()))
        return None

    def _clone(self, work: Work, request: RestoreRequest, one: DiskPlan) -> Outcome | None:
        step = _step(work, CLONE + one.disk)
        if step is not None and step.state is StepState.DONE:
            return None
        snapshot = source_of(work.operation, one)
        line = one.tags.get(STANDS_FOR, str(one.disk))
        tags = inherited_tags(one, work.operation) | {STANDS_FOR: line}
        if step is None:
            size = one.becomes_gib or one.size_gib
            token = provenance.token(
                work.operation.id, CLONE + one.disk, 1, snapshot, one.zone, one.category, str(size)
            )
            step = intended(CLONE + one.disk, token, self.clock.now())
            work.intend(step)
        if MADE not in step.data:
            sent = None
            if step.name in work.inherited:
                wanted = {key: tags[key] for key in (provenance.OPERATION, STANDS_FOR)}
                sent = next(iter(self.cloud.inventory.disks(tags=wanted)), None)
            if sent is None:
                work.may_act()
                made = self.cloud.disks.create(
                    snapshot,
                    zone=one.zone,
                    category=one.category,
                    name=provenance.name("clone", one.disk, f"{request.asked:%Y%m%dT%H%M%SZ}"),
                    tags=tags,
                    token=step.token,
                    size_gib=one.becomes_gib or one.size_gib,
                )
            else:
                made = sent.id
            work.learn(_with(step, **{MADE: made}))
            return Resume(after=POLL, because=f"{made} is being made of {snapshot}")
        found = next(iter(self.cloud.inventory.disks(ids=[DiskId(step.data[MADE])])), None)
        if found is None and self.clock.now() - step.at > UNLISTED_FOR:
            return Refused(because=f"clone {step.data[MADE]} is not listed: somebody deleted it. Ask again")
        if found is None or found.state != AVAILABLE:
            seen = "not listed yet" if found is None else found.state
            if self.clock.now() - step.at > LIMIT:
                return Refused(because=f"clone {step.data[MADE]} is {seen} after {LIMIT}. Ask again")
            return Resume(after=POLL, because=f"clone {step.data[MADE]} is {seen}")
        work.learn(done(step, self.clock.now()))
        return None

    def _image(self, work: Work, request: RestoreRequest, one: DiskPlan) -> ImageId | Outcome:
        wanted = Wanted(instance=request.instance, snapshots=(source_of(work.operation, one),), step=IMAGE + one.disk)
        return self.images.advance(work, self.cloud, request.place, wanted)


@dataclass(slots=True, kw_only=True)
class Change:
    """One run's part of changing the disks of an instance that reads Stopped."""

    cloud: Compute
    clock: Clock
    work: Work
    request: RestoreRequest
    _asked: set[DiskId] = field(default_factory=set)  # for which this run's call may have had an effect

    def advance(self, instance: Instance, disks: Sequence[DiskPlan]) -> Outcome | None:
        """None: all of them are changed. All that can go side by side is asked for in one run."""
        todo = [one for one in disks if not is_changed(self.work.operation, one)]
        if instance.state is not InstanceState.STOPPED:
            return Refused(because=f"{instance.id} reads {instance.state}: somebody started it while it was restored")
        fresh = [one for one in todo if not _may_be_asked(self.work.operation, one)]
        if fresh:
            self.work.intend(*(self._intended(one) for one in fresh))
        try:
            return self._all(instance, todo)
        finally:
            self._not_asked(fresh)

    def _all(self, instance: Instance, todo: Sequence[DiskPlan]) -> Outcome | None:
        made = [DiskId(replaced) for one in todo if (replaced := clone_of(self.work.operation, one))]
        shown = {one.id: one for one in self.cloud.inventory.disks(ids=[*(one.disk for one in todo), *made])}
        system = None
        if any(one.way is Way.REPLACE for one in todo):
            attached = self.cloud.inventory.disks(instance=instance.id)
            system = next((one for one in attached if one.kind is DiskKind.SYSTEM), None)
        outcomes = [self._one(one, instance, shown, system) for one in todo]
        ends = [one for one in outcomes if one is not None and not isinstance(one, Resume)]
        waits = [one for one in outcomes if isinstance(one, Resume)]
        return ends[0] if ends else min(waits, key=lambda one: one.after, default=None)

    def _intended(self, one: DiskPlan) -> Step:
        image = image_of(self.work.operation, one)
        token = provenance.token(self.work.operation.id, CHANGE + one.disk, 1, image) if image else ""
        before = _step(self.work, CHANGE + one.disk)
        return intended(CHANGE + one.disk, token, self.clock.now() if before is None else before.at)

    def _not_asked(self, fresh: Sequence[DiskPlan]) -> None:
        """Intended by this run, and then not asked for, or refused by the cloud: of these nothing can have changed. An
        intention that an earlier run left behind may have been carried out, so that stays what it is."""
        for one in fresh:
            step = self.work.step(CHANGE + one.disk)
            if step.state is StepState.INTENDED and one.disk not in self._asked:
                self.work.learn(replace(step, state=StepState.FAILED))

    @contextmanager
    def _asking(self, one: DiskPlan) -> Iterator[None]:
        """Around each effect."""
        self.work.may_act()
        before = one.disk in self._asked
        self._asked.add(one.disk)
        try:
            yield
        except (Retryable, Permanent):
            if not before:
                self._asked.discard(one.disk)  # a refusal: nothing has happened
            raise

    def _one(
        self, one: DiskPlan, instance: Instance, shown: Mapping[DiskId, Disk], system: Disk | None
    ) -> Outcome | None:
        try:
            match one.way:
                case Way.RESET | Way.REINITIALISE:
                    return self._rewrite(one, instance, shown.get(one.disk))
                case Way.CLONE:
                    return self._swap(one, instance, shown)
                case Way.REPLACE:
                    return self._replace(one, instance, system)
        except Busy as busy:
            return self._within(one, AGAIN, str(busy))

    def _rewrite(self, one: DiskPlan, instance: Instance, disk: Disk | None) -> Outcome | None:
        step = self.work.step(CHANGE + one.disk)
        if disk is None or disk.instance != instance.id:
            return Refused(because=f"{one.disk} is not attached to {instance.id} any more")
        if disk.state not in SETTLED:
            return self._within(one, POLL, f"{one.disk} is {disk.state}")
        if SENT not in step.data:
            with self._asking(one):
                if one.way is Way.RESET:
                    assert one.snapshot is not None
                    self.cloud.disks.reset(one.disk, one.snapshot)
                else:
                    self.cloud.disks.reinitialise(one.disk)
            self.work.intend(_with(step, **{SENT: "yes"}))
            return Resume(after=POLL * 2, because=f"{one.does}: asked for")
        if one.becomes_gib is not None and disk.size_gib != one.becomes_gib:
            return self._within(one, POLL, f"{one.disk} has {disk.size_gib} GiB, not {one.becomes_gib} yet")
        self.work.learn(done(step, self.clock.now(), **{NOW: one.disk}))
        return None

    def _swap(self, one: DiskPlan, instance: Instance, shown: Mapping[DiskId, Disk]) -> Outcome | None:
        made = DiskId(clone_of(self.work.operation, one))
        old, new = shown.get(one.disk), shown.get(made)
        if new is None:
            return Refused(because=f"clone {made} is not listed any more")
        if new.instance not in (None, instance.id):
            return Refused(because=f"clone {made} was attached to {new.instance} by somebody else")
        if new.instance == instance.id:
            if new.state != IN_USE:
                return self._within(one, POLL, f"clone {made} is {new.state}")
            if old is not None:
                self.work.may_act()
                tag = {REPLACED_BY: provenance.operation_tag(self.work.operation.id)}
                self.cloud.instances.tag([one.disk], resource_type="disk", tags=tag)
            self.work.learn(done(self.work.step(CHANGE + one.disk), self.clock.now(), **{NOW: made}))
            return None
        if old is not None and old.instance == instance.id:
            if old.state == IN_USE:
                with self._asking(one):
                    self.cloud.disks.detach(instance.id, one.disk)
                return Resume(after=POLL, because=f"{one.disk} is being detached")
            return self._within(one, POLL, f"{one.disk} is {old.state}")
        if new.state != AVAILABLE:
            return self._within(one, POLL, f"clone {made} is {new.state}")
        with self._asking(one):
            self.cloud.disks.attach(instance.id, made, device=one.device, delete_with_instance=one.delete_with_instance)
        return Resume(after=POLL, because=f"{made} is being attached in the place of {one.disk}")

    def _replace(self, one: DiskPlan, instance: Instance, system: Disk | None) -> Outcome | None:
        step, image = self.work.step(CHANGE + one.disk), ImageId(image_of(self.work.operation, one))
        if system is not None and system.id != one.disk:
            if instance.image != image:
                seen = f"{instance.id} has another system disk, {system.id}, of image {instance.image}"
                return self._within(one, POLL, seen)
            if system.state != IN_USE:
                return self._within(one, POLL, f"{system.id} is {system.state}")
            self.work.may_act()
            self.cloud.instances.tag([system.id], resource_type="disk", tags=inherited_tags(one, self.work.operation))
            self.work.learn(done(step, self.clock.now(), **{NOW: system.id}))
            return None
        if system is None or system.state != IN_USE:
            return self._within(one, POLL, f"{one.disk} is {'not listed' if system is None else system.state}")
        with self._asking(one):
            made = self.cloud.instances.replace_system_disk(
                instance.id, image, token=step.token, size_gib=one.becomes_gib or one.size_gib
            )
        return Resume(after=POLL * 2, because=f"{made} is being made of {image} in the place of {one.disk}")

    def _within(self, one: DiskPlan, after: timedelta, seen: str) -> Resume | Refused:
        if self.clock.now() - self.work.step(CHANGE + one.disk).at > LIMIT:
            return Refused(because=f"{seen}, {int(LIMIT.total_seconds() // 60)} minutes after it was to be changed")
        return Resume(after=after, because=seen)


# -- what stands in the journal ----------------------------------------------------------------------------------------


def source_of(operation: Operation, one: DiskPlan) -> SnapshotId:
    """Of which its clone or image is made: fetched, where the point stands elsewhere."""
    assert one.snapshot is not None
    return SnapshotId(_data(operation, FETCH + one.disk, MADE)) if one.copied else one.snapshot


def image_of(operation: Operation, one: DiskPlan) -> str:
    return str(one.image) if one.image else _data(operation, f"{IMAGE}{one.disk}-stands", "image")


def clone_of(operation: Operation, one: DiskPlan) -> str:
    """Empty when it needs none."""
    return _data(operation, CLONE + one.disk, MADE) if one.way is Way.CLONE else ""


def is_changed(operation: Operation, one: DiskPlan) -> bool:
    return any(step.name == CHANGE + one.disk and step.state is StepState.DONE for step in operation.steps)


def stands_now(operation: Operation, one: DiskPlan) -> DiskId:
    return DiskId(_data(operation, CHANGE + one.disk, NOW))


def inherited_tags(one: DiskPlan, operation: Operation) -> dict[str, str]:
    """The old disk's, so that selections by tag find the new one; ours say where it comes from."""
    kept = {key: text for key, text in sorted(one.tags.items()) if not key.startswith((OWN_TAGS, *RESERVED_TAGS))}
    own = {provenance.OPERATION: provenance.operation_tag(operation.id)}
    return dict(list(kept.items())[: MAX_TAGS - len(own) - 1]) | own


def begun(operation: Operation) -> bool:
    """Whether the first change may have been carried out: from then on there is no plain way back."""
    return any(step.name.startswith(CHANGE) and step.state is not StepState.FAILED for step in operation.steps)


def _may_be_asked(operation: Operation, one: DiskPlan) -> bool:
    return any(step.name == CHANGE + one.disk and step.state is not StepState.FAILED for step in operation.steps)


def _data(operation: Operation, name: str, key: str) -> str:
    return next((step.data.get(key, "") for step in operation.steps if step.name == name), "")


def _step(work: Work, name: str) -> Step | None:
    return next((step for step in work.operation.steps if step.name == name), None)


def _with(step: Step, **data: str) -> Step:
    return Step(
        name=step.name,
        state=step.state,
        at=step.at,
        token=step.token,
        attempt=step.attempt,
        data={**step.data, **data},
    )
