"""Read the instances a selection means, with no more calls than needed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from shared.domain.ids import InstanceId
from shared.domain.inventory import Disk, Instance
from shared.domain.policy import Selection
from shared.domain.rebuild import ISOLATED
from shared.domain.selection import matches
from shared.ports.compute import Inventory

FEW: Final = 2
"""Up to so many instances are asked for their disks one by one; for more, one listing of the region (100 disks a call)
is cheaper, as long as a protection is not a tiny part of a huge region."""
_GROUPABLE: Final = ("cloud_essd", "cloud_auto")
"""Categories of the ESSD family, which snapshot groups are for. Source: ECS API, CreateSnapshotGroup, read 2026-03."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    instances: tuple[Instance, ...]
    absent: tuple[InstanceId, ...]  # named in the policy, unknown to the cloud (or hidden from our role)


def select(inventory: Inventory, selection: Selection) -> Selected:
    """Those that are to be backed up: one that was replaced and is kept in isolation still carries its role's tags,
    but has nothing new to save.

    Raises Retryable, Forbidden as the inventory does. Nothing found can also mean a missing permission.
    """
    found: list[Instance] = []
    if selection.tags:
        found.extend(inventory.instances(tags=selection.tags))
    known = {instance.id for instance in found}
    named = [one for one in selection.ids if one not in known and one not in selection.exclude]
    if named:
        found.extend(inventory.instances(ids=named))
    known = {instance.id for instance in found}
    meant = tuple(instance for instance in matches(selection, found) if ISOLATED not in instance.tags)
    return Selected(instances=meant, absent=tuple(sorted(one for one in named if one not in known)))


def disks_of(inventory: Inventory, instances: Iterable[Instance]) -> Mapping[InstanceId, tuple[Disk, ...]]:
    """Their attached disks, by instance, system disk first."""
    wanted = [instance.id for instance in instances]
    disks: dict[InstanceId, list[Disk]] = {instance: [] for instance in wanted}
    listings = [inventory.disks(instance=one) for one in wanted] if len(wanted) <= FEW else [inventory.disks()]
    for listing in listings:
        for disk in listing:
            if disk.instance in disks:
                disks[disk.instance].append(disk)
    return {one: tuple(sorted(own, key=lambda disk: (disk.kind != "system", disk.id))) for one, own in disks.items()}


def groupable(disks: Iterable[Disk]) -> bool:
    """Whether one crash-consistent group can hold all of them."""
    return all(disk.category.startswith(_GROUPABLE) for disk in disks)
