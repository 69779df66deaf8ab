"""The net under copies of images: opens anew those that gave up, and those that nobody has opened.

One that gave up is tried again a day later, as soon as somebody acknowledged it, or under a newer policy: images are
copied ahead of need, and nobody remembers to ask when the need comes. Of each family with a rule, the newest version is
looked at; whatever else gave up and still waits for an operator is opened again as well.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.ids import OperationId
from shared.domain.inventory import Image, ImageState
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.place import Place
from shared.domain.policy import Policy
from shared.ports.clock import Clock
from shared.ports.compute import Clouds
from shared.ports.functions import Functions
from shared.ports.store import Store
from shared.state.controls import Controls, Standing
from shared.state.images import ImageRecord, Images
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.usecases.copies.copy_image import CopyImageRequest
from shared.usecases.in_line import wake

AGAIN_AFTER: Final = timedelta(days=1)
MOST_AGAIN: Final = 1_000


class ImageSweep:
    def __init__(self, *, clouds: Clouds, store: Store, functions: Functions, function: str, clock: Clock) -> None:
        self._clouds = clouds
        self._functions = functions
        self._function = function
        self._clock = clock
        self._controls = Controls(store)
        self._images = Images(store)
        self._journal = Journal(store, clock)
        self._policies = Policies(store)

    def run(self) -> tuple[OperationId, ...]:
        """What was opened. Every part of it may be repeated. Raises as the ports do."""
        standing = self._controls.read()
        if standing.policy is None:
            return ()
        policy = self._policies.at(standing.policy)
        now = self._clock.now()
        opened = [*self._gave_up(standing, now)]
        if any(rule.copy_to for rule in policy.images):
            opened += self._missing(policy, standing, now)
        for id_ in opened:
            wake(self._functions, self._function, id_)
        return tuple(opened)

    def _gave_up(self, standing: Standing, now: datetime) -> Iterator[OperationId]:
        for ended in self._journal.waiting(OperationKind.COPY_IMAGE):
            request = CopyImageRequest.of(ended)
            because = _mended(ended, standing, now)
            if not because:
                continue
            if self._available(request.source, request) is None:
                self._journal.answered(ended)  # there is nothing left to copy
                continue
            yield self._again(request, ended, because, standing, now)

    def _missing(self, policy: Policy, standing: Standing, now: datetime) -> Iterator[OperationId]:
        """Copies of the newest version of each family: never opened (the region was added since), or given up and
        taken off the operators' list."""
        home = Place(policy.region)
        records = list(self._images.all())
        for rule in policy.images:
            newest = _newest(one for one in records if one.place == home and one.family == rule.family)
            if newest is None or not newest.version:
                continue
            there = {one.place.region for one in records if one.copy_of == newest.image}
            for region in rule.copy_to:
                if region in there:
                    continue
                request = CopyImageRequest(
                    image=newest.image,
                    name="",
                    family=newest.family,
                    instance=newest.instance,
                    source=home,
                    region=region,
                    version=newest.version,
                )
                last, number = self._last(request)
                because = (
                    f"{region} is among copy_to of images {rule.name}"
                    if last is None
                    else _mended(last, standing, now)
                    if last.state is OperationState.NEEDS_OPERATOR
                    else ""
                )
                image = self._available(home, request) if because else None
                if image is None:
                    continue
                asked = replace(request, name=image.name, again=number)
                if last is None:
                    yield self._open(asked, because, standing, now)
                else:
                    yield self._again(replace(CopyImageRequest.of(last), again=number), last, because, standing, now)

    def _last(self, request: CopyImageRequest) -> tuple[Operation | None, int]:
        """The last operation for this copy, and how many came before it."""
        number, last = 0, self._journal.find(request.id)
        while last is not None and number < MOST_AGAIN:
            later = self._journal.find(replace(request, again=number + 1).id)
            if later is None:
                break
            number, last = number + 1, later
        return last, number

    def _again(
        self, request: CopyImageRequest, ended: Operation, because: str, standing: Standing, now: datetime
    ) -> OperationId:
        opened = self._open(replace(request, again=request.again + 1), because, standing, now)
        self._journal.answered(ended)
        return opened

    def _open(self, request: CopyImageRequest, because: str, standing: Standing, now: datetime) -> OperationId:
        assert standing.policy is not None
        return self._journal.open(request.operation(policy=standing.policy, now=now, because=because)).id

    def _available(self, source: Place, request: CopyImageRequest) -> Image | None:
        image = next(iter(self._clouds.at(source).images.list(ids=[request.image])), None)
        return image if image is not None and image.state is ImageState.AVAILABLE else None


def _newest(records: Iterable[ImageRecord]) -> ImageRecord | None:
    return max(records, key=lambda one: (one.version, one.made), default=None)


def _mended(ended: Operation, standing: Standing, now: datetime) -> str:
    """Why it is worth another attempt; empty: not yet."""
    if ended.id in standing.acknowledged:
        return f"{ended.id} was acknowledged"
    if standing.policy is not None and standing.policy > ended.policy:
        return f"policy {standing.policy} is active now; the last attempt was made under {ended.policy}"
    since = max((step.at for step in ended.steps), default=ended.created)
    return f"the last attempt ended on {since:%Y-%m-%d}" if now - since >= AGAIN_AFTER else ""
