"""What a prune would do, point by point: the dry run. It reads, and leaves no trace."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.errors import BadInput
from shared.domain.guardrails import Refused, Spared, guard, over_the_caps
from shared.domain.ids import InstanceId, PolicyVersion, SnapshotId
from shared.domain.place import Place
from shared.domain.policy import Policy
from shared.domain.pruning import Judged, Permit, Rules
from shared.domain.retention import RestorePoint
from shared.ports.compute import Clouds, Compute
from shared.usecases.prune.prune_look import Look, look
from shared.usecases.prune.prune_record import unsaved
from shared.usecases.prune.prune_survey import Survey, points_of

GOES, SPARED, STAYS, REFUSED = "goes", "spared", "stays", "refused"
"""Fates of an item. `refused`: the cloud could not be read, so nobody can say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One restore point. `rules`: what saves it, or why nothing does."""

    fate: str
    instance: InstanceId
    point: str
    protection: str
    region: str
    account: str
    taken: datetime
    snapshots: tuple[SnapshotId, ...]
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A batch as the cloud and the guardrails see it. `refused`: why nothing at all of it may go."""

    batch: Sequence[Judged]
    look: Look | None = None
    cloud: Compute | None = None
    expire: tuple[RestorePoint, ...] = ()
    spared: tuple[Spared, ...] = ()
    refused: tuple[str, ...] = ()


def consider(clouds: Clouds, place: Place, batch: Sequence[Judged], rules: Rules, now: datetime) -> Considered:
    try:
        cloud = clouds.at(place)
    except BadInput as error:
        return Considered(batch=batch, refused=(f"{place} cannot be reached: {error}",))
    seen = look(cloud, batch, rules, now)
    judged = guard(points_of(list(batch)), evidence=seen.evidence, now=now)
    if isinstance(judged, Refused):
        return Considered(batch=batch, look=seen, refused=tuple(f"{place}: {one}" for one in judged.because))
    return Considered(batch=batch, look=seen, cloud=cloud, expire=judged.expire, spared=judged.spared)


def other_plan(permit: Permit, now: Permit) -> tuple[str, ...]:
    """A permit is for the very plan that was looked at."""
    if permit == now:
        return ()
    return (
        f"permit: {permit} lets {permit.items} restore points go, but as of then {now.items} would go now (plan "
        f"{now.plan}). Look at `understudy prune`; if it is right, use the permit that it tells",
    )


class Examination:
    """Iterate once, then read what it counted."""

    def __init__(
        self,
        clouds: Clouds,
        survey: Survey,
        policy: Policy,
        version: PolicyVersion,
        rules: Rules,
        now: datetime,
        *,
        permit: Permit | None = None,
        stopped: str = "",
    ) -> None:
        self.policy = version
        self.stopped = stopped  # why a prune would do nothing at all now
        self.points = 0
        self.goes = 0
        self.spared = 0
        self.refused: list[str] = []
        self.permit = ""  # that lets this plan through although it is over the caps
        self.as_of = now
        self._clouds, self._survey, self._limits, self._rules = clouds, survey, policy.prune, rules
        self._permit = permit

    def items(self, *, everything: bool = False) -> Iterator[Item]:
        """What would go, what is spared, and with `everything` also what stays, place by place. Streams."""
        for one in self._survey.all():
            if everything:
                for kept in one.keep:
                    yield self._item(STAYS, one.place, kept.point, kept.because)
            for spared in one.spared:
                self.spared += 1
                yield self._item(SPARED, one.place, spared.point, (f"{spared.rule}: {spared.because}",))
        self.points = self._survey.points
        for part in self._survey.batches():
            seen = consider(self._clouds, part.place, list(self._survey.again(part)), self._rules, self.as_of)
            self.refused += seen.refused
            if seen.refused:
                for point in points_of(list(seen.batch)):
                    yield self._item(REFUSED, part.place, point, seen.refused)
            for guarded in seen.spared:
                self.spared += 1
                yield self._item(SPARED, part.place, guarded.point, (f"{guarded.rule}: {guarded.because}",))
            for point in seen.expire:
                self.goes += 1
                yield self._item(GOES, part.place, point, (unsaved(point, self._rules),))
        permit = self._survey.permit(self.policy)
        if self._permit is not None:
            self.refused += other_plan(self._permit, permit)
            return
        over = over_the_caps(self.goes, self.points, self._limits, permit=str(permit))
        self.refused += (str(one) for one in over)
        self.permit = str(permit) if over else ""

    def _item(self, fate: str, place: Place, point: RestorePoint, rules: tuple[str, ...]) -> Item:
        return Item(
            fate=fate,
            instance=point.subject,
            point=point.id,
            protection=point.protection,
            region=place.region,
            account=place.account,
            taken=point.taken,
            snapshots=tuple(snapshot for _, snapshot in point.disks),
            rules=rules,
        )
