"""What has schedules: protections, whose slots make restore points, and image rules, whose slots make images.

The owner's name is that under which cursors and slots stand. A protection's name holds no colon, so they never meet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from shared.domain.policy import Blackout, Policy, Schedule

IMAGES: Final = "images:"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotOwner:
    name: str
    schedules: tuple[Schedule, ...]
    blackouts: tuple[Blackout, ...] = ()


def owners(policy: Policy) -> Iterator[SlotOwner]:
    for protection in policy.protections:
        yield SlotOwner(name=protection.name, schedules=protection.schedules, blackouts=protection.blackouts)
    for rule in policy.images:
        yield SlotOwner(name=IMAGES + rule.name, schedules=rule.schedules, blackouts=rule.blackouts)


def image_rule(owner: str) -> str:
    """Its name, when `owner` is an image rule; else empty."""
    return owner.removeprefix(IMAGES) if owner.startswith(IMAGES) else ""
