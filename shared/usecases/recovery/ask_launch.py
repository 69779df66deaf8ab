"""What an operator asks of images: instances made of one.

Without a confirmation nothing is opened: what it would do is asked of function `recover`, which may read the cloud.
With one, the operation is opened; its first step plans anew and compares.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import BadInput
from shared.domain.ids import AccountName, ImageId, InstanceId, LoadBalancerId, SnapshotId
from shared.domain.operation import OperationKind
from shared.domain.place import Place
from shared.domain.policy import Elsewhere
from shared.domain.replacement import OWN_TAGS, RESERVED_TAGS
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.state import codec
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.usecases.arguments import Arguments, optional, texts
from shared.usecases.recovery.confirming import check_token
from shared.usecases.recovery.recovery_requests import LaunchRequest
from shared.usecases.recovery.suspicion import hand_over

FUNCTION: Final = "recover"
PORTS: Final = range(65_536)
WEIGHTS: Final = range(101)
USER_DATA_AT_MOST: Final = 32 * 1024
"""Bytes before encoding. Source: ECS API, RunInstances, UserData."""

Result = dict[str, object]


class AskLaunch:
    """Command `launch`."""

    def __init__(
        self, *, policies: Policies, journal: Journal, decisions: Decisions, functions: Functions, clock: Clock
    ) -> None:
        self._policies = policies
        self._journal = journal
        self._decisions = decisions
        self._functions = functions
        self._clock = clock

    def commands(self, moment: Callable[[Arguments], datetime]) -> Mapping[str, Callable[[Arguments, str], Result]]:
        """`moment`: when it was asked for, which is part of the operation's id."""
        return {"launch": lambda arguments, run: self._launch(arguments, moment(arguments), run)}

    def _launch(self, arguments: Arguments, asked: datetime, run: str) -> Result:
        version, policy = self._policies.active()
        request = request_of(arguments, region=policy.region, asked=asked)
        if not request.confirm:
            question = {"preview": {"kind": OperationKind.LAUNCH.value, "request": codec.dump(request)}}
            answer = json.loads(self._functions.invoke(FUNCTION, json.dumps(question).encode()))
            return answer if "refused" in answer else {"preview": answer}
        check_token(
            self._functions,
            self._journal,
            OperationKind.LAUNCH,
            request.id,
            request=codec.dump(replace(request, confirm="")),
            confirm=request.confirm,
        )
        because = f"asked for by {request.by}"
        operation = request.operation(policy=version, now=self._clock.now(), because=because)
        self._journal.open(operation)
        made = Decision(
            event="launch.requested",
            at=self._clock.now(),
            subject=operation.subject,
            because=(because,),
            inputs={"operation": request.id, "amount": str(request.amount)},
            policy=version,
            acted=True,
            run=run,
        )
        log.decision(made)
        self._decisions.record(operation.subject, made)
        hand_over(self._functions, FUNCTION, {"operation": request.id, "look": "now"})
        return {"operation": request.id}


def request_of(arguments: Arguments, *, region: str, asked: datetime) -> LaunchRequest:
    """Raises BadInput naming the argument and what it may be. What only the cloud knows is checked by the plan."""
    image, family, point = (optional(arguments, name) for name in ("image", "family", "point"))
    if sum(map(bool, (image, family, point))) != 1:
        raise BadInput(
            f"arguments image, family and point are {image!r}, {family!r} and {point!r}: give exactly one of them "
            "(an image, a family whose newest is taken, or a restore point)"
        )
    subject, like, name = optional(arguments, "of"), optional(arguments, "like"), optional(arguments, "called")
    if bool(point) != bool(subject):
        raise BadInput(f"arguments point and of are {point!r} and {subject!r}: a restore point is one of an instance")
    if not name:
        raise BadInput("argument called is empty: it names the instances, e.g. shop (shop001, shop002, ...)")
    amount = _number(arguments, "amount", 1)
    balancer = optional(arguments, "balancer")
    return LaunchRequest(
        place=Place(optional(arguments, "region") or region, AccountName(optional(arguments, "account"))),
        name=name,
        asked=asked,
        by=optional(arguments, "by") or "an operator",
        amount=amount,
        least=_number(arguments, "least", 1),
        image=ImageId(image) if image else None,
        family=family,
        point=point,
        subject=InstanceId(subject) if subject else None,
        like=InstanceId(like) if like else None,
        instance_types=texts(arguments, "types"),
        where=tuple(_place(one) for one in texts(arguments, "where")),
        security_groups=texts(arguments, "security_groups"),
        key_pair=optional(arguments, "key_pair"),
        role=optional(arguments, "role"),
        user_data=_user_data(arguments),
        tags=_tags(arguments),
        snapshots=tuple(SnapshotId(one) for one in texts(arguments, "snapshots")),
        port=_within(arguments, "port", 0, PORTS),
        balancer=LoadBalancerId(balancer) if balancer else None,
        weight=_within(arguments, "weight", 100, WEIGHTS),
        group=optional(arguments, "group"),
        confirm=optional(arguments, "confirm"),
    )


def _place(text: str) -> Elsewhere:
    zone, equals, vswitch = text.partition("=")
    if not (zone and equals and vswitch):
        raise BadInput(f"argument where holds {text!r}; write ZONE=VSWITCH, e.g. cn-hangzhou-i=vsw-bp1...")
    return Elsewhere(zone=zone.strip(), vswitch=vswitch.strip())


def _tags(arguments: Arguments) -> dict[str, str]:
    given = arguments.get("tags") or {}
    if not isinstance(given, dict) or not all(isinstance(one, str) for pair in given.items() for one in pair):
        raise BadInput(f"argument tags is {given!r}; it must be an object of texts, e.g. {{role: app}}")
    taken = [key for key in given if not key or key.startswith((OWN_TAGS, *RESERVED_TAGS))]
    if taken:
        raise BadInput(
            f"argument tags has {', '.join(map(repr, taken))}: keys are not empty, and those that begin with "
            f"{OWN_TAGS}, aliyun or acs: are not yours to set"
        )
    return dict(given)


def _user_data(arguments: Arguments) -> str:
    given = arguments.get("user_data") or ""
    if not isinstance(given, str):
        raise BadInput("argument user_data must be a text: the script itself, not encoded")
    size = len(given.encode())
    if size > USER_DATA_AT_MOST:
        raise BadInput(f"argument user_data holds {size} bytes, the cloud takes {USER_DATA_AT_MOST}")
    return given


def _number(arguments: Arguments, name: str, otherwise: int) -> int:
    given = arguments.get(name, otherwise)
    if type(given) is not int:
        raise BadInput(f"argument {name} is {given!r}; it must be a whole number")
    return given


def _within(arguments: Arguments, name: str, otherwise: int, allowed: range) -> int:
    number = _number(arguments, name, otherwise)
    if number not in allowed:
        raise BadInput(f"argument {name} is {number}; it must be {allowed.start}-{allowed.stop - 1}")
    return number
