"""One image into one other region, where rebuilds start from it when its own region is lost.

The cloud takes several copies of images at once and queues the rest; we send one at a time into a region, so that an
operator's own copies find room. A copy's snapshots stay there for ever: they are written down and marked as ours as
soon as the copy stands, before it can vanish. Source: ECS API, CopyImage, read 2026.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.errors import (
    Conflict,
    CredentialsRejected,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    Permanent,
    QuotaReached,
    Retryable,
)
from shared.domain.ids import ImageId, InstanceId, OperationId, PolicyVersion
from shared.domain.inventory import NEVER_STANDS, Image, ImageState
from shared.domain.operation import Operation, OperationKind, Step, StepState, opened
from shared.domain.place import Place
from shared.ports.clock import Clock
from shared.ports.compute import Clouds
from shared.ports.functions import Functions
from shared.ports.store import Store
from shared.state import codec, lines
from shared.state.decisions import Decisions
from shared.state.images import Images
from shared.usecases.copies.copy_point import AGAIN_AFTER, MOST_ATTEMPTS, RUNBOOK, VANISHED_AFTER
from shared.usecases.images import image_records
from shared.usecases.in_line import InLine
from shared.usecases.operations import ClaimLost, Done, Escalated, Outcome, Refused, Resume, Work, done, intended
from shared.usecases.tell_once import UNHEARD, TellOnce

AT_ONCE: Final = 1
FIRST_LOOK: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=10)
WITHIN: Final = timedelta(days=1)
"""When an image's copy counts as late."""
GIVE_UP_AFTER: Final = timedelta(days=14)
PRIORITY: Final = 5
LATE: Final = "copy_image.late"
BLOCKED: Final = "copy_image.blocked"
_STEP: Final = "copy"
_COPY: Final = "image"
_NOT_BEFORE: Final = "not_before"
_TROUBLE: Final = "trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyImageRequest:
    image: ImageId
    name: str
    family: str
    instance: InstanceId
    source: Place
    region: str
    kms_key: str = ""
    version: int = 0  # of the family, as the image that is copied
    again: int = 0  # how often an earlier operation for the same copy ended without it

    @property
    def id(self) -> OperationId:
        again = f"/again-{self.again}" if self.again else ""
        return OperationId(f"copy_image/{self.image}@{self.region}{again}")

    @property
    def target(self) -> Place:
        return Place(self.region, self.source.account)

    def operation(self, *, policy: PolicyVersion, now: datetime, because: str) -> Operation:
        return opened(
            self.id,
            OperationKind.COPY_IMAGE,
            self.instance,
            policy=policy,
            now=now,
            because=because,
            request=codec.dump(self),
        )

    @classmethod
    def of(cls, operation: Operation) -> "CopyImageRequest":
        return codec.load(cls, operation.inputs["request"])


