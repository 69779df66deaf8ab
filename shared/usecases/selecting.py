"""Read the instances a selection means, with no more calls than needed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from shared.domain.ids import InstanceId
from shared.domain.inventory import Disk, Instance
from shared.domain.policy import Selection
from shared.domain.rebuild import ISOLATED, REPLACES
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
    absent: tuple[InstanceId, ...]  # named in the policy, and nothing stands for it
    isolated: frozenset[InstanceId] = field(default_factory=frozenset)  # those of `absent` that are kept in isolation

    def why(self, absent: InstanceId) -> str:
        if absent in self.isolated:
            return "it was replaced and is isolated, and no instance carries its tag understudy:replaces: name another"
        return "the policy names it, the cloud does not"


def select(inventory: Inventory, selection: Selection) -> Selected:
    """Those that are to be backed up: one that was replaced and is kept in isolation still carries its role's tags,
    but has nothing new to save. Where the policy names it by id, its replacement takes its part.

    Raises Retryable, Forbidden as the inventory does. Nothing found can also mean a missing permission.
    """
    found: list[Instance] = []
    if selection.tags or selection.where is not None:
        found.extend(inventory.instances(tags=selection.tags or None))
    known = {instance.id for instance in found}
    named = [one for one in selection.ids if one not in known and one not in selection.exclude]
    if named:
        found.extend(inventory.instances(ids=named))
    meant = {instance.id: instance for instance in matches(selection, found) if ISOLATED not in instance.tags}
    isolated = frozenset(instance.id for instance in found if ISOLATED in instance.tags)
    absent = []
    for one in selection.ids:
        if one in meant or one in selection.exclude:
            continue
        successors = _successors(inventory, one)
        if not successors:
            absent.append(one)
        meant.update({other.id: other for other in successors if other.id not in selection.exclude})
    return Selected(
        instances=tuple(meant[one] for one in sorted(meant)), absent=tuple(sorted(absent)), isolated=isolated
    )


def _successors(inventory: Inventory, replaced: InstanceId) -> tuple[Instance, ...]:
    """What took the part of an instance that is isolated or released, through any number of replacements."""
    standing: dict[InstanceId, Instance] = {}
    seen, waiting = {replaced}, [replaced]
    while waiting:
        for instance in inventory.instances(tags={REPLACES: waiting.pop()}):
            if instance.id in seen:
                continue
            seen.add(instance.id)
            if ISOLATED in instance.tags:
                waiting.append(instance.id)
            else:
                standing[instance.id] = instance
    return tuple(standing.values())


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
