"""Which disks share one call: snapshot groups over the disks of several instances of one zone.

One group is one instant for all of its members, so an instance's disks are never split over two; and one call for many
instances is how a large protection needs fewer calls than it has disks.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from shared.domain.ids import DiskId, InstanceId

DISKS_AT_MOST: Final = 16
"""Of one group. The SDK says 128, older pages 16 and 32 TiB: we stay within all of them. Source: ECS API,
CreateSnapshotGroup, SDK 7.11.8 and 2021."""
GIB_AT_MOST: Final = 32 * 1024
"""The older bound on what a group's disks hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One instance and those of its disks that are taken."""

    instance: InstanceId
    zone: str
    disks: tuple[DiskId, ...]  # the system disk first
    groupable: bool  # one group can hold all of them
    size_gib: int = 0  # of all of them
    others: int = 0  # disks of it that the selection leaves out


def bundles(members: Iterable[Member]) -> Iterator[tuple[Member, ...]]:
    """Those of `members` that are groupable, each in the first bundle of its zone that has room. One instance with more
    disks than fit is a bundle of its own: the cloud may take it."""
    ordered = sorted((one for one in members if one.groupable and one.disks), key=lambda one: (one.zone, one.instance))
    for _, here in groupby(ordered, key=lambda one: one.zone):
        packed: list[list[Member]] = []
        for member in here:
            room = next((one for one in packed if _fits([*one, member])), None)
            if room is None:
                packed.append([member])
            else:
                room.append(member)
        yield from (tuple(one) for one in packed)


def halves(bundle: Sequence[InstanceId]) -> tuple[tuple[InstanceId, ...], ...]:
    """Two, of a refused bundle of several instances: the one that cannot go keeps ever fewer others back."""
    middle = len(bundle) // 2
    return tuple(bundle[:middle]), tuple(bundle[middle:])


def shards(members: Sequence[Member], *, disks: int) -> Iterator[tuple[Member, ...]]:
    """Cut after so many disks, zone by zone, so that bundles are full. An instance is never cut."""
    shard: list[Member] = []
    held = 0
    for member in sorted(members, key=lambda one: (one.zone, one.instance)):
        # One without disks takes room too: it is a step and a slot like the others.
        weight = max(1, len(member.disks))
        if shard and held + weight > disks:
            yield tuple(shard)
            shard, held = [], 0
        shard.append(member)
        held += weight
    if shard:
        yield tuple(shard)


def _fits(members: Sequence[Member]) -> bool:
    disks = sum(len(one.disks) for one in members)
    return disks <= DISKS_AT_MOST and sum(one.size_gib for one in members) <= GIB_AT_MOST
