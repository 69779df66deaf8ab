"""What image rules hold at most, in snapshots and images, and what that costs a month.

Each version of a rule holds one snapshot of every disk of the instance that it was made of: they count in that disk's
quota of manual snapshots, beside its restore points, until they are gone for good.
"""

from collections.abc import Iterator
from typing import Final

from shared.domain.assumptions import Assumptions, Known
from shared.domain.capacity import QUOTA, RESERVE
from shared.domain.cost import MONTH, Cost, Prices
from shared.domain.image_versions import versions_held
from shared.domain.policy import ImageDisks, ImageRule, Policy
from shared.domain.timetable import WEEK, ordinary
from shared.domain.wording import plural

IMAGES_QUOTA: Final = 100
"""Custom images per region. Assumption: the cloud's own figure is adjustable and stands in the Quota Center."""


def room_doubts(policy: Policy) -> Iterator[str]:
    room = QUOTA - RESERVE
    for rule in policy.images:
        held = versions_held(rule)
        if held > room:
            leaving = held - rule.keep
            fits = f"keep: {room - leaving}" if room > leaving else "a schedule of once a day, and keep: 3"
            yield (
                f"images {rule.name}: up to {held} versions stand at a time, each with a snapshot of every disk it was "
                f"made of, and a disk takes {QUOTA}. What fits: {fits}"
            )
    for region in sorted({policy.region, *(region for rule in policy.images for region in rule.copy_to)}):
        rules = [one for one in policy.images if region == policy.region or region in one.copy_to]
        total = sum(versions_held(one) for one in rules)
        if total > IMAGES_QUOTA:
            yield (
                f"images: up to {total} of {plural(len(rules), 'rule')} stand in {region} at a time, and a region "
                f"takes about {IMAGES_QUOTA}. Lower keep, or let schedules be due less often, or have the quota "
                "raised and use --accept-doubts"
            )


def room_notes(policy: Policy) -> Iterator[str]:
    for rule in policy.images:
        held = versions_held(rule)
        what = "the system disk" if rule.disks is ImageDisks.SYSTEM else "each disk"
        yield (
            f"images {rule.name}: up to {held} versions stand at a time; their snapshots take as many of the {QUOTA} "
            f"that {what} of an imaged instance can have, beside its restore points"
        )


def image_costs(policy: Policy, known: Known, prices: Prices) -> tuple[Cost, ...]:
    return tuple(_cost(policy, rule, known.assumptions, prices) for rule in policy.images)


def _cost(policy: Policy, rule: ImageRule, assumed: Assumptions, prices: Prices) -> Cost:
    """Of disks of the assumed size: a chain of full and changed blocks, once here and once in each region."""
    disks = 1 if rule.disks is ImageDisks.SYSTEM else 1 + assumed.disks
    made = MONTH / WEEK * len(ordinary(rule.schedules, weeks=1)) if rule.schedules else 1.0
    gap = MONTH / made
    changed = assumed.changed_gib(assumed.size_gib, gap)
    gib = disks * (assumed.size_gib * assumed.used_share + (versions_held(rule) - 1) * changed)
    return Cost(
        protection=f"images {rule.name}",
        disks=disks,
        storage_gib=gib,
        storage=gib * prices.of("snapshot_gib_month", policy.region),
        copy_storage=sum(gib * prices.of("snapshot_gib_month", region) for region in rule.copy_to),
        traffic=sum(made * disks * changed * prices.of("copy_gib", region) for region in rule.copy_to),
        functions=0.0,
        store=0.0,
    )
