"""Lets older versions of image families go: out of the family first, for good a week later, their snapshots after that
by the path of what deleted images leave.

A part of function `prune`, after its points: behind its pause, its policy and its caps, and in its certificate. Only
families with a rule under `images` are looked at, at home and where the rule copies to, and only images that stand in
our own records. Where something cannot be read (a region, a scaling group, the journal), nothing of that family goes
there.

| call | read-back that decides after a lost answer |
|---|---|
| ModifyImageAttribute (Deprecated) | the image's state; our note of the moment was written before |
| DeleteImage, without force: the cloud refuses what instances use | the image is not listed any more |
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import CredentialsRejected, DrError, OutcomeUnknown, Permanent, Retryable
from shared.domain.ids import ImageId, PolicyVersion
from shared.domain.image_versions import Fate, Verdict, Version, changes, plan_retirement
from shared.domain.operation import OperationKind
from shared.domain.place import Place
from shared.domain.policy import ImageRule, Policy
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Clouds
from shared.ports.scaling import Scaling
from shared.ports.store import Store
from shared.state.decisions import Decisions
from shared.state.families import Families
from shared.state.images import ImageRecord, Images
from shared.state.journal import Journal
from shared.state.retired import Retired
from shared.usecases.images.family_versions import look
from shared.usecases.images.image_ledger import ImageLedger
from shared.usecases.prune.prune_images import Judged

ACT_WITHIN: Final = timedelta(minutes=4)
"""From looking to the last change of what was seen, as with snapshots."""
CALL_TIMEOUT: Final = timedelta(seconds=30)
RECOVERIES: Final = (OperationKind.REBUILD, OperationKind.RESTORE, OperationKind.LAUNCH)
"""Of these also one that waits for an operator holds what it names: it may go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The images of one family in one place."""

    place: Place
    rule: ImageRule
    verdicts: tuple[Verdict, ...]
    judged: Judged


@dataclass(slots=True)
class Retirement:
    """What a run did, or would do. Lines for people, each with its image, family and place."""

    groups: list[Group] = field(default_factory=list)
    deprecated: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # what could not be looked at, or the cloud would not do
    stopped: str = ""

    @property
    def changes(self) -> int:
        """That it would make."""
        return sum(1 for group in self.groups for _ in changes(group.verdicts))


class RetireImages:
    def __init__(self, *, clouds: Clouds, scaling: Callable[[], Scaling], store: Store, clock: Clock) -> None:
        """`scaling`: built only when some rule publishes."""
        self._clouds = clouds
        self._scaling = scaling
        self._images = Images(store)
        self._families = Families(store)
        self._retired = Retired(store)
        self._journal = Journal(store, clock)
        self._decisions = Decisions(store)
        self._clock = clock

    def plan(self, policy: Policy) -> Retirement:
        """Of every family with a rule, in every place where it has images. Reads only."""
        found = Retirement()
        left = policy.prune.max_items
        for rule, place, records in self._kept(policy):
            group = self._judge(policy, rule, place, records, left, found)
            if group is not None:
                left -= sum(1 for _ in changes(group.verdicts))
                found.groups.append(group)
        return found

    def run(
        self,
        policy: Policy,
        version: PolicyVersion,
        ledger: ImageLedger,
        *,
        run: str,
        overtaken: Callable[[], str] = lambda: "",
    ) -> Retirement:
        """Carry the plan out, one place after the other, each looked at just before, written into `ledger`, and read
        back. What goes wrong in one place keeps no other from its turn. Raises CredentialsRejected, and as the
        read-back does: the next run then settles it."""
        found = Retirement()
        left = policy.prune.max_items
        for rule, place, records in self._kept(policy):
            began = self._clock.monotonic()
            group = self._judge(policy, rule, place, records, left, found)
            if group is None:
                continue
            found.groups.append(group)
            wanted = tuple(changes(group.verdicts))
            if not wanted:
                continue
            left -= len(wanted)
            found.stopped = self._hindered(began, overtaken)
            if not found.stopped:
                self._carry_out(group, wanted, ledger, began, overtaken, version, run, found)
            if found.stopped:
                break
        return found

    def tidy(self) -> None:
        """Forget notes about images of which no record is left."""
        notes = self._retired.since()
        if notes:
            known = {(str(one.place), one.image) for one in self._images.all()}
            for place, image in notes.keys() - known:
                self._retired.forget(place, image)

    # Looking --------------------------------------------------------------------------------------------------------

    def _kept(self, policy: Policy) -> Iterable[tuple[ImageRule, Place, list[ImageRecord]]]:
        if not policy.images:
            return []
        by_place: dict[tuple[str, Place], list[ImageRecord]] = {}
        for record in self._images.all():
            by_place.setdefault((record.family, record.place), []).append(record)
        return [
            (rule, place, by_place[family, place])
            for rule in policy.images
            for family, place in sorted(by_place)
            if family == rule.family and (place == Place(policy.region) or place.region in rule.copy_to)
        ]

    def _judge(
        self,
        policy: Policy,
        rule: ImageRule,
        place: Place,
        records: Sequence[ImageRecord],
        at_most: int,
        found: Retirement,
    ) -> Group | None:
        try:
            pins = self._families.pins(rule.family)
            held = self._held(policy, rule, place, records)
            for image, pin in pins.items():
                held[image] = (f"pinned by {pin.by}: {pin.because}", *held.get(image, ()))
            since = self._retired.since()
            seen = look(
                self._clouds.at(place),
                records,
                held=held,
                deprecated={image: at for (where, image), at in since.items() if where == str(place)},
            )
        except CredentialsRejected:
            raise
        except DrError as error:
            log.event("images.unread", subject=f"{rule.family} in {place}", because=[str(error)])
            found.refused.append(f"images {rule.name} in {place}: nothing goes, as not all could be looked at: {error}")
            return None
        used = frozenset(one.id for one in seen.images.values() if one.used)
        versions = [_with_use(one, used) for one in seen.versions]
        now = self._clock.now()
        verdicts = plan_retirement(versions, keep=rule.keep, now=now, at_most=at_most)
        judged = Judged(
            place=place,
            family=rule.family,
            verdicts=verdicts,
            operations={one.image: one.operation for one in records},
            pinned=frozenset(pins),
            used=used,
            looked=now,
        )
        return Group(place=place, rule=rule, verdicts=verdicts, judged=judged)

    def _held(
        self, policy: Policy, rule: ImageRule, place: Place, records: Sequence[ImageRecord]
    ) -> dict[ImageId, tuple[str, ...]]:
        """What keeps each image beside pins and instances made of it. Raises when it cannot be known."""
        held: dict[ImageId, list[str]] = {}
        mine = {record.image for record in records}
        under_way = [(one, "is under way with it") for one in self._journal.open_of(*OperationKind)]
        under_way += [(one, "waits for an operator, and needs it") for one in self._journal.waiting(*RECOVERIES)]
        for operation, how in under_way:
            text = " ".join([*operation.inputs.values(), *(str(dict(one.data)) for one in operation.steps)])
            for image in mine:
                if image in text:
                    held.setdefault(image, []).append(f"{operation.id} {how}")
        if place == Place(policy.region):
            for image, because in self._named(rule):
                held.setdefault(image, []).append(because)
        return {image: tuple(reasons) for image, reasons in held.items()}

    def _named(self, rule: ImageRule) -> list[tuple[ImageId, str]]:
        """By the groups of `publish_to`, and by those that it was published to earlier."""
        before = [one for one in self._families.all_published(rule.family) if one.group not in rule.publish_to]
        groups = [*rule.publish_to, *(one.group for one in before)]
        if not groups:
            return []
        scaling = self._scaling()
        shown = scaling.groups(groups)
        hidden = [one for one in rule.publish_to if one not in shown]
        if hidden:
            raise Permanent(
                f"scaling group {hidden[0]} is not shown (deleted, or inactive): what it starts from is unknown. Take "
                "it out of publish_to, or enable it"
            )
        configured = {one.configuration: one.id for one in shown.values() if one.configuration}
        stands = scaling.configurations(sorted(configured)) if configured else {}
        unread = [one for one in configured if one not in stands]
        if unread:
            raise Permanent(f"configuration {unread[0]} of scaling group {configured[unread[0]]} is not shown")
        found = [
            (one.image, f"scaling group {one.group} starts instances from it")
            for one in stands.values()
            if one.image is not None
        ]
        return found + [
            (one.image, f"it was published to scaling group {one.group}, which is not shown (deleted, or inactive)")
            for one in before
            if one.group not in shown
        ]

    # Acting ---------------------------------------------------------------------------------------------------------

    def _hindered(self, began: float, overtaken: Callable[[], str]) -> str:
        if self._clock.monotonic() - began + CALL_TIMEOUT.total_seconds() > ACT_WITHIN.total_seconds():
            return f"what was seen is older than {ACT_WITHIN}; the next run looks again"
        try:
            return overtaken()
        except Retryable as error:
            return f"nobody can say whether it may go on: {error}"

    def _carry_out(
        self,
        group: Group,
        wanted: Sequence[Verdict],
        ledger: ImageLedger,
        began: float,
        overtaken: Callable[[], str],
        version: PolicyVersion,
        run: str,
        found: Retirement,
    ) -> None:
        part = ledger.begin(group.judged)
        troubles: dict[ImageId, str] = {}
        for verdict in wanted:
            found.stopped = found.stopped or self._hindered(began, overtaken)
            trouble = found.stopped or self._change(group, verdict, version, run, found)
            if trouble:
                troubles[verdict.version.image] = trouble
        ledger.end(part, self._clouds.at(group.place), troubles)

    def _change(self, group: Group, verdict: Verdict, version: PolicyVersion, run: str, found: Retirement) -> str:
        """Why it was not done; empty: it was."""
        image, cloud = verdict.version.image, self._clouds.at(group.place)
        if image in self._families.pins(group.rule.family):
            return "pinned meanwhile"
        try:
            if verdict.fate is Fate.DEPRECATE:
                self._retired.note(group.place, image, self._clock.now())  # journal before effect
                _settled(lambda: cloud.images.deprecate(image))
                found.deprecated.append(_line(group, verdict))
            else:
                _settled(lambda: cloud.images.delete(image))
                if next(iter(cloud.images.list(ids=[image])), None) is not None:
                    found.refused.append(f"{_line(group, verdict)}: it is still there after it was deleted")
                    return "it is still there after it was deleted"
                found.deleted.append(_line(group, verdict))
        except CredentialsRejected:
            raise
        except DrError as error:
            found.refused.append(f"{_line(group, verdict)}: {error}")
            self._tell("image.not_let_go", group, verdict, version, run, (str(error),))
            return str(error)
        event = "image.deprecated" if verdict.fate is Fate.DEPRECATE else "image.deleted"
        self._tell(event, group, verdict, version, run, (verdict.because,))
        return ""

    def _tell(
        self,
        event: str,
        group: Group,
        verdict: Verdict,
        version: PolicyVersion,
        run: str,
        because: tuple[str, ...],
    ) -> None:
        subject = f"image family {group.rule.family}"
        made = Decision(
            event=event,
            at=self._clock.now(),
            subject=subject,
            because=because,
            inputs=_facts(group, verdict),
            policy=version,
            acted=event != "image.not_let_go",
            run=run,
        )
        log.decision(made)
        self._decisions.record(subject, made)


def planned(found: Retirement) -> list[str]:
    """A line for each image that would change."""
    return [
        f"{'leaves its family' if one.fate is Fate.DEPRECATE else 'goes for good'}: {_line(group, one)}: {one.because}"
        for group in found.groups
        for one in changes(group.verdicts)
    ]


def done(found: Retirement) -> list[str]:
    """A line for each that changed."""
    return [*(f"left its family: {one}" for one in found.deprecated), *(f"gone: {one}" for one in found.deleted)]


def _settled(call: Callable[[], None]) -> None:
    """Once more when nobody knows whether it was done: both calls may be repeated."""
    try:
        call()
    except OutcomeUnknown:
        call()


def _with_use(version: Version, used: Collection[ImageId]) -> Version:
    if version.image not in used:
        return version
    return replace(version, held=(*version.held, "instances made of it stand"))


def _line(group: Group, verdict: Verdict) -> str:
    one = verdict.version
    return f"{one.image} (version {one.number} of {group.rule.family}) in {group.place}"


def _facts(group: Group, verdict: Verdict) -> dict[str, str]:
    one = verdict.version
    return {
        "image": str(one.image),
        "version": str(one.number),
        "place": str(group.place),
        "rule": group.rule.name,
        "made": f"{one.made:%Y-%m-%dT%H:%M:%SZ}",
    }
