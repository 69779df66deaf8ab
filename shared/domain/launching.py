"""Many instances of one image: what each call asks for, when the next offer is tried, and what counts as success.

An offer is an instance type in a place. They are tried in order: every type of a zone, then the next zone. An offer is
spent as soon as it gave fewer than it was asked for, in whichever form: refused, answered with fewer, or answered with
instances that vanished again. Quotas and address spaces belong to a place, so a place whose quota is full is spent with
all its types. What no offer gave is not got; nothing that stands is ever deleted for it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domain.ids import ImageId, InstanceId, LoadBalancerId, OperationId, SnapshotId
from shared.domain.policy import Elsewhere
from shared.domain.preview import token_of
from shared.domain.provenance import OPERATION, operation_tag
from shared.domain.replacement import MAX_TAGS, OWN_TAGS, RESERVED_TAGS

AT_ONCE: Final = 100
"""Instances of one call. Source: ECS API, RunInstances, Amount."""
MOST: Final = 1_000
"""Instances of one operation: their ids and addresses stand in its one row."""
CALL: Final = "understudy:call"
"""Tag of a launched instance: by which call of its operation it was made."""
OTHER_TAGS: Final = MAX_TAGS - 2
DEFAULT_CATEGORY: Final = "cloud_essd"
NAME_AT_MOST: Final = 120
"""The cloud takes 128 characters; the number and room for it are ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One instance type in one place. `room`: addresses that were free in its vSwitch when this was planned."""

    zone: str
    vswitch: str
    instance_type: str
    room: int

    def __str__(self) -> str:
        return f"{self.instance_type} in {self.zone} ({self.vswitch})"


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherDisk:
    snapshot: SnapshotId
    category: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """Everything that the calls need, fixed once, so that every attempt asks for the same."""

    name: str
    amount: int
    least: int
    offers: tuple[Offer, ...]
    security_groups: tuple[str, ...]
    image: ImageId | None = None  # None: made of `of_snapshots` first
    of_snapshots: tuple[SnapshotId, ...] = ()
    subject: InstanceId | None = None  # whose disks those are of
    key_pair: str = ""
    role: str = ""
    user_data: str = ""
    system_disk_category: str = DEFAULT_CATEGORY
    system_disk_gib: int | None = None
    further_disks: tuple[FurtherDisk, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    port: int = 0  # where each is to answer before it is used; 0: not asked
    balancer: LoadBalancerId | None = None
    weight: int = 100
    group: str = ""  # scaling group

    @property
    def token(self) -> str:
        """Of what it would make and where; not of stock and free addresses, which change by the minute."""
        parts = (
            self.name, str(self.amount), str(self.least), self.image or "", *self.of_snapshots, "|",
            *sorted(f"{one.zone}/{one.vswitch}/{one.instance_type}" for one in self.offers), "|",  # stock orders them
            *self.security_groups, "|",
            self.key_pair, self.role, self.user_data, self.system_disk_category, str(self.system_disk_gib),
            *(f"{one.snapshot}/{one.category}" for one in self.further_disks),
            *(f"{key}={value}" for key, value in sorted(self.tags.items())), "|",
            str(self.port), self.balancer or "", str(self.weight), self.group,
        )  # fmt: skip
        return token_of(*parts)

    @property
    def calls(self) -> int:
        """At the least."""
        return -(-self.amount // AT_ONCE)


class End(StrEnum):
    """How a call ended without giving what was asked for."""

    NO_STOCK = "no stock"  # the next offer may have
    QUOTA = "quota"  # the next place may have
    STOPPED = "stopped"  # no other offer would fare better


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call that was answered. `gone`: of those it gave, how many do not stand any more."""

    number: int
    offer: int
    amount: int
    got: int
    gone: int = 0
    end: End | None = None
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The next call. Names count on from `begin`."""

    number: int
    offer: int
    amount: int
    begin: int


def next_ask(plan: LaunchPlan, asked: Sequence[Asked]) -> Ask | None:
    """None: there are enough, or nothing more is to be had."""
    missing = plan.amount - standing(asked)
    if missing <= 0 or any(one.end is End.STOPPED for one in asked):
        return None
    full = {plan.offers[one.offer].vswitch for one in asked if one.end is End.QUOTA}
    spent = {one.offer for one in asked if one.got - one.gone < one.amount}
    taken: defaultdict[str, int] = defaultdict(int)
    for one in asked:
        taken[plan.offers[one.offer].vswitch] += one.got
    for index, offer in enumerate(plan.offers):
        room = offer.room - taken[offer.vswitch]
        if index in spent or offer.vswitch in full or room <= 0:
            continue
        number = max((one.number for one in asked), default=0) + 1
        begin = 1 + sum(one.got for one in asked)
        return Ask(number=number, offer=index, amount=min(AT_ONCE, missing, room), begin=begin)
    return None


def standing(asked: Iterable[Asked]) -> int:
    return sum(one.got - one.gone for one in asked)


def shortfalls(plan: LaunchPlan, asked: Sequence[Asked]) -> tuple[str, ...]:
    """What was not got and why, call by call; then the places that had no room for more."""
    told = [_shortfall(plan, one) for one in asked if one.got - one.gone < one.amount]
    if standing(asked) < plan.amount and not any(one.end is End.STOPPED for one in asked):
        told += [f"{vswitch} has no free address left" for vswitch in _full(plan, asked)]
    return tuple(told)


def _shortfall(plan: LaunchPlan, one: Asked) -> str:
    where = plan.offers[one.offer]
    if one.end is not None:
        return f"{one.amount} of {where}: {one.because or one.end.value}"
    parts = [f"{one.got} were given"] if one.got < one.amount else []
    if one.gone:
        parts.append(one.because or f"{one.gone} vanished again")
    return f"{one.amount} of {where}: {', '.join(parts)}"


def _full(plan: LaunchPlan, asked: Sequence[Asked]) -> Iterator[str]:
    rooms = {offer.vswitch: offer.room for offer in plan.offers}
    for vswitch, room in rooms.items():
        if sum(one.got for one in asked if plan.offers[one.offer].vswitch == vswitch) >= room:
            yield vswitch


def offers(
    types: Sequence[str], where: Sequence[Elsewhere], room: Mapping[str, int], sold: Mapping[tuple[str, str], bool]
) -> tuple[Offer, ...]:
    """Every type of a zone, then the next zone; what the market says it does not sell comes last: it may be wrong."""
    found = [
        Offer(zone=one.zone, vswitch=one.vswitch, instance_type=kind, room=room.get(one.vswitch, 0))
        for one in dict.fromkeys(where)
        for kind in dict.fromkeys(types)
    ]
    return tuple(sorted(found, key=lambda one: not sold.get((one.zone, one.instance_type), False)))


def numbered(name: str, ask: Ask, plan: LaunchPlan) -> str:
    """A name that counts on from call to call: the cloud fills in `[begin,digits]`. One instance has just the name.

    Source: ECS API, RunInstances, InstanceName: sequential names."""
    if plan.amount == 1:
        return name
    digits = max(3, len(str(plan.amount)))
    return f"{name}[{ask.begin},{digits}]"


def marks(operation: OperationId, call: int) -> dict[str, str]:
    """Our own tags of what one call makes."""
    return {OPERATION: operation_tag(operation), CALL: f"{call:03d}"}


def other_tags(model: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Those that were given, then the model's without ours and the cloud's, as many as there is room for."""
    kept = {key: value for key, value in sorted(model.items()) if not key.startswith((OWN_TAGS, *RESERVED_TAGS))}
    return dict(list({**given, **{key: value for key, value in kept.items() if key not in given}}.items())[:OTHER_TAGS])


BOOT: Final = timedelta(seconds=30)
"""From the answer until Running: Pending about 5 s, Starting 15-25 s (assumption)."""
IMAGE_OF_SNAPSHOTS: Final = timedelta(seconds=15)
"""An image of complete snapshots (assumption)."""
ANSWERS: Final = timedelta(seconds=15)
"""From Running until a service answers (assumption)."""
FIRST_LOOK: Final = timedelta(seconds=10)
"""What vanishes again does so within seconds: seen early, its replacement begins early."""
SECOND_LOOK: Final = timedelta(seconds=20)
"""Before this nothing is Running."""
POLL: Final = timedelta(seconds=5)


def next_look(answered: datetime, now: datetime) -> timedelta:
    """Until the next describe: at 10 s after the last call was answered, at 20 s, then every 5 s."""
    for at in (FIRST_LOOK, SECOND_LOOK):
        if now < answered + at - timedelta(seconds=1):
            return max(answered + at - now, POLL)
    return POLL
