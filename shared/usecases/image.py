"""A full image of one instance, on demand: what a rebuild starts from.

When it stands, its snapshots are written down and marked, and its copies in other regions are opened.

An image always holds all disks as they are (a running machine's may be inconsistent: the cloud does not freeze it).
Its snapshots count in the quota and stay when the image is deleted. Source: ECS API, CreateImage, read 2026-03.
"""

from datetime import timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.ids import ImageId
from shared.domain.inventory import Image as CloudImage
from shared.domain.inventory import ImageState
from shared.domain.operation import OperationKind, Step, StepState
from shared.domain.place import Place
from shared.ports.clock import Clock
from shared.ports.compute import Clouds
from shared.ports.functions import Functions
from shared.ports.store import Store
from shared.state.images import Images
from shared.state.journal import Journal
from shared.usecases import copy_image, image_records
from shared.usecases.in_line import wake
from shared.usecases.operations import Done, Escalated, Outcome, Refused, Resume, Work, done, intended
from shared.usecases.requests import ImageRequest

LOOK_EVERY: Final = timedelta(seconds=20)
LONGEST_PAUSE: Final = timedelta(minutes=10)
WITHIN: Final = timedelta(hours=24)
_STEP: Final = "image"
_IMAGE: Final = "image"


class TakeImage:
    """The recipe of operations of kind image."""

    kind = OperationKind.IMAGE

    def __init__(
        self, *, clouds: Clouds, place: Place, store: Store, functions: Functions, function: str, clock: Clock
    ) -> None:
        """`place`: where the instances stand. `function`: the one that takes copies further."""
        self._clouds = clouds
        self._place = place
        self._functions = functions
        self._function = function
        self._clock = clock
        self._images = Images(store)
        self._journal = Journal(store, clock)

    def advance(self, work: Work) -> Outcome:
        request = ImageRequest.of(work.operation)
        if not work.operation.steps:
            token = provenance.token(work.operation.id, _STEP, 1, request.instance, request.family)
            work.intend(intended(_STEP, token, self._clock.now()))
        step = work.step(_STEP)
        if step.state is StepState.INTENDED:
            return self._start(work, request, step)
        return self._look(work, request, ImageId(step.data[_IMAGE]))

    def _start(self, work: Work, request: ImageRequest, step: Step) -> Outcome:
        sent = self._find(work) if step.name in work.inherited else None
        if sent is None:
            if self._clock.now() - work.operation.created > WITHIN:
                return Refused(because=f"its image could not be started within {WITHIN}")
            work.may_act()
            id_ = self._clouds.at(self._place).images.create_from_instance(
                request.instance,
                name=provenance.name(request.family, request.instance, f"{request.asked:%Y%m%dT%H%M%SZ}"),
                family=request.family,
                tags=provenance.tags(work.operation.id, work.operation.policy, instance=request.instance),
                token=step.token,
            )
        else:
            id_ = sent.id
        work.learn(done(step, self._clock.now(), **{_IMAGE: id_}))
        return Resume(after=LOOK_EVERY, because=f"image {id_} is being made")

    def _find(self, work: Work) -> CloudImage | None:
        tag = {provenance.OPERATION: provenance.operation_tag(work.operation.id)}
        return next(iter(self._clouds.at(self._place).images.list(tags=tag)), None)

    def _look(self, work: Work, request: ImageRequest, id_: ImageId) -> Outcome:
        image = next(iter(self._clouds.at(self._place).images.list(ids=[id_])), None)
        age = self._clock.now() - work.operation.created
        if image is not None and image.state in (ImageState.AVAILABLE, ImageState.FAILED):
            made = image_records.record(work.operation, self._place, image, request.instance, family=request.family)
            image_records.write_down(work, self._clouds.at(self._place), self._images, made)
        if image is not None and image.state is ImageState.AVAILABLE:
            self._open_copies(work, request, image)
            return Done(result={_IMAGE: id_})
        if image is not None and image.state is ImageState.FAILED:
            return Refused(because=f"the cloud failed to make image {id_}")
        if age > WITHIN and image is None:
            return Refused(because=f"image {id_} is not listed {WITHIN} after it was asked for")
        if age > WITHIN:
            # It stands, holds snapshots and may yet become available: not ours to forget.
            return Escalated(
                because=f"image {id_} is not available after {WITHIN}",
                runbook="backup-does-not-complete",
                evidence=(f"image {id_} is {image.state}",) if image is not None else (),
            )
        return Resume(after=min(max(age / 2, LOOK_EVERY), LONGEST_PAUSE), because=f"image {id_} is being made")

    def _open_copies(self, work: Work, request: ImageRequest, image: CloudImage) -> None:
        now, policy = self._clock.now(), work.operation.policy
        for asked in copy_image.copies_of(
            image,
            family=request.family,
            instance=request.instance,
            source=self._place,
            regions=request.copy_to,
            kms_key=request.kms_key,
        ):
            self._journal.open(asked.operation(policy=policy, now=now, because=f"image {image.id} is available"))
            wake(self._functions, self._function, asked.id)
