"""Whether a role could be rebuilt right now: the newest usable image of its family, and what else must stand ready.

A role is a family of images with the rules that name it. Judged from what the cloud shows, again and again, so that
what is missing is known before it is needed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.ids import ImageId, InstanceId
from shared.domain.image_versions import Version, newest
from shared.domain.policy import Policy, Selection
from shared.domain.wording import length

SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    family: str
    rules: tuple[str, ...]  # that name it, e.g. "images app"
    regions: tuple[str, ...]  # home first
    groups: tuple[str, ...] = ()  # scaling groups to which it is published
    max_age: timedelta | None = None
    restores: tuple[Selection, ...] = ()  # instances whose data disks a rebuild makes of restore points


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a scaling group starts new instances from, as the cloud says."""

    shown: bool = True
    active: bool = True
    image: ImageId | None = None
    family: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """`ready`: an instance of this role could be made at home now. What else is lacking stands in `lacks`."""

    family: str
    ready: bool
    image: ImageId | None = None  # the newest usable one at home
    version: int = 0
    made: datetime | None = None
    regions: tuple[str, ...] = ()  # of those asked for, where that version is usable
    lacks: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    at: datetime | None = None  # when it was judged

    @property
    def told(self) -> tuple[object, ...]:
        """What a change is judged by: the same as long as nothing changed for an operator."""
        return (self.ready, self.lacks)


def roles(policy: Policy) -> tuple[Role, ...]:
    """One of each family that a rule of the policy names, in the order of the file."""
    families = dict.fromkeys([*(one.family for one in policy.images), *(one.image_family for one in policy.rebuilds)])
    return tuple(_role(policy, family) for family in families)


def _role(policy: Policy, family: str) -> Role:
    images = [one for one in policy.images if one.family == family]
    rebuilds = [one for one in policy.rebuilds if one.image_family == family]
    ages = [one.max_age for one in images] + [one.image_max_age for one in rebuilds]
    return Role(
        family=family,
        rules=(*(f"images {one.name}" for one in images), *(f"rebuild {one.name}" for one in rebuilds)),
        regions=tuple(dict.fromkeys([policy.region, *(region for one in images for region in one.copy_to)])),
        groups=tuple(dict.fromkeys(group for one in images for group in one.publish_to)),
        max_age=min((age for age in ages if age is not None), default=None),
        restores=tuple(one.select for one in rebuilds),
    )


def judge(
    role: Role,
    standing: Mapping[str, Sequence[Version]],
    named: Mapping[str, Named],
    *,
    without_points: Sequence[InstanceId] = (),
    unread: Sequence[str] = (),
    now: datetime,
) -> Readiness:
    """`standing`: the versions in each region that could be read. `without_points`: instances with data disks of which
    no usable point stands. `unread`: what could not be looked at, and why."""
    home = role.regions[0]
    best = newest(standing.get(home, ()))
    there = tuple(
        region for region in role.regions if best is not None and _holds(standing.get(region, ()), best.number, best)
    )
    return Readiness(
        family=role.family,
        ready=best is not None,
        image=None if best is None else best.image,
        version=0 if best is None else best.number,
        made=None if best is None else best.made,
        regions=there,
        lacks=tuple(_lacks(role, standing, named, best, there, without_points, now)) + tuple(unread),
        rules=role.rules,
        at=now,
    )


def _holds(versions: Sequence[Version], number: int, best: Version) -> bool:
    return any(one.startable and (one.number == number if number else one.image == best.image) for one in versions)


def _lacks(
    role: Role,
    standing: Mapping[str, Sequence[Version]],
    named: Mapping[str, Named],
    best: Version | None,
    there: Sequence[str],
    without_points: Sequence[InstanceId],
    now: datetime,
) -> Iterator[str]:
    home = role.regions[0]
    if best is None:
        if home in standing:
            yield f"no usable image stands in {home}: make one with `understudy image make INSTANCE {role.family}`"
    else:
        if role.max_age is not None and now - best.made > role.max_age:
            yield f"the newest usable image {best.image} is of {best.made:%Y-%m-%d}, older than {length(role.max_age)}"
        for region in role.regions[1:]:
            if region in standing and region not in there:
                yield f"{_called(best)} does not stand in {region} yet"
        for group in role.groups:
            yield from _group(group, named.get(group), best, role)
    if without_points:
        some = ", ".join(sorted(without_points)[:SHOWN]) + (", ..." if len(without_points) > SHOWN else "")
        yield f"no usable restore point of the data disks of {some}"


def _group(group: str, stands: Named | None, best: Version, role: Role) -> Iterator[str]:
    if stands is None:
        return  # not looked at: told beside
    if not stands.shown:
        yield f"scaling group {group} is not shown: deleted, or inactive. Take it out of publish_to, or enable it"
    elif stands.image is None and stands.family != role.family:
        yield f"scaling group {group} has no active configuration to publish to"
    elif stands.image is not None and stands.image != best.image:
        yield f"scaling group {group} starts instances from {stands.image}, not from {_called(best)}"
    elif not stands.active:
        yield f"scaling group {group} is not active"


def _called(version: Version) -> str:
    return f"{version.image} (version {version.number})" if version.number else str(version.image)
