"""What an operator asks of images: make one, publish one, keep one.

Function `command` records it; `backup` makes, `recover` publishes, `prune` heeds the pins.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime

from shared.domain.decision import Decision
from shared.domain.errors import BadInput, DrError
from shared.domain.ids import ImageId, InstanceId, OperationId
from shared.domain.policy import ImageDisks, ImageRule, Policy
from shared.domain.retention import Pin
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.state.decisions import Decisions
from shared.state.families import Families
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.usecases.arguments import Arguments, asked_by, needed, optional
from shared.usecases.recovery.recovery_requests import PublishRequest
from shared.usecases.requests import ImageRequest

Result = dict[str, object]


class AskImage:
    """Commands `image`, `publish_image`, `pin_image` and `unpin_image`."""

    def __init__(
        self,
        *,
        policies: Policies,
        journal: Journal,
        families: Families,
        decisions: Decisions,
        functions: Functions,
        clock: Clock,
    ) -> None:
        self._policies = policies
        self._journal = journal
        self._families = families
        self._decisions = decisions
        self._functions = functions
        self._clock = clock

    def commands(self, moment: Callable[[Arguments], datetime]) -> Mapping[str, Callable[[Arguments, str], Result]]:
        """`moment`: when it was asked for, which is part of the operation's id."""
        return {
            "image": lambda arguments, run: self._image(arguments, moment(arguments), run),
            "publish_image": lambda arguments, run: self._publish(arguments, moment(arguments), run),
            "pin_image": lambda arguments, run: self._pin(arguments, run, pinned=True),
            "unpin_image": lambda arguments, run: self._pin(arguments, run, pinned=False),
        }

    def _image(self, arguments: Arguments, asked: datetime, run: str) -> Result:
        """Of one instance, of the one that a rule chooses, or of a restore point. An image of a family that has a rule
        goes where that rule's images go, unless something else is said."""
        version, policy = self._policies.active()
        named = optional(arguments, "rule")
        rule = _rule(policy, named) if named else policy.image_of(optional(arguments, "family"))
        copy_to, kms_key = _regions(arguments, policy.region), _key(arguments)
        if rule is not None and "copy_to" not in arguments:
            copy_to = rule.copy_to
        if kms_key and len(copy_to) != 1:
            raise BadInput(f"argument kms_key is {kms_key!r}: a key belongs to one region, so name one in copy_to")
        if named and any(optional(arguments, name) for name in ("instance", "family", "point")):
            raise BadInput(f"argument rule is {named!r}: the rule says instance and family. Leave those out")
        family = (
            rule.family if named and rule else needed(arguments, "family", "the image family that rules name, e.g. app")
        )
        instance = "" if named else needed(arguments, "instance", "an instance id, e.g. i-bp1...")
        request = ImageRequest(
            instance=InstanceId(instance),
            family=family,
            asked=asked,
            copy_to=copy_to,
            kms_key=kms_key,
            disks=_disks(arguments, rule),
            rule=named,
            point=optional(arguments, "point"),
            publish_to=() if rule is None else rule.publish_to,
        )
        because = f"asked for by {asked_by(arguments)}"
        operation = request.operation(policy=version, now=self._clock.now(), because=because)
        self._journal.open(operation)
        self._tell("image.requested", operation.subject, because, run, operation=request.id)
        self._wake("backup", request.id)
        return {"operation": request.id, "copy_to": list(copy_to), "publish_to": list(request.publish_to)}

    def _publish(self, arguments: Arguments, asked: datetime, run: str) -> Result:
        """The newest usable image of a family, or the named one, also where a newer version was published before."""
        version, policy = self._policies.active()
        what = needed(arguments, "what", "an image family of the policy, or an image id, e.g. m-bp1...")
        rule = policy.image_of(what)
        if rule is None and not what.startswith("m-"):
            known = ", ".join(one.family for one in policy.images) or "none"
            raise BadInput(f"{what!r} is neither an image id nor a family with a rule in policy {version}: {known}")
        if rule is not None and not rule.publish_to:
            raise BadInput(f"images {rule.name}: nothing is named to publish {what} to. Add publish_to to the rule")
        request = PublishRequest(
            image=ImageId("" if rule else what),
            family=what if rule else "",
            groups=rule.publish_to if rule else (),
            asked=asked,
            by=asked_by(arguments),
            over=True,
        )
        because = f"asked for by {request.by}"
        self._journal.open(request.operation(policy=version, now=self._clock.now(), because=because))
        self._tell("publish.requested", request.id, because, run, operation=request.id)
        self._wake("recover", request.id)
        return {"operation": request.id, "groups": list(request.groups)}

    def _pin(self, arguments: Arguments, run: str, *, pinned: bool) -> Result:
        """A pinned image is never let go."""
        _, policy = self._policies.active()
        family = needed(arguments, "family", "the image's family")
        if policy.image_of(family) is None:
            known = ", ".join(one.family for one in policy.images) or "none"
            raise BadInput(f"{family!r} has no rule, so its images are never let go. Families with one: {known}")
        image = ImageId(needed(arguments, "image", "an image id, e.g. m-bp1..., as `understudy images` shows it"))
        subject = f"image family {family}"
        if pinned:
            because = needed(arguments, "because", "the reason, for whoever wonders why it stays")
            self._families.pin(family, image, Pin(by=asked_by(arguments), because=because, at=self._clock.now()))
            self._tell("image.pinned", subject, because, run, image=image)
            return {"pinned": image}
        self._families.unpin(family, image)
        self._tell("image.unpinned", subject, f"unpinned by {asked_by(arguments)}", run, image=image)
        return {"unpinned": image}

    def _wake(self, function: str, operation: OperationId) -> None:
        try:
            self._functions.invoke_async(function, json.dumps({"operation": operation}).encode())
        except DrError as error:
            # Durable already: the function's own timer finds it.
            log.event("invocation.failed", subject=operation, because=[str(error)])

    def _tell(self, event: str, subject: str, because: str, run: str, **inputs: str) -> None:
        made = Decision(event=event, at=self._clock.now(), subject=subject, because=(because,), inputs=inputs, run=run)
        log.decision(made)
        self._decisions.record(subject, made)


def _rule(policy: Policy, name: str) -> ImageRule:
    found = policy.image(name)
    if found is None:
        known = ", ".join(one.name for one in policy.images) or "none"
        raise BadInput(f"images {name!r} is not in the policy; it has: {known}")
    return found


def _disks(arguments: Arguments, rule: ImageRule | None) -> ImageDisks:
    given = optional(arguments, "disks")
    if not given:
        return ImageDisks.ALL if rule is None else rule.disks
    if given not in {one.value for one in ImageDisks}:
        raise BadInput(f"argument disks is {given!r}; it must be all or system")
    return ImageDisks(given)


def _regions(arguments: Arguments, home: str) -> tuple[str, ...]:
    """Where an image is copied to: other regions, or none."""
    given = arguments.get("copy_to") or []
    if not isinstance(given, list) or not all(isinstance(one, str) and one.strip() for one in given):
        raise BadInput(f"argument copy_to is {given!r}; it must be a list of regions, e.g. [cn-shanghai]")
    if home in given:
        raise BadInput(f"argument copy_to names {home}, where the image is made: name other regions, or leave it out")
    return tuple(dict.fromkeys(one.strip() for one in given))


def _key(arguments: Arguments) -> str:
    key = arguments.get("kms_key") or ""
    if not isinstance(key, str):
        raise BadInput(f"argument kms_key is {key!r}; it must be the id of a key of the region in copy_to")
    return key.strip()
