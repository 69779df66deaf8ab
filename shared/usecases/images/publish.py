"""One image into the active scaling configuration of each of its role's groups: scale-outs start from it from now on.

The newest version wins, whichever is published last: what a group is to name stands in our own row, which moves to
newer versions, or at an operator's wish over those known by then, and is written before the configuration is. Whoever
finds, after its own call, that another version is to be there puts that one in; so does the look at readiness, should
it die in between. Running instances keep theirs.

| step in the journal | what decides after a lost answer |
|---|---|
| `image` | nothing was done yet: it is chosen again |
| `group:ID` (ModifyScalingConfiguration) | the configuration as it reads; the same call again changes nothing |

Source: ESS API, ModifyScalingConfiguration (ImageId), SDK 1.13.3: for instances launched later only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.errors import Conflict, CredentialsRejected, Forbidden, OutcomeUnknown, Permanent, Retryable
from shared.domain.ids import ImageId
from shared.domain.image_versions import newest
from shared.domain.operation import OperationKind, Step, StepState
from shared.domain.place import Place
from shared.ports.clock import Clock
from shared.ports.compute import Clouds
from shared.ports.scaling import Scaling, ScalingConfiguration, ScalingGroup
from shared.ports.store import Store
from shared.state import codec
from shared.state.families import Families, Published
from shared.state.images import ImageRecord, Images
from shared.state.policies import Policies
from shared.usecases.images.family_versions import look
from shared.usecases.operations import (
    FORBIDDEN_SINCE,
    ClaimLost,
    Done,
    Escalated,
    Outcome,
    Refused,
    Resume,
    Work,
    done,
    failed,
    intended,
)
from shared.usecases.recovery.recovering import FORBIDDEN_LIMIT
from shared.usecases.recovery.recovery_requests import PublishRequest

AGAIN: Final = timedelta(seconds=5)
RUNBOOK: Final = "publish-needs-operator"
WITHIN: Final = timedelta(hours=1)
"""After this, what does not answer or read as it was set is told, and left to the look at readiness."""
_IMAGE: Final = "image"
_GROUP: Final = "group:"
_TOLD: Final = "told"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    image: ImageId
    family: str
    version: int
    groups: tuple[str, ...]
    over: int = 0  # the highest version whose place it takes, at an operator's wish


class Publish:
    """The recipe of operations of kind publish."""

    kind = OperationKind.PUBLISH

    def __init__(self, *, clouds: Clouds, scaling: Scaling, store: Store, clock: Clock) -> None:
        self._clouds = clouds
        self._scaling = scaling
        self._images = Images(store)
        self._families = Families(store)
        self._policies = Policies(store)
        self._clock = clock

    def advance(self, work: Work) -> Outcome:
        try:
            chosen = self._chosen(work)
            if not isinstance(chosen, _Chosen):
                return chosen
            waiting = self._groups(work, chosen)
        except CredentialsRejected:
            raise  # about this process, not about our permissions
        except Forbidden as error:
            ended = self._forbidden(work, error)
            if ended is None:
                raise
            return ended
        work.note(FORBIDDEN_SINCE, None)
        return waiting or _told(work, chosen)

    def _forbidden(self, work: Work, error: Forbidden) -> Escalated | None:
        """An end, when our calls have been forbidden for long."""
        now = self._clock.now()
        since = codec.instant(work.operation.result.get(FORBIDDEN_SINCE, codec.moment(now)))
        if now - since <= FORBIDDEN_LIMIT:
            work.note(FORBIDDEN_SINCE, codec.moment(since))
            return None
        steps = [one for one in work.operation.steps if one.name.startswith(_GROUP)]
        return Escalated(
            because=f"our role has been forbidden this for {int((now - since).total_seconds())} s: {error}",
            runbook=RUNBOOK,
            evidence=(f"operation={work.operation.id}", *(f"{one.name}={one.state.value}" for one in steps)),
        )

    # Which image, and where to ------------------------------------------------------------------------------------

    def _chosen(self, work: Work) -> _Chosen | Outcome:
        step = next((one for one in work.operation.steps if one.name == _IMAGE), None)
        if step is None:
            found = self._choose(work)
            if not isinstance(found, _Chosen):
                return found
            data = {
                "image": str(found.image),
                "family": found.family,
                "version": str(found.version),
                "groups": " ".join(found.groups),
                "over": str(found.over),
            }
            work.intend(Step(name=_IMAGE, state=StepState.DONE, at=self._clock.now(), data=data))
            return found
        return _Chosen(
            image=ImageId(step.data["image"]),
            family=step.data["family"],
            version=int(step.data["version"]),
            groups=tuple(step.data["groups"].split()),
            over=int(step.data.get("over", "0")),
        )

    def _choose(self, work: Work) -> _Chosen | Outcome:
        request = PublishRequest.of(work.operation)
        policy = self._policies.at(work.operation.policy)
        home = Place(policy.region)
        record = self._images.find(home, request.image) if request.image else None
        family = request.family or (record.family if record else "")
        if not family:
            return Refused(
                because=f"{request.image} is no image of ours in {home.region}, so nothing says which role it is of. "
                "Name a family"
            )
        rule = policy.image_of(family)
        groups = request.groups or (rule.publish_to if rule else ())
        if not groups:
            return Refused(because=f"no rule publishes family {family}: add publish_to to it under `images`")
        known: list[ImageRecord] = []
        if request.over or not request.image:
            known = [one for one in self._images.all() if one.place == home and one.family == family]
        records = ([record] if record else []) if request.image else known
        seen = look(self._clouds.at(home), records, family=family)
        best = next((one for one in seen.versions if one.image == request.image), None)
        if not request.image:
            best = newest(seen.versions)
        if best is None:
            which = f"image {request.image} of family {family} is not" if request.image else f"{family}: no image is"
            return Refused(because=f"{which} there to publish: was it deleted? `understudy images` lists them")
        if not best.startable:
            return Refused(because=f"image {best.image} cannot be published: {seen.why[best.image]}")
        over = max((best.number, *(one.version for one in known))) if request.over else 0
        return _Chosen(
            image=best.image, family=family, version=best.number, groups=tuple(dict.fromkeys(groups)), over=over
        )

    # The groups ---------------------------------------------------------------------------------------------------

    def _groups(self, work: Work, chosen: _Chosen) -> Outcome | None:
        """None when each has come to its end. What befalls one keeps no other from its turn."""
        ended = {one.name for one in work.operation.steps if one.state is not StepState.INTENDED}
        left = [one for one in chosen.groups if _GROUP + one not in ended]
        if not left:
            return None
        shown = self._scaling.groups(left)
        configured = self._configurations([one.configuration for one in shown.values() if one.configuration])
        troubles: list[str] = []
        for group in left:
            try:
                self._group(work, chosen, group, shown.get(group), configured)
            except (ClaimLost, CredentialsRejected, Forbidden):
                raise
            except (Retryable, OutcomeUnknown, Conflict) as trouble:
                troubles.append(f"{group}: {trouble}")
            except Permanent as refusal:
                self._fail(work, group, str(refusal))
        if not troubles:
            return None
        because = "; ".join(troubles)
        if self._clock.now() - work.operation.created > WITHIN:
            for group in [one.split(":")[0] for one in troubles]:
                self._fail(work, group, because)
            return None
        return Resume(after=AGAIN, because=because)

    def _configurations(self, ids: list[str]) -> Mapping[str, ScalingConfiguration]:
        return self._scaling.configurations(ids) if ids else {}

    def _group(
        self,
        work: Work,
        chosen: _Chosen,
        group: str,
        shown: ScalingGroup | None,
        configured: Mapping[str, ScalingConfiguration],
    ) -> None:
        now = self._clock.now()
        mine = Published(
            group=group,
            image=chosen.image,
            version=chosen.version,
            operation=work.operation.id,
            at=now,
            over=chosen.over,
            asked=PublishRequest.of(work.operation).asked if chosen.over else None,
        )
        # First of all, also where nothing can be done now: the look at readiness does it when it can be.
        wanted = self._families.publish(chosen.family, mine)
        if shown is None:
            self._fail(work, group, "it is not shown: deleted, or inactive. Take it out of publish_to, or enable it")
            return
        if not shown.active:
            self._fail(work, group, "it is not active. Enable it: it then gets this image")
            return
        configuration = configured.get(shown.configuration)
        if configuration is None:
            self._fail(work, group, "it has no active configuration. Give it one, and publish again")
            return
        step = intended(_GROUP + group, "", now, data={"configuration": configuration.id})
        if wanted.image != chosen.image:
            how = "is newer and" if wanted.version > chosen.version else "was asked for by an operator since, and"
            told = f"version {wanted.version} ({wanted.image}) {how} was published before"
            work.learn(done(step, now, **{_TOLD: told}))
            return
        if configuration.image == chosen.image:
            work.learn(done(step, now, published="yes", **{_TOLD: "it names this image"}))
            return
        work.intend(step)
        work.may_act()
        self._put(configuration.id, chosen.image)
        newer = self._families.published(chosen.family, group)
        if newer is not None and newer.image != chosen.image:
            # We stood still while another was published over our heads: what is to be there is theirs.
            self._put(configuration.id, newer.image)
            told = f"version {newer.version} ({newer.image}) came meanwhile"
            work.learn(done(step, self._clock.now(), **{_TOLD: told}))
            return
        told = f"{configuration.image or configuration.family or 'nothing'} before"
        work.learn(done(step, self._clock.now(), published="yes", **{_TOLD: told}))

    def _put(self, configuration: str, image: ImageId) -> None:
        """Raises Retryable when it does not read as it was set."""
        self._scaling.publish(configuration, image)
        reads = self._configurations([configuration]).get(configuration)
        if reads is None or reads.image != image:
            found = "nothing" if reads is None else str(reads.image)
            raise Retryable(f"configuration {configuration} reads {found} after {image} was set", retry_after=AGAIN)

    def _fail(self, work: Work, group: str, because: str) -> None:
        now = self._clock.now()
        work.learn(failed(intended(_GROUP + group, "", now), now, because))


def _told(work: Work, chosen: _Chosen) -> Outcome:
    steps = {one.name.removeprefix(_GROUP): one for one in work.operation.steps if one.name.startswith(_GROUP)}
    there = [group for group, one in steps.items() if "published" in one.data]
    others = [
        f"{group}: {one.data.get(_TOLD) or one.data['because']}" for group, one in steps.items() if group not in there
    ]
    gone = [group for group, one in steps.items() if one.state is StepState.FAILED]
    if gone and len(gone) == len(steps):
        return Refused(because=f"image {chosen.image} was published nowhere: {'; '.join(others)}")
    called = f"image {chosen.image}, version {chosen.version} of {chosen.family}"
    where = f"is what {', '.join(there)} start from now" if there else "changes nothing"
    because = "; ".join((f"{called}, {where}", *others))
    return Done(
        result={
            "outcome": "done" if there else "superseded",
            "because": because,
            "image": str(chosen.image),
            "version": str(chosen.version),
            "groups": " ".join(there),
        }
    )