class CopyImage:
    """The recipe of operations of kind copy_image."""

    kind = OperationKind.COPY_IMAGE

    def __init__(
        self, *, clouds: Clouds, store: Store, functions: Functions, function: str, clock: Clock, run: str = ""
    ) -> None:
        self._clouds = clouds
        self._clock = clock
        self._images = Images(store)
        self._told = TellOnce(Decisions(store), clock, run)
        self._line = InLine(store=store, functions=functions, function=function, clock=clock)

    def advance(self, work: Work) -> Outcome:
        request = CopyImageRequest.of(work.operation)
        place = _place(work.operation, request)
        about = {"image": request.image, "region": request.region}
        try:
            outcome = self._go_on(work, request, place)
            work.note(UNHEARD, None)
        except (CredentialsRejected, ClaimLost):
            raise
        except (Retryable, OutcomeUnknown) as trouble:
            outcome = self._told.unheard(work, trouble)
        except Forbidden as refusal:
            because = f"{refusal}. Give the backup role this permission in {request.region} too"
            self._told.tell(work, BLOCKED, (because,), about)
            outcome = Resume(after=LONGEST_PAUSE, because=because)
        except Permanent as refusal:
            outcome = _escalated(work, str(refusal))
        if isinstance(outcome, Resume):
            if self._clock.now() - work.operation.created > WITHIN:
                late = f"the copy of image {request.image} was to be in {request.region} within {WITHIN}"
                self._told.tell(work, LATE, (late, outcome.because), about)
            return outcome
        self._line.leave(place)
        return outcome

    def _go_on(self, work: Work, request: CopyImageRequest, place: lines.Place) -> Outcome:
        if request.region == request.source.region:
            return Refused(because=f"image {request.image} stands in {request.region} itself: nothing to copy")
        if self._clock.now() - work.operation.created > GIVE_UP_AFTER:
            return _escalated(work, f"not available within {GIVE_UP_AFTER}")
        if not work.operation.steps or work.step(_STEP).state is StepState.INTENDED:
            waiting = self._line.wait(place, at_most=AT_ONCE)
            if waiting is not None:
                return waiting
            if not work.operation.steps:
                work.intend(_attempt(work.operation.id, request, 1, {}, self._clock.now()))
            self._find_sent(work, request)
        step = work.step(_STEP)
        if step.state is StepState.INTENDED:
            return self._start(work, request, place, step)
        return self._look(work, request, step)

    def _find_sent(self, work: Work, request: CopyImageRequest) -> None:
        step = work.step(_STEP)
        if step.name not in work.inherited:
            return
        tag = {provenance.OPERATION: provenance.operation_tag(work.operation.id)}
        for found in self._clouds.at(request.target).images.list(tags=tag):
            if found.state not in NEVER_STANDS:
                work.learn(done(step, self._clock.now(), **{_COPY: found.id}))
                return

    def _start(self, work: Work, request: CopyImageRequest, place: lines.Place, step: Step) -> Outcome:
        now = self._clock.now()
        not_before = codec.instant(step.data[_NOT_BEFORE]) if _NOT_BEFORE in step.data else now
        if now < not_before:
            self._line.step_back(place, until=not_before)
            return Resume(after=not_before - now, because=step.data[_TROUBLE])
        # A name is unique in its region, and an attempt that failed still holds its own.
        again = f"again-{request.again}" if request.again else ""
        attempt = "" if step.attempt == 1 else str(step.attempt)
        try:
            work.may_act()
            copy = self._clouds.at(request.source).images.copy(
                request.image,
                to=request.region,
                name=provenance.name(request.name.removeprefix("understudy-"), again, attempt),
                tags=provenance.tags(work.operation.id, work.operation.policy, instance=request.instance),
                token=step.token,
                kms_key=request.kms_key,
            )
        except (ClaimLost, Forbidden):
            raise
        except NotFound as answer:
            return Refused(because=f"image {request.image} was deleted before it was copied: {answer}")
        except (Permanent, Conflict) as refusal:
            helps = f". Let images go in {request.region}, or ask for a higher quota"
            because = f"{refusal}{helps if isinstance(refusal, QuotaReached) else ''}"
            return self._try_again(work, request, step, because)
        work.learn(done(step, now, **{_COPY: copy}))
        return Resume(after=FIRST_LOOK, because=f"image {copy} is being made in {request.region}")

    def _try_again(self, work: Work, request: CopyImageRequest, step: Step, because: str) -> Outcome:
        if step.attempt >= MOST_ATTEMPTS:
            return _escalated(work, f"{MOST_ATTEMPTS} attempts failed: {because}")
        now = self._clock.now()
        self._told.tell(work, BLOCKED, (because,), {"image": request.image, "region": request.region})
        pause = AGAIN_AFTER * 2 ** (step.attempt - 1)
        data = {_NOT_BEFORE: codec.moment(now + pause), _TROUBLE: because}
        work.learn(_attempt(work.operation.id, request, step.attempt + 1, data, now))
        return Resume(after=pause, because=because)

    def _look(self, work: Work, request: CopyImageRequest, step: Step) -> Outcome:
        copy, now = ImageId(step.data[_COPY]), self._clock.now()
        found = next(iter(self._clouds.at(request.target).images.list(ids=[copy])), None)
        if found is None and now - step.at > VANISHED_AFTER:
            return _escalated(
                work,
                f"copy {copy} of image {request.image} is not listed in {request.region}: somebody deleted it, or the "
                "backup role may not call ecs:DescribeImages there",
            )
        if found is not None and found.state in (ImageState.AVAILABLE, *NEVER_STANDS):
            self._write_down(work, request, found)
            if found.state is ImageState.AVAILABLE:
                return Done(result={"image": copy})
            because = f"the cloud failed to make copy {copy} of image {request.image}"
            return self._try_again(work, request, step, because)
        pause = min(max((now - step.at) / 2, FIRST_LOOK), LONGEST_PAUSE)
        return Resume(after=pause, because=f"image {copy} is being made in {request.region}")

    def _write_down(self, work: Work, request: CopyImageRequest, found: Image) -> None:
        record = image_records.record(
            work.operation,
            request.target,
            found,
            request.instance,
            family=request.family,
            version=request.version,
            copy_of=request.image,
        )
        image_records.write_down(work, self._clouds.at(request.target), self._images, record)


def copies_of(
    image: Image,
    *,
    family: str,
    instance: InstanceId,
    source: Place,
    regions: tuple[str, ...],
    kms_key: str = "",
    version: int = 0,
) -> Iterator[CopyImageRequest]:
    for region in dict.fromkeys(regions):
        yield CopyImageRequest(
            image=image.id,
            name=image.name,
            family=family,
            instance=instance,
            source=source,
            region=region,
            kms_key=kms_key,
            version=version,
        )


def _place(operation: Operation, request: CopyImageRequest) -> lines.Place:
    return lines.Place(
        line=f"images to {request.target}",
        priority=PRIORITY,
        deadline=operation.created + WITHIN,
        since=operation.created,
        operation=operation.id,
    )


def _attempt(
    operation: OperationId, request: CopyImageRequest, number: int, data: dict[str, str], now: datetime
) -> Step:
    token = provenance.token(operation, _STEP, number, request.image, request.region, request.kms_key)
    return replace(intended(_STEP, token, now, attempt=number), data=data)


def _escalated(work: Work, because: str) -> Escalated:
    seen = tuple(step.data.get(_COPY) or step.data.get(_TROUBLE) or step.state.value for step in work.operation.steps)
    return Escalated(because=because, runbook=RUNBOOK, evidence=seen)
